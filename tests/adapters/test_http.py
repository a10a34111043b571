"""The client: deadlines, caps, retries, Retry-After, pace, pinned TLS, no leaked connections."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import gzip
import ssl
import time
import zlib

import pytest
from adapter_kit import Clock, Reply, WireServer, client, opened, routes, site_at
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from adapters.egress import Egress
from adapters.errors import AdapterError, BadAnswer, SiteUnavailable
from adapters.fhir.http import Http, tls_context
from adapters.fhir.pace import Pace, retry_after, shared_pace
from adapters.profile import Limits

OK = Reply(body=b"{}")


async def get(http, server, path="/x", **more):
    return await http.send("GET", server.base + path, **more)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_passing_statuses_are_tried_again_with_jitter(status):
    clock = Clock()
    async with WireServer(routes({"/x": [Reply(status), Reply(status), OK]})) as server, client(server, clock) as http:
        assert (await get(http, server)).status == 200
    assert len(server.requests) == 3 == http.requests
    assert len(set(clock.slept)) == 2 and all(0 < s < 2 for s in clock.slept)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 412, 422, 451, 501])
async def test_other_statuses_are_answers(status):
    async with WireServer(routes({"/x": Reply(status)})) as server, client(server, Clock()) as http:
        assert (await get(http, server)).status == status
    assert len(server.requests) == 1


async def test_tries_are_bounded_and_the_last_answer_is_returned():
    async with WireServer(routes({"/x": Reply(503)})) as server, client(server, Clock(), tries=3) as http:
        assert (await get(http, server)).status == 503
    assert len(server.requests) == 3


async def test_a_rule_that_knows_the_answer_beats_the_table():
    async with (
        WireServer(routes({"/x": Reply(500), "/y": [Reply(400), OK]})) as server,
        client(server, Clock()) as http,
    ):
        await get(http, server, worth_retrying=lambda a: False)
        assert len(server.requests) == 1
        assert (await get(http, server, "/y", worth_retrying=lambda a: True)).status == 200


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "99999999999"}, 99999999999),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 -0000", "date": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "١٢"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_or_not_at_all(headers, seconds):
    assert retry_after(headers) == seconds


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_nobody_calls_before_the_time_given(form):
    """F01: the request that was told waits, and so does every other to the site."""
    clock, called = Clock(), []

    def handle(request):
        called.append((request.path, clock.at))
        if len(called) > 1:
            return OK
        now = time.time()
        later = "20" if form == "seconds" else email.utils.formatdate(now + 20, usegmt=True)
        return Reply(429, headers={"retry-after": later, "date": email.utils.formatdate(now, usegmt=True)})

    async with WireServer(handle) as server, client(server, clock) as http:
        told = asyncio.create_task(get(http, server, "/told"))
        while not called:
            await asyncio.sleep(0.01)
        while not clock.slept:
            await asyncio.sleep(0.01)
        assert [a.status for a in await asyncio.gather(told, get(http, server, "/other"))] == [200, 200]
    assert all(at >= 20 for _, at in called[1:]) and len(called) == 3


@pytest.mark.parametrize("absurd", ["18000", "999999999", "99999999999"])
async def test_a_wait_beyond_the_budget_is_not_waited_for_nor_called_into(absurd):
    clock = Clock()
    handler = routes({"/Observation": Reply(429, headers={"retry-after": absurd}), "/Condition": OK})
    async with WireServer(handler) as server, client(server, clock, max_wait_seconds=60) as http:
        answer = await get(http, server, "/Observation", lane="Observation")
        assert answer.status == 429 and len(server.requests) == 1
        with pytest.raises(SiteUnavailable) as refused:
            await get(http, server, "/Observation", lane="Observation")
        assert refused.value.code == "rate_limited" and refused.value.retry_after > 10_000
        assert len(server.requests) == 1, "not a call more before the time given"
        assert (await get(http, server, "/Condition", lane="Condition")).status == 200, "other types go on"
    assert sum(clock.slept) < 60


async def test_who_stands_in_line_when_the_429_comes_does_not_call():
    """F01: four requests passed the door before the answer came; three of them are called back."""
    handler = routes({"/Observation": Reply(429, headers={"retry-after": "9000"})})
    async with WireServer(handler) as server, client(server, Clock(), max_wait_seconds=60, concurrency=1) as http:
        asked = (get(http, server, "/Observation", lane="Observation") for _ in range(4))
        ends = await asyncio.gather(*asked, return_exceptions=True)
    assert len(server.requests) == 1
    assert sorted(type(e).__name__ for e in ends) == ["Answer", *["SiteUnavailable"] * 3]


async def test_the_waits_of_one_request_stay_within_the_budget():
    clock = Clock()
    async with (
        WireServer(routes({"/x": Reply(503, headers={"retry-after": "25"})})) as server,
        client(server, clock, max_wait_seconds=60, tries=10) as http,
    ):
        assert (await get(http, server)).status == 503
    assert len(server.requests) == 3 and 50 <= sum(clock.slept) <= 60


@pytest.mark.parametrize(
    "reply", [Reply(drop=True), Reply(wire=b""), Reply(wire=b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")]
)
async def test_broken_connections_are_one_typed_error_and_leave_nothing_open(reply):
    async with WireServer(routes({"/x": [reply, reply, OK], "/y": reply})) as server, client(server, Clock()) as http:
        assert (await get(http, server)).status == 200
        with pytest.raises(SiteUnavailable) as error:
            await get(http, server, "/y")
        assert error.value.code == "connection_failed"
        await asyncio.sleep(0.02)
        assert server.open <= 1  # the one kept alive for the next request
    await asyncio.sleep(0.02)
    assert server.open == 0


async def test_a_server_that_is_not_there():
    async with WireServer(routes({})) as server:
        pass
    async with client(server, Clock()) as http:
        with pytest.raises(SiteUnavailable, match="connection failed"):
            await get(http, server)


async def test_one_byte_a_second_trips_the_total_deadline():
    """F04: every read is in time, the whole is not."""
    slow = Reply(body=b"{" + b" " * 5_000 + b"}", drip=0.02)
    async with WireServer(routes({"/x": slow})) as server:
        async with client(server, Clock(), request_seconds=0.3, tries=2) as http:
            began = time.monotonic()
            with pytest.raises(SiteUnavailable) as error:
                await get(http, server)
            assert error.value.code == "timeout" and time.monotonic() - began < 5
        await asyncio.sleep(0.05)
        assert server.open == 0


@pytest.mark.parametrize("declared", [True, False])
async def test_bodies_over_the_cap_are_cut_off(declared):
    head = b"HTTP/1.1 200 OK\r\n" + (b"content-length: 5000000\r\n" if declared else b"") + b"\r\n"
    async with (
        WireServer(routes({"/x": Reply(wire=head + b"x" * 300_000)})) as server,
        client(server, Clock(), max_body_bytes=100_000) as http,
    ):
        with pytest.raises(BadAnswer) as error:
            await get(http, server)
    assert error.value.code == "too_large" and len(error.value.body) <= 2_000 and len(server.requests) == 1


async def test_the_cap_counts_unpacked_bytes():
    bomb = gzip.compress(b"0" * 30_000_000)
    assert len(bomb) < 50_000
    async with (
        WireServer(routes({"/x": Reply(body=bomb, headers={"content-encoding": "gzip"})})) as server,
        client(server, Clock(), max_body_bytes=1_000_000) as http,
    ):
        with pytest.raises(BadAnswer) as error:
            await get(http, server)
    assert error.value.code == "too_large"


@pytest.mark.parametrize(
    ("encoding", "body", "good"),
    [
        ("gzip", gzip.compress(b'{"a":1}'), True),
        ("deflate", zlib.compress(b'{"a":1}'), True),
        ("identity", b'{"a":1}', True),
        ("gzip", b"no gzip at all", False),
        ("gzip", gzip.compress(b'{"a":1}')[:-12], None),
        ("gzip, gzip", gzip.compress(gzip.compress(b'{"a":1}')), False),
        ("br", b"\x8b\x03\x80", False),
    ],
    ids=["gzip", "deflate", "plain", "not packed", "cut off", "packed twice", "unknown"],
)
async def test_encodings(encoding, body, good):
    async with (
        WireServer(routes({"/x": Reply(body=body, headers={"content-encoding": encoding})})) as server,
        client(server, Clock()) as http,
    ):
        if good:
            assert (await get(http, server)).json() == {"a": 1}
        elif good is None:  # cut off inside the packing: whatever came is no JSON
            with pytest.raises(BadAnswer):
                (await get(http, server)).json()
        else:
            with pytest.raises(BadAnswer) as error:
                await get(http, server)
            assert error.value.code == "bad_encoding"


async def test_redirects_on_the_same_origin_are_followed_a_few_times():
    hop = Reply(302, headers={"location": "/fhir/y"})
    async with (
        WireServer(routes({"/x": hop, "/y": OK, "/loop": Reply(307, headers={"location": "/fhir/loop"})})) as server,
        client(server, Clock()) as http,
    ):
        assert (await get(http, server, headers={"Authorization": "Bearer t"})).status == 200
        assert server.requests[-1].headers["authorization"] == "Bearer t"
        with pytest.raises(BadAnswer) as error:
            await get(http, server, "/loop")
        assert error.value.code == "redirect_loop"
        with pytest.raises(BadAnswer) as error:  # a form is not sent on
            await http.send("POST", server.base + "/x", data={"a": "b"})
        assert error.value.code == "redirect"


@pytest.mark.parametrize(
    "location", ["http://[bad", "https://host:port/", "\\\\evil\\x", "javascript:1", "http://127.0.0.1:1/"]
)
async def test_redirects_to_nowhere_are_typed_errors(location):
    async with (
        WireServer(routes({"/x": Reply(301, headers={"location": location})})) as server,
        client(server, Clock()) as http,
    ):
        with pytest.raises(AdapterError):
            await get(http, server)
    assert len(server.requests) <= 4 and {r.path for r in server.requests} == {"/fhir/x"}


@pytest.mark.parametrize(
    "wire",
    [
        b"\x00\x01\x02",
        b"HTTP/9.9 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_typed_error(wire):
    async with WireServer(routes({"/x": Reply(wire=wire)})) as server, client(server, Clock(), tries=2) as http:
        with pytest.raises(SiteUnavailable):
            await get(http, server)


async def test_at_most_so_many_requests_run_at_once():
    running, most = 0, 0

    async def handle(request):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return OK

    async with WireServer(handle) as server, client(server, concurrency=3) as http:
        await asyncio.gather(*(get(http, server) for _ in range(12)))
    assert most == 3 and len(server.requests) == 12


def test_the_pace_spreads_requests_evenly():
    clock = Clock()
    pace = Pace(4.0, clock.now)
    assert [pace.turn() for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]
    clock.at = 10.0
    assert pace.turn() == 0.0


async def test_two_refreshes_of_one_site_share_its_pace_and_its_429():
    async with WireServer(
        routes({"/metadata": Reply(404), "/x": Reply(429, headers={"retry-after": "3000"})})
    ) as server:
        site = site_at(server.base, limits={"requests_per_second": 50, "tries": 1, "max_wait_seconds": 1})
        async with opened(site) as one, opened(site) as two:
            assert (await one._http.send("GET", server.base + "/x", lane="Observation")).status == 429
            with pytest.raises(SiteUnavailable, match="wait longer"):
                await two._http.send("GET", server.base + "/x", lane="Observation")
        assert len(server.requests) == 1
    assert shared_pace("https://other.example/fhir", 5) is not shared_pace("https://third.example/fhir", 5)
    held = shared_pace("https://a.example/fhir", 50)
    assert shared_pace("https://A.example/other", 10) is held, "the slower rate holds for both"
    assert [round(held.turn(), 1) for _ in range(3)][1:] == [0.1, 0.2]


async def test_a_form_that_is_a_function_is_made_anew_for_each_try():
    made = iter(range(9))
    async with WireServer(routes({"/x": [Reply(503), OK]})) as server, client(server, Clock()) as http:
        await http.send("POST", server.base + "/x", data=lambda: {"jti": str(next(made))})
    assert [r.form["jti"] for r in server.requests] == ["0", "1"]


def certificate(tmp_path, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = tmp_path / "cert.pem", tmp_path / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    return chain, context


@pytest.mark.parametrize(("name", "trusted"), [("localhost", True), ("other.example", False)])
async def test_tls_is_checked_against_the_name_though_the_address_is_called(
    request, tmp_path, monkeypatch, name, trusted
):
    chain, context = certificate(tmp_path, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    tls_context.cache_clear()
    request.addfinalizer(tls_context.cache_clear)
    async with WireServer(routes({"/x": OK}), ssl=context) as server:
        base = f"https://localhost:{server.port}/fhir"
        egress = Egress(base, allow_loopback=True, resolver=lambda h, p: ["127.0.0.1"])
        async with Http(egress, Limits(tries=1)) as http:
            if trusted:
                assert (await http.send("GET", f"{base}/x")).status == 200
            else:
                with pytest.raises(SiteUnavailable) as error:
                    await http.send("GET", f"{base}/x")
                assert error.value.code == "tls_certificate"


async def test_the_next_address_is_tried_when_the_first_does_not_connect():
    async with WireServer(routes({"/x": OK})) as server:
        base = f"http://localhost:{server.port}/fhir"
        egress = Egress(base, allow_loopback=True, resolver=lambda h, p: ["127.0.0.9", "127.0.0.1"])
        async with Http(egress, Limits(tries=1)) as http:
            assert (await http.send("GET", f"{base}/x")).status == 200
