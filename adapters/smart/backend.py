"""SMART backend services: a token for the client itself, by a signed assertion.

https://hl7.org/fhir/smart-app-launch/backend-services.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapters.smart.discovery import SmartConfiguration
from adapters.smart.endpoint import TokenRefused, lifetime
from adapters.smart.scopes import minimum_scopes, syntax_of
from adapters.smart.tokens import Authority, Token

TOKEN_TRIES = 2


class BackendAuth(Authority):
    """Tokens of a client that acts for nobody in particular."""

    def plan(self, configuration: SmartConfiguration, resource_types: Iterable[str]) -> None:
        """Settle which scopes to ask for. Raises ConfigurationError when the site cannot verify our key."""
        self._endpoint.use(configuration)
        syntax = syntax_of(configuration.capabilities, configuration.scopes_supported, self._profile.scope_syntax)
        types = frozenset(resource_types)
        self.asked = (*minimum_scopes(types, syntax), *self.optional)
        self._supporting = frozenset(minimum_scopes(types & self.supporting, syntax))

    def _is_good(self, token: Token) -> bool:
        """Also: asked with what is asked for today. A new one costs nobody a sign-in."""
        return super()._is_good(token) and token.asked == " ".join(self.asked)

    async def _fresh(self, known: Token | None) -> Token:
        asked = " ".join(self.asked)
        main = [s for s in self.asked if s not in self._supporting]
        fewer = [" ".join(main), " ".join(s for s in main if s not in self.optional)]
        document, sent = await self._ask_less([asked, *fewer])
        scope = document.get("scope", None if sent == asked else sent)
        return Token(
            access_token=document["access_token"],
            expires_at=self._clock() + lifetime(document),
            scope=scope if isinstance(scope, str) else None,
            asked=asked,
            base=self._site.fhir_base,
        )

    async def _ask_less(self, requests: list[str]) -> tuple[dict[str, Any], str]:
        """The answer to the first of `requests` whose scopes the site takes, and that request."""
        *first, last = dict.fromkeys(requests)
        for scope in first:
            try:
                return await self._ask(scope), scope
            except TokenRefused as error:
                if error.reason != "invalid_scope":
                    raise
        return await self._ask(last), last

    async def _ask(self, scope: str) -> dict[str, Any]:
        return await self._endpoint.ask({"grant_type": "client_credentials", "scope": scope}, tries=TOKEN_TRIES)
