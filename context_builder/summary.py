"""The summary that needs no model: sentences printed from the facts of a context, each with its citations.

Complete by construction: every must-include fact is mentioned. Absence is worded as the coverage words it; only an
explicit statement of a source ("no known allergies") is a negative.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from context_builder.document import ContextDocument, CoverageLine, Fact, ShownStatement, Summary
from models.record.chart import Chart

_TITLES: tuple[tuple[str, str, str], ...] = (
    # section, heading, kind of statement
    ("demographics", "Patient", "identity"),
    ("allergies", "Allergies", "allergy"),
    ("problems", "Problems", "problem"),
    ("medications", "Medications", "medication"),
    ("vitals", "Vital signs", "result"),
    ("labs", "Results", "result"),
    ("reports", "Reports", "event"),
    ("encounters", "Recent contacts", "event"),
    ("procedures", "Procedures", "event"),
    ("immunizations", "Immunizations", "event"),
    ("social_history", "Social history", "finding"),
    ("assessments", "Assessments", "finding"),
    ("care_plans", "Care plans", "finding"),
)
_MOST = {"vitals": 8, "labs": 12, "reports": 4, "encounters": 4, "procedures": 4, "immunizations": 4, "notes": 0}
"""Statements of a section besides the must-include ones, which are always made."""
_COVERAGE_WORDS = {
    "empty": "asked, and answered with nothing",
    "not_supported": "not offered by the site",
    "not_authorized": "access was not permitted",
    "failed": "could not be read",
    "not_queried": "not asked",
    "stale": "out of date",
    "truncated": "incomplete, more exists",
    "filtered": "left out by policy",
}


def summarize(doc: ContextDocument, *, chart: Chart | None = None) -> Summary:
    """The deterministic summary of `doc`. `chart` is accepted for the callers that have it; the facts suffice."""
    groups = _grouped(doc.facts)
    statements: list[ShownStatement] = []
    lines = ["# Summary"]
    for section, title, kind in _TITLES:
        made = [_statement(f, kind) for f in groups.get(section, ())]
        if made:
            statements += made
            lines += [f"## {title}", *(_line(s) for s in made)]
    conflicts = [
        ShownStatement(text=_sentence(c.text), cites=c.keys, kind="conflict", source="record") for c in doc.conflicts
    ]
    if conflicts:
        statements += conflicts
        lines += ["## Sources disagree", *(_line(s) for s in conflicts)]
    gaps = [ShownStatement(text=t, cites=(), kind="coverage", source="record") for t in _coverage(doc.coverage)]
    if gaps:
        statements += gaps
        lines += ["## What is not known", *(_line(s) for s in gaps)]
    left_out = _left_out(doc)
    if left_out:
        statements.append(ShownStatement(text=left_out, cites=(), kind="coverage", source="record"))
        lines += ["", left_out]
    return Summary(
        context_id=doc.context_id,
        state="record_only",
        reason="no model was asked: printed from the record",
        statements=tuple(statements),
        text="\n".join(lines),
    )


def _grouped(facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    """The facts a summary mentions, by section: all must-includes, and the first few of the rest."""
    groups: dict[str, list[Fact]] = {}
    extra: dict[str, int] = {}
    for fact in facts:
        if not fact.must_include:
            if extra.get(fact.section, 0) >= _MOST.get(fact.section, 6):
                continue
            extra[fact.section] = extra.get(fact.section, 0) + 1
        groups.setdefault(fact.section, []).append(fact)
    return groups


def _statement(fact: Fact, kind: str) -> ShownStatement:
    text = fact.text
    if fact.section in ("labs", "vitals") and fact.display and not text.startswith(fact.display):
        parts = [
            fact.display,
            fact.value or text,
            fact.unit if fact.value else "",
            f"on {fact.date[:10]}" if fact.date else "",
        ]
        text = " ".join(p for p in parts if p)
    sites = sorted({o.site for o in fact.origin})
    where = f" ({', '.join(sites)})" if sites and not any(s in text for s in sites) else ""
    return ShownStatement(text=_sentence(f"{text}{where}"), cites=(fact.key,), kind=kind, source="record")


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _line(statement: ShownStatement) -> str:
    cites = "".join(f" [{key}]" for key in statement.cites)
    return f"- {statement.text}{cites}"


def _coverage(lines: Iterable[CoverageLine]) -> list[str]:
    """One sentence for each state, naming what it concerns."""
    by_state: dict[str, dict[str, list[str]]] = {}
    for line in lines:
        if line.state in _COVERAGE_WORDS:
            by_state.setdefault(line.state, {}).setdefault(line.site, []).append(line.section.replace("_", " "))
    found = []
    for state, words in _COVERAGE_WORDS.items():
        if state in by_state:
            where = "; ".join(f"{', '.join(sections)} at {site}" for site, sections in sorted(by_state[state].items()))
            found.append(_sentence(f"{words.capitalize()}: {where}"))
    return found


def _left_out(doc: ContextDocument) -> str:
    ledger = doc.ledger
    if not ledger.omitted:
        return ""
    reasons = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in sorted(ledger.by_reason.items()))
    return f"Of {ledger.offered} entries on record {ledger.included} are in the context; {ledger.omitted} are left out ({reasons})."
