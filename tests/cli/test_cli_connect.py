"""Connecting a site by a person's sign-in from the command line, against a real server and a practice hospital."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

for _room in ("practice_ehr", "adapters"):
    sys.path.insert(0, str(Path(__file__).parents[1] / _room))

from api_kit import serving  # noqa: E402
from practice_kit import record  # noqa: E402
from sign_in_kit import BROWSER, app_at, sign_in  # noqa: E402

from service.api.app import create_app  # noqa: E402
from service.cli.main import main  # noqa: E402
from service.practice_ehr import PracticeEhr  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.store import Store  # noqa: E402


def test_from_a_site_file_over_a_sign_in_to_a_rotated_key(
    settings: Settings,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CHARTBRIEF_HOME", str(settings.home))
    monkeypatch.setenv("DATABASE_URL", str(settings.database_url))

    def run(*arguments: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    apps = {"brief": app_at("http://127.0.0.1:1/smart/callback")}
    with serving(create_app(settings, store)) as api, PracticeEhr("north", record("alder"), apps=apps) as ehr:
        redirect = f"{api}/smart/callback"
        ehr.register_app("brief", app_at(redirect, secret="canary-secret"))
        file = tmp_path / "portal.toml"
        file.write_text(
            f'name = "portal"\nfhir_base = "{ehr.base_url}"\nauth = "standalone"\nclient_id = "brief"\n'
            f'client_auth = "client_secret"\nredirect_uri = "{redirect}"\nallow_loopback = true\n'
        )
        assert run("site", "add", str(file))[1]["jwks"] == {"keys": []}
        code, error = run("site", "connect", "portal", "--patient", "nobody")
        assert (code, error["error"]["code"]) == (6, "unknown_patient")
        address = run("site", "connect", "portal")[1]["open"]
        without = BROWSER.get(address)
        assert without.status_code == 502 and "client secret is missing" in without.text
        monkeypatch.setattr(sys, "stdin", io.StringIO("canary-secret\n"))
        assert main(["site", "secret", "portal"]) == 0 and "canary" not in "".join(capsys.readouterr())
        first = BROWSER.get(address)
        cookie = first.headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/smart/callback" in cookie
        back = BROWSER.get(sign_in(first.headers["location"], "alder"), headers={"cookie": cookie.partition(";")[0]})
        assert back.status_code == 200
        assert run("site", "check", "portal")[1]["state"] == "ready"
        assert run("site", "disconnect", "portal")[1] == {"site": "portal", "ended": 1, "confirmed_by_site": 1}
        code, error = run("site", "check", "portal")
        assert (code, error["error"]["state"], error["error"]["reason"]) == (
            7,
            "needs_reauthorization",
            "not_connected",
        )
        assert run("site", "rotate-key", "portal")[0] == 7, "it knows us by a secret"
    file.write_text('name = "keyed"\nfhir_base = "https://keyed.example/fhir"\nclient_id = "b"\n')
    (old,) = run("site", "add", str(file))[1]["jwks"]["keys"]
    assert next(k["kid"] for k in run("site", "rotate-key", "keyed")[1]["jwks"]["keys"]) == old["kid"]
    switched = run("site", "rotate-key", "keyed", "--switch")[1]
    assert switched["signs"] != old["kid"] and len(switched["jwks"]["keys"]) == 2
    assert len(run("site", "rotate-key", "keyed", "--drop-old")[1]["jwks"]["keys"]) == 1
    assert run("site", "rotate-key", "keyed", "--switch", "--drop-old")[0] == 2
    for name, code in (("nowhere", 6), ("keyed", 7)):
        assert run("site", "connect", name)[0] == run("site", "disconnect", name)[0] == code
