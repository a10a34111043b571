"""Packages (NDC): to RxNorm and CVX by releases, RxNav's answers and the seed; in every layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import release_kit as kit

from models.record import Coding, Concept
from models.terminology import vocabulary
from models.terminology.mapper import Answer, Ask, Terminology, translate
from models.terminology.medications import drug_classes, ingredients_of
from models.terminology.ndc import ndc11
from models.terminology.ndc_answers import NdcAnswer, NdcAnswers
from models.terminology.releases.base import ReleaseError
from models.terminology.releases.shelf import Shelf
from models.terminology.seeds import seed_rows
from models.terminology.systems import CVX, NDC, RXNORM
from models.terminology.vaccines import cvx_of, of_package, vaccines
from models.terminology.vocabulary import Vocabulary
from service.terminology_map import map_csv

Import = Callable[..., Vocabulary]


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    """Put releases in force and let the process read by them."""

    def take(*files: Path) -> Vocabulary:
        shelf = Shelf(tmp_path / "shelf")
        for file in files:
            for version in shelf.take([file]):
                shelf.put_in_force(version)
        found = Vocabulary.at(tmp_path / "shelf")
        assert found is not None
        vocabulary.use(found)
        return found

    return take


def asked(code: str, text: str = "", domain: str = "medication", display: str = "") -> Answer:
    coding = Coding(system=NDC, code=code, display=display)
    return Terminology().map(Ask(domain=domain, codings=(coding,), text=text))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sent", "eleven"),
    [("058734-0001-*1", "58734000101"), ("051227-6159-**", "51227615900"), ("000854-6841-2", "00854684102"), ("057982-123-12", "57982012312"),
     ("057982-987-9", "57982098709"), ("*0002-8215-01", "00002821501"), ("12345-*123-01", "12345012301"), ("36987-3156-1", "36987315601"),
     ("NDC 0002-8215-01", "00002821501"), ("0002 8215 01", "00002821501"), ("0002\u20138215\u201301", "00002821501"),
     ("158734-0001-01", ""), ("0002--8215-01", "00002821501"), ("٠٠٠٠٢٨٢١٥٠١", "")],
)  # fmt: skip
def test_layouts_of_older_files(sent: str, eleven: str) -> None:
    assert ndc11(sent) == eleven


@pytest.mark.parametrize(
    "sent",
    ["00093111301", "0093-1113-01", "00093-1113-01", "000093111301", "*0093-1113-01", "000093-1113-01", "0093111301"],
)
def test_a_package_is_the_drug_in_it_however_it_is_written(tmp_path: Path, imported: Import, sent: str) -> None:
    imported(kit.rxnorm(tmp_path))
    answer = asked(sent, "Lisinopril 10 mg tab")
    assert answer.mapping.target == Coding(system=RXNORM, code="314076", display="lisinopril 10 MG Oral Tablet")
    assert answer.mapping.method == "map_table" and answer.mapping.source.code == sent
    assert answer.mapping.confidence == (0.9 if len(sent) == 10 else 0.95), "ten digits without hyphens are less sure"
    assert answer.flags == ()


def test_ten_digits_with_two_readings_that_differ_are_candidates(tmp_path: Path, imported: Import) -> None:
    two = kit.RXNSAT + kit.ndc("104377", "09311131001") + kit.ndc("314076", "93111031001")
    imported(
        kit.zipped(tmp_path / "RxNorm_full_11032025.zip", {"rrf/RXNCONSO.RRF": kit.RXNCONSO, "rrf/RXNSAT.RRF": two})
    )
    answer = asked("9311131001")
    assert {c.target.code for c in answer.candidates} == {
        "104377",
        "314076",
    } and "uncertain_mapping" not in answer.flags
    assert answer.mapping.target.system == NDC, "the package stays what it is"


def test_a_product_without_its_package_is_its_drug_where_all_packages_are(tmp_path: Path, imported: Import) -> None:
    imported(kit.rxnorm(tmp_path))
    assert asked("0310-0130").mapping.target.code == "104377" and asked("0310-0130").mapping.confidence == 0.9


def test_a_package_that_nobody_knows_is_read_by_its_words_and_else_stays(tmp_path: Path, imported: Import) -> None:
    for words in (lambda: None, lambda: imported(kit.rxnorm(tmp_path))):
        words()
        named = asked("55555-5555-55", "metformin 500 mg tab")
        assert (named.mapping.method, named.mapping.target.code) == ("text_match", "6809")
        assert named.mapping.source.code == "55555-5555-55"
        shown = asked("55555-5555-55", display="Metformin HCl 500 MG")
        assert shown.mapping.target.code == "6809"
        bare = asked("55555-5555-55", "something new")
        assert bare.mapping.method == "standard" and bare.mapping.target.system == NDC and bare.flags == ()
        none = asked("12", "something new")
        assert none.mapping.method == "unmapped" and none.flags == ("unknown_code",)


def test_words_that_contradict_the_drug_in_the_package(tmp_path: Path, imported: Import) -> None:
    imported(kit.rxnorm(tmp_path))
    answer = asked("0093-1113-01", "Metformin 500 mg")
    assert answer.flags == ("code_text_mismatch",) and answer.mapping.confidence == 0.5
    assert answer.mapping.target.code == "314076" and answer.mapping.method == "map_table"


def test_what_rxnav_said_of_one_reading_of_ten_digits(tmp_path: Path) -> None:
    answers = NdcAnswers(tmp_path / "shelf" / "rxnav")
    answers.put(NdcAnswer(ndc="01234567890", status="ACTIVE", asked="2026-01-02", rxcui="6809", name="metformin"))
    vocabulary.use(Vocabulary.at(tmp_path / "shelf"))
    answer = asked("1234567890")
    assert answer.mapping.target.code == "6809" and answer.mapping.confidence == 0.9
    assert answer.mapping.table == "rxnav@2026-01-02 NDC"


@pytest.mark.parametrize("row", seed_rows("vaccine-ndc.tsv"), ids=lambda row: row[0])
def test_every_product_of_the_seed(row: tuple[str, ...]) -> None:
    product, cvx, _ = row
    assert len(product) == 9 and product.isdigit() and cvx == cvx_of(cvx) and cvx in vaccines()
    sent = f"{product[:5]}-{product[5:]}-01"
    answer = asked(sent, domain="vaccine")
    assert answer.mapping.target.system == CVX and answer.mapping.target.code == cvx == of_package(product + "99").code  # type: ignore[union-attr]
    assert (answer.mapping.method, answer.mapping.table) == ("map_table", "shipped:vaccine-ndc")


def test_the_crosswalk_of_cdc_goes_before_the_seed(tmp_path: Path, imported: Import) -> None:
    row = "00005-1971-02|Other|L|||||00005-1971-02|False||1/1/2026|100|Our words|OUR\n"
    imported(kit.crosswalk(tmp_path, kit.CDC_CROSSWALK + row))
    for code in ("11111-0101-50", "11111-0101-01", "11111010101", "11111-101-01"):
        found = asked(code, domain="vaccine").mapping
        assert (found.target.code, found.confidence, found.table) == ("140", 0.95, "cvx-ndc@2026-01-01 NDC")  # type: ignore[union-attr]
    assert asked("00005-1971-02", domain="vaccine").mapping.target.code == "100"  # type: ignore[union-attr]
    both = asked("11111-0102-10", "Twovax", domain="vaccine")
    assert {c.target.code for c in both.candidates} == {"20", "48"} and both.mapping.target.system == NDC  # type: ignore[union-attr]
    assert asked("58160-0842-11", domain="vaccine").mapping.target.code == "115", "the seed answers what it lacks"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "code"),
    [("NDCInnerID,CVX Code,NDC11,last_updated_date\n1,140,11111-0101-01,7/1/2025\n", "140"),
     ("\ufeffSale NDC11\tUse NDC11\tCVX Code\tUse Last Update\n11111-0101-50\t11111-0101-01\t8\t2025-07-01\n", "08")],
)  # fmt: skip
def test_the_tables_of_other_years(tmp_path: Path, imported: Import, text: str, code: str) -> None:
    imported(kit.crosswalk(tmp_path, text, "use.csv"))
    assert asked("11111-0101-01", domain="vaccine").mapping.target.code == code  # type: ignore[union-attr]


def test_a_cut_off_crosswalk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError) as error:
        Shelf(tmp_path / "shelf").take([kit.crosswalk(tmp_path, kit.CDC_CROSSWALK[:-40])])
    assert error.value.code == "truncated"


def test_in_a_file_the_package_of_a_vaccine_is_a_vaccine() -> None:
    done = map_csv(b"system,code\nNDC,58160-0842-11\nurn:oid:2.16.840.1.113883.6.69,55555555555\n", Terminology())
    rows = [line.split(",") for line in done.text.splitlines()[1:]]
    assert rows[0][2:4] == [CVX, "115"] and rows[1][2:4] == [NDC, "55555555555"]
    assert translate(Coding(system=NDC, code="58160-0842-11"))[0].method == "unmapped"


DRUGS = kit.RXNCONSO + "".join(
    kit.conso(code, kind, name)
    for code, kind, name in (
        ("6918", "IN", "metoprolol"),
        ("866427", "SCD", "24 HR metoprolol succinate 50 MG Extended Release Oral Tablet"),
        ("866436", "SCD", "24 HR metoprolol succinate 100 MG Extended Release Oral Tablet"),
        ("866514", "SCD", "metoprolol tartrate 50 MG Oral Tablet"),
        ("900001", "SCD", "metoprolol succinate 50 MG Extended Release Oral Capsule"),
        ("900003", "SCD", "metoprolol tartrate 1 MG/ML Injection"),
    )
)
LINKS = kit.RXNREL + "".join(
    kit.rel("6918", c, "has_ingredient") for c in ("866427", "866436", "866514", "900001", "900003")
)


@pytest.mark.parametrize(
    ("text", "code", "how"),
    [("metoprolol succ ER 50 mg tab", "866427", "ingredient, strength and form"),
     ("Metoprolol Tartrate 50 MG tablet BID", "866514", "ingredient, strength and form"),
     ("metoprolol 50 mg tab", "6918", "ingredient in the wording"),  # of which salt and release
     ("metoprolol succinate XL 100", "866436", "ingredient, strength and form"),
     ("lisinopril-hctz 10-12.5 mg tabs", "197885", "ingredient, strength and form"),
     ("lisinopril 10 mg daily", "314076", "ingredient, strength and form"),
     ("metoprolol succ ER 50 mg", "6918", "ingredient in the wording"),  # tablet or capsule
     ("metoprolol ER 25 mg tab", "6918", "ingredient in the wording"),  # no such strength
     ("metoprolol tab", "6918", "ingredient in the wording"),
     ("metoprolol 1 mg/ml injection", "6918", "ingredient in the wording"),
     ("lisinopril-hctz 20-12.5", None, ""), ("stopped metoprolol tartrate 50 mg tab", None, "")],
)  # fmt: skip
def test_the_clinical_drug_where_exactly_one_has_it_all(
    tmp_path: Path, imported: Import, text: str, code: str | None, how: str
) -> None:
    imported(kit.zipped(tmp_path / "RxNorm_full_11032025.zip", {"rrf/RXNCONSO.RRF": DRUGS, "rrf/RXNREL.RRF": LINKS}))
    mapping = Terminology().map(Ask(domain="medication", text=text)).mapping
    assert (mapping.target.code if mapping.target else None) == code and mapping.table.startswith(how)


def test_a_drug_known_only_by_its_package_has_its_ingredients_and_classes(tmp_path: Path, imported: Import) -> None:
    both = kit.RXNSAT + kit.ndc("197885", "11111222233")
    files = {"rrf/RXNCONSO.RRF": kit.RXNCONSO, "rrf/RXNREL.RRF": kit.RXNREL, "rrf/RXNSAT.RRF": both}
    imported(kit.zipped(tmp_path / "RxNorm_full_11032025.zip", files))
    coding = Coding(system=NDC, code="11111-2222-33")
    concept = Concept(codings=(coding,), mapping=asked(coding.code).mapping)
    assert sorted(i.name for i in ingredients_of(concept)) == ["hydrochlorothiazide", "lisinopril"]
    assert "ace_inhibitor" in drug_classes(concept)
    assert ingredients_of(Concept(codings=(coding,))) == ()
