"""Write the derived seed files again: `python -m models.terminology.seeds.build --gem FILE --gem-back FILE --ccsr FILE`.

ICD-10-CM comes from the package simple-icd-10-cm, whose import costs 1.7 s and 180 MB: that is why the names the
normalizer needs are kept in a compact file (0.4 MB, read in 40 ms when first asked for).
GEM: the CMS file as CSV (icd9cm, icd10cm, flags, ...). `--gem-back` is the map the other way. CCSR: JSON of ICD-10-CM code -> first category.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from models.terminology.conditions import dotted
from models.terminology.seeds import seed_path


def write_icd10cm() -> None:
    """Names and inclusion terms of all codes; encounters' 7th characters repeat their parent's name and are left out."""
    icd = _icd()
    codes = [
        code
        for code in dict.fromkeys(icd.get_all_codes(with_dots=True))
        if "-" not in code and not code.isdigit() and not icd.is_extended_subcategory(code)  # B20 is a block of its own
    ]
    _write(
        "icd10cm.tsv.gz", "CDC/NCHS ICD-10-CM, April 2026, public domain", [(c, icd.get_description(c)) for c in codes]
    )
    terms = [
        (code, term)
        for code in codes
        for term in (*icd.get_inclusion_term(code), *icd.get_includes(code))
        if "\t" not in term
    ]
    _write("icd10cm-terms.tsv.gz", "CDC/NCHS ICD-10-CM tabular list, inclusion terms, April 2026", terms)


def write_sevenths() -> None:
    """Codes that are complete only with a 7th character, and which ones they take."""
    icd = _icd()
    taken: dict[str, set[str]] = {}
    for code in icd.get_all_codes(with_dots=True):
        if icd.is_extended_subcategory(code):
            taken.setdefault(icd.get_parent(code), set()).add(code[-1])
    rows = [(code, "".join(sorted(letters))) for code, letters in sorted(taken.items())]
    _write("icd10cm-sevenths.tsv.gz", "CDC/NCHS ICD-10-CM, April 2026: code, 7th characters it takes", rows)


def write_retired(path: Path) -> None:
    """Codes that could be billed in fiscal year 2018 (all are in CMS's map back to ICD-9-CM) and cannot now.

    A code that has been divided since is among them: it names a category today.
    """
    icd = _icd()
    leaves = {c for c in icd.get_all_codes(with_dots=True) if icd.is_leaf(c)}
    with io.TextIOWrapper(gzip.open(path), encoding="utf-8", newline="") as file:
        then = {dotted(row["icd10cm"]) for row in csv.DictReader(file)}
    rows = [(code,) for code in sorted(then - leaves)]
    _write("icd10cm-retired.tsv.gz", "Codes of CMS's ICD-10-CM GEM of 2018 that April 2026 does not bill", rows)


def _icd() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import simple_icd_10_cm as icd
    return icd


def write_gem(path: Path) -> None:
    """ICD-9-CM code, ICD-10-CM code, the five flags of CMS (approximate, no map, combination, scenario, choice list)."""
    with io.TextIOWrapper(gzip.open(path), encoding="utf-8", newline="") as file:
        rows = [(row["icd9cm"], row["icd10cm"], row["flags"]) for row in csv.DictReader(file)]
    _write("icd9-gem.tsv.gz", "CMS general equivalence mappings ICD-9-CM -> ICD-10-CM 2018, public domain", rows)


def write_ccsr(path: Path) -> None:
    """Code prefixes whose every code falls into one category."""
    categories: dict[str, str] = json.loads(path.read_text())
    found: dict[str, set[str]] = {}
    for code, category in categories.items():
        for length in range(3, len(code) + 1):
            found.setdefault(code[:length], set()).add(category)
    rows = [
        (prefix, next(iter(kinds)))
        for prefix, kinds in sorted(found.items())
        if len(kinds) == 1 and (len(prefix) == 3 or len(found.get(prefix[:-1], {1, 2})) > 1)
    ]
    _write("ccsr.tsv.gz", "AHRQ HCUP CCSR for ICD-10-CM diagnoses, first category of each code, public domain", rows)


def _write(name: str, source: str, rows: Iterable[tuple[str, ...]]) -> None:
    text = f"# {source}\n" + "".join("\t".join(row) + "\n" for row in rows)
    seed_path(name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gem", type=Path, required=True)
    parser.add_argument("--gem-back", type=Path, required=True)
    parser.add_argument("--ccsr", type=Path, required=True)
    arguments = parser.parse_args()
    write_icd10cm()
    write_sevenths()
    write_retired(arguments.gem_back)
    write_gem(arguments.gem)
    write_ccsr(arguments.ccsr)
