"""Rows of a companion API -> resources in the R4 shape the readers know, by rules that a vendor's profile holds.

One generic step, as with the releases (decision 0011): the row stays as received, the shape is made when it is read, and
paths in origins and remarks lead back into the row. A rule takes one value from the row to one element. What a row says
twice and differently is not read, a word that the rules do not know is no value, and a row without what a rule calls
required is not read at all: it goes to quarantine.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from adapters.normalizer.read import NUMBER, Digits, Json
from adapters.normalizer.releases.turn import Turned

Dates = Literal["iso", "month/day/year", "day/month/year"]
_STEP = re.compile(r"^([A-Za-z_]\w*)(?:\[(?:(\d*)|([A-Za-z_]\w*)=([^\]]*))\])?$")
_TARGET = re.compile(r"^[A-Za-z]+(\.([A-Za-z]+|\d))*$")
_DAY = re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4})(?: (\d{2}:\d{2}(?::\d{2})?))?$")
_TIME = re.compile(r"^\d{2}:\d{2}(:\d{2})?$")


class Unmapped(ValueError):
    """A row that the rules cannot read; the text names the field, never its value."""


class Strict(BaseModel):
    """An unknown key fails to load."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Rule(Strict):
    """One element of the resource, from one field of the row. The first rule that fills an element counts."""

    to: str = Field(description="Element, dots between names, a number for a place in a list: code.coding.0.code.")
    source: str = Field(
        default="",
        alias="from",
        description="Field of the row: name, name.name, name[0], name[] (all), name[key=word] (those that say so).",
    )
    take: Literal["text", "date", "number", "code"] = Field(
        default="text", description="date: with `time` and `minutes` to a moment; code: by `codes`."
    )
    codes: dict[str, str] = Field(default={}, description="Word of the row -> word of the resource, without case.")
    value: str = Field(default="", description="Always this, instead of a field of the row.")
    time: str = Field(default="", description="Field with the time of day, for a date.")
    minutes: str = Field(default="", description="Field with minutes to add, for a date with a time.")
    when: str = Field(default="", description="Only where this field of the row holds something.")
    unless: str = Field(default="", description="Only where this element of the resource is not filled.")
    required: bool = Field(default=False, description="Without it the row cannot be read.")

    @field_validator("to")
    @classmethod
    def _target(cls, to: str) -> str:
        if not _TARGET.match(to):
            raise ValueError("no path of an element")
        return to

    @field_validator("source", "time", "minutes", "when")
    @classmethod
    def _path(cls, path: str) -> str:
        if path and not all(_STEP.match(step) for step in path.split(".")):
            raise ValueError("no path of a field")
        return path


class Shape(Strict):
    """How the rows of one kind become resources of one type."""

    type: str = Field(pattern=r"^[A-Z][A-Za-z]+$", description="FHIR resource type.")
    subject: Literal["subject", "patient"] = Field(default="subject", description="Element that names the patient.")
    twin: str = Field(
        default="", description="Field with the number by which the FHIR API knows the same thing: its id ends with it."
    )
    dates: Dates = "iso"
    rules: tuple[Rule, ...] = Field(min_length=1)


class Shaped(Turned):
    """A row in R4's shape. `twin`: see Shape."""

    twin: str = ""


def shaped(row: Json, shape: Shape, resource_id: str, patient_id: str | None) -> Shaped:
    """The resource that a row is. Raises Unmapped."""
    made, names = Shaped(resourceType=shape.type, id=resource_id), dict[str, str]()
    if patient_id is not None:  # the row was asked for by patient; most rows do not repeat whose they are
        made[shape.subject] = {"reference": f"Patient/{patient_id}"}
    for rule in shape.rules:
        if (rule.when and not _said(row, rule.when)) or (rule.unless and _get(made, rule.unless) is not None):
            continue
        value = rule.value or _value(row, rule, shape.dates)
        if value in (None, ""):
            if rule.required and _get(made, rule.to) is None:
                raise Unmapped(f"{rule.source}: absent, or no word of the map")
            continue
        if _get(made, rule.to) is None:
            _put(made, rule.to, value)
            names.setdefault(rule.to.partition(".")[0], re.split(r"[.\[]", rule.source)[0] or rule.to)
    made.names = names
    made.twin = str(_one(row, shape.twin) or "") if shape.twin else ""
    return made


def _value(row: Json, rule: Rule, dates: Dates) -> Any:
    found = _one(row, rule.source)
    if found is None:
        return None
    if rule.take == "number":
        return Digits(found) if NUMBER.fullmatch(found) else None
    if rule.take == "code":
        return next((there for here, there in rule.codes.items() if here.casefold() == found.casefold()), None)
    if rule.take == "date":
        time, minutes = (_one(row, path) or "" if path else "" for path in (rule.time, rule.minutes))
        return moment(found, dates, time, minutes)
    return found


def moment(day: str, dates: Dates, time: str = "", minutes: str = "") -> str | None:
    """A day, with a time of day where there is one, as FHIR writes it: local time stays without a zone. None: no date."""
    match = _DAY.match(day)
    if dates == "iso" or match is None:
        return day if dates == "iso" or re.match(r"^\d{4}-\d\d", day) else None
    first, second, year, told = match.groups()
    month, number = (first, second) if dates == "month/day/year" else (second, first)
    clock = time if _TIME.match(time) else told or ""
    try:
        found = datetime.fromisoformat(f"{year}-{int(month):02}-{int(number):02}{'T' + clock if clock else ''}")
    except ValueError:
        return None
    if not clock:
        return None if minutes else found.date().isoformat()
    if minutes:
        found += timedelta(minutes=int(minutes)) if minutes.isdigit() and len(minutes) < 5 else timedelta()
    return found.isoformat(timespec="minutes" if len(clock) == 5 else "seconds")


def _said(row: Json, path: str) -> list[str]:
    """The different plain values at a path, as text."""
    level: list[Any] = [row]
    for step in path.split("."):
        match = _STEP.match(step)
        assert match is not None  # the schema refuses others
        name, place, key, word = match.groups()
        held = [item[name] for item in level if isinstance(item, dict) and name in item]
        level = [x for value in held for x in (value if isinstance(value, list) else [value])]
        if place:
            level = level[int(place) : int(place) + 1]
        if key:
            level = [x for x in level if isinstance(x, dict) and str(x.get(key, "")).casefold() == word.casefold()]
    return list(dict.fromkeys(text for text in map(_text, level) if text))


def _one(row: Json, path: str) -> str | None:
    """The value at a path; None where there is none, or where the row says different things."""
    found = _said(row, path)
    return found[0] if len(found) == 1 else None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Digits):
        return value.text
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _get(resource: Json, path: str) -> Any:
    value: Any = resource
    for step in path.split("."):
        if step.isdigit():
            value = value[int(step)] if isinstance(value, list) and int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _put(resource: Json, path: str, value: Any) -> None:
    steps = path.split(".")
    holder: Any = resource
    for step, following in zip(steps, [*steps[1:], ""], strict=True):
        empty: Any = value if not following else [] if following.isdigit() else {}
        if isinstance(holder, list):
            while len(holder) <= int(step):
                holder.append({} if following else None)
            if not following:
                holder[int(step)] = value
            holder = holder[int(step)]
        elif following:
            holder = holder.setdefault(step, empty)
        else:
            holder[step] = value
