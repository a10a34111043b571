"""The summary that needs no model: sentences made of the facts of a context, each with its citations.

Complete by construction: every must-include fact is mentioned, every conflict cites both its sides. Absence is worded as
the coverage words it; only an explicit statement of a source ("no known allergies") is a negative. Each sentence is made
of the printed words, numbers and dates of the facts it cites, so that the verifier (context_builder/verify) accepts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from context_builder.document import ContextDocument, CoverageLine, Fact, ShownStatement, Summary
from context_builder.policies_schema import load_analytes
from models.record.chart import Chart

_MOST_CHARACTERS = 480
"""Of one sentence that lists several facts; a longer list becomes several sentences."""
_MOST_EARLIER = 3
_MOST_PASSAGE = 260
_EXTRA = {
    "past_problems": 10,
    "past_medications": 6,
    "vitals": 1000,
    "labs": 1000,
    "reports": 4,
    "encounters": 6,
    "procedures": 6,
    "immunizations": 8,
    "social_history": 4,
    "assessments": 4,
    "care_plans": 4,
    "notes": 6,
}
"""Facts of a block besides the must-include ones, which are always mentioned; results are chosen further down."""
_REPEATS = {
    "encounters": 3,
    "procedures": 2,
    "immunizations": 2,
    "notes": 3,
    "reports": 3,
    "vitals": 1000,
    "labs": 1000,
}
"""Of these so many of one name, of other blocks one: a cold that came back seven times must not hide a cancer."""
_OTHER_RESULTS = 12
_OTHERS = (
    ("Procedures", "procedures", "event"),
    ("Vaccinations", "immunizations", "event"),
    ("Social history", "social_history", "finding"),
    ("Assessments", "assessments", "finding"),
    ("Care plans", "care_plans", "finding"),
    ("Documents", "notes", "event"),
)
_MARKS = {"H": "high", "L": "low", "A": "abnormal", "abnormal": "abnormal"}
_COVERAGE_WORDS = {
    "empty": "asked, nothing returned",
    "not_supported": "not offered by the site",
    "not_authorized": "access refused",
    "failed": "could not be read",
    "not_queried": "not asked",
    "stale": "may be out of date",
    "truncated": "incomplete, more exists",
    "filtered": "left out by policy",
}
_SAFETY = ("allergies", "problems", "medications")
"""Sections whose silence stands where a reader looks for them."""


@dataclass
class _Page:
    """The summary as it is written."""

    statements: list[ShownStatement] = field(default_factory=list)
    lines: list[str] = field(default_factory=lambda: ["# Summary"])

    def block(self, title: str, said: Iterable[ShownStatement]) -> None:
        """A heading and its sentences; nothing when there is none."""
        made = list(said)
        if made:
            self.statements += made
            self.lines += [f"## {title}", *(f"- {s.text}{''.join(f' [{key}]' for key in s.cites)}" for s in made)]


def summarize(doc: ContextDocument, *, chart: Chart | None = None) -> Summary:
    """The deterministic summary of `doc`. `chart` is accepted for callers that have it; the facts suffice."""
    blocks = _blocks(doc.facts)
    page = _Page()
    several = len({o.site for f in doc.facts for o in f.origin}) > 1

    def told(facts: Iterable[Fact], kind: str) -> list[ShownStatement]:
        return [_say(_line(f) + (_sites(f) if several else ""), [f], kind) for f in facts]

    def known(section: str) -> list[ShownStatement]:
        return [_uncited(t) for t in _silence(doc, section)]

    drugs = blocks.get("medications", [])
    sure = [f for f in drugs if f.status != "uncertain"]
    page.block("Patient", told(blocks.get("demographics", ()), "identity"))
    page.block("Allergies", [*told(blocks.get("allergies", ()), "allergy"), *known("allergies")])
    page.block("Active problems", [*told(_by_name(blocks.get("problems", ())), "problem"), *known("problems")])
    page.block("Current medications", [*told(sure, "medication"), *known("medications")])
    page.block("May not be current", told((f for f in drugs if f not in sure), "medication"))
    page.block("Sources disagree", (_conflict(c.text, c.keys) for c in doc.conflicts))
    page.block("Latest vital signs", _by_day(blocks.get("vitals", ())))
    page.block("Results", _results(blocks.get("labs", ())))
    page.block("Reports", _reports(blocks.get("reports", ())))
    page.block("Contacts", _repeats(blocks.get("encounters", ()), "event"))
    page.block("Past or unconfirmed problems", told(blocks.get("past_problems", ()), "problem"))
    page.block("Past medications", told(blocks.get("past_medications", ()), "medication"))
    for title, block, kind in _OTHERS:
        page.block(title, _repeats(blocks.get(block, ()), kind))
    page.block("What is not known", (_uncited(t) for t in _coverage(doc.coverage)))
    page.block("Completeness", [_uncited(_completeness(doc))])
    return Summary(
        context_id=doc.context_id,
        state="record_only",
        reason="no model was asked: printed from the record",
        statements=tuple(page.statements),
        text="\n".join(page.lines),
    )


def _blocks(facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    """The facts a summary mentions, in the order of the document: all must-includes, and the first few of the rest."""
    blocks: dict[str, list[Fact]] = {}
    extra: dict[str, int] = {}
    told: dict[tuple[str, str], int] = {}
    for fact in facts:
        block = fact.section
        if block in ("problems", "medications") and not fact.must_include:
            block = f"past_{block}"
        elif block in ("problems", "medications") and fact.status == "historical":
            block = f"past_{block}"  # one side of a conflict
        name = (block, fact.display)
        if not fact.must_include:
            full = extra.get(block, 0) >= _EXTRA.get(block, 0) or told.get(name, 0) >= _REPEATS.get(block, 1)
            if full or _says_nothing(fact):
                continue
            extra[block] = extra.get(block, 0) + 1
        told[name] = told.get(name, 0) + 1
        blocks.setdefault(block, []).append(fact)
    return blocks


def _sites(fact: Fact) -> str:
    """Who says it, where several sites speak and the line does not say so itself."""
    names = list(dict.fromkeys(o.site for o in fact.origin))
    return "" if any(f"by {name}" in fact.text for name in names) else f" ({', '.join(names)})"


def _by_name(facts: Iterable[Fact]) -> list[Fact]:
    """Facts of one name side by side, the certain before the uncertain; names in the order of their first mention."""
    names: dict[str, list[Fact]] = {}
    for fact in facts:
        names.setdefault(fact.display, []).append(fact)
    return [f for same in names.values() for f in sorted(same, key=lambda f: f.status == "uncertain")]


def _says_nothing(fact: Fact) -> bool:
    return fact.value.startswith("no value")


def _say(text: str, facts: Sequence[Fact], kind: str) -> ShownStatement:
    return ShownStatement(text=_sentence(text), cites=tuple(f.key for f in facts), kind=kind, source="record")


def _conflict(text: str, keys: Sequence[str]) -> ShownStatement:
    return ShownStatement(text=_sentence(text), cites=tuple(keys), kind="conflict", source="record")


def _uncited(text: str) -> ShownStatement:
    return ShownStatement(text=_sentence(text), cites=(), kind="coverage", source="record")


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "…", "”")) else f"{text}."


def _line(fact: Fact) -> str:
    """The whole line of a fact, also where the document prints only its value, or a passage beside its title."""
    if fact.text.startswith(fact.display):
        return fact.text
    if fact.value:
        return f"{fact.display}: {_value(fact)}" + (f"; {fact.date[:10]}" if fact.date else "")
    return fact.detail if fact.detail.startswith(fact.display) else "; ".join((fact.display, fact.detail)).strip("; ")


def _value(fact: Fact) -> str:
    """Value, unit and mark of a measurement: `8.3 % (high)`."""
    mark = fact.detail.partition("; ")[0]
    mark = "" if mark.startswith("reference") else mark
    said = " ".join(p for p in (fact.value, fact.unit) if p)
    return f"{said} ({_MARKS.get(mark, mark)})" if mark else said


def _packed(parts: Sequence[tuple[str, list[Fact]]], kind: str) -> Iterator[ShownStatement]:
    """Parts joined by semicolons, none longer than a reader takes in at once."""
    text, cited = "", list[Fact]()
    for part, facts in parts:
        if text and len(text) + len(part) > _MOST_CHARACTERS:
            yield _say(text, cited, kind)
            text, cited = "", []
        text = f"{text}; {part}" if text else part
        cited += facts
    if text:
        yield _say(text, cited, kind)


def _same(facts: Sequence[Fact]) -> Iterator[tuple[str, list[Fact]]]:
    """Facts that differ by nothing but their date, as one line with all their dates (at most a handful)."""
    groups: dict[str, list[Fact]] = {}
    for fact in facts:
        line = _line(fact)
        when = fact.date[:10]
        alike = when and line.endswith(f"; {when}") and not fact.negated  # what was not done is told one by one
        head = line.removesuffix(when).rstrip("; ") if alike else ""
        groups.setdefault(head or f"{fact.key} {line}", []).append(fact)
    for head, same in groups.items():
        if len(same) == 1:
            yield _line(same[0]), same
            continue
        for begin in range(0, len(same), _MOST_EARLIER + 1):
            some = same[begin : begin + _MOST_EARLIER + 1]
            yield f"{head} on {_and([f.date[:10] for f in some])}", some


def _and(words: Sequence[str]) -> str:
    return " and ".join(p for p in (", ".join(words[:-1]), words[-1]) if p)


def _repeats(facts: Sequence[Fact], kind: str) -> Iterator[ShownStatement]:
    for line, same in _same(facts):
        yield _say(line, same, kind)


def _by_day(facts: Sequence[Fact]) -> Iterator[ShownStatement]:
    """Measurements of one day in one sentence, newest first; only the latest of each."""
    seen: set[str] = set()
    days: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.display not in seen or fact.must_include:
            seen.add(fact.display)
            days.setdefault(fact.date[:10], []).append(fact)
    for day in sorted(days, reverse=True):
        numbers = sorted((f for f in days[day] if _is_number(f)), key=_place)
        if numbers:
            told = ", ".join(f"{f.display} {_value(f)}" for f in numbers)
            yield _say(f"{told}{f' on {day}' if day else ''}", numbers, "result")
        for fact in days[day]:
            if not _is_number(fact):
                yield _say(_line(fact), [fact], "result")


def _place(fact: Fact) -> tuple[int, str]:
    """The order in which clinicians read measurements; unknown ones come last, by name."""
    order = {a.name: i for i, a in enumerate(load_analytes().analyte)}
    return order.get(fact.display.partition(" (")[0], len(order)), fact.display


def _is_number(fact: Fact) -> bool:
    return fact.value[:1].isdigit() or fact.value[:1] in "<>-"


def _results(facts: Sequence[Fact]) -> Iterator[ShownStatement]:
    """The tests that must be told, each with its earlier values, abnormal ones first; then the others in short."""
    series: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        series.setdefault((fact.display, fact.unit), []).append(fact)
    key = [s for s in series.values() if any(f.must_include for f in s)]
    others = [s[0] for s in series.values() if not any(f.must_include for f in s)]
    others = sorted(others, key=lambda f: (not _is_abnormal(f), _place(f)))[:_OTHER_RESULTS]
    for some in sorted(key, key=lambda s: (not _is_abnormal(s[0]), _place(s[0]))):
        yield from _course(some)
    for fact in (f for f in others if not _is_number(f)):
        yield _say(_line(fact), [fact], "result")
    short = [(f"{f.display} {_value(f)}{f' on {f.date[:10]}' if f.date else ''}", [f]) for f in others if _is_number(f)]
    yield from _packed(short, "result")


def _course(series: Sequence[Fact]) -> Iterator[ShownStatement]:
    """A measurement with what it was before; must-include values beyond the newest few in sentences of their own."""
    latest, *older = series
    if not _is_number(latest):
        for fact in [latest, *(f for f in older if f.must_include)]:
            yield _say(_line(fact), [fact], "result")
        return
    text = f"{latest.display} {_dated(latest)}"
    reference = latest.detail.partition("reference ")[2]
    if reference:
        text += f", reference {reference}"
    before = [f for f in older if _is_number(f)][:_MOST_EARLIER]
    if before:
        text += f"; previously {', '.join(_dated(f) for f in before)}"
    yield _say(text, [latest, *before], "result")
    for fact in older:
        if fact.must_include and fact not in before:
            yield _say(f"{fact.display} {_dated(fact)}" if _is_number(fact) else _line(fact), [fact], "result")


def _dated(fact: Fact) -> str:
    return f"{_value(fact)} on {fact.date[:10]}" if fact.date else _value(fact)


def _is_abnormal(fact: Fact) -> bool:
    mark = fact.detail.partition("; ")[0]
    return bool(mark) and not mark.startswith(("reference", "N", "calc"))


def _reports(facts: Sequence[Fact]) -> Iterator[ShownStatement]:
    """Reports with what they conclude, in their own words and in quotation marks; the others by title and dates."""
    titles = []
    for fact in facts:
        if fact.text.startswith(fact.display):
            titles.append(fact)
            continue
        words = fact.text if len(fact.text) <= _MOST_PASSAGE else fact.text[: _MOST_PASSAGE - 1].rstrip() + "…"
        yield _say(f"{fact.display}{f' on {fact.date[:10]}' if fact.date else ''}: “{words}”", [fact], "event")
    yield from _repeats(titles, "event")


def _silence(doc: ContextDocument, section: str) -> list[str]:
    """What a safety section does not know: why it shows nothing, or which site may have more to say."""
    shown = any(f.section == section and f.status != "historical" for f in doc.facts)
    unknown: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for line in doc.coverage:
        if line.section != section:
            continue
        site = line.site or "the record"
        if line.told:
            unknown.setdefault(_told(line), []).append(site)
            continue
        if line.state in ("present", "none_asserted"):
            said = (
                "asserted by the source to be none" if line.state == "none_asserted" else "no entry is marked current"
            )
            if not shown:
                others.setdefault(said, []).append(site)
        elif line.state != "empty" or not shown:
            unknown.setdefault(_COVERAGE_WORDS[line.state], []).append(site)
    name = section.capitalize()
    found = []
    for lead, words in ((f"{name} {'may be incomplete' if shown else 'unknown'}", unknown), (name, others)):
        if words:
            told = "; ".join(f"{what} ({', '.join(dict.fromkeys(sites))})" for what, sites in words.items())
            found.append(f"{lead}: {told}")
    return found


def _told(line: CoverageLine) -> str:
    """What a document says of a section without entries."""
    return line.told if line.state == "present" else f"the document says: {line.told}"


def _coverage(lines: Sequence[CoverageLine]) -> list[str]:
    """One sentence for each state, naming what it concerns."""
    by_state: dict[str, dict[str, list[str]]] = {}
    for line in lines:
        if line.told:
            by_state.setdefault(_told(line), {}).setdefault(line.site, []).append(line.section.replace("_", " "))
        elif line.state in _COVERAGE_WORDS:
            by_state.setdefault(line.state, {}).setdefault(line.site, []).append(line.section.replace("_", " "))
    found = []
    said = _COVERAGE_WORDS | {_told(line): _told(line) for line in lines if line.told}
    for state, words in said.items():
        if state in by_state:
            where = "; ".join(
                f"{', '.join(dict.fromkeys(sections))}{f' at {site}' if site else ''}"
                for site, sections in sorted(by_state[state].items())
            )
            found.append(f"{words.capitalize()}: {where}")
    partly: dict[str, list[str]] = {}
    for line in lines:
        if line.unasked:
            partly.setdefault(line.site, []).append(line.section.replace("_", " "))
    if partly:
        where = "; ".join(f"{', '.join(s)}{f' at {site}' if site else ''}" for site, s in sorted(partly.items()))
        found.append(f"Asked in part, the rest is unknown: {where}")
    return found


def _completeness(doc: ContextDocument) -> str:
    ledger = doc.ledger
    if not ledger.omitted:
        return f"All {ledger.offered} entries on record are in this context"
    reasons = ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in sorted(ledger.by_reason.items()))
    return f"Of {ledger.offered} entries on record {ledger.included} are in this context; left out: {reasons}"
