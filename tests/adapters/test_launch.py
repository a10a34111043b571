"""Where a person is sent to authorize, what is asked for and why, and whose word on who signed in is believed."""

from __future__ import annotations

import base64
import hashlib
import time
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from adapter_kit import Clock, Reply, WireServer, bundle, key_pair, opened, routes, site_at
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwk, jwt

from adapters.errors import ConfigurationError, LaunchRefused
from adapters.smart.discovery import SmartConfiguration
from adapters.smart.id_token import check_claims, verified_user
from adapters.smart.launch import challenge
from adapters.smart.scopes import explain, launch_scopes, minimum_scopes
from adapters.smart.tokens import MemoryTokens

REDIRECT = "https://brief.example/smart/callback"
WELL_KNOWN = "/.well-known/smart-configuration"
ISSUER = "https://issuer.example"


def launching(server: WireServer, auth: str = "standalone", **more: Any) -> Any:
    return site_at(server.base, auth=auth, redirect_uri=REDIRECT, **({"client_auth": "none"} | more))


async def begun(config: dict[str, Any], *, launch: str = "", auth: str = "standalone", **more: Any) -> tuple[str, Any]:
    async with WireServer(lambda r: table(r)) as server:
        filled = {k: v.format(server.origin) if isinstance(v, str) else v for k, v in config.items()}
        table = routes({WELL_KNOWN: filled}, bundle())
        async with opened(launching(server, auth, **more), Clock()) as source:
            url, kept = await source.begin_launch(launch)
            assert url.startswith(server.origin)
            return url, kept


FULL = {
    "token_endpoint": "{}/token",
    "authorization_endpoint": "{}/authorize?tenant=9",
    "capabilities": ["permission-v2"],
}


async def test_the_address_says_all_that_smart_asks_for_and_the_verifier_stays_here():
    url, kept = await begun(FULL)
    asked = dict(parse_qsl(urlsplit(url).query))
    assert asked["tenant"] == "9" and asked["response_type"] == "code" and asked["redirect_uri"] == REDIRECT
    assert asked["aud"] == kept.base and asked["client_id"] == "client-1" and asked["state"] == kept.state
    digest = hashlib.sha256(kept.verifier.encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    assert asked["code_challenge_method"] == "S256" and 43 <= len(kept.verifier) <= 128
    assert kept.verifier not in url and "nonce" not in asked and kept.verifier not in repr(kept)
    assert asked["scope"].split()[0] == "launch/patient" and "patient/Observation.rs" in asked["scope"].split()
    again, other = await begun(FULL)
    assert other.state != kept.state and other.verifier != kept.verifier and again != url


def test_the_example_of_rfc_7636():
    assert challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_a_slash_at_the_end_of_aud_is_a_matter_of_the_profile():
    url, kept = await begun(FULL, overrides={"aud_slash": True})
    assert dict(parse_qsl(urlsplit(url).query))["aud"] == f"{kept.base}/"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"authorization_endpoint": "https://evil.example/authorize"}, "egress_host"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "egress_scheme"),
        ({"authorization_endpoint": "{}@evil.example/authorize"}, "egress_url"),
        ({"authorization_endpoint": ""}, "no_authorization_endpoint"),
        ({"code_challenge_methods_supported": ["plain"]}, "no_pkce"),
        ({"token_endpoint": "https://evil.example/token"}, "egress_host"),
    ],
)
async def test_a_discovery_document_cannot_send_people_or_codes_elsewhere(change, code):
    with pytest.raises(ConfigurationError) as error:
        await begun(FULL | change)
    assert error.value.code == code


@pytest.mark.parametrize(("auth", "launch"), [("standalone", "x"), ("ehr_launch", ""), ("ehr_launch", "x" * 5000)])
async def test_a_launch_that_does_not_fit_the_site_is_refused(auth, launch):
    with pytest.raises(LaunchRefused):
        await begun(FULL, auth=auth, launch=launch)


async def test_where_there_is_no_smart_configuration_the_capability_statement_says_where_to_sign_in():
    async with WireServer(lambda r: table(r)) as server:
        uris = [{"url": n, "valueUri": f"{server.origin}/{n}"} for n in ("authorize", "token", "revoke")]
        oauth = {"url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension": uris}
        statement = {"resourceType": "CapabilityStatement", "rest": [{"security": {"extension": [oauth]}}]}
        table = routes({WELL_KNOWN: Reply(404), "/metadata": statement}, bundle())
        async with opened(launching(server), Clock()) as source:
            url, _ = await source.begin_launch()
        assert url.startswith(f"{server.origin}/authorize?")


@pytest.mark.parametrize(
    ("more", "capabilities", "wanted"),
    [
        ({}, (), "launch/patient offline_access"),
        ({"stay": "none"}, (), "launch/patient"),
        ({"stay": "online"}, ("permission-online",), "launch/patient online_access"),
        ({}, ("launch-standalone",), "launch/patient"),
        ({}, ("sso-openid-connect", "permission-offline"), "launch/patient openid fhirUser offline_access"),
        ({"scope_level": "user"}, ("permission-offline",), "offline_access"),
        ({"auth": "ehr_launch"}, ("sso-openid-connect",), "launch openid fhirUser"),
    ],
)
def test_only_what_is_needed_and_offered_is_asked_for(more, capabilities, wanted):
    fields = {"auth": "standalone", "client_auth": "none", "redirect_uri": REDIRECT} | more
    site = site_at("http://127.0.0.1:9/fhir", **fields)
    configuration = SmartConfiguration(capabilities=capabilities, issuer=ISSUER, jwks_uri=f"{ISSUER}/keys")
    assert " ".join(launch_scopes(site, configuration)) == wanted
    assert all(explain(scope, {}) for scope in wanted.split())


def test_an_explanation_says_what_for_and_of_whom():
    reasons = {"Observation": "vitals, labs"}
    assert explain("system/Observation.rs", reasons) == (
        "read and search Observation of the patients this client is registered for: vitals, labs"
    )
    assert "of the one patient" in explain("patient/Observation.read", reasons)
    assert "as far as the person" in explain("user/Observation.r", reasons).replace("read ", "read ", 1)
    assert minimum_scopes(["B", "A"], "v2", "user") == ("user/A.rs", "user/B.rs")


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_uri": ""},
        {"redirect_uri": "https://brief.example/elsewhere"},
        {"redirect_uri": "http://brief.example/smart/callback"},
        {"redirect_uri": f"{REDIRECT}?next=x"},
        {"client_id": ""},
        {"auth": "backend", "client_auth": "client_secret"},
    ],
)
def test_a_site_file_that_cannot_work_does_not_load(wrong):
    with pytest.raises(ConfigurationError, match=r"redirect_uri|client_id|client_auth"):
        site_at("http://127.0.0.1:9/fhir", **({"auth": "standalone", "redirect_uri": REDIRECT} | wrong))


# The id_token --------------------------------------------------------------------------------------------------------

NOW = 1_800_000_000
GOOD = {
    "iss": ISSUER,
    "aud": "client-1",
    "sub": "u1",
    "nonce": "n",
    "iat": NOW,
    "exp": NOW + 300,
    "fhirUser": "Patient/1",
}
WANT = {"issuer": ISSUER, "client_id": "client-1", "nonce": "n", "now": float(NOW)}


@pytest.mark.parametrize(
    ("change", "fails"),
    [
        ({}, ""),
        ({"iss": f"{ISSUER}/"}, ""),
        ({"aud": ["client-1"]}, ""),
        ({"aud": ["client-1", "b"], "azp": "client-1"}, ""),
        ({"exp": NOW - 59, "iat": NOW + 59}, ""),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "b"}, "aud"),
        ({"aud": ["client-1", "b"]}, "aud"),
        ({"azp": "b"}, "azp"),
        ({"exp": NOW - 61}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"iat": NOW + 61}, "iat"),
        ({"iat": None}, "iat"),
        ({"nonce": "m"}, "nonce"),
        ({"nonce": None}, "nonce"),
    ],
)
def test_claims(change, fails):
    claims = {k: v for k, v in (GOOD | change).items() if v is not None}
    if not fails:
        return check_claims(claims, **WANT)
    with pytest.raises(LaunchRefused, match=f"not valid: {fails}$"):
        check_claims(claims, **WANT)
    return None


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), st.none() | st.booleans() | st.integers() | st.text(max_size=5)))
def test_no_other_values_pass(change):
    claims = GOOD | change
    try:
        check_claims(claims, **WANT)
    except LaunchRefused:
        return
    same = all(claims[k] == GOOD[k] for k in ("iss", "aud", "nonce"))
    assert same and claims["exp"] >= NOW - 60 and claims["iat"] <= NOW + 60


@cache
def rsa() -> Any:
    return jwk.RSAKey.generate_key(2048, {"use": "sig"}, auto_kid=True)


def signed(key: Any = None, alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
    key = key or rsa()
    return jwt.encode({"alg": alg, "kid": rsa().kid} | (header or {}), GOOD | claims, key, algorithms=[alg])


async def user_of(id_token: str, keys: Any = None, jwks_uri: str = "") -> tuple[str, list[str]]:
    document = keys if keys is not None else {"keys": [{"kty": "weird"}, dict(rsa().as_dict(private=False))]}
    async with WireServer(routes({"/keys": document})) as server, opened(launching(server), Clock()) as source:
        uri = jwks_uri or f"{server.base}/keys"
        user = await verified_user(source._http, id_token, jwks_uri=uri, **WANT)
        return user, [r.path for r in server.requests]


async def test_an_id_token_signed_by_a_published_key_names_the_user():
    assert await user_of(signed()) == ("Patient/1", ["/fhir/keys"])
    assert (await user_of(signed(fhirUser=None, profile="https://e.example/Practitioner/7")))[0].endswith(
        "/Practitioner/7"
    )
    assert (await user_of(signed(fhirUser=None)))[0] == "u1"


async def test_what_a_token_says_about_its_own_key_is_not_followed():
    other = jwk.RSAKey.generate_key(2048, auto_kid=False)
    secret = jwk.OctKey.import_key("x" * 32)
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    head, body, _ = signed().split(".")
    for forged in (
        signed(other),
        signed(other, header={"jku": "http://127.0.0.1:9/keys"}),
        signed(other, header={"jwk": dict(other.as_dict(private=False))}),
        signed(other, header={"kid": "unknown"}),
        signed(secret, "HS256"),
        f"{none}.{body}.",
        f"{head}.{body}.AAAA",
        "nonsense",
        "a.b.c",
        "",
    ):
        with pytest.raises(LaunchRefused, match="signature"):
            await user_of(forged)
    secrets = {"keys": [{"kty": "oct", "k": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg", "kid": rsa().kid}]}
    for keys in (secrets, {"keys": []}, {"keys": "x"}, Reply(body=[]), {}):
        with pytest.raises(LaunchRefused, match="signature"):
            await user_of(signed(), keys)


async def test_keys_come_through_the_gate():
    with pytest.raises(ConfigurationError) as error:
        await user_of(signed(), jwks_uri="https://evil.example/keys")
    assert error.value.code == "egress_host"
    with pytest.raises(LaunchRefused, match="keys: HTTP 404"):
        await user_of(signed(), Reply(404))


# How the client shows who it is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "client_secret", "private_key_jwt"])
async def test_each_kind_of_client_shows_itself_in_its_way_and_no_other(kind):
    async with WireServer(lambda r: table(r)) as server:
        config = {k: v.format(server.origin) if isinstance(v, str) else v for k, v in FULL.items()}
        answer = {"access_token": "a", "patient": "p1", "expires_in": 300}
        table = routes({WELL_KNOWN: config, "/token": answer}, bundle())
        site = launching(server, client_auth=kind)
        shown = {"secret": "s:/+ö"} if kind == "client_secret" else {"key": key_pair()} if kind != "none" else {}
        async with opened(site, tokens=MemoryTokens(), **shown) as source:
            _, kept = await source.begin_launch()
            token = await source.finish_launch(kept, {"state": kept.state, "code": "c1"})
        [request] = [r for r in server.requests if r.method == "POST"]
    assert token.patient == "p1" and request.form["code_verifier"] == kept.verifier
    assert ("client_assertion" in request.form) == (kind == "private_key_jwt")
    assert ("authorization" in request.headers) == (kind == "client_secret")
    assert ("client_id" in request.form) == (kind == "none")
    if kind == "client_secret":
        pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic ")).decode()
        assert pair == "client-1:s%3A%2F%2B%C3%B6"


async def test_a_client_without_its_secret_or_key_asks_nobody():
    for kind, code in (("client_secret", "no_client_secret"), ("private_key_jwt", "no_client_key")):
        with pytest.raises(ConfigurationError) as error:
            await begun(FULL, client_auth=kind)
        assert error.value.code == code


async def test_no_patient_chosen_and_a_sign_in_that_took_too_long():
    async with WireServer(lambda r: table(r)) as server:
        config = {k: v.format(server.origin) if isinstance(v, str) else v for k, v in FULL.items()}
        table = routes({WELL_KNOWN: config, "/token": {"access_token": "a"}}, bundle())
        clock = Clock()
        async with opened(launching(server), clock) as source:
            _, kept = await source.begin_launch()
            answer = {"state": kept.state, "code": "c1"}
            with pytest.raises(LaunchRefused) as error:
                await source.finish_launch(kept, answer)
            assert error.value.code == "no_patient"
            sent = len([r for r in server.requests if r.method == "POST"])
            clock.at += 601
            for late, code in ((answer, "launch_expired"), (answer | {"state": "x"}, "state_mismatch")):
                with pytest.raises(LaunchRefused) as error:
                    await source.finish_launch(kept, late)
                assert error.value.code == code
        assert len([r for r in server.requests if r.method == "POST"]) == sent
    assert time.time() < kept.expires
