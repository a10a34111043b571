"""Finding a patient at a site that knows them, before they are registered here."""

from __future__ import annotations

import asyncio

from adapters.normalizer import normalize
from models.record import Demographics, RawResource, Value
from service.store import Store
from service.workflows.opening import open_source


class SiteMatch(Value, frozen=True):
    """One Patient resource of a site that fits the search, with what tells people apart."""

    site: str
    site_patient_id: str
    name: str = ""
    birth_date: str = ""
    gender: str = ""
    identifiers: tuple[str, ...] = ()


def find_at_site(
    store: Store,
    tenant: str,
    site: str,
    *,
    identifier: str | None = None,
    family: str | None = None,
    given: str | None = None,
    birth_date: str | None = None,
) -> list[SiteMatch]:
    """Search the patients of a site. `identifier` is `system|value` (or the value, where the site accepts that).

    At least one criterion is needed (ValueError). Raises UnknownSite, and the AdapterError of a site that refuses or is
    away. The search's URL carries the criteria to the site; they are not logged.
    """
    asked = {"identifier": identifier, "family": family, "given": given, "birthdate": birth_date}
    params = {name: value for name, value in asked.items() if value}
    if not params:
        raise ValueError("a patient search needs at least one criterion")
    config = store.site(tenant, site)

    async def ask() -> list[RawResource]:
        async with open_source(store, tenant, config) as source:
            return await source.find_patients(**params)

    entries = normalize(asyncio.run(ask())).entries
    return [_match(site, e) for e in entries if isinstance(e, Demographics)]


def _match(site: str, person: Demographics) -> SiteMatch:
    return SiteMatch(
        site=site,
        site_patient_id=person.origin.resource_id,
        name=person.name,
        birth_date=person.birth_date or "",
        gender=person.gender,
        identifiers=tuple(f"{i.system}|{i.value}" for i in person.identifiers),
    )
