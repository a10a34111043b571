"""What the four steps make of a source's resources, on the entries."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from normalizer_kit import CORPUS as DATA
from normalizer_kit import cc, condition, observation, one, quantity

from adapters.errors import ConfigurationError
from adapters.normalizer import NormalizationRules, normalize, parse_file
from adapters.normalizer.wordings import words_beside
from adapters.profile import load_site
from models.record import Concept
from models.terminology.systems import ICD9CM, ICD10CM, LOINC, SNOMED


def flags(entry: Any) -> set[str]:
    return {f.code for f in entry.flags}


def coded(system: str, code: str, text: str = "", display: str = "") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": text}


def test_a_code_that_the_words_contradict_is_kept_flagged_and_unsure() -> None:
    entry = one(condition(code=coded(ICD10CM, "E11.9", "Asthma")))
    assert "code_text_mismatch" in flags(entry)
    assert entry.concept.mapping.confidence == 0.5 and entry.concept.target.code == "E11.9"
    assert entry.concept.text == "Asthma" == entry.concept.display


def test_the_display_of_a_code_is_checked_too() -> None:
    assert "code_text_mismatch" in flags(one(condition(code=coded(ICD10CM, "E11.9", display="Asthma"))))
    assert "code_text_mismatch" not in flags(one(condition(code=coded(ICD10CM, "E11.9", display="T2DM"))))


def test_the_same_code_beside_other_words_is_judged_by_those_words() -> None:
    rules = NormalizationRules()
    seen = [
        "code_text_mismatch" in flags(one(condition(code=coded(ICD10CM, "E11.9", text)), rules=rules))
        for text in ("Asthma", "T2DM", "Asthma", "", "T2DM")
    ]
    assert seen == [True, False, True, False, False]


def test_a_problem_in_words_is_mapped_and_says_so() -> None:
    entry = one(condition(code={"text": "HTN"}))
    mapping = entry.concept.mapping
    assert (mapping.method, mapping.target.code, mapping.source_text) == ("text_match", "I10", "HTN")
    assert "text_only" in flags(entry) and "uncertain_mapping" not in flags(entry)
    assert entry.concept.codings == () and entry.concept.display == "HTN"


def test_ambiguous_words_are_not_used() -> None:
    entry = one(condition(code={"text": "DM"}))
    assert entry.concept.mapping.method == "unmapped" and {"uncertain_mapping", "text_only"} <= flags(entry)
    assert entry.categories == ()


def test_a_local_code_is_read_by_its_display() -> None:
    entry = one(condition(code=coded("urn:oid:1.2.9", "77", display="Hypertension")))
    mapping = entry.concept.mapping
    assert (mapping.method, mapping.target.code, mapping.source_text) == ("text_match", "I10", "Hypertension")
    assert mapping.source.code == "77" and "local_code_only" in flags(entry)


def test_problems_have_categories_with_their_reason() -> None:
    entry = one(condition(code=coded(ICD9CM, "250.00")))
    assert {g.code for g in entry.categories} == {"diabetes", "diabetes_type_2", "END002"}
    assert all("CMS GEM" in g.how for g in entry.categories)
    assert one(condition(code=coded(SNOMED, "160245001"))).categories == ()


def test_a_site_table_goes_before_the_profile_and_obeys_the_date() -> None:
    rules = NormalizationRules(
        code_map={"urn:oid:1.2|77": f"{LOINC}|2160-0|creatinine"},
        mapping_rows=(
            {"system": "1.2", "code": "77", "target_system": "LN", "target_code": "4548-4", "effective_from": "2020"},
            {"text": "Serum K", "target_system": "LN", "target_code": "2823-3"},
        ),
    )
    local = {"coding": [{"system": "urn:oid:1.2", "code": "77"}]}
    new = one(observation(code=local, effectiveDateTime="2021-01-01", valueQuantity=quantity(7, "%")), rules=rules)
    old = one(observation(code=local, effectiveDateTime="2019-12-31", valueQuantity=quantity(7, "%")), rules=rules)
    assert (new.concept.target.code, new.concept.mapping.table) == ("4548-4", "site:local")
    assert (old.concept.target.code, old.concept.mapping.table) == ("2160-0", "profile")
    words = one(observation(code={"text": "serum K"}, valueQuantity=quantity(4, "mmol/L")), rules=rules)
    assert (words.concept.mapping.method, words.concept.target.code) == ("map_table", "2823-3")


def test_a_unit_makes_a_lab_name_sure() -> None:
    sure = one(observation(code={"text": "Potassium"}, valueQuantity=quantity(4, "mmol/L")))
    assert sure.concept.target.code == "2823-3"
    unsure = one(observation(code={"text": "Potassium"}, valueQuantity=quantity(4, "")))
    assert unsure.concept.mapping.method == "unmapped" and "uncertain_mapping" in flags(unsure)


def test_the_words_themselves_are_not_kept() -> None:
    rules = NormalizationRules()
    one(condition(code={"text": "since her divorce"}), rules=rules)
    one(condition(code=coded(ICD10CM, "E11.9", "since her divorce")), rules=rules)
    assert rules.word_memory and "divorce" not in repr(rules.word_memory)


def test_remembered_words_answer_as_fresh_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.normalizer.wordings.MOST_WORDINGS", 2)
    memory: dict[bytes, Any] = {}
    texts = ["HTN", "DM", "Feels odd", "HTN", "Asthma", "DM"]
    told = [words_beside(memory, "condition", (), None, text, "") for text in texts]
    assert told == [words_beside({}, "condition", (), None, text, "") for text in texts]
    assert len(memory) <= 2


def site_file(folder: Path, extra: str) -> Path:
    file = folder / "site.toml"
    file.write_text(f'name = "h"\nvendor = "generic"\nfhir_base = "https://h.example/fhir"\nauth = "none"\n{extra}')
    return file


def test_a_site_file_names_tables_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "labs.csv").write_text("system,code,target_system,target_code\n1.2,77,LN,4548-4\n")
    rules = load_site(site_file(tmp_path, 'mapping_files = ["labs.csv"]')).profile().normalization
    entry = one(
        observation(code={"coding": [cc("77", "", "urn:oid:1.2")["coding"][0]]}, valueQuantity=quantity(7, "%")),
        rules=rules,
    )
    assert entry.concept.target.code == "4548-4"


@pytest.mark.parametrize(
    ("extra", "words"),
    [('mapping_files = ["../x.csv"]', "beside"), ('mapping_files = "x.csv"', "beside"), ('mapping_files = ["none.csv"]', "none.csv"),
     ('mapping_files = ["bad.csv"]', "unknown column colour")],
)  # fmt: skip
def test_a_wrong_table_is_a_configuration_error_that_names_it(tmp_path: Path, extra: str, words: str) -> None:
    (tmp_path / "bad.csv").write_text("code,target_code,colour\n1,2,3\n")
    with pytest.raises(ConfigurationError, match=words) as error:
        load_site(site_file(tmp_path, extra))
    assert error.value.code == "invalid_site_file"


@pytest.mark.corpus
def test_hardly_a_code_of_real_data_is_said_to_contradict_its_words() -> None:
    """Precision first: on the corpora's FHIR examples, at most one coded entry in a thousand is flagged."""
    if not DATA.is_dir():
        pytest.skip("../shared/data is absent")
    told: Counter[str] = Counter()
    for folder in ("fhir-uscore-examples", "fhir-uscore-inferno", "fhir-dstu2", "fhir-synthea-r4"):
        for file in sorted((DATA / folder).rglob("*.json"))[:60]:
            raw, _ = parse_file(file.read_bytes(), file.name, tenant="t", site="s", retrieved="2026-11-25T00:00:00Z")
            for entry in normalize(raw).entries:
                mapping = entry.concept.mapping
                if isinstance(entry.concept, Concept) and mapping and mapping.method == "standard":
                    told["coded"] += 1
                    told["flagged"] += entry.has_flag("code_text_mismatch")
    assert told["coded"] > 1000 and told["flagged"] * 1000 <= told["coded"]
