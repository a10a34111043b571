"""KMS as far as service/store/sealing.py uses it: GenerateDataKey, Encrypt, Decrypt under keys that never leave here."""

from __future__ import annotations

import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

Json = dict[str, Any]
_ACCOUNT = "arn:aws:kms:us-east-1:000000000000:key/"


class KmsError(Exception):
    """An error of the service, by its own code."""


class PracticeKms:
    """Keys in memory. A ciphertext holds the id of its key, a nonce, and AES-GCM output bound to the encryption context."""

    def __init__(self, key_ids: tuple[str, ...] = ("practice-key",)) -> None:
        self._keys = {key_id: os.urandom(32) for key_id in key_ids}
        self.disabled: set[str] = set()

    def call(self, name: str, request: Json) -> Json:
        """One operation; raises KmsError with the service's code."""
        return {"GenerateDataKey": self._generate, "Encrypt": self._encrypt, "Decrypt": self._decrypt}[name](request)

    def _generate(self, request: Json) -> Json:
        size = request.get("NumberOfBytes") or {"AES_256": 32, "AES_128": 16}[request.get("KeySpec", "AES_256")]
        plain = os.urandom(size)
        sealed = self._encrypt({**request, "Plaintext": plain})
        return {"Plaintext": plain, "CiphertextBlob": sealed["CiphertextBlob"], "KeyId": sealed["KeyId"]}

    def _encrypt(self, request: Json) -> Json:
        key_id = self._named(request["KeyId"])
        nonce, bound = os.urandom(12), _bound(request)
        body = AESGCM(self._keys[key_id]).encrypt(nonce, request["Plaintext"], bound)
        name = key_id.encode()
        blob = bytes([len(name)]) + name + nonce + body
        return {"CiphertextBlob": blob, "KeyId": _ACCOUNT + key_id, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def _decrypt(self, request: Json) -> Json:
        blob: bytes = request["CiphertextBlob"]
        length = blob[0] if blob else 0
        key_id = blob[1 : 1 + length].decode("utf-8", "replace")
        if key_id not in self._keys:
            raise KmsError("InvalidCiphertextException")
        if "KeyId" in request and self._named(request["KeyId"]) != key_id:
            raise KmsError("IncorrectKeyException")
        self._named(key_id)
        try:
            plain = AESGCM(self._keys[key_id]).decrypt(
                blob[1 + length : 13 + length], blob[13 + length :], _bound(request)
            )
        except (InvalidTag, ValueError):
            raise KmsError("InvalidCiphertextException") from None
        return {"Plaintext": plain, "KeyId": _ACCOUNT + key_id, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}

    def _named(self, key_id: str) -> str:
        key_id = key_id.removeprefix(_ACCOUNT)
        if key_id not in self._keys:
            raise KmsError("NotFoundException")
        if key_id in self.disabled:
            raise KmsError("DisabledException")
        return key_id


def _bound(request: Json) -> bytes:
    return json.dumps(request.get("EncryptionContext", {}), sort_keys=True).encode()
