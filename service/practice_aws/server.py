"""The loopback server: Bedrock Runtime's Converse (rest-json) and KMS (json 1.1) on one port."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from service.practice_aws.behaviours import BEHAVIOURS, Behaviour, Json, Reply
from service.practice_aws.kms import KmsError, PracticeKms
from service.practice_aws.shapes import NotOurs, error_status, read_request, write_response

LOOPBACK = "127.0.0.1"
MOST_BODY = 20_000_000
_KMS_TARGET = "TrentService."
_KMS_VERBS = ("GenerateDataKey", "Encrypt", "Decrypt")


class PracticeAws:
    """The fakes on a loopback port, served by background threads. Use as a context manager.

    `requests`: (operation, parameters) of every request that kept to its service model. `refused`: why others did not.
    `script`: behaviours for the next Converse calls, in order; when it is empty `behaviour` answers.
    """

    def __init__(self, behaviour: str | Behaviour = "honest", *, port: int = 0, kms: PracticeKms | None = None) -> None:
        """`behaviour`: a name of BEHAVIOURS, or a function from the request's parameters to a Reply. `port` 0: a free one."""
        self.behaviour = behaviour
        self.script: list[str | Behaviour] = []
        self.kms = kms or PracticeKms()
        self.requests: list[tuple[str, Json]] = []
        self.refused: list[str] = []
        self.stopping = threading.Event()
        self._server = ThreadingHTTPServer((LOOPBACK, port), _handler(self))
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self.endpoint_url = f"http://{LOOPBACK}:{self.port}"

    def __enter__(self) -> PracticeAws:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def converse(self, request: Json) -> Reply:
        """The next behaviour's reply."""
        chosen = self.script.pop(0) if self.script else self.behaviour
        return (BEHAVIOURS[chosen] if isinstance(chosen, str) else chosen)(request)


def _handler(aws: PracticeAws) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing: requests carry PHI."""

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            if size > MOST_BODY:
                self._fail(413, "RequestEntityTooLarge")
                return
            body = self.rfile.read(size)
            if not self.headers.get("Authorization"):
                self._fail(403, "MissingAuthenticationTokenException")
                return
            target = self.headers.get("X-Amz-Target", "")
            if target.startswith(_KMS_TARGET):
                self._kms(target.removeprefix(_KMS_TARGET), body)
                return
            if self.path.startswith("/model/") and self.path.endswith("/converse"):
                self._converse(body)
                return
            self._fail(404, "UnknownOperationException")

        def _converse(self, body: bytes) -> None:
            request = self._read("bedrock-runtime", "Converse", body)
            if request is None:
                return
            reply = aws.converse(request)
            if reply.seconds:
                aws.stopping.wait(reply.seconds)
            if reply.error:
                self._fail(error_status("bedrock-runtime", "Converse", reply.error), reply.error)
                return
            if reply.raw is not None:
                self._send(200, reply.raw, cut=reply.cut)
                return
            assert reply.result is not None
            self._send(200, write_response("bedrock-runtime", "Converse", reply.result))

        def _kms(self, name: str, body: bytes) -> None:
            if name not in _KMS_VERBS:
                self._fail(400, "UnknownOperationException")
                return
            request = self._read("kms", name, body)
            if request is None:
                return
            try:
                result = aws.kms.call(name, request)
            except KmsError as error:
                self._fail(error_status("kms", name, str(error)), str(error))
                return
            self._send(200, write_response("kms", name, result), kind="application/x-amz-json-1.1")

        def _read(self, service: str, name: str, body: bytes) -> Json | None:
            try:
                request = read_request(service, name, self.path if service != "kms" else "/", body)
            except NotOurs as why:
                aws.refused.append(str(why))
                self._fail(400, "ValidationException")
                return None
            aws.requests.append((name, request))
            return request

        def _fail(self, status: int, code: str) -> None:
            body = json.dumps({"__type": code, "message": "practice"}).encode()
            self._send(status, body, error=code)

        def _send(
            self, status: int, body: bytes, *, kind: str = "application/json", error: str = "", cut: bool = False
        ) -> None:
            try:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body) * 2 if cut else len(body)))
                if error:
                    self.send_header("x-amzn-ErrorType", error)
                self.end_headers()
                self.wfile.write(body)
                if cut:
                    self.close_connection = True
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # the caller gave up
                self.close_connection = True

    return Handler


def serve_forever(aws: PracticeAws) -> None:
    """Keep serving until interrupted."""
    with aws:
        while True:
            time.sleep(3600)
