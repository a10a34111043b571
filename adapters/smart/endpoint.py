"""Asking a token endpoint: how we show which client we are, what its answers mean, where it went when it moved."""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from adapters.errors import AdapterError, AuthorizationError, BadAnswer, ConfigurationError, SiteUnavailable
from adapters.fhir.http import Answer, Http
from adapters.fhir.pace import http_date
from adapters.fhir.slots import MOST_BEHIND
from adapters.profile import SiteConfig
from adapters.smart.discovery import SmartConfiguration
from adapters.smart.keys import KeyPair

EARLY_SECONDS = 60.0
"""A token is renewed this long before it expires: clocks differ, requests take time."""
LIFETIME_SECONDS = 300.0
"""Taken when the answer does not say how long the token lives (SMART: it should be five minutes at most)."""
MOST_SKEW = 900.0
"""Seconds the site's clock may differ from ours and still be believed when we sign for it."""
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MOVED_STATUS = frozenset({404, 405, 410})
MOVED_CODES = frozenset({"token_endpoint_gone", "timeout", "connection_failed", "redirect", "egress_dns"})


class TokenRefused(AuthorizationError):
    """The token endpoint said no; `reason` is its OAuth error where that is one of the registered words."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(f"the token request was refused: {reason}", status=status)
        self.reason = reason


class TokenEndpoint:
    """The token endpoint of one site, as one client."""

    def __init__(
        self,
        http: Http,
        site: SiteConfig,
        key: KeyPair | None,
        secret: str,
        rediscover: Callable[[], Awaitable[SmartConfiguration]],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`rediscover` reads anew where the site gives tokens; `clock` gives Unix time."""
        self._http, self._site, self._key, self._secret = http, site, key, secret
        self._rediscover, self._clock, self._skew = rediscover, clock, 0.0
        self.configuration: SmartConfiguration | None = None
        self.calls = 0

    def use(self, configuration: SmartConfiguration) -> None:
        """Where to ask. Raises ConfigurationError when we cannot be a client there."""
        self._http.egress.look(configuration.token_endpoint)
        if not self._site.client_id:
            raise ConfigurationError("the site needs a client_id", code="no_client_key")
        if self._site.client_auth == "client_secret" and not self._secret:
            raise ConfigurationError(
                "the client secret is missing: chartbrief site secret NAME", code="no_client_secret"
            )
        if self._site.client_auth == "private_key_jwt":
            if self._key is None:
                raise ConfigurationError("the site needs client_id and a key", code="no_client_key")
            known = [a for a in configuration.algorithms if a in ("RS384", "ES384")]
            if known and self._key.alg not in known:
                raise ConfigurationError(
                    f"the site verifies {' and '.join(known)}, our key signs {self._key.alg}", code="key_algorithm"
                )
        self.configuration = configuration

    async def ask(self, fields: Mapping[str, str], *, tries: int) -> dict[str, Any]:
        """The answer to a token request, which holds an access token. Follows the endpoint once where it moved to.

        `tries`: 1 for what may be used once, where an answer that was lost may have taken effect.
        """
        if self.configuration is None:
            raise ConfigurationError("the site was not discovered yet", code="not_discovered")
        endpoint = self.configuration.token_endpoint
        try:
            return await self._request(endpoint, fields, tries)
        except AdapterError as error:
            if error.code not in MOVED_CODES:
                raise
            problem = error
        fresh = await self._rediscover()
        if fresh.token_endpoint == endpoint:
            raise problem
        self.use(fresh)
        return await self._request(fresh.token_endpoint, fields, tries)

    async def revoke(self, token: str, kind: str) -> bool:
        """Tell the site that a token is not needed any more (RFC 7009); whether it said yes. `kind`: its type's name."""
        endpoint = self.configuration.revocation_endpoint if self.configuration else ""
        if not endpoint:
            return False
        answer = await self._call(endpoint, {"token": token, "token_type_hint": kind}, 2)
        return answer.status == 200

    async def _request(self, endpoint: str, fields: Mapping[str, str], tries: int) -> dict[str, Any]:
        answer = await self._call(endpoint, fields, tries)
        if answer.status in (400, 401) and self._site.client_auth == "private_key_jwt":
            skew = self._skew_of(answer)
            if skew is not None:  # F11: sign by the site's clock, once
                self._skew = skew
                answer = await self._call(endpoint, fields, tries)
        return _document(answer)

    async def _call(self, endpoint: str, fields: Mapping[str, str], tries: int) -> Answer:
        self.calls += 1
        headers = {"Accept": "application/json"}
        if self._site.client_auth == "client_secret":  # RFC 6749, 2.3.1
            pair = f"{quote(self._site.client_id, safe='')}:{quote(self._secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return await self._http.send(
            "POST",
            endpoint,
            headers=headers,
            data=lambda: self._form(endpoint, fields),
            lane="token",
            behind=MOST_BEHIND,
            tries=tries,
        )

    def _form(self, endpoint: str, fields: Mapping[str, str]) -> dict[str, str]:
        """The request; an assertion of its own for each try, since a jti is good for one use."""
        form = dict(fields)
        if self._site.client_auth == "private_key_jwt":
            assert self._key is not None
            audience = self.configuration.token_endpoint if self.configuration else endpoint
            form["client_assertion_type"] = ASSERTION_TYPE
            form["client_assertion"] = self._key.assertion(self._site.client_id, audience, self._clock() + self._skew)
        elif self._site.client_auth == "none":
            form["client_id"] = self._site.client_id
        return form

    def _skew_of(self, answer: Answer) -> float | None:
        """How far the site's clock is from the one we signed with, when that can be why it refused."""
        theirs = http_date(answer.headers.get("date", ""))
        if theirs is None:
            return None
        skew = theirs - self._clock()
        return skew if abs(skew - self._skew) > EARLY_SECONDS and abs(skew) <= MOST_SKEW else None


def _document(answer: Answer) -> dict[str, Any]:
    status = answer.status
    if status == 429 or status >= 500:
        raise SiteUnavailable(f"the token endpoint answered HTTP {status}", code=f"http_{status}", status=status)
    if status in MOVED_STATUS:
        raise AuthorizationError("the token endpoint is gone", code="token_endpoint_gone", status=status)
    try:
        document = answer.json()
    except BadAnswer:
        words = f"the token endpoint answered HTTP {status} without JSON"
        raise AuthorizationError(words, code="token_endpoint_gone", status=status) from None
    if status != 200 or not isinstance(document, dict) or not is_token(document.get("access_token")):
        reason = document.get("error") if isinstance(document, dict) else None
        raise TokenRefused(reason if isinstance(reason, str) and reason in _OAUTH_ERRORS else "refused", status)
    return document


def is_token(value: object) -> bool:
    """Whether a value can stand in an Authorization header."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and bool(value.strip())


def lifetime(document: Mapping[str, Any]) -> float:
    """Seconds a token lives, never so short that it would be renewed before it is used."""
    value = document.get("expires_in")
    if isinstance(value, str) and value.isdigit():  # seen: the number as text
        value = int(value)
    seconds = float(value) if isinstance(value, int | float) and value > 0 else LIFETIME_SECONDS
    return max(seconds, EARLY_SECONDS + 1)


_OAUTH_ERRORS = frozenset(
    [
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    ]
)
