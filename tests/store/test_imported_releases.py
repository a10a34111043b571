"""A release that was imported makes patients stale; a run says what it changes before it changes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_kit import add_site, fetch, raw

from models.terminology import vocabulary
from models.terminology.releases.shelf import Shelf
from models.terminology.vocabulary import Vocabulary
from service.store import Store

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "terminology" / "releases"))
import release_kit

NDC = "http://hl7.org/fhir/sid/ndc"


@pytest.fixture(autouse=True)
def _nothing_imported() -> Iterator[None]:
    vocabulary.use(None)
    yield
    vocabulary.use(None)


def test_an_import_makes_stale_and_a_run_brings_it_in(store: Store, tmp_path: Path) -> None:
    add_site(store)
    patient = store.register_patient("t1", "north", "p1")
    order = raw(
        "MedicationRequest",
        "m1",
        {
            "status": "active",
            "intent": "order",
            "subject": {"reference": "Patient/p1"},
            "medicationCodeableConcept": {"coding": [{"system": NDC, "code": "0093-1113-01"}]},
        },
    )
    store.commit_fetch("t1", patient, "north", [fetch("medications", [order])])

    def mapped() -> tuple[str, str]:
        (entry,) = store.chart("t1", patient).entries
        mapping = entry.concept.mapping
        assert mapping is not None and mapping.target is not None and entry.concept.codings[0].code == "0093-1113-01"
        return mapping.method, mapping.target.code

    def run(*, apply: bool) -> dict[str, object]:
        run_id = store.begin_renormalization("t1", "k1", apply=apply)
        for site, who in store.to_renormalize("t1", run_id):
            store.renormalize_in_run("t1", run_id, who, site, None)
        store.end_renormalization("t1", run_id)
        done = store.renormalization("t1", run_id)
        assert done is not None
        report: dict[str, object] = done["report"]
        return report

    assert mapped() == ("standard", "0093-1113-01") and store.stale_patients("t1") == {"north": 0}
    shelf = Shelf(tmp_path / "shelf")
    for version in shelf.take([release_kit.rxnorm(tmp_path)]):
        shelf.put_in_force(version)
    vocabulary.use(Vocabulary.at(tmp_path / "shelf"))
    assert store.stale_patients("t1") == {"north": 1}
    seen = run(apply=False)
    assert seen["kinds"] == {"mapping_changed": 1} and mapped()[0] == "standard", "a report before it is a change"
    assert store.stale_patients("t1") == {"north": 1}
    assert run(apply=True)["kinds"] == {"mapping_changed": 1}
    assert mapped() == ("map_table", "314076") and store.stale_patients("t1") == {"north": 0}
    assert run(apply=True)["identical"]
    vocabulary.use(None)
    assert store.stale_patients("t1") == {"north": 1}, "what was read by a release that is gone is stale too"
