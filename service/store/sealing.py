"""Secrets at rest: AES-256-GCM under a data key of their own, the data key wrapped by a key provider.

Sealed form: `v1 . provider key id . wrapped data key . nonce . ciphertext`, as length-prefixed fields. The tenant, site
and name are authenticated with it, so that a row moved to another place does not open. A wrong key fails closed.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class SealError(Exception):
    """A secret cannot be sealed or opened. Says nothing of its content."""

    code = "seal_broken"


class KeyProvider(Protocol):
    """Wraps and unwraps data keys."""

    key_id: str

    def wrap(self, data_key: bytes) -> bytes:
        """Encrypt a data key."""

    def unwrap(self, wrapped: bytes, key_id: str) -> bytes:
        """Decrypt a data key that `key_id` wrapped; SealError when it cannot be."""


class FileKeyProvider:
    """Keys in a file of mode 0600: one hex key a line, the first wraps, all unwrap (so that keys can be rotated)."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as out:
                out.write(os.urandom(32).hex() + "\n")
        self._path = path
        self._load()

    def _load(self) -> None:
        try:
            keys = [bytes.fromhex(line) for line in self._path.read_text(encoding="ascii").split()]
        except (ValueError, OSError) as error:
            raise SealError(f"the key file cannot be read: {type(error).__name__}") from None
        if not keys or any(len(k) != 32 for k in keys):
            raise SealError("the key file holds no 256-bit keys")
        self._keys = {self._name(k): k for k in keys}
        self.key_id = self._name(keys[0])

    @staticmethod
    def _name(key: bytes) -> str:
        return hashlib.sha256(b"chartbrief key id" + key).hexdigest()[:16]

    def rotate(self) -> None:
        """Put a new key in front; secrets sealed before still open until they are sealed again."""
        text = self._path.read_text(encoding="ascii")
        temporary = self._path.with_suffix(".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as out:
            out.write(os.urandom(32).hex() + "\n" + text)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(self._path)
        self._load()

    def wrap(self, data_key: bytes) -> bytes:
        """Encrypt a data key under the first key."""
        nonce = os.urandom(12)
        return nonce + AESGCM(self._keys[self.key_id]).encrypt(nonce, data_key, b"data key")

    def unwrap(self, wrapped: bytes, key_id: str) -> bytes:
        """Decrypt a data key."""
        key = self._keys.get(key_id)
        if key is None:
            raise SealError("sealed under a key that is not in the key file")
        try:
            return AESGCM(key).decrypt(wrapped[:12], wrapped[12:], b"data key")
        except InvalidTag:
            raise SealError("the wrapped key does not open") from None


class AwsKmsKeyProvider:
    """Data keys wrapped by AWS KMS."""

    def __init__(self, key_id: str, client: Any) -> None:
        """`client`: a boto3 KMS client."""
        self.key_id, self._client = key_id, client

    def wrap(self, data_key: bytes) -> bytes:
        """KMS Encrypt."""
        return bytes(self._client.encrypt(KeyId=self.key_id, Plaintext=data_key)["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, key_id: str) -> bytes:
        """KMS Decrypt."""
        try:
            return bytes(self._client.decrypt(KeyId=key_id, CiphertextBlob=wrapped)["Plaintext"])
        except self._client.exceptions.ClientError as error:
            raise SealError(f"KMS refused: {error.response['Error']['Code']}") from None


class Sealer:
    """Seals and opens secrets of (tenant, site, name)."""

    def __init__(self, provider: KeyProvider) -> None:
        self._provider = provider

    def seal(self, secret: bytes, *place: str) -> bytes:
        """Seal `secret` for its place."""
        data_key, nonce = os.urandom(32), os.urandom(12)
        sealed = AESGCM(data_key).encrypt(nonce, secret, _place(place))
        return b"v1" + b"".join(
            _field(f) for f in (self._provider.key_id.encode(), self._provider.wrap(data_key), nonce, sealed)
        )

    def open(self, sealed: bytes, *place: str) -> bytes:
        """Open what was sealed for this place; SealError otherwise."""
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
        key_id, wrapped, nonce, ciphertext = fields
        data_key = self._provider.unwrap(wrapped, key_id.decode("ascii", "replace"))
        try:
            return AESGCM(data_key).decrypt(nonce, ciphertext, _place(place))
        except InvalidTag:
            raise SealError("the secret does not belong here, or was changed") from None


def _field(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _place(parts: tuple[str, ...]) -> bytes:
    return b"".join(_field(p.encode()) for p in parts)
