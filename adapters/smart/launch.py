"""A person authorizes: the way to the site's sign-in page and back (authorization code with PKCE S256).

https://hl7.org/fhir/smart-app-launch/app-launch.html . How it can end without an authorization (`LaunchRefused.code`):

    user_denied         the person, or the site for them, said no
    invalid_scope       the site grants none of what was asked
    launch_expired      the EHR's launch, or our own sign-in, was too long ago or used before
    unknown_issuer      no configured site has this address (service/workflows/connecting.py)
    state_mismatch      the answer belongs to no sign-in of ours
    issuer_mismatch     the answer comes from another server than was asked
    code_refused        the code was used before, is too old, or was made for somebody else
    id_token_invalid    the site's word on who signed in cannot be believed
    no_patient          no patient was chosen, and one is needed
    another_patient     another patient than this authorization was asked for
    launch_refused      anything else the site says
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

import msgspec
from msgspec import Meta

from adapters.errors import AdapterError, ConfigurationError, LaunchRefused, SiteUnavailable
from adapters.fhir.http import Http
from adapters.profile import Profile, SiteConfig
from adapters.smart.delegated import token_of
from adapters.smart.discovery import SmartConfiguration
from adapters.smart.endpoint import TokenEndpoint, TokenRefused
from adapters.smart.id_token import verified_user
from adapters.smart.tokens import Token
from models.record import Value

LAUNCH_SECONDS = 600
"""How long a person may take to sign in and decide."""
MOST_LAUNCH = 4096
"""Longest `launch` an EHR may hand over; what is seen is opaque text of a few hundred characters."""


class Launch(Value, frozen=True):
    """What is remembered between sending a person to the site and their coming back. Secret: the verifier is in it."""

    site: str
    base: str
    state: str
    verifier: str
    nonce: str
    asked: Annotated[str, Meta(description="The scopes asked for.")]
    expires: Annotated[int, Meta(description="Unix time by our clock.")]
    from_ehr: Annotated[bool, Meta(description="The EHR opened us.")] = False
    patient: Annotated[str, Meta(description="The patient it must be for, by the site's id; empty: any.")] = ""

    def __repr__(self) -> str:
        return f"Launch({self.site!r}, ***)"


def begin(
    http: Http,
    site: SiteConfig,
    profile: Profile,
    configuration: SmartConfiguration,
    asked: str,
    *,
    now: float,
    launch: str = "",
    patient: str = "",
) -> tuple[str, Launch]:
    """Where to send the browser, and what to remember. Raises ConfigurationError when the site cannot be asked so.

    The address is the site's own authorization endpoint and passes the gate like every other URL: a discovery document
    cannot send people elsewhere.
    """
    if not configuration.authorization_endpoint:
        raise ConfigurationError("the site publishes no authorization endpoint", code="no_authorization_endpoint")
    if configuration.challenge_methods and "S256" not in configuration.challenge_methods:
        raise ConfigurationError("the site does not accept PKCE with S256", code="no_pkce")
    if len(launch) > MOST_LAUNCH or bool(launch) != (site.auth == "ehr_launch"):
        raise LaunchRefused("a launch that this site is not configured for", code="launch_refused")
    http.egress.look(configuration.authorization_endpoint)
    expires = int(now) + LAUNCH_SECONDS
    kept = Launch(
        site=site.name,
        base=site.fhir_base,
        state=f"{expires}.{secrets.token_urlsafe(32)}",
        verifier=secrets.token_urlsafe(64),
        nonce=secrets.token_urlsafe(24),
        asked=asked,
        expires=expires,
        from_ehr=bool(launch),
        patient=patient,
    )
    params = {
        "response_type": "code",
        "client_id": site.client_id,
        "redirect_uri": site.redirect_uri,
        "scope": asked,
        "state": kept.state,
        "aud": f"{site.fhir_base}/" if profile.aud_slash else site.fhir_base,
        "code_challenge": challenge(kept.verifier),
        "code_challenge_method": "S256",
    }
    if "openid" in asked.split():
        params["nonce"] = kept.nonce
    if launch:
        params["launch"] = launch
    endpoint = configuration.authorization_endpoint.partition("#")[0]
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(params)}", kept


def challenge(verifier: str) -> str:
    """RFC 7636, S256."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).decode().rstrip("=")


async def finish(
    http: Http, endpoint: TokenEndpoint, site: SiteConfig, kept: Launch, answer: Mapping[str, str], *, now: float
) -> Token:
    """The token for the answer the browser brought back. Raises LaunchRefused, and what asking the site raises."""
    configuration = endpoint.configuration
    assert configuration is not None
    if (kept.site, kept.base) != (site.name, site.fhir_base):
        raise LaunchRefused("the site has changed since the sign-in began", code="state_mismatch")
    if not hmac.compare_digest(answer.get("state", "").encode(), kept.state.encode()):
        raise LaunchRefused("the answer belongs to another sign-in", code="state_mismatch")
    if now > kept.expires:
        raise LaunchRefused("the sign-in took too long; begin again", code="launch_expired")
    named = answer.get("iss")
    if named is None and configuration.names_issuer:
        raise LaunchRefused("the answer does not say which server it comes from", code="issuer_mismatch")
    if named is not None and named not in (configuration.issuer, site.fhir_base):
        raise LaunchRefused("the answer comes from another server", code="issuer_mismatch")
    if "error" in answer:
        raise _refusal(answer["error"], kept)
    if not answer.get("code"):
        raise LaunchRefused("the answer holds no code")
    fields = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": site.redirect_uri,
        "code_verifier": kept.verifier,
    }
    try:
        document = await endpoint.ask(fields, tries=1)
    except TokenRefused as error:
        if error.reason == "invalid_grant":
            words = "the code was used before, is too old, or belongs to another sign-in"
            raise LaunchRefused(words, code="code_refused", status=error.status) from None
        if error.reason == "invalid_scope":
            raise _refusal(error.reason, kept) from None
        raise
    token = token_of(document, kept.asked, site.fhir_base, now)
    try:
        token = await _of_a_person(http, configuration, site, kept, token, document.get("id_token"), now)
    except AdapterError:
        await give_back(endpoint, token)
        raise
    return token


async def _of_a_person(
    http: Http,
    configuration: SmartConfiguration,
    site: SiteConfig,
    kept: Launch,
    token: Token,
    id_token: object,
    now: float,
) -> Token:
    granted = (token.asked if token.scope is None else token.scope).split()
    if "openid" in kept.asked.split() and ("openid" in granted or id_token is not None):
        if not isinstance(id_token, str):
            raise LaunchRefused("the id_token is missing", code="id_token_invalid")
        user = await verified_user(
            http,
            id_token,
            issuer=configuration.issuer,
            jwks_uri=configuration.jwks_uri,
            client_id=site.client_id,
            nonce=kept.nonce,
            now=now,
        )
        token = msgspec.structs.replace(token, user=user)
    if site.one_patient_each and not token.patient:
        raise LaunchRefused("no patient was chosen", code="no_patient")
    if kept.patient and token.patient != kept.patient:
        raise LaunchRefused("it was given for another patient", code="another_patient")
    return token


async def give_back(endpoint: TokenEndpoint, token: Token) -> bool:
    """Revoke a token at the site, as far as the site lets us; whether it said yes."""
    held = ((token.refresh_token, "refresh_token"), (token.access_token, "access_token"))
    done = []
    for value, kind in held:
        if value:
            try:
                done.append(await endpoint.revoke(value, kind))
            except AdapterError:
                done.append(False)
    return bool(done) and all(done)


def _refusal(error: str, kept: Launch) -> LaunchRefused | SiteUnavailable:
    """What an error of the authorization endpoint means (RFC 6749, 4.1.2.1). Its description is not believed or shown."""
    if error == "access_denied":
        return LaunchRefused("the authorization was denied at the site", code="user_denied")
    if error == "invalid_scope":
        return LaunchRefused("the site grants none of the scopes asked for", code="invalid_scope")
    if error in ("server_error", "temporarily_unavailable"):
        return SiteUnavailable("the site's sign-in is not available now", code=error)
    if error == "invalid_request" and kept.from_ehr:
        words = "the EHR accepts this launch no more (too old, or used before): open it from the EHR again"
        return LaunchRefused(words, code="launch_expired")
    known = error if error in ("invalid_request", "unauthorized_client", "unsupported_response_type") else "refused"
    return LaunchRefused(f"the site refused the sign-in: {known}")
