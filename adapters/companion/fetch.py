"""Asking the companion API of a site, beside its FHIR API: the same client, token, pace, deadline and account.

What it brings counts with its section. What it fails at is told as a part that could not be read, under its own name;
nothing that the FHIR API gave is lost by it.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from adapters.companion.rows import read_rows, row_id
from adapters.companion.schema import Companion, Feed
from adapters.errors import AdapterError, BadAnswer, ConfigurationError, NotSupported, ScopeRefused
from adapters.fhir.http import Answer
from adapters.fhir.search import KEPT_BYTES, Found, reject_body
from adapters.profile import SiteConfig
from adapters.section import why
from adapters.smart.tokens import Token
from models.record import Missing, RawResource, Rejected, RejectReason, Section

Ask = Callable[[str, str, str], Awaitable[Answer]]
"""GET a URL for a feed (its name in origins) with an Accept header; raises AdapterError."""


class CompanionApi:
    """The companion API of one open site; one without any has no feeds."""

    def __init__(self, tenant: str, site: SiteConfig, ask: Ask, clock: Callable[[], float]) -> None:
        """`clock` gives Unix time."""
        profile = site.profile()
        made = profile.companion
        self.rules: Companion | None = made if made is not None and made.active and not site.launches else None
        self._tenant, self._site, self._ask, self._clock = tenant, site, ask, clock
        self._most_bytes = profile.limits.max_section_bytes
        parts = urlsplit(site.fhir_base)
        self.base = f"{parts.scheme}://{parts.netloc}{self.rules.fill(self.rules.base)}" if self.rules else ""

    @property
    def scopes(self) -> tuple[str, ...]:
        """What is asked for beside the FHIR scopes."""
        return (self.rules.scope,) if self.rules and self.rules.scope and self._site.auth == "backend" else ()

    @property
    def feeds(self) -> dict[str, Feed]:
        """Its feeds by name."""
        return self.rules.feeds if self.rules else {}

    def allowed(self, token: Token | None) -> bool:
        """Whether the token covers it. A scope `a.*` is also covered by an `a.<practice>` that was granted for it."""
        if token is None or not self.scopes:
            return True
        granted = token.asked.split() if token.scope is None else token.scope.split()
        stem = self.scopes[0].removesuffix("*")
        return any(g == self.scopes[0] or (stem != self.scopes[0] and g.startswith(stem)) for g in granted)

    def beside(self, section: Section, patient_id: str) -> Beside:
        """What one section of one patient gets from it."""
        return Beside(self, section, patient_id)

    async def read(self, name: str, patient_id: str, token: Token | None, into: Found, most_pages: int = 0) -> None:
        """All rows of a feed about a patient, as far as `most_pages` go (0: to the end). Raises the AdapterError of the
        first page; what is lost later is told in `into`."""
        assert self.rules is not None
        number = self.rules.number_of(patient_id)
        if number is None:
            raise ConfigurationError(
                "the patient's id tells no number of the companion API", code="companion_patient_unknown"
            )
        if not self.allowed(token):
            raise ScopeRefused("the granted scopes do not cover it")
        await self._walk(name, number, into, most_pages or self.rules.pages.max_pages)

    async def _walk(self, name: str, number: str, found: Found, most_pages: int) -> None:
        assert self.rules is not None
        feed, pages, offset, members = self.rules.feeds[name], self.rules.pages, 0, 0
        api, reference = self.rules.name(name), f"{feed.shape.type}/{self.rules.api}.{name}"
        while True:
            source = f"{api}, page {found.pages + 1}"
            try:
                answer = await self._ask(self._url(feed, number, offset), api, self.rules.accept)
                page = read_rows(answer, feed, pages)
            except AdapterError as error:
                if found.pages == 0:
                    raise
                self._lose(error, source, f"{reference}, page {found.pages + 1}", found)
                return
            found.pages, members = found.pages + 1, members + page.members
            for row in page.rows:
                self._take(row, name, feed, number, source, found)
            if page.following is None:
                short = (page.total or 0) - members
                if short > 0:
                    reason = "the site counted more than it sent"
                    found.missing.append(Missing(site=self._site.name, reference=reference, reason=reason, count=short))
                return
            found.truncated = "paging_loop" if page.following <= offset else ""
            found.truncated = found.truncated or ("page_cap" if found.pages >= most_pages else "")
            found.truncated = found.truncated or ("byte_cap" if found.size > self._most_bytes else "")
            if found.truncated:
                return
            offset = page.following

    def _url(self, feed: Feed, number: str, offset: int) -> str:
        assert self.rules is not None
        pages, params = self.rules.pages, {k: self.rules.fill(v) for k, v in feed.params.items()}
        if feed.paged:
            params |= {pages.limit_param: str(pages.limit), pages.offset_param: str(offset)}
        path = self.rules.fill(feed.path).replace("{patient}", quote(number, safe=""))
        return f"{self.base}{path}{'?' + urlencode(params) if params else ''}"

    def _lose(self, error: AdapterError, source: str, reference: str, found: Found) -> None:
        """A page that came and cannot be read goes to quarantine; one that did not come is missing."""
        found.broken = error.code
        if isinstance(error, BadAnswer) and error.body:
            found.rejected.append(reject_body(error, self._site.name, source))
        else:
            found.missing.append(Missing(site=self._site.name, reference=reference, reason=error.code))

    def _take(self, content: bytes, name: str, feed: Feed, number: str, source: str, found: Found) -> None:
        found.size += len(content)
        row = orjson.loads(content)
        key = row_id(row, feed) if isinstance(row, dict) else ""
        problem = self._problem(row, key, number)
        if problem:
            reason, detail = problem
            found.rejected.append(
                Rejected(
                    site=self._site.name,
                    reason=reason,
                    detail=detail,
                    resource_type=feed.shape.type,
                    source=source,
                    content=content[:KEPT_BYTES],
                )
            )
            return
        assert self.rules is not None
        raw = RawResource(
            tenant=self._tenant,
            site=self._site.name,
            resource_type=feed.shape.type,
            resource_id=f"{self.rules.api}.{name}-{key}",
            content=content,
            retrieved=datetime.fromtimestamp(self._clock(), UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            api=self.rules.name(name),
        )
        found.resources[(raw.resource_type, raw.resource_id)] = raw

    def _problem(self, row: Any, key: str, number: str) -> tuple[RejectReason, str] | None:
        if not isinstance(row, dict):
            return "not_a_resource", "a row that is no object"
        if not key:
            return "missing_id", "a row without its id"
        assert self.rules is not None
        whose = row.get(self.rules.patient_field) if self.rules.patient_field else None
        return ("wrong_patient", self.rules.patient_field) if whose not in (None, "") and str(whose) != number else None


class Beside:
    """The companion API's part of one section of one patient: ask, then settle."""

    def __init__(self, api: CompanionApi, section: Section, patient_id: str) -> None:
        self._api, self._patient = api, patient_id
        self._feeds = {name: feed for name, feed in api.feeds.items() if feed.section == section}
        self._part, self._failures = Found(), list[AdapterError]()
        self.asked, self.remark, self.types = 0, "", tuple(f.shape.type for f in self._feeds.values())

    async def ask(self, token: Token | None) -> None:
        """Read the feeds that have what the FHIR API has not. Never raises for what the site does."""
        await self._read([n for n, f in self._feeds.items() if f.use == "always"], token)

    async def settle(self, failures: list[AdapterError], token: Token | None) -> None:
        """Read the feeds that stand in for what the FHIR API did not give, and add to `failures` what could not be read.

        A section that the FHIR API does not offer or allow, and that the companion API gives whole, is there: its
        refusals turn into a remark. A search that broke stays told as what it is.
        """
        standing_in = [n for n, f in self._feeds.items() if f.use == "instead"] if failures else []
        before = len(self._failures)
        await self._read(standing_in, token)
        if standing_in and len(self._failures) == before:
            refused = [e for e in failures if isinstance(e, NotSupported | ScopeRefused)]
            if refused:
                names = ", ".join(self._name(n) for n in standing_in)
                self.remark = f"from {names}, as FHIR does not give it ({why(refused[0])})"
            failures[:] = [e for e in failures if e not in refused]
        failures += self._failures

    def give(self, found: Found) -> None:
        """Add what was brought so far, however the section ended."""
        found.add(self._part)

    def _name(self, feed: str) -> str:
        assert self._api.rules is not None
        return self._api.rules.name(feed)

    async def _read(self, names: list[str], token: Token | None) -> None:
        async def one(name: str) -> None:
            self.asked += 1
            part = Found()
            try:
                await self._api.read(name, self._patient, token, part)
            except AdapterError as error:
                told = copy.copy(error)  # one refusal of a token is told to many
                told.args = (f"{self._name(name)}: {error}",)
                self._failures.append(told)
            finally:  # also when the section's deadline passes in the middle of a list
                self._part.add(part)

        await asyncio.gather(*(one(name) for name in names))
