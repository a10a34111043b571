"""Checks of practice hospitals, before and after something changed there."""

from __future__ import annotations

from typing import Any

from fault_kit import PATIENT, at, hospital
from practice_kit import dress_where

from adapters.conformance import ConformanceReport, Difference, check, compare
from service.practice_ehr import Dress, Fault, PracticeEhr


async def checked(ehr: PracticeEhr, patient: str | None = PATIENT, **more: Any) -> ConformanceReport:
    """A check of a running hospital."""
    limits = {k: more.pop(k) for k in list(more) if k not in ("deadline", "clock", "page")}
    clock, page = more.pop("clock", None), more.pop("page", None)
    async with at(ehr, clock, page=page, **limits) as source:
        return await check(source, patient, **more)


async def drift(
    *faults: Fault, dress: Dress | str = "generic", after: Dress | str = "", **more: Any
) -> list[Difference]:
    """What two checks of one hospital differ in: the second with `faults`, or in another dress at the same address."""
    with hospital(dress, auth=True) as ehr:
        before = await checked(ehr, **more)
        ehr.faults.set(*faults)
        changed = before if after else await checked(ehr, **more)
    if after:
        with hospital(after, auth=True, port=ehr.port) as ehr:
            ehr.faults.set(*faults)
            changed = await checked(ehr, **more)
    return compare(before, changed)


def told(differences: list[Difference]) -> list[tuple[str, str, str]]:
    """Severity, kind and place of each."""
    return [(d.severity, d.code, d.where) for d in differences]


def dress_with(kind: str, params: list[str] | None = None, gone: tuple[str, ...] = (), **changes: Any) -> Dress:
    """The plain dress with one type's parameters replaced, or types gone."""
    data = dress_where(**changes).model_dump()
    if params is not None:
        data["types"][kind]["params"] = params
    for name in gone:
        del data["types"][name]
    return Dress.model_validate(data)
