"""C-CDA documents that a site's DocumentReferences carry, from a practice hospital through the store to the page."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from adapter_kit import opened, site_at
from documents_kit import (
    ALLERGIES,
    PERSON,
    PROBLEMS,
    RESULTS,
    VITALS,
    coded,
    document,
    problem,
    related,
    section,
    statement,
)

from adapters.source import SectionFetch
from context_builder.build import build_context
from context_builder.document import ContextRequest
from models.record import SECTIONS, Allergy, AnyEntry, Chart, Problem, Report, Result, Vital
from service.access import Role
from service.api.app import create_app
from service.practice_ehr import PracticeEhr
from service.settings import Settings
from service.store import Store

Json = dict[str, Any]
LOINC = "2.16.840.1.113883.6.1"
ASTHMA, GOUT = (coded("value", c, d, kind="CD") for c, d in (("195967001", "Asthma"), ("90560007", "Gout")))


def measured(template: str, code: str, name: str, when: str, value: str) -> str:
    body = f'{coded("code", code, name, LOINC)}<effectiveTime value="{when}"/><value xsi:type="PQ" {value}/>'
    return f"<component>{statement('observation', template, body)}</component>"


PULSE = statement("organizer", "26", measured("27", "8867-4", "Pulse", "20240601083000+0000", 'value="80" unit="/min"'))
PANEL = statement(
    "organizer",
    "1",
    coded("code", "51990-0", "Basic panel", LOINC)
    + measured("2", "2345-7", "Glucose", "20240601", 'value="7.10" unit="mg/dL"')
    + measured("2", "2951-2", "Sodium", "20240601", 'value="140" unit="mmol/L"'),
)
VENOM = "<participant><participantRole><playingEntity>{}</playingEntity></participantRole></participant>"
BEES = statement(
    "act",
    "30",
    related(
        statement(
            "observation",
            "7",
            coded("value", "419199007", kind="CD") + VENOM.format(coded("code", "288328004", "Bee venom")),
        )
    ),
    status="active",
)
CCD = document(
    section(PROBLEMS, f"{problem(ASTHMA)}</entry><entry>{problem(GOUT)}", "Asthma and gout"),
    section(ALLERGIES, BEES),
    section(VITALS, PULSE),
    section(RESULTS, PANEL),
)
STRANGERS = document(section(PROBLEMS, problem(GOUT)), head=PERSON.replace("19700501", "19820917"))


def record(*documents: bytes) -> list[Json]:
    about = {"subject": {"reference": "Patient/p1"}}
    category = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs"}]}  # fmt: skip
    return [
        {"resourceType": "Patient", "id": "p1", "birthDate": "1970-05-01", "gender": "female", "name": [{"family": "Moor", "given": ["Ada"]}]},
        {"resourceType": "Condition", "id": "c1", "onsetDateTime": "2019", "clinicalStatus": {"coding": [{"code": "active"}]},
         "code": {"text": "Asthma", "coding": [{"system": "http://snomed.info/sct", "code": "195967001"}]}} | about,
        {"resourceType": "Observation", "id": "v1", "status": "final", "category": [category], "effectiveDateTime": "2024-06-01T08:30:00Z",
         "code": {"text": "Pulse", "coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
         "valueQuantity": {"value": 80, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}} | about,
        *(
            {"resourceType": "DocumentReference", "id": f"d{n}", "status": "current", "date": "2024-06-01T10:00:00Z", "type": {"text": "Summary"},
             "content": [{"attachment": {"contentType": "application/xml", "url": f"Binary/b{n}"}}]} | about
            for n, _ in enumerate(documents)
        ),
        *({"resourceType": "Binary", "id": f"b{n}", "contentType": "application/xml", "data": base64.b64encode(d).decode()} for n, d in enumerate(documents)),
    ]  # fmt: skip


async def fetched(ehr: PracticeEhr, entries: bool) -> tuple[list[SectionFetch], Any]:
    site = site_at(ehr.base_url, overrides={"normalization": {"document_entries": entries}})
    async with opened(site) as source:
        return list(await source.fetch_patient("p1", SECTIONS)), source.profile.normalization


async def read(store: Store, *documents: bytes, entries: bool = True) -> tuple[str, PracticeEhr, Callable[[], Chart]]:
    """What a site with these documents leaves in the store."""
    with PracticeEhr("north", record(*documents), dress="generic") as ehr:
        fetches, rules = await fetched(ehr, entries)
        store.put_site("t1", site_at(ehr.base_url))
        patient = store.register_patient("t1", "north", "p1")
        ledger = store.commit_fetch("t1", patient, "north", fetches, rules)
        assert ledger.balanced
        return patient, ehr, lambda: store.chart("t1", patient)


def standing(chart: Chart, kind: type[Any]) -> dict[str, str]:
    """What stands of a kind: its name and by which way it came."""
    return {e.concept.display: e.origin.method for e in chart.of(kind) if not e.superseded and not duplicate(e)}


def duplicate(entry: AnyEntry) -> bool:
    return entry.has_flag("duplicate_of")


async def test_the_entries_of_a_fetched_document_stand_beside_the_sites_resources_and_count_once(store: Store) -> None:
    patient, _, chart_now = await read(store, CCD)
    chart = chart_now()
    assert standing(chart, Problem) == {"Asthma": "structured", "Gout": "document"}
    assert standing(chart, Vital) == {"Pulse": "structured"}
    assert standing(chart, Result) == {"Glucose": "document", "Sodium": "document"}
    assert standing(chart, Allergy) == {"Bee venom": "document"}
    gout = next(e for e in chart.of(Problem) if e.concept.display == "Gout")
    origin = gout.origin
    assert (origin.site, origin.resource_type, origin.resource_id, origin.method) == (
        "north",
        "DocumentReference",
        "d0",
        "document",
    )
    assert origin.path == "content[0].attachment#/ClinicalDocument/component/structuredBody/component[1]/section/entry[2]/act/entryRelationship/observation"  # fmt: skip
    assert chart.ledger.by_type["ClinicalStatement"]["stored"] == 5 and not store.quarantine("t1", patient)
    text = build_context(chart, ContextRequest(budget_tokens=4000)).text
    prefix = text.partition("## Notes")[0]
    assert prefix.count("Asthma") == 1 and prefix.count("Gout") == 1 and "Bee venom" in prefix and "7.10" in text


async def test_without_the_sites_word_only_the_text_is_read(store: Store) -> None:
    _, _, chart_now = await read(store, CCD, entries=False)
    chart = chart_now()
    assert {e.origin.method for e in chart.entries if e.origin.method != "computed"} == {"structured"}
    assert standing(chart, Problem) == {"Asthma": "structured"}


async def test_a_strangers_document_is_in_quarantine_and_its_entries_are_not_in_the_chart(store: Store) -> None:
    patient, _, chart_now = await read(store, CCD, STRANGERS)
    gouts = [e.origin.resource_id for e in chart_now().of(Problem) if e.concept.display == "Gout"]
    assert gouts == ["d0"]
    assert [(q["reason"], q["resource_type"]) for q in store.quarantine("t1", patient)] == [
        ("wrong_patient", "ClinicalDocument")
    ]


async def test_a_document_that_is_gone_takes_its_entries_along_and_other_sections_leave_them(store: Store) -> None:
    patient, _, chart_now = await read(store, CCD)
    with PracticeEhr("north", record(), dress="generic") as ehr:
        fetches, rules = await fetched(ehr, True)
    problems, notes = (next(f for f in fetches if f.section == s) for s in ("problems", "notes"))
    store.commit_fetch("t1", patient, "north", [problems], rules)
    assert "Gout" in standing(chart_now(), Problem)
    store.commit_fetch("t1", patient, "north", [notes], rules)
    assert standing(chart_now(), Problem) == {"Asthma": "structured"} and not chart_now().of(Result)


async def test_the_page_opens_the_statement_and_a_report_its_results(store: Store, settings: Settings) -> None:
    patient, _, chart_now = await read(store, CCD)
    chart = chart_now()
    token = store.create_api_key("t1", Role.CLINICIAN, "ward")[1]
    transport = httpx.ASGITransport(app=create_app(settings.model_copy(update={"tenant": "t1"}), store))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as browser:
        await browser.post("/login", data={"key": token})

        async def opened_source(entry: AnyEntry) -> list[Json]:
            answer = await browser.get(
                f"/patients/{patient}/sources/{entry.id}", headers={"accept": "application/json"}
            )
            assert answer.status_code == 200
            return list(answer.json()["sources"])

        gout = next(e for e in chart.of(Problem) if e.concept.display == "Gout")
        (found,) = await opened_source(gout)
        (shown,) = [r["text"] for r in found["runs"] if r["marked"]]
        assert shown.startswith("<observation") and "Gout" in shown and "Asthma" not in shown
        assert found["reference"] == "DocumentReference/d0" and ["Obtained", "document"] in found["facts"]
        report = chart.of(Report)[0]
        panel, *results = await opened_source(report)
        marked = [next(r["text"] for r in s["runs"] if r["marked"]) for s in results]
        assert len(results) == 2 and "7.10" in marked[0] and "Sodium" in marked[1]
        assert "<organizer" in "".join(r["text"] for r in panel["runs"])


@pytest.mark.parametrize(
    ("place", "root"),
    [
        ("/ClinicalDocument/component/structuredBody/component[1]/section/entry[2]/act", "<act"),
        ("/ClinicalDocument/component/structuredBody/component[1]/section/entry[9]/act", "<section"),
        ("/ClinicalDocument/component/structuredBody/component[1]/section/code/codeableConcept.text", "<code"),
        ("/ClinicalDocument/text()|//secret", "<ClinicalDocument"),
        ("/other/a", ""),
        ("/", ""),
    ],
)
def test_a_place_leads_as_far_as_it_exists_and_is_no_query(place: str, root: str) -> None:
    from adapters.documents.ccda.places import standing_at

    assert standing_at(CCD, place)[1][: len(root) or None] == root
