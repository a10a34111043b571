"""Check a site: open it, probe what the product asks for with a test patient, say what was found.

Probes are sent as the product's own requests are: through Source, at the site's pace and within its limits. All of them
together have a deadline; what it cut off is told as unanswered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import orjson

from adapters.conformance.companion import declared_feeds, probe_feeds
from adapters.conformance.found_types import Probed, ReadOne, not_read, types
from adapters.conformance.plan import probes_of, types_read
from adapters.conformance.report import ConformanceReport, FeedFound, Problem, windows
from adapters.errors import AdapterError, AuthorizationError, BadAnswer, ConfigurationError, SiteUnavailable
from adapters.fhir.http import Answer, tallied
from adapters.fhir.references import Key, References, references_of
from adapters.source import SiteReport, Source
from models.record import RawResource

DEADLINE_SECONDS = 60.0
"""For a whole check: an engineer learns in a minute what a hospital supports."""
SEARCH_SHARE = 0.8
"""Of the deadline, for searches; the rest is for reading what they refer to."""
REPEATS = 4
"""Times each search is sent again for its times, first page only."""
MOST_PAGES = 2
MOST_READS = 2
"""References of one type that are tried until one can be read: the first may lead nowhere."""
MOST_DRUGS = 25
"""Medications that are read: an order by reference is coded by them."""
MOST_SOFTWARE = 200
"""Characters of the server's own name."""
SPARED = frozenset({400, 422})
"""Statuses that may be about one parameter: then the search is tried without it."""
NO_PATIENT = "no test patient was given: what follows is declared, nothing was probed"
NO_LIST = "nothing came for a list of categories, and something for one of them: ask one by one (overrides.sections)"
UNANSWERED = "no answer before the deadline of the check"


async def check(
    source: Source,
    patient_id: str | None = None,
    *,
    deadline: float = DEADLINE_SECONDS,
    clock: Callable[[], float] = time.time,
) -> ConformanceReport:
    """The report on an open source. Never raises for what the site does. `patient_id`: a test patient's id at the site;
    without one nothing is probed, and the report says so. `clock` gives Unix time."""
    began, moment = time.monotonic(), datetime.fromtimestamp(clock(), UTC)
    try:
        async with asyncio.timeout(deadline):
            opened = await source.discover()
    except TimeoutError:
        return _closed(source, moment, SiteUnavailable("the deadline of the check passed", code="deadline"), began)
    except AdapterError as error:
        return _closed(source, moment, error, began)
    run = Run(source, opened, patient_id or "", moment, began + deadline)
    if patient_id:
        await run.searches()
        await run.reads()
        await run.rows()
    capabilities = opened.capabilities
    return ConformanceReport(
        **_about(source, moment),
        state="ready",
        probed=bool(patient_id),
        not_probed_because="" if patient_id else NO_PATIENT,
        software=capabilities.software[:MOST_SOFTWARE],
        fhir_version=capabilities.fhir_version,
        release=capabilities.release,
        statement_read=capabilities.declared,
        token_endpoint=opened.token_endpoint,
        endpoints_found_in=opened.discovered_by,
        scopes_asked=opened.scopes_asked,
        types=types(source.profile, opened, run.probed, run.read, patient_id, moment),
        not_read=not_read(opened, {*(p.probe.resource_type for p in run.probed), *run.read}),
        companion=run.companion if patient_id else declared_feeds(source),
        requests=source.requests,
        seconds=round(time.monotonic() - began, 1),
        deadline_passed=run.deadline_passed,
    )


def _about(source: Source, moment: datetime) -> dict[str, Any]:
    site = source.site
    return {
        "site": site.name,
        "title": site.title,
        "vendor": site.vendor,
        "variant": site.variant,
        "fhir_base": site.fhir_base,
        "checked_at": moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "upgrades": windows(source.profile.upgrades, moment.date()),
    }


def _closed(source: Source, moment: datetime, error: AdapterError, began: float) -> ConformanceReport:
    return ConformanceReport(
        **_about(source, moment),
        state=state_of(error),
        error=Problem.model_validate(error.to_dict()),
        probed=False,
        not_probed_because="the site could not be opened",
        requests=source.requests,
        seconds=round(time.monotonic() - began, 1),
    )


def state_of(error: AdapterError) -> Any:
    """The state of a site after an error."""
    if isinstance(error, ConfigurationError):
        return "misconfigured"
    return "needs_reauthorization" if isinstance(error, AuthorizationError) else "unavailable"


class Run:
    """The probes of one check."""

    def __init__(self, source: Source, opened: SiteReport, patient_id: str, moment: datetime, until: float) -> None:
        """`until`: when to stop, by the monotonic clock."""
        self._source, self._opened, self._patient = source, opened, patient_id
        self._began, self._until = time.monotonic(), until
        extra = source.profile.extra_types - opened.capabilities.types.keys()  # asked where they are declared
        probes = probes_of(source.profile, patient_id, moment.date())
        self.probed = [Probed(p) for p in probes if p.resource_type not in extra]
        searched = {p.probe.resource_type for p in self.probed}
        self.read = {kind: ReadOne() for kind in types_read(source.profile, searched)}
        self.companion: dict[str, FeedFound] = {}
        self.deadline_passed = False

    async def searches(self) -> None:
        """Every search, its second page, and its repeats; side by side, as the product sends them."""
        await self._within(
            (self._search(p) for p in self.probed), (self._until - self._began) * SEARCH_SHARE - self._spent()
        )

    async def reads(self) -> None:
        """One resource of each type that is only read because others refer to it."""
        wanted = References()
        for done in self.probed:
            for raw in done.found.resources.values():
                kinds = frozenset(self.read)
                references_of(orjson.loads(raw.content), self._source.site.fhir_base, kinds, wanted)
                if raw.resource_type in self.read:
                    self.read[raw.resource_type].came += 1
        keys = sorted(wanted.resources | set(wanted.documents))
        await self._within(
            (self._read(kind, [k for k in keys if k[0] == kind]) for kind in self.read),
            self._until - time.monotonic(),
        )

    async def rows(self) -> None:
        """One page of each list of the companion API, where the site has one."""
        asked = probe_feeds(self._source, self._patient, self.companion)
        await self._within([asked], self._until - time.monotonic())

    def _spent(self) -> float:
        return time.monotonic() - self._began

    async def _within(self, work: Iterable[Awaitable[None]], seconds: float) -> None:
        tasks = [asyncio.ensure_future(w) for w in work]
        if not tasks:
            return
        done, late = await asyncio.wait(tasks, timeout=max(0.0, seconds))
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        self.deadline_passed = self.deadline_passed or bool(late)
        for task in done:
            task.result()

    async def _search(self, into: Probed) -> None:
        with tallied() as into.tally:
            into.error = SiteUnavailable(UNANSWERED, code="deadline")  # until there is an answer
            try:
                into.found = await self._source.look(into.probe.search, self._patient, MOST_PAGES, into.answers)
                into.error = None
            except AdapterError as error:
                into.error = error
        if into.error is None and await self._reads_no_list(into):
            into.error = BadAnswer(NO_LIST, code="list_not_read")
        elif into.error is None:
            await self._again(into)
        elif into.error.status in SPARED:
            await self._spare(into)

    async def _reads_no_list(self, into: Probed) -> bool:
        """Whether a search for several categories brought nothing that a search for one of them brings."""
        search = into.probe.search
        if len(search.categories) < 2 or any(kind == search.resource_type for kind, _ in into.found.resources):
            return False
        for category in search.categories:
            params = tuple((n, category if n == "category" else v) for n, v in search.params)
            with tallied(), suppress(AdapterError):
                alone = await self._source.look(search._replace(params=params), self._patient, 1, [])
                if any(kind == search.resource_type for kind, _ in alone.resources):
                    return True
        return False

    async def _again(self, into: Probed) -> None:
        for _ in range(REPEATS):
            with tallied() as tally, suppress(AdapterError):
                await self._source.look(into.probe.search, self._patient, 1, [])
            into.tally.requests += tally.requests
            into.tally.answers += tally.answers

    async def _spare(self, into: Probed) -> None:
        """Find the parameter that a search is refused for: without it, it passes. Nothing that comes is kept."""
        needed = {into.probe.patient_param, *self._source.profile.required_params}
        for name in dict.fromkeys(n for n, _ in into.probe.search.params if n not in needed):
            with tallied(), suppress(AdapterError):
                await self._source.look(into.probe.without(name), self._patient, 1, [])
                into.refused_with = name
                return

    async def _read(self, kind: str, keys: Sequence[Key]) -> None:
        into = self.read[kind]
        granted = not self._opened.scopes_asked or kind in self._opened.types_granted
        if into.came or not keys or not granted:
            return
        limits = self._source.profile.limits
        most = limits.max_attachment_bytes if kind == "Binary" else limits.max_body_bytes
        enough = MOST_DRUGS if kind == "Medication" else 1
        into.error = SiteUnavailable(UNANSWERED, code="deadline")
        with tallied() as into.tally:
            for _, found in keys[: max(MOST_READS, enough)]:
                url = f"{self._source.site.fhir_base}/{kind}/{quote(found, safe='')}"
                try:
                    answer = await self._source.get(url, kind, most)
                except AdapterError as error:
                    into.error = error if not into.came else None
                    continue
                into.came, into.error = into.came + 1, None
                if kind == "Medication":
                    into.drugs.append(self._drug(found, answer))
                if into.came >= enough:
                    return

    def _drug(self, found: str, answer: Answer) -> RawResource:
        return RawResource(
            tenant=self._source.tenant,
            site=self._source.site.name,
            resource_type="Medication",
            resource_id=found,
            content=answer.text,
            fhir_version=self._opened.capabilities.release,
        )
