"""Secrets at rest: AES-256-GCM under a data key of their own, the data key wrapped by a key provider.

Sealed form: `v1 . provider key id . wrapped data key . nonce . ciphertext`, as length-prefixed fields. The tenant, site
and name are authenticated with it, so that a row moved to another place does not open. A wrong key fails closed.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class SealError(Exception):
    """A secret cannot be sealed or opened. Says nothing of its content."""

    code = "seal_broken"


class KeyProvider(Protocol):
    """Makes, wraps and unwraps data keys."""

    key_id: str

    def data_key(self) -> tuple[bytes, bytes]:
        """A new 256-bit data key: (in clear, wrapped)."""

    def unwrap(self, wrapped: bytes, key_id: str) -> bytes:
        """Decrypt a data key that `key_id` wrapped; SealError when it cannot be."""


class FileKeyProvider:
    """Keys in a file of mode 0600: one hex key a line, the first wraps, all unwrap (so that keys can be rotated)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            self._make()
        self._load()

    def _make(self) -> None:
        """Written beside and linked into place: of two processes that start at once, both use the key of one."""
        temporary = self._beside()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _write(temporary, os.urandom(32).hex() + "\n")
        except OSError as error:
            raise SealError(
                f"cannot write the key file {self._path} ({error.strerror}); set CHARTBRIEF_HOME to a folder you may write to"
            ) from None
        try:
            os.link(temporary, self._path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()

    def _beside(self) -> Path:
        return self._path.with_name(f"{self._path.name}.{uuid.uuid4().hex}")

    def _load(self) -> None:
        try:
            keys = [bytes.fromhex(line) for line in self._path.read_text(encoding="ascii").split()]
            mode = self._path.stat().st_mode
        except (ValueError, OSError) as error:
            raise SealError(f"the key file cannot be read: {type(error).__name__}") from None
        if mode & 0o077:
            raise SealError("the key file can be read by others; it must have mode 0600")
        if not keys or any(len(k) != 32 for k in keys):
            raise SealError("the key file holds no 256-bit keys")
        self._keys = {self._name(k): k for k in keys}
        self.key_id = self._name(keys[0])

    @staticmethod
    def _name(key: bytes) -> str:
        return hashlib.sha256(b"chartbrief key id" + key).hexdigest()[:16]

    def rotate(self) -> None:
        """Put a new key in front; secrets sealed before still open until they are sealed again."""
        held = self._path.read_text(encoding="ascii")
        temporary = self._beside()
        _write(temporary, os.urandom(32).hex() + "\n" + held)
        temporary.replace(self._path)
        self._load()

    def data_key(self) -> tuple[bytes, bytes]:
        """A data key under the first key."""
        data_key, nonce = os.urandom(32), os.urandom(12)
        return data_key, nonce + AESGCM(self._keys[self.key_id]).encrypt(nonce, data_key, b"data key")

    def unwrap(self, wrapped: bytes, key_id: str) -> bytes:
        """Decrypt a data key."""
        key = self._keys.get(key_id)
        if key is None:
            self._load()  # another process may have rotated the keys
            key = self._keys.get(key_id)
        if key is None:
            raise SealError("sealed under a key that is not in the key file")
        try:
            return AESGCM(key).decrypt(wrapped[:12], wrapped[12:], b"data key")
        except (InvalidTag, ValueError):
            raise SealError("the wrapped key does not open") from None


def _write(path: Path, content: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


class AwsKmsKeyProvider:
    """Data keys made and unwrapped by AWS KMS; the key itself never leaves it."""

    _CONTEXT = {"application": "chartbrief"}

    def __init__(self, key_id: str, client: Any) -> None:
        """`client`: a boto3 KMS client."""
        self.key_id, self._client = key_id, client

    def data_key(self) -> tuple[bytes, bytes]:
        """KMS GenerateDataKey."""
        answer = self._call("generate_data_key", KeyId=self.key_id, KeySpec="AES_256")
        return bytes(answer["Plaintext"]), bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, key_id: str) -> bytes:
        """KMS Decrypt, under the key that wrapped it and no other."""
        return bytes(self._call("decrypt", KeyId=key_id, CiphertextBlob=wrapped)["Plaintext"])

    def _call(self, verb: str, **arguments: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return getattr(self._client, verb)(EncryptionContext=self._CONTEXT, **arguments)
        except ClientError as error:
            raise SealError(f"KMS refused: {error.response['Error']['Code']}") from None
        except BotoCoreError as error:
            raise SealError(f"KMS cannot be reached: {type(error).__name__}") from None


class Sealer:
    """Seals and opens secrets of (tenant, site, name)."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider

    def seal(self, secret: bytes, *place: str) -> bytes:
        """Seal `secret` for its place."""
        data_key, wrapped = self._provider.data_key()
        nonce = os.urandom(12)
        sealed = AESGCM(data_key).encrypt(nonce, secret, _place(place))
        return b"v1" + b"".join(_field(f) for f in (self._provider.key_id.encode(), wrapped, nonce, sealed))

    def open(self, sealed: bytes, *place: str) -> bytes:
        """Open what was sealed for this place; SealError otherwise."""
        key_id, wrapped, nonce, ciphertext = _fields(sealed)
        data_key = self._provider.unwrap(wrapped, key_id.decode("ascii", "replace"))
        try:
            return AESGCM(data_key).decrypt(nonce, ciphertext, _place(place))
        except (InvalidTag, ValueError):
            raise SealError("the secret does not belong here, or was changed") from None


def _fields(sealed: bytes) -> list[bytes]:
    if sealed[:2] != b"v1":
        raise SealError("an unknown sealed form")
    fields, at = [], 2
    try:
        for _ in range(4):
            (size,) = struct.unpack_from(">I", sealed, at)
            fields.append(sealed[at + 4 : at + 4 + size])
            at += 4 + size
    except struct.error:
        raise SealError("a sealed form that is cut off") from None
    if at != len(sealed):
        raise SealError("a sealed form of the wrong length")
    return fields


def _field(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _place(parts: tuple[str, ...]) -> bytes:
    return b"".join(_field(p.encode()) for p in parts)
