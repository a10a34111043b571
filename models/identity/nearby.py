"""Which of many records are worth standardizing for one question: a cheap look at the record as it was read.

Wider than the blocking rules of comparisons.py, so that nobody they would compare is passed over, with one exception: an
address and a given name alone (another family name, another birth month, no number in common) never amount to a review.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from models.identity import births, numbers
from models.identity.person import Person
from models.identity.words import fold
from models.record import Demographics


def nearby(asked: Person) -> Callable[[Demographics], bool]:
    """A test for the records that `asked` may be."""
    days = {asked.birth.day, births.swapped(asked.birth.day)} - {""}
    month = asked.birth.day[:7] or asked.birth.partial
    families = set(asked.name.families) | {asked.name.given} - {""}
    values = {asked.national.lstrip("0"), *asked.phones, *asked.emails} - {""}
    values |= {v.rpartition("|")[2] for v in (*asked.records, *asked.documents, *asked.members)}

    def test(entry: Demographics) -> bool:
        born = entry.birth_date or ""
        if born and ((month and born.startswith(month)) or born[:10] in days):
            return True
        if values and any(numbers.plain(i.value) in values for i in entry.identifiers):
            return True
        if values and any(_contact(t) in values for t in entry.telecom):
            return True
        return any(_families(n.family or n.text) & families for n in entry.names)

    return test


def _contact(told: str) -> str:
    value = told.partition(": ")[2].strip().casefold()
    if "@" in value:
        user, _, host = value.removeprefix("mailto:").partition("@")
        return f"{user.partition('+')[0]}@{host}"
    digits = re.sub(r"\D", "", re.split(r"\s*(?:x|ext|extension)\.?\s*\d+\s*$", value)[0]).removeprefix("00")
    return digits[1:] if len(digits) == 11 and digits[0] == "1" else digits


def _families(text: str) -> set[str]:
    folded = fold(text)
    parts = {p for p in re.split(r"[ \-/]", folded) if len(p) > 1}
    return parts | {re.sub(r"[ \-/]", "", folded)}
