"""The second API of an EHR that has one: the hospital's own population as plain rows, as the dress words them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import orjson

from service.practice_ehr.companion_dress import CompanionDress, RowField, RowList
from service.practice_ehr.faults import Fault
from service.practice_ehr.outcome import Reply
from service.practice_ehr.search_params import values_at
from service.practice_ehr.store import Store

Json = dict[str, Any]
JSON = "application/json"


class CompanionServer:
    """Answers below the second API's base."""

    def __init__(self, rules: CompanionDress, store: Store, tenant: str) -> None:
        self.rules, self._store = rules, store
        self.base_path = rules.base_path.replace("{tenant}", tenant)
        self._prefix = rules.patient_prefix.replace("{tenant}", tenant)

    def find(self, path: str) -> tuple[str, str]:
        """The list a path names and the patient's number; empty strings for a path that is not here."""
        for name, made in self.rules.lists.items():
            before, _, after = made.path.partition("{patient}")
            if f"/{path}".startswith(before) and f"/{path}".endswith(after):
                number = f"/{path}"[len(before) : len(f"/{path}") - len(after)]
                if number and "/" not in number:
                    return name, number
        return "", ""

    def page(self, params: dict[str, str]) -> int:
        """Which page is asked for."""
        offset, limit = self._window(params)
        return offset // limit + 1

    def answer(self, path: str, params: dict[str, str], scopes: tuple[str, ...] | None, due: dict[str, Fault]) -> Reply:
        """`scopes`: those of the token; None: the server asks for none."""
        name, number = self.find(path)
        if not name:  # the gateway's own errors are no JSON
            return Reply(404, b"<h1>Not Found</h1>", "text/html")
        made = self.rules.lists[name]
        if scopes is not None and self.rules.scope and self.rules.scope not in scopes:
            return error(403, "Invalid Token Scope")
        missing = [p for p in made.required if not params.get(p)]
        if missing:
            return error(400, "Additional fields are required.", missingfields=missing)
        patient = next((p for p in (f"{self._prefix}{number}", number) if self._store.get("Patient", p)), None)
        if patient is None:
            return error(404, "The requested patient does not exist.", detailedmessage="Patient ID or department ID.")
        rows = [self._row(made, item, number) for item in self._items(made, patient)]
        rows += [{**c.row, c.day_field: f"{_ahead(c.in_days):%m/%d/%Y}"} for c in made.coming]
        if "bad_entry" in due:
            rows = [{"practice": "bad entry"}, {made.id: "999999", "practice": "bad entry"}, *rows]
        offset, limit = self._window(params) if made.paged else (0, len(rows) or 1)
        body: Json = {} if made.nested else {"totalcount": len(rows)}
        body[made.key] = self._shaped(made, rows[offset : offset + limit])
        if offset + limit < len(rows) or "self_loop" in due:
            following = offset if "self_loop" in due else offset + limit
            # the gateway puts its own path before it: only the parameters can be relied on
            body["next"] = f"/{path}?{urlencode({**params, 'limit': limit, 'offset': following})}"
        return Reply(200, orjson.dumps(body), JSON, count=len(rows[offset : offset + limit]))

    def _window(self, params: dict[str, str]) -> tuple[int, int]:
        told = [params.get(name, "") for name in ("offset", "limit")]
        offset, limit = (int(t) if t.isdigit() and len(t) < 8 else None for t in told)
        return offset or 0, min(limit or self.rules.default_limit, self.rules.max_limit)

    def _items(self, made: RowList, patient: str) -> list[Json]:
        found: list[Json] = []
        for resource in self._store.of_patient(patient, made.type):
            if made.category and made.category not in values_at(resource, "category.coding.code"):
                continue
            parts = resource.get("component") or []
            # a panel is as many rows as it has parts
            found += [resource | part | {"id": f"{resource['id']}.{i}"} for i, part in enumerate(parts)] or [resource]
        return found

    def _row(self, made: RowList, item: Json, number: str) -> Json:
        row = {name: self._value(rule, item).replace("{patient}", number) for name, rule in made.row.items()}
        return {name: value for name, value in row.items() if value}

    @staticmethod
    def _value(rule: RowField, item: Json) -> str:
        if rule.value:
            return rule.value
        texts = [str(v) for path in rule.paths for v in values_at(item, path) if isinstance(v, str | int | float)]
        text = texts[0] if texts else ""
        if rule.take == "number":
            return text.rpartition("-")[2]
        if rule.take == "code":
            return rule.codes.get(text, rule.codes.get("*", ""))
        if rule.take == "day":
            return f"{text[5:7]}/{text[8:10]}/{text[:4]}" if len(text) >= 10 else ""
        return text[11:16] if rule.take == "time" else text

    @staticmethod
    def _shaped(made: RowList, rows: list[Json]) -> list[Any]:
        if made.inside:
            return [{made.inside: [[row]]} for row in rows]
        return [rows] if made.nested else list(rows)


def error(status: int, words: str, **more: Any) -> Reply:
    """An error as the backend words it."""
    return Reply(status, orjson.dumps({"error": words, **more}), JSON)


def _ahead(days: int) -> date:
    return (datetime.now(UTC) + timedelta(days=days)).date()
