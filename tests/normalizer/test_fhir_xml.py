"""FHIR in XML says what the same resource in JSON says; what is no FHIR XML is put aside with its reason."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from normalizer_kit import CORPUS, NOW
from xml_writer import dumps, loads, to_xml

from adapters.normalizer import normalize, parse_file
from adapters.normalizer.fhir_xml import json_of
from models.record import Origin, RawResource
from service.practice_ehr.dstu2 import as_dstu2
from service.practice_ehr.population import generate

Json = dict[str, Any]
XMLNS = 'xmlns="http://hl7.org/fhir"'


def read(data: bytes, name: str = "f.xml") -> list[RawResource]:
    found, bad = parse_file(data, name, tenant="t", site="s", retrieved=NOW)
    assert not bad
    return found


def entries(raws: list[RawResource]) -> list[Json]:
    """Entries without the version that is made of the bytes."""
    made = normalize(raws)
    assert not made.quarantine
    unversioned = [msgspec.structs.replace(e, origins=tuple(_unversioned(o) for o in e.origins)) for e in made.entries]
    return sorted((e.to_dict() for e in unversioned), key=lambda e: str(e["id"]))


def _unversioned(origin: Origin) -> Origin:
    return msgspec.structs.replace(origin, version="")


# Generated resources -------------------------------------------------------------------------------------------------

_text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co")), min_size=1, max_size=8)
_decimal = st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-9999, max_value=9999)
_coding = st.fixed_dictionaries({"system": st.just("http://loinc.org"), "code": st.from_regex(r"[0-9]{4}", fullmatch=True)},
                                optional={"display": _text, "userSelected": st.booleans()})  # fmt: skip
_concept = st.fixed_dictionaries({"coding": st.lists(_coding, min_size=1, max_size=2)}, optional={"text": _text})
_quantity = st.fixed_dictionaries({"value": _decimal}, optional={"unit": _text})
_extension = st.fixed_dictionaries({"url": st.just("urn:x:note")}, optional={"valueString": _text, "valueDecimal": _decimal,
                                   "valueBoolean": st.booleans(), "valueInteger": st.integers(-9, 99)})  # fmt: skip
_beside = st.fixed_dictionaries({"extension": st.lists(_extension, min_size=1, max_size=2)})
_name = st.fixed_dictionaries(
    {"family": _text, "given": st.lists(_text, min_size=1, max_size=3)}, optional={"_family": _beside}
)
_patient = st.fixed_dictionaries(
    {"resourceType": st.just("Patient"), "id": st.just("p"), "name": st.lists(_name, min_size=1, max_size=2)},
    optional={"active": st.booleans(), "birthDate": st.just("1961-05"), "_birthDate": _beside,
              "multipleBirthInteger": st.integers(1, 4), "extension": st.lists(_extension, min_size=1, max_size=2),
              "text": st.just({"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>A &lt; <b>B</b></p></div>'})},
)  # fmt: skip
_observation = st.fixed_dictionaries(
    {"resourceType": st.just("Observation"), "id": st.just("o"), "status": st.just("final"), "code": _concept,
     "subject": st.just({"reference": "Patient/p"})},
    optional={"category": st.lists(_concept, min_size=1, max_size=2), "valueQuantity": _quantity,
              "contained": st.lists(_patient.map(lambda p: p | {"id": "c"}), min_size=1, max_size=1),
              "referenceRange": st.lists(st.fixed_dictionaries({"low": _quantity}), min_size=1, max_size=2),
              "component": st.lists(st.fixed_dictionaries({"code": _concept, "valueQuantity": _quantity}), min_size=1, max_size=2)},
)  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.one_of(_patient, _observation))
def test_json_to_xml_to_json_is_the_same_resource(resource: Json) -> None:
    written = loads(dumps(resource))
    (raw,) = read(to_xml(resource))
    back = loads(json_of(raw))
    assert json.loads(json.dumps(back, default=str, sort_keys=True)) == json.loads(
        json.dumps(written, default=str, sort_keys=True)
    )
    quantity = resource.get("valueQuantity")
    if quantity:
        assert str(back["valueQuantity"]["value"]) == str(quantity["value"]), "with its digits"
        assert isinstance(back["valueQuantity"]["value"], Decimal)


@pytest.mark.parametrize("release", ["R4", "DSTU2"])
def test_a_practice_record_reads_alike_in_both(release: str) -> None:
    """Of every type that the practice hospital has, in R4 and in DSTU2."""
    resources = generate()[0].resources("lakeshore")
    if release == "DSTU2":
        resources = as_dstu2(resources)
    resources = loads(json.dumps(resources))
    assert len({r["resourceType"] for r in resources}) > 8
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}
    in_json = read(dumps(bundle), "f.json")
    one, other = (
        entries([msgspec.structs.replace(r, fhir_version=release) for r in found])
        for found in (read(to_xml(bundle)), in_json)
    )
    assert one == other and len(one) > 50


# What is read, and how it is kept ------------------------------------------------------------------------------------


def test_a_single_resource_is_kept_as_it_came() -> None:
    data = f'<?xml version="1.0"?>\n<Patient {XMLNS}><id value="p"/><birthDate value="1961-05"/></Patient>'.encode()
    (raw,) = read(data)
    assert raw.content == data and (raw.resource_type, raw.resource_id) == ("Patient", "p")
    assert entries([raw])[0]["birth_date"] == "1961-05"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_other_encodings_are_read(encoding: str) -> None:
    (raw,) = read(f'<Patient {XMLNS}><id value="p"/><name><family value="Ångström"/></name></Patient>'.encode(encoding))
    assert entries([raw])[0]["names"] == ({"family": "Ångström"},)


def test_a_resource_of_a_bundle_keeps_its_words_and_its_namespaces() -> None:
    data = (
        b'<f:Bundle xmlns:f="http://hl7.org/fhir"><f:entry><f:fullUrl value="urn:uuid:1-2"/><f:resource><f:Observation>'
        b'<f:status value="final"/><f:valueQuantity><f:value value="7.10"/></f:valueQuantity></f:Observation></f:resource></f:entry></f:Bundle>'
    )
    (raw,) = read(data)
    assert raw.resource_id == "1-2" and b'xmlns:f="http://hl7.org/fhir"' in raw.content
    assert loads(json_of(raw))["valueQuantity"] == {"value": Decimal("7.10")} and b"7.10" in json_of(raw)


def test_dstu2_is_told_by_one_resource_for_the_file() -> None:
    data = (
        f'<Bundle {XMLNS}><entry><resource><Patient><id value="p"/><name><family value="Oduya"/></name></Patient></resource></entry>'
        f'<entry><resource><MedicationOrder><id value="m"/><status value="active"/><dosageInstruction><doseQuantity><value value="2.0"/>'
        f"</doseQuantity></dosageInstruction></MedicationOrder></resource></entry></Bundle>"
    ).encode()
    person, order = read(data)
    assert person.fhir_version == order.fhir_version == "DSTU2"
    assert loads(json_of(person))["name"] == [{"family": ["Oduya"]}]
    assert loads(json_of(order))["dosageInstruction"] == [{"doseQuantity": {"value": Decimal("2.0")}}]


def test_an_element_that_nobody_knows_is_kept_as_it_stands() -> None:
    data = (
        f'<Patient {XMLNS}><id value="p"/><mood value="true"/><hat><size value="7"/><size value="8"/></hat></Patient>'
    )
    (raw,) = read(data.encode())
    assert loads(json_of(raw)) | {"resourceType": "", "id": ""} == {
        "resourceType": "",
        "id": "",
        "mood": "true",
        "hat": {"size": ["7", "8"]},
    }


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("<id value='p'/>stray text", "not_a_resource"),
        ("<x:id xmlns:x='urn:x' value='p'/>", "not_a_resource"),
        ("<id value='p' dose='2'/>", "not_a_resource"),
        ("<id", "not_xml"),
        ("<a>" * 120 + "</a>" * 120, "too_deep"),
    ],
    ids=["text", "namespace", "attribute", "cut off", "deep"],
)
def test_what_would_be_lost_is_put_aside(inside: str, reason: str) -> None:
    data = f"<Patient {XMLNS}>{inside}</Patient>".encode()
    found, bad = parse_file(data, "f.xml", tenant="t", site="s", retrieved=NOW)
    assert not found and [b.reason for b in bad] == [reason] and bad[0].content


def test_an_entity_is_refused() -> None:
    data = f'<!DOCTYPE Patient [<!ENTITY x "y">]><Patient {XMLNS}><id value="&x;"/></Patient>'.encode()
    found, bad = parse_file(data, "f.xml", tenant="t", site="s", retrieved=NOW)
    assert not found and [b.reason for b in bad] == ["unsafe_xml"]


def test_one_bad_entry_costs_itself_only() -> None:
    data = (
        f'<Bundle {XMLNS}><entry><resource><Patient><id value="p"/>words</Patient></resource></entry><entry><link/></entry>'
        f'<entry><request><method value="DELETE"/></request></entry><entry><resource><OperationOutcome/></resource></entry>'
        f'<entry><resource><Patient><id value="q"/></Patient></resource></entry></Bundle>'
    ).encode()
    found, bad = parse_file(data, "f.xml", tenant="t", site="s", retrieved=NOW)
    assert [r.resource_id for r in found] == ["q"]
    assert [(b.source, b.reason) for b in bad] == [
        ("f.xml#entry[0]", "not_a_resource"),
        ("f.xml#entry[1]", "not_a_resource"),
        ("f.xml#entry[3]", "operation_outcome"),
    ]


# Real files ----------------------------------------------------------------------------------------------------------

corpus = [
    pytest.mark.corpus,
    pytest.mark.skipif(not CORPUS.exists(), reason="the corpus ../shared/data is absent"),
]


@pytest.mark.parametrize("folder", [pytest.param("fhir-dstu2", marks=corpus), pytest.param("fhir-r5", marks=corpus)])
def test_real_xml_is_read_whole(folder: str) -> None:
    paths = sorted((CORPUS / folder).rglob("*.xml"))
    assert len(paths) >= 9
    for path in paths:
        data = path.read_bytes()
        found = read(data)
        assert len(found) == max(data.count(b"<resource>"), 1)
        made = normalize(found)
        assert made.ledger.balanced and not made.quarantine
        assert not [f for e in made.entries for f in e.flags if f.code == "tolerated" and f.detail != "id"], path.name


@pytest.mark.parametrize("folder", [pytest.param("fhir-dstu2", marks=corpus), pytest.param("fhir-r5", marks=corpus)])
def test_real_json_says_the_same_in_xml(folder: str) -> None:
    """Remarks on JSON's own slips (a number as text) are left out: XML cannot make them. Drafts of R5 mix releases, so the
    resources tell themselves what they are."""
    compared = 0
    for path in sorted((CORPUS / folder).rglob("*.json")):
        document = loads(path.read_bytes())
        if document["resourceType"] in ("OperationOutcome", "Parameters", "List"):
            continue
        for number, entry in enumerate(document.get("entry", ())):  # an id made of the content would tell the two apart
            entry["resource"] = {"id": f"n{number}"} | entry["resource"]
        in_json, in_xml = read(dumps(document), path.name), read(to_xml(document))
        if folder == "fhir-dstu2":
            in_json = [msgspec.structs.replace(r, fhir_version="DSTU2") for r in in_json]
        one, other = without_slips(in_xml), without_slips(in_json)
        assert one == other, path.name
        compared += len(one)
    assert compared > (500 if folder == "fhir-dstu2" else 10)


def without_slips(raws: list[RawResource]) -> list[Json]:
    made = entries(raws)
    return [e | {"flags": [f for f in e.get("flags", ()) if f["code"] != "tolerated"]} for e in made]
