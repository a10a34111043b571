"""Condition -> Problem, AllergyIntolerance -> Allergy."""

from __future__ import annotations

from adapters.normalizer.base import Source
from adapters.normalizer.codes import PREFER_ALLERGEN, PREFER_PROBLEM, code_of, concepts_of, words_of
from adapters.normalizer.read import Json
from adapters.normalizer.values import age_words, named_ref, notes_of, ref_of
from models.record import Activity, Allergy, Concept, Problem, Reaction
from models.record.dates import surely_before
from models.terminology.allergens import class_of
from models.terminology.categories import categories_of
from models.terminology.clinical import asserts_none, ruling_out

_OVER = ("inactive", "remission", "resolved")
_ACTIVE = ("active", "recurrence", "relapse")
_CLINICAL = (*_OVER, *_ACTIVE)
_VERIFICATION = ("entered-in-error", "refuted", "differential", "provisional", "unconfirmed", "confirmed")
_CATEGORIES = ("problem-list-item", "health-concern", "encounter-diagnosis")


def problem(source: Source) -> list[Problem]:
    """Read a Condition."""
    item = source.resource
    concept = source.concept("code", PREFER_PROBLEM, main=True)
    clinical = code_of(source, item, "clinicalStatus", source.rules, _CLINICAL)
    verification = code_of(source, item, "verificationStatus", source.rules, _VERIFICATION)
    if not clinical and verification != "entered-in-error":
        source.flag("missing_status", "clinicalStatus")
    _verified(source, verification)
    onset, onset_text = _when(source, "onset")
    abatement, abatement_text = _when(source, "abatement")
    recorded = source.date(item, "recordedDate")
    if onset is None and not onset_text and recorded is None:
        source.flag("missing_onset", "onset[x], recordedDate")
    if onset:
        source.check_date(onset, "onset")
    none = asserts_none("problems", _codes(concept), concept.display)
    ended = abatement is not None or bool(abatement_text)
    activity, reason = _activity(clinical, verification, ended)
    over = bool(abatement_text) or (abatement is not None and surely_before(abatement, source.now or "9999"))
    if activity == "active" and over:  # FHIR con-4: an abated condition is not active
        source.flag("status_conflict", "clinicalStatus is active, abatement is given")
        activity, reason = "uncertain", f"clinicalStatus {clinical}, but an abatement is given"
    excluded = ruling_out(concept.display)
    if excluded == "ruled_out":
        source.flag("negated", "code: the wording says it was ruled out")
        activity, reason = "historical", "the wording says it was ruled out"
    elif activity == "active" and (excluded or verification == "differential"):
        words = "the wording says it is to be ruled out" if excluded else "verificationStatus differential"
        activity, reason = "uncertain", f"clinicalStatus {clinical}, but {words}"
    recorder = named_ref(source, source.obj(item, "recorder") or source.obj(item, "asserter"), source.neighbours.names)
    return [
        Problem(
            id=source.id(),
            origins=source.origins(),
            concept=concept,
            status=clinical,
            activity=activity,
            activity_reason=reason,
            clinical_status=clinical,
            verification_status=verification,
            category=code_of(source, item, "category", source.rules, _CATEGORIES),
            categories=() if none else categories_of(concept, onset or recorded or ""),
            severity=words_of(source, item, "severity", source.rules),
            body_site=words_of(source, item, "bodySite", source.rules),
            onset=onset,
            onset_text=onset_text,
            abatement=abatement,
            abatement_text=abatement_text,
            recorded=recorded,
            recorder=recorder,
            encounter=ref_of(source, item, "encounter"),
            none_asserted=none,
            notes=notes_of(source, item),
            flags=tuple(source.flags),
        )
    ]


def allergy(source: Source) -> list[Allergy]:
    """Read an AllergyIntolerance."""
    item = source.resource
    concept = source.concept("code", PREFER_ALLERGEN, main="code" in item)
    reactions = tuple(_reaction(source, r) for r in source.objs(item, "reaction"))
    if not concept:
        substances = [
            concepts_of(source, {"s": [r["substance"]]}, "s", source.rules, PREFER_ALLERGEN)
            for r in source.objs(item, "reaction")
            if isinstance(r.get("substance"), dict)
        ]
        concept = next((s[0] for s in substances if s), concept)
        if not concept and "code" not in item:
            source.flag("missing_code", "code")
    clinical = code_of(source, item, "clinicalStatus", source.rules, _CLINICAL)
    verification = code_of(source, item, "verificationStatus", source.rules, _VERIFICATION)
    none = asserts_none("allergies", _codes(concept), concept.display)
    if not clinical and verification != "entered-in-error" and not none:
        source.flag("missing_status", "clinicalStatus")
    _verified(source, verification)
    onset, _ = _when(source, "onset")
    recorded = source.date(item, "recordedDate")
    activity, reason = _activity(clinical, verification, False)
    if activity == "uncertain" and not clinical and not none:
        reason = "clinicalStatus is missing; an allergy is kept until a source says it is over"
    return [
        Allergy(
            id=source.id(),
            origins=source.origins(),
            concept=concept,
            status=clinical,
            activity=activity,
            activity_reason=reason,
            clinical_status=clinical,
            verification_status=verification,
            type=source.text(item, "type"),
            categories=source.texts(item, "category"),
            substance_class="" if none else class_of(concept),
            criticality=source.text(item, "criticality"),
            reactions=reactions,
            onset=onset,
            recorded=recorded,
            recorder=named_ref(source, source.obj(item, "recorder"), source.neighbours.names),
            none_asserted=none,
            notes=notes_of(source, item),
            flags=tuple(source.flags),
        )
    ]


def _reaction(source: Source, item: Json) -> Reaction:
    return Reaction(
        manifestations=concepts_of(source, item, "manifestation", source.rules),
        severity=source.text(item, "severity"),
        onset=source.date(item, "onset"),
        description=source.text(item, "description"),
    )


def _codes(concept: Concept) -> list[tuple[str, str]]:
    return [(c.system, c.code) for c in concept.codings]


def _verified(source: Source, verification: str) -> None:
    if verification == "entered-in-error":
        source.flag("entered_in_error", "verificationStatus")
    elif verification == "refuted":
        source.flag("refuted", "verificationStatus")


def _activity(clinical: str, verification: str, ended: bool) -> tuple[Activity, str]:
    if verification in ("refuted", "entered-in-error"):
        return "historical", f"verificationStatus {verification}"
    if clinical in _OVER:
        return "historical", f"clinicalStatus {clinical}"
    if clinical in _ACTIVE:
        return "active", f"clinicalStatus {clinical}"
    if ended:
        return "historical", "an abatement is given"
    return "uncertain", "clinicalStatus is missing" if not clinical else f"clinicalStatus {clinical[:40]} is not known"


def _when(source: Source, stem: str) -> tuple[str | None, str]:
    """onset[x] or abatement[x]: a date where there is one, else words (age, range, text, 'yes')."""
    item = source.resource
    if f"{stem}DateTime" in item:
        found = source.date(item, f"{stem}DateTime")
        return found, "" if found else source.text(item, f"{stem}DateTime")
    if f"{stem}Period" in item:
        start, end = source.period(item, f"{stem}Period")
        return (start or end if stem == "onset" else end or start), ""
    if f"{stem}String" in item:
        return None, source.text(item, f"{stem}String")
    if f"{stem}Boolean" in item:
        return None, "yes" if source.boolean(item, f"{stem}Boolean") else ""
    return None, age_words(source, item, stem)
