"""Encounters: every spelling of class, telehealth however it is coded, lengths, dispositions."""

from __future__ import annotations

import pytest
from normalizer_kit import Json, cc, flags, one, quantity, resource

from models.record import Encounter

CPT, POS = (
    "http://www.ama-assn.org/go/cpt",
    "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set",
)
V2, LOCAL = "http://terminology.hl7.org/CodeSystem/v2-0004", "urn:oid:1.2.840.114350.1.72.1.7"


def encounter(**fields: object) -> Encounter:
    made: Json = {
        "status": "finished",
        "class": {"code": "AMB"},
        "type": [cc("185349003", "Check up")],
        "period": {"start": "2024-01-05T09:00:00Z", "end": "2024-01-05T09:45:00Z"},
    }
    found: Encounter = one(resource("Encounter", **(made | fields)))
    return found


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"system": V2, "code": "E"}, "EMER"),
        ({"system": V2, "code": "I"}, "IMP"),
        ({"system": V2, "code": "O"}, "AMB"),
        ({"code": "E"}, "EMER"),
        ({"system": LOCAL, "code": "R", "display": "Refill"}, "R"),  # a site's own letter
        ({"system": LOCAL, "code": "13", "display": "Emergency Department"}, "EMER"),
        ({"system": LOCAL, "code": "13", "display": "Support OP Encounter"}, "13"),
        ({"code": "emer"}, "EMER"),
        ({"code": "IMP", "display": "ambulatory"}, "IMP"),
        ({"display": "Inpatient Encounter"}, "IMP"),
        ({"coding": [{"system": LOCAL, "code": "7"}, {"code": "OBSENC"}]}, "OBSENC"),
        ({"code": "telehealth"}, "VR"),
        ({}, ""),
    ],
)
def test_every_spelling_of_a_class(sent: Json, read: str) -> None:
    assert encounter(**{"class": sent}).encounter_class == read


@pytest.mark.parametrize(
    ("fields", "remote"),
    [
        ({"type": [cc("99213-95", system=CPT)]}, True),
        ({"type": [cc("98008", system=CPT)]}, True),
        ({"class": {"code": "VR"}}, True),
        ({"type": [cc("99213-GT", system=CPT)]}, True),
        ({"type": [{"coding": [{"system": CPT, "code": "99213"}, {"system": CPT, "code": "95"}]}]}, True),
        ({"type": [cc("GT", system="https://www.cms.gov/hcpcs-modifiers")]}, True),
        ({"type": [{"coding": [{"system": CPT, "code": "99213"}, {"system": CPT, "code": "25"}]}]}, False),
        ({"type": [cc("95", system=LOCAL)]}, False),  # a site's own 95 is no modifier
        ({"type": [cc("02", system=POS)]}, True),
        ({"serviceType": cc("10", system=POS)}, True),
        ({"type": [cc("G2012", system="http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets")]}, True),
        ({"type": [cc("10", system=POS)]}, True),
        ({"type": [cc("", "Telephone")]}, True),
        ({"type": [cc("", "Audio-only follow up")]}, True),
        ({"serviceType": cc("", "Telepsychiatry")}, True),
        (
            {"extension": [{"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.virtualService"}]},
            True,
        ),
        ({"type": [cc("99213", system=CPT)]}, False),
        ({"type": [cc("11", system=POS)]}, False),
        ({"type": [cc("10", system=LOCAL)]}, False),  # a site's own 10 is no place of service
        ({"type": [cc("", "Virtual colonoscopy")]}, False),
        ({"type": [cc("", "In-person visit (not telehealth)")]}, False),
        ({"type": [cc("", "Telemetry unit stay")]}, False),
        ({"class": {"system": LOCAL, "code": "13"}}, None),
    ],
)
def test_telehealth_however_it_is_coded(fields: Json, remote: bool | None) -> None:
    assert encounter(**fields).telehealth is remote


@pytest.mark.parametrize(
    ("fields", "hours", "days"),
    [
        ({}, 0.75, 0),
        ({"class": {"code": "IMP"}, "period": {"start": "2024-01-05", "end": "2024-01-09"}}, None, 4),
        ({"period": {"start": "2024-01-05T23:00:00-05:00", "end": "2024-01-06T01:00:00-05:00"}}, 2.0, 1),
        ({"period": {"start": "2024-01-05"}, "length": quantity(90, "min")}, 1.5, None),
        ({"period": {"start": "2024-01-05"}, "length": quantity(2, "d")}, 48.0, None),
        ({"period": {"start": "2024-01-05"}, "length": quantity(2, "furlong")}, None, None),
        ({"period": {"start": "2024-01-05T10:00:00Z", "end": "2024-01-05T09:00:00Z"}}, None, 0),
        ({"period": {"start": "2024-01", "end": "2024-02-03"}}, None, None),
    ],
)
def test_lengths(fields: Json, hours: float | None, days: int | None) -> None:
    made = encounter(**fields)
    assert (made.length_hours, made.length_days) == (hours, days)


@pytest.mark.parametrize(
    ("fields", "flagged"),
    [
        ({"class": {"code": "EMER"}, "period": {"start": "2024-01-01T00:00:00Z", "end": "2024-03-01T00:00:00Z"}}, "implausible_value"),
        ({"period": {"start": "2023-01-01T00:00:00Z", "end": "2024-03-01T00:00:00Z"}}, "implausible_value"),
        ({"class": {"code": "IMP"}, "period": {"start": "2004-01-01T00:00:00Z", "end": "2024-03-01T00:00:00Z"}}, "implausible_value"),
        ({"period": {"start": "2024-01-05"}, "length": quantity(-2, "h")}, "implausible_value"),
        ({"period": {"start": "2024-01-05T10:00:00Z", "end": "2024-01-05T09:00:00Z"}}, "status_conflict"),
        ({"class": {"code": "EMER"}, "period": {"start": "2024-01-01T00:00:00Z", "end": "2024-01-04T00:00:00Z"}}, ""),  # boarding
        ({"class": {"code": "IMP"}, "period": {"start": "2023-01-01T00:00:00Z", "end": "2024-01-04T00:00:00Z"}}, ""),  # long-term care
    ],
)  # fmt: skip
def test_absurd_lengths_are_remarked(fields: Json, flagged: str) -> None:
    made = encounter(**fields)
    assert (flags(made) & {"implausible_value", "status_conflict"}) == ({flagged} if flagged else set())


NUBC, FHIR = "http://www.nubc.org/patient-discharge", "http://terminology.hl7.org/CodeSystem/discharge-disposition"


@pytest.mark.parametrize(
    ("sent", "words", "code"),
    [
        (cc("01", system=NUBC, display="Discharged to home"), "Discharged to home", "home"),
        (cc("1", system=NUBC), "home", "home"),
        (cc("20", system=NUBC), "died", "exp"),
        (cc("03", system="https://www.nubc.org/CodeSystem/PatDischargeStatus"), "skilled nursing facility", "snf"),
        (cc("07", system="http://terminology.hl7.org/CodeSystem/v2-0112"), "left against advice", "aadvice"),
        (cc("51", system=NUBC), "hospice", "hosp"),
        (cc("hosp", system=FHIR), "hospice", "hosp"),
        (cc("rehab", "Rehab unit", FHIR), "Rehab unit", "rehab"),
        (cc("30", system=NUBC), "30", ""),  # still a patient
        (cc("20", "Ward 20", LOCAL), "Ward 20", ""),  # a site's own 20 is nobody's death
        (cc("", "Home with family"), "Home with family", ""),
    ],
)
def test_dispositions_in_words_and_as_code(sent: Json, words: str, code: str) -> None:
    made = encounter(hospitalization={"dischargeDisposition": sent})
    assert (made.disposition, made.disposition_code) == (words, code)
