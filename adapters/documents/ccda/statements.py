"""Problems and allergies: concern acts and their observations -> Condition, AllergyIntolerance.

Statuses: https://hl7.org/fhir/us/ccda/CF-problems.html, CF-allergies.html. A negated general term ("problem", "allergy to drug")
is an explicit negative; a negated particular one is a refuted statement.
"""

from __future__ import annotations

from adapters.documents.ccda.document import templates
from adapters.documents.ccda.made import (
    AGE,
    ALLERGY_STATUS,
    CRITICALITY,
    PROBLEM_STATUS,
    REACTION,
    SEVERITY,
    Made,
    Place,
    all_with_template,
    author,
    author_time,
    ended,
    inner,
    is_negated,
    kept,
    notes,
    own_words,
    status,
    value_of,
    with_template,
)
from adapters.documents.ccda.sections import ALLERGIES
from adapters.documents.ccda.values import (
    Element,
    Json,
    attr,
    interval,
    null_flavor,
    one_line,
    quantity,
    snomed,
    time_of,
    worded,
)

_OBSERVATIONS = "2.16.840.1.113883.10.20.22.4."
PROBLEM, ALLERGY = "2.16.840.1.113883.10.20.22.4.4", "2.16.840.1.113883.10.20.22.4.7"
_DIAGNOSES = frozenset({f"{_OBSERVATIONS}{n}" for n in ("80", "33", "34", "65")})
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_STATUS_WORDS = {
    "55561003": "active",
    "73425007": "inactive",
    "413322009": "resolved",
    "246455001": "recurrence",
    "263855007": "relapse",
    "277022003": "remission",
}
"""SNOMED CT of problem and allergy status -> condition-clinical (value set ProblemStatus)."""
_CONCERN = {"active": "active", "suspended": "inactive", "aborted": "inactive", "completed": "inactive"}
"""Status of the concern act. `completed`: nobody tracks it any more, which is less than resolved."""
_ANY_PROBLEM = frozenset(
    {"55607006", "404684003", "64572001", "282291009", "248536006", "373930000", "409586006", "29308-4"}
)
"""SNOMED CT of problem, finding, condition, diagnosis, ...: the value set ProblemType."""
_ALLERGY_KINDS: dict[str, tuple[str, str]] = {
    "419199007": ("allergy", ""),
    "416098002": ("allergy", "medication"),
    "414285001": ("allergy", "food"),
    "426232007": ("allergy", "environment"),
    "232347008": ("allergy", "environment"),
    "420134006": ("", ""),
    "418038007": ("", ""),
    "419511003": ("", "medication"),
    "418471000": ("", "food"),
    "59037007": ("intolerance", "medication"),
    "235719002": ("intolerance", "food"),
}
"""SNOMED CT -> (type, category) of AllergyIntolerance; value set AllergyIntoleranceType."""
_NO_ALLERGY = {
    "": "No known allergies",
    "medication": "No known drug allergies",
    "food": "No known food allergies",
    "environment": "No known environmental allergies",
}
_ANY_SUBSTANCE = {"105590001": "", "410942007": "medication", "762766007": "food", "255620007": "food"}
"""SNOMED CT of substance, drug or medicament, food."""
_SEVERITY = {
    "255604002": "mild",
    "371923003": "mild",
    "6736007": "moderate",
    "371924009": "severe",
    "24484000": "severe",
    "399166001": "severe",
}
_CRITICALITY = {"CRITL": "low", "CRITH": "high", "CRITU": "unable-to-assess"}


def clinical_status(concern: Element | None, told: str, over: bool) -> Json:
    """The status observation's word, else the end of the condition, else the concern's status; {} when none says.

    The status of a diagnosis act (encounter, admission, discharge) says that the act of diagnosing is over, not the disease.
    """
    code = _STATUS_WORDS.get(told) or ("resolved" if over else "")
    if not code and concern is not None and not templates(concern) & _DIAGNOSES:
        code = _CONCERN.get(status(concern), "")
    return {"coding": [{"system": _CLINICAL, "code": code}]} if code else {}


def verification(element: Element, refuted: bool, concern: Element | None = None) -> Json:
    """Entered in error for a nullified act, refuted for a negated one; {} otherwise."""
    nullified = status(element) == "nullified" or (concern is not None and status(concern) == "nullified")
    code = "entered-in-error" if nullified else "refuted" if refuted else ""
    return {"coding": [{"system": _VERIFICATION, "code": code}]} if code else {}


def concern(place: Place, element: Element) -> list[Made]:
    """A concern, admission, discharge or encounter diagnosis act: each observation within is a fact of its own."""
    made: list[Made] = []
    for child in inner(element, "observation"):
        found = templates(child)
        if ALLERGY in found:
            made += allergy(place.within(element), child)
        elif PROBLEM in found or _is_diagnosis(place, child, found):
            made += problem(place.within(element), child)
        elif child.find("participant") is not None and place.section_code == ALLERGIES:
            made += allergy(place.within(element), child)
    for child in inner(element, "act"):
        made += concern(place.within(child), child)
    return made


def _is_diagnosis(place: Place, child: Element, found: frozenset[str]) -> bool:
    """An observation in a concern without the template of problems: its value must be coded, and no template of C-CDA may say
    that it is something else (a status, a severity, how the patient feels)."""
    value = value_of(child)
    if value is None or place.section_code == ALLERGIES or any(t.startswith(_OBSERVATIONS) for t in found):
        return False
    return bool(attr(value, "code") or value.find("translation") is not None or value.find("originalText") is not None)


def problem(place: Place, element: Element) -> list[Made]:
    """A problem observation -> Condition."""
    outer = place.outer
    if null_flavor(element):  # "no information" is neither a problem nor the absence of one
        return []
    value = value_of(element)
    code = place.named(value, element)
    negated = is_negated(element) or (value is not None and is_negated(value))
    general = snomed(value) in _ANY_PROBLEM or value is None or not attr(value, "code")
    none = negated and general and not _particular(code)
    if none:
        code["text"] = "No known problems"
    when = element.find("effectiveTime")
    over, end = ended(when)
    onset = interval(when)[0]
    state = with_template(element, PROBLEM_STATUS)
    told = snomed(value_of(state))
    age = quantity(value_of(with_template(element, AGE)))
    severity = with_template(element, SEVERITY)
    item = kept(
        {
            "code": code,
            "clinicalStatus": clinical_status(outer, told, over),
            "verificationStatus": verification(element, negated and not none, outer),
            "category": [{"coding": [{"code": _category(place)}]}],
            "severity": place.code(value_of(severity)),
            "bodySite": [c for c in (place.code(e) for e in element.findall("targetSiteCode")) if c],
            "onsetDateTime": onset,
            "onsetAge": {} if onset else age,
            "abatementDateTime": end,
            "recordedDate": author_time(element, outer)
            or (interval(outer.find("effectiveTime"))[0] if outer is not None else ""),
            "recorder": author(element, outer),
            "note": notes(place, element) + (notes(place, outer) if outer is not None else []),
        }
    )
    return [Made("Condition", item, element)]


def _particular(code: Json) -> bool:
    """Whether words beside a negated general or missing code name a particular thing: not for us to call it 'none'."""
    words = worded({"text": code.get("text", "")}).casefold()
    return bool(words) and not any(
        w in words for w in ("no known", "no active", "none", "no current", "no problem", "problem", "denies any")
    )


def _category(place: Place) -> str:
    if place.section_code in ("46240-8", "46241-6", "11535-2", "42347-5"):
        return "encounter-diagnosis"
    return "health-concern" if place.section_code == "75310-3" else "problem-list-item"


def allergy(place: Place, element: Element) -> list[Made]:
    """An allergy observation -> AllergyIntolerance."""
    outer = place.outer
    if null_flavor(element):
        return []
    entity = element.find("participant/participantRole/playingEntity")
    held = entity.find("code") if entity is not None else None
    code = place.code(held)
    name = entity.find("name") if entity is not None else None
    if not code.get("text") and name is not None and one_line(name):
        code["text"] = one_line(name)
    reactions = _reactions(place, element)
    code, borrowed = own_words(code, (m for r in reactions for m in r.get("manifestation", [])))
    value = value_of(element)
    kind, category = _ALLERGY_KINDS.get(snomed(value), ("", ""))
    negated = is_negated(element) or (value is not None and is_negated(value))
    substance = snomed(held)
    none = negated and (not code or substance in _ANY_SUBSTANCE)
    if none:
        code["text"] = _NO_ALLERGY[_ANY_SUBSTANCE.get(substance, "") or category]
    elif not code:
        code = {"text": place.words(element)} if place.words(element) else place.code(value)
    state = with_template(element, ALLERGY_STATUS)
    over, _ = ended(element.find("effectiveTime"))
    item = kept(
        {
            "code": code,
            "clinicalStatus": clinical_status(outer, snomed(value_of(state)), over),
            "verificationStatus": verification(element, negated and not none, outer),
            "type": "" if none else kind,
            "category": [category] if category else [],
            "criticality": _CRITICALITY.get(_value_code(with_template(element, CRITICALITY)), ""),
            "onsetDateTime": interval(element.find("effectiveTime"))[0],
            "recordedDate": author_time(element, outer),
            "recorder": author(element, outer),
            "reaction": reactions,
            "note": notes(place, element)
            + (notes(place, outer) if outer is not None else [])
            + (
                [{"text": f"the document calls the allergen by the words of its reaction: {borrowed}"}]
                if borrowed
                else []
            ),
        }
    )
    return [Made("AllergyIntolerance", item, element)]


def _reactions(place: Place, element: Element) -> list[Json]:
    """Reactions with the severity of each; a severity beside them is that of all."""
    shared = _severity(with_template(element, SEVERITY))
    made = []
    for reaction in all_with_template(element, REACTION):
        manifestation = place.named(value_of(reaction), reaction)
        severity = _severity(with_template(reaction, SEVERITY)) or shared
        if manifestation:
            made.append(
                kept(
                    {
                        "manifestation": [manifestation],
                        "severity": severity,
                        "onset": time_of(reaction.find("effectiveTime")),
                    }
                )
            )
    if not made and shared:
        made.append({"severity": shared})
    return made


def _severity(element: Element | None) -> str:
    return _SEVERITY.get(snomed(value_of(element)), "")


def _value_code(element: Element | None) -> str:
    return attr(value_of(element), "code")
