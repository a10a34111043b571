"""ChatBedrockConverse behind the StatementModel interface, against the loopback Bedrock: faults, privacy, the wire."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "verify"))
from verify_kit import document

from context_builder.bedrock import BedrockStatementModel, LangchainStatementModel
from context_builder.document import Summary
from context_builder.model import summarize_with_model
from context_builder.summary import summarize
from service.practice_aws import PracticeAws

MODEL = "anthropic.claude-sonnet-4-20250514-v1:0"


@pytest.fixture(scope="module")
def practice() -> Iterator[PracticeAws]:
    with pytest.MonkeyPatch.context() as patch, PracticeAws() as running:
        patch.setenv("AWS_ACCESS_KEY_ID", "practice")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "practice")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield running


@pytest.fixture
def aws(practice: PracticeAws) -> Iterator[PracticeAws]:
    practice.behaviour = "honest"
    practice.script.clear()
    practice.requests.clear()
    yield practice
    assert practice.refused == []


@pytest.fixture(scope="module")
def once(practice: PracticeAws) -> BedrockStatementModel:
    """A model with one try and clients made once (making them takes most of a test's time)."""
    return model(practice, attempts=1)


def model(aws: PracticeAws, **more: Any) -> BedrockStatementModel:
    settings: dict[str, Any] = {
        "region": "us-east-1",
        "baa_declared": True,
        "endpoint_url": aws.endpoint_url,
        "seconds": 30.0,
    }
    return BedrockStatementModel(more.pop("model_id", MODEL), **(settings | more))


def summary(aws: PracticeAws, behaviour: str, **more: Any) -> Summary:
    aws.behaviour = behaviour
    return asyncio.run(summarize_with_model(document(), model(aws, **more)))


def test_honest_model(aws: PracticeAws) -> None:
    found = summary(aws, "honest")
    assert found.state == "model" and found.model == MODEL
    assert len([s for s in found.statements if s.source == "model"]) > 5
    assert found.usage["input_tokens"] > 0 and found.usage["output_tokens"] > 0


def test_the_request_is_deterministic_bounded_and_asks_for_the_tool(aws: PracticeAws) -> None:
    summary(aws, "honest", max_tokens=777, cache_prompt=True)
    ((name, request),) = aws.requests
    assert name == "Converse" and request["modelId"] == MODEL
    assert request["inferenceConfig"] == {"maxTokens": 777, "temperature": 0}
    assert request["toolConfig"]["toolChoice"] == {"tool": {"name": "Answer"}}
    assert list(request["system"][-1]) == ["cachePoint"]
    assert "<record-cccccccc>" in request["system"][1]["text"]
    last = request["messages"][-1]["content"]
    assert [list(b) for b in last] == [["text"]] and "summary" in last[0]["text"]
    assert "Okafor" not in last[0]["text"]


@pytest.mark.parametrize(
    ("behaviour", "state", "reason"),
    [
        ("throttle", "model_unavailable", "model_throttled"),
        ("denied", "model_unavailable", "model_access_denied"),
        ("fail", "model_unavailable", "model_error"),
        ("unavailable", "model_unavailable", "model_error"),
        ("invalid", "model_unavailable", "model_request_refused"),
        ("garbage", "model_unavailable", "model_answer_unreadable"),
        ("half_body", "model_unavailable", "model_"),
        ("half_json", "model_unavailable", "model_answer_unreadable"),
        ("prose", "model_unavailable", "model_answer_unreadable"),
        ("silent", "model_unavailable", "model_answer_unreadable"),
        ("empty", "record_only", "model_nothing_verified"),
        ("invented", "record_only", "model_nothing_verified"),
    ],
)
def test_every_fault_leaves_the_record_and_a_reason(
    aws: PracticeAws, once: BedrockStatementModel, behaviour: str, state: str, reason: str
) -> None:
    aws.behaviour = behaviour
    found = asyncio.run(summarize_with_model(document(), once))
    assert found.state == state and found.reason.startswith(reason)
    assert found.statements == summarize(document()).statements
    assert "evil" not in found.text and "warfarin" not in found.text.lower()


def test_a_slow_model_is_given_up_and_not_waited_for(aws: PracticeAws) -> None:
    hasty = model(aws, seconds=2.0)
    asyncio.run(summarize_with_model(document(), hasty))  # clients are made at the first call
    aws.requests.clear()
    aws.behaviour = "slow"
    found = asyncio.run(summarize_with_model(document(), hasty))
    assert found.state == "model_unavailable" and found.reason.startswith("model_timeout")
    for thread in threading.enumerate():
        if thread.name == "chartbrief-model":
            thread.join(20)
    assert len(aws.requests) <= 1, "the record was sent again for an answer nobody waits for"


def test_a_model_that_is_not_there(aws: PracticeAws) -> None:
    gone = PracticeAws()
    gone._server.server_close()
    found = asyncio.run(summarize_with_model(document(), model(gone, attempts=1)))
    assert found.state == "model_unavailable" and found.reason.startswith("model_unreachable")


def test_a_throttled_call_is_tried_again_within_its_attempts(aws: PracticeAws) -> None:
    aws.script = ["throttle", "honest"]
    assert summary(aws, "throttle", attempts=2).state == "model"
    aws.requests.clear()
    assert summary(aws, "throttle", attempts=1).state == "model_unavailable"
    assert len(aws.requests) == 1


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"baa_declared": False}, "BAA"),
        ({"endpoint_url": "http://models.example"}, "https"),
        ({"endpoint_url": "ftp://127.0.0.1"}, "https"),
    ],
)
def test_nothing_is_sent_without_a_baa_or_in_the_clear(aws: PracticeAws, more: dict[str, Any], why: str) -> None:
    found = summary(aws, "honest", **more)
    assert found.state == "model_not_permitted" and why in found.reason
    assert aws.requests == []
    assert found.statements == summarize(document()).statements


def test_tracing_is_off_whatever_the_environment_says(aws: PracticeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    class Sentinel(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            calls.append(self.path)
            self.send_response(202)
            self.end_headers()

        do_GET = do_PATCH = do_POST

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Sentinel)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    for prefix in ("LANGSMITH", "LANGCHAIN"):
        for name, value in {"TRACING": "true", "TRACING_V2": "true", "API_KEY": "k", "ENDPOINT": endpoint}.items():
            monkeypatch.setenv(f"{prefix}_{name}", value)
    from langchain_core.tracers.langchain import wait_for_all_tracers
    from langsmith.utils import get_env_var, tracing_is_enabled

    get_env_var.cache_clear()
    try:
        assert tracing_is_enabled(), "the environment must really ask for tracing"
        assert summary(aws, "honest").state == "model"
        wait_for_all_tracers()
    finally:
        get_env_var.cache_clear()
        server.shutdown()
        server.server_close()
    assert calls == []


def test_prompts_reach_no_log_even_at_debug(aws: PracticeAws, caplog: pytest.LogCaptureFixture) -> None:
    names = ("langchain_aws", "langchain_core", "botocore", "boto3", "urllib3")
    before = {n: logging.getLogger(n).level for n in names}
    for n in names:
        logging.getLogger(n).setLevel(logging.DEBUG)
    try:
        with caplog.at_level(logging.DEBUG):
            summary(aws, "honest")
            summary(aws, "garbage")
    finally:
        for n, level in before.items():
            logging.getLogger(n).setLevel(level)
    assert "Okafor" not in caplog.text and "Penicillin" not in caplog.text


def test_another_langchain_chat_model_fits_the_same_interface() -> None:
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import RunnableLambda

    told = AIMessage(content='{"statements": [{"text": "Hypertension is active.", "cites": ["P1"]}]}')

    class Other(GenericFakeChatModel):
        def with_structured_output(self, schema: Any, **_: Any) -> Any:
            return RunnableLambda(lambda messages: {"raw": self.invoke(messages)})

    other = LangchainStatementModel("other", lambda: Other(messages=iter([told])), baa_declared=True, seconds=30)
    found = asyncio.run(summarize_with_model(document(), other))
    assert found.state == "model" and found.model == "other"


def test_langchain_is_imported_only_when_a_model_is_asked() -> None:
    code = "import sys, context_builder.bedrock, context_builder.model; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"langchain", "langchain_core", "langchain_aws", "langsmith", "boto3", "botocore"} & set(loaded)
