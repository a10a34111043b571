"""How much speaks for two records being one person: a model that Splink trained, on DuckDB.

A pair's score depends on that pair alone: how rare a name is comes from public tables, not from the file, so a pair
scores the same in a file of ten and in one of a million, alone and among others. Nothing leaves the process: DuckDB
works in memory, may load no extension, and reads no file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from models.identity import births
from models.identity.blocking import MOST, MOST_WEAK, WEAK, keys
from models.identity.comparisons import COLUMNS, TERM_FREQUENCIES
from models.identity.person import Person
from models.identity.words import DATA, RARE_FAMILY, RARE_GIVEN, family_shares, given_shares, nicknamed
from models.record.base import Value

MODEL = DATA / "model.json"
LOWEST = -5.0
"""Pairs with a weight (log2 of the odds) below this are not handed on: one in thirty at best."""
SHUT: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "enable_external_access": "false",
}
"""DuckDB alone with what it is handed: no extension, no file, no network."""


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


def row(person: Person, *, blocked: bool = True) -> dict[str, Any]:
    """A person as a row of the compared table (comparisons.COLUMNS); `keys` where it is `blocked`."""
    name, birth, place = person.name, person.birth, person.place
    made: dict[str, Any] = {
        "given": name.given,
        "middle": name.middle,
        "family": name.family,
        "givens": name.givens,
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
        "words": place.words,
        "unit": place.unit,
        "city": place.city,
        "zip": place.zip,
        "homes": _homes(person),
        "phones": person.phones,
        "emails": person.emails,
        "national": person.national,
        "national4": person.national4,
        "records": person.records,
        "documents": person.documents,
        "document_kinds": tuple(sorted({d.rpartition("|")[0] for d in person.documents})),
        "members": person.members,
        "keys": keys(person) if blocked else (),
        "tf_given": given_shares().get(name.given, RARE_GIVEN) if name.given else None,
        "tf_family": family_shares().get(name.family, RARE_FAMILY) if name.family else None,
    }
    return {k: (v if v or isinstance(v, bool) else None) for k, v in made.items()}


def _homes(person: Person) -> tuple[str, ...]:
    """Every address of a person as it is written, once with its zip code and once with its city."""
    found = {
        f"{p.house}|{p.street}|{p.unit}|{town}"
        for p in (person.place, *person.more_places)
        if p.house and p.street
        for town in (p.zip, p.city)
        if town
    }
    return tuple(sorted(found))


class Scorer:
    """Compares people: the model as one statement on DuckDB. Not for several threads at once; cheap to make."""

    def __init__(self) -> None:
        import duckdb

        self._connection = duckdb.connect(":memory:", config=SHUT)

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()

    def __enter__(self) -> Scorer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def candidates(self, left: Sequence[Person], right: Sequence[Person] | None = None) -> list[Scored]:
        """Pairs with a key in common: within `left`, or between `left` and `right`; by position. Those below LOWEST are not told."""
        if not left or (right is not None and not right) or (right is None and len(left) < 2):
            return []
        self._fill("one", left, blocked=True)
        self._fill("two", left if right is None else right, blocked=True)
        self._connection.execute(_BLOCKS + (_WITHIN if right is None else _ACROSS), _LIMITS)
        return self._score(LOWEST)

    def within(self, groups: Sequence[Sequence[Person]]) -> list[Scored]:
        """Every pair within each group, whatever they agree in; positions in the groups strung together."""
        people, pairs, begin = list[Person](), list[tuple[int, int]](), 0
        for group in groups:
            people += group
            pairs += combinations(range(begin, len(people)), 2)
            begin = len(people)
        return self.pairs(people, people, pairs)

    def pairs(
        self,
        left: Sequence[Person],
        right: Sequence[Person],
        pairs: Sequence[tuple[int, int]],
        lowest: float | None = None,
    ) -> list[Scored]:
        """These pairs, by position in `left` and `right`, each with its score (`lowest`: those from it on)."""
        import pyarrow as pa  # type: ignore[import-untyped]

        if not pairs:
            return []
        self._fill("one", left)
        self._fill("two", right)
        table = pa.table({"l": pa.array([a for a, _ in pairs]), "r": pa.array([b for _, b in pairs])})
        self._load("pairs", table)
        return self._score(lowest)

    def _fill(self, name: str, people: Sequence[Person], *, blocked: bool = False) -> None:
        self._load(name, arrow(people, blocked=blocked))

    def _load(self, name: str, table: Any) -> None:
        self._connection.register("handed_in", table)
        self._connection.execute(f"create or replace table {name} as select * from handed_in")  # noqa: S608  our own name
        self._connection.unregister("handed_in")

    def _score(self, lowest: float | None) -> list[Scored]:
        rows = self._connection.execute(statement(), {"lowest": lowest}).fetchall()
        levels, weights = tables()
        made = []
        for left, right, weight, *rest in rows:
            gammas, rarity = rest[: len(levels)], dict(zip(TERM_FREQUENCIES, rest[len(levels) :], strict=True))
            told = {name: levels[name][gamma] for name, gamma in zip(levels, gammas, strict=True)}
            shares = {
                name: round(weights[name][gamma] + rarity.get(name, 0.0), 3)
                for name, gamma in zip(levels, gammas, strict=True)
            }
            made.append(Scored(left=left, right=right, weight=round(weight, 3), levels=told, shares=shares))
        return made


def arrow(people: Iterable[Person], *, blocked: bool = True) -> Any:
    """The compared table (comparisons.COLUMNS) of these people, with their position as `unique_id`; `blocked`: and keys."""
    import pyarrow as pa

    rows = [row(p, blocked=blocked) for p in people]
    kinds = {"varchar": pa.string(), "varchar[]": pa.list_(pa.string()), "boolean": pa.bool_(), "double": pa.float64()}
    columns = {c: pa.array([r[c] for r in rows], type=kinds[t]) for c, t in COLUMNS.items()}
    columns["unique_id"] = pa.array(range(len(rows)), type=pa.int64())
    return pa.table(columns)


@cache
def tables() -> tuple[dict[str, dict[int, str]], dict[str, dict[int, float]]]:
    """Comparison -> number of a level -> its name; and -> its weight, log2(m/u). Numbers as Splink's: -1 for missing, 0 last."""
    levels, weights = {}, {}
    for comparison in model()["comparisons"]:
        name = comparison["output_column_name"]
        valued = [lv for lv in comparison["comparison_levels"] if not lv.get("is_null_level")]
        numbered = list(enumerate(reversed(valued)))
        levels[name] = {-1: "missing"} | {i: lv["label_for_charts"] for i, lv in numbered}
        weights[name] = {-1: 0.0} | {i: math.log2(lv["m_probability"] / lv["u_probability"]) for i, lv in numbered}
    return levels, weights


@cache
def statement() -> str:
    """The model as SQL over `one`, `two` and `pairs`: a row a pair with weight, levels, and what a name's rarity adds.

    The sum that Splink's predict makes (prior, log2 of m/u a level, the commoner of two equal names against the level's
    u); a test holds the two equal. Written out here because Splink takes a second to write it, each time.
    """
    levels, weights = tables()
    columns = ", ".join(f"o.{c} as {c}_l, t.{c} as {c}_r" for c in COLUMNS if c != "keys")
    gammas, sums, rarities = [], [], []
    for comparison in model()["comparisons"]:
        name = comparison["output_column_name"]
        number = {label: gamma for gamma, label in levels[name].items()}
        cases = [
            f"when {lv['sql_condition']} then {number[lv['label_for_charts']]}"
            for lv in comparison["comparison_levels"]
            if lv["sql_condition"] != "ELSE"
        ]
        gammas.append(f"case {' '.join(cases)} else 0 end as gamma_{name}")
        chosen = " ".join(f"when {g} then {w!r}" for g, w in weights[name].items())
        sums.append(f"case gamma_{name} {chosen} end")
        if name in TERM_FREQUENCIES:
            tf, same = f"tf_{TERM_FREQUENCIES[name]}", number["same"]
            u = next(lv["u_probability"] for lv in comparison["comparison_levels"] if lv["label_for_charts"] == "same")
            rarities.append(
                f"case when gamma_{name} = {same} then coalesce(log2({u!r} / greatest({tf}_l, {tf}_r)), 0) else 0 end "
                f"as rarity_{name}"
            )
    prior = model()["probability_two_random_records_match"]
    rare = [f"rarity_{name}" for name in TERM_FREQUENCIES]
    return f"""
with sides as (select p.l, p.r, {columns} from pairs p join one o on o.unique_id = p.l join two t on t.unique_id = p.r),
compared as (select l, r, tf_given_l, tf_given_r, tf_family_l, tf_family_r, {", ".join(gammas)} from sides),
rated as (select *, {", ".join(rarities)} from compared),
weighed as (select l, r, {math.log2(prior / (1 - prior))!r} + {" + ".join(sums + rare)} as weight,
  {", ".join(f"gamma_{name}" for name in levels)}, {", ".join(rare)} from rated)
select * from weighed where $lowest is null or weight >= $lowest order by l, r
"""  # noqa: S608  our own model


_BLOCKS = """
create or replace table pairs as
with a as (select unique_id, unnest(keys) as key from one), b as (select unique_id, unnest(keys) as key from two),
small as (select key from (select key, count(*) as n from a group by key) join (select key, count(*) as m from b group by key)
  using (key) where greatest(n, m) <= case when starts_with(key, $weak) then $most_weak else $most end)
select distinct a.unique_id as l, b.unique_id as r from small join a using (key) join b using (key)
"""
_LIMITS = {"most": MOST, "most_weak": MOST_WEAK, "weak": WEAK}
_WITHIN = "where a.unique_id < b.unique_id"
_ACROSS = ""
