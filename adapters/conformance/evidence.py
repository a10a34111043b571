"""What answers tell of a site: parameters used or ignored, paging, coding, freshness, times. Pure; only counts leave."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from adapters.conformance.plan import Probe
from adapters.conformance.report import Age, Coding, Freshness, Latency, Live, PagingFound
from adapters.errors import AdapterError
from adapters.fhir.bundle import Page, read_page
from adapters.fhir.http import Answer
from adapters.fhir.search import Found
from models.record import AnyEntry, RawResource

_PATIENT = frozenset({"patient", "subject"})
"""Two names of one thing: servers answer one and say the other in the self link."""
_URI = re.compile(r"^(https?://|urn:)[\x21-\x7e]{1,200}$")
_CODED = frozenset({"missing_code", "text_only", "local_code_only", "unmapped_code"})
_STEPS: tuple[tuple[int, Age], ...] = ((1, "day"), (7, "week"), (31, "month"), (366, "year"))
MOST_SYSTEMS = 20


def latency(seconds: Iterable[float]) -> Latency | None:
    """p50, p95 and p99 by nearest rank; None without samples."""
    found = sorted(seconds)
    if not found:
        return None

    def at(share: float) -> int:
        return round(found[max(0, math.ceil(share * len(found)) - 1)] * 1000)

    return Latency(samples=len(found), p50=at(0.5), p95=at(0.95), p99=at(0.99))


def pages_of(answers: Iterable[Answer]) -> list[Page]:
    """The pages among answers."""
    found = []
    for answer in answers:
        try:
            found.append(read_page(answer))
        except AdapterError:
            continue
    return found


def paging(pages: Sequence[Page], found: Found) -> PagingFound | None:
    """How two pages hang together."""
    if not pages:
        return None
    first, following = _names(pages[0], "self"), _names(pages[0], "next")
    return PagingFound(
        pages=len(pages),
        linked_by=tuple(sorted(following - first)),
        total=pages[0].total is not None,
        most_on_a_page=max(len(p.resources) for p in pages),
        trouble=found.broken or (found.truncated if found.truncated != "page_cap" else ""),
    )


def _names(page: Page, relation: str) -> set[str]:
    """Parameter names of a link; names in the shape of names only, whatever a server puts there."""
    for link in page.links:
        url = link.get("url")
        if link.get("relation") == relation and isinstance(url, str):
            names = {name.partition(":")[0] for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
            return {n for n in names if re.fullmatch(r"[A-Za-z_-]{1,40}", n)}
    return set()


def parameters(probe: Probe, pages: Sequence[Page], found: Found, others: dict[str, set[str]]) -> dict[str, Live]:
    """What became of each parameter of a search that was answered.

    A server SHALL name in the self link the parameters it used (https://hl7.org/fhir/R4/search.html#conformance); where
    the answer itself shows or contradicts a parameter, that counts more. `others`: parameter -> the values that the
    type's searches ask for, to tell another search's resources in this one's answer.
    """
    named = _names(pages[0], "self") if pages else set()
    result: dict[str, Live] = {}
    for name in dict.fromkeys(n for n, _ in probe.search.params):
        values = [v for n, v in probe.search.params if n == name]
        shown = _shown(probe, name, values, pages, found, others)
        if shown is not None:
            result[name] = "used" if shown else "ignored"
        elif name in named or (name in _PATIENT and named & _PATIENT):
            result[name] = "used"
        else:  # controls are often left out of a self link; a link without anything says nothing
            result[name] = "ignored" if named and not name.startswith("_") else "unclear"
    return result


def _shown(
    probe: Probe, name: str, values: list[str], pages: Sequence[Page], found: Found, others: dict[str, set[str]]
) -> bool | None:
    own = [raw for raw in found.resources.values() if raw.resource_type == probe.resource_type]
    if name == probe.patient_param:
        if any(r.reason == "wrong_patient" for r in found.rejected):
            return False
        return True if own else None
    if name == "_count" and pages:
        most = max(len(p.resources) for p in pages)
        return False if most > 2 * int(values[0]) else None  # included resources do not count: twice is generous
    if name == "_revinclude":
        return True if any(kind == "Provenance" for kind, _ in found.resources) else None
    if name == "category" and own:
        return _of_category(own, _codes(values), _codes(others.get(name, set())))
    return None


def _of_category(own: Sequence[RawResource], asked: set[str], others: set[str]) -> bool | None:
    held = [_categories(orjson.loads(raw.content)) for raw in own]
    if any(codes & others - asked and not codes & asked for codes in held):
        return False
    return True if all(codes & asked for codes in held) else None


def _codes(values: Iterable[str]) -> set[str]:
    return {part.rpartition("|")[2] for value in values for part in value.split(",")}


def _categories(resource: Any) -> set[str]:
    held = resource.get("category")
    concepts = held if isinstance(held, list) else [held]
    codings = [c for concept in concepts if isinstance(concept, dict) for c in concept.get("coding") or []]
    return {str(c.get("code")) for c in codings if isinstance(c, dict)}


def coding(entries: Iterable[AnyEntry]) -> Coding | None:
    """How entries are coded; None where a type has no main code to speak of."""
    counts: Counter[str] = Counter()
    for entry in entries:
        flags = {f.code for f in entry.flags}
        if entry.concept.mapping is None and not flags & _CODED:
            continue
        if "broken_reference" in flags and not entry.concept:  # a drug that was not read: no fact about its coding
            continue
        counts["entries"] += 1
        method = entry.concept.mapping.method if entry.concept.mapping else "unmapped"
        if "missing_code" in flags:
            counts["missing"] += 1
        elif not entry.concept.codings:
            counts["text_only"] += 1
        elif method == "standard":
            counts["standard"] += 1
        elif method == "map_table":
            counts["mapped"] += 1
        else:
            counts["local" if "local_code_only" in flags else "unmapped"] += 1
    return Coding.model_validate(counts) if counts else None


def systems(entries: Iterable[AnyEntry]) -> dict[str, int]:
    """Code systems of main codes and how many entries have each; what is no URI is not repeated."""
    counts: Counter[str] = Counter()
    for entry in entries:
        counts.update({c.system if _URI.match(c.system) else "(no URI)" for c in entry.concept.codings})
    return dict(sorted(counts.most_common(MOST_SYSTEMS)))


def freshness(resources: Iterable[RawResource], now: datetime) -> Freshness | None:
    """Which resources say when they were last updated, and how long ago, in steps."""
    ages: Counter[Age] = Counter()
    total = 0
    for raw in resources:
        total += 1
        meta = orjson.loads(raw.content).get("meta")
        when = meta.get("lastUpdated") if isinstance(meta, dict) else None
        if isinstance(when, str) and when:
            ages[_age(when, now)] += 1
    return Freshness(resources=total, dated=sum(ages.values()), ages=dict(sorted(ages.items()))) if total else None


def _age(when: str, now: datetime) -> Age:
    try:
        then = datetime.fromisoformat(when.replace("Z", "+00:00"))
    except ValueError:
        return "unreadable"
    days = (now - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds() / 86_400
    if days < -1:
        return "future"
    return next((name for most, name in _STEPS if days <= most), "older")
