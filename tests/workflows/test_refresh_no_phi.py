"""A site that puts a patient's data wherever it can: none of it reaches a log, a report or DBOS's own tables."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
import structlog

from adapters.profile import SiteConfig
from service import logs
from service.store import Store
from service.workflows import Runtime

CANARY = "Xyzzycanary"
PATIENT = f"p{CANARY}"
OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "invalid", "diagnostics": CANARY, "details": {"text": CANARY}}],
}


class LeakyEhr(BaseHTTPRequestHandler):
    """Answers each type in another bad way, with the patient's name in all of them."""

    def do_GET(self) -> None:
        kind = self.path.strip("/").partition("?")[0].split("/")[0]
        status, body, content_type = 200, b"", "application/fhir+json"
        subject = {"reference": f"Patient/{PATIENT}"}
        if kind == "metadata":
            status, body = 404, json.dumps(OUTCOME).encode()
        elif kind == "Patient":
            body = json.dumps({"resourceType": "Patient", "id": PATIENT, "name": [{"family": CANARY}]}).encode()
        elif kind == "Condition":
            rows = [
                {"resourceType": "Condition", "id": CANARY, "subject": subject, "code": {"text": CANARY}},
                {"resourceType": "Condition", "id": f"{CANARY}2", "subject": {"reference": f"Patient/{CANARY}"}},
                {"resourceType": CANARY, "id": CANARY},
                CANARY,
            ]
            bundle = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": r} for r in rows]}
            bundle["link"] = [{"relation": "next", "url": f"https://{CANARY}.example/next?name={CANARY}"}]
            body = json.dumps(bundle).encode()
        elif kind == "AllergyIntolerance":
            status, body = 403, json.dumps(OUTCOME).encode()
        elif kind == "MedicationRequest":
            body, content_type = f"<html>{CANARY}</html>".encode(), "text/html"
        elif kind == "Encounter":
            body = f'{{"resourceType": "Bundle", "entry": [{{"resource": {{"name": "{CANARY}'.encode()
        elif kind == "Immunization":
            body = json.dumps(OUTCOME).encode()
        else:
            status, body = 500, f"ValueError: {CANARY}".encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Patient", CANARY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def leaky_base() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), LeakyEhr) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_nothing_of_the_patient_leaves_the_record(
    store: Store, leaky_base: str, database_url: str, caplog: pytest.LogCaptureFixture, capfd
) -> None:
    stream, before = io.StringIO(), structlog.get_config()
    caplog.set_level(logging.DEBUG)
    logs.configure(logging.DEBUG, stream)
    limits = {"limits": {"tries": 1, "requests_per_second": 1000}}
    store.put_site(
        "t1", SiteConfig(name="leaky", fhir_base=leaky_base, auth="none", allow_loopback=True, overrides=limits)
    )
    patient = store.register_patient("t1", "leaky", PATIENT)
    try:
        with Runtime(store) as runtime:
            run = runtime.refresh_patient("t1", patient)
            runtime.check_site("t1", "leaky")
    finally:
        structlog.configure(**before)
    assert run["state"] == "done" and run["report"]["ledger"]["quarantined"] >= 3
    assert CANARY in str(store.chart("t1", patient).entries), "the canary is in the record"
    said = stream.getvalue() + caplog.text + str([r.__dict__ for r in caplog.records]) + "".join(capfd.readouterr())
    assert "section_committed" in said
    assert CANARY not in said
    assert CANARY not in str(run) + str(store.sites("t1")) + str(store.coverage("t1", patient))
    assert CANARY not in str(store.audit_rows("t1"))
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'dbos'").fetchall()
        assert len(tables) > 5
        for (table,) in tables:
            for row in connection.execute(f"select t::text from dbos.{table} t").fetchall():
                assert CANARY not in row[0], table
                assert CANARY.encode().hex() not in row[0], table
