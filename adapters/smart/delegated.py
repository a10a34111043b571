"""Tokens that a person's authorization gave (patient or provider launch), renewed by refresh tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from adapters.errors import AuthorizationError
from adapters.smart.discovery import SmartConfiguration
from adapters.smart.endpoint import TokenRefused, is_token, lifetime
from adapters.smart.scopes import launch_scopes, minimum_scopes, syntax_of
from adapters.smart.tokens import Authority, GrantEnded, Token
from adapters.smart.writing import delegated_writing_scopes


class DelegatedAuth(Authority):
    """Tokens of somebody who signed in at the site and allowed it."""

    def plan(self, configuration: SmartConfiguration, resource_types: Iterable[str]) -> None:
        """Settle which scopes a person is asked for: to read, and to write what the site file permits. Raises ConfigurationError when we cannot be this site's client."""
        self._endpoint.use(configuration)
        syntax = syntax_of(configuration.capabilities, configuration.scopes_supported, self._profile.scope_syntax)
        self.asked = (
            *launch_scopes(self._site, configuration),
            *minimum_scopes(resource_types, syntax, self._site.scope_level),
            *delegated_writing_scopes(self._site.write, syntax, self._site.scope_level),
        )

    async def _fresh(self, known: Token | None) -> Token:
        if known is None or known.base != self._site.fhir_base:
            raise AuthorizationError("nobody has authorized this at the site yet", code="not_connected")
        if known.ended or not known.refresh_token:
            raise AuthorizationError("the authorization has ended; somebody must authorize again")
        fields = {"grant_type": "refresh_token", "refresh_token": known.refresh_token}
        try:
            document = await self._endpoint.ask(fields, tries=1)
        except TokenRefused as error:
            if error.reason != "invalid_grant":
                raise
            raise GrantEnded("the site renews this authorization no more", status=error.status) from None
        token = token_of(document, known.asked, self._site.fhir_base, self._clock())
        if token.patient and known.patient and token.patient != known.patient:
            raise GrantEnded("the site renewed it for another patient", code="another_patient")
        return msgspec.structs.replace(
            token,
            scope=known.scope if token.scope is None else token.scope,
            refresh_token=token.refresh_token or known.refresh_token,
            patient=known.patient,
            encounter=known.encounter,
            user=known.user,
        )


def token_of(document: Mapping[str, Any], asked: str, base: str, now: float) -> Token:
    """The token of an answer to a code or a refresh token, with its launch context; `now` in Unix time."""

    def text(name: str) -> str:
        value = document.get(name)
        return value if isinstance(value, str) else ""

    return Token(
        access_token=document["access_token"],
        expires_at=now + lifetime(document),
        scope=document["scope"] if isinstance(document.get("scope"), str) else None,
        asked=asked,
        base=base,
        refresh_token=text("refresh_token") if is_token(document.get("refresh_token")) else "",
        patient=text("patient"),
        encounter=text("encounter"),
    )
