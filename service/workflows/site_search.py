"""Finding a patient at a site that knows them, before they are registered here."""

from __future__ import annotations

import asyncio
import unicodedata

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
    name: str | None = None,
) -> list[SiteMatch]:
    """Search the patients of a site. `identifier` is `system|value` (or the value, where the site accepts that).

    Each word of `name` begins some part of the name, in any order. Two words and more are asked for as given names and
    a family name first, because some sites document these only; one word, or where nobody was found, as `name`, which
    every US Core server has to support. A server may use but one of several `name` parameters, so what comes back is
    compared here once more.

    At least one criterion is needed (ValueError). Raises UnknownSite, and the AdapterError of a site that refuses or is
    away. The search's URL carries the criteria to the site; they are not logged.
    """
    asked = {"identifier": identifier, "family": family, "given": given, "birthdate": birth_date}
    params = {key: value for key, value in asked.items() if value}
    words = (name or "").split()
    if not params and not words:
        raise ValueError("a patient search needs at least one criterion")
    config = store.site(tenant, site)

    async def ask() -> list[RawResource]:
        async with open_source(store, tenant, config) as source:
            if len(words) > 1 and not {"family", "given"} & params.keys():
                found = await source.find_patients(**params, given=" ".join(words[:-1]), family=words[-1])
                if found:
                    return found
            return await source.find_patients(names=words, **params)

    people = (e for e in normalize(asyncio.run(ask())).entries if isinstance(e, Demographics))
    return [_match(site, person) for person in people if _fits(person, words)]


def _fits(person: Demographics, words: list[str]) -> bool:
    """Whether each word begins a part of one of the person's names; case and accents do not matter."""
    parts = [part for name in person.names for part in _folded(f"{name} {name.text}").split()]
    return all(any(part.startswith(word) for part in parts) for word in map(_folded, words))


def _folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c)).casefold()


def _match(site: str, person: Demographics) -> SiteMatch:
    return SiteMatch(
        site=site,
        site_patient_id=person.origin.resource_id,
        name=person.name,
        birth_date=person.birth_date or "",
        gender=person.gender,
        identifiers=tuple(f"{i.system}|{i.value}" for i in person.identifiers),
    )
