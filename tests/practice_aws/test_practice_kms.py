"""Sealing secrets under AWS KMS, against the loopback KMS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from service.practice_aws import PracticeAws
from service.practice_aws.kms import PracticeKms
from service.store.sealing import AwsKmsKeyProvider, Sealer, SealError

PLACE = ("tenant", "site", "token")


@pytest.fixture
def aws() -> Iterator[PracticeAws]:
    with PracticeAws(kms=PracticeKms(("first", "second"))) as running:
        yield running
    assert running.refused == []


def kms(aws: PracticeAws) -> Any:
    return boto3.client(
        "kms", region_name="us-east-1", endpoint_url=aws.endpoint_url, aws_access_key_id="x", aws_secret_access_key="y",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=5, connect_timeout=2),
    )  # fmt: skip


def sealer(aws: PracticeAws, key: str = "first") -> Sealer:
    return Sealer(AwsKmsKeyProvider(key, kms(aws)))


def test_what_is_sealed_opens_in_its_place_only(aws: PracticeAws) -> None:
    sealed = sealer(aws).seal(b"refresh token", *PLACE)
    assert b"refresh token" not in sealed
    assert sealer(aws).open(sealed, *PLACE) == b"refresh token"
    with pytest.raises(SealError):
        sealer(aws).open(sealed, "another", "site", "token")


def test_the_data_key_is_made_by_kms_bound_to_our_context_and_never_stored_in_clear(aws: PracticeAws) -> None:
    sealed = sealer(aws).seal(b"x", *PLACE)
    name, request = aws.requests[0]
    assert name == "GenerateDataKey"
    assert request == {"KeyId": "first", "KeySpec": "AES_256", "EncryptionContext": {"application": "chartbrief"}}
    answer = aws.kms.call("GenerateDataKey", request)
    assert answer["Plaintext"] not in sealed


def test_after_a_change_of_keys_old_secrets_still_open(aws: PracticeAws) -> None:
    sealed = sealer(aws, "first").seal(b"old", *PLACE)
    assert sealer(aws, "second").open(sealed, *PLACE) == b"old"


def test_a_disabled_or_unknown_key_fails_closed(aws: PracticeAws) -> None:
    sealed = sealer(aws).seal(b"x", *PLACE)
    aws.kms.disabled.add("first")
    with pytest.raises(SealError, match="DisabledException"):
        sealer(aws).open(sealed, *PLACE)
    with pytest.raises(SealError, match="NotFoundException"):
        sealer(aws, "nobody").seal(b"x", *PLACE)


def test_a_changed_wrapped_key_does_not_open(aws: PracticeAws) -> None:
    provider = AwsKmsKeyProvider("first", kms(aws))
    _, wrapped = provider.data_key()
    with pytest.raises(SealError, match="InvalidCiphertextException"):
        provider.unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]), "first")
    with pytest.raises(SealError, match="IncorrectKeyException"):
        provider.unwrap(wrapped, "second")


def test_kms_that_is_away_fails_closed() -> None:
    gone = PracticeAws()
    gone._server.server_close()
    with pytest.raises(SealError, match="cannot be reached"):
        sealer(gone).seal(b"x", *PLACE)


def test_encrypt_and_decrypt_bind_their_context(aws: PracticeAws) -> None:
    client = kms(aws)
    blob = client.encrypt(KeyId="first", Plaintext=b"secret", EncryptionContext={"a": "1"})["CiphertextBlob"]
    assert client.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "1"})["Plaintext"] == b"secret"
    with pytest.raises(ClientError, match="InvalidCiphertextException"):
        client.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "2"})
