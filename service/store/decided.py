"""What of a site's codes is open, and what people decided about it: the statements that commits, the review queue and the
re-normalization share.

Counted when a patient is normalized, so that the queue is one query over small rows and the patients whom a decision touches
are known by an index.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, text

from models.record import AnyEntry
from models.terminology.decisions import NO_DECISIONS, Decision, Decisions, Key, Occurrence, occurrences
from models.terminology.tables import Row as TableRow
from service.store.words import clean

NEWEST = """
select distinct on (key_id) * from code_decisions where tenant = :t and site = :s order by key_id, version desc
"""


def wait_for_decisions(db: Connection, tenant: str, site: str, *, deciding: bool = False) -> None:
    """Normalizing and deciding exclude each other at a site for the length of a transaction; normalizing does not exclude
    normalizing. So whoever decides knows all patients that were normalized without the decision."""
    shared = "" if deciding else "_shared"
    db.execute(
        text(f"select pg_advisory_xact_lock{shared}(hashtextextended(:k, 2))"),
        {"k": f"{tenant}|{site}"},
    )


def decisions_of(db: Connection, tenant: str, site: str) -> Decisions:
    """All that is decided at a site now."""
    wait_for_decisions(db, tenant, site)
    rows = db.execute(text(NEWEST), {"t": tenant, "s": site}).all()
    return Decisions([d for d in map(as_decision, rows) if d is not None]) if rows else NO_DECISIONS


def as_decision(row: Row[Any]) -> Decision | None:
    """A row of `code_decisions` as the value it was; None for one that was withdrawn."""
    if row.verdict == "withdrawn":
        return None
    return Decision(
        key=Key(row.domain, row.system, row.code, row.wording, row.unit),
        version=row.version,
        row=None if row.verdict == "open" else table_row(row),
        rejected=tuple((system, code) for system, code in row.rejected),
    )


def table_row(row: Row[Any]) -> TableRow:
    """A row of `code_decisions` in the format of the mapping tables."""
    return TableRow(
        system=row.system,
        code=row.code,
        text=row.wording,
        unit=row.unit,
        target_system=row.target_system,
        target_code=row.target_code,
        display=row.display,
        equivalence=row.equivalence,
        confidence=row.confidence,
        effective_from=row.effective_from,
        effective_to=row.effective_to,
        author=row.author,
        note=row.note,
    )


def decided_here(db: Connection, place: dict[str, Any]) -> list[tuple[str, ...]]:
    """(key, version) of the decisions in force about codes that a patient has."""
    rows = db.execute(
        text(
            "select distinct on (d.key_id) d.key_id, d.version, d.verdict from open_codes o join code_decisions d "
            "on d.tenant = o.tenant and d.site = o.site and d.key_id = o.key_id "
            "where o.tenant = :t and o.patient_id = :p and o.site = :s order by d.key_id, d.version desc"
        ),
        place,
    ).all()
    return [(r.key_id, str(r.version)) for r in rows if r.verdict != "withdrawn"]


def count_open(db: Connection, place: dict[str, Any], entries: Iterable[AnyEntry]) -> None:
    """Note which codes of a patient at a site are open, or decided, and in how many entries."""
    found: dict[Key, tuple[Occurrence, int, str]] = {}
    for entry in entries:
        for occurrence in occurrences(entry):
            first, count, where = found.get(occurrence.key, (occurrence, 0, entry.id))
            found[occurrence.key] = (first, count + 1, where)
    rows = [
        place
        | {"k": key.id, "d": key.domain, "sy": clean(key.system), "c": clean(key.code), "w": key.text, "u": key.unit}
        | {"x": first.section, "h": first.how, "n": count, "e": where}
        for key, (first, count, where) in sorted(found.items())
    ]
    db.execute(
        text(
            "delete from open_codes where tenant = :t and patient_id = :p and site = :s "
            "and not (key_id = any(cast(:kept as text[])))"
        ),
        place | {"kept": [row["k"] for row in rows]},
    )
    if rows:
        db.execute(
            text(
                "insert into open_codes (tenant, site, key_id, patient_id, domain, system, code, wording, unit, section, how, "
                "entries, entry_id) values (:t, :s, :k, :p, :d, :sy, :c, :w, :u, :x, :h, :n, :e) "
                "on conflict (tenant, site, key_id, patient_id) do update set section = excluded.section, "
                "how = excluded.how, entries = excluded.entries, entry_id = excluded.entry_id "
                "where (open_codes.section, open_codes.how, open_codes.entries, open_codes.entry_id) is distinct from "
                "(excluded.section, excluded.how, excluded.entries, excluded.entry_id)"
            ),
            rows,
        )
