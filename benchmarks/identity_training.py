"""Train the identity model on a population of our own: `python -m benchmarks.identity_training` rewrites model.json.

The population is drawn here, from the public tables of names; no file of test data is read. Each person is known to one
to three sites, each of which writes them down in its own way and with its own slips (`_written`; the rates are those of
registration desks in rounded form: see docs/identity.md for what they rest on). Splink then counts: m (how often a level
is met among records of one person) from the known truth, u (among strangers) from random pairs. What the population
cannot show (a number two strangers share) has a floor below.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from datetime import date, timedelta

import duckdb
import pyarrow as pa
from splink import Linker
from splink.backends.duckdb import DuckDBAPI

from models.identity.comparisons import LEVELS, settings
from models.identity.person import Person, from_fields
from models.identity.scoring import MODEL, SHUT, arrow
from models.identity.words import _full_names, _rows, family_shares, given_shares

SEED, PEOPLE, TODAY = 20261125, 24_000, date(2026, 1, 1)
PAIRS = 8e6
LEAST_U = {"number": 1e-7, "record": 1e-7, "document": 1e-7, "email": 1e-6, "phone": 1e-6, "member": 1e-6}
"""Share of strangers who agree, where the population is too small to show any (it is never nought)."""
LEAST_M = 0.01
"""Share of people whose two records differ in something, at least: a population's slips are never all there are."""
SET = {("record", "same"): (0.9, 1e-5), ("number", "slip"): (0.02, 2e-4), ("given", "alias"): (0.03, 0.003),
       ("phone", "slip"): (0.01, 1e-5)}  # fmt: skip
"""Not learned: record numbers are each site's own here, yet charts do get mixed up; brothers' numbers follow each other, and so do the telephones of an office;
files seldom tell a second given name, and strangers share one as they share a first."""
NEUTRAL = {("given", "newborn"), ("record", "other")}
"""Levels that weigh nothing: they say neither yes nor no."""
STREETS = [
    "Oak",
    "Maple",
    "Cedar",
    "Pine",
    "Main",
    "Washington",
    "Lake",
    "Hill",
    "Park",
    "Elm",
    "Walnut",
    "Spring",
    "Church",
    "River",
    "Mill",
    "High",
    "Center",
    "Lincoln",
]
KINDS = ("Street", "Avenue", "Road", "Drive", "Lane", "Court", "Boulevard", "Place")
SHORT = {
    "Street": "St",
    "Avenue": "Ave.",
    "Road": "Rd",
    "Drive": "Dr",
    "Lane": "Ln",
    "Court": "Ct",
    "Boulevard": "Blvd",
    "Place": "Pl",
}


class Population:
    """People in families, and how sites write them down."""

    def __init__(self, seed: int = SEED) -> None:
        self.r = random.Random(seed)
        girls = {row[0]: float(row[2]) for row in _rows("given_names.tsv")[1:]}
        shares = given_shares()
        self.given = {
            "f": _drawer({n: s * girls[n] for n, s in shares.items()}),
            "m": _drawer({n: s * (1 - girls[n]) for n, s in shares.items()}),
        }
        self.family = _drawer(family_shares())
        self.nicknames: dict[str, list[str]] = {}
        for form, fulls in _full_names().items():
            for full in fulls:
                if form != full:
                    self.nicknames.setdefault(full, []).append(form)
        self.cities = [
            (
                self._word().title(),
                f"{self.r.randrange(601, 99950):05d}",
                self.r.choice(["OH", "PA", "NY", "TX", "CA", "IL"]),
            )
            for _ in range(60)
        ]

    def _word(self) -> str:
        return "".join(self.r.choice("bcdfglmnprstvw") + self.r.choice("aeiou") for _ in range(3)) + self.r.choice(
            ["ton", "ville", "field", "burg"]
        )

    def people(self, count: int) -> list[dict[str, str]]:
        """True people, family by family."""
        made: list[dict[str, str]] = []
        while len(made) < count:
            made += self.household()
        return made[:count]

    def household(self) -> list[dict[str, str]]:
        r = self.r
        family, home, phone = self._draw(self.family), self.home(), self.number()
        parents = TODAY - timedelta(days=r.randrange(20 * 365, 90 * 365))
        members = [self.person("m", family, parents, home, phone)]
        if r.random() < 0.6:
            wife = parents + timedelta(days=r.randrange(-2500, 2500))
            members.append(self.person("f", family, min(wife, TODAY - timedelta(days=7000)), home, phone))
        for _ in range(r.choice([0, 0, 0, 1, 1, 2, 3])):
            born = parents + timedelta(days=r.randrange(19 * 365, 40 * 365))
            if born < TODAY:
                members.append(self.person(r.choice("fm"), family, born, home, phone))
        if len(members) > 2 and r.random() < 0.08:
            son = members[-1]
            if son["sex"] == "m":
                son["given"], son["suffix"], members[0]["suffix"] = members[0]["given"], "Jr", "Sr"
        return members

    def person(self, sex: str, family: str, born: date, home: dict[str, str], phone: str) -> dict[str, str]:
        r = self.r
        given = self._draw(self.given[sex])
        return {
            "given": given, "middle": self._draw(self.given[sex]), "family": family, "suffix": "",
            "birth": born.isoformat(), "sex": sex, "phone": phone if r.random() < 0.4 else self.number(),
            "email": f"{given}.{family}{r.randrange(100)}@{r.choice(['mail', 'post', 'web'])}.org",
            "ssn": f"{r.randrange(1, 665):03d}{r.randrange(1, 99):02d}{r.randrange(1, 9999):04d}",
            "license": f"{r.choice('ABCDEF')}{r.randrange(10**6, 10**7)}", "member": f"H{r.randrange(10**8, 10**9)}",
        } | home  # fmt: skip

    def home(self) -> dict[str, str]:
        city, code, state = self.r.choice(self.cities)
        number = self.r.randrange(1, 9900)
        street = f"{number} {self.r.choice(STREETS)} {self.r.choice(KINDS)}"
        unit = f" Apt {self.r.randrange(1, 60)}" if self.r.random() < 0.25 else ""
        code = f"{int(code) // 10 * 10 + self.r.randrange(4):05d}"
        return {"street": street + unit, "city": city, "zip": code, "state": state}

    def number(self) -> str:
        return f"{self.r.randrange(201, 989)}{self.r.randrange(200, 999)}{self.r.randrange(10**4):04d}"

    def _draw(self, drawer: tuple[list[str], list[float]]) -> str:
        return self.r.choices(drawer[0], cum_weights=drawer[1])[0]

    def written(self, truth: dict[str, str]) -> dict[str, str]:
        """How one site writes somebody down."""
        r, row = self.r, dict(truth)
        row["given"] = self._given(row)
        if r.random() < 0.01:
            row["family"] = slip(r, row["family"])
        if row["sex"] == "f" and r.random() < 0.04:
            other = self._draw(self.family)
            row["family"] = other if r.random() < 0.6 else f"{row['family']}-{other}"
        if r.random() < 0.003:
            row["given"], row["family"] = row["family"], row["given"]
        row["middle"] = r.choices([row["middle"], row["middle"][:1], ""], [0.3, 0.3, 0.4])[0]
        row["suffix"] = row["suffix"] if r.random() < 0.6 else ""
        row["birth"] = self._birth(row["birth"])
        row["sex"] = r.choices([row["sex"], "", "f" if row["sex"] == "m" else "m"], [0.975, 0.02, 0.005])[0]
        if r.random() < 0.22:
            row |= self.home() if r.random() < 0.6 else {"street": self.home()["street"]}
        if r.random() < 0.5:
            for long, short in SHORT.items():
                row["street"] = row["street"].replace(long, short)
        if r.random() < 0.03:
            row["street"] = slip(r, row["street"])
        if r.random() < 0.02:
            house, _, street = row["street"].partition(" ")
            row["street"] = f"{slip(r, house, digits=True)} {street}" if r.random() < 0.5 else street
        if r.random() < 0.05:
            row["street"] = row["zip"] = row["city"] = ""
        phone = row["phone"]
        row["phone"] = r.choices([phone, slip(r, phone, digits=True), self.number(), ""], [0.61, 0.01, 0.23, 0.15])[0]
        row["email"] = r.choices(
            [row["email"], f"{row['given'][:1]}{r.randrange(10**5)}@mail.org", ""], [0.4, 0.1, 0.5]
        )[0]
        ssn = row.pop("ssn")
        choice = r.choices(["", ssn, ssn[-4:], slip(r, ssn, digits=True)], [0.45, 0.4, 0.14, 0.01])[0]
        row["ssn"] = choice
        row["license"] = row["license"] if r.random() < 0.25 else ""
        row["member"] = r.choices([row["member"], f"H{r.randrange(10**8, 10**9)}", ""], [0.35, 0.15, 0.5])[0]
        return row

    def _given(self, row: dict[str, str]) -> str:
        r, given = self.r, row["given"]
        dice = r.random()
        if dice < 0.06 and given in self.nicknames:
            return r.choice(self.nicknames[given])
        if dice < 0.08:
            return slip(r, given)
        if dice < 0.09:
            return given[:1]
        if dice < 0.10:
            row["middle"], given = given, row["middle"]
            return given
        return self._draw(self.given[row["sex"]]) if dice < 0.105 else given

    def _birth(self, day: str) -> str:
        r, dice = self.r, self.r.random()
        year, month, date_ = day.split("-")
        if dice < 0.01:
            return slip(r, day, digits=True)
        if dice < 0.014:
            return f"{year}-{date_}-{month}" if int(date_) <= 12 else day
        if dice < 0.022:
            return r.choice([year, f"{year}-{month}", "1900-01-01", ""])
        if dice > 0.997:
            return f"{int(year) - r.randrange(-9, 9)}-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d}"
        if dice > 0.994:
            return slip(r, slip(r, day, digits=True), digits=True)
        return f"{year}-{month}-{r.randrange(1, 28):02d}" if dice < 0.025 else day


def slip(r: random.Random, text: str, *, digits: bool = False) -> str:
    """One slip of the keyboard."""
    if len(text) < 3:
        return text
    at = r.randrange(1, len(text) - 1)
    letters = "0123456789" if digits else "abcdefghijklmnopqrstuvwxyz"
    kind = "change" if digits else r.choice(["change", "drop", "double", "exchange"])
    if digits and not text[at].isdigit():
        at += 1
    return {
        "change": text[:at] + r.choice(letters) + text[at + 1 :],
        "drop": text[:at] + text[at + 1 :],
        "double": text[:at] + text[at] + text[at:],
        "exchange": text[:at] + text[at + 1] + text[at] + text[at + 2 :],
    }[kind]


def _drawer(shares: dict[str, float]) -> tuple[list[str], list[float]]:
    names, sums, total = [], [], 0.0
    for name, share in shares.items():
        total += share
        names.append(name)
        sums.append(total)
    return names, sums


def records(seed: int = SEED, count: int = PEOPLE) -> tuple[list[Person], list[int]]:
    """Records of a population, and whose each is."""
    population = Population(seed)
    found: list[Person] = []
    truth: list[int] = []
    for whose, person in enumerate(population.people(count)):
        for site in range(population.r.choice([1, 1, 2, 2, 3])):
            row = population.written(person)
            found.append(from_fields(row, source=f"site{site}", id=str(whose), today=TODAY))
            truth.append(whose)
    return found, truth


def train(people: Sequence[Person], truth: Sequence[int]) -> dict[str, object]:
    """Splink's model with the weights counted on these records."""
    made = settings()
    made["linker_uid"] = "chartbrief"
    connection = duckdb.connect(":memory:", config=SHUT)
    connection.register("handed_in", arrow(people).append_column("person", pa.array(truth)))
    connection.execute("create table people as select * from handed_in")
    linker = Linker(DuckDBAPI(connection).register("people", table_name="people"), made, validate_settings=False)
    linker.training.estimate_u_using_random_sampling(max_pairs=PAIRS, seed=SEED)
    linker.training.estimate_m_from_label_column("person")
    model = linker.misc.save_model_to_json()
    connection.close()
    assert isinstance(model, dict)
    for comparison in model["comparisons"]:
        _finish(comparison)
    return model


def _finish(comparison: dict[str, object]) -> None:
    """Floors for what was not met; weights rounded; neutral levels neutral."""
    name = str(comparison["output_column_name"])
    levels = comparison["comparison_levels"]
    assert isinstance(levels, list)
    for level in levels:
        if level.get("is_null_level"):
            continue
        m, u = float(level.get("m_probability") or 1e-4), float(level.get("u_probability") or 1e-6)
        m = max(m, LEAST_M if level["label_for_charts"] in ("different", "apart") else 1e-4)
        u = max(u, LEAST_U.get(name, 1e-6))
        m, u = SET.get((name, level["label_for_charts"]), (m, u))
        if (name, level["label_for_charts"]) in NEUTRAL:
            m = u = 0.01
        level["m_probability"], level["u_probability"] = float(f"{m:.4g}"), float(f"{u:.4g}")
    assert [lv["label_for_charts"] for lv in levels] == [label for label, _ in LEVELS[name]]


def main() -> None:
    people, truth = records()
    model = train(people, truth)
    MODEL.write_text(json.dumps(model, indent=1) + "\n", "utf-8")
    import math

    for comparison in model["comparisons"]:  # type: ignore[attr-defined]
        weights = [
            f"{lv['label_for_charts']} {math.log2(lv['m_probability'] / lv['u_probability']):+.1f}"
            for lv in comparison["comparison_levels"]
            if not lv.get("is_null_level")
        ]
        print(f"{comparison['output_column_name']:9} {', '.join(weights)}")
    print(f"{len(people)} records of {len(set(truth))} people -> {MODEL.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
