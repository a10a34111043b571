"""`chartbrief demo`: three practice hospitals, one patient, from discovery to the page, with the product's own parts.

Nothing here is a shortcut: the hospitals are HTTP servers on loopback that misbehave like their models (demo.toml), and
everything between them and the page goes through the same store, workflows, normalizer, context builder and API as in
production. The demo keeps its own data beside the user's, in `<home>/demo` on the embedded database, under a tenant named
after what the hospitals hold: the same people are read again, other people never mix with them.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import signal
import socket
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from adapters.profile import SiteConfig, parse_site
from context_builder.document import ContextDocument, ContextRequest, Summary
from models.record import SECTIONS, Chart
from service import logs
from service.access import Role
from service.api.app import create_app, server_config
from service.api.schemas import RegisterBody, RunState, SiteSearchBody
from service.api.services import Services
from service.cli import render
from service.cli.output import CommandError, stderr, stdout
from service.practice_ehr import Fault, Hospital, PracticeEhrs, built_in_hospital, serve
from service.practice_ehr.population import SyntheticPatient, generate
from service.settings import Settings
from service.store import Store, StoreUnavailable
from service.store.sealing import SealError
from service.workflows import Runtime

CAST = Path(__file__).with_name("demo.toml")
KEY_LABEL = "demo"
DEFAULT_PORT = 8080
BUDGET = 2000
LOOPBACK = "127.0.0.1"
T = TypeVar("T")


class DemoHospital(BaseModel):
    """One line of the cast."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dress: str
    behaves_like: str
    site: dict[str, Any]
    faults: tuple[Fault, ...] = ()

    @property
    def name(self) -> str:
        """Of the site, and of the hospital in the built-in population."""
        return str(self.site["name"])

    def config(self, fhir_base: str) -> SiteConfig:
        """The site file an engineer would write for it."""
        known = {"fhir_base": fhir_base, "client_id": f"chartbrief-{self.name}", "allow_loopback": True}
        return parse_site(self.site | known)


def cast() -> list[DemoHospital]:
    """The hospitals of demo.toml."""
    return [DemoHospital.model_validate(h) for h in tomllib.loads(CAST.read_text(encoding="utf-8"))["hospitals"]]


@dataclass(frozen=True)
class Shown:
    """What the demo has to show."""

    patient_id: str
    url: str
    token: str
    checks: dict[str, dict[str, Any]]
    run: RunState
    chart: Chart
    document: ContextDocument
    summary: Summary


def run(once: bool = False, port: int | None = None) -> int:
    """Do the main job and show it. Stays up until Ctrl-C; with `once` prints the same and returns."""
    for ending in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal ends it too, and the database with it
        signal.signal(ending, signal.default_int_handler)
    logs.configure(logging.WARNING)  # a line a request would push the key and the links off the screen
    with ExitStack() as stack:
        listener = stack.enter_context(_listener(port))
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        progress = stack.enter_context(_Steps(stderr()))
        star = progress.step("Making up the patients", lambda: generate()[0])
        hospitals = [built_in_hospital(h.dress, clients={}, faults=h.faults) for h in cast()]
        ehrs = progress.step("Starting three practice hospitals", lambda: stack.enter_context(serve(hospitals)))
        settings = _settings(hospitals)
        store = progress.step(
            "Starting the embedded database (a few seconds the first time)", partial(_store, settings)
        )
        stack.callback(store.close)
        runtime = Runtime(store, progress.section_ended).launch()
        stack.callback(runtime.close)
        services = Services(store.settings, store, runtime)
        stack.callback(_end_keys, services)
        shown = _main_job(services, ehrs, star, progress, url)
        progress.close()
        report(shown, ehrs, settings, once)
        if not once:
            if port is None and listener.getsockname()[1] != DEFAULT_PORT:
                stderr().print(f"Port {DEFAULT_PORT} is taken by another program: this is on {url}", soft_wrap=True)
            _stay_up(services, listener)
    return 0


def _settings(hospitals: list[Hospital]) -> Settings:
    """The demo's own, whatever DATABASE_URL says: nothing of it may land in a real database."""
    held = hashlib.sha256(orjson.dumps([[h.key, h.resources] for h in hospitals])).hexdigest()
    own = {"database_url": None, "master_key_file": None, "kms_key_id": None}
    return Settings(home=Settings().home / "demo", tenant=f"demo-{held[:8]}", **own)


def _store(settings: Settings) -> Store:
    try:
        store = Store(settings)
        store.ping()
    except StoreUnavailable as error:
        raise CommandError(error.code, str(error)) from None
    except SealError as error:
        raise CommandError("configuration", str(error)) from None
    return store


def _end_keys(services: Services) -> None:
    """Revoke this run's key and those of runs that were killed; another demo that is up keeps its own."""
    tenant = services.settings.tenant
    for row in services.keys(tenant):
        name, _, pid = str(row["label"]).partition(" ")
        if name == KEY_LABEL and row["revoked"] is None and not (pid.isdigit() and _another_runs(int(pid))):
            services.revoke_key(tenant, row["key_id"])


def _another_runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()


def _main_job(
    services: Services,
    ehrs: PracticeEhrs,
    star: SyntheticPatient,
    progress: _Steps,
    url: str,
) -> Shown:
    tenant = services.settings.tenant
    checks: dict[str, dict[str, Any]] = {}
    patient_id: str | None = None
    for hospital in cast():
        config = hospital.config(ehrs[hospital.name].base_url)
        name = config.name
        added = services.put_site(tenant, config.model_dump(mode="json"), replace=True)
        ehrs[hospital.name].register(config.client_id, added["jwks"]["keys"])  # what a vendor's app portal does
        checks[name] = progress.step(
            f"{config.title}: discovery and authorization", partial(services.check_site, tenant, name)
        )
        if checks[name]["state"] != "ready":
            raise CommandError("unavailable", f"{name} could not be opened: {checks[name]}")
        wanted = SiteSearchBody(identifier="|".join(star.identifier(name)))
        matches = progress.step(
            f"{config.title}: looking the patient up by record number",
            partial(services.search_at_site, tenant, name, wanted),
        )
        if len(matches) != 1:
            raise CommandError("unavailable", f"{name} answered {len(matches)} patients to one record number")
        body = RegisterBody(site=name, site_patient_id=matches[0]["site_patient_id"], patient_id=patient_id)
        patient_id = services.register(tenant, body)
    assert patient_id is not None
    progress.sections({h.name: h.site["title"] for h in cast()})
    state = services.refresh(tenant, patient_id, None, 600)
    if state.report is None:
        raise CommandError("unavailable", "the refresh did not end in ten minutes")
    request = ContextRequest(budget_tokens=BUDGET)
    chart, document, summary = services.summary(tenant, patient_id, request)
    _end_keys(services)
    _, token = services.create_key(tenant, Role.ADMIN, f"{KEY_LABEL} {os.getpid()}")
    return Shown(patient_id, url, token, checks, state, chart, document, summary)


class _Steps:
    """Progress on stderr: a line a step, a bar a hospital."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=12),
            MofNCompleteColumn(table_column=Column(no_wrap=True, min_width=5)),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._open = False

    def __enter__(self) -> _Steps:
        self._progress.start()
        self._open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop drawing."""
        if self._open:
            self._progress.stop()
            self._open = False

    def step(self, words: str, work: Callable[[], T]) -> T:
        """Do one thing and tick it off."""
        task = self._progress.add_task(words, total=1)
        done = work()
        self._progress.advance(task)
        return done

    def sections(self, titles: Mapping[str, str]) -> None:
        """A bar for each site, one tick a section."""
        for site, title in titles.items():
            self._tasks[site] = self._progress.add_task(f"{title}: reading the record", total=len(SECTIONS))

    def section_ended(self, site: str, _section: str, _state: str) -> None:
        """One section of a site is done; called from the workflows' threads."""
        if site in self._tasks:
            self._progress.advance(self._tasks[site])


def report(shown: Shown, ehrs: PracticeEhrs, settings: Settings, once: bool) -> None:
    """What was done and where to look, then what the hospitals said."""
    out = stdout()

    def say(words: str = "", style: str = "") -> None:
        out.print(Text(render.plain(words)), style=style, soft_wrap=True)

    ledger, document = shown.chart.ledger, shown.document
    say("Chartbrief pulled one patient out of three hospitals that disagree.", "bold")
    say()
    if once:
        say(
            "Where to look: nothing is served now; `make demo` (without ONCE=1) prints this with a new key and stays up:"
        )
    else:
        say("Where to look (until Ctrl-C; the key ends with it):")
    # What stands behind # never leaves the browser; the page's script puts it into the sign-in form.
    say(f"  page  {shown.url}/patients/{shown.patient_id}#key={shown.token}")
    say(f"  API   {shown.url}/docs")
    say(f"  key   {shown.token}   (role admin; the link of the page fills it in, press Sign in)")
    say()
    say("What was done", "bold")
    _did(shown, ehrs)
    say(
        f"Nothing disappeared: {ledger.offered} resources offered = {ledger.stored} stored + "
        f"{ledger.quarantined} quarantined + {ledger.reported_missing} reported missing."
    )
    say()
    say("What could not be read (and is therefore not a 'no')", "bold")
    for line in shown.chart.coverage:
        if line.state not in ("present", "none_asserted", "empty"):
            say(f"  {line.site}: {line.section.replace('_', ' ')} {line.state.replace('_', ' ')} ({line.reason})")
    say()
    say(f"Where the hospitals disagree ({len(document.conflicts)} shown of {len(shown.chart.conflicts)})", "bold")
    for conflict in document.conflicts:
        say(f"  {conflict.text} [{', '.join(conflict.keys)}]")
    say()
    say("The context for a language model", "bold")
    reasons = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in sorted(document.ledger.by_reason.items()))
    say(
        f"  {document.token_count} of {document.budget_tokens} tokens, {len(document.facts)} cited facts; "
        f"{document.ledger.offered} entries = {document.ledger.included} included + {document.ledger.omitted} listed as "
        f"omitted ({reasons or 'nothing'})."
    )
    say()
    say(f"The summary ({shown.summary.reason or shown.summary.state})", "bold")
    say(shown.summary.text)
    say()
    say("Try", "bold")
    say("  # while the demo is up" + (" (without ONCE=1, with its key)" if once else ""))
    for command in (
        f"curl -s -H 'Authorization: Bearer {shown.token}' {shown.url}/v1/patients/{shown.patient_id}/freshness",
        "# at any time",
        f"CHARTBRIEF_HOME={shlex.quote(str(settings.home))} CHARTBRIEF_TENANT={settings.tenant} .venv/bin/chartbrief "
        f"context --patient {shown.patient_id} --purpose visit_prep --budget {2 * BUDGET}",
        ".venv/bin/chartbrief summary --bundle YOUR_FILE.json",
    ):
        say(f"  {command}")


def _did(shown: Shown, ehrs: PracticeEhrs) -> None:
    sites = {s["site"]: s for s in (shown.run.report or {})["sites"]}
    made = render.table(
        "", "site", "behaves like", ">requests", ">offered", ">stored", ">quarantined", ">missing", "found"
    )
    for hospital in cast():
        name = hospital.name
        found, check = sites[name], shown.checks[name]
        notes = [check["endpoints_found_in"]]
        if check["types_refused"]:
            notes.append(f"refuses {', '.join(check['types_refused'])}")
        if check["types_not_declared"]:
            notes.append(f"lacks {', '.join(check['types_not_declared'])}")
        busy = sum(1 for seen in ehrs[hospital.name].requests if seen.status == 429)
        if busy:
            notes.append(f"said 'too busy' {busy}x, asked again later")
        numbers = (found["ledger"][k] for k in ("offered", "stored", "quarantined", "reported_missing"))
        render.row(made, name, hospital.behaves_like, found["requests"], *numbers, "; ".join(notes))
    stdout().print(made)


def _stay_up(services: Services, listener: socket.socket) -> None:
    """Serve the page and the API on the socket that was taken at the start."""
    import asyncio

    import uvicorn

    app = create_app(services.settings, services.store, services.runtime)
    config = server_config(app, *listener.getsockname())
    try:
        stderr().print("Serving. Ctrl-C ends it.")
        asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))
    except KeyboardInterrupt:  # the way this is meant to end
        stderr().print("Ended.")


@contextmanager
def _listener(port: int | None) -> Iterator[socket.socket]:
    """The socket the page will be served on, taken before the work: the asked port, else 8080, else any free one."""
    taken: OSError | None = None
    for candidate in (port,) if port is not None else (DEFAULT_PORT, 0):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio: no Nagle
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, candidate))
        except OSError as error:
            listener.close()
            taken = error
            continue
        with listener:
            yield listener
        return
    raise CommandError("unavailable", f"cannot listen on {LOOPBACK}:{port} ({taken})") from None
