"""RxNav over the wire of this machine: what leaves, what is kept, and what its faults cost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from adapter_kit import Reply, Request, WireServer

from adapters.errors import BadAnswer, EgressRefused
from adapters.profile import Limits
from adapters.rxnav import RxNav
from models.record import Coding
from models.terminology import vocabulary
from models.terminology.mapper import translate
from models.terminology.ndc_answers import NdcAnswer, NdcAnswers
from models.terminology.systems import NDC
from service.cli.main import main

DAY = "2026-11-25"
FAST = Limits(
    concurrency=4, requests_per_second=1000, request_seconds=2, tries=1, max_wait_seconds=0, max_body_bytes=10_000
)
ANSWERS: dict[str, dict[str, Any]] = {
    "00093111301": {"status": "ACTIVE", "rxcui": "314076", "conceptName": "lisinopril 10 MG Oral Tablet"},
    "00071015523": {
        "status": "OBSOLETE",
        "rxcui": "",
        "ndcHistory": [
            {"activeRxcui": "1", "originalRxcui": "1", "startDate": "200706", "endDate": "200901"},
            {"activeRxcui": "617312", "originalRxcui": "9", "startDate": "200902", "endDate": "201201"},
        ],
    },
    "11111111111": {"status": "ALIEN", "rxcui": "7"},
    "22222222222": {"status": "UNKNOWN"},
}


def answer(request: Request) -> Reply:
    code = parse_qs(urlsplit(request.target).query)["ndc"][0]
    return Reply(body={"ndcStatus": {"ndc11": code} | ANSWERS[code]})


async def test_each_status(tmp_path: Path) -> None:
    async with WireServer(answer) as server, RxNav(server.origin, allow_loopback=True, limits=FAST) as client:
        found, failed = await client.ndcs(ANSWERS, DAY)
    assert failed == 0 and {a.ndc: (a.status, a.rxcui) for a in found} == {
        "00093111301": ("ACTIVE", "314076"),
        "00071015523": ("OBSOLETE", "617312"),
        "11111111111": ("ALIEN", ""),  # another source's, not RxNorm's
        "22222222222": ("UNKNOWN", ""),
    }


async def test_only_eleven_digits_leave() -> None:
    async with WireServer(answer) as server, RxNav(server.origin, allow_loopback=True, limits=FAST) as client:
        await client.ndc("0093-1113-01", DAY)
        for wrong in ("0093111301", "Ana Oduya", "", "00093111301&x=1", "../rxcui"):
            with pytest.raises(ValueError):
                await client.ndc(wrong, DAY)
    assert [r.target for r in server.requests] == ["/REST/ndcstatus.json?ndc=00093111301"]
    assert server.requests[0].body == b"" and "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    "base", ["http://rxnav.nlm.nih.gov", "http://127.0.0.1:1", "https://169.254.169.254", "ftp://x"]
)
async def test_the_gate_holds(base: str) -> None:
    with pytest.raises(EgressRefused):
        async with RxNav(base) as client:
            await client.ndc("00093111301", DAY)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>one moment</html>"),
        Reply(body={"ndcStatus": {"status": "NEW"}}),
        Reply(body={"ndcStatus": [1]}),
        Reply(body=[1]),
        Reply(body={"ndcStatus": {"status": "ACTIVE", "ndc11": "99999999999", "rxcui": "1"}}),
        Reply(status=404, body={}),
        Reply(body=b"x" * 20_000),
    ],
    ids=["html", "status", "list", "other", "another-ndc", "404", "huge"],
)
async def test_an_answer_that_is_none_is_not_kept(reply: Reply) -> None:
    async with WireServer(lambda _: reply) as server, RxNav(server.origin, allow_loopback=True, limits=FAST) as client:
        with pytest.raises(BadAnswer):
            await client.ndc("00093111301", DAY)


async def test_a_service_that_cannot_be_reached_is_not_asked_a_thousand_times() -> None:
    async with (
        WireServer(lambda _: Reply(drop=True)) as server,
        RxNav(server.origin, allow_loopback=True, limits=FAST) as client,
    ):
        found, failed = await client.ndcs([f"{n:011d}" for n in range(200)], DAY)
    assert (found, failed) == ([], 200) and len(server.requests) <= 8


def test_answers_are_kept_with_their_day_and_age(tmp_path: Path) -> None:
    kept = NdcAnswers(tmp_path / "rxnav")
    kept.put(NdcAnswer(ndc="00093111301", status="ACTIVE", asked="2026-10-26", rxcui="314076"))
    assert kept.get("0093-1113-01") == kept.get("00093111301") is not None and kept.get("1") is None
    codes = ["00093111301", "22222222222"]
    assert kept.due(codes, DAY, 30) == ["22222222222"] and kept.due(codes, DAY, 29) == codes
    (tmp_path / "rxnav" / "00093111301.json").write_bytes(b"{")
    assert kept.get("00093111301") is None


@pytest.fixture
def rxnav() -> Iterator[tuple[str, list[str]]]:
    """RxNav of this machine, in a thread: its address and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            code = parse_qs(urlsplit(self.path).query)["ndc"][0]
            body = json.dumps({"ndcStatus": {"ndc11": code} | ANSWERS[code]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()
    vocabulary.use(None)


def test_the_command_asks_once_and_the_mapper_reads_what_was_kept(
    rxnav: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address, asked = rxnav
    monkeypatch.setenv("CHARTBRIEF_HOME", str(tmp_path / "home"))
    used = tmp_path / "used.csv"
    used.write_text("system,code\nNDC,0093-1113-01\nNDC,00093111301\nNDC,22222222222\nNDC,not one\nLOINC,2345-7\n")

    def run() -> tuple[int, Any]:
        capsys.readouterr()
        code = main(["terminology", "rxnav", "--codes", str(used), "--json"])
        return code, json.loads(capsys.readouterr().out)

    assert run()[1]["error"]["code"] == "refused" and asked == []  # off by default
    monkeypatch.setenv("CHARTBRIEF_RXNAV_URL", address)
    assert run() == (0, {"in_use": 2, "asked": 2, "found": 1, "not_in_rxnorm": 1, "failed": 0})
    assert run()[1]["asked"] == 0 and len(asked) == 2
    vocabulary.use(vocabulary.Vocabulary.at(tmp_path / "home" / "terminology"))
    mapping, _ = translate(Coding(system=NDC, code="0093-1113-01"))
    assert mapping.target is not None and (mapping.target.code, mapping.confidence) == ("314076", 0.95)
    assert mapping.table.startswith("rxnav@2") and translate(Coding(system=NDC, code="22222222222"))[0].target is None

    monkeypatch.setenv("CHARTBRIEF_RXNAV_URL", "http://rxnav.example")
    code, told = run()
    assert (code, told["error"]["code"], told["error"]["reason"]) == (3, "configuration", "egress_scheme")
