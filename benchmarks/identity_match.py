"""How long `$match` takes over a store of N people: `python -m benchmarks.identity_match [--people 10000] [--asked 100]`.

An embedded PostgreSQL of its own, filled with the demographics of the training population (another seed), two sites. The
first question after a start reads everybody; then each asks about somebody who is there, written down anew.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import text

from benchmarks.identity_training import TODAY, Population
from models.identity import births
from models.record import Address, Demographics, Identifier, Origin, PersonName
from service.api.services import Services
from service.settings import Settings
from service.store import Store
from service.store.server import embedded_server

TENANT, SEED = "t1", 11


def born(row: dict[str, str]) -> str | None:
    """The birth date, where a record can hold it: a slip may have made a fifteenth month of it."""
    found = births.standardize(row["birth"], today=TODAY)
    return found.day or found.partial or None


def demographics(row: dict[str, str], site: str, there: str) -> Demographics:
    """What a site's record says, from a row of the population."""
    return Demographics(
        id=f"patient/{there}",
        origins=(Origin(tenant=TENANT, site=site, resource_type="Patient", resource_id=there),),
        names=(
            PersonName(family=row["family"], given=tuple(filter(None, (row["given"], row["middle"]))), use="official"),
        ),
        birth_date=born(row),
        gender={"f": "female", "m": "male"}.get(row["sex"], "unknown"),
        addresses=(Address(lines=(row["street"],), city=row["city"], state=row["state"], postal_code=row["zip"]),),
        telecom=tuple(f"{kind}: {row[kind]}" for kind in ("phone", "email") if row[kind]),
        identifiers=(Identifier(system="http://hl7.org/fhir/sid/us-ssn", value=row["ssn"]),) if row["ssn"] else (),
    )


def resource(row: dict[str, str]) -> dict[str, Any]:
    """The same as a FHIR Patient that is asked about."""
    telecom = [{"system": kind, "value": row[kind]} for kind in ("phone", "email") if row[kind]]
    number = [{"system": "http://hl7.org/fhir/sid/us-ssn", "value": row["ssn"]}] if row["ssn"] else []
    home = {"line": [row["street"]], "city": row["city"], "state": row["state"], "postalCode": row["zip"]}
    return {
        "resourceType": "Patient",
        "name": [{"family": row["family"], "given": [g for g in (row["given"], row["middle"]) if g]}],
        **({"birthDate": day} if (day := born(row)) else {}),
        "telecom": telecom,
        "identifier": number,
        "address": [{k: v for k, v in home.items() if v and v != [""]}],
    }


def fill(store: Store, people: int) -> list[tuple[str, dict[str, str]]]:
    """Put people into the tables; returns (patient id, who they truly are)."""
    population = Population(SEED)
    truth = population.people(people)
    patients, links, entries, known = [], [], [], []
    for number, person in enumerate(truth):
        ours, site, there = f"p{number:06d}", f"site{number % 2}", f"there{number}"
        entry = demographics(population.written(person), site, there)
        body = msgspec.json.encode(entry).decode()
        place = {"t": TENANT, "p": ours, "s": site, "i": there}
        patients.append({"t": TENANT, "p": ours})
        links.append(place)
        entries.append(place | {"e": entry.id, "b": body, "h": str(hash(body))})
        known.append((ours, person | {"number": str(number)}))
    with store.database.transaction(TENANT) as db:
        db.execute(text("insert into patients (tenant, patient_id) values (:t, :p)"), patients)
        db.execute(
            text("insert into patient_links (tenant, patient_id, site, site_patient_id) values (:t, :p, :s, :i)"), links
        )
        db.execute(
            text(
                "insert into entries (tenant, patient_id, site, section, entry_id, body, body_hash) "
                "values (:t, :p, :s, 'demographics', :e, cast(:b as jsonb), :h)"
            ),
            entries,
        )
    return known


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--asked", type=int, default=100)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)
        settings = Settings(home=home / "home", database_url=embedded_server(home / "postgres").get_uri())
        store = Store(settings)
        known = fill(store, asked.people)
        services = Services(settings, store)
        again = Population(SEED + 1)
        seconds, worked, found, wrong = list[float](), list[float](), 0, 0
        for ours, person in known[:: max(1, len(known) // asked.asked)][: asked.asked + 1]:
            question = json.loads(json.dumps(resource(again.written(person))))
            begin, began = time.perf_counter(), time.process_time()
            rows = services.match_person(TENANT, question)
            seconds.append(time.perf_counter() - begin)
            worked.append(time.process_time() - began)
            certain = {r["patient_id"] for r in rows if r["grade"] == "certain"}
            found += any(r["patient_id"] == ours for r in rows)
            wrong += bool(certain - {ours})
        first, *rest = seconds
        rest.sort()
        print(
            f"{len(known)} people: first question {first:.2f} s; then median {statistics.median(rest) * 1000:.0f} ms, "
            f"95th percentile {rest[int(len(rest) * 0.95)] * 1000:.0f} ms, of {len(rest)} "
            f"(of it at work, without the database: median {statistics.median(worked[1:]) * 1000:.0f} ms); "
            f"found {found} of {len(seconds)}, certain about somebody else {wrong}"
        )
        store.close()


if __name__ == "__main__":
    main()
