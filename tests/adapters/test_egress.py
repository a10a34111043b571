"""The gate (S06): hostile URLs are refused whoever names them, a bearer never leaves its origin."""

from __future__ import annotations

import pytest
from adapter_kit import Reply, WireServer, bundle, ids, observation, opened, resource, routes, site_at

from adapters.egress import Egress, same_origin
from adapters.errors import EgressRefused

BASE = "https://ehr.example/fhir"
PUBLIC = "93.184.215.14"

HOSTILE = [
    "http://ehr.example/fhir",
    "ftp://ehr.example/fhir",
    "file:///etc/passwd",
    "gopher://ehr.example/",
    "javascript:alert(1)",
    "//ehr.example/fhir",
    "",
    "https://",
    "https://evil.example/fhir",
    "https://ehr.example.evil.example/fhir",
    "https://ehr.example:8443/fhir",
    "https://ehr.example:0/fhir",
    "https://ehr.example:99999/fhir",
    "https://ehr.example:443x/fhir",
    "https://ehr.example@evil.example/fhir",
    "https://user:pass@ehr.example/fhir",
    "https://evil.example\\@ehr.example/fhir",
    "https://evil.example#@ehr.example/fhir",
    "https://ehr.example%2eevil.example/",
    "https://ehr.example./fhir",
    "https://ehr.example\x00.evil.example/",
    "https://ehr.example/\r\nHost: evil.example",
    "https://ehr.example/a b",
    "https://ёhr.example/fhir",
    "https://ⓔhr.example/fhir",
    "https://[::1]/fhir",
    "https://[::ffff:127.0.0.1]/fhir",
    "https://[fe80::1%25eth0]/fhir",
    "https://[not-an-address]/fhir",
    "https://127.0.0.1/fhir",
    "https://127.1/fhir",
    "https://2130706433/fhir",
    "https://0x7f000001/fhir",
    "https://0177.0.0.1/fhir",
    "https://0/fhir",
    "https://169.254.169.254/latest/meta-data/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://localhost/fhir",
    "https://localhost:5432/",
    "http://127.0.0.1:6379/",
    "https://10.0.0.8/fhir",
    "https://ehr.example/" + "x" * 17_000,
]


def gate(**more: object) -> Egress:
    return Egress(BASE, resolver=lambda host, port: [PUBLIC], **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_url_is_refused_before_anything_is_resolved(url):
    asked = []
    egress = Egress(BASE, resolver=lambda host, port: asked.append(host) or [PUBLIC])
    with pytest.raises(EgressRefused) as refused:
        egress.check(url)
    assert not asked
    assert "example" not in str(refused.value) and refused.value.code.startswith("egress_")


def test_the_sites_own_urls_pass():
    for url in (BASE, "https://EHR.example:443/fhir/Patient?_id=1|2", f"{BASE}/Observation?page={'x' * 8_000}"):
        assert gate().check(url) == (PUBLIC,)
    assert gate(extra_hosts=["auth.example", "alt.example:8443"]).check("https://alt.example:8443/token") == (PUBLIC,)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "0.0.0.0",
        "192.0.0.192", "168.63.129.16", "192.88.99.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "::7f00:1",
        "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b::7f00:1",
        "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
    ],
)  # fmt: skip
def test_a_name_that_resolves_to_an_address_inside_is_refused(address):
    for answers in ([address], [PUBLIC, address]):  # one bad address among good ones is enough
        with pytest.raises(EgressRefused, match="not public"):
            Egress(BASE, resolver=lambda h, p, a=answers: a).check(BASE)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "93.184.215.014", "a.0x1"])
def test_a_configured_address_in_disguise_is_refused_even_if_it_resolves(host):
    with pytest.raises(EgressRefused, match="unusual notation"):
        Egress(f"https://{host}/fhir", resolver=lambda h, p: [PUBLIC])


def test_names_that_do_not_resolve():
    def fails(host, port):
        raise OSError("no such host")

    for resolver in (fails, lambda h, p: []):
        with pytest.raises(EgressRefused) as refused:
            Egress(BASE, resolver=resolver).check(BASE)
        assert refused.value.code == "egress_dns"


def test_loopback_only_where_configured_and_only_that_port():
    local = Egress("http://localhost:8000/fhir", allow_loopback=True)
    assert set(local.check("http://localhost:8000/fhir")) <= {"127.0.0.1", "::1"}
    for url in ("http://localhost:5432/", "http://127.0.0.1:8000/fhir", "http://[::1]:8000/"):
        with pytest.raises(EgressRefused):
            local.check(url)
    with pytest.raises(EgressRefused):
        Egress("http://localhost:8000/fhir")
    with pytest.raises(EgressRefused):  # a public name that points inside is no loopback
        Egress(BASE, allow_loopback=True, resolver=lambda h, p: ["127.0.0.1"]).check(BASE)
    with pytest.raises(EgressRefused):  # and a loopback name never means a machine outside
        Egress("http://localhost:8000/", allow_loopback=True, resolver=lambda h, p: [PUBLIC]).check(
            "http://localhost:8000/"
        )


def test_same_origin_tells_ports_schemes_and_rubbish_apart():
    assert same_origin("https://a.example/x", "https://A.example:443/y")
    for other in (
        "http://a.example/",
        "https://a.example:444/",
        "https://b.example/",
        "https://[bad",
        "relative",
        "https://a.example:x/",
    ):
        assert not same_origin("https://a.example/", other)


HOSTILE_LINKS = [
    "http://sentinel.invalid/steal",
    "//{sentinel}/steal",
    "http://{sentinel}/steal",
    "http://user@{sentinel}/steal",
    "http://[bad/steal",
    "http://127.0.0.1:port/steal",
    "https://169.254.169.254/latest",
    "file:///etc/passwd",
    "\\\\{sentinel}\\steal",
]


@pytest.mark.parametrize("link", HOSTILE_LINKS, ids=range(len(HOSTILE_LINKS)))
async def test_next_links_attachments_and_references_never_reach_a_sentinel(link):
    async with WireServer(lambda r: Reply(body=bundle())) as sentinel:
        link = link.format(sentinel=f"127.0.0.1:{sentinel.port}")
        note = resource(
            "DocumentReference", "d1", content=[{"attachment": {"contentType": "text/plain", "url": link}}],
            author=[{"reference": f"{link}/Practitioner/x"}],
        )  # fmt: skip
        table = {
            "/Observation": bundle(observation("o1"), next_link=link),
            "/DocumentReference": bundle(note),
        }
        async with WireServer(routes(table)) as server, opened(site_at(server.base, limits={"tries": 1})) as source:
            vitals, notes = await source.fetch_patient("p1", ("vitals", "notes"))
        assert sentinel.requests == []
        assert vitals.coverage.state == "truncated" and ids(vitals) == ["Observation/o1"]
        assert "DocumentReference/d1" in ids(notes)
        assert any("document at another address" in m.reference for m in notes.missing), (
            "the document is reported missing"
        )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_elsewhere_is_refused_and_the_bearer_stays(status):
    async with WireServer(lambda r: Reply(body=bundle())) as sentinel:
        away = Reply(status, headers={"location": f"{sentinel.origin}/fhir/Observation"})
        async with WireServer(routes({"/Observation": away})) as server, opened(site_at(server.base)) as source:
            fetched = await source.fetch("p1", "vitals")
        assert sentinel.requests == [] and fetched.coverage.state == "failed"


async def test_a_redirect_to_a_configured_host_goes_without_credentials():
    async with WireServer(lambda r: Reply(body=bundle(observation("o1")))) as other:
        table = {"/Observation": Reply(302, headers={"location": f"{other.base}/moved"})}
        async with WireServer(routes(table)) as server:
            site = site_at(server.base, token_hosts=[f"127.0.0.1:{other.port}"])
            async with opened(site) as source:
                headers = {"Authorization": "Bearer canary", "Accept": "x/y"}
                answer = await source._http.send("GET", f"{server.base}/Observation", headers=headers)
        assert answer.status == 200
        assert server.requests[-1].headers["authorization"] == "Bearer canary"
        assert "authorization" not in other.requests[0].headers and other.requests[0].headers["accept"] == "x/y"


async def test_discovery_that_names_a_foreign_token_endpoint_gets_no_assertion():
    async with WireServer(lambda r: Reply(body={})) as sentinel:
        for endpoint in (f"{sentinel.origin}/token", "https://evil.example/token", "http://169.254.169.254/token"):
            table = {"/.well-known/smart-configuration": {"token_endpoint": endpoint}}
            async with WireServer(routes(table)) as server, opened(site_at(server.base, auth="backend")) as source:
                fetched = await source.fetch("p1", "vitals")
                assert fetched.coverage.state == "failed" and "egress_" in fetched.coverage.reason
        assert sentinel.requests == []


async def test_the_checked_address_is_the_one_connected_to():
    """DNS rebinding: a second answer of the resolver cannot move the call, because there is no second question."""
    async with WireServer(routes({"/Observation": bundle(observation("o1"))})) as server:
        asked = []

        def rebinding(host, port):
            asked.append(host)
            return ["127.0.0.1"] if len(asked) % 2 else ["127.0.0.2"]

        base = f"http://localhost:{server.port}/fhir"
        async with opened(site_at(base), egress=Egress(base, allow_loopback=True, resolver=rebinding)) as source:
            answer = await source._http.send("GET", f"{base}/Observation")
        assert answer.status == 200 and asked == ["localhost"]
        assert server.requests[0].headers["host"] == f"localhost:{server.port}"
