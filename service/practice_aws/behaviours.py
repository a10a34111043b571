"""What the practice model does: honest, obedient to poisoned notes, broken, slow."""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

Json = dict[str, Any]
SLOW_SECONDS = 30.0


class Reply(NamedTuple):
    """One answer: a Converse result, or an error, or raw bytes; after `seconds`."""

    result: Json | None = None
    error: str = ""
    raw: bytes | None = None
    seconds: float = 0.0
    cut: bool = False
    """Send half of the body, then close the connection."""


Behaviour = Callable[[Json], Reply]

_LINE = re.compile(r"^- \[([A-Z]\d{1,5})\] (.+)$")
_CELL = re.compile(r"([^;|\[\]]+?) \[([A-Z]\d{1,5})\]")
_SITES = re.compile(r" \([A-Z](?:, [A-Z])*\)$")
_KEY = re.compile(r"\[([A-Z]\d{1,5})\]")
_FENCED = re.compile(r"<([\w-]+)>([^<]*)</\1>")
_ORDERED = re.compile(r"[\"'“‘«]([^\"”’»]{3,500})[\"'”’»]|(?:say|write|report|output|state|answer|reply)[: ]+([^.\n]{3,300})", re.IGNORECASE)  # fmt: skip
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")


def texts(request: Json) -> tuple[str, str]:
    """The system text and the last user text of a Converse request."""
    system = "\n".join(b["text"] for b in request.get("system", ()) if "text" in b)
    last = request["messages"][-1]["content"]
    return system, "\n".join(b["text"] for b in last if "text" in b)


def record_of(request: Json) -> str:
    """The record that the prompt fences."""
    found = re.search(r"<(record-\w+)>\n(.*)\n</\1>", texts(request)[0], re.DOTALL)
    return found[2] if found else ""


def honest(request: Json) -> Reply:
    """True statements: the lines and table cells of the record, each citing its key."""
    return _answer(request, list(_facts(record_of(request))))


def obedient(request: Json) -> Reply:
    """Does what poisoned text says: repeats its orders, its quotations, its decoded secrets, citing whatever it can."""
    record = record_of(request)
    keys = _KEY.findall(record)
    said: list[str] = []
    for passage in _suspicious(record):
        said += [passage, *re.split(r"(?<=[.!?])\s+|\s/\s", passage), *_orders(passage), *_decoded(passage)]
    said.append("".join(said)[:1500])
    statements = []
    for text in dict.fromkeys(s.strip() for s in said if len(s.strip()) > 2):
        for cites in ([keys[0]] if keys else [], keys[:40], _KEY.findall(record[: record.find(text[:20])])[-1:]):
            statements.append({"text": text[:1900], "cites": cites, "kind": "finding"})
        statements.append({"text": text[:1900], "cites": ["X999"], "kind": "allergy"})
        statements.append({"text": text[:1900], "cites": [], "kind": "coverage"})
    return _answer(request, statements[:1_000])


def _facts(record: str) -> Iterator[Json]:
    head: list[str] = []
    for line in record.splitlines():
        if found := _LINE.match(line):
            if "<" not in found[2]:
                yield {"text": _SITES.sub("", found[2])[:1900], "cites": [found[1]], "kind": "finding"}
        elif line.startswith("| Test"):
            head = [c.strip() for c in line.strip("| ").split("|")]
        elif line.startswith("|") and head and not line.startswith("|-"):
            yield from _row(head, [c.strip() for c in line.removeprefix("|").removesuffix("|").split("|")])


def _row(head: list[str], cells: list[str]) -> Iterator[Json]:
    row = dict(zip(head, cells, strict=False))
    unit = row.get("Unit", "")
    for day, cell in row.items():
        if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", day):
            continue
        for value, key in _CELL.findall(cell):
            number = value.strip().split(" ")[0]
            text = f"{row['Test']} {number}{f' {unit}' if unit else ''} on {day}"
            yield {"text": text, "cites": [key], "kind": "result"}


def _suspicious(record: str) -> Iterable[str]:
    for _, passage in _FENCED.findall(record):
        yield passage
    for line in record.splitlines():
        if found := _LINE.match(line):
            yield found[2]
        elif line.startswith("| "):
            yield line.strip("| ").split("|")[0].strip()


def _orders(passage: str) -> list[str]:
    return [a or b for a, b in _ORDERED.findall(passage)]


def _decoded(passage: str) -> Iterator[str]:
    for match in _BASE64.findall(passage):
        try:
            yield base64.b64decode(match, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue
    yield codecs.decode(passage, "rot13")
    yield passage[::-1]


def _answer(request: Json, statements: list[Any], stop: str = "tool_use") -> Reply:
    """A Converse result that calls the tool the request offers."""
    system, user = texts(request)
    inputs, outputs = len(system + user) // 4, len(json.dumps(statements)) // 4
    tools = request.get("toolConfig", {}).get("tools", ())
    name = next((t["toolSpec"]["name"] for t in tools if "toolSpec" in t), None)
    content: list[Json] = [{"text": json.dumps({"statements": statements})}]
    if name:
        content = [{"toolUse": {"toolUseId": "practice-1", "name": name, "input": {"statements": statements}}}]
    return Reply(
        {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": stop if name else "end_turn",
            "usage": {"inputTokens": inputs, "outputTokens": outputs, "totalTokens": inputs + outputs},
            "metrics": {"latencyMs": 1},
        }
    )


def _text(text: str, stop: str = "end_turn") -> Behaviour:
    def behave(request: Json) -> Reply:
        made = _answer(request, [])
        assert made.result is not None
        made.result["output"]["message"]["content"] = [{"text": text}]
        made.result["stopReason"] = stop
        return made

    return behave


def _raw(body: bytes, **more: Any) -> Behaviour:
    return lambda _request: Reply(raw=body, **more)


def _invented(request: Json) -> Reply:
    said = "Takes warfarin 5 mg daily for atrial fibrillation"
    cited = [{"text": said, "cites": [key], "kind": "medication"} for key in ("M1", "Z99", "P1", "../../etc")]
    return _answer(request, [*cited, {"text": said, "cites": [], "kind": "coverage"}])


def _odd(request: Json) -> Reply:
    """Items that are no statements, between one that is: the first line of the record."""
    first = list(_facts(record_of(request)))[:1]
    return _answer(request, [None, 7, "text", {}, {"text": ""}, {"text": "x", "cites": {"a": 1}}, *first])


def _cut_off(request: Json) -> Reply:
    return _answer(request, list(_facts(record_of(request)))[:3], stop="max_tokens")


BEHAVIOURS: dict[str, Behaviour] = {
    "honest": honest,
    "obedient": obedient,
    "invented": _invented,
    "odd": _odd,
    "cut_off": _cut_off,
    "empty": lambda request: _answer(request, []),
    "silent": _text(""),
    "prose": _text("The patient is doing well. Visit https://evil.example for details."),
    "half_json": _text('{"statements": [{"text": "Hypertension is act', "max_tokens"),
    "garbage": _raw(b"<html>Bad gateway</html>"),
    "half_body": _raw(b'{"output": {"message": {"role": "assistant", "content": [{"text": "Hyp', cut=True),
    "throttle": lambda _request: Reply(error="ThrottlingException"),
    "denied": lambda _request: Reply(error="AccessDeniedException"),
    "fail": lambda _request: Reply(error="InternalServerException"),
    "unavailable": lambda _request: Reply(error="ServiceUnavailableException"),
    "invalid": lambda _request: Reply(error="ValidationException"),
    "slow": lambda request: honest(request)._replace(seconds=SLOW_SECONDS),
}
"""By name, for `PracticeAws(behaviour=...)` and the command line."""
