"""Pairs a registration desk knows: what is linked by itself, what a steward sees, what is nobody's business to link."""

from __future__ import annotations

from datetime import date

import pytest

from models.identity import Person, from_fields
from models.identity.matching import Pair, judge
from models.identity.rules import rules
from models.identity.scoring import Scorer

TODAY = date(2026, 11, 25)
BASE = {
    "given": "Gregory", "family": "Halloran", "birth": "1961-05-06", "sex": "M", "street": "12 North Main Street",
    "city": "Boston", "state": "MA", "zip": "02139", "phone": "617-555-2345", "ssn": "412-55-6789",
}  # fmt: skip
NO_SSN = BASE | {"ssn": ""}
TWIN = NO_SSN | {"birth": "2015-03-04", "phone": "617-555-2345", "email": "halloran@home.net"}
ELSEWHERE = {
    "street": "8 Elm Court",
    "city": "Dayton",
    "state": "OH",
    "zip": "45402",
    "phone": "937-555-7781",
    "ssn": "",
}

Case = tuple[str, dict[str, str], dict[str, str], str]
CASES: list[Case] = [
    # what is one person
    ("everything the same", BASE, BASE, "match"),
    ("written differently", BASE, BASE | {"given": "GREGORY", "birth": "05/06/1961", "street": "12 N. Main St.", "zip": "02139-1234", "phone": "+1 (617) 555 2345", "ssn": ""}, "match"),
    ("a nickname, the same home", NO_SSN, NO_SSN | {"given": "Greg", "phone": ""}, "match"),
    ("another spelling, the same home", NO_SSN | {"given": "Stephen"}, NO_SSN | {"given": "Steven"}, "match"),
    ("a misspelt given name, the same home", NO_SSN, NO_SSN | {"given": "Gregoyr"}, "match"),
    ("moved, the same telephone", NO_SSN, NO_SSN | ELSEWHERE | {"phone": NO_SSN["phone"]}, "match"),
    ("moved, the same number", BASE, BASE | ELSEWHERE | {"ssn": BASE["ssn"]}, "match"),
    ("a new family name, the same number", BASE | {"given": "Marjorie", "sex": "F"}, BASE | {"given": "Marjorie", "sex": "F", "family": "Quimby"}, "match"),
    ("two family names, the same home", NO_SSN, NO_SSN | {"family": "Halloran-Quimby"}, "match"),
    ("a digit of the birth date, the same home", NO_SSN, NO_SSN | {"birth": "1961-05-07"}, "match"),
    ("accents", NO_SSN | {"family": "Hernández"}, NO_SSN | {"family": "HERNANDEZ"}, "match"),
    ("a suffix on one side", NO_SSN | {"suffix": "Jr."}, NO_SSN, "match"),
    ("days exchanged, the same number", BASE, BASE | {"birth": "1961-06-05"}, "match"),
    ("a new family name, the same home", NO_SSN | {"sex": "F", "given": "Marjorie"}, NO_SSN | {"sex": "F", "given": "Marjorie", "family": "Quimby"}, "match"),
    ("another number, all else the same", BASE, BASE | {"ssn": "387-12-9944"}, "match"),
    ("another sex, all else the same", NO_SSN, NO_SSN | {"sex": "F"}, "match"),
    ("no given name, the number of somebody grown up", BASE | {"given": ""}, BASE, "match"),
    ("another given name, the number of somebody grown up", BASE, BASE | {"given": "Francis"}, "match"),
    ("another date within a month, the same home", NO_SSN, NO_SSN | {"birth": "1961-05-28"}, "match"),
    ("a digit of the house number", NO_SSN | {"phone": ""}, NO_SSN | {"street": "21 North Main Street", "phone": ""}, "match"),
    ("the kind of street misspelt", NO_SSN | {"phone": ""}, NO_SSN | {"street": "12 North Main Sreet", "phone": ""}, "match"),
    ("an earlier family name told", NO_SSN | {"family": "Quimby", "former": "Halloran"}, NO_SSN, "match"),
    ("a preferred name told", NO_SSN | {"nickname": "Butch"}, NO_SSN | {"given": "Butch"}, "match"),
    ("two digits of the birth date, the same e-mail", NO_SSN | {"email": "ghalloran@home.net"}, NO_SSN | {"email": "ghalloran@home.net", "birth": "1962-05-16"}, "match"),
    ("a digit of the number, moved", BASE | {"phone": ""}, BASE | ELSEWHERE | {"ssn": "412-55-6798"}, "match"),
    # what a steward decides
    ("another given and family name, one number", BASE, BASE | {"given": "Francis", "family": "Quimby"}, "review"),
    ("another given name, one number, moved", BASE, BASE | ELSEWHERE | {"given": "Francis", "ssn": BASE["ssn"]}, "review"),
    ("another middle name, the number of a child", TWIN | {"ssn": "412-55-6789", "middle": "Ali"}, TWIN | {"ssn": "412-55-6789", "middle": "Omar"}, "review"),
    ("another given name, the number of a child", BASE | {"birth": "2015-03-04"}, BASE | {"birth": "2015-03-04", "given": "Francis"}, "review"),
    ("another number and a misspelt name", BASE, BASE | {"given": "Gregoyr", "ssn": "387-12-9944"}, "review"),
    ("another number of a child", TWIN | {"ssn": "412-55-6789"}, TWIN | {"ssn": "387-12-9944"}, "review"),
    ("brothers of one first name", NO_SSN | {"given": "Mohammed"}, NO_SSN | {"given": "Mohammed", "birth": "1964-11-22"}, "review"),
    ("no given name, the number of a child", BASE | {"birth": "2015-03-04", "given": ""}, BASE | {"birth": "2015-03-04"}, "review"),
    ("twins who sound alike under a parent's number", TWIN | {"given": "Jayden", "ssn": "412-55-6789"}, TWIN | {"given": "Hayden", "ssn": "412-55-6789"}, "review"),
    ("a digit of the birth date, decades apart", NO_SSN, NO_SSN | {"birth": "1991-05-06", "email": ""}, "review"),
    ("days exchanged alone", NO_SSN, NO_SSN | {"birth": "1961-06-05"}, "review"),
    ("name and birth date alone", NO_SSN, NO_SSN | ELSEWHERE, "review"),
    ("an initial", NO_SSN, NO_SSN | {"given": "G"}, "review"),
    ("the year alone is known", NO_SSN, NO_SSN | {"birth": "1961"}, "review"),
    ("first of January", NO_SSN | {"birth": "1961-01-01"}, NO_SSN | {"birth": "1961-01-01"}, "review"),
    ("born at the beginning of time", NO_SSN | {"birth": "1900-01-01"}, NO_SSN | {"birth": "01/01/1900"}, "review"),
    ("a newborn and the name it got", TWIN | {"given": "Baby Boy"}, TWIN | {"given": "Gregory"}, "review"),
    ("two newborns of one name", TWIN | {"given": "BB"}, TWIN | {"given": "Newborn"}, "review"),
    ("twins who sound alike", TWIN | {"given": "Jayden"}, TWIN | {"given": "Hayden"}, "review"),
    ("twins who look alike", TWIN | {"given": "Marco"}, TWIN | {"given": "Mario"}, "review"),
    ("twins whose names are each other's forms", TWIN | {"given": "Julia"}, TWIN | {"given": "Julie"}, "review"),
    ("twins with a rare spelling of each other", TWIN | {"given": "Luca"}, TWIN | {"given": "Luka"}, "review"),
    ("sisters with a first name in common", TWIN | {"given": "Maria", "middle": "Luisa"}, TWIN | {"given": "Maria", "middle": "Teresa"}, "review"),
    ("father and son, birthdays alike", NO_SSN, NO_SSN | {"birth": "1981-05-06"}, "review"),
    ("suffixes differ, one birth date", NO_SSN | {"suffix": "Jr"}, NO_SSN | {"suffix": "III"}, "review"),
    # who is not one
    ("father and son without suffixes", NO_SSN, NO_SSN | {"birth": "1989-11-20"}, "no_match"),
    ("a parent's number on a child's record", BASE | {"birth": "2018-02-03", "given": "Nora", "sex": "F"}, BASE, "no_match"),
    ("a newborn under its mother's number", BASE | {"given": "Baby Girl", "birth": "2026-10-01", "sex": "F"}, BASE | {"given": "Marjorie", "sex": "F"}, "no_match"),
    ("twins who look alike, with numbers", TWIN | {"given": "Marco", "ssn": "412-55-6789"}, TWIN | {"given": "Mario", "ssn": "387-12-9944"}, "no_match"),
    ("twins who look alike, boy and girl", TWIN | {"given": "Eric", "sex": "M"}, TWIN | {"given": "Erica", "sex": "F"}, "no_match"),
    ("one name and birth date, other middle names", NO_SSN | {"middle": "Paul"}, NO_SSN | ELSEWHERE | {"middle": "Lee"}, "no_match"),
    ("brothers of one first name, with middle names", NO_SSN | {"given": "Mohammed", "middle": "Ali"}, NO_SSN | {"given": "Mohammed", "middle": "Omar", "birth": "1964-11-22"}, "no_match"),
    ("a name alone", NO_SSN | {"birth": ""}, NO_SSN | ELSEWHERE | {"birth": ""}, "no_match"),
    ("twins", TWIN | {"given": "Edgar"}, TWIN | {"given": "Nora"}, "no_match"),
    ("twins of one sex", TWIN | {"given": "Edgar"}, TWIN | {"given": "Oscar"}, "no_match"),
    ("newborn A and B", TWIN | {"given": "Baby Boy A"}, TWIN | {"given": "Baby Boy B"}, "no_match"),
    ("newborn 1 and 2, named after their mother", TWIN | {"given": "1Judysboy"}, TWIN | {"given": "2Judysboy"}, "no_match"),
    ("Jr and Sr", NO_SSN | {"suffix": "Sr"}, NO_SSN | {"suffix": "Jr", "birth": "1989-11-20"}, "no_match"),
    ("spouses", NO_SSN, NO_SSN | {"given": "Nora", "sex": "F", "birth": "1963-09-12"}, "no_match"),
    ("siblings with one telephone and e-mail", TWIN | {"given": "Edgar"}, TWIN | {"given": "Nora", "birth": "2017-08-09"}, "no_match"),
    ("strangers", NO_SSN, NO_SSN | ELSEWHERE | {"given": "Nora", "family": "Quimby", "birth": "1990-12-30"}, "no_match"),
]  # fmt: skip


def people(fields: dict[str, str], source: str, id: str) -> Person:
    return from_fields(fields, source=source, id=id, today=TODAY)


@pytest.fixture(scope="module")
def judged() -> dict[str, Pair]:
    """Each case's pair, compared whatever blocking thinks of it; both ways round."""
    pairs = {}
    with Scorer() as scorer:
        for turned in (False, True):
            groups = []
            for i, (_, a, b, _) in enumerate(CASES):
                one, other = (b, a) if turned else (a, b)
                groups.append([people(one, "north", str(i)), people(other, "south", str(i))])
            flat = [p for g in groups for p in g]
            for scored in scorer.within(groups):
                left, right = flat[scored.left], flat[scored.right]
                pairs[f"{CASES[scored.left // 2][0]}{' turned' * turned}"] = judge(scored, left, right, rules())
    return pairs


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_the_decision(judged: dict[str, Pair], case: Case) -> None:
    pair = judged[case[0]]
    assert pair.decision == case[3], (pair.weight, pair.codes, pair.reason)


@pytest.mark.parametrize("case", CASES, ids=[c[0] for c in CASES])
def test_it_does_not_matter_who_is_compared_with_whom(judged: dict[str, Pair], case: Case) -> None:
    one, other = judged[case[0]], judged[f"{case[0]} turned"]
    assert (one.weight, one.decision, one.codes, one.reason) == (
        other.weight,
        other.decision,
        other.codes,
        other.reason,
    )


def test_the_reason_holds_levels_and_words_and_no_value(judged: dict[str, Pair]) -> None:
    reason = judged["twins"].reason
    assert "birth date same (+" in reason and "given name different (-" in reason and "twins" in reason
    for name, a, b, _ in CASES:
        told = judged[name].reason.lower()
        for value in [v for fields in (a, b) for v in fields.values() if len(v) > 3 and v != "Newborn"]:
            assert value.lower() not in told, name


def test_a_sequential_record_number_is_no_agreement() -> None:
    one, other = NO_SSN | {"mrn": "100234"}, NO_SSN | ELSEWHERE | {"mrn": "100235", "given": "Gregor"}
    with Scorer() as scorer:
        (scored,) = scorer.within([[people(one, "a", "1"), people(other, "a", "2")]])
    assert scored.levels["record"] == "other" and scored.shares["record"] == 0


def test_a_record_number_counts_within_its_hospital_only() -> None:
    fields = NO_SSN | ELSEWHERE | {"mrn": "100234"}
    with Scorer() as scorer:
        at_two, at_one = (
            scorer.within([[people(fields, one, "1"), people(fields | {"street": "", "phone": ""}, two, "2")]])[0]
            for one, two in (("north", "south"), ("north", "north"))
        )
    assert (at_two.levels["record"], at_one.levels["record"]) == ("other", "same")


def test_no_network_no_extension_no_file() -> None:
    """DuckDB would fetch an extension for a URL by itself."""
    with Scorer() as scorer:
        for statement in (
            "select * from 'https://127.0.0.1:1/x.csv'",
            "install httpfs",
            "select * from read_csv('/etc/passwd')",
        ):
            with pytest.raises(Exception, match=r"(?i)disabled|permission|not allowed|external"):
                scorer._connection.execute(statement)
