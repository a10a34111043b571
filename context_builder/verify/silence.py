"""Sentences about coverage: what is not known, and why. They cite nothing, so each must be what the coverage says."""

from __future__ import annotations

import re
from collections.abc import Iterator

from context_builder.document import ContextDocument, CoverageLine
from context_builder.verify.reasons import Reason
from context_builder.verify.views import stems
from context_builder.verify.words import canonical

_STATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("not_queried", ("not queried", "not asked", "never queried", "not requested", "never asked")),
    ("not_supported", ("not supported", "not offered", "not exposed", "does not support", "does not offer")),
    ("not_authorized", ("not authorized", "not authorised", "access refused", "not permitted", "access was not permitted", "no access")),
    ("failed", ("failed", "could not be read", "could not be retrieved", "query failed")),
    ("stale", ("stale", "out of date", "may be out of date")),
    ("truncated", ("truncated", "incomplete", "cut off", "more exists")),
    ("filtered", ("filtered", "left out by policy")),
    ("empty", ("empty", "asked, nothing returned", "nothing returned", "answered with nothing", "returned nothing", "asked, and answered with nothing")),
)  # fmt: skip
_PHRASES = re.compile(
    r"(?<!\w)(?:"
    + "|".join(sorted((re.escape(p) for _, said in _STATES for p in said), key=len, reverse=True))
    + r")(?!\w)"
)
_MEANING = {phrase: state for state, said in _STATES for phrase in said}
_GLUE = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "by",
        "for",
        "from",
        "has",
        "have",
        "in",
        "is",
        "it",
        "of",
        "on",
        "or",
        "record",
        "section",
        "site",
        "source",
        "status",
        "that",
        "the",
        "this",
        "to",
        "unknown",
        "was",
        "were",
        "what",
        "with",
        "data",
        "information",
        "available",
        "patient",
        "known",
        "here",
        "be",
        "does",
        "so",
        "there",
        "not",
    ]
)


class Silence:
    """The coverage of a document, ready for sentences to be compared with."""

    def __init__(self, doc: ContextDocument, own: frozenset[str]) -> None:
        """`own`: the sentences the deterministic renderer makes of this document without citing, in canonical form."""
        self.own = own
        self.lines = doc.coverage
        self.sections = {canonical(line.section.replace("_", " ")): line.section for line in doc.coverage}
        self.sites = {canonical(line.site): line.site for line in doc.coverage if line.site}

    def check(self, text: str) -> Iterator[Reason]:
        """Reasons of a sentence that cites nothing."""
        said = canonical(text)
        if said in self.own:
            return
        states = {_MEANING[m] for m in _PHRASES.findall(said)}
        rest = _PHRASES.sub(" ", said)
        sections = {s for name, s in self.sections.items() if _holds(name, rest)}
        sites = {s for name, s in self.sites.items() if _holds(name, rest)}
        for name in sorted({*self.sections, *self.sites}, key=len, reverse=True):
            rest = rest.replace(name, " ")
        strange = [w for w in stems(rest) if w not in _GLUE and not w.isdigit()]
        if len(states) != 1 or not sections or strange or any(c.isdigit() for c in rest):
            yield Reason("no_citation", strange[0] if strange else "")
            return
        told = [line for line in self.lines if line.section in sections and (not sites or line.site in sites)]
        if not self._all_so(told, sections, sites, next(iter(states))):
            yield Reason("coverage_mismatch", next(iter(states)))

    @staticmethod
    def _all_so(told: list[CoverageLine], sections: set[str], sites: set[str], state: str) -> bool:
        held = {(line.section, line.site) for line in told if line.state == state}
        if any(line.state != state for line in told):
            return False
        return all(any(s == section for s, _ in held) for section in sections) and all(
            any(at == site for _, at in held) for site in sites
        )


def _holds(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None
