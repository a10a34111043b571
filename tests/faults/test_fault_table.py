"""The fault table F01 to F11 through the store: its oracle is the ledger and an equal final chart, in several dresses.

A fault that passes by itself must leave no trace: chart, ledger and raw rows of the one refresh are those without it. One
that stays must be told, may bring nothing foreign and wipe nothing, and when it is gone the next refresh gives the chart and
the ledger of the hospital without it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pytest
from adapter_kit import Clock, balanced, opened, site_at
from fault_kit import PATIENT, PRACTICE, hospital
from sign_in_kit import app_at, params, sign_in
from workflow_kit import facts

from adapters.profile import SiteConfig
from adapters.source import SectionFetch, Source
from models.record import SECTIONS, Chart, Ledger
from service.practice_ehr import Fault, PracticeEhr
from service.practice_ehr.faults import Faults
from service.settings import Settings
from service.store import Store

DRESSES = ("epic", "oracle_health", "athenahealth", "eclinicalworks", "oracle_health_dstu2", "generic")
PAGE = 3
ANSWERED = {"present", "filtered"}
"""Dresses whose site holds something back by its own rules say so of a section that is otherwise whole."""
"""Resources on a page: every section of several resources has several pages."""
REDIRECT = "http://127.0.0.1:1/smart/callback"
APP = "app-1"
RAW = "select resource_type, resource_id, version, content_hash from raw where tenant = %s order by 1, 2, 3, 4"


@dataclass
class Told:
    """What one refresh left behind."""

    chart: Chart
    ledger: Ledger
    raw: list[tuple[Any, ...]]
    fetches: dict[str, SectionFetch]

    @cached_property
    def facts(self) -> bytes:
        return facts(self.chart)

    @cached_property
    def entries(self) -> dict[str, bytes]:
        """Entry id -> what it says, without when it was read and what it has to do with others."""
        rows = json.loads(self.facts).get("entries", [])
        return {row["id"]: json.dumps({k: v for k, v in row.items() if k != "flags"}).encode() for row in rows}


class World:
    """Hospitals by dress, and one store in which every case is a tenant of its own."""

    def __init__(self, store: Store, url: str) -> None:
        self.store, self._url, self._number = store, url, 0
        self._running: dict[str, PracticeEhr] = {}
        self._clean: dict[str, Told] = {}

    def close(self) -> None:
        for ehr in self._running.values():
            ehr.stop()

    def tenant(self) -> str:
        self._number += 1
        return f"t{self._number}"

    def ehr(self, dress: str) -> PracticeEhr:
        if dress not in self._running:
            self._running[dress] = hospital(dress, auth=True, vitals=8, apps={APP: app_at(REDIRECT)}).start()
        ehr = self._running[dress]
        ehr.faults.clear()
        ehr.state.requests.clear()
        return ehr

    def clean(self, dress: str) -> Told:
        """What the hospital gives without any fault."""
        ehr = self.ehr(dress)
        if dress not in self._clean:
            told = self.refresh(ehr, self.tenant())
            assert told.chart.entries and {f.coverage.state for f in told.fetches.values()} <= ANSWERED
            self._clean[dress] = told
        ehr.state.requests.clear()
        return self._clean[dress]

    def site(self, ehr: PracticeEhr, **limits: Any) -> SiteConfig:
        dress = ehr.state.dress
        overrides: dict[str, Any] = {"paging": {"count": PAGE}} | (PRACTICE if dress.profile == "athenahealth" else {})
        more = {"overrides": overrides, "limits": limits, "variant": dress.variant}
        return site_at(ehr.base_url, dress.profile, auth="backend", **more)

    def refresh(
        self,
        ehr: PracticeEhr,
        tenant: str,
        *,
        meanwhile: Callable[[PracticeEhr], None] | None = None,
        site: SiteConfig | None = None,
        **limits: Any,
    ) -> Told:
        """Fetch and commit, as a step of a run does; every account on the way must balance."""
        store, site = self.store, site or self.site(ehr, **limits)
        store.put_site(tenant, site)
        patient_id = store.register_patient(tenant, site.name, PATIENT)
        run = store.begin_run(tenant, patient_id, [site.name])
        tokens = store.tokens(tenant, PATIENT if site.one_patient_each else "")

        async def fetch() -> tuple[list[SectionFetch], Any]:
            async with opened(site, Clock(), tenant=tenant, tokens=tokens) as source:
                if meanwhile is not None:
                    await source.discover()
                    meanwhile(ehr)
                return await source.fetch_patient(PATIENT, SECTIONS), source.profile.normalization

        fetches, rules = asyncio.run(fetch())
        assert all(balanced(f) for f in fetches)
        ledger = store.commit_fetch(tenant, patient_id, site.name, fetches, rules, run_id=run)
        accounts = store.committed_sections(tenant, run, site.name)
        store.end_run(tenant, run, "done")
        for fetched in fetches:
            account, line = accounts[fetched.section], fetched.coverage
            assert account["offered"] == account["stored"] + account["quarantined"] + account["missing"]
            assert (account["offered"], account["stored"]) == (line.offered, line.stored)
        with psycopg.connect(self._url) as db:
            raw = db.execute(RAW, (tenant,)).fetchall()
        chart = store.chart(tenant, patient_id)
        assert ledger.balanced and chart.ledger == ledger and len(raw) == len(set(raw))
        assert len({e.id for e in chart.entries}) == len(chart.entries)
        return Told(chart, ledger, raw, {f.section: f for f in fetches})


@pytest.fixture(scope="module")
def world(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    name = f"fault_table_{os.getpid()}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"drop database if exists {name} with (force)")
        admin.execute(f"create database {name} template chartbrief_template")
        url = postgres_url.replace("/postgres?", f"/{name}?")
        store = Store(Settings(home=tmp_path_factory.mktemp("faults") / "home", database_url=url))
        made = World(store, url)
        yield made
        made.close()
        store.close()
        admin.execute(f"drop database if exists {name} with (force)")


def two_dresses(number: int) -> tuple[str, str]:
    """By turns, so that each F-number is met in several dresses."""
    return DRESSES[number % len(DRESSES)], DRESSES[(number + 2) % len(DRESSES)]


def cases(rows: dict[str, Any], dresses: int = 2) -> list[Any]:
    return [
        pytest.param(name, dress, id=f"{name}-{dress}")
        for number, name in enumerate(rows)
        for dress in two_dresses(number)[: 2 if name.startswith(("F06", "F08")) else dresses]
    ]


PAGE_OF_FAULTS = Path(__file__).parents[2] / "docs" / "practice-ehr.md"


def test_the_rehearsals_of_the_documentation_are_the_table(tmp_path: Path) -> None:
    """What a user copies from the page loads, and is a fault that the tests below hold the product to."""
    rows = re.findall(r"^\| (F\d\d) \|[^|]*\| (.*) \|$", PAGE_OF_FAULTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [number for number, _ in rows] == [f"F{n:02}" for n in range(1, 12)]
    ours = [(n, f) for n, row in [*PASSING.items(), *STAYING.items()] for f in row[0]]
    ours += [(n, f) for n, faults in DELEGATED.items() for f in faults] + [("F08", Fault(kind="refresh_revoked"))]
    tested = {(name[:3], fault.kind) for name, fault in ours} | {("F09", "expire_token"), ("F05", "huge_line")}
    for number, cell in rows:
        lines = re.findall(r"\{ kind = [^}]*\}", cell)
        file = tmp_path / f"{number}.toml"
        file.write_text(f"faults = [{', '.join(lines)}]", encoding="utf-8")
        faults = Faults.from_file(file).items
        assert faults and {(number, f.kind) for f in faults} <= tested


# Faults that pass ----------------------------------------------------------------------------------------------------

Row = tuple[tuple[Fault, ...], dict[str, Any]]


def _row(*faults: Fault, **limits: Any) -> Row:
    return faults, limits


def _twice(kind: str, resource_type: str = "Observation", **more: Any) -> Fault:
    return Fault(kind=kind, resource_type=resource_type, times=2, **more)  # type: ignore[arg-type]


PASSING: dict[str, Row] = {
    "F01 seconds": _row(_twice("status", status=429, retry_after="2")),
    "F01 date": _row(_twice("status", status=429, retry_after="date:3")),
    "F01 absent": _row(_twice("status", status=429)),
    "F01 token": _row(Fault(kind="status", resource_type="token", status=429, retry_after="1", times=1)),
    "F02 500": _row(Fault(kind="status", status=500, body="html", times=5), tries=8),
    "F02 502": _row(Fault(kind="status", status=502, body="empty", times=5), tries=8),
    "F02 503": _row(Fault(kind="status", status=503, retry_after="1", times=5), tries=8),
    "F02 504": _row(Fault(kind="status", status=504, body="text", times=5), tries=8),
    "F02 token": _row(Fault(kind="status", resource_type="token", status=503, times=1)),
    "F02 discovery": _row(
        Fault(kind="status", resource_type="metadata", status=502, times=1),
        Fault(kind="status", resource_type="smart-configuration", status=503, times=1),
    ),
    "F03 timeout": _row(Fault(kind="delay", resource_type="Observation", seconds=9, times=1), request_seconds=1),
    "F03 reset": _row(_twice("reset")),
    "F03 cut": _row(_twice("cut")),
    "F04 drip": _row(Fault(kind="drip", resource_type="Observation", seconds=0.3, times=1), request_seconds=1),
    "F05 truncated": _row(Fault(kind="truncated_json", resource_type="Observation", times=1)),
    **{
        f"F07 page {k}": _row(Fault(kind="expire_token", resource_type="Observation", page=k, times=1))
        for k in (1, 2, 3)
    },
    "F10 duplicates": _row(Fault(kind="duplicates")),
    "F10 empty page": _row(Fault(kind="empty_page")),
    "F10 long link": _row(Fault(kind="long_link")),
    "F10 dead once": _row(Fault(kind="dead_link", resource_type="Observation", times=1)),
    "F11 behind": _row(Fault(kind="clock_skew", seconds=-600)),
    "F11 ahead": _row(Fault(kind="clock_skew", seconds=600)),
    "F11 with F01": _row(Fault(kind="clock_skew", seconds=300), _twice("status", status=429, retry_after="date:3")),
    "F11 leeway": _row(Fault(kind="clock_skew", seconds=55)),
}


@pytest.mark.parametrize(("name", "dress"), cases(PASSING))
def test_a_fault_that_passes_leaves_no_trace(world: World, name: str, dress: str) -> None:
    clean, ehr = world.clean(dress), world.ehr(dress)
    faults, limits = PASSING[name]
    ehr.faults.set(*faults)
    calls = ehr.state.token_calls
    told = world.refresh(ehr, world.tenant(), **limits)
    assert told.facts == clean.facts and told.ledger == clean.ledger and told.raw == clean.raw
    if name.startswith("F07"):
        assert ehr.state.token_calls == calls + 2, "the first token and exactly one renewal"
    seen = [(r.interaction, r.status) for r in ehr.requests]
    assert name.startswith(("F03", "F04", "F05", "F10", "F11")) or any(s >= 400 for _, s in seen), "it did strike"


@pytest.mark.parametrize("dress", ["epic", "oracle_health", "athenahealth"])
def test_f05_a_line_of_five_megabytes_is_read_with_its_page(world: World, dress: str) -> None:
    clean, ehr = world.clean(dress), world.ehr(dress)
    ehr.faults.set(Fault(kind="huge_line", resource_type="Condition", times=1))
    told = world.refresh(ehr, world.tenant())
    assert set(told.entries) == set(clean.entries) and told.ledger == clean.ledger
    assert [c.complete for c in told.chart.coverage] == [c.complete for c in clean.chart.coverage]
    assert len(set(told.raw) - set(clean.raw)) == 1, "the one that is longer"


# Faults that stay ----------------------------------------------------------------------------------------------------

LABS = ("vitals", "labs", "social_history", "assessments")
"""What is searched as Observation."""
EVERY = tuple(SECTIONS)
Stay = tuple[tuple[Fault, ...], dict[str, Any], tuple[str, ...], str]


def _stay(*faults: Fault, hurt: tuple[str, ...] = LABS, reason: str = "", **limits: Any) -> Stay:
    return faults, limits, hurt, reason


def _on(kind: str, **more: Any) -> Fault:
    return Fault(kind=kind, resource_type="Observation", **more)  # type: ignore[arg-type]


STAYING: dict[str, Stay] = {
    "F01 absurd": _stay(_on("status", status=429, retry_after="999999999"), reason="http_429", max_wait_seconds=5),
    "F01 date absurd": _stay(
        _on("status", status=429, retry_after="date:90000"), reason="http_429", max_wait_seconds=5
    ),
    "F02 one type": _stay(_on("status", status=503), reason="http_503", tries=2),
    "F02 all": _stay(Fault(kind="status", status=502, body="html"), hurt=EVERY, reason="http_502", tries=2),
    "F02 token": _stay(Fault(kind="status", resource_type="token", status=503), hurt=EVERY, reason="http_503"),
    "F03 reset": _stay(_on("reset"), reason="connection_failed", tries=2),
    "F03 cut": _stay(_on("cut"), reason="connection_failed", tries=2),
    "F03 timeout": _stay(
        Fault(kind="delay", resource_type="Condition", seconds=20),
        hurt=("problems",),
        reason="timeout",
        tries=1,
        request_seconds=0.7,
    ),
    "F04 drip": _stay(
        Fault(kind="drip", resource_type="Condition", seconds=0.3),
        hurt=("problems",),
        reason="timeout",
        tries=1,
        request_seconds=0.7,
    ),
    "F04 endless": _stay(_on("endless_body"), reason="too_large", tries=1, max_body_bytes=200_000),
    "F04 huge": _stay(_on("huge_line", size=400_000), reason="too_large", tries=1, max_body_bytes=200_000),
    "F05 login page": _stay(_on("html_login"), reason="html_body"),
    "F05 another resource": _stay(_on("wrong_resource")),
    "F05 outcome": _stay(_on("operation_outcome")),
    "F05 truncated": _stay(_on("truncated_json"), tries=2),
    "F05 bad entries": _stay(_on("bad_entry")),
    "F05 wrong entries": _stay(_on("wrong_entries")),
    "F05 depth": _stay(_on("deep")),
    "F06 foreign": _stay(Fault(kind="token_foreign"), hurt=EVERY, reason="egress_"),
    "F08 revoked": _stay(Fault(kind="revoked_client"), hurt=EVERY, reason="needs_reauthorization"),
    "F10 self": _stay(Fault(kind="self_loop", resource_type="Observation"), hurt=("vitals",), reason="paging_loop"),
    "F10 A-B-A": _stay(_on("a_b_a"), hurt=("vitals",), reason="paging_loop"),
    "F10 endless": _stay(_on("endless"), hurt=("vitals",), reason="paging_endless"),
    "F10 foreign": _stay(_on("foreign_link"), hurt=("vitals",), reason="egress_"),
    "F10 dead": _stay(_on("dead_link"), hurt=("vitals",), reason="a page was lost"),
    "F10 redirect": _stay(_on("foreign_redirect"), reason="egress_"),
}


@pytest.mark.parametrize(("name", "dress"), cases(STAYING, 1))
def test_a_fault_that_stays_is_told_and_wipes_nothing(world: World, name: str, dress: str) -> None:
    clean, ehr = world.clean(dress), world.ehr(dress)
    faults, limits, hurt, reason = STAYING[name]
    tenant = world.tenant()

    ehr.faults.set(*faults)
    struck = world.refresh(ehr, tenant, **limits)
    told(struck, hurt, reason)
    for entry, words in struck.entries.items():
        assert entry in clean.entries, "nothing foreign"
        assert name == "F05 depth" or words == clean.entries[entry]
    for section in set(SECTIONS) - {*hurt, *LABS}:
        assert struck.fetches[section].coverage.state in ANSWERED, section

    ehr.faults.clear()
    whole = world.refresh(ehr, tenant, **limits)
    assert whole.facts == clean.facts and whole.ledger == clean.ledger, "the next refresh mends it"
    assert set(whole.raw) >= set(clean.raw)

    ehr.faults.set(*faults)
    ehr.state.auth.revoke_tokens()  # the one in the store would hide a token endpoint that is gone
    again = world.refresh(ehr, tenant, **limits)
    told(again, hurt, reason)
    assert set(again.entries) == set(clean.entries), "what was known is kept"


def told(struck: Told, hurt: tuple[str, ...], reason: str) -> None:
    """The coverage of the chart, not only of the fetch, says what is hurt and why."""
    lines = {c.section: c for c in struck.chart.coverage}
    whole = [s for s in hurt if lines[s].complete]
    assert not whole, f"hurt and said to be whole: {whole}"
    assert not reason or any(reason in lines[s].reason for s in hurt), {s: lines[s].reason for s in hurt}
    assert struck.chart.ledger.balanced


# What a person authorized, with a refresh token that is good for one use ------------------------------------------------


def signed_in(world: World, ehr: PracticeEhr, tenant: str) -> SiteConfig:
    """A standalone site with its authorization in the store, as the callback leaves it there."""
    more = {"redirect_uri": REDIRECT, "client_auth": "none", "client_id": APP, "variant": ehr.state.dress.variant}
    overrides = {"paging": {"count": PAGE}} | (PRACTICE if ehr.state.dress.profile == "athenahealth" else {})
    site = site_at(ehr.base_url, ehr.state.dress.profile, auth="standalone", overrides=overrides, **more)
    tokens = world.store.tokens(tenant, PATIENT)

    async def begin() -> None:
        async with Source(tenant, site, tokens=tokens) as source:
            url, kept = await source.begin_launch()
            back = await asyncio.to_thread(sign_in, url, PATIENT)
            await tokens.put(site.name, await source.finish_launch(kept, params(back)))

    world.store.put_site(tenant, site)
    asyncio.run(begin())
    return site


DELEGATED: dict[str, tuple[Fault, ...]] = {
    "F06": (Fault(kind="token_moved"),),
    **{f"F07 page {k}": (Fault(kind="expire_token", resource_type="Observation", page=k, times=1),) for k in (1, 2, 3)},
    "F09 all at once": (),
    "F11 ahead": (Fault(kind="clock_skew", seconds=600),),
    "F11 behind": (Fault(kind="clock_skew", seconds=-600),),
}


@pytest.mark.parametrize(
    ("name", "dress"), [pytest.param(n, d, id=f"{n}-{d}") for n in DELEGATED for d in ("epic", "oracle_health")]
)
def test_a_persons_authorization_survives_with_one_refresh_and_an_equal_chart(
    world: World, name: str, dress: str
) -> None:
    ehr, tenant = world.ehr(dress), world.tenant()
    site = signed_in(world, ehr, tenant)
    clean = world.refresh(ehr, tenant, site=site)
    calls = ehr.state.token_calls

    def end_tokens(at: PracticeEhr) -> None:
        at.faults.set(*DELEGATED[name])  # once discovery is over: a token endpoint moves behind our back
        if not name.startswith("F07"):
            at.state.auth.revoke_tokens()  # every request that is under way now comes back with 401

    told = world.refresh(ehr, tenant, site=site, meanwhile=end_tokens)
    assert told.facts == clean.facts and told.ledger == clean.ledger and told.raw == clean.raw
    moved = name == "F06"  # once at the old place, once at the new one
    assert ehr.state.token_calls == calls + 1 + moved, "exactly one refresh"
    assert world.refresh(ehr, tenant, site=site).facts == clean.facts, "with the refresh token that replaced the other"


@pytest.mark.parametrize("dress", ["epic", "oracle_health"])
def test_f08_an_authorization_that_ended_is_told_keeps_the_chart_and_is_asked_about_once(
    world: World, dress: str
) -> None:
    ehr, tenant = world.ehr(dress), world.tenant()
    site = signed_in(world, ehr, tenant)
    clean = world.refresh(ehr, tenant, site=site)
    ehr.faults.set(Fault(kind="refresh_revoked"))
    ehr.state.auth.revoke_tokens()
    calls = ehr.state.token_calls
    struck = [world.refresh(ehr, tenant, site=site) for _ in range(2)]
    assert ehr.state.token_calls == calls + 1
    for run in struck:
        assert run.entries == clean.entries and {c.state for c in run.chart.coverage} == {"stale"}
        assert {f.coverage.state for f in run.fetches.values()} == {"not_authorized"}
        told(run, EVERY, "needs_reauthorization")
    ehr.faults.clear()
    assert world.refresh(ehr, tenant, site=signed_in(world, ehr, tenant)).facts == clean.facts


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "America/New_York", "Pacific/Kiritimati"])
def test_f11_our_own_time_zone_does_not_matter(world: World, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-hour summer time, the wrong side of midnight, the far side of the date line."""
    clean, ehr = world.clean("epic"), world.ehr("epic")
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        tenant = world.tenant()
        once, twice = (world.refresh(ehr, tenant) for _ in range(2))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert once.facts == twice.facts == clean.facts
    assert once.raw == twice.raw == clean.raw, "the overlap is read again and changes nothing"
