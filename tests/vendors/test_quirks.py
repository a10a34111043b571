"""One quirk, one tiny recorded exchange, one wanted outcome: all of them run the same way, over a real socket.

A fixture (tests/vendors/<vendor>/<quirk>.json) holds `exchanges`: requests below the base, in the order in which equal
ones are answered, each with the parameters that must be there; all must be used and nothing else may be asked (but for
discovery). `{base}` and `{origin}` are the server's. `wanted` is compared by meaning: state, reason, resources, what is
missing, how the entries read.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from adapter_kit import Clock, Reply, Request, WireServer, balanced, ids, key_pair, opened, site_at
from joserfc import jwk, jwt

from adapters.egress import Egress
from adapters.errors import ConfigurationError
from adapters.normalizer import normalize
from adapters.profile import load_profile, parse_site, vendors

HERE = Path(__file__).parent
FIXTURES = sorted(HERE.glob("*/*.json"))
TODAY = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
PRACTICE = {"athenahealth": {"required_params": {"ah-practice": "Organization/a-1.Practice-80000"}}}
DISCOVERY = ("/metadata", "/.well-known/smart-configuration", "/token")


class Replay:
    """Answers what was recorded."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        self.left, self.unexpected, self.server = list(exchanges), list[str](), None

    def __call__(self, request: Request) -> Reply:
        path = request.path.removeprefix("/fhir")
        for exchange in self.left:
            method, _, target = exchange["request"].partition(" ")
            wanted_path, _, query = target.partition("?")
            if (method, wanted_path) == (request.method, path) and all(
                (k, v) in parse_qsl(request.target.partition("?")[2]) for k, v in parse_qsl(query)
            ):
                if not exchange.get("repeat"):
                    self.left.remove(exchange)
                return self._reply(exchange)
        if path == "/.well-known/smart-configuration":
            return Reply(body={"token_endpoint": f"{self.server.origin}/token"})
        if path == "/token":
            return Reply(body={"access_token": f"t{len(self.server.requests)}", "expires_in": 3600})
        if path != "/metadata":
            self.unexpected.append(f"{request.method} {request.target}")
        return Reply(404)

    def _reply(self, exchange: dict[str, Any]) -> Reply:
        if exchange.get("drop"):
            return Reply(drop=True)
        text = json.dumps([exchange.get("body"), exchange.get("text", ""), exchange.get("headers", {})])
        text = text.replace("{base}", self.server.base).replace("{origin}", self.server.origin)
        body, words, headers = json.loads(text)
        return Reply(exchange.get("status", 200), words if body is None else body, headers)


@pytest.mark.parametrize("path", FIXTURES, ids=[f"{p.parent.name}/{p.stem}" for p in FIXTURES])
async def test_quirk(path: Path) -> None:
    fixture = json.loads(path.read_text("utf-8"))
    vendor, wanted = path.parent.name, fixture["wanted"]
    clock = Clock()
    clock.unix = TODAY
    replay = Replay(fixture["exchanges"])
    async with WireServer(replay) as server:
        replay.server = server
        changes = dict(fixture.get("site", {}))
        changes["overrides"] = PRACTICE.get(vendor, {}) | changes.get("overrides", {})
        site = site_at(server.base, vendor, **changes)
        async with opened(site, clock) as source:
            if "find" in fixture["do"]:
                found = await source.find_patients(**fixture["do"]["find"])
                assert [f"{r.resource_type}/{r.resource_id}" for r in found] == wanted["resources"]
            else:
                check_fetch(await source.fetch("p1", fixture["do"]["fetch"]), wanted, vendor)
        check_wire(server.requests, wanted, site)
    assert replay.unexpected == []
    assert [e["request"] for e in replay.left if not e.get("repeat")] == [], "recorded, and not asked for"


def check_fetch(fetched: Any, wanted: dict[str, Any], vendor: str) -> None:
    line = fetched.coverage
    assert (line.state, ids(fetched)) == (wanted["state"], wanted["resources"]), line.reason
    assert wanted.get("reason", "") in line.reason
    assert balanced(fetched) and not fetched.rejected
    assert [m.reference for m in fetched.missing] == wanted.get("missing", [])
    for key, version in wanted.get("versions", {}).items():
        assert {f"{r.resource_type}/{r.resource_id}": r.version for r in fetched.resources}[key] == version
    if "release" in wanted:
        assert {r.fhir_version for r in fetched.resources} == {wanted["release"]}
    if "entries" in wanted:
        made = normalize(fetched.resources, rules=load_profile(vendor).normalization, patient_id="p1").entries
        by_id = {e.origins[0].resource_id: e for e in made}
        for row in wanted["entries"]:
            check_entry(by_id[row["id"]], row)


def check_entry(entry: Any, row: dict[str, Any]) -> None:
    target = entry.concept.target if hasattr(entry, "concept") else None
    read = {
        "code": target.code if target else "",
        "system": target.system if target else "",
        "text": entry.concept.display if hasattr(entry, "concept") else "",
        "unit": getattr(getattr(entry, "value", None), "code", ""),
        "value": getattr(entry, "value_text", ""),
        "note": entry.attachments[0].text if getattr(entry, "attachments", ()) else "",
    }
    for name, value in row.items():
        if name == "flags":
            assert set(value) <= {f.code for f in entry.flags}
        elif name != "id":
            assert read[name] == value, name


def check_wire(requests: list[Request], wanted: dict[str, Any], site: Any) -> None:
    asked = [r for r in requests if r.method == "GET" and not r.path.endswith(DISCOVERY)]
    for name, value in wanted.get("headers", {}).items():
        assert {r.headers[name] for r in asked} == {value}
    tokens = [r for r in requests if r.method == "POST"]
    assert len(tokens) == wanted.get("tokens", 0)
    if "assertion" in wanted:
        rules = wanted["assertion"]
        key = key_pair(site.profile().key_algorithm)
        public = jwk.import_key(key.public_jwk(), "EC" if key.alg == "ES384" else "RSA")
        claims = jwt.decode(tokens[0].form["client_assertion"], public, algorithms=rules["algorithms"]).claims
        assert len(claims["jti"]) <= rules["jti"] and claims["exp"] - claims["iat"] <= rules["seconds"]
    for url in wanted.get("allows", []):
        Egress("https://ehr.example/r4", extra_hosts=site.profile().token_hosts).look(url)
    if "without" in wanted:
        data = site.model_dump(mode="json")
        del data["overrides"][wanted["without"]["drop"]]
        with pytest.raises(ConfigurationError) as error:
            parse_site(data)
        assert error.value.code == wanted["without"]["error"]


def test_every_quirk_has_its_fixture_and_every_fixture_its_quirk() -> None:
    recorded = {(p.parent.name, p.stem) for p in FIXTURES}
    told = {(v, q.name) for v in vendors() for q in load_profile(v).quirks}
    assert recorded == told and len(told) > 40


@pytest.mark.parametrize("vendor", vendors())
def test_every_rule_about_answers_is_met_by_a_recorded_one(vendor: str) -> None:
    recorded = [e for p in FIXTURES if p.parent.name == vendor for e in json.loads(p.read_text("utf-8"))["exchanges"]]
    said = [(e.get("status", 200), (e.get("text") or json.dumps(e.get("body"))).casefold()) for e in recorded]
    for rule in load_profile(vendor).answers:
        assert any(s == rule.status and rule.contains.casefold() in words for s, words in said), rule


@pytest.mark.parametrize("path", FIXTURES, ids=[f"{p.parent.name}/{p.stem}" for p in FIXTURES])
def test_fixtures_are_tiny_and_say_where_they_come_from(path: Path) -> None:
    assert path.stat().st_size <= 4096
    fixture = json.loads(path.read_text("utf-8"))
    assert set(fixture) <= {"source", "site", "do", "exchanges", "wanted"} and len(fixture["source"]) > 10
