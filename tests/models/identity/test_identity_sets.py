"""Two sets whose truth is known: families with those who are easily taken for each other, and the FEBRL files."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.identity import FEBRL, TODAY, account, households, pairs_of
from models.identity import Directory, Person, candidates_for, match
from models.identity.matching import CHAINED
from models.identity.tables import read

SAME = {"plain", "nicknamed", "misspelt", "siblings", "spouses"}


def test_families_are_told_apart() -> None:
    """Another seed than the benchmark's. A wrong link is a failure; a missed one is a steward's work."""
    one, two, whose = households(seed=77, rounds=12)
    truth = {p for p in pairs_of(whose, lambda k: whose[k][1]) if len({s for s, _ in p}) == 2}
    found = match(one, two)
    linked = {frozenset((p.left, p.right)) for p in found.of("match")}
    wrong = [(whose[a], whose[b]) for a, b in map(sorted, linked - truth)]
    assert not wrong
    seen = linked | {frozenset((p.left, p.right)) for p in found.of("review")}
    assert truth <= seen, "nobody is missed altogether"
    easy = {p for p in truth if whose[min(p)][0] in SAME}
    assert len(linked & easy) > 0.85 * len(easy), "who is plainly one person is linked without a steward"


def test_the_directory_passes_over_nobody_who_would_be_found() -> None:
    """Asked one by one, a directory's answer is what the comparison with everybody gives."""
    known, asked, _ = households(seed=5, rounds=5)
    directory = Directory()
    directory.refresh({p.key: "1" for p in known}, lambda _: known)
    sample = asked[::25]
    told = {
        frozenset((p.left, p.right)): (p.decision, p.weight)
        for p in match(sample, known).pairs
        if CHAINED not in p.codes
    }
    found = {}
    for person in sample:
        near = directory.near(person)
        assert len(near) < len(known)
        found |= {frozenset((p.left, p.right)): (p.decision, p.weight) for p in candidates_for(person, near)}
    assert told.items() <= found.items() and len(told) > len(sample)


def test_a_directory_follows_what_changes_and_forgets_who_is_gone() -> None:
    known, _, _ = households(seed=5, rounds=1)
    ana = known[0]
    directory = Directory()
    directory.refresh({p.key: "1" for p in known}, lambda wanted: [p for p in known if p.key in wanted])
    assert ana in directory.near(ana) and len(directory) == len(known)
    moved = msgspec.structs.replace(ana, phones=("6175552345",))
    asked: list[tuple[str, str]] = []

    def read(wanted: list[tuple[str, str]]) -> list[Person]:
        asked.extend(wanted)
        return [moved]

    directory.refresh({p.key: "1" for p in known} | {ana.key: "2"}, read)
    assert asked == [ana.key] and moved in directory.near(moved) and ana not in directory.near(ana)
    directory.refresh({p.key: "1" for p in known[1:]}, read)
    assert ana.key not in {p.key for p in directory.near(moved)} and asked == [ana.key]


@pytest.mark.corpus
@pytest.mark.parametrize(("name", "least"), [("dataset1.csv", 0.88), ("dataset2.csv", 0.78)])
def test_febrl(name: str, least: float, capsys: pytest.CaptureFixture[str]) -> None:
    if not FEBRL.is_dir():
        pytest.skip("../shared/data/match-febrl is not here")
    table = read(Path(FEBRL / name).read_bytes(), name, today=TODAY)
    truth = pairs_of([p.key for p in table.people], lambda k: table.ids[k[1]].split("-")[1])
    figures = account(name, match(table.people), truth)
    assert figures["precision"] >= 0.999
    assert figures["recall"] >= least and 1 - figures["missed"] / len(truth) >= 0.95
    assert "reviews in vain" in capsys.readouterr().out
