"""Sections of C-CDA by their LOINC code; by their template where the code is missing or none we know."""

from __future__ import annotations

from models.record import Section

PROBLEMS, ALLERGIES, MEDICATIONS, IMMUNIZATIONS = "11450-4", "48765-2", "10160-0", "11369-6"
RESULTS, VITALS, SOCIAL, PROCEDURES = "30954-2", "8716-3", "29762-2", "47519-4"
ENCOUNTERS, PLAN, GOALS, FAMILY = "46240-8", "18776-5", "61146-7", "10157-6"
FUNCTIONAL, MENTAL = "47420-5", "10190-7"
PLANS = frozenset({PLAN, GOALS, "62387-6", "69730-0", "51847-2"})
"""Plan of treatment, goals, interventions, instructions, assessment and plan."""
ASSESSED = frozenset({FUNCTIONAL, MENTAL})
CONDITIONS = frozenset({PROBLEMS, "11348-0", "46241-6", "11535-2", "75310-3", "10219-4", "10218-6", "29308-4"})
"""Problem list, past illness, admission and discharge diagnosis, health concerns, pre- and postoperative diagnosis."""

RECORD_SECTION: dict[str, Section] = {
    PROBLEMS: "problems",
    ALLERGIES: "allergies",
    MEDICATIONS: "medications",
    IMMUNIZATIONS: "immunizations",
    RESULTS: "labs",
    VITALS: "vitals",
    SOCIAL: "social_history",
    PROCEDURES: "procedures",
    ENCOUNTERS: "encounters",
    PLAN: "care_plans",
    FUNCTIONAL: "assessments",
    MENTAL: "assessments",
}
"""Sections whose silence or words speak for a section of the record. Discharge and administered medications are but parts."""

_TEMPLATES = {
    "5": PROBLEMS,
    "6": ALLERGIES,
    "1": MEDICATIONS,
    "2": IMMUNIZATIONS,
    "3": RESULTS,
    "4": VITALS,
    "17": SOCIAL,
    "7": PROCEDURES,
    "22": ENCOUNTERS,
    "10": PLAN,
    "60": GOALS,
    "14": FUNCTIONAL,
    "56": MENTAL,
    "58": "75310-3",
    "20": "11348-0",
    "43": "46241-6",
    "24": "11535-2",
    "11": "10183-2",
    "38": "29549-3",
    "44": "42346-7",
    "15": FAMILY,
    "23": "46264-8",
}
_ROOT = "2.16.840.1.113883.10.20.22.2."
_KNOWN = {*RECORD_SECTION, *PLANS, *CONDITIONS, *_TEMPLATES.values()}


def section_code(code: str, templates: frozenset[str]) -> str:
    """The LOINC code of a section. A wrong code beside a template we know is a slip of the code."""
    if code in _KNOWN:
        return code
    for root in sorted(templates):
        if root.startswith(_ROOT):
            found = _TEMPLATES.get(root.removeprefix(_ROOT).partition(".")[0])
            if found:
                return found
    return code
