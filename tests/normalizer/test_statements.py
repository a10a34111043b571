"""Problems, allergies and medications: what is current, what is over, what is an explicit negative."""

from __future__ import annotations

import pytest
from normalizer_kit import LOINC, RXNORM, SNOMED, Json, cc, condition, flags, one, order, quantity, resource

from adapters.normalizer import NormalizationRules


@pytest.mark.parametrize(
    ("clinical", "verified", "fields", "activity"),
    [
        ("active", "confirmed", {}, "active"),
        ("recurrence", "confirmed", {}, "active"),
        ("relapse", "", {}, "active"),
        ("active", "provisional", {}, "active"),
        ("active", "", {}, "active"),
        ("resolved", "confirmed", {}, "historical"),
        ("remission", "confirmed", {}, "historical"),
        ("inactive", "confirmed", {}, "historical"),
        ("active", "refuted", {}, "historical"),
        ("active", "entered-in-error", {}, "historical"),
        ("active", "differential", {}, "uncertain"),
        ("", "confirmed", {}, "uncertain"),
        ("", "confirmed", {"abatementDateTime": "2020"}, "historical"),
        ("", "confirmed", {"abatementString": "in childhood"}, "historical"),
        ("active", "confirmed", {"abatementDateTime": "2020"}, "uncertain"),
        ("active", "confirmed", {"abatementAge": quantity(12, "a")}, "uncertain"),
        ("active", "confirmed", {"abatementDateTime": "2030-01-01"}, "active"),
        ("ongoing", "confirmed", {}, "uncertain"),
    ],
)
def test_which_problems_are_current(clinical: str, verified: str, fields: Json, activity: str) -> None:
    made = one(condition(clinical=clinical, verified=verified, **fields))
    assert made.activity == activity, made.activity_reason
    assert made.activity_reason
    assert made.clinical_status == clinical and made.verification_status == verified


@pytest.mark.parametrize(
    ("text", "activity"),
    [("Pulmonary embolism ruled out", "historical"), ("R/O deep vein thrombosis", "uncertain"), ("Asthma", "active")],
)
def test_a_wording_that_excludes_a_diagnosis_keeps_it_from_being_active(text: str, activity: str) -> None:
    made = one(condition(text=text))
    assert made.activity == activity
    assert ("negated" in flags(made)) is (activity == "historical")


def test_refuted_and_taken_back_problems_stay_and_are_marked() -> None:
    assert "refuted" in flags(one(condition(verified="refuted")))
    wrong = one(condition(verified="entered-in-error", clinical=""))
    assert wrong.superseded and "missing_status" not in flags(wrong)


def test_fhirs_own_status_is_found_behind_a_local_one() -> None:
    local = {"coding": [{"system": SNOMED, "code": "73425007", "display": "Inactive"}, {"code": "resolved"}]}
    assert one(condition(clinicalStatus=local)).clinical_status in ("resolved", "inactive")
    assert (
        one(condition(clinicalStatus={"coding": [{"code": "413322009"}], "text": "Resolved"})).activity == "historical"
    )
    assert one(condition(clinicalStatus="resolved")).activity == "historical", "a plain code is read around"
    assert "tolerated" in flags(one(condition(clinicalStatus="resolved")))


@pytest.mark.parametrize(
    ("fields", "onset", "words"),
    [
        ({"onsetDateTime": "2019"}, "2019", ""),
        ({"onsetDateTime": "2019-03"}, "2019-03", ""),
        ({"onsetPeriod": {"start": "2018-05", "end": "2019"}}, "2018-05", ""),
        ({"onsetAge": quantity(12, "a")}, None, "age 12 years"),
        ({"onsetRange": {"low": quantity(10), "high": quantity(12)}}, None, "age 10 to 12 years"),
        ({"onsetString": "as a child"}, None, "as a child"),
        ({"onsetDateTime": "about 2010"}, None, "about 2010"),
        ({}, None, ""),
    ],
)
def test_an_onset_is_never_made_more_precise(fields: Json, onset: str | None, words: str) -> None:
    made = one(condition(**({"onsetDateTime": None} | fields)))
    assert (made.onset, made.onset_text) == (onset, words)
    assert ("missing_onset" in flags(made)) is (not fields)


def test_a_problem_list_item_is_not_hidden_by_another_category() -> None:
    both = [cc("sdoh", system="x"), cc("encounter-diagnosis", system="x"), cc("problem-list-item", system="x")]
    assert one(condition(category=both)).category == "problem-list-item"
    assert one(condition(category=both[:2])).category == "encounter-diagnosis"


def test_the_preferred_code_among_several_and_none_for_words_alone() -> None:
    codings = [
        {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "J45.909"},
        {"system": "2.16.840.1.113883.6.96", "code": "195967001"},
    ]
    made = one(condition(code={"coding": codings}))
    assert made.concept.target.system == SNOMED and len(made.concept.codings) == 2
    selected = [codings[0], codings[0] | {"code": "J45.20", "userSelected": True}]
    assert one(condition(code={"coding": selected})).concept.target.code == "J45.20"
    words = one(condition(code={"text": "Feels odd"}))
    assert words.concept.mapping.method == "unmapped" and "text_only" in flags(words)


@pytest.mark.parametrize(
    ("code", "none"),
    [(cc("160245001"), True), (cc("", "No known problems"), True), (cc("no-known-problems", system="http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"), True),
     (cc("1287211007", "No information available"), False), (cc("195967001", "Asthma"), False)],
)  # fmt: skip
def test_no_known_problems_is_a_state_of_its_own(code: Json, none: bool) -> None:
    assert one(condition(code=code)).none_asserted is none


def allergy(**fields: object) -> Json:
    made: Json = {
        "code": cc("91936005", "Penicillin"),
        "clinicalStatus": cc("active", system="x"),
        "verificationStatus": cc("confirmed", system="x"),
    }
    return resource("AllergyIntolerance", **(made | fields))


def test_an_allergy_with_its_reaction() -> None:
    reaction = {
        "manifestation": [cc("247472004", "Hives")],
        "severity": "severe",
        "onset": "2011",
        "description": "all over",
    }
    made = one(
        allergy(
            reaction=[reaction], criticality="high", type="allergy", category=["medication"], recordedDate="2012-05"
        )
    )
    assert made.activity == "active" and made.date == "2012-05" and made.criticality == "high"
    assert made.reactions[0].manifestations[0].display == "Hives" and made.reactions[0].onset == "2011"
    assert (made.type, made.categories) == ("allergy", ("medication",))


def test_an_allergy_without_status_is_kept_until_somebody_ends_it() -> None:
    made = one(allergy(clinicalStatus=None))
    assert made.activity == "uncertain" and "until a source says it is over" in made.activity_reason
    assert "missing_status" in flags(made)
    assert one(allergy(clinicalStatus=cc("resolved", system="x"))).activity == "historical"
    assert one(allergy(verificationStatus=cc("refuted", system="x"))).activity == "historical"


def test_an_allergy_coded_only_by_its_reaction_is_named() -> None:
    made = one(
        allergy(
            code=None, reaction=[{"substance": cc("7980", "Penicillin G", RXNORM), "manifestation": [cc("", "Rash")]}]
        )
    )
    assert made.concept.display == "Penicillin G" and made.concept.code_in(RXNORM) == "7980"
    assert "missing_code" in flags(one(allergy(code=None)))


@pytest.mark.parametrize("code", [cc("716186003"), cc("409137002"), cc("", "NKDA"), cc("", "No Known Allergies")])
def test_no_known_allergies_is_a_state_of_its_own(code: Json) -> None:
    made = one(allergy(code=code, clinicalStatus=None))
    assert made.none_asserted and "missing_status" not in flags(made)
    assert not one(allergy(code=cc("", "Allergies unknown"))).none_asserted


@pytest.mark.parametrize(
    ("fields", "activity"),
    [
        ({}, "active"),
        ({"status": "on-hold"}, "uncertain"),
        ({"status": "draft"}, "uncertain"),
        ({"status": None}, "uncertain"),
        ({"status": "ongoing"}, "uncertain"),
        ({"status": "stopped"}, "historical"),
        ({"status": "completed"}, "historical"),
        ({"status": "entered-in-error"}, "historical"),
        ({"doNotPerform": True}, "historical"),
        ({"authoredOn": "2019-05-01"}, "uncertain"),
        ({"authoredOn": None}, "active"),
        ({"intent": "proposal"}, "uncertain"),
        ({"intent": "plan", "reportedBoolean": True}, "active"),
        ({"dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"end": "2024-06-01"}}}}]}, "historical"),
        ({"dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"end": "2024-06-30"}}}}]}, "active"),
        ({"dosageInstruction": [{"timing": {"repeat": {"boundsPeriod": {"start": "2024-09-01"}}}}]}, "uncertain"),
        ({"dispenseRequest": {"validityPeriod": {"start": "2024-05-01", "end": "2024-05-31"}}}, "active"),
    ],
)
def test_which_medications_are_current(fields: Json, activity: str) -> None:
    made = one(order(**fields))
    assert made.activity == activity, made.activity_reason
    assert made.activity_reason


def test_an_old_active_order_says_that_nothing_supports_it() -> None:
    made = one(order(authoredOn="2019-05-01"))
    assert "stale_active" in flags(made)
    patient_site = NormalizationRules(stale_active_days=4000)
    assert one(order(authoredOn="2019-05-01"), rules=patient_site).activity == "active"


def test_a_taper_ends_with_its_last_step() -> None:
    def step(start: str, end: str | None) -> Json:
        return {
            "text": "taper",
            "timing": {"repeat": {"boundsPeriod": {"start": start} | ({"end": end} if end else {})}},
        }

    made = one(order(dosageInstruction=[step("2024-05-01", "2024-05-07"), step("2024-05-08", "2024-07-15")]))
    assert (made.start, made.end, made.activity) == ("2024-05-01", "2024-07-15", "active")
    open_end = one(order(dosageInstruction=[step("2024-05-01", "2024-05-07"), step("2024-05-08", None)]))
    assert (open_end.end, open_end.activity) == (None, "active")


def test_the_drug_is_found_contained_referenced_or_by_its_display() -> None:
    drug = {"resourceType": "Medication", "id": "m", "code": cc("860975", "metformin 500 mg", RXNORM)}
    no_code = {"medicationCodeableConcept": None}
    contained = one(order(**no_code, contained=[drug], medicationReference={"reference": "#m"}))
    referenced = one(
        order(**no_code, medicationReference={"reference": "https://ehr.example/fhir/Medication/m/_history/2"}), drug
    )
    for made in (contained, referenced):
        assert made.concept.code_in(RXNORM) == "860975" and not flags(made)
    lost = one(order(**no_code, medicationReference={"reference": "Medication/m", "display": "Metformin"}))
    assert lost.concept.display == "Metformin" and {"broken_reference", "text_only"} <= flags(lost)
    unnamed = one(order(**no_code))
    assert not unnamed.concept and "missing_code" in flags(unnamed)


def test_a_drug_without_code_is_named_by_its_ingredients() -> None:
    parts = [{"itemCodeableConcept": cc("", "codeine")}, {"itemReference": {"display": "paracetamol"}}]
    drug = {"resourceType": "Medication", "id": "m", "ingredient": parts}
    made = one(order(medicationCodeableConcept=None, medicationReference={"reference": "Medication/m"}), drug)
    assert made.concept.display == "codeine / paracetamol"


def test_supply_refills_indication_and_who_ordered() -> None:
    doctor = {"resourceType": "Practitioner", "id": "d", "name": [{"family": "Okafor", "given": ["Ada"]}]}
    dispense = {"numberOfRepeatsAllowed": 3, "quantity": quantity(60), "expectedSupplyDuration": quantity(1, "mo")}
    item = order(
        dispenseRequest=dispense,
        reasonCode=[cc("44054006", "Type 2 diabetes")],
        requester={"reference": "Practitioner/d"},
    )
    made = one(item, doctor)
    assert (made.refills, made.quantity.value, made.days_supply) == (3, 60, 30)
    assert made.reason[0].display == "Type 2 diabetes" and made.requester.name == "Ada Okafor"
    inside = one(item | {"contained": [doctor], "requester": {"reference": "#d"}})
    assert inside.requester.name == "Ada Okafor"


def test_no_current_medications_is_a_state_of_its_own_and_unknown_is_not() -> None:
    statement = resource(
        "MedicationStatement", status="active", medicationCodeableConcept=cc("787481004", "No known medications")
    )
    made = one(statement)
    assert made.none_asserted and made.reported
    assert not one(order(medicationCodeableConcept=cc("182904002", "Drug treatment unknown"))).none_asserted


def test_what_the_patient_reported_says_so() -> None:
    assert one(order(reportedBoolean=True)).origin.method == "patient_reported"
    assert one(order(reportedReference={"reference": "RelatedPerson/1"})).reported is True
    assert one(order()).reported is None and one(order()).origin.method == "structured"


def test_a_code_of_another_vocabulary_is_no_drug_code() -> None:
    made = one(order(medicationCodeableConcept=cc("4548-4", "A1c?", LOINC)))
    assert made.concept.code_in(RXNORM) is None and made.concept.codings[0].system == LOINC
