"""Quantities, ranges, references and annotations."""

from __future__ import annotations

import re
from typing import Any

from adapters.normalizer.names import display_name
from adapters.normalizer.read import Digits, Json, Reader
from models.record import NamedRef, Quantity, ReferenceRange
from models.terminology.systems import UCUM, canonical_system
from models.terminology.units import ucum_code

_COMPARATORS = ("<", "<=", ">=", ">", "ad")
_PLAIN = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]+")
_BOUND = re.compile(r"(<=?|>=?)\s*(\d+(?:\.\d+)?)")


def quantity_of(reader: Reader, holder: Json, key: str) -> Quantity | None:
    """Read a Quantity; None when there is neither number nor unit."""
    raw = holder.get(key)
    if raw is None:
        return None
    if type(raw) is not dict and type(raw) in (int, Digits, str):
        reader.tolerated(key)
        value = reader.number(holder, key)
        return None if value is None else Quantity(value=value, as_sent=digits(raw, value))
    item = raw if type(raw) is dict else reader.obj(holder, key)
    sent = item.get("value")
    bound = _BOUND.fullmatch(sent.strip()) if type(sent) is str else None
    if bound:  # seen: the comparator within the number, "<0.1"
        reader.tolerated(f"{key}.value")
        item = item | {"value": bound[2], "comparator": item.get("comparator") or bound[1]}
    value = reader.number(item, "value")
    unit, code = reader.text(item, "unit"), reader.text(item, "code")
    if value is None and not unit and not code:
        return None
    if not code:
        code = ucum_code(unit)
    elif item.get("system") != UCUM and canonical_system(reader.text(item, "system")) != UCUM:
        code, unit = ucum_code(code) or ucum_code(unit), unit or code
    comparator = reader.text(item, "comparator") if "comparator" in item else ""
    if comparator and comparator not in _COMPARATORS:
        reader.tolerated(f"{key}.comparator")
        comparator = ""
    return Quantity(
        value=value,
        unit=unit,
        code=code,
        comparator=comparator,
        as_sent=digits(sent if bound is None else bound[2], value) if value is not None else "",
    )


def digits(raw: Any, value: float) -> str:
    """The number as the source wrote it, digit by digit; exponents are spelled out where that stays short."""
    text = raw.text if type(raw) is Digits else raw.strip() if type(raw) is str else str(raw)
    if "e" in text or "E" in text:
        text = f"{value:.15f}".rstrip("0").rstrip(".") if 1e-9 < abs(value) < 1e15 else f"{value:g}"
    return text if len(text) <= _MOST_DIGITS else f"{value:g}"


_MOST_DIGITS = 40
_AGE_UNITS = {"a": "years", "yr": "years", "mo": "months", "wk": "weeks", "d": "days", "h": "hours", "": "years"}


def age_words(reader: Reader, holder: Json, stem: str) -> str:
    """`{stem}Age` or `{stem}Range` in words ('age 12 years', 'age 10 to 12 years'); '' when neither says a number."""
    if f"{stem}Age" in holder:
        low, high = quantity_of(reader, holder, f"{stem}Age"), None
    else:
        span = reader.obj(holder, f"{stem}Range")
        low, high = quantity_of(reader, span, "low"), quantity_of(reader, span, "high")
    told = [q for q in (low, high) if q is not None and q.value is not None]
    if not told:
        return ""
    unit = _AGE_UNITS.get(told[-1].unit or told[-1].code, told[-1].unit or told[-1].code)
    if f"{stem}Age" in holder:
        return f"age {told[0].comparator}{told[0].as_sent} {unit}"
    ends = [q.as_sent if q is not None and q.value is not None else "?" for q in (low, high)]
    return f"age {ends[0]} to {ends[1]} {unit}"


def ranges_of(reader: Reader, holder: Json, key: str = "referenceRange") -> tuple[ReferenceRange, ...]:
    """Reference ranges as sent."""
    found = []
    for item in reader.objs(holder, key):
        low, high, text = quantity_of(reader, item, "low"), quantity_of(reader, item, "high"), reader.text(item, "text")
        if low is None and high is None and not text:
            continue
        parts = [_concept_words(reader, c) for c in reader.objs(item, "appliesTo")]
        found.append(ReferenceRange(low=low, high=high, text=text, applies_to=", ".join(p for p in parts if p)))
    return tuple(found)


def _concept_words(reader: Reader, value: Json) -> str:
    return reader.text(value, "text") or next(
        (reader.text(c, "display") or reader.text(c, "code") for c in reader.objs(value, "coding")), ""
    )


def reference_key(reference: str) -> str:
    """`Type/id` of a reference in any of its spellings; `#id` for contained; urn:uuid as it is; '' when unusable.

    Absolute URLs and versions (`/_history/2`) are cut away: within one site, type and id name the resource.
    """
    text = reference.strip()
    if not text or text.startswith(("#", "urn:")) or _PLAIN.fullmatch(text):
        return text
    parts = text.split("?", 1)[0].partition("/_history/")[0].rstrip("/").split("/")
    return "/".join(parts[-2:]) if len(parts) >= 2 else ""


def ref_of(reader: Reader, holder: Json, key: str) -> str:
    """The `reference` of a Reference, as sent ('' when absent)."""
    raw = holder.get(key)
    return "" if raw is None else reader.text(reader.obj(holder, key), "reference")


def contained(reader: Reader, reference: str) -> Json | None:
    """The contained resource a `#id` reference points to."""
    return next((c for c in reader.objs(reader.resource, "contained") if c.get("id") == reference[1:]), None)


def named_ref(reader: Reader, value: Json, names: dict[str, str], role: str = "") -> NamedRef | None:
    """A Reference with the best name: its display, else the name of the resource it points to."""
    if not value:
        return None
    reference, name = reader.text(value, "reference"), reader.text(value, "display")
    if not name and reference:
        if reference.startswith("#"):
            held = contained(reader, reference)
            name = display_name(reader, held, str(held.get("resourceType", ""))) if held else ""
        else:
            name = names.get(reference_key(reference), "")
    if not reference and not name:
        identifier = reader.obj(value, "identifier")
        name = reader.text(identifier, "value")
        if not name:
            return None
    return NamedRef(reference=reference, name=name, role=role)


def named_refs(reader: Reader, holder: Json, key: str, names: dict[str, str], role: str = "") -> tuple[NamedRef, ...]:
    """A list of References with names."""
    if holder.get(key) is None:
        return ()
    found = (named_ref(reader, item, names, role) for item in reader.objs(holder, key))
    return tuple(r for r in found if r)


def notes_of(reader: Reader, holder: Json) -> tuple[str, ...]:
    """Annotation texts."""
    if "note" not in holder:
        return ()
    texts = (reader.text(item, "text") for item in reader.objs(holder, "note"))
    return tuple(t for t in texts if t)
