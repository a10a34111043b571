"""Secrets at rest: sealed, bound to their place, gone with the key, and nowhere in clear in the database's files."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import threading
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from store_kit import add_site

from adapters.smart.tokens import Token
from service.settings import Settings
from service.store import Store
from service.store.sealing import AwsKmsKeyProvider, FileKeyProvider, Sealer, SealError


def sealer(path: Path) -> Sealer:
    return Sealer(FileKeyProvider(path))


def test_a_secret_opens_at_its_place_and_nowhere_else(tmp_path: Path) -> None:
    box = sealer(tmp_path / "key")
    sealed = box.seal(b"secret", "t1", "north", "token")
    assert box.open(sealed, "t1", "north", "token") == b"secret"
    assert b"secret" not in sealed and box.seal(b"secret", "t1", "north", "token") != sealed
    for place in [("t2", "north", "token"), ("t1", "south", "token"), ("t1n", "orth", "token"), ("t1", "north")]:
        with pytest.raises(SealError):
            box.open(sealed, *place)


def test_every_changed_or_missing_byte_is_noticed(tmp_path: Path) -> None:
    box = sealer(tmp_path / "key")
    sealed = box.seal(b"secret", "t1")
    for at in range(len(sealed)):
        with pytest.raises(SealError):
            box.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], "t1")
        with pytest.raises(SealError):
            box.open(sealed[:at], "t1")


def test_a_wrong_key_fails_closed(store: Store, settings: Settings) -> None:
    add_site(store)
    store.put_secret("t1", "north", "token", b"secret")
    (settings.home / "master.key").unlink()
    other = Store(settings)
    with pytest.raises(SealError) as refused:
        other.secret("t1", "north", "token")
    assert "secret" not in str(refused.value).replace("secret does not", "").replace("sealed", "")
    for call in (
        lambda: other.audit("t1", "a", "b", "ok"),
        lambda: other.client_key("t1", "x") and other.internal_key("t1", "audit"),
    ):
        store.internal_key("t1", "audit")
        with pytest.raises(SealError):
            call()
    other.close()


@pytest.mark.parametrize(
    ("content", "mode"),
    [("00" * 31 + "\n", 0o600), ("no hex\n", 0o600), ("", 0o600), ("11" * 32, 0o644), ("11" * 32, 0o660)],
    ids=["short", "no hex", "empty", "world-readable", "group-writable"],
)
def test_a_bad_key_file_is_refused(tmp_path: Path, content: str, mode: int) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(SealError):
        FileKeyProvider(path)


def test_the_key_file_is_made_once_and_for_us_only(tmp_path: Path) -> None:
    path = tmp_path / "below" / "key"
    made: list[str] = []
    threads = [threading.Thread(target=lambda: made.append(FileKeyProvider(path).key_id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and len(set(made)) == 1
    assert path.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["key"]


def test_the_master_key_rotates(store: Store, settings: Settings) -> None:
    """A new key in front; the old one opens what it sealed until all is sealed again, then it can be taken away."""
    add_site(store)
    store.put_secret("t1", "north", "token", b"secret")
    key = store.client_key("t1", "north")
    store.audit("t1", "a", "b", "ok")
    path = settings.home / "master.key"
    FileKeyProvider(path).rotate()
    rotated = Store(settings)
    assert rotated.secret("t1", "north", "token") == b"secret"
    assert rotated.reseal("t1") == 3
    path.write_text(path.read_text().splitlines()[0] + "\n")  # the old key is gone
    new = Store(settings)
    assert new.secret("t1", "north", "token") == b"secret"
    assert new.client_key("t1", "north").kid == key.kid
    new.audit("t1", "a", "b", "ok")
    assert new.audit_broken_at("t1") is None
    assert store.secret("t1", "north", "token") == b"secret", "a process that runs since before reads the new key"
    for opened in (rotated, new):
        opened.close()


def test_nothing_is_in_clear_in_the_database_files(store: Store, admin_sql) -> None:
    canary = secrets.token_hex(16)
    add_site(store, title=f"clear {canary[::-1]}")
    token = Token(access_token=f"token-{canary}", expires_at=4_000_000_000.0, scope=f"scope-{canary}")
    asyncio.run(store.tokens("t1").put("north", token))
    assert asyncio.run(store.tokens("t1").get("north")) == token
    key = store.client_key("t1", "north")
    _, access = store.create_api_key("t1", "admin")
    admin_sql("checkpoint")
    ((folder, number),) = admin_sql(
        "select current_setting('data_directory'), oid from pg_database where datname = current_database()"
    )
    files = [p for part in (f"base/{number}", "pg_wal") for p in (Path(str(folder)) / part).rglob("*") if p.is_file()]
    held = b"".join(p.read_bytes() for p in files)
    assert canary[::-1].encode() in held, "we look where the data is"
    private = "".join(key.private_pem.split("-----")[2].split())
    for secret in (canary, private[:40], key.private_pem.splitlines()[1], access.rpartition("_")[2]):
        assert secret.encode() not in held
        assert base64.b64encode(secret.encode())[:20] not in held


def test_a_token_is_forgotten_when_it_is_deleted(store: Store) -> None:
    add_site(store)
    tokens = store.tokens("t1")
    asyncio.run(tokens.put("north", Token(access_token="x", expires_at=1.0)))
    asyncio.run(tokens.delete("north"))
    assert asyncio.run(tokens.get("north")) is None
    assert asyncio.run(store.tokens("t2").get("north")) is None


def test_two_that_need_a_client_key_at_once_get_the_same(store: Store, settings: Settings) -> None:
    add_site(store)
    other = Store(settings)
    kids: list[str] = []
    threads = [
        threading.Thread(target=lambda s=s: kids.append(s.client_key("t1", "north").kid))
        for s in (store, other, store, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(kids) == 4 and len(set(kids)) == 1
    other.close()


def test_kms_makes_and_opens_data_keys() -> None:
    """Against botocore's own model of KMS: parameters and answers are validated by it."""
    client = boto3.client("kms", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    context = {"application": "chartbrief"}
    key, arn = os.urandom(32), "arn:aws:kms:us-east-1:1:key/k"
    with Stubber(client) as kms:
        kms.add_response(
            "generate_data_key",
            {"Plaintext": key, "CiphertextBlob": b"wrapped", "KeyId": arn},
            {"KeyId": "alias/chartbrief", "KeySpec": "AES_256", "EncryptionContext": context},
        )
        kms.add_response(
            "decrypt",
            {"Plaintext": key, "KeyId": arn},
            {"KeyId": "alias/chartbrief", "CiphertextBlob": b"wrapped", "EncryptionContext": context},
        )
        kms.add_client_error("decrypt", "AccessDeniedException", "about a secret")
        box = Sealer(AwsKmsKeyProvider("alias/chartbrief", client))
        sealed = box.seal(b"secret", "t1")
        assert box.open(sealed, "t1") == b"secret"
        with pytest.raises(SealError, match="AccessDeniedException") as refused:
            box.open(sealed, "t1")
        assert "about a secret" not in str(refused.value)
