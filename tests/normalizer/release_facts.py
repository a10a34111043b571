"""The same facts written in R4, DSTU2 and R5: one tiny fixture for each difference that the record reads.

FACTS: R4 type -> (base, parts). A part is what is added to the base of each release to say one thing more. `same` stands
where a release writes it as R4 does, `unsaid` where it has no way to say it. Everything here is invented.
"""

from __future__ import annotations

from typing import Any

from normalizer_kit import RXNORM, Json, cc, quantity

same: Any = object()
unsaid: Any = None
RELEASES = ("R4", "DSTU2", "R5")
P = {"reference": "Patient/p"}
DOC = {"reference": "Practitioner/d", "display": "Dr. Dee"}
VISIT = {"reference": "Encounter/v"}
CLINICAL, VERIFIED = "http://terminology.hl7.org/CodeSystem/condition-clinical", "http://terminology.hl7.org/CodeSystem/condition-ver-status"  # fmt: skip
A_CLINICAL, A_VERIFIED = CLINICAL.replace("condition", "allergyintolerance"), VERIFIED.replace("condition-ver-status", "allergyintolerance-verification")  # fmt: skip
ACT, FUNCTION = "http://terminology.hl7.org/CodeSystem/v3-ActCode", "http://terminology.hl7.org/CodeSystem/provenance-participant-type"  # fmt: skip
DRUG, WORDS = cc("860975", "metformin 500 mg tablet", RXNORM), [{"text": "as told by phone"}]
SPAN = {"start": "2024-01-02T08:00:00Z", "end": "2024-01-02T09:30:00Z"}


def by(code: str) -> Json:
    """A participant of R5's conditions and allergies."""
    return {"participant": [{"function": cc(code, system=FUNCTION), "actor": DOC}]}


def plain(*codes: str, name: str, system: str) -> list[tuple[str, Json, Json, Any]]:
    """A CodeableConcept of R4 that is a plain code in DSTU2."""
    return [(f"{name}={c}", {name: cc(c, system=system)}, {name: c}, same) for c in codes]


def status(r4: str, dstu2: Any = same, r5: Any = same) -> tuple[str, Json, Any, Any]:
    """A status and its other names."""
    old, new = ({"status": s} if isinstance(s, str) else s for s in (dstu2, r5))
    return (f"status={r4}", {"status": r4}, old, new)


def allergy(old: str, clinical: str, verified: str = "") -> tuple[str, Json, Json, Any]:
    """DSTU2's one status and R4's two."""
    said: Json = {"clinicalStatus": cc(clinical, system=A_CLINICAL)} if clinical else {}
    said |= {"verificationStatus": cc(verified, system=A_VERIFIED)} if verified else {}
    return (f"status={old}", said, {"status": old}, same)


def dosage(r4: Json, dstu2: Any, r5: Any) -> tuple[Any, Any, Any]:
    return tuple(d if d is same or d is unsaid else {"dosageInstruction": [d]} for d in (r4, dstu2, r5))  # type: ignore[return-value]


Parts = list[tuple[str, Json, Any, Any]]
FACTS: dict[str, tuple[dict[str, Json], Parts]] = {}

FACTS["Condition"] = (
    {
        "R4": {"resourceType": "Condition", "subject": P, "code": cc("195967001", "Asthma")},
        "DSTU2": {"resourceType": "Condition", "patient": P, "code": cc("195967001", "Asthma")},
        "R5": {"resourceType": "Condition", "subject": P, "code": cc("195967001", "Asthma"), "clinicalStatus": cc()},
    },
    [
        *plain("active", "relapse", "remission", "resolved", name="clinicalStatus", system=CLINICAL),
        *plain("provisional", "differential", "confirmed", "refuted", "entered-in-error", name="verificationStatus", system=VERIFIED),
        ("recorded", {"recordedDate": "2020-05-01"}, {"dateRecorded": "2020-05-01"}, same),
        ("onset age", {"onsetAge": quantity(12, "a")}, {"onsetQuantity": quantity(12, "a")}, same),
        ("onset", {"onsetDateTime": "2019-03"}, same, same),
        ("abatement age", {"abatementAge": quantity(40, "a")}, {"abatementQuantity": quantity(40, "a")}, same),
        ("note", {"note": WORDS}, {"notes": WORDS[0]["text"]}, same),
        ("category", {"category": [cc("problem-list-item", system="x")]}, {"category": cc("problem", system="x")}, same),
        ("category", {"category": [cc("encounter-diagnosis", system="x")]}, {"category": cc("diagnosis", system="x")}, same),
        ("asserter", {"asserter": DOC}, same, by("informant")),
        ("recorder", {"recorder": DOC}, unsaid, by("author")),
    ],
)  # fmt: skip

FACTS["AllergyIntolerance"] = (
    {r: {"resourceType": "AllergyIntolerance", "patient": P} for r in RELEASES},
    [
        ("substance", {"code": cc("7980", "Penicillin", RXNORM)}, {"substance": cc("7980", "Penicillin", RXNORM)}, same),
        allergy("active", "active"), allergy("unconfirmed", "active", "unconfirmed"), allergy("confirmed", "active", "confirmed"),
        allergy("inactive", "inactive"), allergy("resolved", "resolved"), allergy("refuted", "inactive", "refuted"),
        allergy("entered-in-error", "", "entered-in-error"),
        ("high", {"criticality": "high"}, {"criticality": "CRITH"}, same),
        ("low", {"criticality": "low"}, {"criticality": "CRITL"}, same),
        ("unknown risk", {"criticality": "unable-to-assess"}, {"criticality": "CRITU"}, same),
        ("category", {"category": ["food"]}, {"category": "food"}, same),
        ("type", {"type": "allergy"}, same, {"type": cc("allergy", system="x")}),
        ("onset", {"onsetDateTime": "2011"}, {"onset": "2011"}, same),
        ("note", {"note": WORDS}, {"note": WORDS[0]}, same),
        ("recorder", {"recorder": DOC}, same, by("enterer")),
        ("reaction", {"reaction": [{"manifestation": [cc("247472004", "Hives")], "severity": "mild", "onset": "2012-02-03"}]}, same,
         {"reaction": [{"manifestation": [{"concept": cc("247472004", "Hives")}], "severity": "mild", "onset": "2012-02-03"}]}),
    ],
)  # fmt: skip

_ORDER = {"intent": "order"}
FACTS["MedicationRequest"] = (
    {
        "R4": {"resourceType": "MedicationRequest", "subject": P, **_ORDER},
        "DSTU2": {"resourceType": "MedicationOrder", "patient": P},
        "R5": {"resourceType": "MedicationRequest", "subject": P, **_ORDER},
    },
    [
        ("drug", {"medicationCodeableConcept": DRUG}, same, {"medication": {"concept": DRUG}}),
        ("drug elsewhere", {"medicationReference": {"reference": "Medication/m", "display": "metformin"}}, same,
         {"medication": {"reference": {"reference": "Medication/m", "display": "metformin"}}}),
        *(status(s) for s in ("active", "on-hold", "stopped", "draft", "entered-in-error", "cancelled")),
        status("completed", same, "ended"),
        ("written", {"authoredOn": "2024-05-01"}, {"dateWritten": "2024-05-01"}, same),
        ("requester", {"requester": DOC}, {"prescriber": DOC}, same),
        ("reason", {"reasonCode": [cc("44054006", "Diabetes")]}, {"reasonCodeableConcept": cc("44054006", "Diabetes")},
         {"reason": [{"concept": cc("44054006", "Diabetes")}]}),
        ("why it ended", {"statusReason": cc("1", "Rash")}, {"reasonEnded": cc("1", "Rash")}, same),
        ("note", {"note": WORDS}, {"note": WORDS[0]["text"]}, same),
        ("ended", {"dosageInstruction": [{"text": "1", "timing": {"repeat": {"boundsPeriod": {"end": "2024-06-01"}}}}]},
         {"dosageInstruction": [{"text": "1"}], "dateEnded": "2024-06-01"}, {"dosageInstruction": [{"text": "1"}], "effectiveDosePeriod": {"end": "2024-06-01"}}),
        ("frequency", *dosage({"timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}},
                              {"timing": {"repeat": {"frequency": 2, "period": 1, "periodUnits": "d"}}}, same)),
        ("dose", *dosage({"doseAndRate": [{"doseQuantity": quantity(500, "mg")}]}, {"doseQuantity": quantity(500, "mg")}, same)),
        ("dose range", *dosage({"doseAndRate": [{"doseRange": {"low": quantity(1, "mg"), "high": quantity(2, "mg")}}]},
                               {"doseRange": {"low": quantity(1, "mg"), "high": quantity(2, "mg")}}, same)),
        ("as needed", *dosage({"text": "prn", "asNeededBoolean": True}, same, {"text": "prn", "asNeeded": True})),
        ("as needed for", *dosage({"text": "prn", "asNeededCodeableConcept": cc("1", "pain")}, same, {"text": "prn", "asNeededFor": [cc("1", "pain")]})),
        ("bounds", *dosage({"text": "1", "timing": {"repeat": {"boundsPeriod": {"start": "2024-01-01", "end": "2024-01-09"}}}}, same, same)),
        ("supply", {"dispenseRequest": {"numberOfRepeatsAllowed": 3, "quantity": quantity(90), "expectedSupplyDuration": quantity(30, "d")}}, same, same),
        ("reported", {"reportedBoolean": True}, unsaid, {"reported": True}),
        ("reported by", {"reportedReference": P}, unsaid, {"informationSource": [P]}),
        ("not to be given", {"doNotPerform": True}, unsaid, same),
    ],
)  # fmt: skip

FACTS["MedicationStatement"] = (
    {
        "R4": {"resourceType": "MedicationStatement", "subject": P},
        "DSTU2": {"resourceType": "MedicationStatement", "patient": P},
        "R5": {"resourceType": "MedicationStatement", "subject": P},
    },
    [
        ("drug", {"medicationCodeableConcept": DRUG}, same, {"medication": {"concept": DRUG}}),
        status("active", same, {"status": "recorded", "adherence": {"code": cc("taking-as-directed", system="x")}}),
        status("not-taken", {"status": "active", "wasNotTaken": True}, {"status": "recorded", "adherence": {"code": cc("not-taking", system="x")}}),
        status("stopped", unsaid, {"status": "recorded", "adherence": {"code": cc("stopped-not-as-directed", system="x")}}),
        status("on-hold", unsaid, {"status": "recorded", "adherence": {"code": cc("on-hold", system="x")}}),
        status("unknown", {"status": "active", "wasNotTaken": "perhaps"}, {"status": "recorded"}),
        status("entered-in-error", {"status": "entered-in-error", "wasNotTaken": True}, same),
        status("completed", {"status": "completed", "wasNotTaken": False}, same),
        ("why not", {"statusReason": [cc("1", "Nausea")]}, {"reasonNotTaken": [cc("1", "Nausea")]}, {"adherence": {"reason": cc("1", "Nausea")}}),
        ("reason", {"reasonCode": [cc("2", "Pain")]}, {"reasonForUseCodeableConcept": cc("2", "Pain")}, {"reason": [{"concept": cc("2", "Pain")}]}),
        ("note", {"note": WORDS}, {"note": WORDS[0]["text"]}, same),
        ("asserted", {"dateAsserted": "2024-02-01"}, same, same),
        ("taken since", {"effectivePeriod": {"start": "2023"}}, same, same),
        ("dose", {"dosage": [{"doseAndRate": [{"doseQuantity": quantity(2, "mg")}]}]}, {"dosage": [{"quantityQuantity": quantity(2, "mg")}]}, same),
    ],
)  # fmt: skip

FACTS["Observation"] = (
    {r: {"resourceType": "Observation", "subject": P, "status": "final", "code": cc("4548-4", "A1c", "http://loinc.org")} for r in RELEASES},
    [
        ("value", {"valueQuantity": quantity(7.1, "%")}, same, same),
        ("time", {"effectiveDateTime": "2024-03-01"}, same, same),
        ("comment", {"note": WORDS}, {"comments": WORDS[0]["text"]}, same),
        ("category", {"category": [cc("laboratory", system="x")]}, {"category": cc("laboratory", system="x")}, same),
        ("high", {"interpretation": [cc("H", system="x")]}, {"interpretation": cc("H", system="x")}, same),
        ("members", {"hasMember": [{"reference": "Observation/2"}]},
         {"related": [{"type": "has-member", "target": {"reference": "Observation/2"}}, {"type": "replaces", "target": {"reference": "Observation/3"}}]}, same),
        ("visit", {"encounter": VISIT}, same, same),
    ],
)  # fmt: skip

FACTS["Encounter"] = (
    {
        "R4": {"resourceType": "Encounter", "subject": P, "status": "finished"},
        "DSTU2": {"resourceType": "Encounter", "patient": P, "status": "finished"},
        "R5": {"resourceType": "Encounter", "subject": P, "status": "completed"},
    },
    [
        *((f"class={new}", {"class": {"system": ACT, "code": new}}, {"class": old}, {"class": [cc(new, system=ACT)]})
          for old, new in (("inpatient", "IMP"), ("ambulatory", "AMB"), ("outpatient", "AMB"), ("emergency", "EMER"), ("home", "HH"),
                           ("virtual", "VR"), ("field", "FLD"), ("daytime", "SS"))),
        status("in-progress"), status("planned"), status("entered-in-error"),
        status("onleave", same, "on-hold"), status("finished", same, "discharged"), status("cancelled"),
        ("period", {"period": SPAN}, same, {"actualPeriod": SPAN}),
        ("reason", {"reasonCode": [cc("49727002", "Cough")]}, {"reason": [cc("49727002", "Cough")]}, {"reason": [{"value": [{"concept": cc("49727002", "Cough")}]}]}),
        ("discharge diagnosis", {"diagnosis": [{"condition": {"reference": "Condition/1"}, "use": {"coding": [{"code": "DD", "display": "Discharge diagnosis"}]}}]},
         {"hospitalization": {"dischargeDiagnosis": [{"reference": "Condition/1"}]}},
         {"diagnosis": [{"condition": [{"reference": {"reference": "Condition/1"}}], "use": [{"coding": [{"code": "DD", "display": "Discharge diagnosis"}]}]}]}),
        ("disposition", {"hospitalization": {"dischargeDisposition": cc("home", "Home")}}, same, {"admission": {"dischargeDisposition": cc("home", "Home")}}),
        ("who", {"participant": [{"individual": DOC}]}, same, {"participant": [{"actor": DOC}]}),
        ("where", {"location": [{"location": {"reference": "Location/w", "display": "Ward"}}]}, same, same),
    ],
)  # fmt: skip

FACTS["Immunization"] = (
    {r: {"resourceType": "Immunization", "patient": P, "status": "completed", "vaccineCode": cc("140", "Influenza", "http://hl7.org/fhir/sid/cvx")} for r in RELEASES},
    [
        ("given", {"occurrenceDateTime": "2023-10-01"}, {"date": "2023-10-01", "wasNotGiven": False}, same),
        status("not-done", {"status": "completed", "wasNotGiven": True}),
        status("unknown", {"status": "completed", "wasNotGiven": "?"}),
        status("entered-in-error", {"status": "entered-in-error", "wasNotGiven": True}),
        ("why not", {"statusReason": cc("PATOBJ", "Refused")}, {"explanation": {"reasonNotGiven": [cc("PATOBJ", "Refused")]}}, same),
        ("reported", {"primarySource": False}, {"reported": True}, same),
        ("by us", {"primarySource": True}, {"reported": False}, same),
        ("by whom", {"performer": [{"actor": DOC}]}, {"performer": DOC}, same),
        ("dose", {"protocolApplied": [{"doseNumberPositiveInt": 2}]}, {"vaccinationProtocol": [{"doseSequence": 2}]}, {"protocolApplied": [{"doseNumber": "2"}]}),
        ("note", {"note": WORDS}, same, same),
    ],
)  # fmt: skip

FACTS["Procedure"] = (
    {r: {"resourceType": "Procedure", "subject": P, "status": "completed", "code": cc("73761001", "Colonoscopy")} for r in RELEASES},
    [
        ("when", {"performedDateTime": "2022-04-05"}, same, {"occurrenceDateTime": "2022-04-05"}),
        ("from when", {"performedPeriod": SPAN}, same, {"occurrencePeriod": SPAN}),
        ("about when", {"performedString": "last spring"}, unsaid, {"occurrenceString": "last spring"}),
        ("at what age", {"performedAge": quantity(40, "a")}, unsaid, {"occurrenceAge": quantity(40, "a")}),
        status("not-done", {"status": "completed", "notPerformed": True}),
        status("unknown", {"status": "completed", "notPerformed": 7}),
        status("stopped", "aborted"),
        ("why not", {"statusReason": cc("1", "Refused")}, {"reasonNotPerformed": [cc("1", "Refused")]}, same),
        ("reason", {"reasonCode": [cc("2", "Screening")]}, {"reasonCodeableConcept": cc("2", "Screening")}, {"reason": [{"concept": cc("2", "Screening")}]}),
        ("note", {"note": WORDS}, {"notes": WORDS}, same),
        ("who", {"performer": [{"actor": DOC}]}, same, same),
    ],
)  # fmt: skip

FACTS["DiagnosticReport"] = (
    {r: {"resourceType": "DiagnosticReport", "subject": P, "status": "final", "code": cc("24323-8", "CMP", "http://loinc.org")} for r in RELEASES},
    [
        ("diagnosis", {"conclusionCode": [cc("709044004", "CKD")]}, {"codedDiagnosis": [cc("709044004", "CKD")]}, same),
        ("by whom", {"performer": [DOC]}, {"performer": DOC}, same),
        ("category", {"category": [cc("LAB", "Laboratory")]}, {"category": cc("LAB", "Laboratory")}, same),
        ("results", {"result": [{"reference": "Observation/1"}]}, same, same),
        ("form", {"presentedForm": [{"contentType": "text/plain", "url": "Binary/1", "size": 9}]}, same,
         {"presentedForm": [{"contentType": "text/plain", "url": "Binary/1", "size": "9"}]}),
        ("issued", {"issued": "2024-01-02T03:04:05Z"}, same, same),
    ],
)  # fmt: skip

FACTS["CarePlan"] = (
    {
        "R4": {"resourceType": "CarePlan", "subject": P, "status": "active", "intent": "plan", "category": [cc("1", "Diet")]},
        "DSTU2": {"resourceType": "CarePlan", "subject": P, "status": "active", "category": [cc("1", "Diet")]},
        "R5": {"resourceType": "CarePlan", "subject": P, "status": "active", "intent": "plan", "category": [cc("1", "Diet")]},
    },
    [
        status("revoked", "cancelled"), status("completed"),
        ("proposal", {"status": "draft", "intent": "proposal"}, {"status": "proposed"}, same),
        ("addresses", {"addresses": [{"reference": "Condition/1", "display": "Diabetes"}]}, same,
         {"addresses": [{"reference": {"reference": "Condition/1", "display": "Diabetes"}}]}),
        ("addresses words", {"addresses": [{"display": "Obesity"}]}, same, {"addresses": [{"concept": {"text": "Obesity"}}]}),
        ("activity", {"activity": [{"detail": {"code": cc("2", "Walk"), "status": "scheduled"}}]}, same, unsaid),
        ("not to do", {"activity": [{"detail": {"code": cc("3", "Run"), "doNotPerform": True}}]},
         {"activity": [{"detail": {"code": cc("3", "Run"), "prohibited": True}}]}, unsaid),
        ("activity elsewhere", {"activity": [{"reference": {"reference": "ServiceRequest/1", "display": "Dietician"}}]}, same,
         {"activity": [{"plannedActivityReference": {"reference": "ServiceRequest/1", "display": "Dietician"}}]}),
        ("activity done", {"activity": [{"outcomeCodeableConcept": [cc("4", "Weighed")]}]}, unsaid,
         {"activity": [{"performedActivity": [{"concept": cc("4", "Weighed")}]}]}),
        ("author", {"author": DOC}, {"author": [DOC]}, {"custodian": DOC}),
        ("note", {"note": WORDS}, {"note": WORDS[0]}, same),
        ("period", {"period": {"start": "2024"}}, same, same),
    ],
)  # fmt: skip

_TEXT = {"contentType": "text/plain", "data": "aGVsbG8="}
FACTS["DocumentReference"] = (
    {r: {"resourceType": "DocumentReference", "subject": P, "status": "current", "content": [{"attachment": _TEXT}]} for r in RELEASES},
    [
        ("date", {"date": "2024-01-02T03:04:05Z"}, {"indexed": "2024-01-02T03:04:05Z", "created": "2023-12-01"}, same),
        ("only created", {"date": "2023-12-01"}, {"created": "2023-12-01"}, same),
        ("category", {"category": [cc("clinical-note", "Clinical note")]}, {"class": cc("clinical-note", "Clinical note")}, same),
        ("type", {"type": cc("11506-3", "Progress note", "http://loinc.org")}, same, same),
        ("doc status", {"docStatus": "final"}, {"docStatus": cc("final", system="x")}, same),
        ("visit", {"context": {"encounter": [VISIT]}}, {"context": {"encounter": VISIT}}, {"context": [VISIT, {"reference": "EpisodeOfCare/1"}]}),
        ("about", {"context": {"period": SPAN}}, same, {"period": SPAN}),
        ("author", {"author": [DOC]}, same, same),
    ],
)  # fmt: skip

FACTS["Patient"] = (
    {r: {"resourceType": "Patient", "birthDate": "1958"} for r in RELEASES},
    [
        ("name", {"name": [{"family": "de Vries", "given": ["Ada"]}]}, {"name": [{"family": ["de", "Vries"], "given": ["Ada"]}]}, same),
        ("doctor", {"generalPractitioner": [DOC]}, {"careProvider": [DOC]}, same),
        ("race", {"extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race", "extension": [{"url": "text", "valueString": "White"}]}]},
         {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/us-core-race", "valueCodeableConcept": cc("2106-3", "White")}]}, same),
        ("ethnicity", {"extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity", "extension": [{"url": "text", "valueString": "Not Hispanic"}]}]},
         {"extension": [{"url": "http://fhir.org/guides/argonaut/StructureDefinition/argo-ethnicity", "extension": [{"url": "text", "valueString": "Not Hispanic"}]}]}, same),
        ("sex at birth", {"extension": [{"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "valueCode": "F"}]},
         {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/us-core-birth-sex", "valueCodeableConcept": cc("F")}]}, same),
    ],
)  # fmt: skip


def written(kind: str, release: str, *parts: tuple[str, Json, Any, Any]) -> Json | None:
    """A resource in a release; None when the release cannot say one of the parts."""
    base, _ = FACTS[kind]
    made = {"id": "1"} | base[release]
    for part in parts:
        said = part[1 + RELEASES.index(release)]
        said = part[1] if said is same else said
        if said is unsaid:
            return None
        for name, value in said.items():
            made[name] = _joined(made.get(name), value)
    return {k: v for k, v in made.items() if v != {}}


def _joined(before: Any, value: Any) -> Any:
    """Objects are merged and dosages too; what else comes twice is the later."""
    if isinstance(before, dict) and isinstance(value, dict):
        return {k: _joined(before.get(k), value.get(k, before.get(k))) for k in before | value}
    if isinstance(before, list) and isinstance(value, list) and len(before) == len(value) == 1:
        return [_joined(before[0], value[0])] if {"text", "timing"} & (before[0].keys() | value[0].keys()) else value
    return value
