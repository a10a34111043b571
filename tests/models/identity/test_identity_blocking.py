"""Which pairs are compared at all: a record and its damaged copy always meet; who has nothing in common does not."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.identity import Person, from_fields, match
from models.identity.blocking import MOST, WEAK, keys, soundex

TODAY = date(2026, 11, 25)
BASE = {
    "given": "Gregory", "family": "Halloran", "birth": "1961-05-06", "street": "12 North Main Street", "city": "Boston",
    "zip": "02139", "phone": "617-555-2345", "ssn": "412-55-6789", "email": "ghall@home.net",
}  # fmt: skip
DAMAGES: list[dict[str, str]] = [
    {"given": "Gergory"}, {"given": "Greg"}, {"given": "Nora"}, {"given": ""}, {"family": "Haloran"}, {"family": "Quimby"}, {"family": ""},
    {"given": "Halloran", "family": "Gregory"}, {"birth": "1961-06-05"}, {"birth": "1916-05-06"}, {"birth": "1961-05-26"}, {"birth": ""},
    {"birth": "1900-01-01"}, {"street": "21 Nort Main"}, {"street": "", "zip": "", "city": ""}, {"zip": "02193"}, {"phone": "617-555-2354"},
    {"phone": ""}, {"ssn": "412-55-6798"}, {"ssn": ""}, {"email": "gh@home.net"}, {"email": ""},
]  # fmt: skip


def person(id: str, **fields: str) -> Person:
    return from_fields(BASE | fields, source="a", id=id, today=TODAY)


@pytest.mark.parametrize(
    ("word", "code"),
    [("robert", "r163"), ("rupert", "r163"), ("rubin", "r150"), ("ashcraft", "a261"), ("tymczak", "t522"), ("pfister", "p236"),
     ("honeyman", "h555"), ("lee", "l000"), ("иванов", "иванов"), ("", "")],
)  # fmt: skip
def test_soundex_as_the_national_archives_have_it(word: str, code: str) -> None:
    assert soundex(word) == code


@given(st.lists(st.sampled_from(DAMAGES), max_size=3))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_three_damages_leave_a_key_in_common(damages: list[dict[str, str]]) -> None:
    damaged: dict[str, str] = {}
    for damage in damages:
        damaged |= damage
    mine, theirs = keys(person("1")), keys(person("2", **damaged))
    assert {k for k in mine if not k.startswith(WEAK)} & set(theirs), damaged
    assert list(mine) == sorted(set(mine))


def test_strangers_have_none() -> None:
    other = {"given": "Nora", "family": "Quimby", "birth": "1990-12-30", "street": "8 Elm Court", "city": "Dayton", "zip": "45402",
             "phone": "937-555-7781", "ssn": "387-12-9944", "email": "nq@web.org"}  # fmt: skip
    assert not set(keys(person("1"))) & set(keys(person("2", **other)))


def test_every_address_name_and_telephone_counts() -> None:
    """An address that one has as their earlier one, the other as theirs."""
    here = {"street": "8 Elm Court", "city": "Dayton", "zip": "45402", "phone": "", "ssn": "", "email": ""}
    two = person("2", **here, nickname="Butch;Gus")
    one = person("1", phone="", ssn="", email="")
    moved = Person(**{f: getattr(one, f) for f in one.__struct_fields__} | {"more_places": (two.place,)})
    assert any(k.startswith("home:") for k in set(keys(moved)) & set(keys(two)))
    (pair,) = match([moved, two]).pairs
    assert pair.decision == "match" and "address same home" in pair.reason
    assert two.name.givens == ("butch", "gregory", "gus")


def test_a_key_that_everybody_has_is_passed_over() -> None:
    """A clinic's own telephone, and one name with one birth year: without end if each were compared with each."""
    many = [
        from_fields(
            {"given": f"{a}{b}ulia", "family": f"{b}{a}orst", "birth": "", "phone": "617-555-2345"},
            source="a", id=f"{a}{b}", today=TODAY,
        )
        for a in "abcdefghijklmnopqrstu" for b in "abcdefghijklmnopqrstu"
    ]  # fmt: skip
    assert len(many) > MOST and not match(many).of("match")
