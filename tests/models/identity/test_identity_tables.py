"""Files of people as they come: any delimiter, encoding, spelling of columns; every row is accounted for."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.identity.tables import TableError, read

TODAY = date(2026, 11, 25)
HEADER = "rec_id,given_name,surname,dob,zip\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiters_and_encodings(delimiter: str, encoding: str) -> None:
    text = "\r\n".join(
        delimiter.join(r)
        for r in (("ID", "First Name", "Last Name", "Date of Birth"), ("7", "José", "Núñez", "5/6/1961"))
    )
    table = read(text.encode(encoding), "a.csv", today=TODAY)
    (person,) = table.people
    assert (person.name.given, person.name.family, person.birth.day) == ("jose", "nunez", "1961-05-06")
    assert table.ids[person.id] == "7" and table.delimiter == delimiter and table.rows == 1


@pytest.mark.parametrize(
    "header",
    ["id,given,family,dob", "record_id,fname,lname,birth_date", "Patient ID,FirstName,LastName,DateOfBirth", "rec_id, given_name, surname, date_of_birth",
     "unique_id,first_name,last_name,birthdate", "PATIENTID,FIRST_NAME,LAST_NAME,D.O.B.",
     "patient_no,Patient First Name,Patient Surname,Patient_DOB", "id,legal_first_name,legal_last_name,birthDay"],
)  # fmt: skip
def test_spellings_of_columns(header: str) -> None:
    (person,) = read(f"{header}\n7,Ana,Quimby,1961-05-06\n".encode(), "a.csv", today=TODAY).people
    assert (person.name.given, person.name.family, person.birth.day) == ("ana", "quimby", "1961-05-06")


def test_every_row_is_compared_or_set_aside_with_its_reason() -> None:
    rows = [
        "1,Ana,Quimby,1961-05-06,02139",
        "2,Ana",
        "3,Ana,Quimby,1961-05-06,02139,too,many",
        "4,,,,",
        "",
        ",Bo,Quimby,1970-02-03,",
        "1,Ana,Quimby,1961-05-06,02139",
    ]
    table = read((HEADER + "\n".join(rows)).encode(), "a.csv", today=TODAY)
    assert [(r.line, r.id, r.reason) for r in table.set_aside] == [
        (3, "2", "too_few_fields"),
        (4, "3", "too_many_fields"),
        (5, "4", "too_little_to_compare"),
    ]
    assert [table.ids[p.id] for p in table.people] == ["1", "line 7", "1"], "an id may be missing, or come twice"
    assert table.rows == len(table.people) + len(table.set_aside) == 6


def test_what_was_not_believed_is_counted_and_unused_columns_are_named() -> None:
    text = "id,given,family,dob,ssn,shoe size\n1,Ana,Quimby,1900-01-01,999-99-9999,9\n2,Bo,Quimby,2999-01-01,412-55-6789,9\n"
    table = read(text.encode(), "a.csv", today=TODAY)
    assert table.remarks == {"birth_default": 1, "birth_implausible": 1, "ssn_not_valid": 1}
    assert table.unused == ("shoe size",)


def test_all_telephones_and_names_of_a_person_are_read() -> None:
    text = (
        "id,given,family,maiden_name,dob,home_phone,mobile,work_phone,email,first_name\n"
        "1,Ana,Quimby,Halloran,1961-05-06,617-555-2345,617-555-2346;617-555-2347,,aq@home.net,Anna\n"
    )
    table = read(text.encode(), "a.csv", today=TODAY)
    (person,) = table.people
    assert person.phones == ("6175552345", "6175552346", "6175552347") and "halloran" in person.name.families
    assert person.name.given == "ana" and table.unused == ("first_name",), (
        "of two given names the one is used, and told"
    )
    assert table.columns["phone"] == "home_phone; mobile; work_phone"


def test_a_column_of_dates_is_read_one_way() -> None:
    text = HEADER + "1,Ana,Quimby,23/06/1961,\n2,Bo,Quimby,04/05/1970,\n"
    assert [p.birth.day for p in read(text.encode(), "a.csv", today=TODAY).people] == ["1961-06-23", "1970-05-04"]


def test_quoted_fields_hold_delimiters_and_lines() -> None:
    text = 'id,name,dob,address\n1,"Quimby, Ana",1961-05-06,"12 Main Street\nApt 4"\n'
    (person,) = read(text.encode(), "a.csv", today=TODAY).people
    assert (person.name.family, person.place.house, person.place.unit) == ("quimby", "12", "4")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_file"),
        (b"\xef\xbb\xbf  \n", "empty_file"),
        (HEADER.encode(), "empty_file"),
        (b"a,b\n1,2\n", "missing_columns"),
        (b"given,family\nAna,Quimby\n", "missing_columns"),
        (b"dob,zip\n1961-05-06,02139\n", "missing_columns"),
        (b"\x89PNG\x00\x00", "not_a_table"),
        (b"\xff\xfea", "not_a_table"),
        (b'id,given,family,dob\n1,"' + b"x" * 200_000, "not_a_table"),
    ],
)
def test_files_that_are_no_table_of_people(data: bytes, code: str) -> None:
    with pytest.raises(TableError) as refused:
        read(data, "a.csv", today=TODAY)
    assert refused.value.code == code
    if code == "missing_columns":
        assert "it has: " in str(refused.value)


@given(st.binary(max_size=300))
@settings(max_examples=120, deadline=None, derandomize=True)
def test_any_bytes_are_a_table_or_a_refusal(data: bytes) -> None:
    for start in (b"", HEADER.encode()):
        try:
            table = read(start + data, "a.csv", today=TODAY)
        except TableError:
            continue
        assert table.rows == len(table.people) + len(table.set_aside)
