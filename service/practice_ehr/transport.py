"""Answers that fail below HTTP: resets, connections cut in the middle, one byte a second."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_QUIET = logging.getLogger("service.practice_ehr.wire")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False  # what uvicorn has to say on faults we make ourselves
_open: dict[tuple[str, int], asyncio.Transport] = {}


class PracticeProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with the connection within reach of the faults. It writes no log: URLs hold identifiers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _QUIET
        self.access_log = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the connection."""
        super().connection_made(transport)
        if self.client:
            _open[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self.client:
            _open.pop(self.client, None)
        super().connection_lost(exc)


class Dated:
    """Every answer says the hospital's time, right or wrong: a client learns of a wrong clock by nothing else."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float]) -> None:
        """`clock` gives Unix time."""
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the Date header."""

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", formatdate(self._clock(), usegmt=True).encode())
                message = {**message, "headers": [*message.get("headers", []), date]}
            await send(message)

        await self._app(scope, receive, dated)


async def reset(scope: Scope) -> None:
    """Send a TCP RST. Without a socket (an in-process client) the request ends in ConnectionResetError."""
    transport = _open.get(tuple(scope.get("client") or ("", 0)))
    if transport is None:
        raise ConnectionResetError("the practice EHR resets this connection")
    raw = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0.01)


class Reset(Response):
    """No answer at all."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reset the connection."""
        await reset(scope)


class Cut(Response):
    """Half the body, then the connection ends."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send half of what Content-Length promises."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body[: len(self.body) // 2], "more_body": True})
        await asyncio.sleep(0.05)
        await reset(scope)


class Endless(Response):
    """Valid JSON as far as it goes, and it goes on."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client is gone."""
        headers = [(k, v) for k, v in self.raw_headers if k != b"content-length"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        gone = asyncio.ensure_future(_disconnected(receive))
        body = bytes(self.body).rstrip(b"}]") or b"["
        try:
            while not gone.done():
                await send({"type": "http.response.body", "body": body, "more_body": True})
                body = b" " * 65_536
                await asyncio.sleep(0.001)
        finally:
            gone.cancel()


class Drip(Response):
    """The body, one byte every `seconds`."""

    seconds = 1.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the body is out or the client is gone."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            for byte in self.body:
                await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
                done, _ = await asyncio.wait([gone], timeout=self.seconds)
                if done:
                    return
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
