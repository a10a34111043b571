"""What is compared, from what was written: names, birth dates, addresses, contacts, numbers."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.identity import births, from_record, names, numbers, places
from models.identity.person import from_fields
from models.identity.words import full_names
from models.record import Address, Demographics, Identifier, Origin, PersonName

TODAY = date(2026, 11, 25)


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ({"given": "John", "family": "Smith Jr."}, {"given": "john", "family": "smith", "suffix": "jr"}),
        ({"given": "John", "family": "Smith, III"}, {"family": "smith", "suffix": "iii"}),
        ({"given": "John", "family": "Smith", "suffix": "Junior"}, {"suffix": "jr"}),
        ({"given": "JOHN JR", "family": "SMITH"}, {"given": "john", "suffix": "jr"}),
        ({"given": "John V", "family": "Smith"}, {"given": "john", "middle": "v", "suffix": ""}),
        ({"given": "Dr. Ana", "family": "Nuñez MD"}, {"given": "ana", "family": "nunez", "suffix": ""}),
        ({"given": "Mary Ann", "family": "O'Brien"}, {"given": "mary", "middle": "ann", "family": "obrien"}),
        ({"given": "Jean-Paul", "family": "Müller"}, {"given": "jeanpaul", "family": "muller"}),
        ({"given": "Søren", "family": "Weiß"}, {"given": "soren", "family": "weiss"}),
        ({"whole": "Garcia Lopez, Maria T."}, {"given": "maria", "middle": "t", "family": "garcialopez"}),
        ({"whole": "Maria van der Berg"}, {"given": "maria", "family": "vanderberg"}),
        ({"whole": "Smith, Jr., John"}, {"given": "john", "family": "smith", "suffix": "jr"}),
        ({"given": "UNKNOWN", "family": "Smith"}, {"given": "", "family": "smith", "newborn": False}),
        ({"given": "John", "family": "Doe"}, {"given": "", "family": ""}),
        ({"given": "Дмитрий", "family": "Иванов"}, {"given": "дмитрии", "family": "иванов"}),
        ({"given": "", "family": ""}, {"given": "", "family": "", "forms": ()}),
        ({"given": "Baby Boy", "family": "Smith"}, {"given": "", "newborn": True, "birth_order": ""}),
        ({"given": "BB", "family": "Smith"}, {"newborn": True}),
        ({"given": "Newborn", "family": "Smith"}, {"newborn": True}),
        ({"given": "BabyGirl B", "family": "Smith"}, {"newborn": True, "birth_order": "b"}),
        ({"given": "Twin 2", "family": "Smith"}, {"newborn": True, "birth_order": "b"}),
        ({"given": "2Judysgirl", "family": "Smith"}, {"newborn": True, "birth_order": "b"}),
        ({"given": "Boy", "family": "Smith"}, {"newborn": True}),
        ({"given": "Bobby", "family": "Boyd"}, {"given": "bobby", "newborn": False}),
        ({"given": "Babette", "family": "Newborn"}, {"given": "babette", "family": "newborn", "newborn": False}),
    ],
)
def test_names(parts: dict[str, str], wanted: dict[str, object]) -> None:
    found = names.standardize(**parts)
    assert {k: getattr(found, k) for k in wanted} == wanted


def test_two_family_names_and_former_ones_are_all_kept() -> None:
    found = names.standardize("Ana", family="Garcia-Lopez", former=["de la Cruz"])
    assert set(found.families) >= {"garcialopez", "garcia", "lopez", "delacruz", "cruz"}
    assert "de" not in found.families and "la" not in found.families


def test_a_nickname_may_stand_for_several_names_and_two_names_with_one_nickname_stay_two() -> None:
    assert set(full_names("alex")) >= {"alexander", "alexandra"}
    assert not set(full_names("alexander")) & set(full_names("alexandra"))
    assert set(full_names("bill")) & set(full_names("william"))
    assert not set(full_names("samuel")) & set(full_names("samantha"))


@pytest.mark.parametrize(
    ("text", "day", "partial", "remark"),
    [
        ("1961-05-06", "1961-05-06", "", ""),
        ("5/6/1961", "1961-05-06", "", ""),
        ("05-06-61", "1961-05-06", "", ""),
        ("23/06/1961", "1961-06-23", "", ""),
        ("19610506", "1961-05-06", "", ""),
        ("196105061230", "1961-05-06", "", ""),
        ("6-May-1961", "1961-05-06", "", ""),
        ("May 6, 1961", "1961-05-06", "", ""),
        ("1961-05-06T00:00:00Z", "1961-05-06", "", ""),
        ("1961-05", "", "1961-05", ""),
        ("1961", "", "1961", ""),
        ("1961-01-01", "", "1961", "default"),
        ("1900-01-01", "", "", "default"),
        ("01/01/1900", "", "", "default"),
        ("9999-12-31", "", "", "default"),
        ("2061-05-06", "", "", "implausible"),
        ("1790-05-06", "", "", "implausible"),
        ("1961-02-30", "", "", "unreadable"),
        ("unknown", "", "", "unreadable"),
        ("", "", "", ""),
    ],
)
def test_birth_dates(text: str, day: str, partial: str, remark: str) -> None:
    assert births.standardize(text, today=TODAY) == births.Birth(day=day, partial=partial, remark=remark)


def test_a_column_that_can_only_be_read_day_first_is_read_so_throughout() -> None:
    assert births.day_first(["23/06/1961", "04/05/1970"]) and not births.day_first(["06/23/1961", "04/05/1970"])
    assert not births.day_first(["23/06/1961", "06/23/1961"])
    assert births.standardize("04/05/1970", today=TODAY, day_first=True).day == "1970-05-04"


def test_the_exchanged_date_is_another_date_or_none() -> None:
    assert births.swapped("1961-05-06") == "1961-06-05"
    assert births.swapped("1961-05-05") == births.swapped("1961-05-23") == births.swapped("") == ""


@given(st.dates(date(1905, 1, 2), date(2026, 11, 25)), st.sampled_from(["%Y-%m-%d", "%m/%d/%Y", "%Y%m%d", "%d %b %Y"]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_date_reads_the_same_however_it_is_written(when: date, how: str) -> None:
    found = births.standardize(when.strftime(how), today=TODAY)
    assert found == births.standardize(when.isoformat(), today=TODAY)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("12 North Main Street Apt 4", "02139"), ("12 N. MAIN ST #4", "02139-1234")),
        (("12 Oak Boulevard, Unit 4B", "2139"), ("12 oak blvd apt 4b", "02139")),
        (("P.O. Box 77", "10001"), ("PO BOX 77", "10001")),
    ],
)
def test_addresses_written_differently_are_one(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = (
        places.standardize([line], postal_code=code, city="Boston", state="Massachusetts")
        for line, code in (one, other)
    )
    assert first == second and first.house and first.state == "ma"


def test_words_that_are_no_address_are_none() -> None:
    assert places.standardize(["Homeless"], "Unknown", "", "00000") == places.Place()


@pytest.mark.parametrize(
    "text", ["555-0100", "(617) 555-0142", "000-000-0000", "9999999999", "123-456-7890", "12", "n/a", ""]
)
def test_telephone_numbers_of_nobody(text: str) -> None:
    assert places.phone(text) == ""


def test_a_telephone_number_is_its_digits() -> None:
    assert places.phone("+1 (617) 555-2345 ext. 12") == places.phone("617.555.2345") == "6175552345"


@pytest.mark.parametrize("text", ["none@none.com", "noemail@x.org", "declined@x.org", "not an address", ""])
def test_email_addresses_of_nobody(text: str) -> None:
    assert places.email(text) == ""


@pytest.mark.parametrize(
    "text",
    ["999-99-9999", "000000000", "000-12-3456", "666-12-3456", "123-45-6789", "412-00-6789", "412-55-0000", "078-05-1120", "111-11-1111", "none", ""],
)  # fmt: skip
def test_social_security_numbers_of_nobody(text: str) -> None:
    assert numbers.national(text) == ("", "")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("412-55-6789", ("412556789", "6789")),
        ("***-**-6789", ("", "6789")),
        ("6789", ("", "6789")),
        ("12556789", ("012556789", "6789")),  # a spreadsheet dropped the zero
        ("6988048", ("6988048", "")),  # another country's
    ],
)
def test_social_security_numbers(text: str, wanted: tuple[str, str]) -> None:
    assert numbers.national(text) == wanted


@given(
    st.dictionaries(
        st.sampled_from(
            ["given", "family", "name", "birth", "street", "zip", "phone", "email", "ssn", "mrn", "suffix"]
        ),
        st.text(max_size=40),
    )
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_nothing_a_file_holds_stops_it(fields: dict[str, str]) -> None:
    person = from_fields(fields, source="a", id="1", today=TODAY)
    assert person == from_fields(fields, source="a", id="1", today=TODAY)
    again = names.standardize(person.name.given, family=person.name.family)
    assert again.given in (person.name.given, "") and again.family in (person.name.family, "")


def test_a_record_of_a_site() -> None:
    entry = Demographics(
        id="1",
        origins=(Origin(tenant="t", site="north", resource_type="Patient", resource_id="p1"),),
        names=(
            PersonName(family="Quimby", given=("Marjorie", "Lee"), use="official"),
            PersonName(family="Halloran", given=("Marjorie",), use="maiden"),
            PersonName(given=("Midge",), use="nickname"),
        ),
        birth_date="1961-05-06",
        gender="female",
        addresses=(
            Address(lines=("1 Old Road",), city="Dayton", use="old"),
            Address(lines=("12 Main Street",), city="Boston", postal_code="02139", use="home"),
        ),
        telecom=("phone: 617-555-2345", "email: mq@home.net", "fax: 617-555-9999"),
        identifiers=(
            Identifier(system="http://hl7.org/fhir/sid/us-ssn", value="412-55-6789"),
            Identifier(system="urn:oid:1.2.3", value="0077", type="MR"),
            Identifier(value="0088", type="MR"),
            Identifier(system="urn:oid:9", value="V-1", type="VN"),
            Identifier(system="urn:dmv:ma", value="S1234", type="DL"),
            Identifier(system="urn:payer", value="H-55", type="MB"),
        ),
    )
    person = from_record(entry, source="north", id="p1", today=TODAY)
    assert (person.name.given, person.name.middle, person.name.family) == ("marjorie", "lee", "quimby")
    assert [(p.house, p.city) for p in person.more_places] == [("1", "dayton")] and person.adult
    assert {"halloran", "quimby"} <= set(person.name.families) and "midge" in person.name.forms
    assert (person.birth.day, person.sex, person.place.house, person.place.street) == (
        "1961-05-06",
        "f",
        "12",
        "mainst",
    )
    assert (person.phones, person.emails) == (("6175552345",), ("mq@home.net",))
    assert (person.national, person.national4) == ("412556789", "6789")
    assert person.records == ("north|88", "urn:oid:1.2.3|77"), "a number without a namespace is its site's"
    assert person.documents == ("license|urn:dmv:ma|s1234",) and person.members == ("urn:payer|h55",)
