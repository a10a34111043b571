"""What imported releases add to the seeds: official names, status, successors, wordings, maps, value sets; by date.

The mapper asks a Vocabulary; without any import it is None, and the seeds alone answer. Nothing here guesses: a wording counts when it is
a whole official name of one active concept, a map when the publisher says that it always holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import msgspec

from models.record import Coding, Mapping
from models.terminology.candidates import Candidate
from models.terminology.conditions import by_gem, dotted9
from models.terminology.ndc import ndc9, ndc11, ndc11_choices
from models.terminology.ndc_answers import NdcAnswers
from models.terminology.releases.base import LICENCE, SYSTEM_OF, Entry, Link, ReleaseError
from models.terminology.releases.formats.rxnorm import NAMES
from models.terminology.releases.formats.snomed import CERTAIN
from models.terminology.releases.index import Index
from models.terminology.releases.shelf import Shelf, Version, chosen
from models.terminology.systems import CVX, ICD9CM, ICD10CM, LOINC, NDC, RXNORM, SNOMED
from models.terminology.tables import MappingTable, Row

_KIND_OF = {system: kind for kind, system in SYSTEM_OF.items() if kind not in ("icd9-gem", "ccsr", "cvx-ndc")}
_BY_WORDS: dict[str, tuple[str, ...]] = {
    "condition": (SNOMED, ICD10CM),
    "medication": (RXNORM,),
    "observation": (LOINC,),
    "vaccine": (CVX,),
    "allergen": (RXNORM, SNOMED),
    "procedure": (SNOMED,),
    "document": (LOINC,),
}
_TAGS: dict[str, tuple[str, ...]] = {
    "condition": ("disorder", "finding", "situation", "event"),
    "allergen": ("substance", "organism", "product", "medicinal product"),
    "procedure": ("procedure", "regime/therapy"),
}
"""Semantic tags of SNOMED CT that a domain means: "cold" is a finding and a physical force."""
NAMED = 0.95
ALWAYS = 0.85
"""A map that always holds; ICD-10-CM mostly says less than the SNOMED CT concept (as `wider` in mapping tables)."""
NDC_MAP = 0.95
NDC_OBSOLETE = 0.9
"""A package that is not sold any more; its digits may be given out again after years."""
NDC_READ = 0.9
"""Ten digits without hyphens of which one reading is known, or a product whose every package is the same."""
ANSWERS = "rxnav"
"""Folder of RxNav's answers beside the releases."""
_ALL = "ALWAYS"


class Vocabulary:
    """The imported releases, as they stood when this was made. Threads may share it."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._of: dict[tuple[str, str], list[Version]] = {}
        for kind in LICENCE:
            if kind != "valueset":  # they come by the thousand: looked for when asked
                for version in shelf.versions(kind):
                    if version.in_force is not None:
                        self._of.setdefault((kind, version.manifest.subject), []).append(version)
        self._value_sets: dict[str, list[Version]] = {}
        self._tables: dict[str, MappingTable] = {}
        self._answers = NdcAnswers(shelf.folder / ANSWERS)

    @classmethod
    def at(cls, folder: Path) -> Vocabulary | None:
        """The vocabulary of a folder; None where nothing is in force and RxNav was never asked.

        Raises ReleaseError for a damaged index.
        """
        made = cls(Shelf(folder)) if folder.is_dir() else None
        there = made is not None and (made._of or (folder / "valueset").is_dir() or made._answers.folder.is_dir())
        return made if there else None

    @cached_property
    def fingerprint(self) -> str:
        """A short digest of what is in force from when, and of how many packages RxNav has answered for."""
        held = [
            f"{v.manifest.name} {v.in_force.begins if v.in_force else ''}"
            for versions in self._of.values()
            for v in versions
        ]
        told = "\n".join([*sorted(held), f"rxnav {self._answers.count()}"])
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    @property
    def releases(self) -> tuple[str, ...]:
        """Names of all versions in force at some time."""
        return tuple(v.manifest.name for versions in self._of.values() for v in versions)

    @property
    def dated(self) -> bool:
        """Whether the date of an entry can change an answer."""
        return any(len(versions) > 1 for versions in self._of.values())

    def index(self, kind: str, date: str = "", subject: str = "") -> Index | None:
        """The index of a kind in force on `date`; None where nothing of it was imported."""
        version = chosen(self._of.get((kind, subject), []), date)
        return self._shelf.index(version.path) if version else None

    def find(self, system: str, code: str, date: str = "") -> Entry | None:
        """A code of LOINC, SNOMED CT, RxNorm, ICD-10-CM or CVX; None: not known, or no release of its system."""
        index = self.index(_KIND_OF.get(system, ""), date)
        return index.find(code) if index and code else None

    def release_of(self, system: str, date: str = "") -> str:
        """Name of the release of a system in force on `date`; '' where none was imported."""
        return self.release_of_kind(_KIND_OF.get(system, ""), date)

    def release_of_kind(self, kind: str, date: str = "") -> str:
        """Name of the release of a kind in force on `date`; '' where none was imported."""
        index = self.index(kind, date)
        return index.manifest.name if index else ""

    def everywhere(self, system: str, code: str) -> list[tuple[Version, Entry]]:
        """The versions in force at some time that know a code, oldest first."""
        versions = self._of.get((_KIND_OF.get(system, ""), ""), [])
        held = sorted(versions, key=lambda v: v.in_force.begins if v.in_force else "")
        return [(v, e) for v in held if (e := self._shelf.index(v.path).find(code)) is not None]

    def named(self, coding: Coding, date: str = "") -> Coding:
        """The coding with its official name; as it is where that is not known."""
        entry = self.find(coding.system, coding.code, date)
        return msgspec.structs.replace(coding, display=entry.display) if entry and entry.display else coding

    def successors(self, coding: Coding, date: str = "") -> tuple[Candidate, ...]:
        """What its publisher says to use instead of an inactive code."""
        kind = _KIND_OF.get(coding.system, "")
        index = self.index(kind, date)
        if index is None:
            return ()
        entry = index.find(coding.code)
        links = index.links("replaced_by", coding.code) if entry is None or entry.status == "inactive" else ()
        sure = [link for link in links if link.note in CERTAIN or kind != "snomed"]
        score = 0.9 if len(sure) == len(links) == 1 else 0.5
        return tuple(
            Candidate(
                target=self.named(Coding(system=coding.system, code=link.target), date),
                score=score,
                why=f"{link.note or 'replaced by'} in {index.manifest.name}",
            )
            for link in links
        )

    def by_words(self, domain: str, words: str, date: str = "") -> tuple[Candidate, ...]:
        """The one concept that `words` names wholly, in the first system of the domain that has it; several share their score."""
        for system in _BY_WORDS.get(domain, ()):
            index = self.index(_KIND_OF[system], date)
            found = index.by_words(words) if index else ()
            if system == SNOMED and domain in _TAGS:
                found = tuple(e for e in found if not e.kind or e.kind in _TAGS[domain])
            elif system == RXNORM:
                found = _best_of_rxnorm(found, ("IN", "PIN", "MIN") if domain == "allergen" else NAMES)
            if index and found:
                score = NAMED if len(found) == 1 else round(0.8 / len(found), 3)
                return tuple(
                    Candidate(
                        target=Coding(system=system, code=e.code, display=e.display),
                        score=score,
                        why=f"name in {index.manifest.name}",
                    )
                    for e in found
                )
        return ()

    def ingredients(self, rxcui: str, date: str = "") -> tuple[Entry, ...]:
        """The ingredients (TTY IN) of a clinical drug, brand, pack or precise ingredient; of an ingredient itself."""
        index = self.index("rxnorm", date)
        if index is None:
            return ()
        found = [index.find(code) for code in sorted({rxcui} | index.ancestors(rxcui, "toward_ingredient"))]
        return tuple(e for e in found if e is not None and e.kind == "IN")

    def translate(self, coding: Coding, date: str = "") -> tuple[Mapping | None, tuple[Candidate, ...]]:
        """A coding in the system its domain prefers: NDC in RxNorm, SNOMED CT in ICD-10-CM. (None, ()) where no import says.

        A mapping where the publisher gives one code that always holds; candidates where it depends, or takes several.
        """
        if coding.system == NDC:
            return self._package(coding, date)
        if coding.system == SNOMED:
            index = self.index("snomed", date)
            rules = index.links("icd10cm", coding.code) if index else ()
            return self._said(index, coding, _always(rules), ICD10CM, "map to ICD-10-CM", date)
        if coding.system == ICD9CM:
            return self._by_gem(coding, date)
        return None, ()

    def _package(self, coding: Coding, date: str) -> tuple[Mapping | None, tuple[Candidate, ...]]:
        """The drug in a package, by the release, else by RxNav's answers."""
        known, index = ndc11(coding.code), self.index("rxnorm", date)
        links = self._packages(index, "ndc", coding.code) if index else ()
        current = [link for link in links if not link.note] or list(links)
        if current:
            score = NDC_MAP if known else NDC_READ
            return self._said(index, coding, [(link.target, score) for link in current], RXNORM, "NDC", date)
        readings = [m for code in ndc11_choices(coding.code) if (m := self._answered(coding, code)) is not None]
        if len({m.target.code for m in readings if m.target}) > 1:
            why = "one reading of ten digits without hyphens, by rxnav"
            score = round(0.8 / len(readings), 3)
            return None, tuple(Candidate(target=m.target, score=score, why=why) for m in readings if m.target)
        return (readings[0] if readings else None), ()

    @staticmethod
    def _packages(index: Index, kind: str, code: str) -> tuple[Link, ...]:
        """The links of every package that `code` may be: one; the readings of ten digits; all packages of a product."""
        choices = ndc11_choices(code)
        if choices:
            return tuple(link for choice in choices for link in index.links(kind, choice))
        return index.links_below(kind, ndc9(code))

    def vaccine(self, coding: Coding, date: str = "") -> tuple[Mapping | None, tuple[Candidate, ...]]:
        """The CVX of a package by CDC's imported crosswalk; (None, ()) where it was not imported or does not know it."""
        index = self.index("cvx-ndc", date)
        links = self._packages(index, "cvx", coding.code) if index else ()
        score = NDC_MAP if ndc11(coding.code) else NDC_READ
        return self._said(index, coding, [(link.target, score) for link in links], CVX, "NDC", date)

    def _by_gem(self, coding: Coding, date: str) -> tuple[Mapping | None, tuple[Candidate, ...]]:
        rows = self.gem(dotted9(coding.code), date)
        said = by_gem(rows) if rows else None
        if said is None or not said.codes:
            return None, ()
        table = f"{self.release_of_kind('icd9-gem', date)} GEM"
        targets = [self.named(Coding(system=ICD10CM, code=code), date) for code in said.codes]
        if len(targets) == 1:
            return Mapping(
                method="map_table", confidence=said.confidence, target=targets[0], source=coding, table=table
            ), ()
        why = f"{said.kind} of {len(targets)} in {table}"
        return None, tuple(Candidate(target=t, score=said.confidence, why=why) for t in targets)

    def _answered(self, coding: Coding, eleven: str) -> Mapping | None:
        """What RxNav said of a package that no imported release knows; `eleven` is one reading of its code."""
        answer = self._answers.get(eleven)
        if answer is None or not answer.rxcui:
            return None
        target = Coding(system=RXNORM, code=answer.rxcui, display=answer.name)
        confidence = NDC_MAP if answer.status == "ACTIVE" and ndc11(coding.code) else NDC_OBSOLETE
        return Mapping(
            method="map_table", confidence=confidence, target=target, source=coding, table=f"rxnav@{answer.asked} NDC"
        )

    def _said(
        self,
        index: Index | None,
        coding: Coding,
        targets: Sequence[tuple[str, float]],
        system: str,
        how: str,
        date: str,
    ) -> tuple[Mapping | None, tuple[Candidate, ...]]:
        targets = list(dict(targets).items())
        if index is None or not targets:
            return None, ()
        named = [(self.named(Coding(system=system, code=code), date), score) for code, score in targets]
        title = f"{index.manifest.name} {how}"
        if len(named) == 1 and named[0][1] >= ALWAYS:
            return Mapping(
                method="map_table", confidence=named[0][1], target=named[0][0], source=coding, table=title
            ), ()
        return None, tuple(Candidate(target=t, score=round(min(s, 0.8 / len(named)), 3), why=title) for t, s in named)

    def ccsr(self, code: str, date: str = "") -> str | None:
        """AHRQ's first category of an ICD-10-CM code, with dot; None where no CCSR was imported or it does not know the code."""
        index = self.index("ccsr", date)
        if index is None or index.find(code) is None:
            return None
        links = sorted(index.links("ccsr", code), key=lambda link: link.note)
        return links[0].target if links else ""

    def gem(self, code: str, date: str = "") -> list[tuple[str, str]] | None:
        """The rows (target, flags) of an ICD-9-CM code, with dot, by the imported map; None where it was not imported or lacks it."""
        index = self.index("icd9-gem", date)
        rows = [(link.target, link.note) for link in index.links("gem", code)] if index else []
        return rows or None

    def from_icd10cm(self, code: str, date: str = "") -> tuple[Candidate, ...]:
        """SNOMED CT concepts whose map always gives this ICD-10-CM code: it says less than most of them, so they are candidates."""
        index = self.index("snomed", date)
        if index is None:
            return ()
        sources = dict.fromkeys(link.code for link in index.sources("icd10cm", code))
        sure = [
            s
            for s in sources
            if (found := _always(index.links("icd10cm", s))) and len(found) == 1 and found[0][1] >= ALWAYS
        ]
        return tuple(
            Candidate(
                target=self.named(Coding(system=SNOMED, code=s), date),
                score=round(0.6 / len(sure), 3),
                why=f"{index.manifest.name} reverse map",
            )
            for s in sure
        )

    def has_member(self, value_set: str, coding: Coding, date: str = "") -> bool | None:
        """Whether the value set `url` or `url|version` holds the coding; None: that value set was not imported."""
        url, _, version = value_set.partition("|")
        if url not in self._value_sets:
            self._value_sets[url] = self._shelf.versions("valueset", url)
        those = self._value_sets[url]
        found = next((v for v in those if v.manifest.version == version), None) if version else chosen(those, date)
        return self._shelf.index(found.path).has_member(coding.system, coding.code) if found else None

    def tables(self, date: str = "") -> tuple[tuple[str, MappingTable], ...]:
        """The imported concept maps in force, as mapping tables of the layer `imported`."""
        found = []
        for kind, subject in self._of:
            index = self.index(kind, date, subject) if kind == "conceptmap" else None
            if index is not None:
                name = index.manifest.name
                if name not in self._tables:
                    rows = [msgspec.json.decode(link.note, type=Row) for link in index.all_links("row")]
                    self._tables[name] = MappingTable(subject, rows, version=index.manifest.version)
                found.append(("imported", self._tables[name]))
        return tuple(found)


def _best_of_rxnorm(found: tuple[Entry, ...], types: Sequence[str]) -> tuple[Entry, ...]:
    """Of concepts of one name those of the best term type: an ingredient goes before a brand, dose forms do not count."""
    drugs = [e for e in found if e.kind in types and e.kind not in ("DF", "DFG")]
    if not drugs:
        return ()
    best = min(types.index(e.kind) for e in drugs)
    return tuple(e for e in drugs if types.index(e.kind) == best)


def _always(rules: Sequence[Link]) -> list[tuple[str, float]]:
    """Targets of SNOMED CT's map with how surely each holds: ALWAYS for one group whose only rule is TRUE, 0.5 otherwise.

    Note of a rule: group, priority, mapRule, mapAdvice. A target with `?` wants a 7th character that nobody stated.
    """
    given = [(link.target, *link.note.split("\t", 3)[2:]) for link in rules if link.target]
    target, rule, advice = given[0] if len(rules) == len(given) == 1 else ("?", "", "")
    sure = rule.strip().upper() in ("TRUE", "") and advice.strip().upper().startswith(_ALL) and "?" not in target
    return [(target.rstrip("?").rstrip("."), ALWAYS if sure else 0.5) for target, *_ in given]


_in_use: list[Vocabulary | None] = [None]


def use(vocabulary: Vocabulary | None) -> None:
    """Let the whole process read by these releases. Called by the service when it starts; rules made before keep what they had."""
    _in_use[0] = vocabulary


def in_use() -> Vocabulary | None:
    """What `use` was told."""
    return _in_use[0]


__all__ = ["ReleaseError", "Vocabulary", "in_use", "use"]
