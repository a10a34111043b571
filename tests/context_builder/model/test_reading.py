"""`Services.summary`: which of model and record answers, by the settings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.normalizer import assemble, coverage_from_entries, normalize, parse_file
from context_builder import ContextRequest
from models.record import Chart
from service.api.reading import Reading
from service.practice_aws import PracticeAws
from service.practice_ehr.population import generate
from service.settings import Settings

AS_OF = "2026-11-01T12:00:00Z"
MODEL = "anthropic.claude-sonnet-4-20250514-v1:0"


class Charts(Reading):
    """One patient, without a store."""

    def __init__(self, **settings: Any) -> None:
        self.settings = Settings(**settings)
        patient = generate(patients=2)[1]
        data = json.dumps(
            {"resourceType": "Bundle", "entry": [{"resource": r} for r in patient.resources(patient.hospitals[0])]}
        )
        entries = normalize(parse_file(data.encode(), "x.json", tenant="t", site="epic", retrieved=AS_OF)[0]).entries
        self._chart = assemble("t", "p", entries, coverage_from_entries(entries, ("epic",)), as_of=AS_OF)

    def chart(self, tenant: str, patient_id: str, as_of: str | None = None) -> Chart:
        return self._chart


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "practice")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "practice")


def test_without_a_model_the_record_answers() -> None:
    chart, document, summary = Charts().summary("t", "p", ContextRequest())
    assert summary.state == "record_only" and summary.model == "" and summary.context_id == document.context_id
    assert chart.patient_id == "p"


def test_a_model_without_a_baa_is_never_called() -> None:
    with PracticeAws() as aws:
        reader = Charts(model_id=MODEL, model_endpoint_url=aws.endpoint_url)
        _, _, summary = reader.summary("t", "p", ContextRequest())
        assert summary.state == "model_not_permitted" and "BAA" in summary.reason and summary.statements
        assert aws.requests == [] and aws.refused == []


def test_a_permitted_model_writes_and_the_question_reaches_it_last(capsys: pytest.CaptureFixture[str]) -> None:
    with PracticeAws() as aws:
        reader = Charts(model_id=MODEL, model_endpoint_url=aws.endpoint_url, model_baa_declared=True)
        request = ContextRequest(purpose="question", question="What vaccines are on record?")
        _, document, summary = reader.summary("t", "p", request)
        assert summary.state == "model" and summary.model == MODEL
        assert {s.source for s in summary.statements} == {"model", "record"}
        ((_, sent),) = aws.requests
        assert "What vaccines are on record?" in sent["messages"][-1]["content"][0]["text"]
        name = next(f.display for f in document.facts if f.section == "demographics")
        said = capsys.readouterr()
        assert name not in said.out + said.err


def test_a_model_that_is_down_costs_its_words_only() -> None:
    with PracticeAws("unavailable") as aws:
        reader = Charts(model_id=MODEL, model_endpoint_url=aws.endpoint_url, model_baa_declared=True, model_attempts=1)
        _, _, summary = reader.summary("t", "p", ContextRequest())
        assert summary.state == "model_unavailable" and summary.reason.startswith("model_error")
        assert summary.statements
