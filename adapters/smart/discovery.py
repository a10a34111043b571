"""SMART discovery: where a server gives tokens, and which words it understands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

from msgspec import Meta

from adapters.errors import BadAnswer, ConfigurationError, SiteUnavailable
from adapters.fhir.http import Http, is_garbled
from adapters.fhir.slots import MOST_BEHIND
from models.record import Value

DISCOVERY_TRIES = 2


class SmartConfiguration(Value, frozen=True):
    """What a server publishes about authorization."""

    token_endpoint: str = ""
    authorization_endpoint: str = ""
    scopes_supported: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    auth_methods: tuple[str, ...] = ()
    algorithms: Annotated[tuple[str, ...], Meta(description="Signatures it verifies; empty: not said.")] = ()
    issuer: str = ""
    jwks_uri: str = ""
    revocation_endpoint: str = ""
    challenge_methods: Annotated[tuple[str, ...], Meta(description="PKCE; empty: not said.")] = ()
    names_issuer: Annotated[bool, Meta(description="Its redirects carry `iss` (RFC 9207).")] = False
    source: Annotated[str, Meta(description="well-known or capability-statement.")] = ""


async def discover(http: Http, base: str, oauth: Mapping[str, str]) -> SmartConfiguration:
    """The smart-configuration of a server; `oauth` (from the capability statement) where there is none.

    https://hl7.org/fhir/smart-app-launch/conformance.html . Raises ConfigurationError when neither names a token
    endpoint, SiteUnavailable when nothing came.
    """
    return endpoints(await published(http, base), oauth)


class Unpublished(NamedTuple):
    """Why there is no smart-configuration."""

    why: SiteUnavailable | ConfigurationError


async def published(http: Http, base: str) -> SmartConfiguration | Unpublished:
    """The smart-configuration of a server, or why there is none."""
    words = "no token_endpoint in it"
    try:
        answer = await http.send(
            "GET",
            f"{base}/.well-known/smart-configuration",
            headers={"Accept": "application/json"},
            lane="smart-configuration",
            tries=DISCOVERY_TRIES,
            behind=MOST_BEHIND,
            worth_retrying=is_garbled,
        )
        if answer.status == 200:
            document = answer.json()
            if isinstance(document, dict) and isinstance(document.get("token_endpoint"), str):
                return _read(document)
        else:
            words = f"HTTP {answer.status}"
            if answer.status >= 500 or answer.status == 429:
                return Unpublished(SiteUnavailable(words, code=f"http_{answer.status}", status=answer.status))
    except SiteUnavailable as error:
        return Unpublished(error)
    except BadAnswer as error:
        words = error.code
    problem = f"the site publishes no token endpoint (smart-configuration: {words})"
    return Unpublished(ConfigurationError(problem, code="no_token_endpoint"))


def endpoints(found: SmartConfiguration | Unpublished, oauth: Mapping[str, str]) -> SmartConfiguration:
    """What was published, else what the capability statement says; raises the reason when it says nothing either."""
    if isinstance(found, SmartConfiguration):
        return found
    if oauth.get("token"):
        return SmartConfiguration(
            token_endpoint=oauth["token"],
            authorization_endpoint=oauth.get("authorize", ""),
            revocation_endpoint=oauth.get("revoke", ""),
            source="capability-statement",
        )
    raise found.why


def _read(document: dict[str, Any]) -> SmartConfiguration:
    return SmartConfiguration(
        token_endpoint=document["token_endpoint"],
        authorization_endpoint=_text(document.get("authorization_endpoint")),
        scopes_supported=_texts(document.get("scopes_supported")),
        capabilities=_texts(document.get("capabilities")),
        auth_methods=_texts(document.get("token_endpoint_auth_methods_supported")),
        algorithms=_texts(document.get("token_endpoint_auth_signing_alg_values_supported")),
        issuer=_text(document.get("issuer")),
        jwks_uri=_text(document.get("jwks_uri")),
        revocation_endpoint=_text(document.get("revocation_endpoint")),
        challenge_methods=_texts(document.get("code_challenge_methods_supported")),
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        source="well-known",
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(v for v in value if isinstance(v, str)) if isinstance(value, list) else ()
