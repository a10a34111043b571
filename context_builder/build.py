"""`build_context`: Chart to ContextDocument under a hard token budget.

The budget is a promise about the finished text. What must be shown is printed first, at the roomiest level that leaves
space; then facts are added in the order of their rank as far as the *rendered* text allows. Nothing is estimated.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from context_builder.document import BadContextRequest, BudgetTooSmall, ContextDocument, ContextRequest
from context_builder.facts import (
    PREFIX_BLOCKS,
    Calendar,
    Candidate,
    Limits,
    Sorted,
    coverage_rows,
    ended,
    ordered,
    sort_out,
)
from context_builder.facts_text import clean, numbers_in
from context_builder.facts_words import TIGHTEST, Level, Printed, Wording, digits_of
from context_builder.policies_schema import Policy, load_analytes, load_policy
from context_builder.render import Page, Rendered
from context_builder.select import mark_musts, name_analytes, question_terms, rank
from context_builder.tokens import Tokenizer, tokenizer_for
from models.record.chart import Chart, Conflict
from models.record.coverage import SECTIONS, Coverage
from models.record.dates import is_partial_date
from models.record.entries import AnyEntry, Observation

# A level is roomy enough when what must be shown takes no more than this share of the budget.
_PREFIX_SHARE = (0.30, 0.45)
_BASE_SHARE = (0.55, 0.80)
_FILL_TRIES = 16
_TOKENS_A_FACT = 24


class Choice(NamedTuple):
    """A selection that fits, as printed."""

    rendered: Rendered
    tokens: int


def build_context(chart: Chart, request: ContextRequest) -> ContextDocument:
    """The context of `chart` for `request`; `token_count <= budget_tokens` of the rendered text, always.

    Raises BudgetTooSmall with the budget that would suffice, and BadContextRequest for an unreadable request.
    """
    as_of = _as_of(chart, request)
    policy = load_policy(request.purpose)
    limits = _limits(request, policy)
    calendar = Calendar(as_of)
    sorted_ = sort_out(chart, calendar, limits)
    rows = coverage_rows(chart, limits)
    conflicts = _stable(chart.conflicts)
    context_id = _context_id(chart, request, calendar, conflicts)
    terms = question_terms(request.question) if policy.score.question else ()
    how = Wording(calendar, as_of, _letters(chart), _fence(chart), policy.excerpt_chars, terms)
    name_analytes(sorted_.candidates, load_analytes())
    mark_musts(sorted_, conflicts, policy, calendar)
    page = Page(
        how,
        policy,
        load_analytes(),
        sorted_.candidates,
        sorted_.by_entry,
        rows,
        conflicts,
        frozenset(b for b in PREFIX_BLOCKS[1:] if limits.sections is not None and b not in limits.sections),
        Counter((withheld.reason, entry.section) for entry, withheld in sorted_.omitted),
    )
    tokenizer = tokenizer_for(request.model)
    ranked = rank(sorted_.candidates, policy, calendar, terms)
    choice = Fitting(page, ranked, tokenizer, request.budget_tokens).choose()
    return _document(chart, request, as_of, context_id, tokenizer, sorted_, rows, choice, calendar)


class Fitting:
    """The search for the largest selection that fits."""

    def __init__(self, page: Page, ranked: list[Candidate], tokenizer: Tokenizer, budget: int) -> None:
        self.page = page
        self.ranked = ranked
        self.tokenizer = tokenizer
        self.budget = budget
        self.must = [c for c in page.candidates if c.must]
        self.floors = ranked[: self._floor_count()]

    def choose(self) -> Choice:
        """The best choice within the budget, or BudgetTooSmall with the number that is needed."""
        levels = self._levels()
        best = self._grow(*levels)
        return self._fill(best[0], best[1], *levels)

    def _floor_count(self) -> int:
        return min(len(self.ranked), sum(self.page.policy.floor.values()))

    def _print(self, extra: Sequence[Candidate], prefix_level: Level, level: Level) -> Choice:
        rendered = self.page.render([*self.must, *extra], prefix_level, level)
        lines = rendered.lines
        raw = sum(self.tokenizer.line(line) for line in lines)
        return Choice(rendered, self.tokenizer.scale(raw))

    def _levels(self) -> tuple[Level, Level]:
        """How compactly the prefix and the rest are printed.

        The prefix decides by its own size, so that it is the same for every purpose at the same budget; only when the
        must-include facts would not fit otherwise, it gives way.
        """
        prefix_level = self._prefix_level()
        for level in range(TIGHTEST + 1):
            share = (*_BASE_SHARE, 1.0)[level]
            if self._print(self.floors, prefix_level, level).tokens <= share * self.budget:
                return prefix_level, level
        for prefix in range(prefix_level, TIGHTEST + 1):
            if self._print((), prefix, TIGHTEST).tokens <= self.budget:
                return prefix, TIGHTEST
        needed = min(
            self._print((), prefix, level).tokens for prefix in range(TIGHTEST + 1) for level in range(TIGHTEST + 1)
        )
        if needed > self.budget:
            raise BudgetTooSmall(self.budget, needed)
        return next(
            (prefix, level)
            for prefix in range(TIGHTEST + 1)
            for level in range(TIGHTEST + 1)
            if self._print((), prefix, level).tokens <= self.budget
        )

    def _prefix_level(self) -> Level:
        for level, share in enumerate(_PREFIX_SHARE):
            lines, _ = self.page.prefix(level)
            if self.tokenizer.scale(sum(map(self.tokenizer.line, lines))) <= share * self.budget:
                return level
        return TIGHTEST

    def _grow(self, prefix_level: Level, level: Level) -> tuple[int, Choice]:
        """The largest number of ranked facts that fits, by galloping and bisection on the rendered text."""
        low, best = 0, self._print((), prefix_level, level)
        high = len(self.ranked) + 1
        step = max(8, (self.budget - best.tokens) // _TOKENS_A_FACT)
        while high - low > 1:
            tried = min(low + step, high - 1) if high == len(self.ranked) + 1 else (low + high) // 2
            choice = self._print(self.ranked[:tried], prefix_level, level)
            if choice.tokens <= self.budget:
                low, best = tried, choice
                spare = self.budget - choice.tokens
                step = max(4, spare // _TOKENS_A_FACT)
            else:
                high = tried
        return low, best

    def _fill(self, taken: int, best: Choice, prefix_level: Level, level: Level) -> Choice:
        """Use what is left for smaller facts further down the ranking."""
        chosen = self.ranked[:taken]
        for candidate in self.ranked[taken : taken + _FILL_TRIES]:
            if self.budget - best.tokens < 8:
                break
            choice = self._print([*chosen, candidate], prefix_level, level)
            if choice.tokens <= self.budget:
                chosen = [*chosen, candidate]
                best = choice
        return best


def _as_of(chart: Chart, request: ContextRequest) -> str:
    as_of = request.as_of or chart.as_of
    if not is_partial_date(as_of):
        raise BadContextRequest("invalid_as_of", "as_of is not an ISO 8601 date or instant")
    return as_of


def _limits(request: ContextRequest, policy: Policy) -> Limits:
    if request.sections is not None:
        unknown = sorted(set(request.sections) - set(SECTIONS))
        if unknown:
            raise BadContextRequest("unknown_section", f"sections are {', '.join(SECTIONS)}")
    sections = None if request.sections is None else frozenset(request.sections)
    window = request.window_days or policy.window_days
    left_out = frozenset(b for b, weight in policy.weight.items() if weight == 0)
    return Limits(sections, window, left_out, now=request.as_of is None)


def _fence(chart: Chart) -> str:
    """The tag around quoted text: the same for one patient at all times, so that two contexts can be compared line by
    line and no budget changes what it costs; nobody who writes a note knows it."""
    return f"data-{hashlib.sha256(f'{chart.tenant}|{chart.patient_id}'.encode(errors='replace')).hexdigest()[:8]}"


def _letters(chart: Chart) -> dict[str, str]:
    """A letter for each site, in the order of their names."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    names = {}
    for index, site in enumerate(chart.sites):
        high, low = divmod(index, len(alphabet))
        names[site] = (alphabet[(high - 1) % len(alphabet)] if high else "") + alphabet[low]
    return names


def _stable(conflicts: Sequence[Conflict]) -> tuple[Conflict, ...]:
    return tuple(sorted(set(conflicts), key=lambda c: (c.kind, c.entry_ids, c.detail)))


def _context_id(chart: Chart, request: ContextRequest, calendar: Calendar, conflicts: Sequence[Conflict]) -> str:
    """SHA-256 of the chart's content, in an order of our own, and of the request."""
    content = (
        (chart.tenant, chart.patient_id, chart.as_of),
        ordered(chart.entries, calendar),
        sorted(chart.coverage, key=repr),
        conflicts,
        request.model_dump(mode="json"),
    )
    try:
        encoded = msgspec.json.encode(content)
    except UnicodeEncodeError:  # half a surrogate pair in a source's text has no UTF-8
        encoded = repr(content).encode("utf-8", "surrogatepass")
    return hashlib.sha256(encoded).hexdigest()


def _document(
    chart: Chart,
    request: ContextRequest,
    as_of: str,
    context_id: str,
    tokenizer: Tokenizer,
    sorted_: Sorted,
    rows: Sequence[Coverage],
    choice: Choice,
    calendar: Calendar,
) -> ContextDocument:
    rendered = choice.rendered
    text = "\n".join(rendered.lines) + "\n"
    tokens = tokenizer.count(text)
    if tokens > request.budget_tokens:  # line counts add up by construction; the promise does not rest on it alone
        raise BudgetTooSmall(request.budget_tokens, tokens)
    facts = [_fact(candidate, printed, calendar) for candidate, printed in rendered.printed]
    shown = {id(candidate) for candidate, _ in rendered.printed}
    omitted = [_omitted(entry, *withheld) for entry, withheld in sorted_.omitted]
    for candidate in sorted_.candidates:
        if id(candidate) not in shown:
            omitted += [_omitted(entry, "budget", "did not fit") for entry in candidate.entries]
            omitted += [_omitted(entry, "duplicate", "of an entry that did not fit") for entry in candidate.duplicates]
    included = sum(candidate.weight for candidate, _ in rendered.printed)
    offered = len({entry.id for entry in chart.entries})
    if offered != included + len(omitted):
        raise RuntimeError("context ledger does not balance")
    return ContextDocument.model_validate(
        {
            "context_id": context_id,
            "purpose": request.purpose,
            "tenant": chart.tenant,
            "patient_id": chart.patient_id,
            "as_of": as_of,
            "text": text,
            "token_count": tokens,
            "tokenizer": tokenizer.name,
            "budget_tokens": request.budget_tokens,
            "prefix_length": sum(len(line) + 1 for line in rendered.lines[: rendered.prefix_lines]),
            "facts": facts,
            "coverage": _coverage_lines(chart, rows, rendered),
            "omitted": omitted,
            "conflicts": [
                {"kind": conflict.kind, "keys": keys, "text": words} for conflict, keys, words in rendered.conflicts
            ],
            "ledger": {
                "offered": offered,
                "included": included,
                "omitted": len(omitted),
                "by_reason": dict(sorted(Counter(o["reason"] for o in omitted).items())),
            },
            "must_include": [candidate.key for candidate, _ in rendered.printed if candidate.must],
        }
    )


def _omitted(entry: AnyEntry, reason: str, detail: str) -> dict[str, str]:
    return {
        "entry_id": entry.id,
        "reference": entry.origins[0].reference,
        "section": entry.section,
        "reason": reason,
        "detail": detail,
    }


def _fact(candidate: Candidate, printed: Printed, calendar: Calendar) -> dict[str, Any]:
    entry = candidate.entry
    entries = candidate.all_entries()
    mapping = entry.concept.mapping
    target = entry.concept.target
    codes = [target] if target else []
    codes += [c for c in entry.concept.codings if c.code]
    dates = [d for e in candidate.entries for d in _dates(e) if not calendar.after(d)]
    end = ended(entry)
    end = "" if end is None or calendar.after(end) or not calendar.span(end) else end
    date = entry.date if entry.date and calendar.span(entry.date) else ""
    sent = digits_of(entry.value) if isinstance(entry, Observation) and entry.value is not None else ""
    origins = {(o.site, o.resource_type, o.resource_id, o.path): o for e in entries for o in e.origins}
    return {
        "key": candidate.key,
        "section": entry.section,
        "kind": type(entry).__struct_config__.tag or entry.section,
        "entry_ids": [e.id for e in entries],
        "display": printed.display,
        "value": printed.value,
        "unit": printed.unit,
        "as_sent": sent if sent != printed.value else "",
        "numbers": numbers_in(
            printed.text, printed.line, printed.display, printed.value, printed.detail, sent, date, end, *dates
        ),
        "date": date,
        "end_date": end,
        "status": printed.status,
        "negated": printed.negated,
        "detail": printed.detail,
        "text": printed.text,
        "codes": list(dict.fromkeys(f"{_token(c.system, 200)}|{_token(c.code, 60)}" for c in codes)),
        "mapping_method": mapping.method if mapping else "",
        "mapping_confidence": mapping.confidence if mapping else None,
        "flags": list(dict.fromkeys(f.code for f in entry.flags)),
        "origin": [
            {
                "site": o.site,
                "reference": f"{o.resource_type}/{o.resource_id}",
                "api": o.api,
                "version": o.version,
                "path": o.path,
                "span": o.span,
                "retrieved": o.retrieved,
                "method": o.method,
            }
            for o in origins.values()
        ],
        "must_include": candidate.must,
    }


_DATE_FIELDS = (
    "onset",
    "abatement",
    "recorded",
    "authored",
    "start",
    "end",
    "effective",
    "effective_end",
    "issued",
    "occurrence",
    "performed",
    "performed_end",
    "birth_date",
    "deceased_date",
)


def _dates(entry: AnyEntry) -> list[str]:
    """All dates of an entry: a statement that cites it may name any of them."""
    return [value for name in _DATE_FIELDS if (value := getattr(entry, name, None))]


def _coverage_lines(chart: Chart, rows: Sequence[Coverage], rendered: Rendered) -> list[dict[str, Any]]:
    """One row per section and site, counted in entries; a site that only shares an entry counts it too."""
    offered: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entry in chart.entries:
        for origin in entry.origins:
            offered[(entry.section, origin.site)].add(entry.id)
    shown = {entry.id for candidate, _ in rendered.printed for entry in candidate.all_entries()}
    return [
        {
            "section": row.section,
            "site": row.site,
            "state": row.state,
            "as_of": row.as_of,
            "reason": clean(row.reason, 300),
            "told": clean(row.told, 60),
            "unasked": tuple(clean(part, 60) for part in row.unasked),
            "offered": len(offered[(row.section, row.site)]),
            "included": len(offered[(row.section, row.site)] & shown),
        }
        for row in rows
    ]


def _token(text: str, limit: int) -> str:
    """A code or a system's URI as sent, without what no code may hold: white space and characters nobody can see."""
    return "".join(c for c in text[:limit] if c.isprintable() and not c.isspace())
