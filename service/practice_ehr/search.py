"""FHIR search on the in-memory store: tokens, dates with partial precision, strings, references."""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from service.practice_ehr.dress import Json
from service.practice_ehr.outcome import bad_request
from service.practice_ehr.search_params import Param, params_of, values_at
from service.practice_ehr.store import Store, local_id

Interval = tuple[datetime, datetime]
_DATE = re.compile(
    r"^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?$"
)
_PREFIX = re.compile(r"^(eq|ne|ge|le|gt|lt|sa|eb|ap)?(.*)$")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MODIFIERS = {
    "token": frozenset({"", "not", "text"}),
    "string": frozenset({"", "exact", "contains"}),
    "reference": frozenset({"", "Patient", "Encounter", "Practitioner", "Organization", "Medication"}),
    "date": frozenset({""}),
    "literal": frozenset({""}),
}


def select(store: Store, resource_type: str, criteria: list[tuple[str, str]]) -> list[Json]:
    """Resources of a type that meet all criteria (`name[:modifier]`, value); several of one name must all hold."""
    tests = [(params_of(resource_type)[n.partition(":")[0]], n.partition(":")[2], v) for n, v in criteria]
    found: Iterable[Json] = _candidates(store, resource_type, tests)
    return [r for r in found if all(_holds(r, param, modifier, value) for param, modifier, value in tests)]


def check_criteria(resource_type: str, criteria: list[tuple[str, str]]) -> None:
    """Refuse (400) what cannot be searched with: an empty value, a modifier or date this server does not read."""
    for name, value in criteria:
        base, _, modifier = name.partition(":")
        param = params_of(resource_type)[base]
        if modifier not in _MODIFIERS[param.kind]:
            raise bad_request("A search modifier is not supported.", "not-supported")
        if not value.strip():
            raise bad_request("A search parameter has no value.", "invalid")
        if param.kind == "date":
            for part in value.split(","):
                match = _PREFIX.match(part)
                if match is None or interval(match.group(2)) is None:
                    raise bad_request("A date is not valid.", "invalid")


def _candidates(store: Store, resource_type: str, tests: list[tuple[Param, str, str]]) -> Iterable[Json]:
    for param, _, value in tests:
        if param.name in ("patient", "subject") and "," not in value:
            patient = value.rpartition("/")[2]
            return (
                list(store.of_patient(patient, resource_type)) if "/" not in value or local_id(value, "Patient") else []
            )
    return store.of_type(resource_type)


def _holds(resource: Json, param: Param, modifier: str, value: str) -> bool:
    if param.kind == "literal":
        return True
    found = [v for path in param.paths for v in values_at(resource, path)]
    if modifier == "not":
        return not any(_token(v, wanted, "") for v in found for wanted in value.split(","))
    for wanted in value.split(","):
        if param.kind == "token" and any(_token(v, wanted, modifier) for v in found):
            return True
        if param.kind == "string" and any(_string(v, wanted, modifier) for v in found):
            return True
        if param.kind == "reference" and any(_reference(v, wanted, param, modifier) for v in found):
            return True
        if param.kind == "date" and any(_date(v, wanted) for v in found):
            return True
    return False


def _token(value: Any, wanted: str, modifier: str) -> bool:
    if modifier == "text":
        text = value.get("text") if isinstance(value, dict) else None
        return isinstance(text, str) and _folded(text).startswith(_folded(wanted))
    system, bar, code = wanted.rpartition("|")
    for found_system, found_code in _tokens(value):
        if bar and system != (found_system or ""):
            continue
        if not code or (found_code or "").casefold() == code.casefold():
            return True
    return False


def _tokens(value: Any) -> list[tuple[str | None, str | None]]:
    if isinstance(value, bool):
        return [(None, str(value).lower())]
    if isinstance(value, str):
        return [(None, value)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("coding"), list):
        return [(c.get("system"), c.get("code")) for c in value["coding"] if isinstance(c, dict)]
    return [(value.get("system"), value.get("code", value.get("value")))]


def _folded(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold().strip()


def _string(value: Any, wanted: str, modifier: str) -> bool:
    if not isinstance(value, str):
        return False
    if modifier == "exact":
        return value == wanted
    if modifier == "contains":
        return _folded(wanted) in _folded(value)
    return _folded(value).startswith(_folded(wanted))


def _reference(value: Any, wanted: str, param: Param, modifier: str) -> bool:
    reference = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(reference, str):
        return False
    kind, found = reference.split("/")[-2:] if "/" in reference else ("", reference)
    needs = "Patient" if param.name == "patient" else modifier
    if needs and kind != needs:
        return False
    return wanted == found if "/" not in wanted else wanted.split("/")[-2:] == [kind, found]


def _date(value: Any, wanted: str) -> bool:
    match = _PREFIX.match(wanted)
    asked = interval(match.group(2)) if match else None
    held = _held(value)
    if match is None or asked is None or held is None:
        return False
    (low, high), (start, end) = asked, held
    return {
        "eq": low <= start and end <= high,
        "ne": not (low <= start and end <= high),
        "ge": end > low,
        "gt": end > high,
        "le": start < high,
        "lt": start < low,
        "sa": start >= high,
        "eb": end <= low,
        "ap": start < high + timedelta(days=30) and end > low - timedelta(days=30),
    }[match.group(1) or "eq"]


def _held(value: Any) -> Interval | None:
    if isinstance(value, str):
        return interval(value)
    if not isinstance(value, dict):
        return None
    start, end = interval(str(value.get("start", ""))), interval(str(value.get("end", "")))
    if start is None and end is None:
        return None
    return (start[0] if start else _FIRST, end[1] if end else _LAST)


def interval(text: str) -> Interval | None:
    """The half-open span a FHIR date means: a year is the whole year. None when it is no date."""
    match = _DATE.match(text.strip().replace(" ", "+"))
    if not match:
        return None
    year, month, day, hour, minute, second, _, zone = match.groups()
    try:
        start = datetime(
            int(year),
            int(month or 1),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=_zone(zone),
        )
        if second:
            end = start + timedelta(seconds=1)
        elif minute:
            end = start + timedelta(minutes=1)
        elif day:
            end = start + timedelta(days=1)
        elif month:
            end = start + timedelta(days=calendar.monthrange(int(year), int(month))[1])
        else:
            end = start.replace(year=start.year + 1)
        return start.astimezone(UTC), end.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _zone(text: str | None) -> Any:
    return datetime.strptime(text, "%z").tzinfo if text and text != "Z" else UTC


def sort(resources: list[Json], resource_type: str, order: str) -> list[Json]:
    """By `_sort`: date parameters, `_id`, `_lastUpdated`; ties keep the stored order. 400 for anything else."""
    result = resources
    for name in reversed([n.strip() for n in order.split(",") if n.strip()]):
        down, name = name.startswith("-"), name.lstrip("-")
        param = params_of(resource_type).get(name)
        if param is None or (param.kind != "date" and name != "_id"):
            raise bad_request("Cannot sort by that parameter.", "not-supported")
        result = sorted(result, key=lambda r, p=param: _sort_key(r, p), reverse=down)  # type: ignore[misc]
    return result


def _sort_key(resource: Json, param: Param) -> tuple[datetime, str]:
    if param.name == "_id":
        return (_FIRST, str(resource.get("id")))
    spans = [s for path in param.paths for v in values_at(resource, path) if (s := _held(v))]
    return (min((s[0] for s in spans), default=_FIRST), "")
