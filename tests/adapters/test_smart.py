"""SMART: discovery, scopes, assertions, and one token for all who ask (F06, F07, F11)."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections import Counter

import pytest
from adapter_kit import Clock, Reply, WireServer, bundle, key_pair, observation, opened, routes, site_at
from joserfc import jwk, jwt

from adapters.errors import AuthorizationError, ConfigurationError, SiteUnavailable
from adapters.smart.scopes import granted_types, minimum_scopes, syntax_of
from adapters.smart.tokens import MemoryTokens, Token

WELL_KNOWN = "/.well-known/smart-configuration"
TOKEN = {"access_token": "tok-1", "token_type": "bearer", "expires_in": 300}


def claims(request, alg: str = "ES384"):
    key = jwk.import_key(key_pair(alg).public_jwk(), "EC" if alg == "ES384" else "RSA")
    return jwt.decode(request.form["client_assertion"], key, algorithms=[alg])


class SmartServer(WireServer):
    """A site with a token endpoint at /token; `table` overrides and adds."""

    def __init__(self, table=None, **config):
        self.given = 0
        super().__init__(lambda r: self._handle(r))
        self.table, self.config = table or {}, config
        self._routes = None

    def _handle(self, request):
        if self._routes is None:
            config = {"token_endpoint": f"{self.origin}/token", "capabilities": ["permission-v1"]} | self.config
            self._routes = routes({WELL_KNOWN: config, "/token": self.token} | self.table, bundle())
        return self._routes(request)

    def token(self, request):
        self.given += 1
        return {**TOKEN, "access_token": f"tok-{self.given}"}

    @property
    def token_requests(self):
        return [r for r in self.requests if r.method == "POST"]


def backend(server, **more):
    return site_at(server.base, auth="backend", **more)


@pytest.mark.parametrize("alg", ["RS384", "ES384"])
async def test_the_assertion_is_what_smart_asks_for(alg):
    async with SmartServer() as server, opened(backend(server), key=key_pair(alg)) as source:
        await source.discover()
        [request] = server.token_requests
    token, form = claims(request, alg), request.form
    body = token.claims
    assert token.header == {"alg": alg, "kid": key_pair(alg).kid, "typ": "JWT"}
    assert body["iss"] == body["sub"] == "client-1" and body["aud"] == f"{server.origin}/token"
    now = time.time()
    assert body["exp"] - body["iat"] <= 300 and now + 180 < body["exp"] <= now + 300
    assert body["iat"] <= now - 55, "a site whose clock is a minute behind accepts it"
    assert 0 < len(body["jti"]) <= 151
    assert form["grant_type"] == "client_credentials" and "authorization" not in request.headers
    assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def test_every_assertion_is_used_once():
    replies = [Reply(503), Reply(drop=True), Reply(503), TOKEN]
    async with SmartServer({"/token": replies}) as server:
        async with opened(backend(server), Clock()) as source:
            with pytest.raises(SiteUnavailable):
                await source.discover()
        async with opened(backend(server), Clock()) as source:
            await source.discover()
        ids = [claims(r).claims["jti"] for r in server.token_requests]
    assert len(ids) == 4 == len(set(ids)), "two tries each, every one signed anew"


async def test_scopes_are_the_types_asked_for_and_no_more():
    async with SmartServer() as server, opened(backend(server)) as source:
        report = await source.discover()
        scopes = server.token_requests[0].form["scope"].split()
    assert list(report.scopes_asked) == scopes == sorted(scopes)
    assert "system/Observation.read" in scopes and not any("*" in s or "write" in s for s in scopes)
    assert not {"system/Coverage.read", "system/Claim.read", "system/ServiceRequest.read"} & set(scopes)


async def test_types_the_site_does_not_declare_are_not_asked_for():
    statement = {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "rest": [{"mode": "server", "resource": [{"type": "Observation"}, {"type": "Patient"}]}],
    }
    async with SmartServer({"/metadata": statement}) as server, opened(backend(server)) as source:
        report = await source.discover()
        fetched = await source.fetch("p1", "problems")
    assert report.scopes_asked == ("system/Observation.read", "system/Patient.read")
    assert fetched.coverage.state == "not_supported" and server.paths("Condition") == []


@pytest.mark.parametrize(
    ("capabilities", "supported", "wanted", "syntax"),
    [
        ((), (), "auto", "v1"),
        (("permission-v2",), (), "auto", "v2"),
        (("permission-v1", "permission-v2"), (), "auto", "v1"),
        (("permission-v2",), ("system/Account.read", "user/Account.write"), "auto", "v1"),
        (("permission-v2",), ("system/*.rs", "system/*.read"), "auto", "v2"),
        ((), ("system/*.rs",), "auto", "v2"),
        ((), ("launch", "openid", "system/*.read"), "auto", "v1"),
        (("permission-v1",), (), "v2", "v2"),
        (("permission-v2",), (), "v1", "v1"),
    ],
)
def test_scope_syntax(capabilities, supported, wanted, syntax):
    assert syntax_of(capabilities, supported, wanted) == syntax
    assert minimum_scopes(["B", "A", "A"], syntax) == (
        ("system/A.read", "system/B.read") if syntax == "v1" else ("system/A.rs", "system/B.rs")
    )


ASKED = ("system/A.read", "system/B.read")


@pytest.mark.parametrize(
    ("granted", "read", "search"),
    [
        (None, "AB", "AB"),
        ("", "", ""),
        ("system/A.read", "A", "A"),
        ("system/*.read openid", "AB", "AB"),
        ("system/*.*", "AB", "AB"),
        ("system/A.r", "A", ""),
        ("system/A.s", "", "A"),
        ("system/A.cruds system/B.write", "A", "A"),
        ("system/A.u system/B.", "", ""),
        ("system/A.rs?category=x system/C.rs", "A", "A"),
        ("user/A.read", "A", "A"),
        ("SYSTEM/A.read system/A.reads systemA.read", "", ""),
    ],
)
def test_what_a_grant_allows(granted, read, search):
    assert granted_types(granted, ASKED) == frozenset(read)
    assert granted_types(granted, ASKED, "search") == frozenset(search)


async def test_granted_less_than_asked_is_told_type_by_type():
    table = {"/token": TOKEN | {"scope": "system/Observation.read system/Patient.read system/Condition.r"}}
    async with SmartServer(table) as server, opened(backend(server)) as source:
        report = await source.discover()
        fetches = {f.section: f for f in await source.fetch_patient("p1", ("vitals", "problems", "allergies"))}
    assert "AllergyIntolerance" in report.types_refused and "Observation" in report.types_granted
    assert fetches["vitals"].coverage.state == "empty"
    assert fetches["allergies"].coverage.state == fetches["problems"].coverage.state == "not_authorized"
    assert server.paths("AllergyIntolerance") == server.paths("Condition") == []


async def test_discovery_falls_back_to_the_capability_statement():
    for broken in (
        Reply(404, b"<html>"),
        Reply(200, b"<html>login</html>"),
        Reply(200, {"issuer": "x"}),
        Reply(503),
        Reply(drop=True),
    ):
        async with SmartServer() as server:
            uris = [
                {"url": "token", "valueUri": f"{server.origin}/token"},
                {"url": "authorize", "valueUri": "https://a.example/"},
            ]
            oauth = {"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}
            statement = {
                "resourceType": "CapabilityStatement",
                "rest": [{"mode": "server", "security": {"extension": [oauth]}}],
            }
            server.table = {WELL_KNOWN: broken, "/metadata": statement}
            async with opened(backend(server), Clock()) as source:
                report = await source.discover()
        assert report.discovered_by == "capability-statement" and report.token_endpoint == f"{server.origin}/token"


async def test_no_token_endpoint_anywhere_is_a_matter_of_configuration():
    async with SmartServer({WELL_KNOWN: Reply(404)}) as server, opened(backend(server), Clock()) as source:
        with pytest.raises(ConfigurationError) as error:
            await source.discover()
        assert error.value.code == "no_token_endpoint"
        assert {f.coverage.state for f in await source.fetch_patient("p1")} == {"failed"}


async def test_a_key_the_site_cannot_verify_and_a_site_without_key():
    async with SmartServer(token_endpoint_auth_signing_alg_values_supported=["RS384", "RS256"]) as server:
        async with opened(backend(server), key=key_pair("ES384")) as source:
            with pytest.raises(ConfigurationError) as error:
                await source.discover()
            assert error.value.code == "key_algorithm" and "RS384" in str(error.value)
        async with opened(backend(server), key=key_pair("RS384")) as source:
            assert (await source.discover()).token_endpoint
        async with opened(backend(server), key=None) as source:
            with pytest.raises(ConfigurationError, match="client_id and a key"):
                await source.discover()
    assert len(server.token_requests) == 1


async def test_twenty_parallel_401s_make_one_renewal():
    """F07/F09: all who were refused get the new token, nobody asks for a second one, no answer is lost or doubled."""
    dead = {"tok-1"}

    async def condition(request):
        await asyncio.sleep(0.01)
        if request.headers["authorization"].removeprefix("Bearer ") in dead:
            return Reply(401)
        return Reply(body=bundle(observation("o1")))

    async with (
        SmartServer({"/Observation": condition}) as server,
        opened(backend(server, limits={"concurrency": 20})) as source,
    ):
        await source.discover()
        answers = await asyncio.gather(
            *(source.get(f"{server.base}/Observation?n={n}", "Observation") for n in range(20))
        )
    assert {a.status for a in answers} == {200} and len(server.token_requests) == 2
    shown = Counter(r.headers["authorization"] for r in server.requests if r.path.endswith("/Observation"))
    assert shown == {"Bearer tok-1": 20, "Bearer tok-2": 20}, "all were refused, and all came through"


async def test_a_site_that_always_says_401_is_not_asked_for_tokens_again_and_again():
    async with SmartServer({"/Observation": Reply(401)}) as server, opened(backend(server)) as source:
        fetches = await source.fetch_patient("p1", ("vitals", "labs", "social_history", "assessments"))
        again = await source.fetch("p1", "vitals")
    assert {f.coverage.state for f in (*fetches, again)} == {"not_authorized"}
    assert len(server.token_requests) <= 5


async def test_a_fresh_token_that_does_not_help_is_not_fetched_for_every_request():
    async with SmartServer({"/Observation": Reply(401)}) as server, opened(backend(server)) as source:
        for _ in range(3):
            assert (await source.fetch("p1", "vitals")).coverage.state == "not_authorized"
    assert len(server.token_requests) == 2 and len(server.paths("Observation")) == 4


async def test_a_bearer_goes_to_no_other_host_though_the_host_may_be_called():
    """The authorization server's host is allowed, for token requests; a next link there gets neither token nor call."""
    async with WireServer(lambda r: Reply(body=bundle())) as other:
        page = bundle(observation("o1"), next_link=f"{other.base}/Observation?page=2")
        async with SmartServer({"/Observation": page}) as server:
            site = backend(server, token_hosts=[f"127.0.0.1:{other.port}"])
            async with opened(site) as source:
                fetched = await source.fetch("p1", "vitals")
    assert other.requests == []
    assert fetched.coverage.state == "truncated" and "egress_origin" in fetched.coverage.reason


@pytest.mark.parametrize("refusal", ["invalid_client", "unauthorized_client", "made up by the site: Mary Canary"])
async def test_a_revoked_client_is_told_once_and_asked_no_more(refusal):
    """F08: at most one call; every section says so; the site's words do not travel."""
    async with (
        SmartServer({"/token": Reply(400, {"error": refusal, "error_description": "Canary"})}) as server,
        opened(backend(server)) as source,
    ):
        fetches = await source.fetch_patient("p1")
        with pytest.raises(AuthorizationError) as error:
            await source.discover()
    assert {f.coverage.state for f in fetches} == {"not_authorized"} and len(server.token_requests) == 1
    assert error.value.action == "reauthorize" and "Canary" not in str(error.value) + fetches[0].coverage.reason


async def test_a_client_revoked_in_the_middle_is_asked_about_once():
    table = {
        "/token": [TOKEN, Reply(401, {"error": "invalid_client"})],
        "/Observation": Reply(401),
        "/Condition": Reply(401),
        "/Encounter": Reply(401),
    }
    async with SmartServer(table) as server, opened(backend(server)) as source:
        fetches = await source.fetch_patient("p1", ("vitals", "labs", "problems", "encounters"))
    assert {f.coverage.state for f in fetches} == {"not_authorized"} and len(server.token_requests) == 2


@pytest.mark.parametrize(
    "gone",
    [
        Reply(404, b"<html>"),
        Reply(410),
        Reply(301, headers={"location": "/elsewhere"}),
        Reply(200, b"<html>portal</html>"),
        Reply(drop=True),
    ],
)
async def test_a_moved_token_endpoint_is_rediscovered_once(gone):
    async with SmartServer() as server:
        old = {"token_endpoint": f"{server.origin}/old"}
        server.table = {"/old": gone, WELL_KNOWN: [old, {"token_endpoint": f"{server.origin}/token"}]}
        async with opened(backend(server), Clock()) as source:
            await source.discover()
            assert (await source.fetch("p1", "vitals")).coverage.state == "empty"
        assert server.paths("smart-configuration") == ["/fhir" + WELL_KNOWN] * 2
        assert claims(server.token_requests[-1]).claims["aud"] == f"{server.origin}/token"


async def test_a_token_endpoint_that_moved_out_of_reach_gets_nothing():
    async with WireServer(lambda r: Reply(body=TOKEN)) as sentinel, SmartServer() as server:
        old = {"token_endpoint": f"{server.origin}/old"}
        server.table = {"/old": Reply(404), WELL_KNOWN: [old, {"token_endpoint": f"{sentinel.origin}/token"}]}
        async with opened(backend(server), Clock()) as source:
            with pytest.raises(ConfigurationError) as error:
                await source.discover()
        assert error.value.code == "egress_host" and sentinel.requests == []


async def test_a_token_endpoint_that_is_gone_for_good_is_asked_once_more_and_no_longer():
    async with SmartServer({"/token": Reply(404)}) as server, opened(backend(server), Clock()) as source:
        with pytest.raises(AuthorizationError) as error:
            await source.discover()
        assert error.value.code == "token_endpoint_gone" and len(server.token_requests) == 1


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_clock_ten_minutes_off_is_signed_for(minutes):
    """F11: the site's Date header tells its time; the second assertion is made for it."""

    def token(request):
        there = time.time() + minutes * 60
        body = claims(request).claims
        date = {"date": email.utils.formatdate(there, usegmt=True)}
        good = body["iat"] <= there <= body["exp"] and body["exp"] - there <= 300
        return Reply(200, TOKEN, date) if good else Reply(400, {"error": "invalid_client"}, date)

    async with SmartServer({"/token": token}) as server, opened(backend(server)) as source:
        await source.discover()
    assert len(server.token_requests) == 2


async def test_a_clock_that_is_absurd_is_not_signed_for():
    date = {"date": email.utils.formatdate(time.time() + 86_400, usegmt=True)}
    async with (
        SmartServer({"/token": Reply(400, {"error": "invalid_client"}, date)}) as server,
        opened(backend(server)) as source,
    ):
        with pytest.raises(AuthorizationError):
            await source.discover()
    assert len(server.token_requests) == 1


async def test_a_token_is_renewed_a_minute_before_it_ends():
    clock = Clock()
    async with SmartServer() as server, opened(backend(server), clock) as source:
        await source.discover()
        clock.at = 239
        await source.fetch("p1", "vitals")
        assert server.given == 1
        clock.at = 241
        await source.fetch("p1", "vitals")
        assert server.given == 2


async def test_stored_tokens_are_used_for_their_own_base_and_scopes_only():
    """A bearer never leaves its origin, not even when a site file is pointed elsewhere."""
    tokens = MemoryTokens()
    async with SmartServer() as one, SmartServer() as two:
        async with opened(backend(one), tokens=tokens) as source:
            await source.discover()
        async with opened(backend(one), tokens=tokens) as source:
            await source.fetch("p1", "vitals")
        assert one.given == 1
        async with opened(backend(two), tokens=tokens) as source:
            await source.fetch("p1", "vitals")
        assert two.given == 1
        fewer = {"sections": {"notes": {"queries": [{"resource_type": "Observation"}]}}}
        async with opened(backend(two, overrides=fewer), tokens=tokens) as source:
            await source.fetch("p1", "vitals")
        assert two.given == 2


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({"expires_in": 900}, 900),
        ({"expires_in": "900"}, 900),
        ({}, 300),
        ({"expires_in": None}, 300),
        ({"expires_in": -1}, 300),
        ({"expires_in": 5}, 61),
    ],
)
async def test_lifetimes(answer, seconds):
    clock, tokens = Clock(), MemoryTokens()
    body = {k: v for k, v in TOKEN.items() if k != "expires_in"} | answer
    async with SmartServer({"/token": body}) as server, opened(backend(server), clock, tokens=tokens) as source:
        await source.discover()
    token = await tokens.get("north")
    assert token.expires_at - clock.time() == pytest.approx(seconds, abs=1)


@pytest.mark.parametrize(
    "body",
    [{}, [], {"access_token": 5}, {"access_token": ""}, {"access_token": "a\r\nHost: evil"}, {"access_token": "ü"}],
)
async def test_what_is_no_token(body):
    async with SmartServer({"/token": Reply(200, body)}) as server, opened(backend(server)) as source:
        with pytest.raises(AuthorizationError):
            await source.discover()


def test_tokens_and_keys_do_not_print_themselves():
    token = Token(access_token="canary-token", expires_at=1.0)
    assert "canary" not in repr(token) + str(token) + f"{token}"
    assert (
        "PRIVATE" not in repr(key_pair()) and json.dumps(key_pair().public_jwk()) and "d" not in key_pair().public_jwk()
    )
