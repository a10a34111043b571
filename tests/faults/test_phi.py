"""S04 for the adapters: a canary patient through good days and bad ones; no log, error or coverage reason knows them."""

from __future__ import annotations

import contextlib
import logging

import pytest
from adapter_kit import Clock, Reply, WireServer, bundle, observation, opened, outcome, site_at
from fault_kit import CANARY, PATIENT, at, hospital

from adapters.errors import AdapterError
from models.record import SECTIONS
from service.practice_ehr import Fault

FAULTS = [
    (),
    (Fault(kind="status", status=500),),
    (Fault(kind="status", status=429, retry_after="99999"),),
    (Fault(kind="reset"),),
    (Fault(kind="truncated_json"), Fault(kind="bad_entry")),
    (Fault(kind="html_login"),),
    (Fault(kind="dead_link"), Fault(kind="wrong_entries")),
    (Fault(kind="scopes_lied", types=("Observation", "Patient")),),
    (Fault(kind="revoked_client"),),
    (Fault(kind="drip", seconds=0.2, resource_type="Condition"),),
]


@pytest.fixture
def everything_logged(caplog):
    """Every logger at DEBUG, as an impatient operator would set the root."""
    caplog.set_level(logging.DEBUG)
    return caplog


def told(caplog, fetches) -> str:
    """Whatever leaves the adapters as words: logs, reasons, remarks, the reprs of errors' arguments."""
    words = [r.getMessage() + str(r.args) + str(r.exc_text or "") for r in caplog.records]
    for f in fetches:
        words += [
            f.coverage.reason,
            *f.outcomes,
            *(m.reason for m in f.missing),
            *(r.detail + r.source for r in f.rejected),
        ]
    return "\n".join(words)


def assert_silent(text: str, *more: str) -> None:
    for word in (*CANARY, "Patient/", "patient=", "identifier=", *more):
        assert word.casefold() not in text.casefold(), word


@pytest.mark.parametrize("faults", FAULTS, ids=["none", *(f[0].kind + str(f[0].status) for f in FAULTS[1:])])
async def test_a_canary_patient_stays_out_of_logs_and_reasons(everything_logged, faults):
    with hospital(auth=True) as ehr:
        ehr.faults.set(*faults)
        async with at(ehr, Clock(), page=3, request_seconds=2.0, tries=1) as source:
            fetches = await source.fetch_patient(PATIENT, SECTIONS)
            with contextlib.suppress(AdapterError):
                await source.find_patients(
                    family=CANARY[0], birthdate=CANARY[3], identifier=f"urn:oid:1.2.3|{CANARY[2]}"
                )
        text = told(everything_logged, fetches)
    assert_silent(text, ehr.base_url, "Bearer ", "client_assertion")


class Echo:
    """A site that repeats the patient in everything it says: errors, codes, headers, redirects, links."""

    def __init__(self) -> None:
        self.turn = 0
        name = f"{CANARY[0]} {CANARY[1]} {CANARY[2]} {PATIENT}"
        said = outcome("error", name, name, CANARY[2])
        self.replies = [
            Reply(400, said), Reply(403, f"{name} may not"), Reply(404, said), Reply(422, said), Reply(409, said), Reply(410, name),
            Reply(200, said), Reply(200, name), Reply(200, f"<html>{name}</html>"), Reply(200, {"resourceType": name}),
            Reply(302, headers={"location": f"https://elsewhere.example/Patient/{PATIENT}"}),
            Reply(302, headers={"location": f"http://[{PATIENT}"}),
            Reply(200, bundle(observation("o1", PATIENT), said, next_link=f"https://elsewhere.example/?patient={PATIENT}")),
            Reply(200, bundle(observation("o1", PATIENT), next_link=f"http://[{PATIENT}")),
            Reply(200, bundle({"resourceType": name}, {"id": PATIENT}, observation(PATIENT, "somebody-else"))),
            Reply(200, name, {"content-encoding": f"x-{PATIENT}"}), Reply(wire=name.encode()),
        ]  # fmt: skip

    def __call__(self, request):
        if request.path.endswith("/metadata"):
            return Reply(404)
        self.turn += 1
        return self.replies[self.turn % len(self.replies)]


async def test_a_site_that_echoes_the_patient_everywhere_is_not_repeated(everything_logged):
    async with WireServer(Echo()) as server, opened(site_at(server.base, limits={"tries": 1}), Clock()) as source:
        fetches, errors = [], []
        for _ in range(3):
            fetches += await source.fetch_patient(PATIENT, SECTIONS)
        for _ in range(20):
            try:
                await source.find_patients(identifier=CANARY[2])
            except AdapterError as error:
                errors.append(f"{error} {error!r} {error.to_dict()}")
    assert len(errors) > 5 and {f.coverage.state for f in fetches} >= {"failed", "not_authorized", "not_supported"}
    assert_silent(told(everything_logged, fetches) + "\n".join(errors), "elsewhere.example")
