"""How well people are told apart: `python -m benchmarks.identity [--rounds 150] [--scale 10000]`.

Two sets: the FEBRL files of ../shared/data/match-febrl (labels in the record ids), and families with those who are
easily taken for each other (households.py). For each: what was linked by itself, how much of that was right, what went
to a steward, what was missed. `--scale N` adds the time of N records against N.
"""

from __future__ import annotations

import argparse
import csv
import io
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from itertools import combinations
from pathlib import Path

from benchmarks.households import cases
from models.identity import Matches, match
from models.identity.blocking import MOST, MOST_WEAK, WEAK, keys
from models.identity.person import Person, from_fields
from models.identity.tables import read
from models.identity.words import headers

TODAY = date(2026, 1, 2)
FEBRL = Path(__file__).parents[2] / "shared" / "data" / "match-febrl"
Truth = set[frozenset[tuple[str, str]]]


def account(name: str, found: Matches, truth: Truth) -> dict[str, float]:
    """Print and return the figures of one set."""
    got = {d: {frozenset((p.left, p.right)) for p in found.of(d)} for d in ("match", "review")}  # type: ignore[arg-type]
    right, wrong = len(got["match"] & truth), len(got["match"] - truth)
    reviewed = len(got["review"] & truth)
    missed = len(truth) - right - reviewed
    precision = right / (right + wrong) if right + wrong else 1.0
    recall = right / len(truth) if truth else 1.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    print(
        f"{name:28} true pairs {len(truth):6}: linked {right:6} ({recall:6.1%}), reviewed {reviewed:5}, missed {missed:5}; "
        f"wrong links {wrong}, precision {precision:.4f}, recall {recall:.4f}, F1 {f1:.4f}, with review "
        f"{(right + reviewed) / max(len(truth), 1):.4f}; reviews in vain {len(got['review'] - truth)}"
    )
    return {"precision": precision, "recall": recall, "f1": f1, "wrong": wrong, "reviewed": reviewed, "missed": missed}


def pairs_of(keys: Iterable[tuple[str, str]], whose: Callable[[tuple[str, str]], str]) -> Truth:
    """The pairs of records of one person."""
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key in keys:
        groups[whose(key)].append(key)
    return {frozenset(p) for group in groups.values() for p in combinations(group, 2)}


def febrl() -> None:
    """The files that are there."""
    if not FEBRL.is_dir():
        print("match-febrl is not here")
        return
    for name in ("dataset1.csv", "dataset2.csv", "dataset3.csv", "fake_1000.csv"):
        data = (FEBRL / name).read_bytes()
        table = read(data, name, today=TODAY)
        if name.startswith("fake"):
            clusters = {r["unique_id"]: r["cluster"] for r in csv.DictReader(io.StringIO(data.decode()))}
            truth = pairs_of([p.key for p in table.people], lambda k, t=table, c=clusters: c[t.ids[k[1]]])
        else:
            truth = pairs_of([p.key for p in table.people], lambda k, t=table: t.ids[k[1]].split("-")[1])
        account(f"{name} ({len(table.people)} of {table.rows})", match(table.people), truth)
        blocked(table.people, table.people, truth)


def blocked(one: Iterable[Person], two: Iterable[Person], truth: Truth) -> float:
    """Print and return how many of the true pairs are compared at all."""
    at = {p.key: set(keys(p)) for p in (*one, *two)}
    counts = [Counter(k for p in side for k in at[p.key]) for side in (one, two)]
    common = {k for c in counts for k, n in c.items() if n > (MOST_WEAK if k.startswith(WEAK) else MOST)}
    met = sum(bool(set.intersection(*(at[key] for key in pair)) - common) for pair in truth)
    share = met / len(truth) if truth else 1.0
    print(f"   compared at all (blocking): {share:.4f}")
    return share


def households(
    seed: int, rounds: int, without: Iterable[str] = ()
) -> tuple[list[Person], list[Person], dict[tuple[str, str], tuple[str, str]]]:
    """Records of A, of B, and key -> (case, person). `without`: columns that neither file has."""
    sides: tuple[list[Person], list[Person]] = ([], [])
    whose = {}
    for case, *both in cases(seed, rounds):
        for side, name, records in zip(sides, "AB", both, strict=True):
            for record in records:
                fields = {headers()[k]: v for k, v in record.items() if k in headers() and k not in without}
                person = from_fields(fields, source=name, id=str(len(side)), today=TODAY)
                side.append(person)
                whose[person.key] = (case, record["person"])
    return *sides, whose


def told_apart(seed: int, rounds: int) -> dict[str, float]:
    """The families: as a link between A and B, and each case by itself."""
    one, two, whose = households(seed, rounds)
    truth = {p for p in pairs_of(whose, lambda k: whose[k][1]) if len({s for s, _ in p}) == 2}
    found = match(one, two)
    figures = account(f"households ({len(one)} x {len(two)})", found, truth)
    blocked(one, two, truth)
    by_case: dict[str, Counter[str]] = defaultdict(Counter)
    decisions = {frozenset((p.left, p.right)): p for p in found.pairs}
    for pair in truth:
        case = whose[min(pair)][0]
        by_case[case][decisions[pair].decision if pair in decisions else "missed"] += 1
    for pair, p in decisions.items():
        if pair not in truth:
            by_case[whose[p.left][0]]["WRONG LINK" if p.decision == "match" else f"false_{p.decision}"] += 1
            if p.decision == "match":
                print("   wrong:", whose[p.left], whose[p.right], f"{p.weight:.1f}", p.reason)
    for case, counts in sorted(by_case.items()):
        print(f"   {case:26}", ", ".join(f"{k} {v}" for k, v in sorted(counts.items())))
    return figures


def without_columns(seed: int, rounds: int) -> None:
    """The families again, as files that lack a column."""
    for lacking in (
        [],
        ["phone"],
        ["sex"],
        ["ssn"],
        ["email"],
        ["middle_name"],
        ["address"],
        ["phone", "ssn", "email"],
    ):
        one, two, whose = households(seed, rounds, lacking)
        truth = {p for p in pairs_of(whose, lambda k, w=whose: w[k][1]) if len({s for s, _ in p}) == 2}
        account(f"without {', '.join(lacking) or 'nothing'}", match(one, two), truth)


def scale(count: int) -> None:
    """The time of `count` records against `count`, from the training population with another seed."""
    from benchmarks.identity_training import records

    people, truth = records(seed=7, count=2 * count)
    sides: dict[str, list[Person]] = defaultdict(list)
    whose = {}
    for person, number in zip(people, truth, strict=True):
        if len(sides[person.source]) < count:
            sides[person.source].append(person)
            whose[person.key] = str(number)
    one, two = sides["site0"], sides["site1"]
    begin = time.perf_counter()
    found = match(one, two)
    seconds = time.perf_counter() - begin
    truth_pairs = {
        p for p in pairs_of([p.key for p in (*one, *two)], lambda k: whose[k]) if len({s for s, _ in p}) == 2
    }
    account(f"scale ({len(one)} x {len(two)}, {seconds:.1f} s)", found, truth_pairs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--scale", type=int, default=0)
    asked = parser.parse_args()
    febrl()
    for seed in asked.seeds:
        told_apart(seed, asked.rounds)
    without_columns(asked.seeds[0] if asked.seeds else 1, asked.rounds // 3)
    if asked.scale:
        scale(asked.scale)


if __name__ == "__main__":
    main()
