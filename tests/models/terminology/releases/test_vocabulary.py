"""What imported releases add to the mapper, and that without them nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import release_kit as kit

from models.record import Coding
from models.terminology import vocabulary
from models.terminology.mapper import Ask, Terminology, translate
from models.terminology.releases import shelf as shelf_room
from models.terminology.releases.shelf import Shelf
from models.terminology.systems import CVX, ICD10CM, LOINC, NDC, RXNORM, SNOMED
from models.terminology.vocabulary import Vocabulary
from service.terminology_map import map_csv

Import = Callable[..., Vocabulary]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """Put releases in force and let the process read by them."""

    def take(*files: Path, effective: str = "") -> Vocabulary:
        shelf = Shelf(tmp_path / "shelf")
        for file in files:
            for version in shelf.take([file], effective=effective):
                shelf.put_in_force(version)
        found = Vocabulary.at(tmp_path / "shelf")
        assert found is not None
        vocabulary.use(found)
        return found

    return take


def test_without_an_import_there_is_no_vocabulary(tmp_path: Path) -> None:
    assert Vocabulary.at(tmp_path / "absent") is None
    Shelf(tmp_path / "shelf").take([kit.loinc(tmp_path)])
    assert Vocabulary.at(tmp_path / "shelf") is None  # kept, not in force
    answer = Terminology().map(Ask(domain="medication", text="lisinopril 10 MG Oral Tablet"))
    assert answer.mapping.target is not None and answer.mapping.target.code == "29046"


def test_an_ndc_becomes_its_drug_and_the_drug_its_ingredients(tmp_path: Path, imported: Import) -> None:
    words = imported(kit.rxnorm(tmp_path))
    mapping, candidates = translate(Coding(system=NDC, code="0093-1113-01"))
    assert (
        mapping.target == Coding(system=RXNORM, code="314076", display="lisinopril 10 MG Oral Tablet")
        and not candidates
    )
    assert (mapping.method, mapping.confidence, mapping.table) == ("map_table", 0.95, "rxnorm@2025-11-03 NDC")
    assert translate(Coding(system=NDC, code="00093111302"))[0].target.code == "104377"  # type: ignore[union-attr]  # the row that is not obsolete
    assert translate(Coding(system=NDC, code="55555555555"))[0].method == "unmapped"
    assert [e.display for e in words.ingredients("104377")] == ["lisinopril"]
    assert [e.code for e in words.ingredients("197885")] == ["29046", "5487"]
    assert [e.code for e in words.ingredients("29046")] == ["29046"] and words.ingredients("999001") == ()


def test_a_whole_name_of_rxnorm_is_the_clinical_drug(tmp_path: Path, imported: Import) -> None:
    imported(kit.rxnorm(tmp_path))
    answer = Terminology().map(Ask(domain="medication", text="LISINOPRIL 10 mg oral tablet"))
    assert answer.mapping.target == Coding(system=RXNORM, code="314076", display="lisinopril 10 MG Oral Tablet")
    assert (answer.mapping.method, answer.mapping.table) == ("text_match", "name in rxnorm@2025-11-03")
    other = Terminology().map(Ask(domain="medication", text="lisinopril 20 MG Oral Tablet"))
    assert (
        other.mapping.target is not None and other.mapping.target.code == "29046"
    )  # the seeds still know the ingredient
    form = Terminology().map(Ask(domain="medication", text="Oral Tablet"))
    assert form.mapping.target is None


def test_the_official_name_shows_that_code_and_words_contradict(tmp_path: Path, imported: Import) -> None:
    ask = Ask(domain="medication", codings=(Coding(system=RXNORM, code="314076"),), text="Metformin 500 mg")
    package = Ask(domain="medication", codings=(Coding(system=NDC, code="00093111301"),), text="Metformin 500 mg")
    assert Terminology().map(ask).flags == () == Terminology().map(package).flags
    imported(kit.rxnorm(tmp_path))
    assert Terminology().map(ask).flags == ("code_text_mismatch",) == Terminology().map(package).flags
    fits = Ask(domain="medication", codings=ask.codings, text="Zestril 10 mg")
    answer = Terminology().map(fits)
    assert answer.flags == () and answer.mapping.target.display == "lisinopril 10 MG Oral Tablet"  # type: ignore[union-attr]
    assert fits.codings[0].display == ""  # the original stays as sent


def test_only_a_map_that_always_holds_maps(tmp_path: Path, imported: Import) -> None:
    words = imported(kit.snomed(tmp_path))
    mapping, _ = translate(Coding(system=SNOMED, code="59621000"))
    assert mapping.target is not None and (mapping.target.code, mapping.confidence) == ("I10", 0.85)
    for code, targets in {
        "44054006": {"O24.11", "E11.9"},
        "73211009": {"E11.9", "Z79.4"},
        "75053002": {"S82.90X"},
    }.items():
        said, candidates = words.translate(Coding(system=SNOMED, code=code))
        assert (
            said is None and {c.target.code for c in candidates} == targets and all(c.score < 0.85 for c in candidates)
        )
    assert words.translate(Coding(system=SNOMED, code="64572001")) == (None, ())
    assert [c.target.code for c in words.from_icd10cm("I10")] == ["59621000"] and words.from_icd10cm("E11.9") == ()


def test_an_inactive_code_stays_and_its_successor_is_a_candidate(tmp_path: Path, imported: Import) -> None:
    imported(kit.snomed(tmp_path), kit.new_loinc(tmp_path))
    sure = Terminology().map(Ask(domain="condition", codings=(Coding(system=SNOMED, code="111552007"),)))
    assert (
        sure.mapping.target is not None
        and sure.mapping.target.code == "111552007"
        and sure.mapping.method == "standard"
    )
    [candidate] = sure.candidates
    assert (candidate.target.code, candidate.score) == ("44054006", 0.9) and candidate.why.startswith(
        "replaced by in snomed@"
    )
    vague = Terminology().map(Ask(domain="condition", codings=(Coding(system=SNOMED, code="222000"),)))
    assert {c.target.code: c.score for c in vague.candidates} == {"44054006": 0.5, "59621000": 0.5}
    lab = Terminology().map(Ask(domain="observation", codings=(Coding(system=LOINC, code="35184-1"),)))
    assert [c.target.code for c in lab.candidates] == ["1558-6"]
    fine = Terminology().map(Ask(domain="condition", codings=(Coding(system=SNOMED, code="59621000"),)))
    assert fine.candidates == () and fine.mapping.target.display == "Essential hypertension"  # type: ignore[union-attr]


def test_official_names_of_tests_vaccines_and_diseases_are_matched(tmp_path: Path, imported: Import) -> None:
    imported(kit.loinc(tmp_path), kit.write(tmp_path / "cvx.txt", kit.CVX_LINES), kit.snomed(tmp_path))
    for domain, text, system, code in (
        ("observation", "glucose in serum, OUR words", LOINC, "2345-7"),
        ("vaccine", "Influenza, our words", CVX, "140"),
        ("condition", "Adult sugar illness, our words", SNOMED, "44054006"),
        ("condition", "HTN", ICD10CM, "I10"),
    ):
        target = Terminology().map(Ask(domain=domain, text=text)).mapping.target  # type: ignore[arg-type]
        assert target is not None and (target.system, target.code) == (system, code), text
    assert Terminology().map(Ask(domain="procedure", text="Adult sugar illness, our words")).mapping.target is None


def test_a_name_of_two_concepts_is_a_choice(tmp_path: Path, imported: Import) -> None:
    rows = [(f"{n}-1", "X", "CHEM", "2.80", "ACTIVE", "", "", "One name of two tests") for n in (1, 2)]
    imported(kit.loinc(tmp_path, rows))
    answer = Terminology().map(Ask(domain="observation", text="one name of two tests"))
    assert answer.mapping.target is None and [c.score for c in answer.candidates] == [0.4, 0.4]


def test_an_imported_concept_map_is_asked_after_the_sites_tables(tmp_path: Path, imported: Import) -> None:
    imported(kit.write(tmp_path / "map.json", kit.as_json(kit.CONCEPT_MAP)))
    ask = Ask(domain="observation", codings=(Coding(system="http://hospital.example/labs", code="GLU"),))
    mapping = Terminology().map(ask).mapping
    assert mapping.target is not None and mapping.target.code == "2345-7"
    assert mapping.table == "imported:http://example.org/ConceptMap/labs@1"


def test_membership_by_url_and_version(tmp_path: Path, imported: Import) -> None:
    later = kit.VALUE_SET | {"version": "20260601", "date": "2026-06-01", "expansion": {"contains": []}}
    later["expansion"] = {"contains": [{"system": "http://snomed.info/sct", "code": "73211009"}]}
    words = imported(
        *(kit.write(tmp_path / f"{n}.json", kit.as_json(vs)) for n, vs in enumerate((kit.VALUE_SET, later)))
    )
    url, type_2 = kit.VALUE_SET["url"], Coding(system=SNOMED, code="44054006")
    assert words.has_member(f"{url}|20260101", type_2) is True and words.has_member(f"{url}|20260601", type_2) is False
    assert words.has_member(url, type_2, "2026-03-01") is True and words.has_member(url, type_2) is False
    assert words.has_member("http://example.org/other", type_2) is None and words.has_member(f"{url}|1", type_2) is None


def test_a_thousand_value_sets_do_not_hold_a_thousand_files_open(
    tmp_path: Path, imported: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf_room, "MOST_OPEN", 3)
    contained = [{"system": SNOMED, "code": "1"}]
    sets = [kit.VALUE_SET | {"url": f"http://x.example/{n}", "expansion": {"contains": contained}} for n in range(12)]
    bundle = {"resourceType": "Bundle", "entry": [{"resource": value_set} for value_set in sets]}
    words = imported(kit.write(tmp_path / "bundle.json", kit.as_json(bundle)))
    asked = [
        words.has_member(f"http://x.example/{n}", Coding(system=SNOMED, code="1")) for n in (*range(12), *range(12))
    ]
    assert asked == [True] * 24 and len(words._shelf._open) == 3


def test_a_code_is_looked_up_in_the_version_of_its_date(tmp_path: Path, imported: Import) -> None:
    imported(kit.loinc(tmp_path), effective="2025-02-26")
    words = imported(kit.new_loinc(tmp_path), effective="2025-08-12")
    assert words.find(LOINC, "35184-1", "2025-03").status == "active" and words.dated  # type: ignore[union-attr]
    assert words.find(LOINC, "35184-1", "2025-09-01").status == "inactive" and words.find(LOINC, "0-0") is None  # type: ignore[union-attr]
    assert words.find(SNOMED, "59621000") is None  # nothing imported of its system


def test_the_file_command_gives_packages_as_drugs(tmp_path: Path, imported: Import) -> None:
    data = b"system,code\nNDC,0093-1113-01\n"
    assert ",standard," in map_csv(data, Terminology()).text
    imported(kit.rxnorm(tmp_path))
    assert ",314076,lisinopril 10 MG Oral Tablet,map_table,0.95," in map_csv(data, Terminology()).text
