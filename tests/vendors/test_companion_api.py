"""A source with two APIs, end to end against the practice EHR: both are one source, each fact says which told it."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any

import pytest
from adapter_kit import Clock, Reply, WireServer, balanced, ids, opened, site_at
from adapter_kit import key_pair as key_of
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.conformance import check, compare
from adapters.errors import ConfigurationError
from adapters.normalizer import assemble, normalize
from adapters.profile import load_profile, parse_site
from context_builder import ContextRequest, build_context
from models.record import SECTIONS, RawResource
from service.cli import render
from service.page.source import source as source_view
from service.practice_ehr import Fault, PracticeEhr
from service.workflows.site_work import refresh_site

ME = "a-80000.E-60178"
ABOUT = {"subject": {"reference": f"Patient/{ME}"}}
FIELDS = st.sampled_from(
    ["appointmentstatus", "date", "starttime", "duration", "encounterid", "name", "code", "codeset", "events", "eventtype",
     "onsetdate", "startdate", "medication", "isdiscontinued", "type", "eventdate", "allergenname", "reactions", "reactionname",
     "snomedcode", "description", "cvx", "status", "administerdate", "codedescription", "readingtaken", "value", "unit", "x"]
)  # fmt: skip
VALUES = {"practiceid": "80000", "departmentid": "1"}


def visit(number: int, day: str) -> dict[str, Any]:
    start = f"{day}T09:45:00-06:00"
    return {"resourceType": "Encounter", "id": f"a-80000.encounter-{number}", "status": "finished", "period": {"start": start},
            "class": {"code": "AMB"}, "type": [{"text": "Office visit"}], **ABOUT}  # fmt: skip


def pulse(number: int) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": f"o-{number}", "status": "final", "effectiveDateTime": f"2025-01-{number:02}",
            "category": [{"coding": [{"code": "vital-signs"}]}], "valueQuantity": {"value": 70 + number, "unit": "/min"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "Heart rate"}]}, **ABOUT}  # fmt: skip


RECORD: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": ME, "name": [{"family": "Canary"}], "birthDate": "1950-01-01"},
    *(visit(n, f"2025-0{n}-10") for n in range(1, 6)),
    {"resourceType": "Condition", "id": "c-1", "code": {"text": "Gout"}, **ABOUT},
    {"resourceType": "MedicationRequest", "id": "m-1", "status": "active", "intent": "order", "authoredOn": "2025-01-01",
     "medicationCodeableConcept": {"text": "allopurinol"}, "dosageInstruction": [{"text": "once a day"}], **ABOUT},
    {"resourceType": "AllergyIntolerance", "id": "a-1", "code": {"text": "Latex"}, "patient": ABOUT["subject"]},
    {"resourceType": "Immunization", "id": "i-1", "status": "completed", "occurrenceDateTime": "2024-10-01",
     "vaccineCode": {"text": "Influenza", "coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "150"}]}, "patient": ABOUT["subject"]},
    *(pulse(n) for n in range(1, 4)),
]  # fmt: skip
STANDS_IN = {
    "problems": ("Condition", "Gout", "athenaone/problems"),
    "medications": ("MedicationRequest", "allopurinol", "athenaone/medications"),
    "allergies": ("AllergyIntolerance", "Latex", "athenaone/allergies"),
    "immunizations": ("Immunization", "Influenza", "athenaone/vaccines"),
}


@asynccontextmanager
async def both(ehr: PracticeEhr, clock: Clock | None = None, **companion: Any):
    site = site_at(
        ehr.base_url,
        "athenahealth",
        auth="backend",
        limits={"tries": 2},
        overrides={
            "required_params": {"ah-practice": "Organization/a-1.Practice-80000"},
            "companion": {"values": VALUES} | companion,
        },
    )
    async with opened(site, clock or Clock()) as source:
        yield source


@pytest.fixture
def ehr():
    keys = {"client-1": [key_of("ES384").public_jwk()]}
    with PracticeEhr("north", RECORD, dress="athenahealth", clients=keys) as made:
        yield made


def read(source: Any, *fetches: Any) -> Any:
    raws = [r for f in fetches for r in f.resources]
    return normalize(raws, rules=source.profile.normalization, patient_id=ME)


async def test_one_source_with_two_apis_each_fact_says_which_told_it(ehr):
    async with both(ehr) as source:
        fetches = {f.section: f for f in await source.fetch_patient(ME, SECTIONS)}
        made = read(source, *fetches.values())
        scopes = source.why_scopes()
    assert all(balanced(f) for f in fetches.values())
    visits = fetches["encounters"]
    assert visits.coverage.state == "present" and visits.coverage.stored == 5 + 6, visits.coverage
    apis = {e.origin.resource_id: e.origin.api for e in made.entries}
    assert apis["a-80000.encounter-1"] == "fhir" and apis["athenaone.appointments-1"] == "athenaone/appointments"
    assert set(apis.values()) == {"fhir", "athenaone/appointments"}, "the chart is not asked for what FHIR gave"
    ahead = next(e for e in made.entries if e.origin.resource_id == "athenaone.appointments-900001")
    assert (ahead.status, ahead.concept.display, len(ahead.start)) == (
        "planned",
        "Follow-up visit",
        len("2026-12-16T09:30"),
    )
    assert {r.interaction for r in ehr.requests if r.resource_type == "appointments"} == {"companion"}
    assert ehr.state.token_calls == 1, "one token, with the scopes of both"
    assert scopes["athena/service/Athenanet.MDP.*"] == "read what this vendor's FHIR API does not have"


async def test_a_visit_that_both_apis_tell_is_one_line_that_cites_both(ehr):
    async with both(ehr) as source:
        fetches = await source.fetch_patient(ME, ["demographics", "encounters"])
        made = read(source, *fetches)
    chart = assemble(
        "t1", "p", made.entries, [f.coverage for f in fetches], as_of="2026-11-25T00:00:00Z", ledger=made.ledger
    )
    repeats = [e for e in chart.entries if e.has_flag("duplicate_of")]
    assert {e.origin.resource_id for e in repeats} == {f"athenaone.appointments-{n}" for n in range(1, 6)}
    document = build_context(chart, ContextRequest(purpose="visit_prep", budget_tokens=4000))
    lines = [f for f in document.facts if f.section == "encounters"]
    told = [{(o.api, o.reference) for o in f.origin} for f in lines if f.date[:10] == "2025-05-10"]
    assert told == [
        {("fhir", "Encounter/a-80000.encounter-5"), ("athenaone/appointments", "Encounter/athenaone.appointments-5")}
    ]
    assert document.ledger.offered == document.ledger.included + document.ledger.omitted


async def test_the_same_number_on_another_day_is_another_visit(ehr):
    async with both(ehr) as source:
        fetched = await source.fetch(ME, "encounters")
        ehr.put(visit(5, "2019-05-10"))  # the FHIR visit moves, the appointment was read before
        later = await source.fetch(ME, "encounters")
    kept = [r for r in fetched.resources if r.api != "fhir"] + [r for r in later.resources if r.api == "fhir"]
    made = normalize(kept, rules=load_profile("athenahealth").normalization, patient_id=ME).entries
    chart = assemble("t1", "p", made, [], as_of="2026-11-25T00:00:00Z")
    assert sum(e.has_flag("duplicate_of") for e in chart.entries) == 4


@pytest.mark.parametrize("section", STANDS_IN)
async def test_what_fhir_refuses_the_companion_gives(ehr, section):
    kind, words, api = STANDS_IN[section]
    ehr.faults.set(Fault(kind="scopes_reduced", types=(kind,)))
    async with both(ehr) as source:
        fetched = await source.fetch(ME, section)
        made = read(source, fetched)
    assert fetched.coverage.state == "present" and balanced(fetched), fetched.coverage
    assert f"from {api}, as FHIR does not give it (not_authorized" in fetched.coverage.reason
    [entry] = made.entries
    assert (entry.concept.display, entry.origin.api, entry.section) == (words, api, section)
    assert not entry.has_flag("missing_subject", "tolerated")


async def test_vitals_from_groups_of_groups_keep_their_digits_and_no_unit_is_guessed(ehr):
    ehr.faults.set(Fault(kind="status", resource_type="Observation", status=404, body="html"))
    async with both(ehr) as source:
        fetched = await source.fetch(ME, "vitals")
        made = read(source, fetched)
    assert fetched.coverage.state == "present" and len(fetched.resources) == 3
    first = min(made.entries, key=lambda e: e.date)
    assert (first.value.as_sent, first.value.unit, first.concept.target.code) == ("71", "", "8867-4")
    assert first.has_flag("missing_unit")


async def test_fhir_broken_and_the_companion_there_is_no_whole_answer(ehr):
    ehr.faults.set(Fault(kind="html_login", resource_type="Condition"))
    async with both(ehr) as source:
        fetched = await source.fetch(ME, "problems")
    line = fetched.coverage
    assert (line.state, ids(fetched)) == ("truncated", ["Condition/athenaone.problems-1"])
    assert "html_body" in line.reason and line.quarantined == 1 and balanced(fetched)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(kind="status", resource_type="appointments", status=503, body="text"), "http_503"),
        (Fault(kind="status", resource_type="appointments", status=403, body="text"), "not_authorized"),
        (Fault(kind="html_login", resource_type="appointments"), "html_body"),
        (Fault(kind="truncated_json", resource_type="appointments"), "truncated_json"),
        (Fault(kind="reset", resource_type="appointments"), "connection_failed"),
        (Fault(kind="scopes_reduced", types=("athena/service/Athenanet.MDP.*",)), "not_authorized"),
    ],
    ids=lambda v: v if isinstance(v, str) else v.kind,
)
async def test_a_companion_that_fails_is_told_and_hides_nothing_fhir_gave(ehr, fault, why):
    ehr.faults.set(fault)
    async with both(ehr) as source:
        fetches = {f.section: f for f in await source.fetch_patient(ME, ["encounters", "problems"])}
    visits = fetches["encounters"]
    assert len(ids(visits, "Encounter")) == 5 and visits.coverage.state == "truncated" and balanced(visits)
    assert f"{why}: athenaone/appointments" in visits.coverage.reason
    assert fetches["problems"].coverage.state == "present"


async def test_a_server_that_refuses_the_whole_request_for_the_companion_scope_is_asked_without_it(ehr):
    auth, asked = ehr.state.auth, []
    granted = auth.granted

    def strict(scopes, levels):
        asked.append(list(scopes))
        return ([], frozenset(), frozenset()) if any("/service/" in s for s in asked[-1]) else granted(scopes, levels)

    auth.granted = strict
    async with both(ehr) as source:
        fetches = {f.section: f for f in await source.fetch_patient(ME, ["encounters", "problems"])}
    assert len(asked) == 2 and fetches["problems"].coverage.state == "present"
    assert "not_authorized: athenaone/appointments" in fetches["encounters"].coverage.reason


async def test_a_dead_token_is_renewed_once_for_both_apis(ehr):
    ehr.faults.set(Fault(kind="expire_token", resource_type="appointments", times=1))
    async with both(ehr) as source:
        fetched = await source.fetch(ME, "encounters")
    assert fetched.coverage.state == "present" and len(fetched.resources) == 11 and ehr.state.token_calls == 2


async def test_pages_are_followed_by_offset_to_the_end(ehr):
    async with both(ehr, pages={"limit": 2}) as source:
        fetched = await source.fetch(ME, "encounters")
    assert len(fetched.resources) == 11 and fetched.coverage.state == "present"
    assert [r.page for r in ehr.requests if r.resource_type == "appointments"] == [1, 2, 3]


async def test_a_page_lost_on_the_way_costs_that_page_only_and_a_circle_ends(ehr):
    ehr.faults.set(Fault(kind="status", resource_type="appointments", status=500, body="text", page=2))
    async with both(ehr, pages={"limit": 2}) as source:
        lost = await source.fetch(ME, "encounters")
    assert lost.coverage.state == "truncated" and lost.coverage.missing == 1 and len(lost.resources) == 7
    ehr.faults.set(Fault(kind="self_loop", resource_type="appointments"))
    async with both(ehr, pages={"limit": 2}) as source:
        looped = await source.fetch(ME, "encounters")
    assert (looped.coverage.state, looped.coverage.reason) == ("truncated", "paging_loop")


async def test_rows_that_cannot_be_read_are_in_quarantine_with_the_reason(ehr):
    ehr.faults.set(Fault(kind="bad_entry", resource_type="appointments"))
    async with both(ehr) as source:
        fetched = await source.fetch(ME, "encounters")
        made = read(source, fetched)
    assert balanced(fetched) and [r.reason for r in fetched.rejected] == ["missing_id"]
    assert [(r.reason, r.detail) for r in made.quarantine] == [
        ("unreadable", "appointmentstatus: absent, or no word of the map")
    ]
    assert made.quarantine[0].content == b'{"appointmentid":"999999","practice":"bad entry"}', "as received"
    assert made.ledger.balanced and len(made.entries) == 11


async def test_reading_again_from_what_was_received_gives_the_same_entries(ehr):
    async with both(ehr) as source:
        fetches = await source.fetch_patient(ME, SECTIONS)
        first = read(source, *fetches).entries
    again = normalize(
        [r for f in reversed(fetches) for r in reversed(f.resources)],
        rules=load_profile("athenahealth").normalization,
        patient_id=ME,
    ).entries
    assert sorted(again, key=lambda e: e.id) == sorted(first, key=lambda e: e.id)
    unread = normalize([r for f in fetches for r in f.resources], patient_id=ME)
    assert {r.detail for r in unread.quarantine} == {"the site's profile has no map for this API"}
    assert unread.ledger.balanced, "without the map the rows are kept, not lost"


async def test_the_store_keeps_the_rows_and_reads_them_again(ehr, store):
    async with both(ehr) as source:
        fetches = await source.fetch_patient(ME, SECTIONS)
        rules = source.profile.normalization
        store.put_site("t1", source.site)
    patient = store.register_patient("t1", "north", ME)
    store.commit_fetch("t1", patient, "north", fetches, rules)
    first = store.chart("t1", patient).entries
    assert {e.origin.api for e in first} == {"fhir", "athenaone/appointments"}
    assert store.renormalize("t1", patient, "north", None).quarantined == 6, "no map: kept, and not read"
    assert {e.origin.api for e in store.chart("t1", patient).entries} == {"fhir"}
    assert store.renormalize("t1", patient, "north", rules).quarantined == 0
    assert store.chart("t1", patient).entries == first
    store.put_secret("t1", "north", "client_key", b"x")
    with store.database.transaction("t1") as db:
        db.exec_driver_sql("update secrets set sealed = substring(sealed for 40) where site = 'north'")
    report = await asyncio.to_thread(
        refresh_site, store, "t1", store.begin_run("t1", patient, ["north"]), patient, "north"
    )
    assert report["state"] == "misconfigured"
    assert store.chart("t1", patient).entries == first, "a site that cannot be opened is not read differently for that"


async def test_a_patient_the_companion_cannot_know_by_this_id_is_told(ehr):
    ehr.put({"resourceType": "Patient", "id": "another-kind"})
    async with both(ehr) as source:
        fetched = await source.fetch("another-kind", "encounters")
    assert fetched.coverage.state == "failed"
    assert "companion_patient_unknown: athenaone/appointments" in fetched.coverage.reason
    assert not [r for r in ehr.requests if r.interaction == "companion"]


async def test_a_row_of_another_patient_is_turned_away(ehr):
    ehr.state.companion.rules.lists["appointments"].row["patientid"] = (
        ehr.state.companion.rules.lists["appointments"].row["patientid"].model_copy(update={"value": "77"})
    )
    async with both(ehr) as source:
        fetched = await source.fetch(ME, "encounters")
    assert {r.reason for r in fetched.rejected} == {"wrong_patient"} and len(fetched.rejected) == 5
    assert balanced(fetched)


SITE = {"name": "x", "vendor": "athenahealth", "fhir_base": "https://ehr.example/fhir/r4", "client_id": "c"}


@pytest.mark.parametrize(
    ("companion", "more", "words"),
    [
        ({"values": {"practiceid": "1"}}, {}, "only the site knows is missing: departmentid"),
        ({"values": VALUES | {"else": "1"}}, {}, "no such value: else"),
        ({"values": VALUES | {"practiceid": "1/../2"}}, {}, "values are plain"),
        ({"values": VALUES, "patient": "x"}, {}, "needs one group"),
        ({"values": VALUES, "patient": "(x"}, {}, "no pattern"),
        (
            {"values": VALUES},
            {"auth": "standalone", "redirect_uri": "https://us.example/smart/callback"},
            "auth backend",
        ),
        ({"unheard": 1}, {}, "companion.unheard: is not a key here"),
    ],
)
def test_a_site_file_that_asks_for_it_wrongly_is_refused(companion, more, words):
    overrides = {"required_params": {"ah-practice": "Organization/a-1.Practice-1"}, "companion": companion}
    with pytest.raises(ConfigurationError, match=words):
        parse_site(SITE | {"overrides": overrides} | more)


async def test_without_the_sites_values_it_is_not_asked(ehr):
    async with both(ehr, values={}) as source:
        fetched = await source.fetch(ME, "encounters")
        assert all("/service/" not in scope for scope in source.why_scopes())
    assert fetched.coverage.state == "present" and len(fetched.resources) == 5
    assert not [r for r in ehr.requests if r.interaction == "companion"]


async def test_the_site_check_tells_what_was_probed_and_what_is_only_declared(ehr):
    async with both(ehr) as source:
        declared = (await check(source)).companion
        before = await check(source, ME)
        ehr.faults.set(Fault(kind="status", resource_type="problems", status=403, body="text"))
        after = await check(source, ME)
    assert {(f.state, f.evidence) for f in declared.values()} == {("not_queried", "declared")} and len(declared) == 6
    visits, problems = after.companion["appointments"], after.companion["problems"]
    assert (visits.state, visits.evidence, visits.rows) == ("present", "live", 6)
    assert (problems.state, problems.evidence) == ("not_authorized", "live")
    assert "60178" not in after.model_dump_json()
    told = [(d.severity, d.where, d.before, d.after) for d in compare(before, after) if d.code == "companion"]
    assert told == [("degrades", "companion problems", "present", "not_authorized")]
    ehr.faults.set(Fault(kind="scopes_reduced", types=("athena/service/Athenanet.MDP.*",)))
    async with both(ehr) as source:
        refused = (await check(source, ME)).companion
    assert {(f.state, f.evidence) for f in refused.values()} == {("not_authorized", "declared")}


def test_the_terminal_names_the_api_of_what_fhir_did_not_tell(capsys):
    rules = load_profile("athenahealth").normalization
    row = b'{"appointmentid":"7","date":"02/02/2025","starttime":"08:30","appointmentstatus":"3"}'
    raw = RawResource("t1", "north", "Encounter", "athenaone.appointments-7", row, api="athenaone/appointments")
    made = normalize([raw], rules=rules, patient_id=ME)
    render.chart(assemble("t1", "p", made.entries, [], as_of="2026-11-25T00:00:00Z"))
    printed = "".join(capsys.readouterr().out.split())
    assert "north:Encounter/athenaone.appointments-7(athenaone/appointments)" in printed
    shown = source_view("Visit", made.entries[0].origin, row)
    assert ("API", "athenaone/appointments") in shown.facts


HOSTILE = [
    "https://evil.example/v1?offset=2&limit=2", "//evil.example/x?offset=2", "file:///etc/passwd?offset=2",
    "javascript:alert(1)?offset=2", "http://[::1?offset=2", "?offset=-1", "?offset=99999999999", "nonsense", "?offset=0",
]  # fmt: skip


@pytest.mark.parametrize("link", HOSTILE)
async def test_a_next_link_leads_nowhere_but_to_an_offset_of_our_own_path(link):
    def answer(request):
        if not request.path.startswith("/v1/"):
            return Reply(body={"resourceType": "Bundle", "entry": []}) if "Encounter" in request.path else Reply(404)
        asked.append(request.target)
        last = "offset=2" in request.target
        return Reply(body={"appointments": [], **({} if last else {"next": link})})

    asked: list[str] = []
    async with WireServer(answer) as server:
        overrides = {"required_params": {"ah-practice": "x"}, "companion": {"values": VALUES, "pages": {"limit": 2}}}
        async with opened(site_at(server.base, "athenahealth", overrides=overrides), Clock()) as source:
            fetched = await source.fetch(ME, "encounters")
    path = "/v1/80000/patients/60178/appointments?showpast=true&showcancelled=true&showcopay=false&limit=2&offset="
    followed = "offset=2" in link and "[" not in link
    assert asked == [f"{path}{n}" for n in ([0, 2] if followed else [0])]
    assert fetched.coverage.state == ("empty" if followed else "truncated")


WORDS = st.text("abz019/-:. é", max_size=12) | st.integers(-5, 2**40) | st.booleans() | st.none()
ROWS = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4), max_leaves=12
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    row=st.dictionaries(FIELDS, ROWS, max_size=8),
    feed=st.sampled_from(sorted(load_profile("athenahealth").companion.feeds)),
)
def test_whatever_a_row_holds_it_becomes_an_entry_or_stays_in_quarantine(row, feed):
    profile = load_profile("athenahealth")
    kind = profile.companion.feeds[feed].shape.type
    raw = RawResource("t1", "north", kind, f"athenaone.{feed}-1", json.dumps(row).encode(), api=f"athenaone/{feed}")
    made = normalize([raw], rules=profile.normalization, patient_id=ME)
    assert made.ledger.balanced and len(made.entries) + len(made.quarantine) == 1
    assert all(o.api == raw.api for e in made.entries for o in e.origins)
