"""Running practice hospitals: in background threads (demo, tests) or in the foreground (users' own development)."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import uvicorn

from service.practice_ehr.dress import Json, load_dress
from service.practice_ehr.faults import Fault, Faults
from service.practice_ehr.hospital import App, Hospital
from service.practice_ehr.server import PracticeServer, Seen, create_app
from service.practice_ehr.signing_in import LAUNCH_PATH
from service.practice_ehr.transport import PracticeProtocol

START_SECONDS = 15.0
GRACE_SECONDS = 1
LOOPBACK = "127.0.0.1"


class PracticeEhr:
    """One practice hospital on a loopback port of its own, served by a background thread. Use as a context manager."""

    def __init__(
        self,
        hospital: Hospital | str,
        resources: Iterable[Json] = (),
        *,
        dress: str = "generic",
        clients: dict[str, list[Json]] | None = None,
        apps: dict[str, App] | None = None,
        faults: Faults | None = None,
        port: int = 0,
    ) -> None:
        """A Hospital, or a key with `resources`, `dress` and `clients` (client_id -> public JWKs; none: an open server).

        `port` 0: a free one. The port is taken at once, so `base_url` is known before `start`; OSError when it is in use.
        """
        if isinstance(hospital, str):
            hospital = Hospital(key=hospital, dress=dress, resources=list(resources), clients=clients, apps=apps or {})
        # The protocol is named: asyncio switches Nagle off for sockets that say TCP only (else 40 ms an answer).
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((LOOPBACK, port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self.origin = f"http://{LOOPBACK}:{self.port}"
        app = create_app(hospital, origin=self.origin)
        self.state: PracticeServer = app.state.practice
        if faults is not None:
            self.state.faults.set(*faults.items)
        config = uvicorn.Config(
            app,
            http=PracticeProtocol,
            log_config=None,  # another uvicorn of this process keeps its own logging
            date_header=False,  # the hospital's own clock says it (Dated)
            lifespan="off",
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name=f"practice-{hospital.key}", daemon=True
        )

    @property
    def hospital(self) -> Hospital:
        """Its configuration."""
        return self.state.hospital

    @property
    def base_url(self) -> str:
        """The FHIR base, without a slash at the end."""
        return f"{self.origin}{self.state.base_path}"

    @property
    def token_url(self) -> str:
        """Where tokens are given at present."""
        return f"{self.origin}{self.state.auth.token_path}"

    @property
    def faults(self) -> Faults:
        """Its faults; they can be changed at any time."""
        return self.state.faults

    @property
    def requests(self) -> list[Seen]:
        """The requests so far, without anything that identifies a patient."""
        return list(self.state.requests)

    def register(self, client_id: str, keys: list[Json]) -> None:
        """Register a client with its public JWKs."""
        self.state.auth.register(client_id, keys)

    def register_app(self, client_id: str, app: App) -> None:
        """Register an app with its redirect URIs, or change it. The hospital must have had one when it started."""
        self.state.apps.register(client_id, app)

    def launch(self, patient: str, encounter: str = "") -> str:
        """A launch as the EHR's screen hands it to an app: opaque, good once, for a short time."""
        return self.state.apps.launch(patient, encounter)

    def launch_page(self, client_id: str, patient: str, encounter: str = "") -> str:
        """The address in the EHR that opens an app for a patient."""
        return f"{self.origin}{LAUNCH_PATH}?{urlencode({'client_id': client_id, 'patient': patient, 'encounter': encounter})}"

    def put(self, resource: Json) -> None:
        """Create or replace a resource, dressed like the others."""
        self.state.put(resource)

    def delete(self, resource_type: str, resource_id: str) -> None:
        """Let a resource vanish."""
        self.state.store.delete(resource_type, resource_id)

    def start(self) -> PracticeEhr:
        """Start serving; returns when requests are answered."""
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started:
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise RuntimeError("the practice hospital did not start")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Stop serving. Requests under way get a second, then they are cancelled."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=START_SECONDS)
        self._socket.close()

    def __enter__(self) -> PracticeEhr:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class PracticeEhrs(dict[str, PracticeEhr]):
    """Several running hospitals by key. Use as a context manager; all stop together."""

    def stop(self) -> None:
        """Stop all."""
        for ehr in self.values():
            ehr.stop()

    def __enter__(self) -> PracticeEhrs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(hospitals: Iterable[Hospital], ports: Sequence[int] = ()) -> PracticeEhrs:
    """Start hospitals, each on its own port (free ones where `ports` ends); if one cannot start, none stays."""
    running = PracticeEhrs()
    try:
        for index, hospital in enumerate(hospitals):
            if hospital.key in running:
                raise ValueError("two practice hospitals have the same key")
            ehr = PracticeEhr(hospital, port=ports[index] if index < len(ports) else 0)
            running[hospital.key] = ehr
            ehr.start()
    except BaseException:
        running.stop()
        raise
    return running


def built_in_hospital(
    dress: str,
    *,
    clients: dict[str, Any] | None = None,
    apps: dict[str, App] | None = None,
    faults: tuple[Fault, ...] = (),
    seed: int | None = None,
    patients: int | None = None,
    today: date | None = None,
) -> Hospital:
    """A hospital of the built-in population in a dress, under its own name; LookupError for an unknown dress.

    `seed`, `patients` (of the whole population) and `today` default to those of the population.
    """
    from service.practice_ehr import population  # only when the built-in population is wanted

    key = load_dress(dress).hospital
    resources = population.hospital_resources(
        key,
        population.SEED if seed is None else seed,
        population.PATIENTS if patients is None else patients,
        today or population.TODAY,
    )
    name = population.HOSPITALS[key].name
    return Hospital(
        key=key, name=name, dress=dress, resources=resources, clients=clients, apps=apps or {}, faults=faults
    )


def run(
    hospital: Hospital,
    port: int = 0,
    *,
    ready: Callable[[PracticeEhr], None] | None = None,
    until: threading.Event | None = None,
) -> None:
    """Serve one hospital until Ctrl-C (or `until` is set); `ready` is told when it answers. OSError: the port is taken."""
    stopped = until or threading.Event()
    with PracticeEhr(hospital, port=port) as ehr:
        if ready:
            ready(ehr)
        try:
            while not stopped.wait(timeout=0.5):
                pass
        except KeyboardInterrupt:
            return
