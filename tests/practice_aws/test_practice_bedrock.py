"""The loopback Bedrock keeps to botocore's service model: it refuses what the service would, and can be used by boto3."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from service.practice_aws import BEHAVIOURS, PracticeAws, Reply
from service.practice_aws.shapes import NotOurs, read_request, write_response

ASK = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


@pytest.fixture
def aws() -> Iterator[PracticeAws]:
    with PracticeAws() as running:
        yield running


def client(aws: PracticeAws, service: str = "bedrock-runtime") -> Any:
    return boto3.client(
        service, region_name="us-east-1", endpoint_url=aws.endpoint_url, aws_access_key_id="x", aws_secret_access_key="y",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=5),
    )  # fmt: skip


def post(url: str, body: bytes, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST"), timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_converse_as_boto3_speaks_it(aws: PracticeAws) -> None:
    answer = client(aws).converse(**ASK)
    assert answer["output"]["message"]["role"] == "assistant" and answer["usage"]["totalTokens"] >= 1
    assert aws.requests == [("Converse", ASK)]


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        ("throttle", 429, "ThrottlingException"),
        ("denied", 403, "AccessDeniedException"),
        ("fail", 500, "InternalServerException"),
        ("unavailable", 503, "ServiceUnavailableException"),
        ("invalid", 400, "ValidationException"),
    ],
)
def test_errors_have_the_service_models_status(aws: PracticeAws, behaviour: str, status: int, code: str) -> None:
    aws.behaviour = behaviour
    with pytest.raises(ClientError) as raised:
        client(aws).converse(**ASK)
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize(
    "body",
    [
        {"messages": "hello"},
        {"messages": [{"role": "user"}]},
        {"messages": [], "inferenceConfig": {"maxTokens": "many"}},
        {"messages": [], "surprise": 1},
        {"messages": [], "system": [{"text": "a", "cachePoint": {"type": "default"}}]},
    ],
)
def test_a_request_the_service_model_does_not_know_is_refused(aws: PracticeAws, body: dict[str, Any]) -> None:
    with pytest.raises(NotOurs):
        read_request("bedrock-runtime", "Converse", "/model/m/converse", json.dumps(body).encode())
    signed = {"Authorization": "AWS4-HMAC-SHA256 x", "Content-Type": "application/json"}
    assert post(f"{aws.endpoint_url}/model/m/converse", json.dumps(body).encode(), signed) == 400
    assert len(aws.refused) == 1 and aws.requests == []


def test_unsigned_and_unknown_calls(aws: PracticeAws) -> None:
    assert post(f"{aws.endpoint_url}/model/m/converse", json.dumps(ASK).encode(), {}) == 403
    assert post(f"{aws.endpoint_url}/elsewhere", b"{}", {"Authorization": "x"}) == 404


def test_our_own_answers_keep_to_the_output_shape() -> None:
    request = ASK | {"system": [{"text": "<record-1>\n- [P1] Hypertension\n</record-1>"}]}
    for behave in BEHAVIOURS.values():
        reply: Reply = behave(request)
        if reply.result is not None:
            assert json.loads(write_response("bedrock-runtime", "Converse", reply.result))["stopReason"]
    with pytest.raises(NotOurs):
        write_response("bedrock-runtime", "Converse", {"output": {}})


def test_model_ids_with_reserved_characters_arrive_whole(aws: PracticeAws) -> None:
    name = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4"
    client(aws).converse(**(ASK | {"modelId": name}))
    assert aws.requests[0][1]["modelId"] == name


def test_the_command_prints_the_settings_to_use() -> None:
    started = subprocess.Popen([sys.executable, "-m", "service.practice_aws"], stdout=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        said = "".join(started.stdout.readline() for _ in range(4))
    finally:
        started.terminate()
        started.wait(10)
    assert "CHARTBRIEF_MODEL_ENDPOINT_URL=http://127.0.0.1:" in said and "AWS_ACCESS_KEY_ID" in said
