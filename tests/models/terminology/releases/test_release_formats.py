"""Each format with its quirks: what is read, what is left out, and the words for a file that is not what it should be."""

from __future__ import annotations

import gzip
import zipfile
from copy import deepcopy
from pathlib import Path

import pytest
import release_kit as kit

from models.terminology.releases import archive
from models.terminology.releases.base import Manifest, ReleaseError
from models.terminology.releases.index import Index
from models.terminology.releases.shelf import Shelf


def taken(tmp_path: Path, *files: Path, **given: str) -> tuple[Index, Manifest]:
    shelf = Shelf(tmp_path / "shelf")
    [version] = shelf.take(list(files), **given)  # type: ignore[arg-type]
    return shelf.index(version.path), version.manifest


def refused(tmp_path: Path, *files: Path, **given: str) -> str:
    with pytest.raises(ReleaseError) as error:
        taken(tmp_path, *files, **given)
    assert not list((tmp_path / "shelf").rglob("*.part")) and not list((tmp_path / "shelf").rglob("*.index"))
    return error.value.code


def test_loinc_with_a_byte_order_mark_crlf_and_a_deprecated_code(tmp_path: Path) -> None:
    index, manifest = taken(tmp_path, kit.new_loinc(tmp_path))
    assert manifest.name == "loinc@2.81" and manifest.effective_by == "import"
    assert manifest.counts["status:inactive"] == 1 and manifest.counts["concepts"] == 5
    old = index.find("35184-1")
    assert old is not None and old.status == "inactive"
    assert [(link.target, link.note) for link in index.links("replaced_by", "35184-1")] == [("1558-6", "MAP_TO")]
    assert [e.code for e in index.by_words("GLUCOSE  SerPl mCnc")] == ["2345-7"]
    assert index.by_words("Fasting glucose, our words") == ()  # a deprecated name finds nothing
    assert index.find("22222-2").display == 'A "new" thing,\nin two lines'  # type: ignore[union-attr]


def test_loinc_says_its_version_by_its_newest_change(tmp_path: Path) -> None:
    file = kit.write(tmp_path / "loinc" / "Loinc.csv", kit.csv_text(kit.LOINC_COLUMNS, kit.OLD_LOINC))
    assert taken(tmp_path, file.parent)[1].version == "2.80"


def test_an_old_loinc_table_holds_map_to_itself(tmp_path: Path) -> None:
    columns = (*kit.LOINC_COLUMNS, "MAP_TO")
    rows = [("35184-1", "G", "CHEM", "2.30", "DEPRECATED", "", "", "G", "1558-6")]
    index, _ = taken(tmp_path, kit.write(tmp_path / "LOINC.CSV", kit.csv_text(columns, rows)))
    assert [link.target for link in index.links("replaced_by", "35184-1")] == ["1558-6"]


def test_rxnorm_reads_its_own_rows_only(tmp_path: Path) -> None:
    index, manifest = taken(tmp_path, kit.rxnorm(tmp_path))
    assert (manifest.version, manifest.effective_from, manifest.effective_by) == ("2025-11-03", "2025-11-03", "release")
    assert manifest.skipped == {"another source than RXNORM": 1, "an NDC that is none": 1}
    scd = index.find("314076")
    assert scd is not None and (scd.display, scd.kind, scd.status) == ("lisinopril 10 MG Oral Tablet", "SCD", "active")
    assert index.find("999001").status == "inactive"  # type: ignore[union-attr]  # SUPPRESS O
    assert [e.code for e in index.by_words("Lisinopril ten milligram tablet")] == ["314076"]
    assert index.by_words("hidden wording") == () == index.by_words("another vocabulary's words")
    assert index.by_words("withdrawn 5 MG Oral Tablet") == ()
    assert {(x.target, x.note) for x in index.links("ndc", "00093111302")} == {("314076", "obsolete"), ("104377", "")}
    assert [x.target for x in index.links("replaced_by", "555")] == ["314076"]


def test_snomed_inactive_concepts_preferred_names_and_is_a(tmp_path: Path) -> None:
    index, manifest = taken(tmp_path, kit.snomed(tmp_path))
    assert (manifest.version, manifest.effective_from) == ("US1000124-2026-03-01", "2026-03-01")
    assert manifest.counts["status:inactive"] == 2 and manifest.skipped == {"a map to another system than ICD-10-CM": 1}
    concept = index.find("44054006")
    assert concept is not None and (concept.display, concept.kind) == ("Type 2 diabetes mellitus", "disorder")
    assert [e.code for e in index.by_words("diabetes mellitus type 2")] == ["44054006"]
    assert index.by_words("Withdrawn wording") == () == index.by_words("Old sugar illness")
    assert index.ancestors("44054006") == {"73211009", "64572001"} and index.ancestors("59621000") == set()
    assert index.descendants("64572001") == {"44054006", "73211009"}
    assert [(x.target, x.note) for x in index.links("replaced_by", "111552007")] == [("44054006", "replaced by")]
    assert {x.target for x in index.links("replaced_by", "222000")} == {"44054006", "59621000"}


def test_a_snomed_zip_inside_a_zip(tmp_path: Path) -> None:
    inner = kit.snomed(tmp_path)
    outer = kit.zipped(tmp_path / "download.zip", {"inside.zip": inner.read_bytes(), "__MACOSX/inside.zip.txt": "x"})
    assert taken(tmp_path, outer)[1].version == "US1000124-2026-03-01"
    deeper = kit.zipped(tmp_path / "deeper.zip", {"outer.zip": outer.read_bytes()})
    assert refused(tmp_path / "again", deeper) == "nested_too_deep"


def test_an_icd_order_file_with_headers(tmp_path: Path) -> None:
    index, manifest = taken(tmp_path, kit.write(tmp_path / "icd10cm_order_2026.txt", kit.ORDER))
    assert (manifest.version, manifest.effective_from) == ("2026", "2025-10-01")
    assert index.find("E11").kind == "header" and index.find("E11.9").kind == "billable"  # type: ignore[union-attr]
    assert [e.code for e in index.by_words("Type 2 DM w/o comp")] == ["E11.9"] and index.ancestors("E11.9") == {"E11"}


def test_the_april_release_of_icd_holds_from_april(tmp_path: Path) -> None:
    file = kit.write(tmp_path / "icd10cm-codes-April-2026.txt", "I10     High pressure\r\nQA00    New in 2026\r\n")
    index, manifest = taken(tmp_path, file)
    assert (manifest.version, manifest.effective_from) == ("2026-04", "2026-04-01")
    assert index.find("QA0.0").display == "New in 2026"  # type: ignore[union-attr]


def test_the_tabular_list_makes_the_codes_with_a_seventh_character(tmp_path: Path) -> None:
    index, manifest = taken(tmp_path, kit.write(tmp_path / "tabular.xml", kit.TABULAR))
    assert manifest.version == "2027" and manifest.effective_from == "2026-10-01"
    codes = {e.code: e.kind for e in index.entries()}
    assert {c for c, kind in codes.items() if kind == "billable"} == {
        "S06.0X0A",
        "S06.0X0D",
        "S06.0X7A",  # the list's note: no D where the 6th character is 7
        "S06.1XXA",
        "S06.1XXD",
    }
    assert index.find("S06.1XXA").display == "Swollen, initial encounter"  # type: ignore[union-attr]
    assert index.ancestors("S06.1XXA") == {"S06.1", "S06"}
    assert [e.code for e in index.by_words("knocked about")] == ["S06.0"]


def test_order_file_and_tabular_list_together_names_from_the_order_file(tmp_path: Path) -> None:
    order = kit.order_line(1, "S06", 0, "x", "Injury in the order file") + kit.order_line(
        2, "S061XXA", 1, "y", "Swollen first"
    )
    files = {
        "icd10cm_order_2027.txt": order,
        "icd10cm_codes_2027.txt": "S06 x\n",
        "tabular.xml": kit.TABULAR,
        "order_addenda_2027.txt": "Add: x",
    }
    index, _ = taken(tmp_path, kit.zipped(tmp_path / "2027.zip", files))
    assert index.find("S06").display == "Injury in the order file"  # type: ignore[union-attr]
    assert index.find("S06.1XXA").display == "Swollen first" and index.find("S06.1XXD") is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("name", "text", "kind", "code", "targets"),
    [
        ("2018_I9gem.txt", "25000 E119  10000\n7870 NoDx  11000\n", "gem", "250.00", ["E11.9"]),
        ("2018_I9gem.txt", "7870  NoDx  11000\n", "gem", "787.0", [""]),
        ("2018_I10gem.txt", "E119 25000  10000\n", "gem_back", "E11.9", ["250.00"]),
        ("gem.csv", '"icd9cm","icd10cm","flags"\n"25000","E119","10000"\n', "gem", "250.00", ["E11.9"]),
        ("back.csv", '"icd10cm","icd9cm","flags"\n"E119","25000","10000"\n', "gem_back", "E11.9", ["250.00"]),
    ],
)
def test_gems_both_ways_as_text_and_csv(
    tmp_path: Path, name: str, text: str, kind: str, code: str, targets: list[str]
) -> None:
    index, manifest = taken(tmp_path, kit.write(tmp_path / name, text))
    assert manifest.name == "icd9-gem@2018" and [x.target for x in index.links(kind, code)] == targets


def test_cvx_with_bars_an_inactive_vaccine_and_a_windows_dash(tmp_path: Path) -> None:
    index, manifest = taken(tmp_path, kit.write(tmp_path / "cvx.txt", kit.CVX_LINES))
    assert (manifest.version, manifest.counts["concepts"]) == ("2025-08-29", 4)
    assert index.find("08").status == "active" and index.find("16").status == "inactive" == index.find("99").status  # type: ignore[union-attr]
    assert [e.code for e in index.by_words("hep b, adolescent or pediatric dosage")] == ["08"]


def test_cvx_as_xml(tmp_path: Path) -> None:
    index, manifest = taken(tmp_path, kit.write(tmp_path / "cvx.xml", kit.CVX_XML))
    assert manifest.version == "2025-09-01" and index.find("08").display == "hepatitis B, young"  # type: ignore[union-attr]


def test_ccsr_in_its_single_quotes(tmp_path: Path) -> None:
    index, manifest = taken(tmp_path, kit.write(tmp_path / "DXCCSR_v2026-1.csv", kit.CCSR))
    assert (manifest.version, manifest.effective_from) == ("2026-1", "2025-10-01")
    assert [(x.target, x.note) for x in index.links("ccsr", "E11.21")] == [("END003", "1 IP"), ("GEN003", "2 OP")]
    assert [(x.target, x.note) for x in index.links("ccsr", "I10")] == [("CIR007", "1 IP+OP")]


def test_value_sets_of_a_bundle_by_expansion_and_by_list(tmp_path: Path) -> None:
    listed = {
        "resourceType": "ValueSet",
        "url": "http://example.org/ValueSet/listed",
        "version": "1",
        "compose": {
            "include": [{"system": "http://loinc.org", "concept": [{"code": "1-8"}, {"code": "2-6"}]}],
            "exclude": [{"system": "http://loinc.org", "concept": [{"code": "2-6"}]}],
        },
    }
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"resource": kit.VALUE_SET}, {"resource": listed}, {"resource": kit.CONCEPT_MAP}],
    }
    shelf = Shelf(tmp_path / "shelf")
    expanded, by_list, mapped = shelf.take([kit.write(tmp_path / "b.json", kit.as_json(bundle))])
    assert expanded.manifest.name == "http://example.org/ValueSet/diabetes|20260101"
    index = shelf.index(expanded.path)
    assert index.has_member("http://snomed.info/sct", "44054006") and not index.has_member(
        "http://hl7.org/fhir/sid/icd-10-cm", "E11"
    )
    assert [m.code for m in shelf.index(by_list.path).members()] == ["1-8"]
    assert mapped.manifest.kind == "conceptmap" and mapped.manifest.counts == {"link:row": 1}


def _changed(change: str) -> bytes:
    resource = deepcopy(kit.VALUE_SET)
    if change == "filter":
        del resource["expansion"]
        resource["compose"] = {"include": [{"system": "http://loinc.org", "filter": [{}]}]}
    elif change == "page":
        resource["expansion"]["total"] = 3
    elif change == "url":
        del resource["url"]
    return kit.as_json(resource)


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("notes.txt", b"Dear colleague,\nthis is no release.\n", "wrong_file"),
        ("Loinc_2.80.csv", b'"LOINC_NUM","COMPONENT","STATUS"\n"1-8","x","ACTIVE"\n', "missing_column"),
        ("Loinc.csv", kit.csv_text(kit.LOINC_COLUMNS, kit.OLD_LOINC).encode()[:-30], "truncated"),
        ("Loinc.csv", kit.csv_text(kit.LOINC_COLUMNS, kit.OLD_LOINC).replace('"CHEM",', "", 1).encode(), "invalid_row"),
        ("Loinc.csv", kit.csv_text(kit.LOINC_COLUMNS, kit.OLD_LOINC).encode("utf-16"), "not_text"),
        ("Loinc.csv", kit.csv_text(kit.LOINC_COLUMNS, []).encode(), "version_needed"),
        ("RXNCONSO.RRF", (kit.RXNCONSO * 2)[:-20].encode(), "truncated"),
        ("RXNCONSO.RRF", kit.RXNCONSO.replace("|ENG|", "|", 1).encode(), "invalid_row"),
        ("RXNCONSO.RRF", b"RXCUI" + kit.RXNCONSO.encode(), "invalid_row"),
        ("RXNCONSO.RRF", kit.RXNCONSO.encode(), "version_needed"),
        ("RXNCONSO.RRF", kit.conso("1", "PT", "x", sab="VANDF").encode(), "wrong_file"),
        ("sct2_Concept_Full_INT_20260301.txt", b"id\n", "not_a_snapshot"),
        ("sct2_Description_Snapshot-en_INT_20260301.txt", b"id\n", "missing_file"),
        ("sct2_Concept_Snapshot_INT_20260301.txt", b"code\tx\tx\tx\tx\n", "missing_column"),
        ("icd10cm_order_2026.txt", (kit.ORDER + "00004 E1165   1 cut").encode(), "truncated"),
        ("tabular.xml", kit.TABULAR[:-90].encode(), "truncated"),
        ("tabular.xml", kit.TABULAR.replace("?>", "?><!DOCTYPE x [<!ENTITY a 'b'>]>").encode(), "unsafe_xml"),
        ("cvx.txt", kit.CVX_LINES[:-40], "truncated"),
        ("cvx.xml", kit.CVX_XML[:-20].encode(), "truncated"),
        ("DXCCSR_v2026-1.csv", kit.CCSR.replace("CCSR CATEGORY 1'", "X'").encode(), "missing_column"),
        ("vs.json", _changed("filter"), "valueset_not_expanded"),
        ("vs.json", _changed("page"), "truncated"),
        ("vs.json", _changed("url"), "missing_column"),
        ("vs.json", kit.as_json(kit.VALUE_SET)[:-9], "invalid_json"),
        ("Loinc_2.80.zip", b"not a zip", "damaged_archive"),
        ("cvx.txt.gz", gzip.compress(kit.CVX_LINES)[:-12], "truncated"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_not_what_it_should_be_says_why(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    assert refused(tmp_path, kit.write(tmp_path / name, data)) == code


def test_a_zip_that_is_cut_off_or_has_a_wrong_checksum(tmp_path: Path) -> None:
    whole = kit.loinc(tmp_path).read_bytes()
    assert refused(tmp_path, kit.write(tmp_path / "cut.zip", whole[: len(whole) // 2])) == "damaged_archive"
    with zipfile.ZipFile(kit.loinc(tmp_path)) as packed:
        place = packed.infolist()[0].header_offset + 60
    broken = bytearray(whole)
    broken[place + 40] ^= 0xFF
    assert refused(tmp_path, kit.write(tmp_path / "loinc_2.80.zip", bytes(broken))) in (
        "damaged_archive",
        "truncated",
        "wrong_file",
    )


def test_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "RATIO_FROM", 100_000)
    rows = kit.csv_text(kit.LOINC_COLUMNS, kit.OLD_LOINC) + "\r\n" * 5_000_000
    bomb = kit.zipped(tmp_path / "Loinc_2.80.zip", {"Loinc.csv": rows})
    assert refused(tmp_path, bomb) == "too_large"
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)
    many = kit.zipped(tmp_path / "many.zip", {f"{n}.txt": "x" for n in range(4)})
    assert refused(tmp_path, many) == "too_many_files"


def test_two_releases_in_one_folder_need_a_choice(tmp_path: Path) -> None:
    kit.write(tmp_path / "both" / "cvx.txt", kit.CVX_LINES)
    kit.write(tmp_path / "both" / "icd10cm_order_2026.txt", kit.ORDER)
    assert refused(tmp_path, tmp_path / "both") == "several_releases"
    assert taken(tmp_path, tmp_path / "both", kind="cvx")[1].kind == "cvx"
    assert refused(tmp_path / "x", tmp_path / "both", kind="loinc") == "wrong_file"
    assert refused(tmp_path / "x", tmp_path / "absent") == "file_not_found"
