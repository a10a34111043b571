"""An answer of a companion API taken apart into rows, each as its bytes were received. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgspec

from adapters.companion.schema import Feed, Pages
from adapters.errors import BadAnswer
from adapters.fhir.http import Answer

_ID = re.compile(r"^[A-Za-z0-9.-]{1,40}$")


class RowPage(NamedTuple):
    """One page: its rows, how many members the list has here and in all, and where the next page begins. Some lists count
    their groups, others their rows: the larger number is taken, so that nothing is called missing that came."""

    rows: list[bytes]
    members: int
    total: int | None
    following: int | None


def read_rows(answer: Answer, feed: Feed, pages: Pages) -> RowPage:
    """The rows of an answer; BadAnswer when it is no list of them."""
    answer.json()  # says what a body looks like that is no JSON
    body = _object(answer.text)
    if body is None:
        raise _not_a_list(answer)
    names = feed.rows.split(".")
    total = _number(_plain(body.get(pages.total)))
    if names[0] not in body and total != 0:
        raise _not_a_list(answer)
    members = _members(body.get(names[0]))
    level = [row for member in members for row in _flat(member)]
    for name in names[1:]:
        level = [row for item in level for row in _below(item, name)]
    link = _plain(body.get(pages.next))
    return RowPage(
        level, max(len(members), len(level)), total, _offset(link, pages) if isinstance(link, str) and link else None
    )


def row_id(row: dict[str, Any], feed: Feed) -> str:
    """What tells a row apart; an id that FHIR would not take as one is replaced by its digest. '' when there is none."""
    value = row.get(feed.id)
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if not text or _ID.match(text) else hashlib.sha256(text.encode()).hexdigest()[:20]


def _not_a_list(answer: Answer) -> BadAnswer:
    words = "something else than the list that was asked for"
    return BadAnswer(words, code="wrong_resource_type", status=answer.status, body=answer.body)


def _object(text: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError):
        return None


def _members(value: msgspec.Raw | None) -> list[bytes]:
    text = bytes(value).strip() if value is not None else b""
    if not text or text == b"null":
        return []
    return [bytes(x) for x in msgspec.json.decode(text, type=list[msgspec.Raw])] if text[:1] == b"[" else [text]


def _flat(value: bytes | msgspec.Raw | None) -> list[bytes]:
    """The members of a list and of the lists within it; a lone value is a list of one."""
    found, left = [], [bytes(value).strip()] if value is not None else []
    while left:
        text = left.pop(0)
        if text[:1] == b"[":
            left = [bytes(x) for x in msgspec.json.decode(text, type=list[msgspec.Raw])] + left
        elif text and text != b"null":
            found.append(text)
    return found


def _below(group: bytes, name: str) -> list[bytes]:
    """The rows of a group: none where it has none; what is no group at all stays, for quarantine."""
    held = _object(group)
    return [group] if held is None else _flat(held.get(name))


def _plain(value: msgspec.Raw | None) -> Any:
    return msgspec.json.decode(value) if value is not None else None


def _number(value: Any) -> int | None:
    if isinstance(value, str) and value.isdigit():  # seen: numbers as text
        return int(value[:12])
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _offset(link: str, pages: Pages) -> int:
    """Where the next page begins; -1 for a link that does not say so."""
    try:
        found = parse_qs(urlsplit(link).query).get(pages.offset_param, [""])[0]
    except ValueError:
        return -1
    return int(found) if found.isdigit() and len(found) < 10 else -1
