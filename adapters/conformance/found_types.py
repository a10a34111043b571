"""Probes and declarations put together, type by type. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import get_args

from adapters.conformance import evidence
from adapters.conformance.plan import Probe, probes_of, types_read
from adapters.conformance.report import Evidence, Live, Parameter, SearchFound, State, TypeFound
from adapters.errors import AdapterError
from adapters.fhir.http import Answer, Tally
from adapters.fhir.search import Found
from adapters.normalizer import normalize
from adapters.profile import Profile
from adapters.section import judge, why
from adapters.source import SiteReport
from models.record import AnyEntry, RawResource

_WORST: tuple[State, ...] = (
    "failed",
    "not_authorized",
    "not_supported",
    "truncated",
    "filtered",
    "present",
    "empty",
    "not_queried",
)
_LIVE: tuple[Live, ...] = ("refused", "ignored", "used", "unclear", "not_probed")
"""Of several searches with a parameter, the first of these counts."""
GOOD = frozenset({"present", "empty"})
"""States of a search that was answered as it should be."""
NOT_DECLARED = "not in the capability statement"
NOT_GRANTED = "the granted scopes do not cover it"
assert set(_LIVE) == set(get_args(Live))


@dataclass
class Probed:
    """What one probe brought."""

    probe: Probe
    found: Found = field(default_factory=Found)
    answers: list[Answer] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    error: AdapterError | None = None
    refused_with: str = ""


@dataclass
class ReadOne:
    """What reading a referenced resource of one type brought."""

    tally: Tally = field(default_factory=Tally)
    came: int = 0
    error: AdapterError | None = None
    drugs: list[RawResource] = field(default_factory=list)


def types(
    profile: Profile,
    opened: SiteReport,
    probed: Sequence[Probed],
    read: Mapping[str, ReadOne],
    patient_id: str | None,
    moment: datetime,
) -> dict[str, TypeFound]:
    """Every type the product uses. Without a patient: what is declared and granted."""
    entries, quarantined = _normalized(profile, probed, read, patient_id)
    by_type: dict[str, list[Probed]] = defaultdict(list)
    for done in probed:
        by_type[done.probe.resource_type].append(done)
    result: dict[str, TypeFound] = {}
    for kind, group in by_type.items():
        result[kind] = _searched(kind, group, opened, entries[kind], quarantined[kind], patient_id, moment)
    for kind, one in read.items():
        result[kind] = _read(kind, one, opened, patient_id)
    return dict(sorted(result.items()))


def _normalized(
    profile: Profile, probed: Sequence[Probed], read: Mapping[str, ReadOne], patient_id: str | None
) -> tuple[dict[str, list[AnyEntry]], dict[str, Counter[str]]]:
    entries: dict[str, list[AnyEntry]] = defaultdict(list)
    quarantined: dict[str, Counter[str]] = defaultdict(Counter)
    raws = [raw for done in probed for raw in done.found.resources.values()]
    raws += [raw for one in read.values() for raw in one.drugs]
    made = normalize(raws, rules=profile.normalization, patient_id=patient_id or None)
    for entry in made.entries:
        entries[entry.origin.resource_type].append(entry)
    for rejected in made.quarantine:
        quarantined[rejected.resource_type][rejected.reason] += 1
    for done in probed:
        for rejected in done.found.rejected:
            quarantined[done.probe.resource_type][rejected.reason] += 1
    return entries, quarantined


def _declared(kind: str, opened: SiteReport) -> bool | None:
    capabilities = opened.capabilities
    return kind in capabilities.types if capabilities.declared and capabilities.types else None


def _granted(kind: str, opened: SiteReport) -> bool | None:
    """None where the server has no authorization, or the type was not asked for because it is not declared."""
    if not opened.scopes_asked or kind in opened.types_missing:
        return None
    return kind in opened.types_granted


def _standing(kind: str, opened: SiteReport, patient_id: str | None) -> tuple[State, str, Evidence]:
    """What can be said of a type without a request."""
    declared = _declared(kind, opened)
    if declared is False:
        return "not_supported", NOT_DECLARED, "declared"
    if _granted(kind, opened) is False:
        return "not_authorized", NOT_GRANTED, "declared"
    told = "" if patient_id else "not probed: no test patient"
    return "not_queried", told, "none" if declared is None else "declared"


def _searched(
    kind: str,
    group: Sequence[Probed],
    opened: SiteReport,
    entries: list[AnyEntry],
    quarantined: Counter[str],
    patient_id: str | None,
    moment: datetime,
) -> TypeFound:
    searches = {done.probe.key: _one_search(done, opened, patient_id) for done in group}
    state, reason = _together(list(searches.values()))
    live = any(s.evidence == "live" for s in searches.values())
    answers = [answer for done in group for answer in done.tally.answers]
    own = {key: raw for done in group for key, raw in done.found.resources.items() if key[0] == kind}
    outcomes = Counter(code for done in group for code in done.found.outcomes)
    pagings = [p for done in group if (p := evidence.paging(evidence.pages_of(done.answers), done.found))]
    return TypeFound(
        use="search",
        declared=_declared(kind, opened),
        granted=_granted(kind, opened),
        state=state,
        reason=reason,
        evidence="live" if live else next(iter(searches.values())).evidence,
        searches=searches,
        params=_params(kind, group, opened, patient_id),
        latency=evidence.latency(seconds for status, seconds in answers if status < 300),
        answers=dict(sorted(Counter(status for status, _ in answers).items())),
        resources=len(own),
        quarantined=dict(sorted(quarantined.items())),
        outcomes=dict(sorted(outcomes.items())),
        coding=evidence.coding(entries),
        systems=evidence.systems(entries),
        freshness=evidence.freshness(own.values(), moment),
        paging=max(pagings, key=lambda p: (bool(p.trouble), p.pages, p.most_on_a_page), default=None),
    )


def _one_search(done: Probed, opened: SiteReport, patient_id: str | None) -> SearchFound:
    kind = done.probe.resource_type
    state, reason, known = _standing(kind, opened, patient_id)
    if patient_id:
        if done.found.truncated == "page_cap":  # our own cap, no fault of the site
            done.found.truncated = ""
        own = sum(raw.resource_type == kind for raw in done.found.resources.values())
        failures = [done.error] if done.error else []
        state, reason = judge(own, done.found, failures, whole=True)
        reason = "" if state in GOOD else reason  # what a good answer remarks is among the type's outcomes
        asked = done.tally.requests > 0 or (done.error is not None and done.error.code == "deadline")
        known = "live" if asked else known
    if done.refused_with:
        reason = f"{reason}; it passes without {done.refused_with}"
    return SearchFound(
        params=done.probe.params,
        sections=done.probe.sections,
        state=state,
        reason=reason,
        evidence=known,
        refused_with=done.refused_with,
        optional=done.probe.search.optional,
    )


def _together(searches: Sequence[SearchFound]) -> tuple[State, str]:
    """A type's state from its searches': good when all that are needed are, `truncated` when some are."""
    searches = [s for s in searches if not s.spared] or searches
    states = {s.state for s in searches}
    bad = [s for s in searches if s.state not in GOOD | {"filtered", "not_queried"}]
    if not bad:
        state: State = next((s for s in ("filtered", "present") if s in states), searches[0].state)
        return state, next((s.reason for s in searches if s.reason and s.state == state), searches[0].reason)
    worst = min(bad, key=lambda s: _WORST.index(s.state))
    if len(bad) == len(searches):
        return worst.state, worst.reason
    return "truncated", f"{len(bad)} of {len(searches)} searches: {worst.reason}"


def _params(kind: str, group: Sequence[Probed], opened: SiteReport, patient_id: str | None) -> dict[str, Parameter]:
    """Every parameter the product uses with a type: declared, and seen at work. A Patient is read, not searched."""
    if kind == "Patient":
        return {}
    capability = opened.capabilities.types.get(kind)
    listed = set(capability.search_params) if capability else set()
    others: dict[str, set[str]] = defaultdict(set)
    for done in group:
        for name, value in done.probe.search.params:
            others[name].add(value)
    lives: dict[str, list[Live]] = defaultdict(list)
    for done in group:
        seen: dict[str, Live] = {}
        if patient_id and done.error is None:
            pages = evidence.pages_of(done.answers[:1])
            seen = evidence.parameters(done.probe, pages, done.found, others)
        elif done.refused_with:
            seen = {done.refused_with: "refused"}
        for name in dict.fromkeys(n for n, _ in done.probe.search.params):
            lives[name].append(seen.get(name, "not_probed"))
    return {
        name: Parameter(
            declared=name in listed if listed and not name.startswith("_") else None, live=min(found, key=_LIVE.index)
        )
        for name, found in sorted(lives.items())
    }


def _read(kind: str, one: ReadOne, opened: SiteReport, patient_id: str | None) -> TypeFound:
    state, reason, known = _standing(kind, opened, patient_id)
    if one.came:
        state, reason, known = "present", "", "live"
    elif one.error is not None:
        state, known = judge(0, Found(), [one.error], whole=True)[0], "live"
        reason = why(one.error)
    elif patient_id and state == "not_queried":
        reason = "nothing that was found of the test patient refers to one"
    answers = one.tally.answers
    return TypeFound(
        use="read",
        declared=_declared(kind, opened),
        granted=_granted(kind, opened),
        state=state,
        reason=reason,
        evidence=known,
        latency=evidence.latency(seconds for status, seconds in answers if status < 300),
        answers=dict(sorted(Counter(status for status, _ in answers).items())),
        resources=one.came,
    )


def not_read(opened: SiteReport, used: Collection[str]) -> tuple[str, ...]:
    """Types that the site declares as searchable by patient and nobody here reads: what a hospital has of its patients and
    Chartbrief's record has not."""
    of_patients = {"patient", "subject"}
    declared = opened.capabilities.types.items()
    return tuple(sorted(t for t, c in declared if t not in used and of_patients & set(c.search_params)))


def blank(profile: Profile, moment: datetime) -> tuple[dict[str, list[tuple[str, ...]]], tuple[str, ...]]:
    """What a profile asks for: type -> for each search its key and parameter names; and the types that are only read."""
    searches: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for probe in probes_of(profile, "x", moment.date()):
        names = () if probe.resource_type == "Patient" else tuple(dict.fromkeys(n for n, _ in probe.search.params))
        searches[probe.resource_type].append((probe.key, *names))
    return dict(searches), types_read(profile, searches)
