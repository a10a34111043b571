"""Authorization of the practice EHR: what a SMART backend client may and may not do."""

from __future__ import annotations

import base64
import json
import time

import httpx
import pytest
from joserfc import jwk
from practice_kit import Client, dress_where, get, ids, link, walk

from service.practice_ehr import Fault


@pytest.fixture(scope="module")
def es():
    return Client("ES384")


@pytest.fixture(scope="module")
def ehr(start, es):
    return start(clients={es.client_id: [es.jwk]})


@pytest.fixture(autouse=True)
def _clean(ehr):
    ehr.faults.clear()


def test_discovery_names_the_endpoint_the_token_comes_from(ehr, es):
    smart = get(ehr, ".well-known/smart-configuration").json()
    assert smart["token_endpoint"] == ehr.token_url
    assert set(smart["token_endpoint_auth_signing_alg_values_supported"]) == {"RS384", "ES384"}
    assert "client-confidential-asymmetric" in smart["capabilities"]
    statement = get(ehr, "metadata").json()
    (uris,) = statement["rest"][0]["security"]["extension"]
    assert uris["extension"] == [{"url": "token", "valueUri": ehr.token_url}]
    declared = {r["type"] for r in statement["rest"][0]["resource"]}
    assert {s.split("/")[1].split(".")[0] for s in smart["scopes_supported"]} == declared


@pytest.mark.parametrize("alg", ["ES384", "RS384"])
def test_a_registered_key_gets_a_token_and_the_token_reads(start, alg):
    client = Client(alg)
    ehr = start(clients={client.client_id: {"keys": [client.jwk]}})
    answer = client.request(ehr, client.assertion(ehr.token_url), "system/Patient.read system/Condition.rs")
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    token = answer.json()
    assert token["token_type"] == "bearer" and token["expires_in"] == 300
    assert token["scope"] == "system/Patient.read system/Condition.rs"
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    assert len(ids(walk(ehr, "Condition?patient=alder", headers=headers))) == 7


def test_a_client_can_be_registered_while_the_hospital_runs(ehr):
    late = Client(client_id="late")
    assert late.request(ehr, late.assertion(ehr.token_url)).status_code == 401
    ehr.register("late", [late.jwk])
    assert late.request(ehr, late.assertion(ehr.token_url)).status_code == 200


WRONG = {
    "aud of another server": {"aud": "https://other.example/token"},
    "aud with a slash": {"aud": None},  # filled in below: depends on the port
    "no aud": {"aud": None},
    "expired": {"exp": -60},
    "lives too long": {"exp": 900},
    "no exp": {"exp": None},
    "exp is text": {"exp": "soon"},
    "issued in the future": {"iat": 120},
    "not valid yet": {"nbf": 120},
    "iss is not sub": {"iss": "another"},
    "no sub": {"sub": None},
    "no jti": {"jti": None},
    "empty jti": {"jti": ""},
    "jti too long": {"jti": "x" * 300},
    "unknown client": {"iss": "stranger", "sub": "stranger"},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_claims_are_refused(ehr, es, name):
    claims = dict(WRONG[name])
    for key in ("exp", "iat", "nbf"):
        if isinstance(claims.get(key), int):
            claims[key] += int(time.time())
    if name == "aud with a slash":
        claims["aud"] = ehr.token_url + "/"
    answer = es.request(ehr, es.assertion(ehr.token_url, **claims))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert "access_token" not in answer.text


def test_the_same_jti_is_refused_the_second_time(ehr, es):
    assertion = es.assertion(ehr.token_url)
    assert es.request(ehr, assertion).status_code == 200
    again = es.request(ehr, assertion)
    assert again.status_code == 401 and "replay" in again.json()["error_description"]


def test_forged_signatures_are_refused(ehr, es):
    other = Client()
    good = es.assertion(ehr.token_url)
    head, body, signature = good.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": es.kid}).encode()).decode().rstrip("=")
    secret = jwk.OctKey.import_key(json.dumps(es.jwk))  # the public key taken for a shared secret
    forged = [
        es.assertion(ehr.token_url, key=other.key),
        es.assertion(ehr.token_url, header={"kid": other.kid}),
        es.assertion(ehr.token_url, key=secret, alg="HS256"),
        es.assertion(ehr.token_url, key=jwk.ECKey.generate_key("P-256"), alg="ES256"),
        f"{none}.{body}.",
        f"{head}.{body}.{'A' * len(signature)}",
        f"{head}.{body}",
        "nonsense",
        "ü.ü.ü",
    ]
    for assertion in forged:
        answer = es.request(ehr, assertion)
        assert answer.status_code == 401 and answer.json()["error"] == "invalid_client"
    assert es.request(ehr, good).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_assertion_type": "other"}, "invalid_request"),
        ({"client_assertion": ""}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "user/Patient.read openid patient/*.rs"}, "invalid_scope"),
        ({"scope": "system/Claim.read system/Patient.write"}, "invalid_scope"),
    ],
)
def test_malformed_token_requests(ehr, es, changes, error):
    answer = es.request(ehr, es.assertion(ehr.token_url), **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_the_token_endpoint_takes_forms_by_post_only(ehr):
    assert httpx.get(ehr.token_url).status_code == 405
    assert httpx.post(ehr.token_url, json={}).status_code == 415


@pytest.mark.parametrize(
    "path",
    ["Patient/alder", "Patient?_id=alder", "Claim?patient=alder", "Patient/alder/$everything", "Binary/alder-b1"],
)
@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic YTpi"}])
def test_nothing_is_served_without_a_token(ehr, path, header):
    answer = get(ehr, path, headers=header)
    assert answer.status_code == 401 and "Bearer" in answer.headers["www-authenticate"]
    assert "Alder" not in answer.text


def test_only_discovery_is_open(ehr):
    assert get(ehr, "metadata").status_code == get(ehr, ".well-known/smart-configuration").status_code == 200


def test_scopes_are_checked_per_type_and_interaction(ehr, es):
    headers = es.headers(ehr, "system/Condition.rs system/Observation.r system/Encounter.s")
    status = {
        path: get(ehr, path, headers=headers).status_code
        for path in (
            "Condition?patient=alder",
            "Condition/alder-c0",
            "Observation/alder-l1",
            "Observation?patient=alder",
            "Encounter?patient=alder",
            "Encounter/none",
            "Patient/alder",
        )
    }
    assert list(status.values()) == [200, 200, 200, 403, 200, 403, 403]


def test_companions_stay_out_where_the_token_does_not_cover_them(ehr, es):
    query = "Condition?patient=alder&_revinclude=Provenance:target"
    narrow, wide = (
        es.headers(ehr, "system/Condition.read"),
        es.headers(ehr, "system/Condition.read system/Provenance.read"),
    )
    assert ids([get(ehr, query, headers=narrow).json()], "include") == []
    assert ids([get(ehr, query, headers=wide).json()], "include") == ["alder-pr1"]


def test_everything_is_cut_to_the_scopes(ehr, es):
    headers = es.headers(ehr, "system/Patient.read system/AllergyIntolerance.read")
    assert ids(walk(ehr, "Patient/alder/$everything", headers=headers)) == ["alder", "alder-a1"]


def test_a_token_expires(start, es):
    ehr = start(clients={es.client_id: [es.jwk]}, token_seconds=60)
    headers = es.headers(ehr)
    assert get(ehr, "Patient/alder", headers=headers).status_code == 200
    ehr.faults.set(Fault(kind="clock_skew", seconds=61))
    assert get(ehr, "Patient/alder", headers=headers).status_code == 401


def test_the_clock_of_the_hospital_can_be_wrong(ehr, es):
    ehr.faults.set(Fault(kind="clock_skew", seconds=600))
    assert es.request(ehr, es.assertion(ehr.token_url)).status_code == 401
    ehr.faults.set(Fault(kind="clock_skew", seconds=-600))
    assert es.request(ehr, es.assertion(ehr.token_url)).status_code == 401


def test_a_page_link_belongs_to_the_client_that_searched(start, es):
    other = Client(client_id="client-2")
    ehr = start(dress_where(paging={"style": "session"}), clients={c.client_id: [c.jwk] for c in (es, other)})
    url = link(get(ehr, "Condition?patient=alder&_count=3", headers=es.headers(ehr)).json())
    assert get(ehr, url, headers=other.headers(ehr)).status_code == 400


def test_denied_types_are_left_out_silently_and_refused_in_the_dress_words(start, es):
    rules = {
        "denied_types": ("Condition",),
        "scope_refusal": {"status": 403, "body": "text", "text": "Invalid Token Scope"},
    }
    ehr = start(dress_where(authorization=rules), clients={es.client_id: [es.jwk]})
    answer = es.request(ehr, es.assertion(ehr.token_url), "system/Patient.read system/Condition.read").json()
    assert answer["scope"] == "system/Patient.read"
    refused = get(ehr, "Condition?patient=alder", headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert (refused.status_code, refused.text) == (403, "Invalid Token Scope")


def test_scopes_in_a_syntax_the_server_does_not_speak_are_not_granted(start, es):
    ehr = start(dress_where(authorization={"scopes": ("v2",)}), clients={es.client_id: [es.jwk]})
    answer = es.request(ehr, es.assertion(ehr.token_url), "system/Patient.read system/Condition.rs").json()
    assert answer["scope"] == "system/Condition.rs"
    assert "permission-v1" not in get(ehr, ".well-known/smart-configuration").json()["capabilities"]


def test_scope_faults(ehr, es):
    ehr.faults.set(Fault(kind="scopes_reduced", types=("Condition",)))
    reduced = es.request(ehr, es.assertion(ehr.token_url), "system/Patient.read system/Condition.read").json()
    assert reduced["scope"] == "system/Patient.read"
    ehr.faults.set(Fault(kind="scopes_lied", types=("Condition",)))
    lied = es.request(ehr, es.assertion(ehr.token_url), "system/Patient.read system/Condition.read").json()
    assert "Condition" in lied["scope"]
    headers = {"Authorization": f"Bearer {lied['access_token']}"}
    assert get(ehr, "Condition?patient=alder", headers=headers).status_code == 403
    assert get(ehr, "Patient/alder", headers=headers).status_code == 200


def test_a_revoked_client_loses_its_tokens_too(ehr, es):
    headers = es.headers(ehr)
    ehr.faults.set(Fault(kind="revoked_client"))
    assert get(ehr, "Patient/alder", headers=headers).status_code == 401
    assert es.request(ehr, es.assertion(ehr.token_url)).json()["error"] == "invalid_client"


def test_a_moved_token_endpoint_is_found_by_discovery_again(ehr, es):
    old = ehr.token_url
    ehr.faults.set(Fault(kind="token_moved"))
    assert httpx.post(old, data={}).status_code == 404
    new = get(ehr, ".well-known/smart-configuration").json()["token_endpoint"]
    assert new != old and new == ehr.token_url
    # the audience moved as well
    assert es.request(ehr, es.assertion(old)).status_code == 401
    assert es.request(ehr, es.assertion(new)).status_code == 200


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_token_dies_at_any_page_and_the_link_lives_on(ehr, es, page):
    ehr.faults.set(Fault(kind="expire_token", resource_type="Condition", page=page, times=1))
    url, headers, found, refusals = "Condition?patient=alder&_count=3", es.headers(ehr), [], 0
    while url:
        answer = get(ehr, url, headers=headers)
        if answer.status_code == 401:
            refusals, headers = refusals + 1, es.headers(ehr)
            continue
        found.append(answer.json())
        url = link(found[-1])
    assert refusals == 1 and ids(found) == [f"alder-c{i}" for i in range(7)]


def test_an_open_hospital_asks_for_no_token_and_says_so(plain):
    assert get(plain, "Patient/alder").status_code == 200
    assert get(plain, ".well-known/smart-configuration").status_code == 404
    assert "security" not in get(plain, "metadata").json()["rest"][0]
    assert httpx.post(plain.token_url, data={}).status_code == 404
