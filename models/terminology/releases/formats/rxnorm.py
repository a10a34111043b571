"""RxNorm RRF: RXNCONSO, RXNREL, RXNSAT (NDC), RXNATOMARCHIVE (merged concepts); rows of SAB=RXNORM only.

Columns and their meaning: NLM, RxNorm Technical Documentation, section 12 (https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html).
RXNREL says what RXCUI2 is to RXCUI1: `A|..|B|..|has_ingredient` means that B has the ingredient A. Other sources inside a
full release have licences of their own and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from models.terminology.ndc import ndc11
from models.terminology.releases.archive import Part, table
from models.terminology.releases.base import About, Entry, Item, Link, ReleaseError, Skipped, Term

NEEDED = "rxnconso.rrf"
_READ = (NEEDED, "rxnrel.rrf", "rxnsat.rrf", "rxnatomarchive.rrf", "rxnsab.rrf")
NAMES = (
    "IN",
    "PIN",
    "MIN",
    "SCD",
    "SBD",
    "GPCK",
    "BPCK",
    "BN",
    "SCDC",
    "SCDF",
    "SBDC",
    "SBDF",
    "SCDG",
    "SBDG",
    "DF",
    "DFG",
)
"""Term types that name a concept, best first; SY, TMSY, PSN, ET are other wordings of it."""
TOWARD = frozenset(
    (
        "has_ingredient",
        "has_ingredients",
        "has_precise_ingredient",
        "consists_of",
        "tradename_of",
        "form_of",
        "contains",
        "has_part",
    )
)
"""Relations that lead from a drug to what is in it."""
_DATED = re.compile(
    r"(?:full|prescribe|weekly)[_-](?:prescribe[_-])?(\d{2})(\d{2})(\d{4})|_(\d{2})(\d{2})(\d{2})F\b", re.I
)


def parts(found: list[Part]) -> list[Part]:
    """The RRF files; of a release that holds the prescribable subset too, the ones that are not in `prescribe/`."""
    best: dict[str, Part] = {}
    for part in sorted(found, key=lambda p: ("prescribe/" in p.path, p.path)):
        if part.base in _READ:
            best.setdefault(part.base, part)
    return [best[name] for name in _READ if name in best] if NEEDED in best else []


def read(used: list[Part], label: str) -> Iterator[Item]:
    """Concepts with their wordings; the way to their ingredients; NDC -> RXCUI; what merged into what."""
    by_name = {part.base: part for part in used}
    yield from _concepts(by_name[NEEDED])
    if rel := by_name.get("rxnrel.rrf"):
        yield from _relations(rel)
    if sat := by_name.get("rxnsat.rrf"):
        yield from _ndcs(sat)
    if archive := by_name.get("rxnatomarchive.rrf"):
        for _, row in table(archive, "|", 16, trailing=True):
            rxcui, merged = row[12], row[15]
            if merged.isdigit() and merged != rxcui:
                yield Link(kind="replaced_by", code=rxcui, target=merged, note="merged")
    yield _about(by_name.get("rxnsab.rrf"), used, label)


def _concepts(part: Part) -> Iterator[Item]:
    held: dict[str, tuple[tuple[int, int, int], Entry]] = {}
    wordings: list[Term] = []
    for number, row in table(part, "|", 18, trailing=True):
        rxcui, sab, tty, name, suppress = row[0], row[11], row[12], row[14], row[16]
        if not rxcui.isdigit():
            raise ReleaseError("invalid_row", f"{part.name} line {number}: the first column is no RXCUI")
        if sab != "RXNORM":
            yield Skipped(reason="another source than RXNORM")
            continue
        gone = suppress in ("O", "E", "Y")
        if tty not in NAMES:
            if not gone:
                wordings.append(Term(code=rxcui, words=name))
            continue
        rank = (gone, NAMES.index(tty), number)
        if rxcui not in held or rank < held[rxcui][0]:
            held[rxcui] = rank, Entry(code=rxcui, display=name, status="inactive" if gone else "active", kind=tty)
    if not held:
        raise ReleaseError("wrong_file", f"{part.name}: no row of SAB=RXNORM")
    for _, entry in held.values():
        yield entry
    for wording in wordings:
        if wording.code in held:
            yield wording


def _relations(part: Part) -> Iterator[Item]:
    for _, row in table(part, "|", 16, trailing=True):
        target, code, rela, sab, suppress = row[0], row[4], row[7], row[10], row[14]
        if sab == "RXNORM" and rela in TOWARD and target and code and suppress != "O":
            yield Link(kind="toward_ingredient", code=code, target=target, note=rela)


def _ndcs(part: Part) -> Iterator[Item]:
    for _, row in table(part, "|", 13, trailing=True):
        if row[8] != "NDC" or row[9] != "RXNORM":
            continue
        code = ndc11(row[10])
        if not code:
            yield Skipped(reason="an NDC that is none")
            continue
        yield Link(kind="ndc", code=code, target=row[0], note="obsolete" if row[11] in ("O", "E", "Y") else "")


def _about(sab: Part | None, used: list[Part], label: str) -> About:
    texts = [label, *(part.name for part in used)]
    if sab is not None:
        texts = [row[2] for _, row in table(sab, "|", 25, trailing=True) if row[3] == "RXNORM"] + texts
    for text in texts:
        if found := _DATED.search(text):
            month, day, year, short, month2, day2 = found.groups()
            date = f"{year}-{month}-{day}" if year else f"20{short}-{month2}-{day2}"
            return About(kind="rxnorm", version=date, effective_from=date, title="RxNorm")
    return About(kind="rxnorm", title="RxNorm")
