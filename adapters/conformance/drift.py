"""How a site differs from its last report, or from what its profile expects: the regression test of a connection. Pure.

One cause is one difference: a type that is refused is not also told as slow, uncoded and without paging.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from pydantic import Field

from adapters.conformance.found_types import GOOD, blank
from adapters.conformance.report import ConformanceReport, Live, Parameter, Part, SearchFound, TypeFound
from adapters.profile import Profile

Severity = Literal["breaks", "degrades", "info"]
"""breaks: something the record needs no longer comes. degrades: it comes later, less, or worse. info: good to know."""
SEVERITIES: tuple[Severity, ...] = ("breaks", "degrades", "info")
SLOWER = 2.0
SLOWER_MS = 250
"""p50 that is twice as long and a quarter of a second longer counts as slower: less is a busy afternoon. Both are ours."""
MOST_POINTS = 0.10
FEWEST = 5
"""A tenth fewer standard codes counts, among so many entries at least: a test patient has few. Both are ours."""
_PARTIAL = frozenset({"truncated", "filtered"})
_USABLE = GOOD | _PARTIAL
_CONTROLS: dict[str, Severity] = {"_count": "info", "_revinclude": "degrades"}


class Difference(Part):
    """One difference."""

    severity: Severity
    code: str = Field(description="What kind: search, read, parameter, declared, latency, coding, paging, ... Stable.")
    where: str = Field(description="Type, search or parameter it is about; `site` for the whole.")
    before: str
    after: str


def compare(before: ConformanceReport, after: ConformanceReport) -> list[Difference]:
    """What changed between two reports of a site, worst first."""
    found = list(_site(before, after))
    if "ready" in (before.state, after.state) and before.state == after.state:
        if before.probed and not after.probed:
            found.append(
                _difference("degrades", "probes", "site", "probed", "not probed: declarations are compared only")
            )
        for kind in sorted({*before.types, *after.types}):
            found += _type(kind, before.types.get(kind), after.types.get(kind))
        for kind in sorted(set(after.not_read) - set(before.not_read) - set(before.types)):
            found.append(_difference("info", "not_read", kind, "not offered", "offered, not read by Chartbrief"))
        found += _feeds(before, after)
    return _sorted(found)


def compare_with_profile(profile: Profile, report: ConformanceReport) -> list[Difference]:
    """What a profile counts on and the report did not find, worst first."""
    if report.state != "ready":
        return [_difference("breaks", "state", "site", "ready", _state(report))]
    found: list[Difference] = []
    if not report.probed:
        found.append(_difference("degrades", "probes", "site", "probed", "not probed: declarations are compared only"))
    searches, reads = blank(profile, datetime.fromisoformat(report.checked_at.replace("Z", "+00:00")))
    for kind, asked in searches.items():
        there = report.types.get(kind)
        if there is None and kind in profile.extra_types:
            continue
        bad = [key for key, *_ in asked if there is None or not _answered(_search_of(there, key), there)]
        if bad and len(bad) == len(asked):
            found.append(_difference("breaks", "search", kind, "answered", _told(there)))
            continue
        for key in bad:
            found.append(_difference("breaks", "search", key, "answered", _told(_search_of(there, key))))
        if there is not None:
            for name in sorted({n for key, *names in asked if key not in bad for n in names}):
                found += _wanted_parameter(kind, name, there.params.get(name))
            if there.paging is not None and there.paging.trouble:
                found.append(_difference("breaks", "paging", kind, "pages follow", there.paging.trouble))
    for kind in reads:
        there = report.types.get(kind)
        if kind in profile.absent and (there is None or there.state == "not_supported"):
            continue
        if there is None or not _answered(there, there):
            found.append(_difference("degrades", "read", kind, "readable", _told(there)))
    return _sorted(found)


def _search_of(there: TypeFound | None, key: str) -> SearchFound | None:
    return there.searches.get(key) if there is not None else None


def _answered(one: SearchFound | TypeFound | None, there: TypeFound) -> bool:
    if one is None:  # a site file asks for something else instead
        return there.state in _USABLE | {"not_queried"}
    return one.state in _USABLE | {"not_queried"} or (isinstance(one, SearchFound) and one.spared)


def _wanted_parameter(kind: str, name: str, there: Parameter | None) -> Iterator[Difference]:
    if there is None:
        return
    if there.live in ("ignored", "refused"):
        yield _difference(_weight(name), "parameter", f"{kind} {name}", "used", there.live)
    elif there.declared is False:
        words = "not declared" if there.live == "not_probed" else f"not declared, {there.live}"
        yield _difference("info", "declared", f"{kind} {name}", "declared", words)


def _weight(name: str) -> Severity:
    """How much a parameter matters: without the patient's, others' data would come; sections need their filter."""
    if name.startswith("_"):
        return _CONTROLS.get(name, "info")
    return "breaks" if name in ("patient", "subject") else "degrades"


def _site(before: ConformanceReport, after: ConformanceReport) -> Iterator[Difference]:
    if before.state != after.state:
        severity: Severity = "info" if after.state == "ready" else "breaks"
        yield _difference(severity, "state", "site", _state(before), _state(after))
        return
    pairs: tuple[tuple[Severity, str, str, str], ...] = (
        ("degrades", "release", before.release, after.release),
        ("info", "software", before.software, after.software),
        ("info", "fhir_version", before.fhir_version, after.fhir_version),
        ("info", "token_endpoint", before.token_endpoint, after.token_endpoint),
        ("info", "fhir_base", before.fhir_base, after.fhir_base),
        ("info", "statement_read", str(before.statement_read), str(after.statement_read)),
    )
    for severity, code, old, new in pairs:
        if old != new:
            yield _difference(severity, code, "site", old, new)


def _feeds(before: ConformanceReport, after: ConformanceReport) -> Iterator[Difference]:
    """Lists of the companion API. What it loses is a part of its sections, as FHIR goes on."""
    for name in sorted(before.companion | after.companion):
        old, new = before.companion.get(name), after.companion.get(name)
        if old is None or new is None:
            words = ("not asked for", "asked for") if old is None else ("asked for", "not asked for")
            yield _difference("info", "asked", f"companion {name}", *words)
        elif (old.state in _USABLE) != (new.state in _USABLE) and "not_queried" not in (old.state, new.state):
            severity: Severity = "info" if new.state in _USABLE else "degrades"
            yield _difference(severity, "companion", f"companion {name}", old.state, new.state)


def _state(report: ConformanceReport) -> str:
    return f"{report.state}: {report.error.code}" if report.error else report.state


def _type(kind: str, old: TypeFound | None, new: TypeFound | None) -> list[Difference]:
    if old is None or new is None:
        words = ("not asked for", "asked for") if old is None else ("asked for", "not asked for")
        return [_difference("info", "asked", kind, *words)]
    if old.use == "read" or new.use == "read":
        return list(_read(kind, old, new))
    found = list(_searches(kind, old, new))
    if new.paging and new.paging.trouble and not (old.paging and old.paging.trouble):
        found = [d for d in found if not d.after.startswith("truncated")]  # told as paging, which is why
    changed = bool(found)
    found += _parameters(kind, old, new, changed)
    if old.evidence == new.evidence == "live" and old.state in _USABLE and new.state in _USABLE:
        found += [*_latency(kind, old, new), *_coding(kind, old, new), *_paging(kind, old, new), *_rest(kind, old, new)]
    return found


def _read(kind: str, old: TypeFound, new: TypeFound) -> Iterator[Difference]:
    """A type that is only read. That nothing refers to one now is no difference of the site's."""
    if _told(old) != _told(new) and (
        new.state not in ("present", "not_queried") or old.state not in ("present", "not_queried")
    ):
        worse = new.state not in ("present", "not_queried")
        yield _difference("degrades" if worse else "info", "read", kind, _told(old), _told(new))
        return
    yield from _latency(kind, old, new)


def _searches(kind: str, old: TypeFound, new: TypeFound) -> Iterator[Difference]:
    changed: dict[str, Difference] = {}
    shared = [key for key in old.searches if key in new.searches]
    for key in shared:
        difference = _one_search(key, old.searches[key], new.searches[key])
        if difference is not None:
            changed[key] = difference
    same = {(d.severity, d.before, d.after) for d in changed.values()}
    if len(changed) == len(shared) > 0 and len(same) == 1:
        yield next(iter(changed.values())).model_copy(update={"where": kind})
    else:
        yield from changed.values()
    for key in sorted(set(old.searches) ^ set(new.searches)):
        was = key in old.searches
        yield _difference(
            "info", "asked", key, "asked for" if was else "not asked for", "not asked for" if was else "asked for"
        )


def _one_search(key: str, old: SearchFound, new: SearchFound) -> Difference | None:
    if "not_queried" in (old.state, new.state):  # a check without a patient says nothing of answers
        other = new if old.state == "not_queried" else old
        if other.evidence == "live":
            return None
    if old.state == new.state:
        return None
    if new.state in GOOD and old.state in GOOD:
        severity: Severity = "degrades" if new.state == "empty" else "info"
    elif new.state in _USABLE:
        severity = "degrades" if new.state in _PARTIAL and old.state in GOOD else "info"
    elif new.spared:
        severity = "degrades" if old.state in _USABLE else "info"
    else:
        severity = "info" if new.state == "not_queried" or old.state not in _USABLE | {"not_queried"} else "breaks"
    return _difference(severity, "search", key, _told(old), _told(new))


def _told(one: SearchFound | TypeFound | None) -> str:
    """State and reason; the codes a good answer remarks are no reason."""
    if one is None:
        return "not asked for"
    return f"{one.state}: {one.reason}" if one.reason and one.state not in GOOD else one.state


def _parameters(kind: str, old: TypeFound, new: TypeFound, changed: bool) -> Iterator[Difference]:
    for name in sorted(set(old.params) & set(new.params)):
        was, now, where = old.params[name], new.params[name], f"{kind} {name}"
        if (
            was.live != now.live
            and {was.live, now.live} & _KNOWN
            and not (changed and "refused" in (was.live, now.live))
        ):
            if "not_probed" in (was.live, now.live):
                continue
            severity = _weight(name) if now.live in ("ignored", "refused") else "info"
            yield _difference(severity, "parameter", where, was.live, now.live)
        elif was.declared != now.declared and not changed:
            yield _difference("info", "declared", where, _word(was.declared), _word(now.declared))


_KNOWN: frozenset[Live] = frozenset({"ignored", "refused"})


def _word(declared: bool | None) -> str:
    return {True: "declared", False: "not declared", None: "not said"}[declared]


def _latency(kind: str, old: TypeFound, new: TypeFound) -> Iterator[Difference]:
    if old.latency is None or new.latency is None:
        return
    was, now = old.latency.p50, new.latency.p50
    if now > was * SLOWER and now - was > SLOWER_MS:
        yield _difference("degrades", "latency", kind, f"p50 {was} ms", f"p50 {now} ms")
    elif was > now * SLOWER and was - now > SLOWER_MS:
        yield _difference("info", "latency", kind, f"p50 {was} ms", f"p50 {now} ms")


def _coding(kind: str, old: TypeFound, new: TypeFound) -> Iterator[Difference]:
    if old.coding is None or new.coding is None or min(old.coding.entries, new.coding.entries) < FEWEST:
        return
    was, now = (c.share("standard") + c.share("mapped") for c in (old.coding, new.coding))
    if abs(now - was) >= MOST_POINTS:
        severity: Severity = "degrades" if now < was else "info"
        yield _difference(severity, "coding", kind, old.coding.words(), new.coding.words())


def _paging(kind: str, old: TypeFound, new: TypeFound) -> Iterator[Difference]:
    was, now = old.paging, new.paging
    if was is None or now is None:
        return
    if was.trouble != now.trouble:
        severity: Severity = "breaks" if now.trouble else "info"
        yield _difference(severity, "paging", kind, was.trouble or "pages follow", now.trouble or "pages follow")
    elif was.pages == now.pages > 1 and was.linked_by != now.linked_by:
        yield _difference("info", "paging", kind, _by(was.linked_by), _by(now.linked_by))
    if was.total != now.total:
        words = {True: "total given", False: "no total"}
        yield _difference("info", "total", kind, words[was.total], words[now.total])


def _by(names: Iterable[str]) -> str:
    return "linked by " + (", ".join(names) or "nothing of its own")


def _rest(kind: str, old: TypeFound, new: TypeFound) -> Iterator[Difference]:
    if old.freshness and new.freshness:
        was, now = (f.dated / f.resources for f in (old.freshness, new.freshness))
        if abs(now - was) > 0.5:
            severity: Severity = "degrades" if now < was else "info"
            yield _difference(severity, "last_updated", kind, f"{was:.0%} dated", f"{now:.0%} dated")
    more = sorted(set(new.quarantined) - set(old.quarantined))
    if more:
        held = {name: new.quarantined[name] for name in more}
        yield _difference("degrades", "quarantine", kind, "none", ", ".join(f"{n} {c}" for n, c in held.items()))
    said = sorted(set(new.outcomes) - set(old.outcomes))
    if said:
        yield _difference("info", "outcome", kind, ", ".join(sorted(old.outcomes)) or "none", ", ".join(said))


def _difference(severity: Severity, code: str, where: str, before: str, after: str) -> Difference:
    return Difference(severity=severity, code=code, where=where, before=before, after=after)


def _sorted(found: Iterable[Difference]) -> list[Difference]:
    return sorted(found, key=lambda d: (SEVERITIES.index(d.severity), d.where, d.code))
