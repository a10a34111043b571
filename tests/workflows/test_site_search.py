"""Somebody is found by name at every kind of site: by a part of any name, in any order, and nobody else is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from adapters.profile import SiteConfig
from adapters.source import Source
from models.record import RawResource
from service.practice_ehr import PracticeEhr, dress_names, load_dress
from service.store import Store
from service.workflows.site_search import find_at_site

PEOPLE: list[dict[str, Any]] = [
    {
        "resourceType": "Patient",
        "id": number,
        "identifier": [{"system": "urn:oid:1.2.3", "value": f"MRN-{number}"}],
        "name": [{"use": "official", "family": family, "given": given}],
        "birthDate": born,
        "gender": "female",
    }
    for number, family, given, born in (
        ("e1", "Whitcombe", ["Eleanor", "Grace"], "1948-02-11"),
        ("e2", "Eleveld", ["Zoë"], "1990-01-01"),
        ("e3", "Novak", ["Helena"], "1990-01-01"),
    )
]


def known(people: list[dict[str, Any]], dress: str) -> list[dict[str, Any]]:
    """As the dress's release writes them: DSTU2 repeats the family name."""
    if dress != "oracle_health_dstu2":
        return people
    return [p | {"name": [n | {"family": [n["family"]]} for n in p["name"]]} for p in people]


@pytest.fixture(params=dress_names())
def site(request: pytest.FixtureRequest, store: Store) -> Iterator[str]:
    dress = load_dress(request.param)
    with PracticeEhr("north", known(PEOPLE, request.param), dress=dress) as ehr:
        more = {"vendor": dress.profile, "fhir_base": ehr.base_url, "auth": "none", "allow_loopback": True}
        required = {"required_params": {"ah-practice": "Organization/a-1.Practice-80000"}}
        variant = {"variant": "dstu2"} if request.param == "oracle_health_dstu2" else {}
        if request.param == "athenahealth":
            more["overrides"] = required
        store.put_site("t1", SiteConfig(name="north", **more, **variant))
        yield "north"


ASKED = (
    ("Ele", {"e1", "e2"}),  # a given name of one, the family name of the other
    ("eleanor", {"e1"}),
    ("Whit", {"e1"}),
    ("Eleanor Whitcombe", {"e1"}),
    ("Whitcombe Eleanor", {"e1"}),
    ("Eleanor Grace", {"e1"}),
    ("zoe", {"e2"}),
    ("Ele Nobody", set()),
)


def test_a_person_is_found_by_any_part_of_the_name(store: Store, site: str) -> None:
    found = {name: {m.site_patient_id for m in find_at_site(store, "t1", site, name=name)} for name, _ in ASKED}
    assert found == dict(ASKED)
    assert {m.site_patient_id for m in find_at_site(store, "t1", site, name="Ele", birth_date="1990-01-01")} == {"e2"}


def test_a_site_that_takes_one_name_only_is_narrowed_here(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ignores the parameter answers with everybody it knows."""
    with PracticeEhr("north", PEOPLE) as ehr:
        store.put_site("t1", SiteConfig(name="north", fhir_base=ehr.base_url, auth="none", allow_loopback=True))
        everybody = Source.find_patients

        async def deaf(self: Source, *, names: Sequence[str] = (), **params: str) -> list[RawResource]:
            return await everybody(self, gender="female")

        monkeypatch.setattr(Source, "find_patients", deaf)
        assert {m.site_patient_id for m in find_at_site(store, "t1", "north", name="Hel")} == {"e3"}
