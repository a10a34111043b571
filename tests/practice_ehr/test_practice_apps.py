"""Signing in at a practice hospital: what its pages, codes and refresh tokens let an app do, and what not."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from practice_kit import HTTP, Client, dress_where, get, ids, walk
from sign_in_kit import app_at, fields, params, post, sign_in

from service.practice_ehr import Fault

REDIRECT = "http://127.0.0.1:1/smart/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


@pytest.fixture(scope="module")
def ehr(start):
    apps = {
        "public": app_at(REDIRECT, "http://127.0.0.1:1/smart/launch"),
        "secret": app_at(REDIRECT, secret="s3cret"),
    }
    return start(apps=apps)


@pytest.fixture(autouse=True)
def _clean(ehr):
    ehr.faults.clear()


def address(ehr, **change: Any) -> str:
    asked = {
        "response_type": "code", "client_id": "public", "redirect_uri": REDIRECT, "state": "st", "aud": ehr.base_url,
        "scope": "launch/patient openid fhirUser offline_access patient/Patient.rs patient/Condition.rs",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256", "nonce": "n",
    }  # fmt: skip
    kept = {k: v for k, v in (asked | change).items() if v is not None}
    return f"{ehr.origin}/oauth2/authorize?{urlencode(kept)}"


def exchange(ehr, code: str, **change: str):
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER,
            "client_id": "public"} | change  # fmt: skip
    return HTTP.post(ehr.token_url, data={k: v for k, v in form.items() if v})


def refresh(ehr, token: str, client_id: str = "public"):
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": client_id}
    return HTTP.post(ehr.token_url, data=form)


def authorized(ehr, user: str = "alder", **more: Any) -> dict[str, Any]:
    return exchange(ehr, params(sign_in(address(ehr), user, **more))["code"]).json()


def bearer(answer: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {answer['access_token']}"}


def test_discovery_says_what_there_is(ehr):
    smart = get(ehr, ".well-known/smart-configuration").json()
    assert smart["authorization_endpoint"] == f"{ehr.origin}/oauth2/authorize" and smart["issuer"] == ehr.origin
    assert {"launch-ehr", "launch-standalone", "sso-openid-connect", "permission-offline"} <= set(smart["capabilities"])
    assert smart["code_challenge_methods_supported"] == ["S256"] and "patient/Condition.rs" in smart["scopes_supported"]
    (uris,) = get(ehr, "metadata").json()["rest"][0]["security"]["extension"]
    assert {u["url"] for u in uris["extension"]} == {"token", "authorize", "revoke"}
    assert get(ehr, "Condition?patient=alder").status_code == 401, "with an app the server is not open"


def test_a_patient_lets_an_app_see_themselves_and_nobody_else(ehr):
    answer = authorized(ehr)
    assert answer["patient"] == "alder" and answer["refresh_token"] and "patient/Condition.rs" in answer["scope"]
    claims = jwt.decode(answer["id_token"], KeySet.import_key_set(HTTP.get(f"{ehr.origin}/oauth2/jwks").json())).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (ehr.origin, "public", "n")
    assert claims["fhirUser"] == "Patient/alder"
    headers = bearer(answer)
    assert len(ids(walk(ehr, "Condition?patient=alder", headers=headers))) == 7
    assert ids(walk(ehr, "Condition?patient=birch", headers=headers)) == []
    assert get(ehr, "Patient/birch", headers=headers).status_code == 403
    assert get(ehr, "Condition/birch-c0", headers=headers).status_code == 403
    assert get(ehr, "Observation?patient=alder", headers=headers).status_code == 403, "not among the scopes"


def test_a_clinician_chooses_whom_and_user_scopes_reach_all(ehr):
    assert authorized(ehr, "clinician", patient="birch")["patient"] == "birch"
    url = address(ehr, scope="openid user/Condition.rs")
    answer = exchange(ehr, params(sign_in(url, "clinician"))["code"]).json()
    assert len(ids(walk(ehr, "Condition?patient=birch", headers=bearer(answer)))) == 7


def test_what_is_unchecked_is_not_granted_and_nothing_checked_is_a_no(ehr):
    answer = authorized(ehr, without="Condition")
    assert "Condition" not in answer["scope"] and "patient/Patient.rs" in answer["scope"]
    assert params(sign_in(address(ehr), "alder", without="/[A-Z]")) == {
        "error": "access_denied", "state": "st", "iss": ehr.origin,
    }  # fmt: skip
    assert params(sign_in(address(ehr), "alder", allow=False))["error"] == "access_denied"


@pytest.mark.parametrize(
    "change", [{"client_id": "x"}, {"redirect_uri": "https://evil.example/"}, {"redirect_uri": REDIRECT + "/"}]
)
def test_an_unknown_app_or_address_gets_a_page_and_no_redirect(ehr, change):
    answer = HTTP.get(address(ehr, **change))
    assert answer.status_code == 400 and "location" not in answer.headers and "evil" not in answer.text


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"aud": "https://evil.example/fhir"}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"scope": "launch patient/Patient.rs"}, "invalid_request"),
        ({"launch": "unknown", "scope": "launch patient/Patient.rs"}, "invalid_request"),
        ({"scope": "openid patient/Nothing.rs system/Patient.rs"}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_a_wrong_request_goes_back_with_its_error(ehr, change, error):
    answer = HTTP.get(address(ehr, **change))
    assert answer.status_code == 302 and params(answer.headers["location"])["error"] == error
    assert params(answer.headers["location"])["state"] == "st"


def test_a_wrong_password_and_a_page_that_has_ended(ehr):
    url = address(ehr)
    form = [(n, v) for n, v in fields(HTTP.get(url).text) if n != "user"]
    action = url.partition("?")[0]
    for user, password in (("alder", "x"), ("nobody", "practice"), ("", "")):
        assert post(action, [*form, ("user", user), ("password", password)]).status_code == 401
    skipped = post(action, [form[0], ("step", "consent"), ("answer", "allow"), ("scope", "patient/Patient.rs")])
    assert skipped.status_code == 400 and "location" not in skipped.headers, "nobody signed in"
    assert post(action, [*form, ("user", "alder"), ("password", "practice")]).status_code == 400


def test_script_in_a_request_stays_text(ehr):
    page = HTTP.get(address(ehr, scope="patient/Patient.rs '><script>alert(1)</script>")).text
    page += HTTP.get(address(ehr, client_id="<script>alert(1)</script>")).text
    assert "<script" not in page


@pytest.mark.parametrize(
    "change",
    [{"code_verifier": "w" * 43}, {"code_verifier": ""}, {"redirect_uri": REDIRECT + "x"}, {"client_id": "secret"}],
)
def test_a_code_is_for_who_asked_for_it_and_dies_with_a_wrong_try(ehr, change):
    code = params(sign_in(address(ehr), "alder"))["code"]
    assert exchange(ehr, code, **change).json()["error"] in ("invalid_grant", "invalid_client")
    if change.get("client_id") != "secret":
        assert exchange(ehr, code).json()["error"] == "invalid_grant"


def test_a_code_used_twice_kills_what_it_gave(ehr):
    code = params(sign_in(address(ehr), "alder"))["code"]
    answer = exchange(ehr, code).json()
    assert exchange(ehr, code).json()["error"] == "invalid_grant"
    assert get(ehr, "Patient/alder", headers=bearer(answer)).status_code == 401
    assert refresh(ehr, answer["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_token_is_good_once_and_used_twice_kills_the_family(ehr):
    first = authorized(ehr)
    second = refresh(ehr, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"] and second["patient"] == "alder"
    assert get(ehr, "Patient/alder", headers=bearer(second)).status_code == 200
    assert refresh(ehr, first["refresh_token"]).json()["error"] == "invalid_grant"
    assert get(ehr, "Patient/alder", headers=bearer(second)).status_code == 401
    assert refresh(ehr, second["refresh_token"]).json()["error"] == "invalid_grant"


def test_with_a_grace_period_a_used_refresh_token_is_answered_once_more(start):
    dress = dress_where(authorization={"refresh_grace_seconds": 60})
    ehr = start(dress, apps={"public": app_at(REDIRECT)})
    first = authorized(ehr)
    refresh(ehr, first["refresh_token"])
    again = refresh(ehr, first["refresh_token"]).json()
    assert get(ehr, "Patient/alder", headers=bearer(again)).status_code == 200
    assert refresh(ehr, first["refresh_token"]).json()["error"] == "invalid_grant"
    late = authorized(ehr)
    refresh(ehr, late["refresh_token"])
    ehr.faults.set(Fault(kind="clock_skew", seconds=61))
    assert refresh(ehr, late["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_refresh_token_is_for_its_own_app(ehr):
    ehr.register_app("thief", app_at(REDIRECT))
    assert refresh(ehr, authorized(ehr)["refresh_token"], "thief").json()["error"] == "invalid_grant"


def test_revoking_ends_both_tokens(ehr):
    answer = authorized(ehr)
    form = {"token": answer["refresh_token"], "client_id": "public"}
    assert HTTP.post(f"{ehr.origin}/oauth2/revoke", data=form | {"client_id": "x"}).status_code == 401
    assert HTTP.post(f"{ehr.origin}/oauth2/revoke", data=form).status_code == 200
    assert get(ehr, "Patient/alder", headers=bearer(answer)).status_code == 401
    assert refresh(ehr, answer["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_confidential_app_must_show_its_secret(ehr):
    code = params(sign_in(address(ehr, client_id="secret"), "alder"))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    assert HTTP.post(ehr.token_url, data=form | {"client_id": "secret"}).status_code == 401
    assert HTTP.post(ehr.token_url, data=form, auth=("secret", "wrong")).status_code == 401
    assert HTTP.post(ehr.token_url, data=form, auth=("secret", "s3cret")).status_code == 200


def test_an_app_with_a_key_is_no_backend_client(start):
    client = Client(client_id="keyed")
    ehr = start(apps={"keyed": app_at(REDIRECT, keys=(client.jwk,))})
    answer = client.request(ehr, client.assertion(ehr.token_url))
    assert answer.json()["error"] == "unauthorized_client"


def test_which_apps_get_refresh_tokens_is_the_dress(start):
    dress = dress_where(authorization={"refresh_tokens": "confidential"})
    ehr = start(dress, apps={"public": app_at(REDIRECT)})
    assert "refresh_token" not in authorized(ehr) and "access_token" in authorized(ehr)


def test_a_launch_is_good_once_and_settles_whom_it_is_about(ehr):
    launch = ehr.launch("birch", "enc-1")
    url = address(ehr, launch=launch, scope="launch patient/Patient.rs")
    answer = exchange(ehr, params(sign_in(url, "clinician", patient="alder"))["code"]).json()
    assert (answer["patient"], answer["encounter"]) == ("birch", "enc-1")
    assert params(HTTP.get(url).headers["location"])["error"] == "invalid_request"
    opened = HTTP.get(ehr.launch_page("public", "birch"))
    assert params(opened.headers["location"])["iss"] == ehr.base_url and params(opened.headers["location"])["launch"]
    assert HTTP.get(ehr.launch_page("secret", "birch")).status_code == 400, "it has no launch address"


@pytest.mark.parametrize("text", ["access_denied", "invalid_scope", "server_error"])
def test_authorization_errors_on_demand(ehr, text):
    ehr.faults.set(Fault(kind="authorize_error", text=text))
    assert params(HTTP.get(address(ehr)).headers["location"])["error"] == text
    ehr.faults.set(Fault(kind="refresh_revoked"))
    assert refresh(ehr, authorized(ehr)["refresh_token"]).json()["error"] == "invalid_grant"


def test_the_log_of_requests_holds_no_one(ehr):
    authorized(ehr)
    assert not any("alder" in str(seen) for seen in ehr.requests)
