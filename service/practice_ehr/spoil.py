"""Bodies that are not what they should be: strange entries, enormous strings, nesting without end, other resources."""

from __future__ import annotations

import orjson

from service.practice_ehr.dress import Json
from service.practice_ehr.faults import Fault
from service.practice_ehr.outcome import outcome

HUGE_BYTES = 5_000_000
DEEP_LEVELS = 10_000
_MARK = "@@deep@@"


def spoil_bundle(bundle: Json, resource_type: str, due: dict[str, Fault]) -> bytes:
    """A searchset as bytes, with the faults of this request in it."""
    if "operation_outcome" in due:
        return orjson.dumps(outcome("error", "exception", "Practice fault."))
    if "wrong_resource" in due:
        return orjson.dumps({"resourceType": "Parameters", "parameter": [{"name": "result", "valueBoolean": True}]})
    entries = list(bundle.get("entry", []))
    if "wrong_entries" in due:
        entries.append({"resource": {"resourceType": "Basic", "id": "practice-wrong"}, "search": {"mode": "match"}})
    if "bad_entry" in due:
        entries += [
            {"resource": "text"},
            {},
            None,
            {"resource": {"resourceType": resource_type}},
            {"resource": {"id": "x"}},
        ]
    if entries and isinstance(entries[0], dict) and ("huge_line" in due or "deep" in due):
        entries[0] = entries[0] | {"resource": _changed(entries[0]["resource"], due)}
    return _dumped(bundle | ({"entry": entries} if entries else {}), due)


def spoil_resource(resource: Json, due: dict[str, Fault]) -> bytes:
    """A resource as bytes, with the faults of this request in it."""
    if "operation_outcome" in due:
        return orjson.dumps(outcome("error", "exception", "Practice fault."))
    if "wrong_resource" in due:
        return orjson.dumps({"resourceType": "Basic", "id": "practice-wrong"})
    return _dumped(_changed(resource, due), due)


def _changed(resource: Json, due: dict[str, Fault]) -> Json:
    changed = dict(resource)
    if "huge_line" in due:
        changed["text"] = {"status": "generated", "div": f"<div>{'x' * (due['huge_line'].size or HUGE_BYTES)}</div>"}
    if "deep" in due:
        changed["extension"] = [*changed.get("extension", []), _MARK]
    return changed


def _dumped(document: Json, due: dict[str, Fault]) -> bytes:
    """orjson stops at 254 levels, so the deep part is written by hand."""
    body = orjson.dumps(document)
    if "deep" not in due:
        return body
    levels = due["deep"].size or DEEP_LEVELS
    deep = b'{"url":"urn:practice:deep","extension":[' * levels + b"]}" * levels
    return body.replace(f'"{_MARK}"'.encode(), deep)
