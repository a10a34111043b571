"""One chart -> its counts. Everything a quality report says is a sum of these; docs/quality.md defines each key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from models.quality.expectations import Facts, judge
from models.quality.must_support import counted, expected, presence, profiles
from models.quality.tally import Tally
from models.record import (
    SECTIONS,
    AnyEntry,
    CarePlan,
    Chart,
    Concept,
    Coverage,
    Demographics,
    Ledger,
    Observation,
    Rejected,
    Section,
)
from models.record.dates import bounds
from models.terminology.systems import STANDARD

EXAMPLES = 10
"""Entry ids kept for each remark in a patient's report."""
AGES = (("week", 7), ("month", 31), ("quarter", 92), ("year", 366), ("five_years", 1827))
"""Buckets of the age of a section's newest fact, in days, upper bounds inclusive; beyond is `older`."""
CODING_CLASSES = ("standard", "map_table", "text_match", "local_code", "words_only", "nothing")
Raw = Callable[[AnyEntry], Mapping[str, Any] | None]


class Measured(NamedTuple):
    """The counts of one patient, and for the patient's own report the entries behind them (PHI: ids of a person's facts)."""

    tally: Tally
    examples: dict[str, tuple[str, ...]]


def measure(
    chart: Chart,
    *,
    site: str = "",
    raw: Raw | None = None,
    freshness_hours: Mapping[str, float] | None = None,
    lost: Iterable[Section] = (),
) -> Measured:
    """The counts of `chart`, or of what one site gave to it.

    `raw`: the R4 resource behind an entry, for elements that no field of the record holds; without it they are unknown.
    `freshness_hours`: site -> how old an answer may be; without it (files) nobody was asked, and no age is told.
    `lost`: sections in which the sites gave something before and, asked again, give nothing.
    """
    entries = [e for e in chart.entries if not site or any(o.site == site for o in e.origins)]
    lines = [c for c in chart.coverage if not site or c.site == site]
    count = _Counting(Tally(), {})
    count.tally.add("patients")
    here = {e.section for e in entries if not e.superseded}
    for entry in entries:
        _entry(count, entry, raw)
    _coverage(count, lines, here, chart.as_of, freshness_hours)
    _newest(count, entries, chart.as_of)
    ids = {e.id for e in entries}
    conflicts = [c for c in chart.conflicts if any(i in ids for i in c.entry_ids)]
    for conflict in conflicts:
        count.note("conflict", conflict.kind, ids=conflict.entry_ids)
    if conflicts:
        count.tally.add("patients_with_conflicts")
    outcomes = judge(Facts(entries, chart.as_of), {s: _answered(lines, s) for s in SECTIONS})
    for rule, (outcome, because) in outcomes.items():
        count.note("expectation", rule, outcome, ids=because)
    for section in sorted(set(lost)):
        count.tally.add("lost", section)
    return Measured(count.tally, {name: tuple(ids) for name, ids in sorted(count.examples.items())})


def account(ledger: Ledger, quarantine: Iterable[Rejected | Mapping[str, Any]]) -> Tally:
    """What became of the resources: offered = stored + quarantined + missing, and quarantine by reason and type."""
    tally = Tally()
    for name in ("stored", "quarantined", "reported_missing"):
        tally.add("resources", name, count=getattr(ledger, name))
    for item in quarantine:
        told = {"reason": item.reason, "resource_type": item.resource_type} if isinstance(item, Rejected) else item
        tally.add("quarantine", told["reason"], told["resource_type"] or "unknown")
    return tally


class _Counting(NamedTuple):
    tally: Tally
    examples: dict[str, list[str]]

    def note(self, *key: str, ids: Iterable[str]) -> None:
        """Count, and keep some of the entries behind it."""
        self.tally.add(*key)
        kept = self.examples.setdefault("/".join(key), [])
        kept.extend(i for i in ids if i not in kept and len(kept) < EXAMPLES)


def _entry(count: _Counting, entry: AnyEntry, raw: Raw | None) -> None:
    section, tally = entry.section, count.tally
    tally.add("entries", section)
    for code in {f.code for f in entry.flags}:
        count.note("flag", code, section, ids=(entry.id,))
    if entry.superseded:
        return
    kind = type(entry).__struct_config__.tag
    assert isinstance(kind, str)
    profile = profiles().get(kind)
    if profile and counted(entry, profile):
        resource = raw(entry) if raw is not None and profile.reads_raw else None
        for element in profile.elements:
            if expected(element, entry):
                said = presence(element, entry, resource)
                tally.add("element", kind, element.path, said)
                if said == "absent" and element.need == "mandatory":
                    kept = count.examples.setdefault(f"element/{kind}/{element.path}", [])
                    if len(kept) < EXAMPLES:
                        kept.append(entry.id)
    if not isinstance(entry, (Demographics, CarePlan)) and entry.origin.method != "computed":
        coded = coding_class(entry.concept)
        tally.add("coding", section, coded)
        if coded in ("local_code", "words_only", "nothing"):
            kept = count.examples.setdefault(f"coding/{section}/{coded}", [])
            if len(kept) < EXAMPLES:
                kept.append(entry.id)
        mapping = entry.concept.mapping
        if mapping is not None and mapping.target is not None:
            tally.add("confidence", section, str(min(int(mapping.confidence * 10), 9)))
    if isinstance(entry, Observation) and entry.value is not None and entry.value.value is not None:
        unit = "ucum" if entry.value.code else "as_printed" if entry.value.unit else "none"
        tally.add("unit", section, unit)


def coding_class(concept: Concept) -> str:
    """How a concept is coded: by which method it got its standard code, else what there is instead of one.

    Concepts that nobody maps (encounter types, documents) count as `standard` where a coding is of a standard system.
    """
    mapping = concept.mapping
    if mapping is not None and mapping.target is not None:
        return mapping.method
    codes = [c for c in concept.codings if c.code]
    if mapping is None and any(c.system in STANDARD for c in codes):
        return "standard"
    return "local_code" if codes else "words_only" if concept.display else "nothing"


def _answered(lines: list[Coverage], section: Section) -> bool:
    """Whether all sites were asked for the section and answered in full; what an old answer said may be outdated."""
    here = [c for c in lines if c.section == section]
    return bool(here) and all(c.complete for c in here)


def _coverage(
    count: _Counting,
    lines: list[Coverage],
    here: set[Section],
    as_of: str,
    freshness_hours: Mapping[str, float] | None,
) -> None:
    tally, now = count.tally, _moment(as_of)
    for line in lines:
        tally.add("coverage", line.section, line.state)
        for name in ("stored", "quarantined", "missing"):
            tally.add("section_resources", line.section, name, count=getattr(line, name))
        if freshness_hours is not None:
            target = freshness_hours.get(line.site, 24.0)
            old = bool(line.as_of) and (now - _moment(line.as_of)).total_seconds() > target * 3600
            tally.add("asked", line.section, "older" if old else "within" if line.as_of else "never")
    for section in SECTIONS:
        known = section in here or _answered(lines, section)
        tally.add("presence", section, "some" if section in here else "none" if known else "unknown")


def _newest(count: _Counting, entries: list[AnyEntry], as_of: str) -> None:
    """The age of the newest fact of each section; facts of the future are none yet."""
    now = bounds(as_of)[1]
    newest: dict[Section, datetime] = {}
    seen: set[Section] = set()
    for entry in entries:
        if entry.superseded or isinstance(entry, Demographics):
            continue
        seen.add(entry.section)
        if entry.date:
            last = bounds(entry.date)[0]
            if last <= now and (entry.section not in newest or newest[entry.section] < last):
                newest[entry.section] = last
    for section in seen:
        if section not in newest:
            count.tally.add("newest", section, "undated")
            continue
        days = (now - newest[section]).days
        count.tally.add("newest", section, next((name for name, most in AGES if days <= most), "older"))


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
