"""Running practice hospitals: in a background thread (demo, tests) with a loopback port of their own."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import uvicorn

from service.practice_ehr.dress import load_dress
from service.practice_ehr.faults import Faults
from service.practice_ehr.hospital import Hospital
from service.practice_ehr.server import State, create_app

START_SECONDS = 15.0


class PracticeEhr:
    """A running practice hospital. Use as a context manager."""

    def __init__(
        self,
        key: str,
        resources: list[dict[str, Any]],
        *,
        dress: str = "generic",
        clients: dict[str, list[dict[str, Any]]] | None = None,
        faults: Faults | None = None,
        port: int = 0,
    ) -> None:
        """`clients`: client_id -> public JWKs; none: an open server. `port` 0: a free one."""
        self.hospital = Hospital(key, load_dress(dress), resources, clients=clients)
        app = create_app(self.hospital, faults)
        self.state: State = app.state.ehr
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    @property
    def base_url(self) -> str:
        """FHIR base."""
        return f"http://127.0.0.1:{self.port}/fhir"

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
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()

    def __enter__(self) -> PracticeEhr:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
