"""Words -> codes of conditions, medications, vaccines and allergens: how often what is accepted is right, by what decided.

Labelled: codings of ../shared/data that carry a code and words (FHIR, DSTU2, R5, C-CDA, value sets of quality measures). The code is
hidden, the words are mapped alone, the result compared. `right`: the same code, one above or below it, or (medications) the one
ingredient that the official name of the drug has; a vaccine by its exact code, or, for group codes, by its group. Distinct wordings
count once. And a list written by hand (wordings.tsv), in which some words must not be accepted at all. `low` is the lower end of the 95% Wilson interval: the confidences in the code are set to it, or lower.

`python -m benchmarks.terminology [--wrong]` prints the table, and with `--wrong` what was wrong.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

from lxml import etree

from models.record import Coding
from models.terminology import conditions, vaccines
from models.terminology.mapper import Ask, Domain, Terminology, by_words
from models.terminology.seeds import seed_rows
from models.terminology.systems import CVX, ICD9CM, ICD10CM, NDC, RXNORM, SNOMED, canonical_system

CORPUS = Path(__file__).parent.parent.parent / "shared" / "data"
HAND = Path(__file__).with_name("wordings.tsv")
_DOMAIN: dict[str, Domain] = {
    ICD10CM: "condition",
    ICD9CM: "condition",
    SNOMED: "condition",
    RXNORM: "medication",
    CVX: "vaccine",
}
MOST_BYTES = 30_000_000


class Labelled(NamedTuple):
    """Words with the code that stood beside them."""

    domain: Domain
    text: str
    system: str
    code: str


class Line(NamedTuple):
    """One line of the result."""

    domain: str
    why: str
    accepted: int
    right: int

    @property
    def precision(self) -> float:
        """Share of the accepted that is right."""
        return self.right / self.accepted

    @property
    def low(self) -> float:
        """Lower end of the 95% Wilson interval of the precision."""
        n, p, z = self.accepted, self.precision, 1.96
        return (p + z * z / (2 * n) - z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)


def labelled(folder: Path = CORPUS) -> set[Labelled]:
    """All labelled wordings below a folder; [] where it is absent."""
    found: set[Labelled] = set()
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            continue
        name = path.name.removesuffix(".gz")
        try:
            if name.endswith((".json", ".fhir")):
                found.update(_of_json(json.loads(_text(path))))
            elif name.endswith((".ndjson", ".jsonl")):
                for line in _text(path).splitlines():
                    found.update(_of_json(json.loads(line)))
            elif name.endswith(".xml"):
                found.update(_of_xml(path))
            elif name.endswith(".hl7"):
                found.update(_of_v2(_text(path)))
        except (ValueError, RecursionError, etree.XMLSyntaxError):
            continue
    return found


def _text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8", "replace")


def _of_v2(text: str) -> Iterator[Labelled]:
    """Coded elements of HL7 v2: code, words, system, and the same again behind them."""
    for cell in re.split(r"[|~\r\n]", text):
        parts = cell.split("^")
        for at in (0, 3):
            if len(parts) >= at + 3 and parts[at] and parts[at + 1] and parts[at + 2]:
                yield from _made(parts[at + 2], parts[at], [parts[at + 1]], "")


def _of_json(item: Any, resource: str = "") -> Iterator[Labelled]:
    if isinstance(item, list):
        for one in item:
            yield from _of_json(one, resource)
    if not isinstance(item, dict):
        return
    resource = item.get("resourceType", resource)
    codings = item.get("coding")
    if isinstance(codings, list):
        coded = [c for c in codings if isinstance(c, dict) and isinstance(c.get("code"), str)]
        words = [item.get("text"), *(c.get("display") for c in coded)] if len(coded) == 1 else [item.get("text")]
        for coding in coded:
            yield from _made(str(coding.get("system", "")), coding["code"], words, resource)
    elif "system" in item and isinstance(item.get("code"), str) and "display" in item:
        yield from _made(str(item["system"]), item["code"], [item["display"]], resource)
    for value in item.values():
        if isinstance(value, dict | list):
            yield from _of_json(value, resource)


def _of_xml(path: Path) -> Iterator[Labelled]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    for node in etree.fromstring(_text(path).encode(), parser).iter(etree.Element):
        system, code = node.get("codeSystem"), node.get("code")
        if system and code and node.get("displayName"):
            yield from _made(system, code, [node.get("displayName")], "")


_OTHER_RESOURCE = frozenset({"AllergyIntolerance", "Observation", "Procedure", "ValueSet"})
"""Resources in which SNOMED CT speaks of other things than conditions."""


def _made(system: str, code: str, words: list[Any], resource: str) -> Iterator[Labelled]:
    system = canonical_system(system)
    domain = _DOMAIN.get(system)
    if resource == "AllergyIntolerance" and (system == RXNORM or (system, code) in _allergens()):
        domain = "allergen"
    elif domain is None or (system == SNOMED and (resource in _OTHER_RESOURCE or not conditions.from_snomed(code))):
        return
    for text in words:
        if isinstance(text, str) and text.strip() and text.strip() != code:
            yield Labelled(domain, " ".join(text.split()), system, code)


def _allergens() -> set[tuple[str, str]]:
    return {(SNOMED, row[0]) for row in seed_rows("allergen-codes.tsv")}


def _meant(label: Labelled) -> tuple[str, ...]:
    """ICD-10-CM of a condition's label; () where that is not one code."""
    if label.system == ICD10CM:
        return (conditions.dotted(label.code),)
    said = conditions.from_icd9(label.code) if label.system == ICD9CM else conditions.from_snomed(label.code)
    return said.codes if said and said.kind in ("equal", "wider", "choice") else ()


def right(label: Labelled, target: Coding, official: dict[str, str]) -> bool | None:
    """Whether the target is what the label says; None where the label cannot tell."""
    if label.domain == "condition":
        meant = _meant(label)
        return any(a.startswith(target.code) or target.code.startswith(a) for a in meant) if meant else None
    if label.domain == "vaccine":
        cvx = vaccines.cvx_of(label.code)
        if cvx == target.code:
            return True
        group = target.code in vaccines.UNSPECIFIED
        known = vaccines.groups_of(cvx)
        return (bool(set(known) & set(vaccines.groups_of(target.code))) if known else None) if group else False
    if label.domain == "allergen":
        return target.code == label.code
    parts = official.get(label.code, "").lower().split(" / ")
    return all(target.display.lower() in part for part in parts)  # of a pack every part has the ingredient


def measure(found: set[Labelled], wrong: list[str] | None = None) -> tuple[list[Line], dict[str, tuple[int, int]]]:
    """Lines by domain and what decided; and of each domain how many wordings were asked and how many accepted."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    asked: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    names: dict[str, Counter[str]] = defaultdict(Counter)
    for label in found:
        if label.system == RXNORM:
            names[label.code][label.text] += 1
    official = {code: max(said, key=len) for code, said in names.items()}
    for label in sorted(found):
        asked[label.domain][0] += 1
        mapping = by_words(Ask(domain=label.domain, text=label.text)).mapping
        if mapping.target is None:
            continue
        asked[label.domain][1] += 1
        hit = right(label, mapping.target, official)
        if hit is None:
            continue
        held = counts[label.domain, mapping.table]
        held[0] += 1
        held[1] += hit
        if not hit and wrong is not None:
            wrong.append(f"{mapping.table}: {label.text[:70]!r} is {label.code}, was read as {mapping.target.code}")
    lines = [Line(domain, why, n, ok) for (domain, why), (n, ok) in sorted(counts.items())]
    return lines, {domain: (n, taken) for domain, (n, taken) in asked.items()}


def hand_written() -> list[tuple[Domain, str, frozenset[str]]]:
    """The hand-written list: domain, words, the codes that are right (none: nothing may be accepted)."""
    found = []
    for line in HAND.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            domain, text, codes = line.split("\t")
            found.append((cast(Domain, domain), text, frozenset() if codes == "-" else frozenset(codes.split("|"))))
    return found


def measure_hand(wrong: list[str] | None = None) -> tuple[list[Line], dict[str, tuple[int, int]]]:
    """The same of the hand-written list, where what must not be accepted counts too."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    asked: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for domain, text, codes in hand_written():
        asked[domain][0] += 1
        mapping = by_words(Ask(domain=domain, text=text)).mapping
        if mapping.target is None:
            continue
        asked[domain][1] += 1
        held = counts[domain, mapping.table]
        held[0] += 1
        held[1] += mapping.target.code in codes
        if mapping.target.code not in codes and wrong is not None:
            wrong.append(
                f"{mapping.table}: {text!r} is {'/'.join(sorted(codes)) or 'none'}, was read as {mapping.target.code}"
            )
    lines = [Line(domain, why, n, ok) for (domain, why), (n, ok) in sorted(counts.items())]
    return lines, {domain: (n, taken) for domain, (n, taken) in asked.items()}


def throughput(rows: int = 2_000) -> float:
    """Rows a second of `terminology map` over different wordings that name nothing: the slow case."""
    terminology, start = Terminology(), time.perf_counter()
    for n in range(rows):
        terminology.map(Ask(domain="condition", text=f"something {n}", codings=(Coding(system=NDC, code=str(n)),)))
    return rows / (time.perf_counter() - start)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wrong", action="store_true", help="print what was wrong")
    arguments = parser.parse_args()
    wrong: list[str] = []
    for title, (lines, asked) in (
        ("corpora", measure(labelled(), wrong)),
        ("hand-written", measure_hand(wrong)),
    ):
        print(f"{title:<12}{'decided by':<52}{'n':>7}{'precision':>11}{'low':>8}")
        for line in lines:
            print(f"{line.domain:<12}{line.why:<52}{line.accepted:>7}{line.precision:>11.3f}{line.low:>8.3f}")
        for domain, (n, taken) in sorted(asked.items()):
            print(f"{domain}: {taken} of {n} wordings accepted ({taken / n:.2f})")
    print(f"unknown wordings a second: {throughput():.0f}")
    if arguments.wrong:
        for one in wrong:
            print(one)


if __name__ == "__main__":
    main()
