"""What a statement says about a fact besides its amounts: whether it holds, still holds, on which side, for whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from context_builder.verify.bind import Clause, Piece, is_own_wording, marks_on
from context_builder.verify.reasons import Reason, ReasonCode
from context_builder.verify.scan import Token
from context_builder.verify.views import UNFINISHED, View, stems
from context_builder.verify.words import lexicon, stem

_NEGATIVE_WORDS = frozenset(["no", "not", "never", "none", "negative", "absent"])
_ALLERGIC = frozenset(["allergy", "allergic", "intolerance", "intolerant", "reaction", "adverse", "hypersensitivity"])
_INPATIENT = frozenset(["admission", "admitted", "hospitalization", "hospitalized"])
_INPATIENT_WORDS = frozenset(["inpatient", "hospital", "admission", "emergency", "observation", "hospitalization"])
_INDICATION = frozenset(["for", "against"])
_UNDER_WAY = ("in-progress", "arrived", "triaged", "onleave")
_DETAIL_QUALIFIES = ("problems", "allergies")
_HAPPENED = frozenset(["done", "given", "performed", "received", "administered", "occurred"])
_CERTAIN = frozenset(["confirmed"])
_DISAGREE = frozenset(
    stem(w)
    for w in [
        "conflict",
        "conflicts",
        "conflicting",
        "disagree",
        "disagrees",
        "disagreement",
        "differ",
        "differs",
        "contradict",
        "contradicts",
    ]
)
_KIND_SECTIONS = {
    "identity": ("demographics",),
    "problem": ("problems",),
    "medication": ("medications",),
    "allergy": ("allergies",),
    "result": ("labs", "vitals", "assessments", "social_history", "reports"),
}


def disagreement(clauses: Sequence[Clause]) -> bool:
    """Whether the statement says that sources disagree."""
    return any(_DISAGREE & c.words for c in clauses)


def states(view: View, clauses: Sequence[Clause], quoted: bool) -> Iterator[Reason]:
    """Current, past, uncertain, absent: as the fact says. `quoted`: the statement repeats the fact's whole line."""
    marks = marks_on(view, clauses)
    yield from _absent_or_not(view, marks, clauses, quoted)
    if view.state:
        yield from _lasting_or_over(view, marks, clauses, quoted)
    else:
        yield from _event(view, marks, clauses, quoted)


def _absent_or_not(view: View, marks: Sequence[Token], clauses: Sequence[Clause], quoted: bool) -> Iterator[Reason]:
    key, negative = view.fact.key, view.fact.negated or view.nothing
    told = any(t.more == "negative" for t in marks)
    words = {t.text for c in clauses for t in c.of("word")}
    if view.fact.negated and not quoted and _HAPPENED & words:
        yield Reason("negation_mismatch", f"{key} was not done")
    if negative and not told and not quoted:
        yield Reason("negation_mismatch", f"{key} is a negative")
    if not negative and told:
        yield Reason("negation_mismatch", f"{_first(marks, 'negative')}: {key} is not a negative")
    if not negative and view.measured and not quoted:
        held = _NEGATIVE_WORDS & frozenset(stems(view.fact.value.lower()))
        if held and not held & frozenset().union(*(c.words for c in clauses)):
            yield Reason("negation_mismatch", f"{key} says {sorted(held)[0]}")


def _lasting_or_over(view: View, marks: Sequence[Token], clauses: Sequence[Clause], quoted: bool) -> Iterator[Reason]:
    """Problems, medications, allergies, plans: told in the state they are in. What is not current must be called so."""
    key, state = view.fact.key, view.state
    told = {t.more for t in marks if t.more not in ("negative", "perfect")}
    own = {"current": "current", "historical": "past", "uncertain": "uncertain"}[state]
    strange = sorted(told - {own}) if own != "uncertain" or own not in told else []
    if strange:
        yield Reason("status_mismatch", f"{_first(marks, strange[0])}: {key} is {state}")
        return
    ended = any(end.startswith(t.more) for c in clauses for t in c.of("date") for end in view.ends)
    since = any(t.text == "since" for c in clauses for p in c.pieces for t in p.tokens)
    once = (
        any(t.more == "perfect" for t in marks) and not since
    )  # `has had gout`; `has had gout since 2010` says it lasts
    if state != "current" and not quoted and own not in told and not (state == "historical" and (ended or once)):
        yield Reason("status_mismatch", f"told as if it held now: {key} is {state}")


def _event(view: View, marks: Sequence[Token], clauses: Sequence[Clause], quoted: bool) -> Iterator[Reason]:
    """Results, visits, procedures: not told as under way, as no longer so, or as finished where they are not."""
    key, status = view.fact.key, view.fact.status.lower()
    for token in marks:
        under_way = token.more == "current" and view.section == "encounters" and status not in _UNDER_WAY
        if under_way or token.more == "uncertain" or token.text.startswith(("no longer", "used to")):
            yield Reason("status_mismatch", f"{token.text}: {key}")
            return
    said = {w for c in clauses for p in c.pieces for t in p.tokens for w in t.text.split()}
    if status in UNFINISHED and not quoted and status not in said:
        yield Reason("status_mismatch", f"{key} is {status}")


def _first(marks: Sequence[Token], meaning: str) -> str:
    return next(t.text for t in marks if t.more == meaning)


def doubled(clauses: Sequence[Clause]) -> Iterator[Reason]:
    """`not absent`, `no longer over`: two negations in a row are nothing a reader should have to resolve."""
    for clause in clauses:
        for piece in clause.pieces:
            for left, right in pairwise(piece.tokens):
                both = left.kind == right.kind == "mark" and "neutral" not in (left.more, right.more)
                if both and left.more == right.more == "negative":
                    yield Reason("negation_mismatch", f"{left.text} {right.text}")
                elif both and left.text.startswith("no longer") and right.more == "past":
                    yield Reason("status_mismatch", f"{left.text} {right.text}")


def conflicting(subjects: Sequence[View], clauses: Sequence[Clause]) -> Iterator[Reason]:
    """Where sources disagree both sides may be told, and nothing that is on neither side."""
    held = {v.state for v in subjects} | {"negative" for v in subjects if v.fact.negated or v.nothing}
    names = {"past": "historical"}
    for clause in clauses:
        for piece in clause.pieces:
            if not any(v in subjects for v in piece.subjects):
                continue
            for token in piece.of("mark"):
                if token.more in ("neutral", "perfect") or names.get(token.more, token.more) in held:
                    continue
                code: ReasonCode = "negation_mismatch" if token.more == "negative" else "status_mismatch"
                yield Reason(code, token.text)


def absences(clauses: Sequence[Clause], exempt: frozenset[str]) -> Iterator[Reason]:
    """A negative that no cited fact takes: `denies chest pain`, `no other problems`."""
    for clause in clauses:
        for piece in clause.pieces:
            for mark in piece.of("mark"):
                if {v.fact.key for v in piece.subjects} & exempt:
                    continue  # a side of a conflict: `conflicting` answers for it
                if mark.more != "negative" or any(is_own_wording(mark, piece, v) for v in piece.subjects):
                    continue
                negatives = [v for v in piece.subjects if v.nothing or (v.fact.negated and not piece.by_kind)]
                if not negatives:
                    yield Reason("unsupported_absence", mark.text)
                    return


def names(view: View, clause: Clause, piece: Piece, quoted: bool) -> Iterator[Reason]:
    """The name told must not say more, or something else, than the fact's: `pulmonary` hypertension, `family history of`."""
    if quoted or not piece.named:
        return
    told = clause.words
    missing = view.head - told
    if missing & {"systolic", "diastolic"} and len(piece.of("number")) == 2:
        missing = missing - {"systolic", "diastolic"}
    kinds = {w for w in missing | told if view.section in lexicon().kinds.get(w, ())}
    if kinds & told:
        missing = missing - kinds  # `admitted` for a fact called an admission
    shared = (told & view.name) - lexicon().plain
    if missing and (shared or view.nothing):
        yield Reason("qualifier_dropped", f"{view.fact.key}: {', '.join(sorted(missing)[:4])}")
        return
    text = " ".join(t.text for p in clause.pieces for t in p.tokens)
    if not shared:
        return
    denied = _DENIES.match(view.display)
    if denied and not view.nothing and not _DENYING & set(text.split()):
        yield Reason("qualifier_dropped", f"{view.fact.key}: {denied[0]}")
        return
    for group in lexicon().qualifiers:
        held = group.pattern.search(view.display) or (
            group.pattern.search(view.said) if view.section in _DETAIL_QUALIFIES and not view.fact.negated else None
        )
        if not held or group.pattern.search(text) or view.nothing:
            continue
        if view.section == "allergies" and "allergy" in group.meaning:
            continue
        yield Reason("qualifier_dropped", f"{view.fact.key}: {held[0]}")


_DENYING = frozenset(["no", "not", "never", "denies", "denied", "without", "negative"])
_DENIES = re.compile(rf"(?:{'|'.join(sorted(_DENYING))})\b")
"""A name that begins so denies what follows: `not diabetic` does not speak of a diabetic."""


def sides(piece: Piece) -> Iterator[Reason]:
    """Left, right, both."""
    for token in piece.of("side"):
        if not any(token.more in v.sides for v in piece.subjects):
            yield Reason("laterality_mismatch", token.text)


def relations(clause: Clause, piece: Piece) -> Iterator[Reason]:
    """A kind of fact the cited ones are not of, and a purpose nobody recorded."""
    words = piece.words
    kinds = lexicon().kinds
    sections = {v.section for v in piece.subjects}
    allergic = bool(clause.words & _ALLERGIC)
    for token in piece.tokens:
        for word in token.text.split() if token.kind in ("word", "mark") else ():
            wanted = kinds.get(word)
            if wanted is None or any(stem(word) in v.words for v in piece.subjects):
                continue
            if sections & set(wanted) or (allergic and sections == {"allergies"} and "medications" in wanted):
                continue
            if wanted == ("demographics",) or (
                set(wanted) & {"labs", "vitals"} and sections & {"labs", "vitals", "reports", "assessments"}
            ):
                continue
            if set(wanted) & {"reports", "notes"} and word not in ("note", "notes", "document", "documents"):
                continue  # "reports" is a verb as well
            yield Reason("relation_mismatch", word)
            return
    if sections == {"allergies"} and words & {"take", "taking", "prescribed", "prescription", "receives", "receiving"}:
        yield Reason("relation_mismatch", "an allergy told as a medication")
    if words & _INPATIENT and not any(v.words & _INPATIENT_WORDS for v in piece.subjects):
        yield Reason("relation_mismatch", "told as an admission")
    yield from _headed(clause, piece)
    yield from _purpose(piece)


def _headed(clause: Clause, piece: Piece) -> Iterator[Reason]:
    """`Allergies: A, B` and `takes A and B`: the word at the head of a list holds for all of it."""
    head = next((p for p in clause.pieces if p.named), piece)
    if head is piece or not piece.named or piece.has_verb or clause.pieces.index(head) > clause.pieces.index(piece):
        return
    kinds = lexicon().kinds
    told = [
        w for t in head.tokens[: max(head.first_name, 0)] for w in t.text.split() if w in kinds and t.kind != "quote"
    ]
    wanted = {s for w in told for s in kinds[w]} - {"demographics", "reports", "notes"}
    sections = {v.section for v in piece.subjects}
    if wanted and {v.section for v in head.subjects} & wanted and not sections & wanted:
        yield Reason("relation_mismatch", f"{told[0]}: {', '.join(sorted(sections))}")


def _purpose(piece: Piece) -> Iterator[Reason]:
    """`metformin for type 2 diabetes`: only where the drug's, visit's or procedure's own line says so."""
    for at, token in enumerate(piece.tokens):
        if token.kind != "word" or token.text not in _INDICATION:
            continue
        before = {stem(t.text) for t in piece.tokens[:at]}
        after = {stem(t.text) for t in piece.tokens[at + 1 :] if t.kind in ("word", "side")}
        for view in piece.subjects:
            content = after & frozenset().union(*(v.name for v in piece.subjects)) - lexicon().plain
            if view.name & before and not view.name & content and content - view.words:
                yield Reason("relation_mismatch", f"for {' '.join(sorted(content - view.words))}")
                return


def kind_of(kind: str, cited: Sequence[View]) -> Iterator[Reason]:
    """The heading a statement asks for must be one of its facts'."""
    wanted = _KIND_SECTIONS.get(kind)
    if wanted and not any(v.section in wanted for v in cited):
        yield Reason("relation_mismatch", f"kind {kind}")


def identity(clauses: Sequence[Clause], people: Sequence[View]) -> Iterator[Reason]:
    """The patient's sex, in words and pronouns."""
    known = lexicon()
    sexes = {w for v in people for w in v.words & {"male", "female"}}
    for clause in clauses:
        for token in clause.of("word"):
            told = "male" if token.text in known.male else "female" if token.text in known.female else ""
            if told and told not in sexes:
                yield Reason("identity_mismatch", token.text)
                return


def terms(piece: Piece, cited: Sequence[View], allowed: frozenset[str]) -> Iterator[Reason]:
    """Every word is plain language or a subject's own; anything else is named for what it is."""
    known = lexicon()
    own = frozenset().union(*(v.words for v in piece.subjects)) | allowed
    for token in piece.of("word"):
        if token.more.startswith("comparator") or token.more in known.plain or token.more in own:
            continue
        if any(token.more in v.narrative_words for v in cited):
            yield Reason("narrative_claim", token.text)
        else:
            yield Reason(_term_code(token.more), token.text)
        return
    for token in piece.of("mark", "trend", "range"):
        if token.text in _CERTAIN and token.more not in own:
            yield Reason("unsupported_term", token.text)


def _term_code(word: str) -> ReasonCode:
    known = lexicon()
    if word in known.drugs:
        return "unsupported_drug"
    return "unsupported_condition" if word in known.conditions else "unsupported_term"
