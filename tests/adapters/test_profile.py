"""Profiles and site files: strict words, clear refusals."""

from __future__ import annotations

from datetime import date

import pytest

from adapters.errors import ConfigurationError
from adapters.plan import pieces, searches_of, unasked
from adapters.profile import DateSplit, load_profile, load_site, parse_site, vendors
from models.record import SECTIONS
from models.terminology.clinical import CATEGORY_SECTION

SITE = {"name": "mercy", "fhir_base": "https://fhir.mercy.example.org/R4", "client_id": "c"}


@pytest.mark.parametrize("vendor", vendors())
def test_every_profile_says_something_on_every_section(vendor):
    profile = load_profile(vendor)
    assert set(profile.sections) == set(SECTIONS) and profile.title
    observations = [q for s in SECTIONS for q in profile.sections[s].queries if q.resource_type == "Observation"]
    assert all(q.params.get("category") for q in observations), (
        "an Observation search without category is refused at most sites"
    )


def test_the_categories_of_a_section_are_those_the_normalizer_puts_there():
    """What is read from files is asked of sites, or named as not asked for."""
    spelled_otherwise = {"vital signs", "vitals", "lab", "labs", "social history", "smartdata"}
    for section in ("vitals", "labs", "social_history", "assessments"):
        read = {code for code, place in CATEGORY_SECTION.items() if place == section} - spelled_otherwise
        rule = load_profile("generic").sections[section]
        assert set(rule.categories) == read
        searches = searches_of(load_profile("generic"), section, "p1", date(2026, 11, 25))
        assert unasked(rule, searches) == () and len(searches) <= 2
        assert not searches[0].optional and len(searches[0].categories) == 1, "a rare category costs no large one"


@pytest.mark.parametrize(
    ("vendor", "section", "wanted"),
    [
        ("epic", "labs", ("procedure", "clinical-test")),
        ("epic", "vitals", ()),
        ("oracle_health", "labs", ("clinical-test",)),
        ("athenahealth", "assessments", ()),
    ],
)
def test_what_a_vendor_is_not_asked_for_follows_from_its_searches(vendor, section, wanted):
    profile = load_profile(vendor)
    assert unasked(profile.sections[section], searches_of(profile, section, "p1", date(2026, 11, 25))) == wanted


@pytest.mark.parametrize(
    "over",
    [
        {"colour": "blue"},
        {"paging": {"cuont": 5}},
        {"limits": {"tries": 0}},
        {"limits": {"concurrency": 1000}},
        {"sections": {"vitals": {"queries": [{"resource_type": "Observation", "parms": {}}]}}},
        {"sections": {"vitals": {"queries": []}}},
        {"sections": {"vitals": {"queries": [{"resource_type": "Observation", "optional": True}]}}},
        {"sections": {"weather": {"queries": [{"resource_type": "Observation"}]}}},
        {"answers": [{"status": 403, "means": "give_up"}]},
        {"answers": [{"status": 200, "means": "failed"}]},
        {"answers": [{"status": 403, "contain": "x", "means": "failed"}]},
        {"normalization": {"local_system": []}},
        {"scope_syntax": "v3"},
        {"key_algorithm": "HS256"},
        {"token_hosts": ["https://a.example/"]},
        {"token_hosts": ["[::1]:443"]},
        {"quirks": [{"name": "No Spaces", "evidence": "x" * 30, "date": "2024-01-01"}]},
        {"quirks": [{"name": "undated", "evidence": "x" * 30}]},
        {"quirks": [{"name": "twice", "evidence": "x" * 30, "date": "2024-01-01"}] * 2},
        {"sections": {"labs": {"queries": [{"resource_type": "Observation", "split": {"months": 3}}]}}},
    ],
)
def test_an_unknown_word_fails_to_load_and_is_named(over):
    with pytest.raises(ConfigurationError) as error:
        load_profile("generic", over)
    assert error.value.code == "invalid_profile" and next(iter(over)) in str(error.value)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"fhir_base": "http://fhir.mercy.example.org/R4"}, "https"),
        ({"fhir_base": "http://127.0.0.1:8000/fhir"}, "allow_loopback"),
        ({"fhir_base": "http://10.0.0.1/fhir", "allow_loopback": True}, "https"),
        ({"fhir_base": "ftp://x/y"}, "http"),
        ({"fhir_base": "https://x.example/fhir?patient=1"}, "query"),
        ({"fhir_base": "https:///fhir"}, "http"),
        ({"name": "Mercy Hospital"}, "name"),
        ({"colour": "blue"}, "colour"),
        ({"auth": "password"}, "auth"),
        ({"vendor": "nobody"}, "there are"),
        ({"vendor": "../generic"}, "vendor"),
        ({"variant": "dstu2"}, "variant"),
        ({"overrides": {"limits": {"trys": 3}}}, "limits.trys"),
        ({"vendor": "athenahealth"}, "ah-practice"),
        ({"freshness_hours": 0}, "freshness_hours"),
    ],
)
def test_a_wrong_site_file_is_refused_with_the_word_that_is_wrong(change, word):
    with pytest.raises(ConfigurationError, match=word):
        parse_site(SITE | change)


def test_good_site_files():
    assert parse_site(SITE | {"fhir_base": "https://x.example/fhir/"}).fhir_base == "https://x.example/fhir"
    assert parse_site(SITE | {"fhir_base": "http://127.0.0.1:1/fhir", "allow_loopback": True}).allow_loopback
    practice = {"required_params": {"ah-practice": "Organization/a-1.Practice-1"}}
    assert parse_site(SITE | {"vendor": "athenahealth", "overrides": practice}).profile().required_params
    old = parse_site(SITE | {"vendor": "oracle_health", "variant": "dstu2"}).profile()
    assert [q.resource_type for q in old.sections["medications"].queries] == ["MedicationOrder", "MedicationStatement"]


def test_a_site_overrides_the_vendor_and_its_rules_come_first():
    rule = {"status": 400, "means": "not_supported"}
    profile = load_profile("epic", {"paging": {"count": 7}, "answers": [rule]})
    assert profile.paging.count == 7 and profile.paging.max_pages == 1000
    assert profile.answers[0].means == "not_supported" and len(profile.answers) > 1
    assert profile.vendor == "epic" and load_profile("epic", {"vendor": "other"}).vendor == "epic"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "file_not_found"),
        (b"name = ", "invalid_site_file"),
        (b"\xff\xfe", "invalid_site_file"),
        (b"name = 5", "invalid_site_file"),
    ],
)
def test_site_files_that_cannot_be_read(tmp_path, content, code):
    path = tmp_path / "mercy.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as error:
        load_site(path)
    assert error.value.code == code and str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("years", [1, 2, 5])
@pytest.mark.parametrize("back", [1, 4])
def test_pieces_by_date_leave_no_gap_and_do_not_overlap(years, back):
    from datetime import date

    for today in (date(2026, 11, 24), date(2025, 1, 1), date(2030, 12, 31)):
        made = pieces(DateSplit(years=years, back=back), today)
        for day in ("1900-01-01", "2009-12-31", "2019-12-31", "2020-01-01", today.isoformat(), "2200-01-01"):
            hits = [p for p in made if all(day >= v[2:] if v.startswith("ge") else day < v[2:] for _, v in p)]
            assert len(hits) == 1
