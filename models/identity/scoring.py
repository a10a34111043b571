"""How much speaks for two records being one person: Splink on DuckDB with our trained weights.

A pair's score depends on that pair alone: how rare a name is comes from public tables, not from the file, so a pair
scores the same in a file of ten and in one of a million, alone and among others. Nothing leaves the process: DuckDB
works in memory, may load no extension, and reads no file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from models.identity import births
from models.identity.comparisons import COLUMNS, LEVELS
from models.identity.person import Person
from models.identity.words import DATA, RARE_FAMILY, RARE_GIVEN, family_shares, full_names, given_shares, nicknamed
from models.record.base import Value

MODEL = DATA / "model.json"
LOWEST = -5.0
"""Pairs with a weight (log2 of the odds) below this are not handed on: one in thirty at best."""
_TYPES = {"varchar": "string", "varchar[]": "list", "boolean": "bool", "double": "float64"}


class Scored(Value, frozen=True):
    """A compared pair: positions in the lists that were handed in, the weight, and each comparison's level and share."""

    left: int
    right: int
    weight: float
    """log2 of the odds that it is one person, what is known beforehand included."""
    levels: dict[str, str]
    """Comparison -> level, see comparisons.py."""
    shares: dict[str, float]
    """Comparison -> what it adds to the weight, a name's rarity included."""


@cache
def model(path: Path = MODEL) -> dict[str, Any]:
    """The trained model."""
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def row(person: Person) -> dict[str, Any]:
    """A person as a row of the compared table (comparisons.COLUMNS)."""
    name, birth, place = person.name, person.birth, person.place
    made: dict[str, Any] = {
        "given": name.given,
        "middle": name.middle,
        "family": name.family,
        "forms": name.forms,
        "given_known": name.given in given_shares(),
        "given_full": name.given in nicknamed(),
        "families": name.families,
        "suffix": name.suffix,
        "newborn": name.newborn,
        "birth_order": name.birth_order,
        "birth": birth.day,
        "birth_swapped": births.swapped(birth.day),
        "partial": birth.partial,
        "sex": person.sex,
        "house": place.house,
        "street": place.street,
        "unit": place.unit,
        "city": place.city,
        "state": place.state,
        "zip": place.zip,
        "phones": person.phones,
        "emails": person.emails,
        "national": person.national,
        "national4": person.national4,
        "records": person.records,
        "documents": person.documents,
        "document_kinds": tuple(sorted({d.rpartition("|")[0] for d in person.documents})),
        "members": person.members,
        "given_root": _root(name.given),
        "tf_given": given_shares().get(name.given, RARE_GIVEN) if name.given else None,
        "tf_family": family_shares().get(name.family, RARE_FAMILY) if name.family else None,
    }
    return {k: (v if v or isinstance(v, bool) else None) for k, v in made.items()}


def _root(given: str) -> str:
    """The commonest name that a given name may stand for: what nicknames have in common."""
    return max(full_names(given), key=lambda n: (given_shares().get(n, 0.0), n)) if given else ""


class Scorer:
    """Compares people. Not for several threads at once; cheap to make (some 50 ms)."""

    def __init__(self, settings: dict[str, Any] | None = None) -> None:
        """`settings`: another model than the shipped one (training)."""
        import duckdb
        from splink.backends.duckdb import DuckDBAPI

        logging.getLogger("splink").setLevel(logging.ERROR)  # what it tells about tables is of no use to a reader
        connection = duckdb.connect(
            ":memory:",
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "enable_external_access": "false",
            },
        )
        self._connection = connection
        self._api = DuckDBAPI(connection)
        self._settings = settings or model()
        self._tables = 0

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def candidates(self, left: Sequence[Person], right: Sequence[Person] | None = None) -> list[Scored]:
        """Pairs found by the blocking rules: within `left`, or between `left` and `right`; by position."""
        if not left or (right is not None and not right) or (right is None and len(left) < 2):
            return []
        linker = self.linker(left, right)
        return self._read(linker.inference.predict(threshold_match_weight=LOWEST))

    def within(self, groups: Sequence[Sequence[Person]]) -> list[Scored]:
        """Every pair within each group, whatever they agree in; positions in the groups strung together."""
        people = [p for group in groups for p in group]
        if len(people) < 2:
            return []
        chain = [i for i, group in enumerate(groups) for _ in group]
        linker = self.linker(people, None, {"chain": chain}, blocking=[{"blocking_rule": "l.chain = r.chain"}])
        return self._read(linker.inference.predict())

    def linker(
        self,
        left: Sequence[Person],
        right: Sequence[Person] | None,
        extra: dict[str, list[Any]] | None = None,
        blocking: list[dict[str, str]] | None = None,
    ) -> Any:
        """Splink's linker over the people; `extra`: further columns of `left`; `blocking`: other rules than the model's."""
        from splink import Linker

        self._tables += 1
        tables = [self._table(left, f"left_{self._tables}", extra)]
        if right is not None:
            tables.append(self._table(right, f"right_{self._tables}"))
        settings = self._settings | {"link_type": "dedupe_only" if right is None else "link_only"}
        if blocking is not None:
            settings |= {"blocking_rules_to_generate_predictions": blocking}
        return Linker(tables if right is not None else tables[0], settings, log_level=None, validate_settings=False)

    def _table(self, people: Iterable[Person], name: str, extra: dict[str, list[Any]] | None = None) -> Any:
        import pyarrow as pa  # type: ignore[import-untyped]

        rows = [row(p) for p in people]
        kinds = {
            "varchar": pa.string(),
            "varchar[]": pa.list_(pa.string()),
            "boolean": pa.bool_(),
            "double": pa.float64(),
        }
        columns = {c: pa.array([r[c] for r in rows], type=kinds[t]) for c, t in COLUMNS.items()}
        columns["unique_id"] = pa.array(range(len(rows)), type=pa.int64())
        for column, values in (extra or {}).items():
            columns[column] = pa.array(values)
        self._connection.register(f"{name}_arrow", pa.table(columns))
        self._connection.execute(f"create table {name} as select * from {name}_arrow")  # noqa: S608  our own name
        self._connection.unregister(f"{name}_arrow")
        return self._api.register(name, table_name=name)

    def _read(self, predicted: Any) -> list[Scored]:
        found = predicted.as_duckdbpyrelation()
        wanted = ["unique_id_l", "unique_id_r", "match_weight"]
        wanted += [c for name in LEVELS for c in (f"gamma_{name}", f"mw_{name}", f"mw_tf_adj_{name}")]
        kept = [c for c in wanted if c in found.columns]
        table = found.project(", ".join(kept)).order("unique_id_l, unique_id_r").fetchall()
        at = {c: i for i, c in enumerate(kept)}
        names = {name: _gammas(levels) for name, levels in LEVELS.items()}
        made = []
        for line in table:
            levels, shares = {}, {}
            for name, by_gamma in names.items():
                levels[name] = by_gamma[line[at[f"gamma_{name}"]]]
                adjusted = line[at[f"mw_tf_adj_{name}"]] if f"mw_tf_adj_{name}" in at else 0.0
                shares[name] = round(line[at[f"mw_{name}"]] + adjusted, 3)
            made.append(
                Scored(
                    left=line[0], right=line[1], weight=round(line[at["match_weight"]], 3), levels=levels, shares=shares
                )
            )
        return made


def _gammas(levels: Sequence[tuple[str, str]]) -> dict[int, str]:
    """Splink's numbers for the levels of a comparison: -1 for missing, the highest for the first, 0 for the last."""
    valued = [label for label, _ in levels if label != "missing"]
    return {-1: "missing"} | {len(valued) - 1 - i: label for i, label in enumerate(valued)}
