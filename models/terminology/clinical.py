"""Small clinical vocabularies the normalizer needs: vital signs, explicit negatives, statuses, telehealth.

A seed of our own. LOINC codes: the FHIR vital-signs profile (https://hl7.org/fhir/R4/observation-vitalsigns.html) and
loinc.org. SNOMED CT codes: US Core and IPS "absent or unknown" value sets.
"""

from __future__ import annotations

import re

VITAL_LOINC: dict[str, str] = {
    "85353-1": "Vital signs panel",
    "9279-1": "Respiratory rate",
    "8867-4": "Heart rate",
    "2708-6": "Oxygen saturation",
    "59408-5": "Oxygen saturation by pulse oximetry",
    "8310-5": "Body temperature",
    "8331-1": "Oral temperature",
    "8302-2": "Body height",
    "8306-3": "Body height lying",
    "9843-4": "Head circumference",
    "8287-5": "Head circumference by tape measure",
    "29463-7": "Body weight",
    "3141-9": "Body weight measured",
    "39156-5": "Body mass index",
    "59576-9": "BMI percentile",
    "85354-9": "Blood pressure panel",
    "55284-4": "Blood pressure systolic and diastolic",
    "96607-7": "Blood pressure panel mean systolic and mean diastolic",
    "8480-6": "Systolic blood pressure",
    "8459-0": "Systolic blood pressure sitting",
    "8460-8": "Systolic blood pressure standing",
    "8461-6": "Systolic blood pressure supine",
    "96608-5": "Systolic blood pressure mean",
    "8462-4": "Diastolic blood pressure",
    "8453-3": "Diastolic blood pressure sitting",
    "8454-1": "Diastolic blood pressure standing",
    "8455-8": "Diastolic blood pressure supine",
    "96609-3": "Diastolic blood pressure mean",
    "8478-0": "Mean blood pressure",
    "3150-0": "Inhaled oxygen concentration",
    "3151-8": "Inhaled oxygen flow rate",
}
BP_PANEL = frozenset({"85354-9", "55284-4", "35094-2", "96607-7"})
SYSTOLIC, DIASTOLIC, BMI = "8480-6", "8462-4", "39156-5"
HEIGHT = frozenset({"8302-2", "3137-7", "3138-5", "8301-4"})
WEIGHT = frozenset({"29463-7", "3141-9", "3142-7", "8335-2"})

SOCIAL_LOINC = frozenset(
    {
        "72166-2",  # tobacco smoking status
        "11367-0",  # history of tobacco use
        "11366-2",
        "8663-7",  # cigarettes a day
        "8664-5",
        "63640-7",  # age started smoking
        "11331-6",  # history of alcohol use
        "11343-1",
        "76690-7",  # sexual orientation
        "76691-5",  # gender identity
        "74013-4",  # alcoholic drinks a day
        "82810-3",  # pregnancy status
        "11295-3",  # current employment
        "11341-5",  # history of occupation
        "21843-8",
        "56799-0",  # address
        "63504-5",
    }
)
SURVEY_LOINC = frozenset(
    {
        "44249-1",  # PHQ-9
        "44261-6",  # PHQ-9 total
        "55758-7",  # PHQ-2 total
        "69737-5",  # GAD-7
        "70274-6",  # GAD-7 total
        "75626-2",  # AUDIT-C total
        "82667-7",  # DAST-10
        "93025-5",  # PRAPARE
        "96777-8",  # AHC HRSN
        "76504-0",
        "71802-3",  # housing status
        "88122-7",  # food security
    }
)

CATEGORY_SECTION: dict[str, str] = {
    "vital-signs": "vitals",
    "vital signs": "vitals",
    "vitals": "vitals",
    "laboratory": "labs",
    "lab": "labs",
    "labs": "labs",
    "imaging": "labs",
    "procedure": "labs",
    "clinical-test": "labs",
    "social-history": "social_history",
    "social history": "social_history",
    "smartdata": "assessments",
    "survey": "assessments",
    "exam": "assessments",
    "therapy": "assessments",
    "activity": "assessments",
    "functional-status": "assessments",
    "cognitive-status": "assessments",
    "disability-status": "assessments",
    "sdoh": "assessments",
    "treatment-intervention-preference": "assessments",
    "care-experience-preference": "assessments",
    "observation-adi-documentation": "assessments",
}

NO_ALLERGY_SNOMED = frozenset(
    {
        "716186003",  # no known allergy
        "409137002",  # no known drug allergy
        "429625007",  # no known food allergy
        "428607008",  # no known environmental allergy
        "428197003",  # no known insect allergy
        "716184000",  # no known latex allergy
        "1003774007",  # no known Hevea brasiliensis latex allergy
        "160244002",  # no known allergies (retired, still sent)
    }
)
NO_PROBLEM_SNOMED = frozenset({"160245001"})  # no current problems or disability
NO_MEDICATION_SNOMED = frozenset({"787481004"})  # no known medications
"""Not negatives, though they stand in the same place: 1287211007 no information available, 182904002 drug treatment
unknown (IPS 2.0, C-CDA 1.1)."""
IPS_ABSENT = {
    "no-known-allergies": "allergies",
    "no-known-medication-allergies": "allergies",
    "no-known-food-allergies": "allergies",
    "no-known-environmental-allergies": "allergies",
    "no-known-problems": "problems",
    "no-known-medications": "medications",
    "no-known-procedures": "procedures",
    "no-known-immunizations": "immunizations",
}
"""http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips; its `no-*-info` codes mean unknown, not none."""

_NEGATIVE_SNOMED = {
    "allergies": NO_ALLERGY_SNOMED,
    "problems": NO_PROBLEM_SNOMED,
    "medications": NO_MEDICATION_SNOMED,
}
_NEGATIVE_TEXT = {
    "allergies": re.compile(
        r"^\W*(nk(d?a|fa|ma)|((patient|pt) )?((has |reports )?no|denies( any)?) (known |current )?"
        r"((drug|medication|medicine|food|environmental|latex|insect) )?allerg(y|ies)( known| on file)?"
        r"( to (drugs?|medications?|medicines?|foods?))?)(\W+nk(d?a|fa))?\W*$",
        re.I,
    ),
    "problems": re.compile(
        r"^\W*no (known|current|active) (problems?|conditions?|diagnos[ei]s)( or disability)?\W*$", re.I
    ),
    "medications": re.compile(
        r"^\W*(no (known|current) (medications?|drugs?)|not on any medications?|patient not on self-medications?)\W*$",
        re.I,
    ),
}


def asserts_none(section: str, codes: list[tuple[str, str]], text: str) -> bool:
    """Whether a coded or worded entry is an explicit negative for its section.

    `codes` are (canonical system, code). "No information available" and "not asked" are not negatives.
    """
    for system, code in codes:
        if IPS_ABSENT.get(code) == section:
            return True
        if "snomed" in system and code in _NEGATIVE_SNOMED.get(section, ()):
            return True
    pattern = _NEGATIVE_TEXT.get(section)
    return bool(text and len(text) < 80 and pattern and pattern.match(text))


_NEGATIVE_SCOPES = {
    "409137002": "medication",
    "no-known-medication-allergies": "medication",
    "429625007": "food",
    "no-known-food-allergies": "food",
    "428607008": "environment",
    "no-known-environmental-allergies": "environment",
    "428197003": "other",
    "716184000": "other",
    "1003774007": "other",
}
_SCOPE_WORDS = re.compile(
    r"\b(?:(?P<medication>drugs?|medications?|medicines?|nkda|nkma)|(?P<food>foods?|nkfa)|(?P<environment>environmental)|latex|insect)\b",
    re.I,
)


def negative_scope(codes: list[tuple[str, str]], text: str) -> str:
    """What an allergy negative is limited to: medication, food, environment (FHIR categories) or 'other' (latex, insects);
    '' for an unlimited one. "No known drug allergies" says nothing of peanuts."""
    for _, code in codes:
        if code in _NEGATIVE_SCOPES:
            return _NEGATIVE_SCOPES[code]
        if code in NO_ALLERGY_SNOMED or code in IPS_ABSENT:
            return ""
    found = _SCOPE_WORDS.search(text)
    if not found:
        return ""
    return found.lastgroup or "other"


ABNORMAL = frozenset(
    ["H", "HH", "H>", "HU", "HX", "L", "LL", "L<", "LU", "LX", "A", "AA", "POS", "DET", "RR", "WR", "R", ">", "<"]
)
NORMAL = frozenset({"N", "NEG", "ND", "S", "NR"})
"""v3 ObservationInterpretation (https://terminology.hl7.org/CodeSystem-v3-ObservationInterpretation.html). U, D, B, W
(better, worse) speak of change and E, I, IND of a limit of the method: neither normal nor abnormal."""
_ABNORMAL_WORDS = re.compile(
    r"\b(high|low|elevated|decreased|abnormal|critical|panic|positive|detected|reactive)\b", re.I
)
_NORMAL_WORDS = re.compile(r"\b(normal|negative|within (normal|reference))\b|^\W*(wnl|none detected)\W*$", re.I)
_NEGATION = re.compile(r"\b(not|no|non|un|none)\b", re.I)


def is_abnormal(interpretation: str) -> bool | None:
    """What an interpretation code or wording says; None when it says neither.

    Wordings met in EHRs: "High", "Abnormal high", "below low normal", "Not detected". A wording with a negation is
    normal only when what it negates is abnormal.
    """
    code = interpretation.strip().upper()
    if code in ABNORMAL:
        return True
    if code in NORMAL:
        return False
    abnormal = bool(_ABNORMAL_WORDS.search(interpretation))
    if _NEGATION.search(interpretation):
        return False if abnormal else None
    if abnormal:
        return True
    return False if _NORMAL_WORDS.search(interpretation) else None


_TELEHEALTH = re.compile(
    r"\b(tele-?(health|medicine|video|visit|psych\w*|stroke|consult\w*)|televisit|video[- ](visit|consult\w*|encounter|appointment)"
    r"|virtual[- ](visit|consult\w*|encounter|appointment|care|check-?in|clinic|health)|e-?visit|audio[- ]only"
    r"|(tele)?phone (call|visit|encounter|consult\w*|appointment))\b|^\W*(virtual|telephone|video)\W*$",
    re.I,
)
TELEHEALTH_CODES = frozenset(
    ["VR", "448337001", "185317003", "11797002", "386472008", "386473003", "719407002", "99441", "99442", "99443", "98966",
     "98967", "98968", "99421", "99422", "99423", "98970", "98971", "98972", "G2010", "G2012", "G2250", "G2251", "G2252", "G0071",
     "G0406", "G0407", "G0408", "G0425", "G0426", "G0427", "G0459", "G0508", "G0509", "Q3014", "T1014",
     *(str(code) for code in range(98000, 98017))]
)  # fmt: skip
"""v3 ActCode VR; SNOMED CT telemedicine and telephone encounters; CPT telephone, online digital and telemedicine (2025)
evaluations; HCPCS telehealth consultations, virtual check-ins and originating sites. Opaque codes."""

_RULED_OUT = re.compile(r"\b(has been |was |were |is )?(ruled|rules) out\b|\bruled-out\b", re.I)
_TO_RULE_OUT = re.compile(r"^\W*(rule[ -]out|r/o|to rule out)\b", re.I)


def ruling_out(text: str) -> str:
    """'ruled_out' when a diagnosis' wording says it was excluded, 'suspected' when it is to be ruled out, else ''.

    Met on problem lists and encounter diagnoses: "R/O MI", "Rule out pneumonia", "PE ruled out".
    """
    if _TO_RULE_OUT.search(text):
        return "suspected"
    return "ruled_out" if _RULED_OUT.search(text) else ""


def says_telehealth(text: str) -> bool:
    """Whether words describe a contact held remotely."""
    return bool(_TELEHEALTH.search(text))
