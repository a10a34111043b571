"""The verifier: between what a model says and anyone who reads.

A statement is shown only if every rule lets it pass; the reasons of all others are returned with them. Pure; the work is
linear in the text of the statements and of the facts they cite.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from context_builder.document import ContextDocument, ShownStatement, Statement, WithheldStatement
from context_builder.summary import summarize
from context_builder.verify import claims, series
from context_builder.verify.amounts import amounts, pressure_pairs
from context_builder.verify.bind import Clause, bind
from context_builder.verify.reasons import Reason, ReasonCode
from context_builder.verify.scan import QUOTE, scan
from context_builder.verify.shape import MOST_CITES, shape
from context_builder.verify.silence import Silence
from context_builder.verify.views import View, stems, views
from context_builder.verify.words import canonical, lexicon

MOST_STATEMENTS = 200
"""Of one answer; what comes after is withheld unread."""


class Verification(NamedTuple):
    """What may be shown, and what may not with its reasons, each in the order in which it was said."""

    shown: tuple[ShownStatement, ...]
    withheld: tuple[WithheldStatement, ...]

    def by_code(self) -> dict[str, int]:
        """How often each reason was given."""
        counts: dict[str, int] = {}
        for statement in self.withheld:
            for reason in statement.reasons:
                code = reason.partition(":")[0]
                counts[code] = counts.get(code, 0) + 1
        return dict(sorted(counts.items()))


def verify(statements: Sequence[Statement], doc: ContextDocument) -> Verification:
    """Compare each statement with the facts of `doc` that it cites. Of a shown one, the citations it speaks of are kept."""
    reader = Reader(doc)
    shown: list[ShownStatement] = []
    withheld: list[WithheldStatement] = []
    for index, statement in enumerate(statements):
        if index >= MOST_STATEMENTS:
            reasons, cites = [Reason("too_many", f"more than {MOST_STATEMENTS}")], statement.cites
        else:
            reasons, cites = reader.read(statement)
        if reasons:
            withheld.append(WithheldStatement(statement=statement, reasons=tuple(map(str, reasons))))
        else:
            shown.append(ShownStatement(text=statement.text.strip(), cites=cites, kind=statement.kind, source="model"))
    return Verification(tuple(shown), tuple(withheld))


class Reader:
    """A document, prepared for the statements about it."""

    def __init__(self, doc: ContextDocument) -> None:
        self.doc = doc
        self.views = views(doc)
        self.keys = {f.key for f in doc.facts}
        self.people = [self.views[f.key] for f in doc.facts if f.section == "demographics"]
        self.complete = _complete(doc)
        own = summarize(doc).statements
        self.silence = Silence(doc, frozenset(canonical(s.text) for s in own if not s.cites))
        self.conflicts = [(canonical(c.text), frozenset(c.keys)) for c in doc.conflicts]

    def read(self, statement: Statement) -> tuple[list[Reason], tuple[str, ...]]:
        """Why the statement is not shown, each reason once (empty when it is), and the keys of the facts it speaks of."""
        found = list(dict.fromkeys(shape(statement.text)))
        if any(r.code == "too_long" for r in found):
            return found, ()
        if not statement.cites:
            if statement.kind != "coverage":
                return [*found, Reason("no_citation")], ()
            return [*found, *self.silence.check(statement.text)], ()
        unknown = [c for c in statement.cites if c not in self.keys]
        if unknown:
            return [*found, Reason("unknown_citation", ", ".join(u[:12] for u in unknown[:5]))], ()
        if len(set(statement.cites)) > MOST_CITES:
            return [*found, Reason("too_many", f"more than {MOST_CITES} citations")], ()
        cited = [self.views[key] for key in dict.fromkeys(statement.cites)]
        said, subjects = self._said(statement, cited)
        return list(dict.fromkeys([*found, *said])), tuple(v.fact.key for v in cited if v.fact.key in subjects)

    def _said(self, statement: Statement, cited: list[View]) -> tuple[list[Reason], frozenset[str]]:
        text, reported = _reported(statement.text, cited)
        text, conflict = self._without_conflicts(canonical(text), cited)
        text, quoted = _quotes(text, cited)
        quoted |= reported
        clauses = bind(scan(text, self.views.units), cited)
        conflict |= self._disagreement(clauses, cited)
        subjects = {v.fact.key: v for c in clauses for v in c.subjects}
        if not subjects and not conflict:
            quotes = frozenset().union(*(v.narrative_words for v in cited)) - lexicon().plain
            code: ReasonCode = "narrative_claim" if quotes & set(stems(text)) else "citation_unrelated"
            return [Reason(code, ", ".join(v.fact.key for v in cited[:5]))], frozenset()
        found = list(claims.kind_of(statement.kind, cited))
        for view in subjects.values():
            if view.fact.key not in conflict:
                found += claims.states(view, clauses, view.fact.key in quoted)
        found += claims.doubled(clauses)
        found += claims.conflicting([v for v in cited if v.fact.key in conflict], clauses) if conflict else ()
        found += claims.absences(clauses, conflict)
        found += claims.identity(clauses, self.people)
        found += _persons(statement.text, text, cited, self.people)
        allowed = frozenset().union(*(v.name for v in self.people))
        for clause in clauses:
            found += self._clause(clause, cited, quoted, allowed)
        return found, frozenset(subjects) | conflict

    def _clause(
        self, clause: Clause, cited: Sequence[View], quoted: Iterable[str], allowed: frozenset[str]
    ) -> Iterator[Reason]:
        facts = self.doc.facts
        for piece in clause.pieces:
            yield from claims.terms(piece, cited, allowed)
            for view in piece.subjects:
                yield from claims.names(view, clause, piece, view.fact.key in quoted)
            yield from claims.sides(piece)
            yield from claims.relations(clause, piece)
            yield from amounts(piece, clause, self.doc.as_of)
            yield from pressure_pairs(piece)
            yield from series.ranges(piece)
        yield from series.trend(clause, facts)
        yield from series.order(clause, facts, self.complete)
        yield from series.counts(clause, facts, self.complete)

    def _without_conflicts(self, text: str, cited: Sequence[View]) -> tuple[str, frozenset[str]]:
        """`text` without a conflict told in the document's own words, and the keys of its sides if all are cited."""
        keys = {v.fact.key for v in cited}
        for told, sides in self.conflicts:
            if sides <= keys and told in text:
                return text.replace(told, " ", 1), sides
        return text, frozenset()

    def _disagreement(self, clauses: Sequence[Clause], cited: Sequence[View]) -> frozenset[str]:
        """The sides of the document's conflicts, all cited, of a statement that says that sources disagree."""
        keys = {v.fact.key for v in cited}
        if not claims.disagreement(clauses):
            return frozenset()
        return frozenset().union(*(sides for _, sides in self.conflicts if sides <= keys))


_LONG_QUOTATION = 80
_PASSAGE = re.compile('[\u201c"](.{1,2000})[\u201d"]')


def _reported(text: str, cited: Sequence[View]) -> tuple[str, frozenset[str]]:
    """`text` without a passage of a report's own that it repeats word by word, in quotation marks, after the report's name.

    What a report says is shown as its words. What a note says is not: anybody may have written into it.
    """
    match = _PASSAGE.search(text)
    if match is None:
        return text, frozenset()
    passage = canonical(match[1]).strip(". ")
    cut = match[1].rstrip().endswith("\u2026")
    rest = f"{text[: match.start()]} {text[match.end() :]}"
    told = frozenset(stems(canonical(text[: match.start()])))
    for view in cited:
        if view.section == "reports" and view.name <= told and _whole_sentences(passage, view.passage, cut):
            return rest, frozenset([view.fact.key])
    return text, frozenset()


def _whole_sentences(part: str, passage: str, cut: bool) -> bool:
    """Whether `part` stands in `passage` from the beginning of a sentence to the end of one, so that no `no` is left out.

    A long quotation may stop anywhere if it says so with an ellipsis (`cut`).
    """
    at = passage.find(part)
    if at < 0 or not part:
        return False
    before, after = passage[:at].rstrip(), passage[at + len(part) :].lstrip()
    ends = not after or after[0] in ".!?/" or (cut and len(part) >= _LONG_QUOTATION)
    return (not before or before[-1] in ".!?/") and ends


def _quotes(text: str, cited: Sequence[View]) -> tuple[str, frozenset[str]]:
    """`text` with each cited fact's whole line, where it is repeated word by word, replaced by a token for the fact."""
    lines: dict[str, list[int]] = {}
    for index, view in enumerate(cited):
        for line in (view.quote, view.answer):
            if line:
                lines.setdefault(line, []).append(index)
    quoted: set[str] = set()
    for line in sorted(lines, key=len, reverse=True):
        at = text.find(line)
        end = at + len(line)
        if at < 0 or text[at - 1 : at].isalnum() or text[end : end + 1].isalnum():
            continue
        marks = " ".join(f"{QUOTE}{chr(0xE100 + index)}" for index in lines[line])
        text = f"{text[:at]} {marks} {text[end:]}"
        quoted |= {cited[index].fact.key for index in lines[line]}
    return text, frozenset(quoted)


def _persons(original: str, text: str, cited: Sequence[View], people: Sequence[View]) -> Iterator[Reason]:
    """People who are not the patient: relatives, and names after a title that no cited fact has."""
    known = lexicon()
    words = frozenset().union(*(v.words for v in cited))
    for match in known.others.pattern.finditer(text):
        if not set(stems(match[0])) <= words:
            yield Reason("other_person", match[0])
            return
    named = words | frozenset().union(*(v.words for v in people)) if people else words
    found = re.findall(r"[^\W\d_][\w'-]*", original)
    for before, word in itertools.pairwise(found):
        stranger = word[:1].isupper() and not set(stems(canonical(word))) <= named | known.plain
        if stranger and (before.lower() in known.titles or before.lower() == "patient"):
            yield Reason("other_person", f"{before} {word}")
            return


def _complete(doc: ContextDocument) -> frozenset[str]:
    """Sections whose every site answered in full and of which no entry was left out, so that a first or a total can be told."""
    left_out = {o.section for o in doc.omitted if o.reason not in ("duplicate", "entered_in_error")}
    partial = {line.section for line in doc.coverage if line.state not in ("present", "none_asserted", "empty")}
    return frozenset(f.section for f in doc.facts) - left_out - partial
