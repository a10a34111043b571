"""One allergy as FHIR R4, DSTU2 and C-CDA tell it: the same entry; and an explicit negative against it, from whichever source."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from documents_kit import ALLERGIES, NOW, RXNORM, coded, document, related, section, statement

from adapters.normalizer import assemble, coverage_from_entries, normalize, parse_file
from models.record import Allergy, Chart, RawResource

RX = "http://www.nlm.nih.gov/research/umls/rxnorm"
SCT = "http://snomed.info/sct"
WHO = {"patient": {"reference": "Patient/p"}}
HIVES = {"coding": [{"system": SCT, "code": "247472004", "display": "Hives"}]}
AMOXICILLIN = {"coding": [{"system": RX, "code": "723", "display": "Amoxicillin"}], "text": "Amoxicillin"}
NONE_KNOWN = {"coding": [{"system": SCT, "code": "716186003", "display": "No known allergy"}]}


def fhir(body: dict[str, Any], version: str, site: str) -> list[RawResource]:
    content = json.dumps({"resourceType": "AllergyIntolerance", "id": "a1"} | WHO | body).encode()
    return [
        RawResource(
            tenant="t", site=site, resource_type="AllergyIntolerance", resource_id="a1", content=content, retrieved=NOW,
            fhir_version=version, section="allergies",
        )
    ]  # fmt: skip


def r4(what: str, site: str) -> list[RawResource]:
    status = {"clinicalStatus": {"coding": [{"code": "active"}]}}
    if what == "none":
        return fhir(status | {"code": NONE_KNOWN}, "4.0.1", site)
    reaction = [{"manifestation": [HIVES], "severity": "severe"}]
    told = {"type": "allergy", "category": ["medication"], "criticality": "high", "reaction": reaction}
    return fhir(status | told | {"code": AMOXICILLIN}, "4.0.1", site)


def dstu2(what: str, site: str) -> list[RawResource]:
    if what == "none":
        return fhir({"status": "active", "substance": NONE_KNOWN}, "1.0.2", site)
    reaction = [{"manifestation": [HIVES], "severity": "severe"}]
    told = {"type": "allergy", "category": "medication", "criticality": "CRITH", "reaction": reaction}
    return fhir({"status": "active", "substance": AMOXICILLIN} | told, "1.0.2", site)


def ccda(what: str, site: str) -> list[RawResource]:
    agent, value, attrs, more = coded("code", "723", "Amoxicillin", RXNORM), "416098002", "", ""
    if what == "none":
        agent, value, attrs = '<code nullFlavor="NA"/>', "419199007", ' negationInd="true"'
    else:
        severity = related(statement("observation", "8", coded("value", "24484000", kind="CD")))
        hives = coded("value", "247472004", "Hives", kind="CD")
        more = related(statement("observation", "9", hives + severity), "MFST")
        high = '<value xsi:type="CD" code="CRITH" codeSystem="2.16.840.1.113883.5.1063"/>'
        more += related(statement("observation", "145", high))
    observed = statement(
        "observation", "7",
        f'{coded("value", value, kind="CD")}<participant typeCode="CSM"><participantRole><playingEntity>{agent}'
        f"</playingEntity></participantRole></participant>{more}",
        f'moodCode="EVN"{attrs}',
    )  # fmt: skip
    act = statement("act", "30", related(observed), status="active")
    resources, bad = parse_file(document(section(ALLERGIES, act)), "f.xml", tenant="t", site=site, retrieved=NOW)
    assert not bad
    return resources


SOURCES = {"r4": r4, "dstu2": dstu2, "ccda": ccda}


def chart(*raws: list[RawResource]) -> Chart:
    entries = [e for group in raws for e in normalize(group).entries]
    return assemble("t", "p", entries, coverage_from_entries(entries, {e.site for e in entries}), as_of=NOW)


@pytest.mark.parametrize("source", SOURCES)
def test_substance_class_reaction_and_severity_are_the_same_from_every_source(source: str) -> None:
    (found,) = chart(SOURCES[source]("allergy", "a")).of(Allergy)
    assert (found.concept.display, found.substance_class) == ("Amoxicillin", "penicillins")
    assert (found.activity, found.type, found.categories, found.criticality) == (
        "active", "allergy", ("medication",), "high",
    )  # fmt: skip
    assert [(r.severity, [m.display for m in r.manifestations]) for r in found.reactions] == [("severe", ["Hives"])]
    assert not found.none_asserted and found.concept.target is not None and found.concept.target.code == "723"


@pytest.mark.parametrize("source", SOURCES)
def test_a_negative_alone_is_a_negative_from_every_source(source: str) -> None:
    made = chart(SOURCES[source]("none", "a"))
    (found,) = made.of(Allergy)
    assert found.none_asserted and not made.conflicts and not found.substance_class
    assert {c.state for c in made.coverage if c.section == "allergies"} == {"none_asserted"}


@pytest.mark.parametrize(("one", "other"), list(product(SOURCES, SOURCES)))
def test_a_negative_of_one_source_contradicts_the_allergy_of_another(one: str, other: str) -> None:
    made = chart(SOURCES[one]("allergy", "a"), SOURCES[other]("none", "b"))
    (conflict,) = made.conflicts
    assert conflict.kind == "allergy_vs_none" and set(conflict.entry_ids) == {e.id for e in made.of(Allergy)}
    assert len(conflict.entry_ids) == 2 and all(e.has_flag("conflicts_with") for e in made.of(Allergy))
    assert {e.site: e.none_asserted for e in made.of(Allergy)} == {"a": False, "b": True}, "neither is resolved"
