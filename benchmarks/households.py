"""Families as two hospitals write them down, with those who are easily taken for each other. Seeded; truth included.

Made apart from the training population (identity_training.py): other names, other streets, other slips, and cases told
one by one instead of drawn. Each case gives the records of hospital A and B with a person's number; two records belong
together only where that number is the same.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise

Record = dict[str, str]
GIRLS = [
    "Amara",
    "Beatriz",
    "Chloé",
    "Denise",
    "Ewa",
    "Fatima",
    "Gudrun",
    "Hannah",
    "Ingrid",
    "Jasmine",
    "Keisha",
    "Leila",
    "Mei",
    "Nadia",
    "Oksana",
    "Paola",
    "Quinn",
    "Rosa",
    "Siobhan",
    "Tanya",
    "Uma",
    "Valentina",
    "Wanjiku",
    "Ximena",
    "Yara",
    "Zainab",
    "Linda",
    "Patricia",
    "Barbara",
    "Susan",
    "Karen",
    "Nancy",
    "Betty",
    "Sandra",
    "Donna",
    "Carol",
]
BOYS = [
    "Ahmed",
    "Bogdan",
    "Carlos",
    "Darnell",
    "Emeka",
    "Felipe",
    "Giorgio",
    "Hiroshi",
    "Ivan",
    "Jamal",
    "Kwame",
    "Luis",
    "Mateo",
    "Nikolai",
    "Omar",
    "Pedro",
    "Rajesh",
    "Søren",
    "Tomasz",
    "Umberto",
    "Viktor",
    "Wei",
    "Yusuf",
    "Zoltan",
    "James",
    "Robert",
    "William",
    "David",
    "Richard",
    "Thomas",
    "Mark",
    "Steven",
    "Paul",
    "Kenneth",
]
FAMILIES = [
    "Abara",
    "Bianchi",
    "Castillo",
    "Duval",
    "Eriksson",
    "Fernández",
    "Goldberg",
    "Haddad",
    "Ivanova",
    "Jankowski",
    "Kowalczyk",
    "Lindqvist",
    "Müller",
    "Nakamura",
    "Okafor",
    "Pereira",
    "Quintero",
    "Rossi",
    "Schneider",
    "Tanaka",
    "Ueda",
    "Vasquez",
    "Wójcik",
    "Xu",
    "Yilmaz",
    "Zhang",
    "Smith",
    "Brown",
    "Jones",
    "Davis",
    "Miller",
    "Wilson",
    "Moore",
    "Nguyen",
    "Patel",
    "Kim",
    "O'Connor",
    "McDonald",
]
TWINS = [
    ("Jayden", "Kayden"),
    ("Mia", "Maya"),
    ("Taylor", "Tyler"),
    ("Ella", "Emma"),
    ("Daniel", "David"),
    ("Aiden", "Jaden"),
    ("Maria", "Marta"),
    ("Christian", "Christopher"),
    ("Olivia", "Sophia"),
    ("Hasan", "Husein"),
    ("Loan", "Lan"),
    ("Jean", "Jane"),
    ("Marco", "Mario"),
    ("Eric", "Erica"),
    ("Faith", "Hope"),
    ("Ashley", "Ashlyn"),
    ("John", "James"),
    ("Kaylee", "Haylee"),
    ("Zara", "Zahra"),
    ("Brandon", "Brendan"),
]
NICK = [
    ("Robert", "Bob"),
    ("William", "Bill"),
    ("Elizabeth", "Liz"),
    ("Margaret", "Peggy"),
    ("Katherine", "Katie"),
    ("Richard", "Dick"),
    ("James", "Jim"),
    ("Patricia", "Trish"),
    ("Michael", "Mike"),
    ("Jennifer", "Jen"),
]
ROADS = [
    "Juniper Way",
    "Harbor Street",
    "N Cypress Avenue",
    "Old Post Road",
    "Sunset Boulevard",
    "Third Street",
    "County Road 12",
    "Willow Court",
    "Saint Anne Drive",
    "Prospect Place",
]
TOWNS = [
    ("Ashford", "OR", "97520"),
    ("Brixham", "ME", "04003"),
    ("Corvale", "NM", "87102"),
    ("Dunmore", "GA", "30301"),
    ("Elkton", "MI", "48731"),
]


class Town:
    """Draws families; every draw from one generator, so that a seed tells it all."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)
        self.count = 0

    def born(self, youngest: int, oldest: int) -> date:
        day = date(2026, 1, 1) - timedelta(days=self.r.randrange(youngest * 365, oldest * 365))
        return day.replace(day=2) if (day.month, day.day) == (1, 1) else day

    def home(self) -> Record:
        town, state, code = self.r.choice(TOWNS)
        return {"address": f"{self.r.randrange(2, 4000)} {self.r.choice(ROADS)}", "city": town, "state": state, "zip": code,
                "phone": f"({self.r.randrange(203, 980)}) {self.r.randrange(220, 990)}-{self.r.randrange(1000, 9999)}"}  # fmt: skip

    def ssn(self) -> str:
        return f"{self.r.randrange(101, 660)}-{self.r.randrange(10, 98)}-{self.r.randrange(1000, 9998)}"

    def person(self, home: Record, **given: str) -> Record:
        self.count += 1
        sex = given.get("sex") or self.r.choice("FM")
        name = given.get("first_name") or self.r.choice(GIRLS if sex == "F" else BOYS)
        made = {"person": str(self.count), "first_name": name, "middle_name": self.r.choice(GIRLS if sex == "F" else BOYS),
                "last_name": self.r.choice(FAMILIES), "suffix": "", "dob": self.born(1, 88).isoformat(), "sex": sex,
                "email": f"{name.lower()}{self.r.randrange(1000)}@home.net", "ssn": self.ssn()}  # fmt: skip
        return made | home | given

    def at(self, person: Record, hospital: str) -> Record:
        """How a hospital writes somebody down: A in full, B in its own way, with what was not asked left out."""
        row = dict(person)
        r = self.r
        row["middle_name"] = r.choice(["", row["middle_name"][:1], row["middle_name"]])
        row["ssn"] = r.choice([row["ssn"], "", "", row["ssn"][-4:], "999-99-9999"])
        row["email"] = r.choice([row["email"], "", ""])
        row["phone"] = r.choice([row["phone"], row["phone"], "", "555-0100"])
        if hospital == "B":
            year, month, day = row["dob"].split("-") if row["dob"].count("-") == 2 else ("", "", "")
            row["dob"] = f"{month}/{day}/{year}" if year else row["dob"]
            row["address"] = row["address"].replace("Street", "St.").replace("Avenue", "AVE").replace("N ", "North ")
            row["first_name"], row["last_name"] = row["first_name"].upper(), row["last_name"].upper()
        if r.random() < 0.03:
            row["address"] = row["zip"] = ""
        return row


def cases(seed: int, rounds: int) -> Iterator[tuple[str, list[Record], list[Record]]]:
    """(name of the case, records of A, records of B) of `rounds` families of each kind."""
    town = Town(seed)
    for _ in range(rounds):
        for case in (
            _twins,
            _juniors,
            _spouses,
            _siblings,
            _newborns,
            _namesakes,
            _defaults,
            _exchanged_days,
            _plain,
            _moved,
            _nicknamed,
            _married,
            _misspelt,
            _numbers,
            _one_first_name,
            _digits,
        ):
            yield from case(town)


def _both(town: Town, name: str, *people: Record) -> tuple[str, list[Record], list[Record]]:
    return name, [town.at(p, "A") for p in people], [town.at(p, "B") for p in people]


def _apart(town: Town, name: str, one: Record, other: Record) -> tuple[str, list[Record], list[Record]]:
    """One is known to A only, the other to B only: every link is wrong."""
    return name, [town.at(one, "A")], [town.at(other, "B")]


def _twins(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    home, family, dob = town.home(), town.r.choice(FAMILIES), town.born(1, 60).isoformat()
    names = town.r.choice(TWINS)
    sexes = ("F", "M") if town.r.random() < 0.3 else (town.r.choice("FM"),) * 2
    shared = {"last_name": family, "dob": dob, "email": f"the{family.lower()}s@home.net"}
    first, second = (town.person(home, first_name=n, sex=s, **shared) for n, s in zip(names, sexes, strict=True))
    yield _both(town, "twins", first, second) if town.r.random() < 0.5 else _apart(town, "twins", first, second)


def _juniors(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    home, family, name = town.home(), town.r.choice(FAMILIES), town.r.choice(BOYS)
    father = town.born(45, 70)
    son = (
        father.replace(year=father.year + town.r.randrange(20, 40), day=min(father.day, 28))
        if town.r.random() < 0.3
        else father + timedelta(days=town.r.randrange(7300, 14000))
    )
    told = town.r.random() < 0.5
    shared = {"last_name": family, "first_name": name, "sex": "M"}
    sr = town.person(home, suffix="Sr" if told else "", dob=father.isoformat(), **shared)
    jr = town.person(home, suffix="Jr." if told else "", dob=min(son, date(2024, 1, 5)).isoformat(), **shared)
    yield _both(town, "juniors", sr, jr) if town.r.random() < 0.5 else _apart(town, "juniors", sr, jr)


def _spouses(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    home, family = town.home(), town.r.choice(FAMILIES)
    born = town.born(25, 80)
    pair = [
        town.person(
            home,
            last_name=family,
            sex=s,
            dob=(born + timedelta(days=d)).isoformat(),
            email=f"{family.lower()}@home.net",
        )
        for s, d in (("F", 0), ("M", town.r.choice([0, 1, 10, 365])))
    ]
    yield _apart(town, "spouses", *pair) if town.r.random() < 0.5 else _both(town, "spouses", *pair)


def _siblings(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    home, family, born = town.home(), town.r.choice(FAMILIES), town.born(2, 17)
    children = [
        town.person(home, last_name=family, dob=(born + timedelta(days=400 * i)).isoformat(), ssn="123-45-6789")
        for i in range(3)
    ]
    yield _both(town, "siblings", *children)


def _newborns(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    home, family, dob = town.home(), town.r.choice(FAMILIES), town.born(0, 2).isoformat()
    style = town.r.choice(
        [
            ("Baby Boy A", "Baby Boy B"),
            ("BB 1", "BB 2"),
            ("Newborn", "Newborn"),
            ("Twin A", "Twin B"),
            ("Judysboy", "2Judysboy"),
        ]
    )
    shared = {"last_name": family, "dob": dob, "sex": "M", "ssn": "", "email": ""}
    first, second = (town.person(home, first_name=n, **shared) for n in style)
    yield _apart(town, "newborns", first, second)
    named = dict(first) | {"first_name": town.r.choice(BOYS)}
    yield "newborn_named_later", [town.at(first, "A")], [town.at(named, "B")]


def _namesakes(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    one = town.person(town.home())
    shared = {k: one[k] for k in ("first_name", "last_name", "dob", "sex")}
    yield _apart(town, "namesakes", one, town.person(town.home(), **shared))
    neighbour = town.home() | {k: one[k] for k in ("city", "state", "zip")}
    yield _apart(town, "namesakes_in_town", one, town.person(neighbour, **shared))


def _defaults(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    home = town.home()
    one = town.person(home, dob=town.r.choice(["1900-01-01", "1980-01-01", ""]), sex="M")
    other = town.person(home, **{k: one[k] for k in ("first_name", "last_name", "dob", "sex")})
    yield _apart(town, "default_birth_dates", one, other)


def _exchanged_days(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    year, month = town.r.randrange(1940, 2015), town.r.randrange(2, 6)
    one = town.person(town.home(), dob=f"{year}-{month:02d}-{month + 6:02d}")
    shared = {k: one[k] for k in ("first_name", "last_name", "sex")}
    yield _apart(
        town,
        "exchanged_days_strangers",
        one,
        town.person(town.home(), dob=f"{year}-{month + 6:02d}-{month:02d}", **shared),
    )
    same = dict(one) | {"dob": f"{year}-{month + 6:02d}-{month:02d}"}
    yield "exchanged_days", [town.at(one, "A")], [town.at(same, "B")]


def _plain(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    for _ in range(3):
        yield _both(town, "plain", town.person(town.home()))


def _moved(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    one = town.person(town.home())
    yield "moved", [town.at(one, "A")], [town.at(one | town.home() | {"phone": one["phone"]}, "B")]


def _nicknamed(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    full, short = town.r.choice(NICK)
    one = town.person(
        town.home(),
        first_name=full,
        sex="F" if full in ("Elizabeth", "Margaret", "Katherine", "Patricia", "Jennifer") else "M",
    )
    yield "nicknamed", [town.at(one, "A")], [town.at(one | {"first_name": short}, "B")]


def _married(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    one = town.person(town.home(), sex="F")
    other = town.r.choice(FAMILIES)
    new = other if town.r.random() < 0.5 else f"{one['last_name']}-{other}"
    yield (
        "married",
        [town.at(one, "A")],
        [town.at(one | {"last_name": new} | (town.home() if town.r.random() < 0.5 else {}), "B")],
    )


def _misspelt(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    one = town.person(town.home())
    field = town.r.choice(["first_name", "last_name"])
    at = town.r.randrange(1, max(len(one[field]) - 1, 2))
    slip = (
        one[field][:at] + one[field][at:][1:]
        if town.r.random() < 0.5
        else one[field][:at] + one[field][at] + one[field][at:]
    )
    yield "misspelt", [town.at(one, "A")], [town.at(one | {field: slip}, "B")]


def _numbers(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    """A child registered under its parent's number; strangers whose numbers follow each other."""
    home, family, ssn = town.home(), town.r.choice(FAMILIES), town.ssn()
    parent = town.person(home, last_name=family, ssn=ssn, dob=town.born(30, 50).isoformat())
    child = town.person(home, last_name=family, ssn=ssn, dob=town.born(1, 12).isoformat())
    yield "parents_number", [parent], [child]
    two = town.born(1, 12).isoformat()
    first = town.person(home, last_name=family, dob=two, ssn=f"{ssn[:-1]}3", first_name="Luca", sex="M")
    second = town.person(home, last_name=family, dob=two, ssn=f"{ssn[:-1]}4", first_name="Luka", sex="M")
    yield "numbers_in_a_row", [first], [second]


def _one_first_name(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    """Brothers or sisters who have the first of their given names in common, as in many families."""
    home, family, born = town.home(), town.r.choice(FAMILIES), town.born(5, 45)
    name, sex = town.r.choice([("Mohammed", "M"), ("Maria", "F"), ("Nguyen", "F"), ("Jose", "M")])
    two = [
        town.person(home, first_name=name, last_name=family, sex=sex, dob=(born + timedelta(days=d)).isoformat())
        for d in (0, town.r.randrange(300, 3000))
    ]
    yield _both(town, "one_first_name", *two) if town.r.random() < 0.5 else _apart(town, "one_first_name", *two)


def _digits(town: Town) -> Iterator[tuple[str, list[Record], list[Record]]]:
    """Two digits exchanged: in the number, the telephone, the house number or the year of birth."""
    one = town.person(town.home())
    field = town.r.choice(["ssn", "phone", "address", "dob"])
    digits = [i for i, c in enumerate(one[field]) if c.isdigit()]
    pairs = [
        (a, b)
        for a, b in pairwise(digits)
        if b == a + 1 and one[field][a] != one[field][b] and (field != "dob" or a == 2)
    ]
    if pairs:
        a, b = town.r.choice(pairs)
        text = one[field]
        yield "digits", [town.at(one, "A")], [town.at(one | {field: text[:a] + text[b] + text[a] + text[b + 1 :]}, "B")]
