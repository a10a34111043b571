"""A network edge between the store and its database that can be cut and mended."""

from __future__ import annotations

import contextlib
import re
import socket
import tempfile
import threading
from pathlib import Path

SOCKET = ".s.PGSQL.5432"


class PostgresProxy:
    """Passes connections to the Unix socket of a PostgreSQL on, until it is `down`. Use as a context manager."""

    def __init__(self, url: str) -> None:
        found = re.search(r"host=([^&]+)", url)
        assert found is not None
        self._target = str(Path(found[1]) / SOCKET)
        self._folder = tempfile.TemporaryDirectory()  # short: a socket's path has at most about 100 characters
        self.url = url.replace(found[0], f"host={self._folder.name}")
        self._down = False
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.refused = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(Path(self._folder.name) / SOCKET))
        self._listener.listen(64)

    def __enter__(self) -> PostgresProxy:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()
        self._listener.close()
        self._folder.cleanup()

    def down(self) -> None:
        """Cut all connections and refuse new ones."""
        with self._lock:
            self._down = True
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            self._open = []

    def up(self) -> None:
        """Pass connections on again."""
        with self._lock:
            self._down = False

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._down:
                    self.refused += 1
                    client.close()
                    continue
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
