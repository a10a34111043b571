"""S06: hostile URLs through every entry point. None is called, whoever names it; a bearer never leaves its origin.

The oracle is the interpreter itself: every address a socket connects to, and every name that is looked up, is recorded while
a URL is given. Only the site's own server may be among them.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import sys
import time
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from adapter_kit import Reply, WireServer, bundle, key_pair, observation, opened, resource, routes, site_at

from adapters.directory import read_list, site_file
from adapters.egress import is_loopback_name
from adapters.errors import AdapterError, ConfigurationError, LaunchRefused
from adapters.fhir.drafts import document
from adapters.fhir.drafts import observation as vital
from adapters.fhir.write import needs, write
from adapters.profile import parse_site
from adapters.smart.id_token import verified_user
from adapters.smart.tokens import MemoryTokens, Token
from service.store import Store
from service.workflows.connecting import Connecting

HOSTILE = (
    # another port of the same machine, in every spelling of it
    "http://{s}/x", "http://localhost:{port}/x", "https://{s}/x", "//{s}/x", "/\\{s}/x", "http:/{s}/x", "http:///{s}/x",
    "http:{s}/x", "HTTP://{s}/x", "http://127.1:{port}/x", "http://2130706433:{port}/x", "http://0x7f000001:{port}/x",
    "http://0x7f.0.0.1:{port}/x", "http://0177.0.0.1:{port}/x", "http://017700000001:{port}/x", "http://0:{port}/x",
    "http://0.0.0.0:{port}/x", "http://127.0.0.2:{port}/x", "http://[::1]:{port}/x", "http://[::ffff:127.0.0.1]:{port}/x",
    "http://[::ffff:7f00:1]:{port}/x", "http://[::127.0.0.1]:{port}/x", "http://[::1%25lo]:{port}/x",
    "http://127.0.0.1.:{port}/x", "http://localhost.:{port}/x", "http://127。0。0。1:{port}/x",
    "http://127.0.0.1%2e:{port}/x", "http://①②⑦.⓪.⓪.①:{port}/x", "http://ⓛocalhost:{port}/x", "http://{host}:5432/x",
    "http://{host}:0{port}/x", "http://{host}:+{port}/x",
    # the site's own name as decoration
    "http://user@{s}/x", "http://user:pass@{s}/x", "http://{own}@{s}/x", "http://{own}%2f@{s}/x", "http://{s}\\@{own}/x",
    "http://{s}#@{own}/x", "http://{s}?@{own}/x", "http://{s}%00.{own}/x", "http://{own}.evil.example/x",
    "http://{own}:80@evil.example/x",
    # names that are somebody else's, or resolve to an address inside
    "https://evil.example/x", "http://inside.evil.example:{port}/x", "http://127.0.0.1.nip.example:{port}/x",
    "https://metadata.google.internal/computeMetadata/v1/", "http://169.254.169.254/latest/meta-data/",
    "https://[fd00:ec2::254]/latest/", "http://[64:ff9b::7f00:1]:{port}/x", "http://[2002:7f00:1::]:{port}/x",
    "http://10.0.0.8/x", "http://192.168.0.1/x",
    # no http at all, or not one line of it
    "file:///etc/passwd", "gopher://{s}/_GET", "ftp://{s}/x", "data:application/fhir+json,{{}}", "javascript:alert(1)",
    "ldap://{s}/x", "jar:http://{s}!/x", "unix:/var/run/docker.sock", "ws://{s}/x", "http://{s}/x\r\nHost: {own}",
    "http://{own}/\r\n\r\nGET http://{s}/x", " http://{s}/x", "\thttp://{s}/x", "http://{s}\t/x", "http://[{s}/x",
)  # fmt: skip
"""`{s}`: host and port of a sentinel, `{own}`: those of the site."""
TOKEN = {"access_token": "canary-bearer", "token_type": "bearer", "expires_in": 300}
WELL_KNOWN = "/.well-known/smart-configuration"
REDIRECT = "https://brief.example/smart/callback"

_watching: list[tuple[str, Any]] | None = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watching is not None and event in ("socket.connect", "socket.getaddrinfo", "open"):
        if event == "socket.connect" and args[0].family in (socket.AF_INET, socket.AF_INET6):
            _watching.append(("connect", tuple(args[1][:2])))
        elif event == "socket.getaddrinfo":
            _watching.append(("lookup", args[0]))
        elif event == "open" and str(args[0]).startswith("/etc/passwd"):
            _watching.append(("open", args[0]))


sys.addaudithook(_hook)


@contextmanager
def watched() -> Iterator[list[tuple[str, Any]]]:
    """What is connected to, looked up, or opened meanwhile."""
    global _watching
    seen: list[tuple[str, Any]] = []
    _watching = seen
    try:
        yield seen
    finally:
        _watching = None


@pytest.fixture(autouse=True)
def _every_name_leads_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS in the attacker's hands: whatever name is asked for is this machine. No question leaves it."""
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        sys.audit("socket.getaddrinfo", host, port, 0, 0, 0)
        return real("127.0.0.1", port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)


@dataclass
class Bed:
    """A site's server, which names the URLs, and what they lead to."""

    server: WireServer
    sentinel: WireServer
    url: str = ""

    def urls(self) -> list[str]:
        own, there = f"127.0.0.1:{self.server.port}", f"127.0.0.1:{self.sentinel.port}"
        return [u.format(s=there, own=own, port=self.sentinel.port, host="127.0.0.1") for u in HOSTILE]

    def serve(self, table: dict[str, Any] | None = None, **configuration: Any) -> None:
        """The site's answers; `configuration`: what differs in its discovery document."""
        origin = self.server.origin
        published = {
            "token_endpoint": f"{origin}/token",
            "authorization_endpoint": f"{origin}/authorize",
            "revocation_endpoint": f"{origin}/revoke",
            "capabilities": ["permission-v1"],
        }
        known = {WELL_KNOWN: published | configuration, "/token": TOKEN, "/revoke": Reply(200)}
        self.server.handler = routes(known | (table or {}), bundle())

    def site(self, auth: str = "backend", **more: Any) -> Any:
        more = {"limits": {"tries": 1}} | more
        if auth in ("standalone", "ehr_launch"):
            more |= {"redirect_uri": REDIRECT, "client_auth": "none"}
        return site_at(self.server.base, auth=auth, **more)

    @property
    def location(self) -> dict[str, str]:
        """As a header, byte by byte."""
        return {"location": self.url.encode().decode("latin-1")}


async def fetched(bed: Bed, section: str = "vitals", **more: Any) -> Any:
    async with opened(bed.site(**more)) as source:
        return await source.fetch("p1", section)


# Entry points: each gives the URL to the product; what it returns is what a user is told. --------------------------------


async def token_endpoint(bed: Bed) -> None:
    bed.serve(token_endpoint=bed.url)
    assert (await fetched(bed)).coverage.state == "failed"


async def token_endpoint_of_the_statement(bed: Bed) -> None:
    uris = [{"url": "token", "valueUri": bed.url}, {"url": "authorize", "valueUri": bed.url}]
    oauth = {"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}
    statement = {"resourceType": "CapabilityStatement", "rest": [{"security": {"extension": [oauth]}}]}
    bed.serve({WELL_KNOWN: Reply(404), "/metadata": statement})
    assert (await fetched(bed)).coverage.state == "failed"


async def token_endpoint_that_moved(bed: Bed) -> None:
    """F06: what rediscovery says passes the gate like what was said first."""
    first = {"token_endpoint": f"{bed.server.origin}/gone"}
    bed.serve({WELL_KNOWN: [first, {"token_endpoint": bed.url}], "/gone": Reply(404)})
    assert (await fetched(bed)).coverage.state in ("failed", "not_authorized")


async def redirect_of_the_token_endpoint(bed: Bed) -> None:
    bed.serve({"/token": Reply(307, headers=bed.location)})
    assert (await fetched(bed)).coverage.state == "failed"


async def redirect_of_a_search(bed: Bed) -> None:
    bed.serve({"/Observation": Reply(302, headers=bed.location)})
    assert (await fetched(bed)).coverage.state in ("failed", "not_supported", "empty")


async def redirect_of_discovery(bed: Bed) -> None:
    moved = Reply(301, headers=bed.location)
    bed.serve({WELL_KNOWN: moved, "/metadata": moved})
    await fetched(bed)


async def authorization_endpoint(bed: Bed) -> None:
    """The person's browser is not sent there either."""
    bed.serve(authorization_endpoint=bed.url)
    async with opened(bed.site("standalone")) as source:
        with pytest.raises(ConfigurationError):
            await source.begin_launch()


async def revocation_endpoint(bed: Bed) -> None:
    bed.serve(revocation_endpoint=bed.url)
    tokens, site = MemoryTokens(), bed.site("standalone")
    held = Token("canary-bearer", time.time() + 900, base=bed.server.base, refresh_token="canary-r", patient="p1")
    await tokens.put(site.name, held)
    async with opened(site, tokens=tokens) as source:
        assert await source.disconnect() is False
    assert await tokens.get(site.name) is None, "forgotten here all the same"


def _id_token(header: dict[str, Any]) -> str:
    """Signed by nobody we know; its header says where a key for it is to be had."""

    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'ES384', 'kid': 'k', **header})}.{part({'iss': 'https://i.example'})}.{'A' * 128}"


async def _verify(bed: Bed, token: str, jwks_uri: str) -> None:
    bed.serve({"/keys": {"keys": [key_pair().public_jwk()]}})
    async with opened(bed.site("none")) as source:
        with pytest.raises(AdapterError):
            await verified_user(
                source._http, token, issuer="https://i.example", jwks_uri=jwks_uri, client_id="client-1", nonce="n",
                now=time.time(),
            )  # fmt: skip


async def keys_of_the_issuer(bed: Bed) -> None:
    await _verify(bed, _id_token({}), bed.url)


async def keys_named_by_the_id_token(bed: Bed) -> None:
    await _verify(bed, _id_token({"jku": bed.url, "x5u": bed.url}), f"{bed.server.base}/keys")


async def next_link(bed: Bed) -> None:
    bed.serve({"/Observation": bundle(observation("o1"), next_link=bed.url)})
    found = await fetched(bed)
    assert [r.resource_id for r in found.resources] == ["o1"]


async def other_links(bed: Bed) -> None:
    """Nothing but `next` is followed, nor what an entry calls its address."""
    body = bundle(observation("o1"))
    body["link"] = [{"relation": r, "url": bed.url} for r in ("self", "first", "previous", "last")]
    body["entry"][0]["fullUrl"] = bed.url
    bed.serve({"/Observation": body})
    assert (await fetched(bed)).coverage.complete


async def reference(bed: Bed) -> None:
    target = {"reference": f"{bed.url}/Practitioner/d1"}
    one = observation("o1", performer=[target], hasMember=[{"reference": f"{bed.url}/Observation/o2"}])
    bed.serve({"/Observation": bundle(one)})
    assert [r.resource_id for r in (await fetched(bed)).resources][:1] == ["o1"]


async def attachment(bed: Bed) -> None:
    content = [{"attachment": {"contentType": "application/pdf", "url": u}} for u in (bed.url, f"{bed.url}/Binary/b1")]
    bed.serve({"/DocumentReference": bundle(resource("DocumentReference", "d1", content=content))})
    found = await fetched(bed, "notes")
    assert found.missing and not found.coverage.complete, "the document is reported missing"


async def location_of_a_write(bed: Bed) -> None:
    types = [
        {"type": t, "interaction": [{"code": "create"}], "conditionalCreate": True}
        for t in ("Observation", "DocumentReference", "Provenance")
    ]
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"resource": types}]}
    at = "2026-11-24T09:30:00Z"
    for thing in (vital("p1", "heart-rate", "72", at), document("p1", "Known: gout.", at)):
        named = {"location": bed.location["location"], "content-location": bed.location["location"]}
        written = Reply(201, headers={**named, "etag": 'W/"1"'})
        bed.serve({"/metadata": statement, f"/{thing.resource_type}": written, "/Provenance": Reply(201)})
        site = bed.site("none", write=["Observation", "DocumentReference"])
        async with opened(site, writes=needs(thing)) as source:
            assert (await write(source, thing, at, send=True)).state in ("created", "unknown", "failed")


async def redirect_of_a_write(bed: Bed) -> None:
    """The resource (PHI) goes nowhere else than where it was sent."""
    types = [{"type": "Observation", "interaction": [{"code": "create"}], "conditionalCreate": True}]
    statement = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"resource": types}]}
    thing, at = vital("p1", "heart-rate", "72", "2026-11-24T09:30:00Z"), "2026-11-24T09:30:00Z"
    bed.serve({"/metadata": statement, "/Observation": Reply(308, headers=bed.location)})
    async with opened(bed.site("none", write=["Observation"]), writes=needs(thing)) as source:
        assert not (await write(source, thing, at, send=True)).written


async def base_of_a_site_file(bed: Bed) -> None:
    """A site file that somebody else wrote (or a directory, below) cannot point inside: loopback must be said."""
    await _opened_nowhere({"name": "evil", "fhir_base": bed.url, "auth": "none"})


async def _opened_nowhere(data: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        async with opened(parse_site(data)) as source:
            await source.discover()


async def host_of_a_site_file(bed: Bed) -> None:
    """`token_hosts` takes hosts, no addresses in disguise; a name it allows must still lead to a public address."""
    host = bed.url.partition("//")[2].partition("/")[0]
    if is_loopback_name(host.partition(":")[0]):
        return  # said so in the site file, at a site that is on this machine itself: a practice server
    bed.serve(token_endpoint=f"https://{host}/token")
    with pytest.raises(ConfigurationError):
        async with opened(bed.site(token_hosts=[host])) as source:
            await source.discover()


async def address_in_a_published_list(bed: Bed) -> None:
    rows = [{"name": "Good", "baseUrl": "https://good.example/fhir"}, {"name": "Evil Hospital", "baseUrl": bed.url}]
    with watched() as seen:
        listed = read_list(json.dumps(rows).encode(), "list")
    assert not seen, "reading a list calls nobody"
    for endpoint in listed.endpoints:
        if endpoint.name != "Good":
            await _opened_nowhere(tomllib.loads(site_file(endpoint, client_id="c")) | {"auth": "none"})


ENTRIES: dict[str, Callable[[Bed], Awaitable[None]]] = {
    f.__name__: f
    for f in (
        token_endpoint, token_endpoint_of_the_statement, token_endpoint_that_moved, redirect_of_the_token_endpoint,
        redirect_of_a_search, redirect_of_discovery, authorization_endpoint, revocation_endpoint, keys_of_the_issuer,
        keys_named_by_the_id_token, next_link, other_links, reference, attachment, location_of_a_write, redirect_of_a_write,
        base_of_a_site_file, host_of_a_site_file, address_in_a_published_list,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", ENTRIES)
async def test_no_hostile_url_is_called(name: str) -> None:
    async with WireServer(lambda r: Reply()) as server, WireServer(lambda r: Reply(body=bundle())) as sentinel:
        bed = Bed(server, sentinel)
        for url in bed.urls():
            bed.url = url
            with watched() as seen:
                await ENTRIES[name](bed)
            called = {place for what, place in seen if what == "connect"}
            assert called <= {("127.0.0.1", server.port)}, f"{url!r} was called"
            assert not [place for what, place in seen if what == "open"], url
        assert sentinel.requests == []


def test_a_launch_names_no_server_that_is_not_configured(store: Store) -> None:
    """`iss` comes from whoever opens the address: it is compared and never called."""

    async def urls() -> list[str]:
        async with WireServer(lambda r: Reply()) as server, WireServer(lambda r: Reply()) as sentinel:
            site = site_at(
                server.base, auth="ehr_launch", redirect_uri=REDIRECT, client_auth="none", allow_loopback=True
            )
            await asyncio.to_thread(store.put_site, "t1", site)
            connecting, bed = Connecting(store), Bed(server, sentinel)
            for url in (*bed.urls(), f"{server.base}/../x", f"{server.base}?x", f"{server.origin}/other"):
                with watched() as seen, pytest.raises(LaunchRefused) as refused:
                    await asyncio.to_thread(connecting.launch, url, "launch")
                assert refused.value.code == "unknown_issuer" and not seen, url
                with watched() as seen, pytest.raises(LaunchRefused) as refused:
                    await asyncio.to_thread(connecting.launch_at, "t1", site.name, url, "launch")
                assert refused.value.code == "unknown_issuer" and not seen, url
            assert server.requests == sentinel.requests == []
            return bed.urls()

    assert len(asyncio.run(urls())) >= 40


async def test_the_watch_sees_a_call_that_is_made() -> None:
    """The oracle can fail: a gate that lets everything through is noticed."""
    async with WireServer(lambda r: Reply()) as server, WireServer(lambda r: Reply(body=bundle())) as sentinel:
        bed = Bed(server, sentinel, f"http://127.0.0.1:{sentinel.port}/x")
        bed.serve({"/Observation": Reply(302, headers=bed.location)})
        site = bed.site("none", token_hosts=[f"127.0.0.1:{sentinel.port}"])
        with watched() as seen:
            async with opened(site) as source:
                await source.fetch("p1", "vitals")
        assert ("connect", ("127.0.0.1", sentinel.port)) in seen and sentinel.requests
