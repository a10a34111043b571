"""Matching as a whole: the same whatever the order, no chain through a contradiction, nothing shared by everybody counts."""

from __future__ import annotations

import random
from collections import Counter
from datetime import date
from itertools import pairwise

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from splink import Linker
from splink.backends.duckdb import DuckDBAPI

from benchmarks.identity import households
from models.identity import Person, candidates_for, from_fields, match
from models.identity.blocking import MOST_WEAK, keys
from models.identity.comparisons import COLUMNS, LEVELS
from models.identity.comparisons import settings as model_settings
from models.identity.matching import judge
from models.identity.rules import rules
from models.identity.scoring import LOWEST, SHUT, Scorer, arrow, model, row
from models.identity.words import DATA

TODAY = date(2026, 11, 25)
GIVEN = ["Gregory", "Greg", "Nora", "Edgar", "Jayden", "Hayden", "Marjorie", "Baby Boy"]
FAMILY = ["Halloran", "Haloran", "Quimby", "Halloran-Quimby"]
BORN = ["1961-05-06", "1961-06-05", "1961-05-07", "1989-11-20", "1900-01-01"]


def person(id: str, source: str = "a", **fields: str) -> Person:
    base = {
        "given": "Gregory",
        "family": "Halloran",
        "birth": "1961-05-06",
        "street": "12 Main Street",
        "city": "Boston",
        "zip": "02139",
    }
    return from_fields(base | fields, source=source, id=id, today=TODAY)


drawn = st.builds(
    dict,
    given=st.sampled_from(GIVEN),
    family=st.sampled_from(FAMILY),
    birth=st.sampled_from(BORN),
    suffix=st.sampled_from(["", "", "Jr", "Sr"]),
    phone=st.sampled_from(["", "617-555-2345", "617-555-8888"]),
    ssn=st.sampled_from(["", "", "412-55-6789", "387-12-9944"]),
)


@given(st.lists(drawn, min_size=2, max_size=9), st.integers(0, 1000))
@settings(max_examples=4, deadline=None, derandomize=True)
def test_the_order_does_not_matter_and_once_more_changes_nothing(rows: list[dict[str, str]], seed: int) -> None:
    people = [person(str(i), **fields) for i, fields in enumerate(rows)]
    found = match(people)
    shuffled = [*people, people[0]]
    random.Random(seed).shuffle(shuffled)
    assert match(shuffled) == found
    assert match(people) == found


@given(st.lists(drawn, min_size=1, max_size=5), st.lists(drawn, min_size=1, max_size=5))
@settings(max_examples=3, deadline=None, derandomize=True)
def test_a_with_b_is_b_with_a(one: list[dict[str, str]], other: list[dict[str, str]]) -> None:
    left = [person(str(i), "a", **f) for i, f in enumerate(one)]
    right = [person(str(i), "b", **f) for i, f in enumerate(other)]
    there = {frozenset((p.left, p.right)): (p.decision, p.weight, p.reason) for p in match(left, right).pairs}
    back = {frozenset((p.left, p.right)): (p.decision, p.weight, p.reason) for p in match(right, left).pairs}
    assert there == back


@given(st.lists(drawn, min_size=3, max_size=10))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_no_group_holds_two_who_contradict_each_other(rows: list[dict[str, str]]) -> None:
    people = {str(i): person(str(i), **fields) for i, fields in enumerate(rows)}
    found = match(people.values())
    for group in found.groups:
        within = [people[i] for _, i in group]
        with Scorer() as scorer:
            for scored in scorer.within([within]):
                pair = judge(scored, within[scored.left], within[scored.right], rules())
                assert pair.decision != "no_match" and not pair.contradicted, pair.reason


def test_who_is_as_likely_one_as_the_other_of_two_is_linked_to_neither() -> None:
    """Jr and Sr of one home, and a record that does not say which; and one more pair beside."""
    junior, senior, untold = person("1", suffix="Jr"), person("3", suffix="Sr"), person("2")
    assert (
        [p.decision for p in match([junior, untold]).pairs]
        == [p.decision for p in match([untold, senior]).pairs]
        == ["match"]
    )
    beside = [person(i, given="Nora", family="Quimby", birth="1990-02-03", street="9 Elm Road") for i in ("8", "9")]
    found = match([junior, untold, senior, *beside])
    assert [(p.left[1], p.right[1]) for p in found.of("match")] == [("8", "9")]
    reviewed = {(p.left[1], p.right[1]): p.codes for p in found.of("review")}
    assert {("1", "2"), ("2", "3"), ("1", "3")} == set(reviewed)
    assert "chain" in reviewed["1", "2"] and "chain" in reviewed["2", "3"] and "suffix_differs" in reviewed["1", "3"]


def test_who_is_far_likelier_one_of_two_is_linked_to_that_one() -> None:
    junior, senior = person("1", suffix="Jr", ssn="412-55-6789"), person("3", suffix="Sr")
    found = match([junior, person("2", ssn="412-55-6789"), senior])
    assert [(p.left[1], p.right[1]) for p in found.of("match")] == [("1", "2")]
    (chained,) = [p for p in found.of("review") if "chain" in p.codes]
    assert (chained.left[1], chained.right[1]) == ("2", "3") and "contradicts" in chained.reason


def test_two_of_one_file_who_contradict_each_other_are_not_both_linked_to_one_of_the_other() -> None:
    """Across two files the pair within one is never listed, and counts all the same."""
    son, father = person("1", "a", suffix="Jr"), person("2", "a", suffix="Sr")
    found = match([son, father], [person("1", "b")])
    assert [p.decision for p in found.pairs] == ["review", "review"] and not found.groups


def test_a_number_that_many_give_is_nobodys() -> None:
    """The front desk's own number, typed where nobody told one."""
    many = [
        person(str(i), given=g, birth=f"19{60 + i}-05-0{i + 1}", ssn="412-55-6789", street="", zip="", city="")
        for i, g in enumerate(["Nora", "Edgar", "Ada", "Oscar", "Wilma"])
    ]
    two = [person(i, ssn="412-55-6789", street="", zip="", city="") for i in ("8", "9")]
    assert [p.decision for p in match(two).pairs] == ["match"], "among themselves it is their own"
    (pair,) = [p for p in match([*many, *two]).pairs if {p.left[1], p.right[1]} == {"8", "9"}]
    assert pair.decision == "review" and "social security" not in pair.reason


def test_name_birth_date_and_town_are_enough_only_where_the_file_has_no_more() -> None:
    bare = [person(i, street="") for i in ("1", "2")]
    other = {"given": "Nora", "family": "Quimby", "birth": "1990-02-03", "street": ""}
    assert [p.decision for p in match([*bare, person("3", **other)]).pairs] == ["match"]
    assert [p.decision for p in match([*bare, person("3", **other, phone="617-555-2345")]).pairs] == ["review"]
    assert [p.decision for p in match([person(i, street="", zip="", city="") for i in ("1", "2")]).pairs] == ["review"]


def test_one_person_against_many() -> None:
    known = [
        person("1"),
        person("2", given="Edgar"),
        person("3", given="Nora", family="Quimby", birth="1990-02-03", street=""),
    ]
    found = candidates_for(person("asked", "request", given="Greg"), known)
    assert len(found) == 2, "strangers are not told"
    assert [(p.right[1], p.decision) for p in found] == [("1", "match"), ("2", "no_match")]
    assert candidates_for(person("asked", "request"), []) == []


def test_nobody_and_one_alone_are_no_error() -> None:
    assert match([]).pairs == match([person("1")]).pairs == match([], [person("1")]).pairs == ()


def test_the_shipped_model_is_the_one_that_is_defined_and_its_weights_fall_with_the_levels() -> None:
    defined, shipped = model_settings(), model()
    for wanted, found in zip(defined["comparisons"], shipped["comparisons"], strict=True):
        assert wanted["output_column_name"] == found["output_column_name"]
        labels = [(lv["label_for_charts"], lv["sql_condition"]) for lv in found["comparison_levels"]]
        assert labels == [(lv["label_for_charts"], lv["sql_condition"]) for lv in wanted["comparison_levels"]]
        rated = {
            lv["label_for_charts"]: lv["m_probability"] / lv["u_probability"]
            for lv in found["comparison_levels"]
            if not lv.get("is_null_level")
        }
        assert rated.get("same", rated.get("home", 0)) > 1, "agreement speaks for one person"
        assert rated.get("different", 0) < 1, "difference against"
    assert set(row(person("1"))) == set(COLUMNS)


def test_every_level_of_the_model_is_met_by_some_pair() -> None:
    """A level nobody can reach is a slip of its condition."""
    base = {"middle": "Lee", "suffix": "Jr", "sex": "m", "phone": "617-555-2345", "email": "gh@home.net", "ssn": "412-55-6789",
            "mrn": "100234", "license": "S123456", "state": "MA", "member": "H5501"}  # fmt: skip
    changes: list[dict[str, str]] = [
        {}, {"given": "Greg"}, {"given": "Gregoyr"}, {"given": "G"}, {"given": "Lee"}, {"given": "Nora"}, {"given": "Baby Boy"}, {"given": ""},
        {"given": "Halloran", "family": "Gregory"}, {"given": "Gregorio"}, {"family": "Haloran"}, {"family": "Halloran-Quimby"}, {"family": "Quimby"},
        {"family": ""}, {"middle": "L"}, {"middle": "Paul"}, {"middle": ""}, {"suffix": "Sr"}, {"suffix": ""}, {"birth": "1961-06-05"},
        {"birth": "1961-05-07"}, {"birth": "1961-05-23"}, {"birth": "1961"}, {"birth": ""}, {"birth": "1989-11-20"}, {"sex": "f"}, {"sex": ""},
        {"unit": "9"}, {"street": "Main Street"}, {"street": "77 Main Street"}, {"phone": "617-555-2354"}, {"email": "hg@home.net"}, {"birth": "1991-05-06"},
        {"birth": "1963-05-16"}, {"birth": "1965-11-28"}, {"given": "Butch", "nickname": "Gregory"}, {"street": "8 Elm Road"}, {"street": "8 Elm Road", "zip": "02140"}, {"street": "8 Elm Road", "zip": "45402", "city": "Dayton"},
        {"street": "", "zip": "", "city": ""}, {"phone": ""}, {"phone": "617-555-8888"}, {"email": ""}, {"email": "gh1@home.net"}, {"email": "other@web.org"},
        {"ssn": "6789"}, {"ssn": "412-55-6788"}, {"ssn": "387-12-9944"}, {"ssn": ""}, {"mrn": "100235"}, {"mrn": ""}, {"license": "S777777"},
        {"license": ""}, {"member": "H9999"}, {"member": ""},
    ]  # fmt: skip
    groups = []
    for i, change in enumerate(changes):
        one = person(f"{i}a", **(base | {"unit": "4"}))
        groups.append([one, person(f"{i}b", **(base | {"unit": "4"} | change))])
    with Scorer() as scorer:
        scored = scorer.within(groups)
    met = {name: {s.levels[name] for s in scored} for name in LEVELS}
    wanted = {name: {label for label, _ in levels} for name, levels in LEVELS.items()}
    assert met == wanted


def test_a_rule_that_names_a_level_which_is_not_compared_is_refused(tmp_path) -> None:
    broken = tmp_path / "rules.toml"
    text = (DATA / "rules.toml").read_text("utf-8")
    broken.write_text(text.replace('given = ["lookalike"]', 'given = ["alike"]'))
    with pytest.raises(ValueError, match="alike"):
        rules(broken)


def test_best_first() -> None:
    found = match([person("1"), person("2"), person("3", birth="1989-11-20"), person("4", given="Edgar")])
    ranks = [("match", "review", "no_match").index(p.decision) for p in found.pairs]
    assert ranks == sorted(ranks)
    assert all(a.weight >= b.weight for a, b in pairwise(found.pairs) if a.decision == b.decision)


def test_the_statement_weighs_as_splink_does() -> None:
    """The model is Splink's; ours is only how it is run."""
    one, two, _ = households(seed=9, rounds=2)
    people = [*one, *two]
    connection = duckdb.connect(":memory:", config=SHUT)
    connection.register("handed_in", arrow(people))
    connection.execute("create table people as select * from handed_in")
    linker = Linker(DuckDBAPI(connection).register("people", table_name="people"), model(), validate_settings=False)
    predicted = linker.inference.predict(threshold_match_weight=LOWEST).as_duckdbpyrelation()
    theirs = {(a, b): w for a, b, w in predicted.project("unique_id_l, unique_id_r, match_weight").fetchall()}
    with Scorer() as scorer:
        ours = {(s.left, s.right): s for s in scorer.candidates(people)}
    assert set(ours) <= set(theirs) and len(ours) > len(people)
    for pair, scored in ours.items():
        assert scored.weight == pytest.approx(theirs[pair], abs=0.01)
        assert sum(scored.shares.values()) - 17 == pytest.approx(scored.weight, abs=0.02), "the explanation adds up"
    # what only Splink finds has nothing in common but a key that is too common
    common = {k for k, n in Counter(k for p in people for k in keys(p)).items() if n > MOST_WEAK}
    for a, b in set(theirs) - set(ours):
        assert set(keys(people[a])) & set(keys(people[b])) <= common
