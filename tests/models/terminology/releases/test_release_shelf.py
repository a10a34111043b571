"""Versions side by side: which is in force when, what changes, and that nobody sees half a file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import release_kit as kit
from hypothesis import given, settings
from hypothesis import strategies as st

from models.terminology.releases.base import Entry, Link, Manifest, ReleaseError, Term
from models.terminology.releases.changes import report
from models.terminology.releases.index import Index, Writer
from models.terminology.releases.shelf import InForce, Shelf, Version, chosen


def both(tmp_path: Path) -> tuple[Shelf, Version, Version]:
    shelf = Shelf(tmp_path / "shelf")
    [old] = shelf.take([kit.loinc(tmp_path)], effective="2025-02-26")
    [new] = shelf.take([kit.new_loinc(tmp_path)], effective="2025-08-12")
    return shelf, old, new


def test_the_version_in_force_on_a_day(tmp_path: Path) -> None:
    shelf, old, new = both(tmp_path)
    assert shelf.current("loinc") is None  # imported is not in force
    for version in (old, new):
        shelf.put_in_force(version)
    on = {
        day: shelf.current("loinc", day)
        for day in ("2020-01-01", "2025-02-26", "2025-08-11", "2025-08-12", "2025-07", "2025-08", "")
    }
    assert {day: v.manifest.version for day, v in on.items() if v} == {
        "2020-01-01": "2.80",  # before all: the first
        "2025-02-26": "2.80",
        "2025-08-11": "2.80",
        "2025-08-12": "2.81",
        "2025-07": "2.80",
        "2025-08": "2.81",
        "": "2.81",
    }
    assert shelf.version("loinc").manifest.version == "2.81" and shelf.version("loinc@2.80").in_force is not None


def test_a_version_announced_for_later_is_not_in_force_yet(tmp_path: Path) -> None:
    shelf, old, new = both(tmp_path)
    shelf.put_in_force(old)
    shelf.put_in_force(new, "2999-10-01")
    assert shelf.current("loinc").manifest.version == "2.80"  # type: ignore[union-attr]
    assert shelf.current("loinc", "2999-10-01").manifest.version == "2.81"  # type: ignore[union-attr]


_DAYS = st.dates().map(lambda d: d.isoformat())


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(_DAYS, min_size=1, max_size=5, unique=True), _DAYS)
def test_the_version_in_force_is_the_last_that_began(begins: list[str], day: str) -> None:
    versions = [
        Version(path=Path(b), manifest=Manifest(kind="cvx", version=b), in_force=InForce(begins=b)) for b in begins
    ]
    found = chosen(versions, day)
    assert found is not None and found.manifest.version == max((b for b in begins if b <= day), default=min(begins))


def test_names_that_lead_nowhere_say_so(tmp_path: Path) -> None:
    shelf, *_ = both(tmp_path)
    for name in ("loinc", "loinc@9.99", "nonsense", "cvx", "http://example.org/vs|2"):
        with pytest.raises(ReleaseError) as error:
            shelf.version(name)
        assert error.value.code == "unknown_release"


def test_the_same_files_again_change_nothing_and_other_files_are_refused(tmp_path: Path) -> None:
    shelf, old, _ = both(tmp_path)
    before = old.path.stat().st_mtime_ns
    [again] = shelf.take([kit.loinc(tmp_path)])
    assert again.path == old.path and old.path.stat().st_mtime_ns == before and again.manifest == old.manifest
    with pytest.raises(ReleaseError) as error:
        shelf.take([kit.loinc(tmp_path, kit.NEW_LOINC)])
    assert error.value.code == "version_exists"
    assert shelf.index(old.path).find("35184-1").status == "active"  # type: ignore[union-attr]
    [other] = shelf.take([kit.loinc(tmp_path, kit.NEW_LOINC)], version="2.80 fixed/once")
    assert shelf.version("loinc@2.80 fixed/once").path == other.path and other.path.parent == old.path.parent


def test_what_a_release_changes(tmp_path: Path) -> None:
    shelf, old, new = both(tmp_path)
    found = report(shelf.index(old.path), shelf.index(new.path))
    assert found.counts == {"deprecated": 1, "discouraged": 1, "renamed": 1, "added": 1}
    told = {c.what: c for c in found.changes}
    assert told["deprecated"].code == "35184-1" and told["deprecated"].replaced_by == ("1558-6",)
    assert (told["renamed"].before, told["renamed"].after) == (
        "Hemoglobin A1c share, our words",
        "Hemoglobin A1c per total, our words",
    )
    back = report(shelf.index(new.path), shelf.index(old.path))
    assert back.counts == {"removed": 1, "renamed": 1, "reactivated": 2}


def test_what_it_changes_for_the_codes_in_use(tmp_path: Path) -> None:
    shelf, old, new = both(tmp_path)
    found = report(shelf.index(old.path), shelf.index(new.path), {"35184-1": 7, "2345-7": 900, "9999-9": 1})
    assert [(c.what, c.code, c.in_use) for c in found.changes] == [("deprecated", "35184-1", 7)]
    assert (found.in_use, found.unknown, found.counts["added"]) == (3, ("9999-9",), 1)


def test_changed_maps_and_members_are_changes_too(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    [old] = shelf.take([kit.write(tmp_path / "a" / "DXCCSR_v2026-1.csv", kit.CCSR)])
    [new] = shelf.take([kit.write(tmp_path / "b" / "DXCCSR_v2027-1.csv", kit.CCSR.replace("'CIR007'", "'CIR008'"))])
    [change] = report(shelf.index(old.path), shelf.index(new.path)).changes
    assert (change.what, change.code, change.before, change.after) == ("mapped", "I10", "CIR007", "CIR008")
    later = kit.VALUE_SET | {
        "version": "20260601",
        "expansion": {"contains": kit.VALUE_SET["expansion"]["contains"][0]["contains"][:1]},
    }
    [first] = shelf.take([kit.write(tmp_path / "v1.json", kit.as_json(kit.VALUE_SET))])
    [second] = shelf.take([kit.write(tmp_path / "v2.json", kit.as_json(later))])
    [gone] = report(shelf.index(first.path), shelf.index(second.path), {"http://snomed.info/sct|44054006": 3}).changes
    assert (gone.what, gone.code, gone.in_use) == ("removed", "http://snomed.info/sct|44054006", 3)
    with pytest.raises(ReleaseError) as error:
        report(shelf.index(old.path), shelf.index(first.path))
    assert error.value.code == "not_comparable"


def test_a_release_against_itself_changes_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    for file in (kit.snomed(tmp_path), kit.rxnorm(tmp_path), kit.new_loinc(tmp_path)):
        [version] = shelf.take([file])
        index = shelf.index(version.path)
        assert report(index, index).counts == {}


_CODE = st.text("0123456789", min_size=1, max_size=3)
_NAME = st.text("abc ", min_size=1, max_size=6)
_STATUS = st.sampled_from(["active", "trial", "discouraged", "inactive"])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    old=st.dictionaries(_CODE, st.tuples(_NAME, _STATUS), max_size=6),
    new=st.dictionaries(_CODE, st.tuples(_NAME, _STATUS), max_size=6),
)
def test_every_code_that_differs_is_told_once_for_each_difference(
    tmp_path_factory: pytest.TempPathFactory, old: dict[str, tuple[str, str]], new: dict[str, tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("index")
    left, right = (_index(folder / f"{n}.index", said) for n, said in enumerate((old, new)))
    told = {(c.what, c.code) for c in report(left, right).changes}
    assert {c for what, c in told if what == "removed"} == old.keys() - new.keys()
    assert {c for what, c in told if what == "added"} == {c for c in new.keys() - old.keys() if new[c][1] != "inactive"}
    status = {c for what, c in told if what in ("deprecated", "discouraged", "reactivated")}
    assert status == {c for c in old.keys() & new.keys() if old[c][1] != new[c][1]}
    left.close()
    right.close()


def _index(path: Path, said: dict[str, tuple[str, str]]) -> Index:
    writer = Writer(path)
    writer.add(Entry(code=code, display=name, status=status) for code, (name, status) in said.items())  # type: ignore[arg-type]
    writer.finish(Manifest(kind="loinc", version=path.stem))
    return Index(path)


def test_a_circle_of_parents_ends(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "x.index")
    writer.add(
        [Link(kind="parent", code=a, target=b) for a, b in (("1", "2"), ("2", "3"), ("3", "1"))]
        + [Term(code="1", words="x")]
    )
    writer.finish(Manifest(kind="snomed", version="1"))
    assert Index(tmp_path / "x.index").ancestors("1") == {"2", "3"} == Index(tmp_path / "x.index").descendants("1")


def test_a_damaged_or_foreign_index_says_import_again(tmp_path: Path) -> None:
    _shelf, old, _ = both(tmp_path)
    data = old.path.read_bytes()
    for wrong in (b"", b"nonsense" * 100, data[:5000], data[:60] + b"\0\0\0\7" + data[64:]):
        old.path.unlink()
        old.path.write_bytes(wrong)
        with pytest.raises(ReleaseError) as error:
            Index(old.path)
        assert error.value.code == "index_damaged"


def test_an_index_cannot_be_written_through(tmp_path: Path) -> None:
    shelf, old, _ = both(tmp_path)
    with pytest.raises(ReleaseError):
        shelf.index(old.path)._rows("DELETE FROM concept")
    assert shelf.index(old.path).find("2345-7") is not None


def test_readers_meanwhile_see_none_or_the_whole(tmp_path: Path) -> None:
    """One process imports while another lists again and again: every index that it sees is complete."""
    source = kit.loinc(
        tmp_path, [(f"{n}-{n % 10}", "X", "CHEM", "2.80", "ACTIVE", "", "", f"Thing {n}") for n in range(20_000)]
    )
    seen: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.extend(v.manifest.counts["concepts"] for v in Shelf(tmp_path / "shelf").versions())
            time.sleep(0.002)

    reader = threading.Thread(target=watch)
    reader.start()
    code = "import sys; from pathlib import Path; from models.terminology.releases.shelf import Shelf; Shelf(Path(sys.argv[1])).take([Path(sys.argv[2])])"
    root = Path(__file__).parents[4]
    both_at_once = [
        subprocess.Popen(
            [sys.executable, "-c", code, tmp_path / "shelf", source],
            cwd=root,
            env=os.environ | {"PYTHONPATH": str(root)},
        )
        for _ in range(2)
    ]
    assert [p.wait(60) for p in both_at_once] == [0, 0]
    time.sleep(0.05)
    done.set()
    reader.join()
    assert set(seen) == {20_000} and len(list((tmp_path / "shelf" / "loinc").iterdir())) == 1


def test_what_a_killed_import_left_is_swept_a_day_later(tmp_path: Path) -> None:
    folder = tmp_path / "shelf" / "loinc"
    old, young = kit.write(folder / "a.part", "x"), kit.write(folder / "b.part", "x")
    os.utime(old, (1, 1))
    Shelf(tmp_path / "shelf").take([kit.loinc(tmp_path)])
    assert not old.exists() and young.exists()
