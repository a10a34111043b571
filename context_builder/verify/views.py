"""A fact as the verifier compares statements with it: its words, amounts, dates, sides, marks; never its quoted narrative."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import cached_property

from context_builder.document import ContextDocument, Fact
from context_builder.verify.scan import Token, folded_units, scan, units_pattern
from context_builder.verify.words import canonical, lexicon, stem, unit_of

MEASURED = ("labs", "vitals", "assessments", "social_history")
STATEFUL = ("problems", "medications", "allergies", "care_plans")
NARRATIVE = ("notes", "reports")
UNFINISHED = frozenset(
    [
        "planned",
        "proposed",
        "preliminary",
        "registered",
        "cancelled",
        "superseded",
        "preparation",
        "draft",
        "pending",
        "unknown",
    ]
)
"""Statuses that a statement about the fact may not leave out."""

_NAME_ENDS = re.compile(r"[;:(\[]| (?:in|by|of|on|with|without|due to|from|for|caused by|associated with|as|per) ")
_PARENTHESES = re.compile(r"\([^()]*\)")
_ONCE_A_DAY = frozenset(["every morning", "every evening"])
_FLOAT = re.compile(r"(<=|>=|<|>)? ?([+-]?\d[\d,]*(?:\.\d+)?)\Z")
_WORD = re.compile(r"[^\W\d_][^\W_]*(?:'[^\W\d_]+)?")
_SALTS = frozenset(
    [
        "sodium",
        "potassium",
        "calcium",
        "hydrochloride",
        "hcl",
        "tartrate",
        "succinate",
        "besylate",
        "maleate",
        "sulfate",
        "acetate",
        "citrate",
    ]
)


def stems(text: str) -> list[str]:
    """The stems of a canonical text's words, in order; words with digits (`b12`) count as words."""
    return [stem(word) for word in _WORD.findall(text)]


@dataclass(frozen=True)
class Amount:
    """A number a fact holds."""

    value: float
    unit: str
    comparator: str
    text: str
    near: frozenset[str] = frozenset()
    """For a drug of several ingredients: the words of the ingredient this strength belongs to."""

    def says(self, value: float, text: str) -> bool:
        """Whether `text` (read as `value`) states this number: equal, or a long decimal fraction correctly rounded."""
        if value == self.value:
            return True
        decimals, held = len(text.partition(".")[2]), len(self.text.partition(".")[2])
        digits = len(text.replace(".", "").lstrip("-0"))
        return held > max(2, decimals) and (decimals >= 1 or digits >= 3) and round(self.value, decimals) == value


@dataclass
class View:
    """One fact, read once for a document."""

    fact: Fact
    units: re.Pattern[str]
    quote: str = ""
    """Its printed line in canonical form, where a statement may repeat it whole; empty for cells and narrative."""
    tokens: list[Token] = field(default_factory=list)

    def __post_init__(self) -> None:
        fact = self.fact
        self.display = canonical(fact.display)
        detail, text = canonical(fact.detail), canonical(fact.text)
        # A passage is told from a title line by being anything else: one that begins with the title is still a passage.
        title = (fact.display, f"{fact.display}; {fact.detail}")
        self.narrative = fact.section in NARRATIVE and fact.text not in title
        value = canonical(f"{fact.value} {fact.unit}".strip())
        self.value_text = frozenset([value, *value.split()])
        own = "" if self.narrative or not text.startswith(self.display) else text
        detail = detail if self.narrative or not own else ""
        said = [own or self.display, detail, value, _reference(canonical(fact.detail))]
        self.said = " ; ".join(s for s in said if s)
        if own and (fact.section not in ("labs", "vitals") or ":" in own):
            self.quote = own.rstrip(". ")
        self.tokens = scan(self.said, self.units)
        known = lexicon()
        self.words = frozenset(stems(self.said)) | frozenset(stems(self.display)) | self._site_words()
        name = [w for w in stems(_PARENTHESES.sub(" ", self.display)) if w not in known.generic]
        if fact.section == "medications":
            name = [w for w in name if w not in _SALTS] or name
        self.name = frozenset(name) or frozenset(stems(self.display))
        if self.nothing:
            self.name = frozenset(stems(self.display)) - {"no", "known", "not", "none", "any", "of"}
        head = _NAME_ENDS.split(_PARENTHESES.sub(" ", self.display).strip() + " ", maxsplit=1)[0]
        self.head = frozenset(w for w in stems(head) if w not in known.generic)
        if self.nothing:
            self.head = self.name - {"allergy", "problem", "medication"}
        elif fact.section == "medications":
            self.head = frozenset()
        self.starts = (fact.date,) if fact.date else ()
        self.ends = (fact.end_date,) if fact.end_date else ()
        self.dates = frozenset(
            d for d in (fact.date, fact.end_date, *(t.more for t in self.tokens if t.kind == "date")) if d
        )
        self.amounts = self._amounts()
        often = {t.more for t in self.tokens if t.kind == "frequency"}
        self.frequencies = frozenset(often | ({"once a day"} if often & _ONCE_A_DAY else set()))
        self.sides = frozenset(t.more for t in self.tokens if t.kind == "side")
        self.marks = frozenset(t.text for t in self.tokens if t.kind == "mark")
        self.bigrams = frozenset(_bigrams(self.tokens))

    @property
    def section(self) -> str:
        """The fact's section."""
        return self.fact.section

    @property
    def nothing(self) -> bool:
        """Whether the fact says that there is none of its kind."""
        return self.fact.status == "none_asserted"

    @property
    def state(self) -> str:
        """current, historical, uncertain, or empty where the rule of states does not apply."""
        if self.section not in STATEFUL or self.fact.negated:
            return ""
        return self.fact.status if self.fact.status in ("current", "historical", "uncertain") else ""

    @cached_property
    def answer(self) -> str:
        """A worded answer that says what it is about by itself (`never smoker`); empty for all others."""
        words = canonical(self.fact.value) if self.section == "social_history" else ""
        return words if " " in words and not any(c.isdigit() for c in words) else ""

    @property
    def measured(self) -> bool:
        """Whether the fact is a measurement, whose whole name must be told."""
        return self.section in MEASURED

    @cached_property
    def value(self) -> float | None:
        """The measured number, without a comparator."""
        match = _FLOAT.match(self.fact.value.strip())
        return float(match[2].replace(",", "")) if match and not match[1] and self.measured else None

    @cached_property
    def reference(self) -> tuple[float | None, float | None]:
        """Low and high end of the printed reference range."""
        said = _reference(canonical(self.fact.detail))
        numbers = [t for t in scan(said, self.units) if t.kind == "number"]
        if len(numbers) >= 2:
            return numbers[0].value, numbers[1].value
        if len(numbers) == 1 and numbers[0].more in ("<", "<="):
            return None, numbers[0].value
        if len(numbers) == 1 and numbers[0].more in (">", ">="):
            return numbers[0].value, None
        return None, None

    @cached_property
    def interpretation(self) -> str:
        """high, low, normal, abnormal, or empty: from the printed mark, else from the printed range."""
        mark = self.fact.detail.partition(";")[0].strip().split(" ")[0].lower()
        told = {"h": "high", "hh": "high", "hu": "high", "l": "low", "ll": "low", "lu": "low", "n": "normal", "a": "abnormal", "aa": "abnormal"}  # fmt: skip
        if mark in told or mark in ("high", "low", "normal", "abnormal"):
            return told.get(mark, mark)
        low, high = self.reference
        if self.value is None or (low is None and high is None):
            return ""
        if low is not None and self.value < low:
            return "low"
        return "high" if high is not None and self.value > high else "normal"

    @cached_property
    def passage(self) -> str:
        """The quoted passage in canonical form; empty for a fact that quotes nothing."""
        return canonical(self.fact.text) if self.narrative else ""

    @cached_property
    def narrative_words(self) -> frozenset[str]:
        """The words of the quoted passage."""
        return frozenset(stems(self.passage))

    def dated(self, said: str) -> bool:
        """Whether a partial date (as precise as told) is one of the fact's."""
        return any(d.startswith(said) for d in self.dates)

    def _site_words(self) -> frozenset[str]:
        return frozenset(w for o in self.fact.origin for w in stems(canonical(o.site.replace("_", " "))))

    def _amounts(self) -> tuple[Amount, ...]:
        parts = self.display.split(" / ") if self.section == "medications" else []
        found: dict[tuple[float, str, str], Amount] = {}
        if self.measured and self.fact.value:
            tokens = scan(canonical(f"{self.fact.value} {self.fact.unit}".strip()), self.units)
            if not self.fact.unit:
                tokens = [*tokens, *scan(canonical(self.fact.text), self.units)]
        else:
            tokens = self.tokens
        for token in tokens:
            if token.kind in ("number", "age"):
                near: frozenset[str] = frozenset()
                if len(parts) > 1 and token.at < len(self.display):
                    near = frozenset(stems(_part_at(parts, token.at))) & self.name
                key = (token.value, token.unit, token.more)
                comparator = token.more if token.kind == "number" else ""
                found.setdefault(key, Amount(token.value, token.unit, comparator, token.text, near))
        if self.measured and self.fact.unit:
            unit = unit_of(self.fact.unit)
            found = {k: Amount(a.value, a.unit or unit, a.comparator, a.text) for k, a in found.items()}
        return tuple(found.values())

    @cached_property
    def reference_amounts(self) -> tuple[Amount, ...]:
        """The ends of the reference range."""
        tokens = scan(_reference(canonical(self.fact.detail)), self.units)
        return tuple(Amount(t.value, t.unit, t.more, t.text) for t in tokens if t.kind == "number")


def views(doc: ContextDocument) -> Views:
    """The facts of a document by key, each read when first asked for."""
    units = units_pattern(folded_units(f.unit for f in doc.facts))
    return Views({f.key: f for f in doc.facts}, units)


class Views(dict[str, View]):
    """Views by key; a key that is missing is read from its fact."""

    def __init__(self, facts: dict[str, Fact], units: re.Pattern[str]) -> None:
        super().__init__()
        self.facts, self.units = facts, units

    def __missing__(self, key: str) -> View:
        made = self[key] = View(self.facts[key], self.units)
        return made


def _reference(detail: str) -> str:
    at = detail.find("reference ")
    return detail[at:] if at >= 0 else ""


def _part_at(parts: list[str], at: int) -> str:
    place = 0
    for part in parts:
        place += len(part) + 3
        if at < place:
            return part
    return parts[-1]


def _bigrams(tokens: list[Token]) -> list[tuple[str, str]]:
    """Neighbouring tokens, to tell `type 2` and `never smoker` from a number or a negation of the statement's own."""
    pairs = []
    for left, right in itertools.pairwise(tokens):
        pairs.append((token_key(left), token_key(right)))
    return pairs


def token_key(token: Token) -> str:
    """A token as it is compared with its neighbour."""
    return f"{token.value:g}" if token.kind == "number" else stem(token.text)
