"""The ready site files: each loads, says where its facts come from, and reads a practice hospital as it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from adapter_kit import FAST

from adapters.egress import Egress
from adapters.profile import VENDORS, load_site, parse_site, variants, vendors
from adapters.smart.keys import KeyPair
from adapters.source import Source
from service.practice_ehr import PracticeEhr, built_in_hospital, dress_names
from service.practice_ehr.connect import required_params

EXAMPLES = sorted(VENDORS.glob("*/examples/*.toml"))
TOKEN_ENDPOINTS = {
    "meditech": "https://fhir.hospital.example.org/oauth/token",
    "veradigm": "https://fhir.practice.example.org/fhirroute/authorizationV2/CP00000/connect/token",
    "nextgen": "https://nativeapi.nextgen.com/nge/prod/nge-oauth/token",
    "millennium": "https://authorization.cerner.com/tenants/t/protocols/oauth2/profiles/smart-v1/token",
    "ai_suite": "https://authorization.hospital.example.org/token",
}
"""Where the evidence in the files says that tokens come from."""


def test_every_vendor_and_each_product_without_a_profile_of_its_own_has_one() -> None:
    assert {p.parent.parent.name for p in EXAMPLES} == set(vendors())
    assert {p.stem for p in EXAMPLES if p.parent.parent.name == "generic"} == {"meditech", "veradigm", "nextgen"}
    assert "ai_suite" in variants("oracle_health")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_it_loads_and_says_where_its_facts_come_from(path: Path) -> None:
    site, text = load_site(path), path.read_text("utf-8")
    assert site.vendor == path.parent.parent.name and site.profile()
    evidence = text[: text.index("name =")]
    assert "Evidence:" in evidence and re.search(r"20\d\d-\d\d|\b(19|20)\d\d\b", evidence)


@pytest.mark.parametrize("path", [p for p in EXAMPLES if p.stem in TOKEN_ENDPOINTS], ids=lambda p: p.stem)
def test_the_hosts_it_allows_are_those_that_give_tokens(path: Path) -> None:
    site = load_site(path)
    gate = Egress(site.fhir_base, extra_hosts=(*site.token_hosts, *site.profile().token_hosts))
    gate.look(TOKEN_ENDPOINTS[path.stem])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
async def test_it_reads_a_practice_hospital_of_its_kind(path: Path) -> None:
    data = tomllib.loads(path.read_text("utf-8"))
    # A vendor that has no dress yet (its quality card says so) is read at the plain server.
    kind = next(k for k in (path.stem, data["vendor"], "generic") if k in dress_names())
    key = KeyPair.generate(load_site(path).profile().key_algorithm)
    clients = {data["client_id"]: [key.public_jwk()]}
    with PracticeEhr(built_in_hospital(kind, patients=3, clients=clients)) as ehr:
        data |= {"fhir_base": ehr.base_url, "allow_loopback": True}
        overrides = dict(data.get("overrides", {}))
        overrides["required_params"] = required_params(ehr.state.dress)
        data["overrides"] = overrides | {"limits": FAST}
        patient = next(iter(ehr.state.store.of_type("Patient")))["id"]
        async with Source("t1", parse_site(data), key=key) as source:
            fetched = await source.fetch_patient(patient, ("demographics", "vitals", "care_plans"))
    assert [f.coverage.state for f in fetched[:2]] == ["present", "filtered" if kind == "epic" else "present"], [
        f.coverage.reason for f in fetched
    ]
    assert fetched[2].coverage.state in ("present", "filtered", "empty", "not_supported"), fetched[2].coverage.reason
