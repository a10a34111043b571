"""The public files of ../shared/data/terminology: read whole, and agreeing with each other and with what ships."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.terminology import conditions
from models.terminology.releases.index import Index
from models.terminology.releases.shelf import Shelf, Version

DATA = Path(__file__).parents[4].parent / "shared" / "data" / "terminology"
pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/terminology is not here"),
]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(tmp_path_factory.mktemp("shelf"))


def taken(shelf: Shelf, *names: str, version: str = "") -> tuple[Index, Version]:
    [found] = shelf.take([DATA / name for name in names], version=version)
    return shelf.index(found.path), found


def test_the_tabular_list_gives_exactly_the_published_codes(shelf: Shelf) -> None:
    tabular, version = taken(shelf, "icd10cm-tabular-April-2026.xml.gz")
    listed, _ = taken(shelf, "icd10cm-codes-April-2026.txt.gz", version="codes")
    assert version.manifest.name == "icd-10-cm@2026-04" and version.manifest.effective_from == "2026-04-01"
    codes = {e.code: e for e in tabular.entries()}
    assert codes.keys() == {e.code for e in listed.entries()} and len(codes) > 98_000
    assert all(e.display for e in codes.values())
    billable = {code for code, e in codes.items() if e.kind == "billable"}
    assert not any(tabular.descendants(code) for code in sorted(billable)[::997])


def test_its_names_are_those_that_ship(shelf: Shelf) -> None:
    tabular, _ = taken(shelf, "icd10cm-tabular-April-2026.xml.gz")
    shipped = conditions.icd10cm_names()
    names = {code: entry.display for code in shipped if (entry := tabular.find(code)) is not None}
    assert names == shipped
    for wording in ("Essential (primary) hypertension", "Type 2 diabetes mellitus without complications"):
        assert [e.code for e in tabular.by_words(wording)] == [conditions.by_wording(wording)[0].code]


def test_the_gems_are_those_that_ship(shelf: Shelf) -> None:
    gem, version = taken(shelf, "icd9-to-icd10cm-gem.csv.gz", "icd10cm-to-icd9-gem.csv.gz")
    assert version.manifest.counts["link:gem"] > 23_000 and version.manifest.counts["link:gem_back"] > 78_000
    for entry in list(gem.entries())[::53]:
        targets = {link.target for link in gem.links("gem", entry.code)} - {""}
        shipped = conditions.from_icd9(entry.code)
        assert shipped is not None and set(shipped.codes) <= targets and (shipped.kind == "none") == (not targets)
