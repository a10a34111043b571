"""Published endpoint lists: every row is an endpoint, a duplicate, or counted with its reason."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.directory import ListError, find, read_list, site_file
from adapters.directory.match import merged, words
from adapters.errors import ConfigurationError
from adapters.profile import parse_site

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared/data/vendor-capability-lantern/endpointmanager/resources"


def read(document: Any, vendor: str = "") -> Any:
    found = read_list(json.dumps(document).encode(), "a list", vendor)
    assert found.rows == len(found.endpoints) + found.duplicates + sum(found.skipped.values())
    return found


def endpoint(key: str, address: str, **more: Any) -> dict[str, Any]:
    row = {"resourceType": "Endpoint", "id": key, "status": "active", "address": address}
    return row | {"connectionType": {"code": "hl7-fhir-rest"}} | more


def organization(key: str, name: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Organization", "id": key, "name": name} | more


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    entries = [{"fullUrl": f"urn:uuid:{r['id']}", "resource": r} for r in resources]
    return {"resourceType": "Bundle", "type": "collection", "timestamp": "2026-11-01T08:00:00Z", "entry": entries}


def test_a_brands_bundle_gives_an_endpoint_for_each_organization_that_has_or_inherits_one() -> None:
    version = {"url": "http://hl7.org/fhir/StructureDefinition/endpoint-fhir-version", "valueCode": "4.0.1"}
    found = read(
        bundle(
            organization(
                "o1",
                "Mercy Health",
                alias=["Sisters of Mercy"],
                endpoint=[{"reference": "urn:uuid:e1"}],
                address=[{"city": "Toledo", "state": "OH"}],
            ),
            organization("o2", "Mercy Children's", partOf={"reference": "Organization/o1"}),
            organization("o3", "Nowhere Clinic"),
            endpoint("e1", "https://fhir.mercy.example.org/x/", extension=[version]),
        )
    )
    assert found.published == "2026-11-01T08:00:00Z" and found.skipped == {"organization_without_endpoint": 1}
    mercy, children = found.endpoints
    assert (mercy.name, mercy.city, mercy.state, mercy.aliases) == (
        "Mercy Health",
        "Toledo",
        "OH",
        ("Sisters of Mercy",),
    )
    assert (mercy.fhir_base, mercy.release, mercy.release_from) == ("https://fhir.mercy.example.org/x", "R4", "list")
    assert (children.name, children.fhir_base) == ("Mercy Children's", mercy.fhir_base)


@pytest.mark.parametrize(
    ("manager", "contained", "name"),
    [
        ({"reference": "#o"}, [organization("o", "Contained")], "Contained"),
        ({"reference": "o="}, [organization("o=", "Without its mark")], "Without its mark"),
        ({"reference": "https://x.example/Organization/o9"}, [], "In the Bundle"),
        ({"reference": "Telstra Health"}, [], "Its own name"),
        ({"display": "Multi-site Co."}, [], "Its own name"),
    ],
)
def test_the_organization_of_an_endpoint_is_found_however_it_is_referred_to(manager, contained, name) -> None:
    row = endpoint("e", "https://a.example/r4", name="Its own name", managingOrganization=manager, contained=contained)
    found = read(bundle(row, organization("o9", "In the Bundle")))
    assert name in {e.name for e in found.endpoints}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (endpoint("e", "https://a.example/r4", name="Off", status="off"), "not_active"),
        (endpoint("e", "https://a.example/x", name="Images", connectionType={"code": "ihe-iid"}), "not_fhir_rest"),
        (
            endpoint("e", "https://a.example/x", name="R5", connectionType=[{"coding": [{"code": "ihe-xds"}]}]),
            "not_fhir_rest",
        ),
        (endpoint("e", "http://a.example/r4", name="Plain"), "not_https"),
        (endpoint("e", "https://u:p@a.example/r4", name="User"), "not_https"),
        (endpoint("e", "https://a.example/r4?x=1", name="Query"), "not_https"),
        (endpoint("e", "javascript:alert(1)", name="Script"), "not_https"),
        (endpoint("e", "https://[::1/r4", name="Broken"), "not_https"),
        (endpoint("e", "", name="None"), "no_address"),
        (endpoint("e", "https://a.example/r4"), "no_name"),
    ],
)
def test_a_row_that_cannot_be_used_is_counted_with_its_reason(row, reason) -> None:
    assert read(bundle(row)).skipped == {reason: 1}


def test_plain_rows_and_repeated_ones() -> None:
    rows = [
        {"OrganizationName": "North", "URL": "https://n.example/fhir/r4/"},
        {"name": "North", "baseUrl": "https://N.example/fhir/r4"},
        {"name": "South", "baseUrl": "https://s.example/dstu2", "type": "prod"},
        7,
    ]
    for document in ({"Endpoints": rows}, {"endpoints": rows}, rows):
        found = read(document)
        assert [(e.name, e.release, e.release_from) for e in found.endpoints] == [
            ("North", "R4", "address"),
            ("South", "DSTU2", "address"),
        ]
        assert (found.duplicates, found.skipped) == (1, {"no_object": 1})


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"<!DOCTYPE html><html>", "not_json"),
        (b"{", "not_json"),
        (b"{}", "not_an_endpoint_list"),
        (b"[]", "not_an_endpoint_list"),
        (b'"text"', "not_an_endpoint_list"),
        (b'{"resourceType": "Patient"}', "not_an_endpoint_list"),
        (b'{"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]}', "not_an_endpoint_list"),
    ],
)
def test_what_is_no_list_is_refused_with_a_code(data, code) -> None:
    with pytest.raises(ListError) as error:
        read_list(data, "x")
    assert error.value.code == code


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    st.recursive(
        st.none()
        | st.integers()
        | st.text(max_size=8)
        | st.sampled_from(["https://a.example/r4", "active", "Endpoint"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "resourceType",
                        "name",
                        "address",
                        "contained",
                        "managingOrganization",
                        "reference",
                        "endpoint",
                        "alias",
                        "partOf",
                        "extension",
                        "connectionType",
                        "coding",
                        "code",
                        "id",
                        "status",
                        "city",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=12,
    )
)
def test_nothing_in_a_list_breaks_the_reader(junk: Any) -> None:
    kinds = ["Endpoint", "Organization"]
    entries = [{"resource": junk | {"resourceType": k}} for k in kinds] if isinstance(junk, dict) else []
    document = {
        "resourceType": "Bundle",
        "entry": [*entries, {"resource": endpoint("e", "https://b.example", name="B")}],
    }
    assert [e.name for e in read(document).endpoints][-1] == "B"


NAMES = [
    "St. Peter's Health Partners",
    "The Johns Hopkins Hospital",
    "University of Michigan Medical Center",
    "Hôpital Sainte-Justine",
    "Mount Sinai Health System",
    "Mercy Hospital",
    "Mercy Health - Toledo",
    "Cleveland Clinic",
]


@pytest.mark.parametrize(
    ("question", "first"),
    [
        ("saint peters", NAMES[0]),
        ("ST PETERS HLTH", NAMES[0]),
        ("johns hopkins hosp", NAMES[1]),
        ("Univ. of Michigan", NAMES[2]),
        ("michigan univ med ctr", NAMES[2]),
        ("hopital ste justine", NAMES[3]),
        ("Mt Sinai", NAMES[4]),
        ("mercy hosp", NAMES[5]),
        ("mercy toledo", NAMES[6]),
        ("clevland clinic", NAMES[7]),
        ("hopk", NAMES[1]),
    ],
)
def test_names_as_people_write_them(question, first) -> None:
    found = read([{"name": n, "url": f"https://h{i}.example/r4"} for i, n in enumerate(NAMES)])
    assert find(found.endpoints, question)[0].endpoint.name == first


def test_what_fits_nothing_finds_nothing_and_a_place_tells_namesakes_apart() -> None:
    rows = [{"name": "Mercy", "url": f"https://{c}.example/r4", "city": c} for c in ("Toledo", "Akron")]
    found = read(rows).endpoints
    for question in ("zzyzx", "", "..."):
        assert find(found, question) == []
    assert [h.endpoint.city for h in find(found, "Mercy Akron")] == ["Akron"]
    assert {h.endpoint.city for h in find(found, "Mercy")} == {"Akron", "Toledo"}


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.text(max_size=40))
def test_a_name_always_finds_itself(name: str) -> None:
    if words(name):
        found = read([{"name": name, "url": "https://a.example/r4"}, {"name": "Other", "url": "https://b.example/r4"}])
        if len(found.endpoints) == 2:
            hits = find(found.endpoints, found.endpoints[0].name)
            assert hits[0].endpoint == found.endpoints[0] and hits[0].score == 1.0


@pytest.mark.parametrize(
    ("address", "product", "vendor"),
    [
        ("https://soap.example.org/FHIR-PRD/api/FHIR/R4/", "Epic", "epic"),
        ("https://fhir-ehr.cerner.com/r4/abc", "Oracle Health", "oracle_health"),
        ("https://cerner.com.evil.example/r4", "", "generic"),
        ("https://notcerner.com/r4", "", "generic"),
        ("https://api.platform.athenahealth.com/fhir/r4", "athenahealth", "athenahealth"),
        ("https://fhir.nextgen.com/nge/prod/fhir-api-r4/fhir/r4", "NextGen", "generic"),
        ("https://fhir.meditouchehr.com/api/fhir/r4", "NextGen", "generic"),
        ("https://rest.example.org/v2/uscore/STU6", "Meditech", "generic"),
    ],
)
def test_the_address_tells_whose_product_it_is(address, product, vendor) -> None:
    found = read([{"name": "H", "url": address}]).endpoints[0]
    assert (found.product, found.vendor) == (product, vendor)


def test_a_vendor_named_at_the_import_holds_where_the_address_does_not_tell() -> None:
    rows = [{"name": "A", "url": "https://a.example/x"}, {"name": "B", "url": "https://fhir-ehr.cerner.com/r4/b"}]
    assert [e.vendor for e in read(rows, "Epic").endpoints] == ["epic", "oracle_health"]


def test_a_site_file_can_be_added_or_says_what_is_missing() -> None:
    rows = [
        {"name": 'The "Quoted" Höspital\n[x]', "url": "https://a.example/api/FHIR/R4"},
        {"name": "Old", "url": "https://fhir-myrecord.cerner.com/dstu2/abc"},
        {"name": "Athena practice", "url": "https://api.platform.athenahealth.com/fhir/r4"},
    ]
    quoted, old, practice = read(rows).endpoints
    site = parse_site(tomllib.loads(site_file(quoted, (("list", "2026-01-01"),), "client-1")))
    assert (site.vendor, site.client_id, site.title) == ("epic", "client-1", 'The "Quoted" Höspital [x]')
    assert parse_site(tomllib.loads(site_file(old))).variant == "dstu2"
    with pytest.raises(ConfigurationError) as error:
        parse_site(tomllib.loads(site_file(practice)))
    assert error.value.code == "missing_site_parameter"


def test_an_endpoint_of_two_lists_stands_once_as_the_newest_has_it() -> None:
    row = [{"name": "North", "url": "https://n.example/r4"}]
    old, new = read(row).endpoints, read([row[0] | {"city": "Erie"}]).endpoints
    endpoints, where = merged([("a", "2021-01-01", old), ("b", "2026-01-01", new), ("c", "imported 2026-11-24", old)])
    assert [e.city for e in endpoints] == ["Erie"]
    assert where[endpoints[0].id] == (("b", "2026-01-01"), ("a", "2021-01-01"), ("c", "imported 2026-11-24"))


@pytest.mark.corpus
def test_the_published_lists_are_read_whole() -> None:
    if not CORPUS.is_dir():
        pytest.skip("no ../shared/data beside the project")
    lists = []
    for path in sorted(CORPUS.glob("*.json")):
        found = read(json.loads(path.read_bytes()), "")
        lists.append((path.stem, found.published, found.endpoints))
        usable = len(found.endpoints) + found.duplicates
        assert usable > 0 or set(found.skipped) == {"not_https"}, path.name
    endpoints, _ = merged(lists)
    assert len(endpoints) > 2000
    assert find(endpoints, "Brooklyn Hosp Ctr")[0].endpoint.name == "The Brooklyn Hospital Center"
    for each in endpoints[::120]:
        assert words(find(endpoints, each.name, limit=1)[0].endpoint.name) == words(each.name)
