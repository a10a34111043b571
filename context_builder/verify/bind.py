"""A statement cut into clauses and pieces, each bound to the cited facts it speaks of.

A clause ends at `.`, `;`, `but`, `while`, ...; a piece at a comma, `and`, `or`. A piece speaks of the cited facts whose
names share the most of its words; without a name of its own it speaks of what the piece before it (or, at the beginning,
the one after it) speaks of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from context_builder.verify.scan import Token
from context_builder.verify.views import STATEFUL, View, token_key
from context_builder.verify.words import lexicon, stem

_VERBS = frozenset(["is", "are", "was", "were", "has", "have", "takes", "take", "had"])


@dataclass
class Piece:
    """Some tokens and the facts they speak of."""

    tokens: list[Token]
    opener: str = ""
    subjects: list[View] = field(default_factory=list)
    named: bool = False
    by_kind: bool = False
    first_name: int = -1
    last_name: int = -1

    @cached_property
    def words(self) -> frozenset[str]:
        """Stems of its words, marks and claims included."""
        return frozenset(stem(w) for t in self.tokens for w in t.text.split() if t.kind != "quote")

    def of(self, *kinds: str) -> list[Token]:
        """Its tokens of these kinds."""
        return [t for t in self.tokens if t.kind in kinds]

    @property
    def has_predicate(self) -> bool:
        """Whether something is said of it within it: a verb or a state after its name."""
        rest = self.tokens[self.last_name + 1 :] if self.last_name >= 0 else []
        return any(t.kind == "mark" or t.text in _VERBS for t in rest)

    @property
    def has_verb(self) -> bool:
        """Whether it is a sentence of its own."""
        return any(t.text.split()[0] in _VERBS for t in self.tokens if t.kind in ("word", "mark"))


@dataclass
class Clause:
    """What stands between two full stops or their like."""

    pieces: list[Piece]

    @property
    def subjects(self) -> list[View]:
        """The facts its pieces speak of, each once."""
        return list({v.fact.key: v for p in self.pieces for v in p.subjects}.values())

    @cached_property
    def words(self) -> frozenset[str]:
        """Stems of its words."""
        return frozenset().union(*(p.words for p in self.pieces))

    def of(self, *kinds: str) -> list[Token]:
        """Its tokens of these kinds."""
        return [t for p in self.pieces for t in p.of(*kinds)]


def bind(tokens: Sequence[Token], cited: Sequence[View]) -> list[Clause]:
    """The clauses of a statement. A clause without any subject speaks of what the clause before it speaks of."""
    clauses = [Clause(_pieces(part)) for part in _split(tokens)]
    clauses = [c for c in clauses if c.pieces]
    last: list[View] = []
    for clause in clauses:
        for piece in clause.pieces:
            piece.subjects, piece.named = _named(piece, clause, cited)
            _locate(piece)
            piece.by_kind = piece.named and piece.first_name < 0
            if piece.named:
                last = piece.subjects
            elif not piece.subjects:
                piece.subjects = last
    following: list[View] = []
    for clause in reversed(clauses):
        for piece in reversed(clause.pieces):
            following = piece.subjects or following
            piece.subjects = piece.subjects or following
    return clauses


def _split(tokens: Sequence[Token]) -> Iterable[list[Token]]:
    part: list[Token] = []
    for token in tokens:
        if token.kind == "strong":
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _pieces(tokens: list[Token]) -> list[Piece]:
    pieces = [Piece([])]
    for token in tokens:
        if token.kind == "weak":
            pieces.append(Piece([], opener=token.text))
        else:
            pieces[-1].tokens.append(token)
    return [p for p in pieces if p.tokens]


def _named(piece: Piece, clause: Clause, cited: Sequence[View]) -> tuple[list[View], bool]:
    """The facts a piece names: quoted ones, else those that share most of its words, else those of the kind it names."""
    quoted = [cited[int(t.value)] for t in piece.of("quote") if int(t.value) < len(cited)]
    # A fact told by its whole line lends its name to the cited ones of the same name: `X; since A; since B`.
    lines = {v.display for v in quoted}
    quoted += [v for v in cited if v.display in lines and v not in quoted]
    words = piece.words
    shared = [(v, words & v.name) for v in cited if v not in quoted]
    shared = [(v, common) for v, common in shared if common and (not common <= lexicon().plain or v.name <= words)]
    best = [v for v, common in shared if not any(common < other for _, other in shared)]
    told = clause.words
    whole = [v for v in best if v.head <= told and v.head]
    best = [v for v in best if v in whole or not any((v.name & words) <= (w.name & words) for w in whole)]
    best = _by_strength(piece, best)
    if quoted or best:
        return quoted + best + _described(piece, cited, [*quoted, *best]), True
    kinds = {s for t in piece.tokens for w in t.text.split() for s in lexicon().kinds.get(w, ())}
    of_kind = [v for v in cited if v.section in kinds]
    plainly = [v for v in of_kind if v.name <= lexicon().plain or v.nothing]
    return (plainly or of_kind), bool(of_kind)


def _by_strength(piece: Piece, best: list[View]) -> list[View]:
    """Of drugs or problems with the same name, those that have the piece's amounts: `metformin 500 mg` is not the 1000 mg one."""
    amounts = [t for t in piece.of("number") if t.unit]
    if not amounts:
        return best
    fitting = [
        v for v in best if all(any(a.says(t.value, t.text) and a.unit == t.unit for a in v.amounts) for t in amounts)
    ]
    names = {v.name for v in fitting}
    return [v for v in best if v in fitting or v.section not in STATEFUL or v.name not in names]


def _described(piece: Piece, cited: Sequence[View], named: Sequence[View]) -> list[View]:
    """The person, where a piece about something else tells an age or a birth (`68-year-old woman with hypertension`)."""
    if not piece.of("age") and "born" not in piece.words:
        return []
    return [v for v in cited if v.section == "demographics" and v not in named]


def _locate(piece: Piece) -> None:
    """Where the first and the last word of a name stand, to tell what stands before and after it."""
    names = frozenset().union(*(v.name for v in piece.subjects)) if piece.named else frozenset()
    places = [
        i
        for i, t in enumerate(piece.tokens)
        if t.kind == "quote" or (t.kind in ("word", "side") and stem(t.text) in names)
    ]
    piece.first_name, piece.last_name = (places[0], places[-1]) if places else (-1, -1)


def marks_on(view: View, clauses: Sequence[Clause]) -> list[Token]:
    """The marks (current, past, uncertain, negative) a statement puts on `view`.

    Those of the pieces that speak of it; besides, within its clause, those before an earlier name and those after a later
    one: of `no asthma or hypertension` the negation reaches both, `asthma and hypertension were resolved` reaches both,
    `hypertension and resolved asthma` leaves the first alone. A piece with a verb of its own is reached by nothing but an
    `or`. Marks that are the fact's own wording (`never smoker`, `history of falls`) claim nothing.
    """
    found: list[Token] = []
    for clause in clauses:
        for at, piece in enumerate(clause.pieces):
            if not any(v is view for v in piece.subjects):
                continue
            negative = view.fact.negated or view.nothing
            own = [
                t for t in piece.of("mark") if (negative and t.more == "negative") or not is_own_wording(t, piece, view)
            ]
            found += own
            if not piece.named:
                continue
            reached: list[Token] = []
            if not piece.has_verb or piece.opener in ("or", "nor"):
                for before in clause.pieces[:at]:
                    if before.named:
                        reached += [t for t in before.tokens[: before.first_name] if t.kind == "mark"]
            if not piece.has_verb:
                for after in clause.pieces[at + 1 :]:
                    if after.named:
                        reached += [t for t in after.tokens[after.last_name + 1 :] if t.kind == "mark"]
            states = any(t.more != "negative" for t in own)
            found += [t for t in reached if t.more == "negative" or not states]
    return [t for t in found if t.more != "neutral"]


def is_own_wording(token: Token, piece: Piece, view: View) -> bool:
    """Whether a word is part of the fact's own wording: its neighbour here is its neighbour there."""
    at = next(i for i, t in enumerate(piece.tokens) if t is token)
    key = token_key(token)
    after = token_key(piece.tokens[at + 1]) if at + 1 < len(piece.tokens) else ""
    before = token_key(piece.tokens[at - 1]) if at else ""
    if (key, after) in view.bigrams or (before, key) in view.bigrams:
        return True
    return view.measured and token.text in view.value_text and piece.named
