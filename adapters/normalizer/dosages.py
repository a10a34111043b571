"""Dosage -> Dosage: the instruction as written, else built in plain English from its structured parts.

Elements and codes: https://hl7.org/fhir/R4/dosage.html, https://hl7.org/fhir/R4/datatypes.html#Timing and the event-timing value
set. The amount itself stays as sent in `dose`; only the sentence is ours ("1 to 2 tablets every 4 to 6 hours as needed for pain").
"""

from __future__ import annotations

from adapters.normalizer.base import Source
from adapters.normalizer.codes import words_of
from adapters.normalizer.read import Json
from adapters.normalizer.values import quantity_of
from models.record import Dosage, Quantity

_TIME = {"s": "second", "min": "minute", "h": "hour", "d": "day", "wk": "week", "mo": "month", "a": "year"}
_DAYS = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}
_MOMENTS = {
    "MORN": "in the morning",
    "MORN.early": "in the early morning",
    "MORN.late": "in the late morning",
    "NOON": "at noon",
    "AFT": "in the afternoon",
    "AFT.early": "in the early afternoon",
    "AFT.late": "in the late afternoon",
    "EVE": "in the evening",
    "EVE.early": "in the early evening",
    "EVE.late": "in the late evening",
    "NIGHT": "at night",
    "PHS": "after sleep",
    "HS": "at bedtime",
    "WAKE": "on waking",
    "C": "with meals",
    "CM": "with breakfast",
    "CD": "with lunch",
    "CV": "with dinner",
    "AC": "before meals",
    "ACM": "before breakfast",
    "ACD": "before lunch",
    "ACV": "before dinner",
    "PC": "after meals",
    "PCM": "after breakfast",
    "PCD": "after lunch",
    "PCV": "after dinner",
}
"""Event-timing codes (http://hl7.org/fhir/event-timing, v3-TimingEvent) in words."""
_COUNTED = {
    "application": "applications",
    "capsule": "capsules",
    "dose": "doses",
    "drop": "drops",
    "inhalation": "inhalations",
    "injection": "injections",
    "lozenge": "lozenges",
    "pill": "pills",
    "puff": "puffs",
    "sachet": "sachets",
    "spray": "sprays",
    "tablespoon": "tablespoons",
    "tablet": "tablets",
    "teaspoon": "teaspoons",
    "unit": "units",
    "vial": "vials",
    "patch": "patches",
    "suppository": "suppositories",
}
"""What is counted and not measured: singular -> plural."""
_SINGULAR = {plural: name for name, plural in _COUNTED.items()} | {
    "tab": "tablet",
    "tabs": "tablet",
    "tbl": "tablet",
    "cap": "capsule",
    "caps": "capsule",
}
_PLAIN_NEED = frozenset({"as needed", "as required", "prn", "when needed", "pro re nata"})


def dosage_of(source: Source, item: Json) -> Dosage | None:
    """One dosage instruction; None when it says nothing."""
    rates = source.objs(item, "doseAndRate")
    rate = rates[0] if rates else item
    dose = quantity_of(source, rate, "doseQuantity")
    route = words_of(source, item, "route", source.rules)
    timing = source.obj(item, "timing")
    repeat = source.obj(timing, "repeat")
    frequency = words_of(source, timing, "code", source.rules) or _often(source, timing, repeat)
    needed = source.boolean(item, "asNeededBoolean")
    if needed is None and "asNeededCodeableConcept" in item:
        needed = True
    text = source.text(item, "text") or source.text(item, "patientInstruction")
    if not text:
        amount = _amount(dose) if dose else _range(source, rate, "doseRange")
        text = _joined(amount, _rate(source, rate), route)
        text = _joined(f"{text}," if text and frequency[:1].isdigit() else text, frequency)
        text = _joined(text, _need(source, item) if needed else "", _bounds(source, repeat))
    if not text and dose is None:
        return None
    per_day = _times_a_day(source, timing, repeat)
    return Dosage(text=text, dose=dose, route=route, frequency=frequency, as_needed=needed, per_day=per_day)


_IN_A_DAY = {"s": 86_400, "min": 1440, "h": 24, "d": 1, "wk": 1 / 7, "mo": 1 / 30, "a": 1 / 365}
_TIMES_OF_CODE = {
    "QD": 1.0, "BID": 2.0, "TID": 3.0, "QID": 4.0, "AM": 1.0, "PM": 1.0, "BED": 1.0, "QOD": 0.5, "Q1H": 24.0, "Q2H": 12.0,
    "Q3H": 8.0, "Q4H": 6.0, "Q6H": 4.0, "Q8H": 3.0, "WK": 1 / 7, "MO": 1 / 30,
}  # fmt: skip
"""v3 GTSAbbreviation (http://terminology.hl7.org/CodeSystem/v3-GTSAbbreviation) -> times a day."""


def _times_a_day(source: Source, timing: Json, repeat: Json) -> float | None:
    """Administrations a day; None where the timing gives a range, days of the week, no cycle, or a course that ends by number."""
    if any(key in repeat for key in ("frequencyMax", "periodMax", "count", "countMax", "dayOfWeek")):
        return None
    period, unit = source.number(repeat, "period"), source.text(repeat, "periodUnit")
    if period and period > 0 and unit in _IN_A_DAY:
        moments = max(len(source.texts(repeat, "when")), len(source.texts(repeat, "timeOfDay")), 1)
        times = source.number(repeat, "frequency") if "frequency" in repeat else moments
        return round((times or 0) * _IN_A_DAY[unit] / period, 4) or None
    moments = max(len(source.texts(repeat, "when")), len(source.texts(repeat, "timeOfDay")))
    if moments:
        return float(moments)
    coded = source.obj(timing, "code")
    codes = [source.text(c, "code").upper() for c in source.objs(coded, "coding")] if coded else []
    return next((_TIMES_OF_CODE[c] for c in codes if c in _TIMES_OF_CODE), None)


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _unit(quantity: Quantity, value: float | None) -> str:
    """The unit, in the number that `value` asks for where it is a thing one counts: 1 tablet, 2 tablets, 5 mg."""
    sent = quantity.unit or quantity.code
    word = sent.strip("{}").lower()
    name = word if word in _COUNTED else _SINGULAR.get(word)
    if name is None:
        return sent
    return name if value is not None and value <= 1 else _COUNTED[name]


def _digits(quantity: Quantity | None) -> str:
    return f"{quantity.comparator}{quantity.as_sent}" if quantity is not None and quantity.value is not None else ""


def _amount(quantity: Quantity) -> str:
    return _joined(_digits(quantity), _unit(quantity, quantity.value))


def _range(source: Source, holder: Json, key: str) -> str:
    """'1 to 2 tablets', 'at least 5 mg', 'up to 10 mg'; '' where there is none."""
    item = source.obj(holder, key)
    low, high = quantity_of(source, item, "low"), quantity_of(source, item, "high")
    if low is not None and high is not None and _digits(low) and _digits(high):
        same = not low.unit or _unit(low, 2) == _unit(high, 2)
        return f"{_digits(low) if same else _amount(low)} to {_amount(high)}"
    if low is not None and _digits(low):
        return f"at least {_amount(low)}"
    return f"up to {_amount(high)}" if high is not None and _digits(high) else ""


def _rate(source: Source, holder: Json) -> str:
    """'at 100 mL/h', 'at 1 mg per hour'; '' where there is none."""
    if "rateQuantity" in holder:
        found = quantity_of(source, holder, "rateQuantity")
        return f"at {_amount(found)}" if found and _digits(found) else ""
    if "rateRatio" in holder:
        ratio = source.obj(holder, "rateRatio")
        top, bottom = quantity_of(source, ratio, "numerator"), quantity_of(source, ratio, "denominator")
        return f"at {_amount(top)} per {_span(bottom)}" if top and bottom and _digits(top) else ""
    found_range = _range(source, holder, "rateRange")
    return f"at {found_range}" if found_range else ""


def _span(quantity: Quantity) -> str:
    """The lower half of a rate or a length of time: 'hour', '8 hours', 'kg'."""
    word = _time_word(quantity.code) or _time_word(quantity.unit)
    if quantity.value in (1, None):
        return word or quantity.unit or quantity.code or _digits(quantity)
    return f"{_digits(quantity)} {word}s" if word else _amount(quantity)


def _time_word(unit: str) -> str:
    """'hour' for h, hour and hours; '' for what is no unit of time."""
    return _TIME.get(unit) or (
        unit.lower().removesuffix("s") if unit.lower().removesuffix("s") in _TIME.values() else ""
    )


def _often(source: Source, timing: Json, repeat: Json) -> str:
    """Timing.repeat and Timing.event in words, without their bounds."""
    events = [t[:10] for t in source.texts(timing, "event")]
    count, most = source.number(repeat, "count"), source.number(repeat, "countMax")
    duration = _spread(source, repeat, "duration")
    unit = source.text(repeat, "durationUnit")
    lasting = f"over {duration} {_counted(_TIME.get(unit, unit), duration)}" if duration and unit else ""
    in_all = ""
    if count is not None:
        told = f"{count:g} to {most:g}" if most is not None and most != count else f"{count:g}"
        in_all = f"({told} {_counted('dose', told)} in all)"
    days = [_DAYS.get(d.lower(), d) for d in source.texts(repeat, "dayOfWeek")]
    clock = [t[:5] for t in source.texts(repeat, "timeOfDay")]
    return _joined(
        _cycle(source, repeat),
        _moments(source, repeat),
        f"on {_listed(days)}" if days else "",
        f"at {_listed(clock)}" if clock else "",
        f"on {_listed(events)}" if events else "",
        lasting,
        in_all,
    )


def _cycle(source: Source, repeat: Json) -> str:
    """'once a day', '2 to 3 times a day', 'every 4 to 6 hours', '2 times every 3 days'; '' where it is not said."""
    times, period = _spread(source, repeat, "frequency"), _spread(source, repeat, "period")
    unit = source.text(repeat, "periodUnit")
    word = _TIME.get(unit, unit)
    if not period or not word:
        return {"": "", "1": "once"}.get(times, f"{times} times")
    if times in ("", "1"):
        if period != "1":
            return f"every {period} {word}s"
        return f"once a {word}" if times and unit not in ("s", "min", "h") else f"every {word}"
    if period != "1":
        return f"{times} times every {period} {word}s"
    return f"{times} times {'an' if word == 'hour' else 'a'} {word}"


def _spread(source: Source, repeat: Json, key: str) -> str:
    """`key`, or `key` to `keyMax`; '' where neither is given."""
    least, most = source.number(repeat, key), source.number(repeat, f"{key}Max")
    if least is None or most is None or least == most:
        only = least if least is not None else most
        return "" if only is None else f"{only:g}"
    return f"{least:g} to {most:g}"


def _counted(word: str, number: str) -> str:
    return word if number == "1" else f"{word}s"


def _moments(source: Source, repeat: Json) -> str:
    """'at bedtime', '30 minutes before meals'; codes nobody knows as sent."""
    words = _listed([_MOMENTS.get(code, code) for code in source.texts(repeat, "when")])
    offset = source.number(repeat, "offset")
    if not words or not offset:
        return words
    return f"{offset:g} {_counted('minute', f'{offset:g}')} {words}"


def _listed(words: list[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part) if words else ""


def _need(source: Source, item: Json) -> str:
    """'as needed', with what for where that is told."""
    reason = words_of(source, item, "asNeededCodeableConcept", source.rules)
    if not reason or reason.lower() in _PLAIN_NEED:
        return "as needed"
    return reason if "as needed" in reason.lower() else f"as needed for {reason.removeprefix('for ')}"


def _bounds(source: Source, repeat: Json) -> str:
    """'for 7 days', 'from 2024-05-01 to 2024-05-07', 'until 2024-06-01'; '' where nothing is said."""
    if "boundsDuration" in repeat:
        found = quantity_of(source, repeat, "boundsDuration")
        if found is None or found.value is None or not (found.unit or found.code):
            return ""
        return f"for 1 {_span(found)}" if found.value == 1 else f"for {_span(found)}"
    if "boundsRange" in repeat:
        item = source.obj(repeat, "boundsRange")
        low, high = quantity_of(source, item, "low"), quantity_of(source, item, "high")
        ends = [_digits(low), _span(high) if high and _digits(high) else ""]
        return f"for {' to '.join(e for e in ends if e)}" if ends[1] else ""
    start, end = source.period(repeat, "boundsPeriod")
    if start and end:
        return f"from {start[:10]} to {end[:10]}" if start[:10] != end[:10] else f"on {start[:10]}"
    return f"from {start[:10]}" if start else f"until {end[:10]}" if end else ""
