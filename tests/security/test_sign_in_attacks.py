"""S12: what an attacker in the redirect, at another server or with a signing key of their own tries; each is refused, and
no code, verifier or secret leaves for it."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import pytest
from adapter_kit import Reply, WireServer, bundle, key_pair, opened, routes, site_at
from joserfc import jwk, jwt

from adapters.errors import ConfigurationError, LaunchRefused
from adapters.smart.tokens import MemoryTokens

REDIRECT = "https://brief.example/smart/callback"
RSA = jwk.RSAKey.generate_key(2048, {"kid": "k1", "alg": "RS256", "use": "sig"}, auto_kid=False)


def server(table: dict[str, Any] | None = None, **configuration: Any) -> WireServer:
    """An authorization server; its discovery document says `configuration` besides."""
    made = WireServer(lambda r: handle(r))
    served: list[Any] = []

    def handle(request: Any) -> Any:
        if not served:
            named = {
                "issuer": made.origin,
                "token_endpoint": f"{made.origin}/token",
                "authorization_endpoint": f"{made.origin}/authorize",
                "jwks_uri": f"{made.origin}/keys",
                "revocation_endpoint": f"{made.origin}/revoke",
                "capabilities": ["permission-v2", "launch-standalone", "sso-openid-connect"],
            }
            known = {"/.well-known/smart-configuration": named | configuration, "/keys": {"keys": [public()]}}
            served.append(routes(known | (table or {}), bundle()))
        return served[0](request)

    return made


def public() -> dict[str, Any]:
    return dict(RSA.as_dict(private=False))


def asked(at: WireServer) -> list[str]:
    return [r.path for r in at.requests if r.method == "POST"]


def app(at: WireServer, **more: Any) -> Any:
    return site_at(at.base, auth="standalone", redirect_uri=REDIRECT, client_auth="none", **more)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({}, "issuer_mismatch"),  # the parameter was stripped on the way
        ({"iss": ""}, "issuer_mismatch"),
        ({"iss": "https://evil.example"}, "issuer_mismatch"),
        ({"iss": "{origin}.evil.example"}, "issuer_mismatch"),
        ({"iss": "{origin}", "error": "access_denied"}, "user_denied"),
        ({"iss": "https://evil.example", "error": "access_denied"}, "issuer_mismatch"),
        ({"iss": "{origin}", "state": "{state}x"}, "state_mismatch"),
        ({"iss": "{origin}", "state": ""}, "state_mismatch"),
        ({"iss": "{origin}", "code": ""}, "launch_refused"),
    ],
)
async def test_an_answer_that_is_not_of_the_server_that_was_asked_sends_no_code(
    answer: dict[str, str], code: str
) -> None:
    """RFC 9207, 2.4: a server that says it names itself must, and as itself."""
    async with server(authorization_response_iss_parameter_supported=True) as at, opened(app(at)) as source:
        _, kept = await source.begin_launch()
        told = {"state": kept.state, "code": "c1"} | {
            k: v.format(origin=at.origin, state=kept.state) for k, v in answer.items()
        }
        with pytest.raises(LaunchRefused) as refused:
            await source.finish_launch(kept, told)
        assert refused.value.code == code and asked(at) == []


async def test_a_code_of_one_site_is_not_taken_to_another() -> None:
    """Mix-up between two sites of ours: the answer to a sign-in at one arrives while the other is opened."""
    async with server() as honest, server() as evil:
        async with opened(app(honest, name="north")) as north, opened(app(evil, name="evil")) as south:
            _, kept = await north.begin_launch()
            with pytest.raises(LaunchRefused) as refused:
                await south.finish_launch(kept, {"state": kept.state, "code": "c1"})
        assert refused.value.code == "state_mismatch" and asked(evil) == asked(honest) == []


@pytest.mark.parametrize("methods", [["plain"], ["plain", "s256"], ["S512"]])
async def test_pkce_is_not_weakened(methods: list[str]) -> None:
    async with server(code_challenge_methods_supported=methods) as at, opened(app(at)) as source:
        with pytest.raises(ConfigurationError) as refused:
            await source.begin_launch()
    assert refused.value.code == "no_pkce"


async def test_s256_is_asked_for_whatever_else_is_offered_or_not_said() -> None:
    for configuration in ({}, {"code_challenge_methods_supported": ["plain", "S256"]}):
        async with server(**configuration) as at, opened(app(at)) as source:
            url, _ = await source.begin_launch()
        assert "code_challenge_method=S256" in url and "code_verifier" not in url


def _by_secret(alg: str, secret: bytes, claims: dict[str, Any]) -> str:
    """Signed with a shared secret by hand: libraries refuse to take a public key for one."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    body = f"{part(json.dumps({'alg': alg, 'kid': 'k1'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{body}.{part(hmac.digest(secret, body.encode(), 'sha' + alg[2:]))}"


def _forged(way: str, claims: dict[str, Any]) -> str:
    secrets = {
        "HS256 with the public key as secret": ("HS256", RSA.as_pem(private=False)),
        "HS512 with the key's modulus": ("HS512", public()["n"].encode()),
        "HS256 with the client's id": ("HS256", b"client-1"),
    }
    if way in secrets:
        return _by_secret(*secrets[way], claims)
    if way == "none":
        return f"eyJhbGciOiJub25lIn0.{jwt.encode({'alg': 'RS256'}, claims, RSA).split('.')[1]}."  # {"alg":"none"}
    other = jwk.RSAKey.generate_key(2048, auto_kid=False)
    header: dict[str, Any] = {"alg": "RS256", "kid": "k1"}
    if way == "another key, brought along":
        header["jwk"] = dict(other.as_dict(private=False))
    return jwt.encode(header, claims, other, algorithms=["RS256"])


@pytest.mark.parametrize(
    "way",
    [
        "HS256 with the public key as secret",
        "HS512 with the key's modulus",
        "HS256 with the client's id",
        "another key under the same id",
        "another key, brought along",
        "none",
        "wrong audience",
        "expired",
        "another nonce",
        "another issuer",
    ],
)
async def test_an_id_token_that_cannot_be_believed_ends_the_sign_in(way: str) -> None:
    """Algorithm confusion and the rest, through the whole sign-in: nothing is kept, what came with it is given back."""
    tokens = MemoryTokens()
    answer: dict[str, Any] = {"access_token": "a1", "refresh_token": "r1", "patient": "p1", "scope": "openid fhirUser"}

    table = {"/token": lambda r: answer, "/revoke": Reply(200)}
    async with server(table) as at, opened(app(at), tokens=tokens) as source:
        _, kept = await source.begin_launch()
        now = int(time.time())
        good = {"iss": at.origin, "aud": "client-1", "sub": "u", "nonce": kept.nonce, "iat": now, "exp": now + 300}
        spoiled = {
            "wrong audience": {"aud": "somebody-else"},
            "expired": {"iat": now - 900, "exp": now - 600},
            "another nonce": {"nonce": "n"},
            "another issuer": {"iss": "https://evil.example"},
        }
        if way in spoiled:
            answer["id_token"] = jwt.encode({"alg": "RS256", "kid": "k1"}, good | spoiled[way], RSA)
        else:
            answer["id_token"] = _forged(way, good)
        with pytest.raises(LaunchRefused) as refused:
            await source.finish_launch(kept, {"state": kept.state, "code": "c1"})
        assert refused.value.code == "id_token_invalid" and await tokens.get("north") is None
        assert [r.form["token"] for r in at.requests if r.path == "/revoke"] == ["r1", "a1"]
        answer["id_token"] = jwt.encode({"alg": "RS256", "kid": "k1"}, good, RSA)  # the same sign-in, told the truth
        assert (await source.finish_launch(kept, {"state": kept.state, "code": "c1"})).user == "u"


async def test_an_assertion_is_made_for_the_token_endpoint_it_is_sent_to() -> None:
    """Also after that has moved: an assertion for the old place is of no use to whoever is there now."""
    async with WireServer(lambda r: Reply(404)) as at:
        named = [{"token_endpoint": f"{at.origin}/{place}", "capabilities": []} for place in ("gone", "token")]
        token = {"access_token": "a", "expires_in": 300}
        at.handler = routes({"/.well-known/smart-configuration": named, "/gone": Reply(404), "/token": token}, bundle())
        async with opened(site_at(at.base, auth="backend")) as source:
            await source.discover()
        key = jwk.import_key(key_pair("ES384").public_jwk(), "EC")
        forms = [(r.path, r.form["client_assertion"]) for r in at.requests if r.method == "POST"]
        made_for = [(path, jwt.decode(made, key, algorithms=["ES384"]).claims["aud"]) for path, made in forms]
    assert made_for == [("/gone", f"{at.origin}/gone"), ("/token", f"{at.origin}/token")]
