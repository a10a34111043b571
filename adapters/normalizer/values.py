"""Quantities, ranges, periods, references and the origin of an entry."""

from __future__ import annotations

from typing import Any

from adapters.normalizer.read import Json, Reader
from models.record import NamedRef, Quantity, ReferenceRange
from models.terminology.systems import UCUM, canonical_system
from models.terminology.units import ucum_code

_COMPARATORS = ("<", "<=", ">=", ">", "ad")


def quantity_of(reader: Reader, holder: Json, key: str) -> Quantity | None:
    """Read a Quantity; None when there is neither number nor unit."""
    raw = holder.get(key)
    if raw is None:
        return None
    if isinstance(raw, int | float | str) and not isinstance(raw, bool):
        reader.tolerated(key)
        value = reader.number(holder, key)
        return None if value is None else Quantity(value=value, as_sent=digits(raw, value))
    item = reader.obj(holder, key)
    value = reader.number(item, "value")
    unit, code = reader.text(item, "unit"), reader.text(item, "code")
    if value is None and not unit and not code:
        return None
    if code and canonical_system(reader.text(item, "system")) != UCUM:
        code, unit = ucum_code(code) or ucum_code(unit), unit or code
    elif not code:
        code = ucum_code(unit)
    comparator = reader.text(item, "comparator")
    if comparator and comparator not in _COMPARATORS:
        reader.tolerated(f"{key}.comparator")
        comparator = ""
    return Quantity(
        value=value,
        unit=unit,
        code=code,
        comparator=comparator,
        as_sent=digits(item.get("value"), value) if value is not None else "",
    )


def digits(raw: Any, value: float) -> str:
    """The number as the source wrote it. JSON numbers lose nothing but trailing zeros; no exponent is introduced."""
    if isinstance(raw, str):
        return raw.strip()
    if isinstance(raw, int):
        return str(raw) if abs(raw) < 10**18 else f"{value:g}"
    text = repr(value)
    if "e" in text:
        text = f"{value:.15f}".rstrip("0").rstrip(".") if 1e-9 < abs(value) < 1e15 else f"{value:g}"
    return text[:-2] if text.endswith(".0") and isinstance(raw, int) else text


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
    if not text or text.startswith(("#", "urn:")):
        return text
    parts = text.split("?", 1)[0].partition("/_history/")[0].rstrip("/").split("/")
    return "/".join(parts[-2:]) if len(parts) >= 2 else ""


def ref_of(reader: Reader, holder: Json, key: str) -> str:
    """The `reference` of a Reference, as sent ('' when absent)."""
    raw = holder.get(key)
    if raw is None:
        return ""
    return reader.text(reader.obj(holder, key), "reference")


def named_ref(reader: Reader, value: Json, names: dict[str, str], role: str = "") -> NamedRef | None:
    """A Reference with the best name: its display, else the name of the resource it points to."""
    reference, name = reader.text(value, "reference"), reader.text(value, "display")
    if not name and reference:
        name = names.get(reference_key(reference), "")
    if not reference and not name:
        identifier = reader.obj(value, "identifier")
        name = reader.text(identifier, "value")
        if not name:
            return None
    return NamedRef(reference=reference, name=name, role=role)


def named_refs(reader: Reader, holder: Json, key: str, names: dict[str, str], role: str = "") -> tuple[NamedRef, ...]:
    """A list of References with names."""
    found = (named_ref(reader, item, names, role) for item in reader.objs(holder, key))
    return tuple(r for r in found if r)


def notes_of(reader: Reader, holder: Json) -> tuple[str, ...]:
    """Annotation texts."""
    if "note" not in holder and "notes" not in holder and "comment" not in holder:
        return ()
    texts = [reader.text(item, "text") for item in reader.objs(holder, "note")] if "note" in holder else []
    return tuple(t for t in texts if t)
