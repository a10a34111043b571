"""What the routes and commands call: the store and the workflows, with their refusals turned into problems."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from adapters.errors import AdapterError, ConfigurationError
from adapters.profile import parse_site
from models.record import Chart, RawResource
from service.api.conformance import Conformance
from service.api.connections import Connections
from service.api.identity import Identity
from service.api.problems import Problem
from service.api.quality import Quality
from service.api.reading import Reading
from service.api.refusals import HANDLE, known, refusals
from service.api.review import Reviewing
from service.api.schemas import (
    Freshness,
    FreshnessLine,
    PatientRow,
    Patients,
    RegisterBody,
    RunState,
    SearchBody,
    SiteSearchBody,
)
from service.api.session import FailedLogins, Sessions
from service.api.writing import Writing
from service.settings import Settings
from service.store import Store, StoreUnavailable
from service.store.access import hash_secret

if TYPE_CHECKING:
    from service.workflows import Runtime

log = structlog.get_logger("chartbrief.api")
T = TypeVar("T")

POLL_SECONDS = 0.1
TOKEN = re.compile(r"cb_([0-9a-f]{12})_([0-9a-f]{64})")


@dataclass(frozen=True)
class Principal:
    """The caller: a key with its tenant and role."""

    tenant: str
    key_id: str
    role: str


class Services(Reading, Connections, Conformance, Quality, Writing, Identity, Reviewing):
    """Everything a route or a command may call. What a caller can cause is raised as Problem, and nothing else."""

    def __init__(self, settings: Settings, store: Store | None = None, runtime: Runtime | None = None) -> None:
        self.settings = settings
        self.runtime = runtime
        self.sessions = Sessions(secrets.token_bytes(32), settings.session_minutes * 60)
        self.failed_logins = FailedLogins()
        self._store = store

    @asynccontextmanager
    async def lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Without a store of its caller's, the app opens one, with its workflows, and closes both at the end."""
        if self._store is not None:
            yield
            return
        from service.workflows import Runtime

        self._store = await run_in_threadpool(Store, self.settings)
        self.runtime = await run_in_threadpool(Runtime(self._store, schedules=True).launch)
        try:
            yield
        finally:
            await run_in_threadpool(self.runtime.close)
            await run_in_threadpool(self._store.close)
            self._store = self.runtime = None

    @property
    def store(self) -> Store:
        """The open store."""
        if self._store is None:
            raise Problem("unavailable")
        return self._store

    @staticmethod
    def now() -> datetime:
        """The moment to compare ages with."""
        return datetime.now(UTC)

    @staticmethod
    async def off_loop(function: Callable[..., T], *arguments: Any) -> T:
        """Run something that waits for the database without holding up the event loop."""
        return await run_in_threadpool(function, *arguments)

    # Access ----------------------------------------------------------------------------------------------------------

    def authenticate(self, token: str) -> Principal | None:
        """The principal of a key; None for anything that is not one of ours."""
        match = TOKEN.fullmatch(token)
        if match is None:
            return None
        with refusals():
            row = self.store.api_key(match[1])
        if row is None or not hmac.compare_digest(row["secret_hash"], hash_secret(match[2])):
            return None
        return Principal(row["tenant"], row["key_id"], row["role"])

    def principal_of(self, key_id: str) -> Principal | None:
        """The principal behind a session's key, unless it was revoked meanwhile."""
        with refusals():
            row = self.store.api_key(key_id)
        return Principal(row["tenant"], row["key_id"], row["role"]) if row else None

    def audit(self, principal: Principal | None, route: str, status: int, about: str = "") -> bool:
        """One audit row, about a patient where the request named one; False when it could not be written."""
        tenant, actor = (principal.tenant, principal.key_id) if principal else (self.settings.tenant, "anonymous")
        try:
            self.store.audit(tenant, actor, route, outcome(status), about if HANDLE.fullmatch(about) else None)
        except Exception as error:  # noqa: BLE001  whatever stops the audit stops the answer
            log.error("audit_failed", route=route, code="audit_unavailable", error=type(error).__name__)
            return False
        return True

    def ready(self) -> None:
        """Raise unless the database answers."""
        try:
            self.store.ping()
        except (StoreUnavailable, Problem):
            raise Problem("not_ready") from None

    def create_key(self, tenant: str, role: str, label: str) -> tuple[str, str]:
        """A new key: its id, and the token that is told this once."""
        with refusals():
            return self.store.create_api_key(tenant, role, label)

    def keys(self, tenant: str) -> list[dict[str, Any]]:
        """The tenant's keys, without their secrets."""
        with refusals():
            return self.store.api_keys(tenant)

    def revoke_key(self, tenant: str, key_id: str) -> bool:
        """End a key; False when there is no such key."""
        with refusals():
            return self.store.revoke_api_key(tenant, key_id)

    # Sites -----------------------------------------------------------------------------------------------------------

    def sites(self, tenant: str) -> list[dict[str, Any]]:
        """All sites with their state."""
        with refusals():
            stale = self.store.stale_patients(tenant)
            return [site | {"stale_patients": stale.get(site["name"], 0)} for site in self.store.sites(tenant)]

    def site(self, tenant: str, name: str) -> dict[str, Any]:
        """One site, with the public key to register at its vendor."""
        found = next((s for s in self.sites(tenant) if s["name"] == name), None)
        if found is None:
            raise Problem("unknown_site")
        with refusals():
            config, jwks = self.store.site(tenant, name), list[dict[str, Any]]()
            if config.needs_key:
                self.store.client_key(tenant, name, config.profile().key_algorithm)
                jwks = self.store.public_keys(tenant, name)
        return found | {"jwks": {"keys": jwks}}

    def put_site(self, tenant: str, config: dict[str, Any], *, replace: bool) -> dict[str, Any]:
        """Connect a site, or change its connection."""
        try:
            parsed = parse_site(config)
        except ConfigurationError as error:
            raise Problem("invalid_site", str(error), reason=error.code) from None
        if not replace and any(s["name"] == parsed.name for s in self.sites(tenant)):
            raise Problem("conflict", "a site of that name is connected already; PUT changes it")
        with refusals():
            self.store.put_site(tenant, parsed)
        return self.site(tenant, parsed.name)

    def search_at_site(self, tenant: str, name: str, asked: SiteSearchBody) -> list[dict[str, Any]]:
        """Whom a site knows by these criteria; nothing is stored."""
        from service.workflows.site_search import find_at_site

        self.site(tenant, name)
        with refusals():
            try:
                found = find_at_site(self.store, tenant, name, **asked.model_dump(exclude_none=True))
            except AdapterError as error:
                raise Problem("site_refused", reason=error.code, action=error.action) from None
        return [match.to_dict() for match in found]

    # Patients --------------------------------------------------------------------------------------------------------

    def patients(self, tenant: str) -> list[dict[str, Any]]:
        """The registered patients."""
        with refusals():
            return self.store.patients(tenant)

    def patient_page(self, tenant: str, first: int, most: int) -> Patients:
        """Some of the registered patients, in the order in which they came."""
        with refusals():
            rows, total = self.store.patient_page(tenant, first, most)
        items = [PatientRow.model_validate(row) for row in rows]
        return Patients(items=items, count=len(items), total=total)

    def search(self, tenant: str, asked: SearchBody) -> Patients:
        """Patients all given criteria hold for."""
        with refusals():
            found = self.store.search_patients(
                tenant, name=asked.name, birth_date=asked.birth_date, identifier=asked.identifier
            )
        items = [PatientRow.model_validate(row) for row in found[: asked.limit]]
        return Patients(items=items, count=len(items), total=len(found))

    def register(self, tenant: str, body: RegisterBody) -> str:
        """Say that a site knows a patient; returns our id."""
        with refusals():
            if body.patient_id is not None:
                there = self.store.links(tenant, body.patient_id).get(body.site)
                if there not in (None, body.site_patient_id):
                    raise Problem("conflict", "the patient is linked to another patient of that site already")
            try:
                return self.store.register_patient(tenant, body.site, body.site_patient_id, body.patient_id)
            except ValueError:
                raise Problem("conflict", "that site's patient is already linked to another patient") from None

    def start_refresh(self, tenant: str, patient_id: str, sites: list[str] | None) -> str:
        """Start a refresh; returns its run id."""
        known(patient_id, "unknown_patient")
        with refusals():
            self.store.links(tenant, patient_id)
            return self._runtime().start_refresh(tenant, patient_id, sites)

    def refresh(self, tenant: str, patient_id: str, sites: list[str] | None, wait_seconds: float) -> RunState:
        """Start a refresh and wait for its end at most `wait_seconds`."""
        run_id = self.start_refresh(tenant, patient_id, sites)
        with refusals():
            found = self._runtime().run(tenant, run_id, wait_seconds)
        return _run_state(found, run_id, patient_id)

    async def refresh_and_wait(
        self, tenant: str, patient_id: str, sites: list[str] | None, wait_seconds: float
    ) -> RunState:
        """The same, without holding a thread while it waits: the others need those."""
        run_id = await self.off_loop(self.start_refresh, tenant, patient_id, sites)
        deadline = time.monotonic() + wait_seconds
        while True:
            state = await self.off_loop(self.run, tenant, patient_id, run_id)
            if state.ended or time.monotonic() >= deadline:
                return state
            await asyncio.sleep(POLL_SECONDS)

    def run(self, tenant: str, patient_id: str, run_id: str) -> RunState:
        """How far a refresh of this patient is."""
        known(patient_id, "unknown_patient")
        known(run_id, "unknown_run")
        with refusals():
            self.store.links(tenant, patient_id)
            found = self.store.run(tenant, run_id)
        if found is None or found["patient_id"] != patient_id:
            raise Problem("unknown_run")
        return _run_state(found, run_id, patient_id)

    def links(self, tenant: str, patient_id: str) -> dict[str, str]:
        """The sites that know a patient, and as whom."""
        known(patient_id, "unknown_patient")
        with refusals():
            return self.store.links(tenant, patient_id)

    def chart(self, tenant: str, patient_id: str, as_of: str | None = None) -> Chart:
        """The patient's chart from all sites."""
        known(patient_id, "unknown_patient")
        with refusals():
            return self.store.chart(tenant, patient_id, as_of=as_of)

    def quarantine(self, tenant: str, patient_id: str) -> list[dict[str, Any]]:
        """What could not be used, without the bytes."""
        known(patient_id, "unknown_patient")
        with refusals():
            return self.store.quarantine(tenant, patient_id)

    def raw(
        self, tenant: str, patient_id: str, site: str, resource_type: str, resource_id: str, version: str | None = None
    ) -> RawResource:
        """A resource of this patient as it was received: the current one, or the version an origin names."""
        known(patient_id, "unknown_patient")
        for part in (site, resource_type, resource_id):
            known(part, "unknown_resource")
        if version is not None and not version.isprintable():
            raise Problem("unknown_resource")
        with refusals():
            self.store.links(tenant, patient_id)
            found = self.store.raw(tenant, patient_id, site, resource_type, resource_id, version)
        if found is None:
            raise Problem("unknown_resource")
        return found

    def freshness(self, tenant: str, patient_id: str) -> Freshness:
        """When each section of each site was last true."""
        known(patient_id, "unknown_patient")
        moment = self.now()
        with refusals():
            lines = self.store.coverage(tenant, patient_id)
        newest: dict[str, str | None] = {}
        for line in lines:
            newest[line.site] = max(newest.get(line.site) or "", line.as_of) or None
        return Freshness(
            patient_id=patient_id,
            as_of=moment.isoformat(timespec="seconds").replace("+00:00", "Z"),
            sites=newest,
            sections=[
                FreshnessLine(
                    section=c.section,
                    site=c.site,
                    state=c.state,
                    last_updated=c.as_of or None,
                    age_seconds=_age(c.as_of, moment),
                    reason=c.reason,
                    offered=c.offered,
                    stored=c.stored,
                    quarantined=c.quarantined,
                    missing=c.missing,
                )
                for c in lines
            ],
        )

    def purge(self, tenant: str) -> dict[str, int]:
        """Delete what is older than it is kept; how many of each."""
        with refusals():
            return self._runtime().purge(tenant)

    def _runtime(self) -> Runtime:
        if self.runtime is None:
            raise Problem("unavailable", "this process runs no workflows")
        return self.runtime


def outcome(status: int) -> str:
    """The audit's word for an HTTP status."""
    if status < 400:
        return "ok"
    return {401: "denied", 403: "denied", 404: "not_found"}.get(status, "refused" if status < 500 else "failed")


def _run_state(found: Mapping[str, Any] | None, run_id: str, patient_id: str) -> RunState:
    if found is None:
        raise Problem("unknown_run")
    return RunState(run_id=run_id, patient_id=patient_id, state=found["state"], report=found.get("report"))


def _age(instant: str, moment: datetime) -> int | None:
    if not instant:
        return None
    then = datetime.fromisoformat(instant.replace("Z", "+00:00"))
    return max(int((moment - (then if then.tzinfo else then.replace(tzinfo=UTC))).total_seconds()), 0)
