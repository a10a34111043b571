"""Pages of a search: four ways to link them, and the traps real servers set.

A walk is the list of matches as it was when the search began, so pages never shift under a client's feet. Session,
context and cursor links are opaque keys into it; `page` links carry a number and the search's own parameters.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from urllib.parse import urlencode

from service.practice_ehr.dress import Json, Paging
from service.practice_ehr.faults import Fault
from service.practice_ehr.query import Query

MOST_LINKS = 20_000
MARKER = {"session": "sessionID", "context": "-pageContext", "cursor": "cursor", "page": "_walk"}
LONG_LINK_BYTES = 8_000


@dataclass(frozen=True)
class Walk:
    """One search under way."""

    url: str
    query: Query
    matches: tuple[Json, ...]
    client_id: str = ""


@dataclass(frozen=True)
class Position:
    """A page of a walk."""

    walk: Walk
    offset: int = 0
    page: int = 1
    filled: bool = False


class Pages:
    """The links given out, oldest forgotten first."""

    def __init__(self, style: Paging) -> None:
        self._style = style
        self._links: dict[str, Position] = {}
        self._lock = threading.Lock()

    def key(self, params: dict[str, str]) -> str:
        """The opaque key of a further page; empty for a first page (or a plain page number)."""
        return params.get(MARKER[self._style.style], "")

    def number(self, params: dict[str, str]) -> int:
        """Which page is asked for, as far as can be told."""
        position = self.find(params)
        if position:
            return position.page
        if self.key(params):
            return 2
        return self.plain_number(params)

    def plain_number(self, params: dict[str, str]) -> int:
        """`page=n` of the page style; 0 when it is no number."""
        if self._style.style != "page" or "page" not in params:
            return 1
        text = params["page"]
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

    def find(self, params: dict[str, str]) -> Position | None:
        """The page a link leads to; None when it is unknown or forgotten."""
        with self._lock:
            return self._links.get(self.key(params))

    def forget(self, params: dict[str, str]) -> None:
        """The link is dead from now on."""
        with self._lock:
            self._links.pop(self.key(params), None)

    def entries(self, position: Position, due: dict[str, Fault]) -> tuple[Json, ...]:
        """Matches on this page."""
        matches, size, offset = position.walk.matches, position.walk.query.count, position.offset
        if "empty_page" in due and not position.filled:
            return ()
        start = max(0, offset - size) if "duplicates" in due else offset
        return matches[start : offset + size]

    def next_link(self, position: Position, here: str, due: dict[str, Fault]) -> str:
        """The link to the next page; empty at the end."""
        walk, size = position.walk, position.walk.query.count
        following = position.offset + size
        more = bool(size) and following < len(walk.matches)
        if "self_loop" in due:
            return here
        if "a_b_a" in due:
            return (
                walk.url if position.page > 1 else self._link(Position(walk, following if more else 0, 2), opaque=True)
            )
        if "endless" in due:
            return self._link(Position(walk, following if more else position.offset, position.page + 1), opaque=True)
        if "empty_page" in due and not position.filled:
            return self._link(Position(walk, position.offset, position.page + 1, filled=True), opaque=True)
        if "foreign_link" in due:
            return walk.url.replace("://", "://elsewhere.", 1).replace("127.0.0.1", "invalid")
        if not more:
            return ""
        link = self._link(Position(walk, following, position.page + 1), opaque="empty_page" in due)
        if "long_link" in due:
            link += "&_pad=" + "x" * (due["long_link"].size or LONG_LINK_BYTES)
        return link

    def _link(self, position: Position, *, opaque: bool) -> str:
        style, walk = self._style.style, position.walk
        base = walk.url.partition("?")[0]
        params = [] if style == "session" else list(walk.query.used)
        if style == "page" and not opaque:
            return f"{base}?{_encode([*params, ('page', str(position.page))])}"
        key = secrets.token_urlsafe(24)
        with self._lock:
            while len(self._links) >= MOST_LINKS:
                del self._links[next(iter(self._links))]
            self._links[key] = position
        params.append((MARKER[style], key))
        if style == "context":
            params.append(("-pageDirection", "NEXT"))
        return f"{base}?{_encode(params)}"


def _encode(params: list[tuple[str, str]]) -> str:
    return urlencode(params, safe=",|:/")


def search_url(path: str, query: Query) -> str:
    """The search as it was understood."""
    return f"{path}?{_encode(query.used)}" if query.used else path
