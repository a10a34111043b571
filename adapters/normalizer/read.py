"""Tolerant reading: accessors that never raise on a wrong shape, and remember what they read around.

Production data break FHIR's rules in small ways (an object where a list belongs, a number as text). A `Reader` wraps one
resource; each toleration is noted by element path, so that the entry can say so (`tolerated`).
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from models.record import Flag, FlagCode
from models.record.dates import is_partial_date

Json = dict[str, Any]
MOST_TOLERATED = 20
"""Remarks of the kind `tolerated` on one entry; all others are always kept (entered_in_error decides what it is)."""
MOST_TEXT = 20_000
"""Code points of one text element; longer ones are cut with the remark `truncated_text`."""
NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")


class Digits(float):
    """A JSON number with a fraction or exponent, and its digits as sent: 7.10 is not 7.1."""

    __slots__ = ("text",)
    text: str

    def __init__(self, text: str) -> None:
        self.text = text  # the number itself is made of it by float's own constructor


_decoder = msgspec.json.Decoder(float_hook=Digits)


def parse(content: bytes) -> Any:
    """The JSON value in `content`, its numbers with their digits; raises NotJson."""
    try:
        return _decoder.decode(content)
    except (msgspec.DecodeError, ValueError) as error:  # ValueError: not UTF-8
        raise NotJson(str(error)) from None
    except RecursionError:
        raise NotJson("too deep", deep=True) from None


class _Outline(msgspec.Struct, rename="camel"):
    """What is read of a resource whose type is kept but not part of the record. Any: no shape is taken for granted."""

    resource_type: Any = None
    subject: Any = None
    patient: Any = None
    beneficiary: Any = None


_outline_decoder = msgspec.json.Decoder(_Outline)


def outline(content: bytes) -> Any:
    """Type and subject of the JSON object in `content`, everything else skipped; None for another value; raises NotJson.

    Claims and benefits are half of some exports and ten times as long as an observation: skipping costs a tenth.
    """
    try:
        found = _outline_decoder.decode(content)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, ValueError) as error:
        raise NotJson(str(error)) from None
    except RecursionError:
        raise NotJson("too deep", deep=True) from None
    subjects = {"subject": found.subject, "patient": found.patient, "beneficiary": found.beneficiary}
    return {"resourceType": found.resource_type} | {k: v for k, v in subjects.items() if v is not None}


SUBJECTS = ("subject", "patient", "beneficiary")
"""Elements that name the patient, by resource type."""


def subject_of(resource: Json) -> str:
    """The reference of the patient a resource is about, as sent; '' when it does not say."""
    for key in SUBJECTS:
        holder = resource.get(key)
        if isinstance(holder, dict):
            reference = holder.get("reference")
            if isinstance(reference, str) and reference:
                return reference
    return ""


class NotJson(ValueError):
    """The bytes are no JSON. `where` is the position, without the text around it."""

    def __init__(self, words: str, *, deep: bool = False) -> None:
        found = re.search(r"\(byte (\d+)\)", words)
        self.where = f"at byte {found[1]}" if found else ("nested too deep" if deep else "cut off or not UTF-8")
        self.deep = deep
        super().__init__(self.where)


class Reader:
    """One resource and the remarks collected while reading it."""

    __slots__ = ("flags", "resource")

    def __init__(self, resource: Json) -> None:
        self.resource = resource
        self.flags: list[Flag] = []

    def flag(self, code: FlagCode, detail: str = "", related: tuple[str, ...] = ()) -> None:
        """Add one remark (once)."""
        made = Flag(code=code, detail=detail, related=related)
        if made in self.flags:
            return
        if code == "tolerated" and sum(f.code == code for f in self.flags) >= MOST_TOLERATED:
            return
        self.flags.append(made)

    def has_flag(self, code: FlagCode) -> bool:
        """Whether a remark of this kind was made."""
        return any(flag.code == code for flag in self.flags)

    def tolerated(self, path: str) -> None:
        """Note that `path` had a shape FHIR does not allow."""
        self.flag("tolerated", path)

    def obj(self, holder: Json, key: str) -> Json:
        """`holder[key]` as an object; {} when absent. A list of one object is read as that object."""
        value = holder.get(key)
        if value is None or type(value) is dict:
            return value or {}
        self.tolerated(key)
        if isinstance(value, list):
            return next((v for v in value if isinstance(v, dict)), {})
        return {}

    def objs(self, holder: Json, key: str) -> list[Json]:
        """`holder[key]` as a list of objects; [] when absent. A lone object is read as a list of one."""
        value = holder.get(key)
        if value is None:
            return []
        if type(value) is list:
            kept = [v for v in value if type(v) is dict]
            if len(kept) != len(value):
                self.tolerated(key)
            return kept
        self.tolerated(key)
        return [value] if isinstance(value, dict) else []

    def text(self, holder: Json, key: str) -> str:
        """`holder[key]` as trimmed text; '' when absent. Numbers and booleans are printed; objects are not text."""
        value = holder.get(key)
        if type(value) is str:
            if len(value) < MOST_TEXT and value.isascii() and "\x00" not in value:
                return value.strip()  # nearly every text there is
            if len(value.strip()) > MOST_TEXT:
                self.flag("truncated_text", key)
            return clean(value)
        if value is None:
            return ""
        self.tolerated(key)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, Digits):
            return value.text
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, list):
            return next((clean(v) for v in value if isinstance(v, str)), "")
        return ""

    def texts(self, holder: Json, key: str) -> tuple[str, ...]:
        """`holder[key]` as a tuple of texts; a lone text is a tuple of one."""
        value = holder.get(key)
        if value is None:
            return ()
        if isinstance(value, str):
            self.tolerated(key)
            return (clean(value),) if value.strip() else ()
        if isinstance(value, list):
            if not all(isinstance(v, str) for v in value):
                self.tolerated(key)
            return tuple(clean(v) for v in value if isinstance(v, str) and v.strip())
        self.tolerated(key)
        return ()

    def boolean(self, holder: Json, key: str) -> bool | None:
        """`holder[key]` as a boolean; 'true'/'false' as text are tolerated."""
        value = holder.get(key)
        if value is None or isinstance(value, bool):
            return value
        self.tolerated(key)
        if isinstance(value, str) and value.strip().lower() in ("true", "false"):
            return value.strip().lower() == "true"
        return None

    def number(self, holder: Json, key: str) -> float | None:
        """`holder[key]` as a finite number; a numeric text is tolerated, anything else is None."""
        value = holder.get(key)
        if value is None:
            return None
        kind = type(value)
        if kind is bool:
            self.tolerated(key)
            return None
        if kind not in (Digits, int, float):
            self.tolerated(key)
            if not isinstance(value, str) or not NUMBER.fullmatch(value.strip()):
                return None
        try:
            found = float(value)
        except (ValueError, OverflowError):
            return None
        if math.isfinite(found):
            return found
        self.tolerated(key)
        return None

    def date(self, holder: Json, key: str) -> str | None:
        """`holder[key]` as a partial date; None (and a flag) when it is no date that exists."""
        value = holder.get(key)
        if value is None:
            return None
        if type(value) is str and is_partial_date(value):
            return value
        if isinstance(value, str):
            repaired = _repair(value.strip())
            if repaired:
                self.tolerated(key)
                return repaired
        self.flag("invalid_date", key)
        return None

    def period(self, holder: Json, key: str) -> tuple[str | None, str | None]:
        """Start and end of a Period."""
        value = holder.get(key)
        if value is None:
            return None, None
        period = self.obj(holder, key)
        return self.date(period, "start"), self.date(period, "end")


def clean(text: str) -> str:
    """Trimmed text without NUL and lone surrogates, cut at a size no display has."""
    text = text.strip()
    if len(text) > MOST_TEXT:
        text = text[:MOST_TEXT]
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\x00", "") if "\x00" in text else text


def _repair(text: str) -> str | None:
    """Spellings of a date that leave no doubt: a blank for the T, a zone without colon, seconds' zone missing."""
    if len(text) >= 16 and text[10:11] == " ":
        text = text[:10] + "T" + text[11:].strip()
    if len(text) > 19 and text[-5:-4] in "+-" and text[-4:].isdigit():
        text = f"{text[:-2]}:{text[-2:]}"
    if len(text) == 8 and text.isdigit():
        text = f"{text[:4]}-{text[4:6]}-{text[6:]}"
    return text if is_partial_date(text) else None
