"""The built-in population: what must hold for every patient at every hospital, and what the cast is there to show."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections import defaultdict
from datetime import date, timedelta
from functools import cache

import orjson
import pytest
from fhir.resources.R4B import get_fhir_model_class

from service.practice_ehr.population import (
    CANARY_TOKENS,
    HOSPITALS,
    STAR_KEY,
    TODAY,
    canary,
    generate,
    hospital_key,
    hospital_resources,
)
from service.practice_ehr.population.body import age_on, ckd_epi_2021, creatinine_of

LOINC, SNOMED, ICD10, CVX, RXNORM = (
    "http://loinc.org",
    "http://snomed.info/sct",
    "http://hl7.org/fhir/sid/icd-10-cm",
    "http://hl7.org/fhir/sid/cvx",
    "http://www.nlm.nih.gov/research/umls/rxnorm",
)
MOMENT = re.compile(r"^\d{4}-\d\d-\d\d(T.*)?$")


@cache  # made when first asked for, and not in every worker that only collects
def people():
    return [*generate(), *generate(seed=11, patients=20)[12:], canary()]


@cache
def stays():
    return [(p, h) for p in people() for h in p.hospitals]


@cache
def records():
    return {(id(p), h): p.resources(h) for p, h in stays()}


def everything():
    """Every resource of every patient at every hospital."""
    return ((p, r) for p, h in stays() for r in records()[(id(p), h)])


def of(patient, kind, hospital=""):
    return [
        r
        for h in patient.hospitals
        if hospital in ("", h)
        for r in records()[(id(patient), h)]
        if r["resourceType"] == kind
    ]


def values(value, found=None):
    """(key, text) of every string in a resource."""
    found = [] if found is None else found
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, str):
                found.append((key, item))
            values(item, found)
    elif isinstance(value, list):
        for item in value:
            values(item, found)
    return found


def codings(value):
    """Every {system, code} in a resource."""
    if isinstance(value, dict):
        if {"system", "code"} <= value.keys():
            yield value
        for item in value.values():
            yield from codings(item)
    elif isinstance(value, list):
        for item in value:
            yield from codings(item)


def codes_of(resource, system, element="code"):
    return {c["code"] for c in codings(resource.get(element, {})) if c["system"] == system}


def status(resource):
    return codes_of(resource, "http://terminology.hl7.org/CodeSystem/condition-clinical", "clinicalStatus")


def texts(patient, hospital=""):
    """Every narrative, wherever it stands."""
    binaries = {r["id"]: r["data"] for r in of(patient, "Binary", hospital)}
    for resource in [*of(patient, "DiagnosticReport", hospital), *of(patient, "DocumentReference", hospital)]:
        attachments = [*resource.get("presentedForm", []), *(c["attachment"] for c in resource.get("content", []))]
        for attachment in attachments:
            data = attachment.get("data") or binaries[attachment["url"].removeprefix("Binary/")]
            yield base64.b64decode(data).decode()


DIGEST = """
import hashlib, orjson
from service.practice_ehr.population import HOSPITALS, canary, hospital_resources
rows = [hospital_resources(h, patients=14) for h in HOSPITALS] + [canary().resources("prairie")]
print(hashlib.sha256(orjson.dumps(rows)).hexdigest())
"""


# ---------------------------------------------------------------- the same for everybody


def test_the_same_seed_gives_the_same_bytes_in_every_process():
    """Hash order differs from process to process; nothing may depend on it."""
    digests = set()
    for seed, zone in (("1", "Asia/Kathmandu"), ("2", "America/Chicago")):
        env = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone}
        made = subprocess.run([sys.executable, "-c", DIGEST], env=env, capture_output=True, text=True, check=True)
        digests.add(made.stdout)
    assert len(digests) == 1 and len(digests.pop()) == 65


def test_more_people_change_nobody_and_another_seed_changes_measurements():
    few, many = generate(patients=15), generate(patients=24)
    assert [p.key for p in few] == [p.key for p in many[:15]]
    assert all(a.resources(h) == b.resources(h) for a, b in zip(few, many, strict=False) for h in a.hospitals)
    other = generate(seed=8, patients=1)[0]
    assert other.name == few[0].name and other.resources("lakeshore") != few[0].resources("lakeshore")
    assert generate(patients=0) == []
    with pytest.raises(ValueError, match="negative"):
        generate(patients=-1)


def test_another_today_moves_the_whole_population():
    earlier = generate(patients=8, today=date(2020, 2, 29))
    moments = [t[:10] for p in earlier for h in p.hospitals for r in p.resources(h) for _, t in values(_lived(r))]
    assert max(m for m in moments if MOMENT.match(m)) <= "2020-02-29"


def test_every_resource_is_valid_r4():
    for _, resource in everything():
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def _lived(resource):
    """A resource without what is meant for the future (how long a prescription is valid)."""
    return {k: v for k, v in resource.items() if k != "dispenseRequest"}


def test_nothing_happens_before_birth_or_after_today():
    for patient, resource in everything():
        if resource["resourceType"] in ("Organization", "Location", "Practitioner"):
            continue
        # One registration desk typed another birth date on purpose.
        born = min(patient.birth_date, *(date.fromisoformat(r["birthDate"]) for r in of(patient, "Patient")))
        for key, text in values(_lived(resource)):
            if MOMENT.match(text) and key != "value":
                assert born <= date.fromisoformat(text[:10]) <= TODAY, (resource["id"], key, text)


def test_what_ends_ends_after_it_began():
    for _, resource in everything():
        period = resource.get("period", {})
        if "end" in period:
            assert period["start"] < period["end"], resource["id"]
        if "abatementDateTime" in resource:
            assert resource["onsetDateTime"] <= resource["abatementDateTime"], resource["id"]
        if resource.get("issued") and resource.get("effectiveDateTime"):
            assert resource["effectiveDateTime"] <= resource["issued"], resource["id"]


def test_every_reference_resolves_within_the_hospital():
    for hospital in HOSPITALS:
        held = hospital_resources(hospital)
        known = {f"{r['resourceType']}/{r['id']}" for r in held}
        assert len(known) == len(held)
        for resource in held:
            for key, text in values(resource):
                if key == "reference" or (key == "url" and text.startswith("Binary/")):
                    assert text in known, (resource["id"], text)


def test_ids_and_record_numbers_differ_from_hospital_to_hospital():
    for patient in people():
        ids = [r["id"] for h in patient.hospitals for r in records()[(id(patient), h)]]
        assert len(set(ids)) == len(ids)
        assert len({patient.identifier(h) for h in patient.hospitals}) == len(patient.hospitals)
    numbers = [(h, p.identifier(h)) for p in generate(patients=40) for h in p.hospitals]
    assert len(set(numbers)) == len(numbers)


def test_codes_are_codes():
    """Check digits of LOINC and SNOMED CT, the list of ICD-10-CM, the form of the others; one display for one code."""
    import simple_icd_10_cm as icd  # reads 98,000 entries when it is imported

    displays = defaultdict(set)
    for _, resource in everything():
        for coding in codings(resource):
            system, code = coding["system"], coding["code"]
            displays[(system, code)].add(coding.get("display"))
            if system == LOINC and code[:2] not in ("LA", "LP"):
                assert _mod10(code), code
            elif system == SNOMED:
                assert _verhoeff(code), code
            elif system == ICD10:
                assert icd.is_valid_item(code) and icd.is_leaf(code), code
            elif system == CVX:
                assert re.fullmatch(r"\d{2,3}", code), code
            elif system == RXNORM:
                assert re.fullmatch(r"\d{4,7}", code), code
    assert len(displays) > 150
    assert not {key: d for key, d in displays.items() if key[0] in (SNOMED, ICD10, CVX, RXNORM) and len(d) > 1}


def _mod10(code):
    """https://loinc.org/kb/users-guide : the mod 10 check digit after the hyphen."""
    body, check = code.split("-")
    total = 0
    for index, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if index % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return -total % 10 == int(check)


MULTIPLY = [[(i + j) % 5 if i < 5 and j < 5 else 0 for j in range(10)] for i in range(10)]
for i in range(10):
    for j in range(10):
        a, b = (i % 5, i >= 5), (j % 5, j >= 5)  # the dihedral group of ten elements
        MULTIPLY[i][j] = ((a[0] - b[0]) if a[1] else (a[0] + b[0])) % 5 + 5 * (a[1] != b[1])
FIRST = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]
PERMUTE = [list(range(10)), FIRST]
while len(PERMUTE) < 8:
    PERMUTE.append([PERMUTE[-1][d] for d in FIRST])


def _verhoeff(code):
    """Verhoeff's check digit, the last one of every SNOMED CT identifier."""
    check = 0
    for index, digit in enumerate(reversed(code)):
        check = MULTIPLY[check][PERMUTE[index % 8][int(digit)]]
    return check == 0


def test_national_provider_identifiers_have_their_check_digit():
    numbers = {
        i["value"]
        for _, r in everything()
        if r["resourceType"] in ("Practitioner", "Organization")
        for i in r["identifier"]
    }
    assert len(numbers) == 12
    for number in numbers:
        digits = [int(d) for d in reversed(f"80840{number}")]
        assert sum(d if i % 2 == 0 else sum(divmod(2 * d, 10)) for i, d in enumerate(digits)) % 10 == 0


# ---------------------------------------------------------------- clinical coherence


def labs(patient, loinc, hospital=""):
    found = [o for o in of(patient, "Observation", hospital) if loinc in codes_of(o, LOINC) and o["status"] == "final"]
    return [
        (o["effectiveDateTime"], o["valueQuantity"]["value"])
        for o in sorted(found, key=lambda o: o["effectiveDateTime"])
    ]


def has(patient, snomed, hospital=""):
    return any(snomed in codes_of(c, SNOMED) and status(c) == {"active"} for c in of(patient, "Condition", hospital))


def test_numbers_are_those_of_living_people():
    limits = {
        "29463-7": (2, 160), "8302-2": (45, 205), "39156-5": (11, 55), "8867-4": (45, 180), "9279-1": (9, 45),
        "8310-5": (35.5, 38.5), "2708-6": (80, 100), "2823-3": (3.0, 6.4), "2951-2": (128, 150), "2160-0": (0.2, 5),
        "4548-4": (4.3, 13), "718-7": (7.5, 18.5), "2345-7": (55, 400), "3016-3": (0.1, 30), "44261-6": (0, 27),
    }  # fmt: skip
    seen = set()
    for patient in people():
        for loinc, (low, high) in limits.items():
            for _, value in labs(patient, loinc):
                seen.add(loinc)
                assert low <= value <= high, (patient.key, loinc, value)
        for panel in of(patient, "Observation"):
            parts = {next(iter(codes_of(c, LOINC))): c["valueQuantity"]["value"] for c in panel.get("component", [])}
            if parts:
                assert 60 < parts["8480-6"] < 210 and 30 < parts["8462-4"] < parts["8480-6"]
    assert seen == limits.keys()


def test_egfr_follows_from_creatinine_age_and_sex():
    assert round(ckd_epi_2021(1.0, 50, female=False)) == 92  # the calculator of the National Kidney Foundation
    assert round(ckd_epi_2021(1.0, 50, female=True)) == 69
    for gfr in (20, 45, 70, 95, 120):
        assert abs(ckd_epi_2021(creatinine_of(gfr, 60, True), 60, True) - gfr) < 0.01
    for patient in people():
        for hospital in patient.hospitals:
            creatinine = dict(labs(patient, "2160-0", hospital))
            for moment, value in labs(patient, "98979-8", hospital):
                age = age_on(patient.birth_date, date.fromisoformat(moment[:10]))
                wanted = ckd_epi_2021(creatinine[moment], age, patient.gender == "female")
                assert abs(value - wanted) <= 1.5, (patient.key, moment)


def test_diabetics_are_measured_and_treated_and_kidneys_get_worse():
    diabetics, kidneys = [], []
    for patient in people():
        if has(patient, "44054006"):
            diabetics.append(patient)
            a1c = labs(patient, "4548-4")
            assert a1c and max(v for _, v in a1c) >= 6.5, patient.key
            assert {"861007", "861004"} & {c for m in of(patient, "MedicationRequest") for c in codes_of(m, RXNORM, "medicationCodeableConcept")}  # fmt: skip
        home = max(patient.hospitals, key=lambda h: len(labs(patient, "98979-8", h)))
        egfr = [v for _, v in labs(patient, "98979-8", home)]
        if any(has(patient, c, home) for c in ("700378005", "700379002", "431857002")) and len(egfr) >= 6:
            kidneys.append(patient)
            assert sum(egfr[-3:]) / 3 < sum(egfr[:3]) / 3, (patient.key, egfr)
            assert egfr[-1] < 62
    assert len(diabetics) >= 6 and len(kidneys) >= 3


def test_treatment_moves_what_it_treats():
    """After a first statin LDL falls; thyroid hormone brings TSH down."""
    seen = 0
    for patient in people():
        for key, loinc in (("617310", "13457-7"), ("966221", "3016-3")):
            orders = sorted(
                m["authoredOn"]
                for m in of(patient, "MedicationRequest")
                if key in codes_of(m, RXNORM, "medicationCodeableConcept") and m["intent"] == "order"
            )
            series = labs(patient, loinc)
            before = [v for t, v in series if orders and t[:10] <= orders[0][:10]]
            after = [v for t, v in series if orders and t[:10] > orders[0][:10]]
            if before and after:
                seen += 1
                assert sum(after) / len(after) < before[-1], (patient.key, loinc)
    assert seen >= 8


def test_prescriptions_follow_each_other():
    """One active order for a drug at a hospital; a renewal comes when the earlier order runs out, not sooner."""
    chains = 0
    for patient, hospital in stays():
        orders = defaultdict(list)
        for order in of(patient, "MedicationRequest", hospital):
            if order["intent"] == "order":
                orders[next(iter(codes_of(order, RXNORM, "medicationCodeableConcept")))].append(order)
        for code, chain in orders.items():
            assert sum(o["status"] == "active" for o in chain) <= 1, (patient.key, hospital, code)
            days = [date.fromisoformat(o["authoredOn"][:10]) for o in chain]
            for earlier, order, later in zip(days, chain, days[1:], strict=False):
                chains += 1
                supply = order["dispenseRequest"]["expectedSupplyDuration"]["value"]
                repeats = order["dispenseRequest"]["numberOfRepeatsAllowed"]
                over = order["status"] == "stopped"
                assert later - earlier >= timedelta(days=0.9 * supply * (1 + repeats)) or over, (patient.key, code)
            # What a ward prescribed at discharge stays active though nobody renews it: that is a quirk on purpose.
            wards = {f"Encounter/{e['id']}" for e in of(patient, "Encounter", hospital) if e["class"]["code"] == "IMP"}
            on_a_ward = chain[-1].get("encounter", {}).get("reference") in wards
            if (
                chain[-1]["status"] == "active"
                and chain[-1]["dispenseRequest"]["numberOfRepeatsAllowed"]
                and not on_a_ward
            ):
                assert (TODAY - days[-1]).days <= 400, (patient.key, hospital, code)
    assert chains > 200


def test_doses_agree_with_the_drug_and_words_with_numbers():
    for patient, order in everything():
        if order["resourceType"] != "MedicationRequest":
            continue
        (dosage,) = order["dosageInstruction"]
        amount = dosage["doseAndRate"][0]["doseQuantity"]
        assert 0 < amount["value"] <= 1000 and dosage["text"]
        text = order["medicationCodeableConcept"]["text"]
        if text.endswith("mg tablet") and "prednisone" not in text:
            assert f"{amount['value']:g} mg" in text, (patient.key, text, amount)
        if date.fromisoformat(order["authoredOn"][:10]) < patient.birth_date + timedelta(days=12 * 365):
            assert re.search("amoxicillin|fluticasone|albuterol", text), (patient.key, text)


def test_pregnancy_is_of_women_of_that_age():
    pregnant = 0
    for patient in people():
        for condition in of(patient, "Condition"):
            if "72892002" in codes_of(condition, SNOMED):
                pregnant += 1
                began = date.fromisoformat(condition["onsetDateTime"])
                assert patient.gender == "female" and 15 <= age_on(patient.birth_date, began) <= 50
        if patient.gender == "male":
            done = {c for p in of(patient, "Procedure") for c in codes_of(p, SNOMED)}
            assert not done & {"24623002", "90226004", "177184002", "169230002"}, patient.key
    assert pregnant >= 1


def test_vaccines_are_given_at_their_age():
    ages = defaultdict(list)
    for patient in people():
        for shot in of(patient, "Immunization"):
            years = (date.fromisoformat(shot["occurrenceDateTime"][:10]) - patient.birth_date).days / 365.25
            ages[next(iter(codes_of(shot, CVX, "vaccineCode")))].append(years)
            assert ("statusReason" in shot) == (shot["status"] == "not-done")
            assert ("lotNumber" in shot) == (shot["status"] == "completed")
    for infant in ("20", "10", "48", "116", "03", "21", "83"):
        assert ages[infant] and max(ages[infant]) < 7
    assert min(ages["187"]) >= 50 and min(ages["216"]) >= 65 and min(ages["165"]) > 9 and max(ages["165"]) < 27
    assert min(ages["197"]) >= 65 > max(ages["150"])
    child = next(p for p in people() if p.key == "p03")
    given = [next(iter(codes_of(s, CVX, "vaccineCode"))) for s in of(child, "Immunization")]
    assert given.count("20") == 5 and given.count("03") == 2 and given.count("08") == 3


def test_children_grow():
    for key in ("p03", "p09"):
        child = next(p for p in people() if p.key == key)
        heights = [v for _, v in labs(child, "8302-2")]
        assert heights == sorted(heights) and heights[0] == 50 and heights[-1] > 100


def test_notes_tell_what_the_record_says():
    """A progress note holds the blood pressure and creatinine of its visit, and never a word of another person."""
    names = {p.family for p in people()}
    checked = 0
    for patient in people():
        creatinine = {f"{v:g}" for _, v in labs(patient, "2160-0")}
        for text in texts(patient):
            for other in names - {patient.family, *(patient.name_at(h)[1] for h in patient.hospitals)}:
                assert not re.search(rf"\b{other}\b", text), (patient.key, other)
            found = re.search(r"Creatinine ([\d.]+) mg/dL", text)
            if found:
                checked += 1
                assert found.group(1) in creatinine, (patient.key, text)
    assert checked > 100


def test_the_population_holds_every_kind_of_thing():
    kinds, classes, forms, categories = set(), set(), set(), set()
    for _, resource in everything():
        kinds.add(resource["resourceType"])
        classes.add(resource.get("class", {}).get("code"))
        forms |= {c["attachment"]["contentType"] for c in resource.get("content", [])}
        if resource["resourceType"] == "Observation":
            categories |= {c["code"] for c in codings(resource["category"])}
    assert kinds >= {
        "Patient", "Encounter", "Condition", "Observation", "MedicationRequest", "AllergyIntolerance", "Immunization",
        "Procedure", "DiagnosticReport", "DocumentReference", "Binary", "CarePlan", "Goal", "Provenance", "Practitioner",
        "Organization", "Location",
    }  # fmt: skip
    assert classes >= {"AMB", "VR", "IMP", "EMER"} and forms == {"text/plain", "text/html"}
    assert categories == {"vital-signs", "laboratory", "social-history", "survey"}
    reports = [r for _, r in everything() if r["resourceType"] == "DiagnosticReport"]
    assert any("result" in r for r in reports) and any("result" not in r and "presentedForm" in r for r in reports)
    for hospital in HOSPITALS:
        assert sum(r["resourceType"] == "Patient" for r in hospital_resources(hospital)) >= 7


# ---------------------------------------------------------------- the star, the contradictions, the canary


@pytest.fixture(scope="module")
def star():
    return people()[0]


def active(patient, hospital, ingredient):
    return [
        o
        for o in of(patient, "MedicationRequest", hospital)
        if o["status"] == "active" and ingredient in o["medicationCodeableConcept"]["text"]
    ]


def test_the_star_can_be_found_everywhere(star):
    assert star.key == STAR_KEY and star.hospitals == tuple(HOSPITALS)
    for hospital in HOSPITALS:
        (person,) = of(star, "Patient", hospital)
        assert person["birthDate"] == star.birth_date.isoformat() and person["id"] == star.patient_id(hospital)
        assert (person["identifier"][0]["system"], person["identifier"][0]["value"]) == star.identifier(hospital)
        assert (person["name"][0]["given"][0], person["name"][0]["family"]) == star.name_at(hospital)
    assert star.name_at("lakeshore") == ("Eleanor", "Whitfield") == (star.given, star.family)
    assert star.name_at("prairie") == ("Elinor", "Whitfeld")


def test_the_hospitals_disagree_about_the_star(star):
    assert active(star, "lakeshore", "lisinopril") and active(star, "prairie", "lisinopril")
    stopped = [
        o
        for o in of(star, "MedicationRequest", "river-valley")
        if "lisinopril" in o["medicationCodeableConcept"]["text"]
    ]
    assert [o["status"] for o in stopped] == ["stopped"]
    assert active(star, "prairie", "warfarin") and active(star, "river-valley", "apixaban")
    assert active(star, "lakeshore", "metformin 1000") and active(star, "river-valley", "metformin 500")
    allergens = {h: {a["code"]["text"] for a in of(star, "AllergyIntolerance", h)} for h in HOSPITALS}
    assert allergens == {
        "lakeshore": {"Penicillin"},
        "river-valley": {"No known allergy"},
        "prairie": {"Sulfonamide"},
    }
    assert has(star, "370143000", "prairie") and not has(star, "370143000", "lakeshore")
    here, there = dict(labs(star, "2823-3", "prairie")), dict(labs(star, "2823-3", "river-valley"))
    assert [t for t in here.keys() & there.keys() if here[t] != there[t]]


def test_the_star_shows_what_charts_hold(star):
    words = "\n".join(texts(star, "river-valley"))
    assert "7 mm" in words and "No pulmonary embolism" in words and "STOP lisinopril" in words
    assert not any("nodule" in c["code"].get("text", "") for c in of(star, "Condition"))
    assert any(e["class"]["code"] == "VR" for e in of(star, "Encounter", "lakeshore"))
    assert any(o["status"] == "entered-in-error" for o in of(star, "Observation", "river-valley"))
    assert any(p["status"] == "not-done" for p in of(star, "Procedure"))
    assert len(labs(star, "4548-4")) >= 15 and len(labs(star, "44261-6")) >= 3
    assert of(star, "Binary", "river-valley") and of(star, "CarePlan", "lakeshore") and of(star, "Provenance")


def test_others_disagree_too():
    cast = {p.key: p for p in people()[:12]}
    assert active(cast["p04"], "lakeshore", "lisinopril") and active(cast["p04"], "prairie", "losartan")
    lungs = cast["p05"]
    assert {a["code"]["text"] for a in of(lungs, "AllergyIntolerance")} == {"Penicillin", "No known allergy"}
    assert active(lungs, "lakeshore", "25 mg") and active(lungs, "river-valley", "metoprolol succinate 50 mg")
    heart = cast["p06"]
    assert active(heart, "river-valley", "warfarin") and active(heart, "prairie", "apixaban")
    assert len({p["birthDate"] for p in of(heart, "Patient")}) == 2
    mother = cast["p07"]
    assert has(mother, "195967001", "lakeshore") and not has(mother, "195967001", "river-valley")
    assert {p["name"][0]["family"] for p in of(mother, "Patient")} == {"Tran", "Nguyen"}
    assert not of(cast["p02"], "AllergyIntolerance")  # nobody asked


def test_the_canary_is_unmistakable_and_nobody_else_is(star):
    bird = people()[-1]
    assert bird.hospitals == tuple(HOSPITALS)
    mine = orjson.dumps([records()[(id(bird), h)] for h in HOSPITALS]).decode() + "\n".join(texts(bird))
    others = orjson.dumps([hospital_resources(h) for h in HOSPITALS]).decode()
    for token in CANARY_TOKENS:
        assert token in mine and token not in others, token
    for hospital in HOSPITALS:
        (person,) = of(bird, "Patient", hospital)
        known = [v for k, v in values(person) if k in ("family", "value", "birthDate", "id")]
        known += list(person["name"][0]["given"]) + person["address"][0]["line"] + [person["address"][0]["city"]]
        assert all(any(t in v for t in CANARY_TOKENS) for v in known), known


def test_a_hospital_goes_by_its_key_or_by_its_dress():
    assert hospital_key("prairie") == "prairie"
    assert {hospital_key(d) for d in ("epic", "oracle_health", "athenahealth")} == set(HOSPITALS)
    with pytest.raises(LookupError, match="no hospital"):
        hospital_resources("elsewhere")
    with pytest.raises(KeyError):
        people()[1].resources("prairie")
