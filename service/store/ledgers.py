"""Sums of accounts. offered = stored + quarantined + reported missing, in every one."""

from __future__ import annotations

from collections.abc import Iterable

from models.record import Ledger

COLUMNS = ("offered", "stored", "quarantined", "reported_missing")


def add_to_ledger(base: Ledger, extra: Iterable[tuple[str, str, int]]) -> Ledger:
    """`base` plus (column, resource type, count) rows; offered grows with them."""
    rows = {kind: dict(numbers) for kind, numbers in base.by_type.items()}
    for column, kind, count in extra:
        row = rows.setdefault(kind or "unknown", dict.fromkeys(COLUMNS, 0))
        row[column] += count
        row["offered"] += count
    return _total(rows)


def merge_ledgers(ledgers: Iterable[Ledger]) -> Ledger:
    """The sum of several accounts."""
    rows: dict[str, dict[str, int]] = {}
    for ledger in ledgers:
        for kind, numbers in ledger.by_type.items():
            row = rows.setdefault(kind, dict.fromkeys(COLUMNS, 0))
            for name, count in numbers.items():
                row[name] += count
    return _total(rows)


def _total(rows: dict[str, dict[str, int]]) -> Ledger:
    return Ledger(by_type=dict(sorted(rows.items())), **{n: sum(r.get(n, 0) for r in rows.values()) for n in COLUMNS})
