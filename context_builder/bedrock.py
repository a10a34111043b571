"""Amazon Bedrock (Converse) as a StatementModel, through langchain; any other langchain chat model fits the same class.

Nothing leaves but the one call: langchain's tracing is off whatever the environment says, its caches are not used, and
its loggers, which print whole prompts at DEBUG, are silenced. langchain is imported when a model is first asked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from context_builder.model import ModelAnswer, ModelFault, ModelNotPermitted, read_statements
from context_builder.prompts.prompt import Prompt

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

CONNECT_SECONDS = 5
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_QUIET = ("langchain_aws", "langchain_core", "langsmith", "botocore", "boto3", "urllib3")
_OLD_TRACING = ("LANGCHAIN_TRACING", "LANGCHAIN_HANDLER")
"""Of langchain's first tracer. It is gone, but langchain_core 1.x still refuses to run where they are set."""
_CODES = {
    "ThrottlingException": "model_throttled",
    "TooManyRequestsException": "model_throttled",
    "ServiceQuotaExceededException": "model_throttled",
    "ModelNotReadyException": "model_throttled",
    "ModelTimeoutException": "model_timeout",
    "AccessDeniedException": "model_access_denied",
    "UnrecognizedClientException": "model_access_denied",
    "ExpiredTokenException": "model_access_denied",
    "InvalidSignatureException": "model_access_denied",
    "ResourceNotFoundException": "model_request_refused",
    "ValidationException": "model_request_refused",
}
"""Bedrock Runtime's error codes (botocore's service model, operation Converse) -> ours; all others are `model_error`."""

_ENDS: ContextVar[float] = ContextVar("ends")
"""The `time.monotonic()` at which the call in hand is given up. langchain hands a context on to its worker threads."""


class StatementItem(BaseModel):
    """One statement."""

    text: str = Field(description="One plain sentence, at most 300 characters, no Markdown, no links, no brackets.")
    cites: list[str] = Field(description="Keys of the facts the sentence rests on, such as P3 or L12.")
    kind: str = Field(
        default="finding",
        description="identity, problem, medication, allergy, result, event, gap, coverage, conflict or finding.",
    )


class Answer(BaseModel):
    """The statements about the patient."""

    statements: list[StatementItem]


class LangchainStatementModel:
    """A langchain chat model behind the StatementModel interface."""

    def __init__(
        self,
        name: str,
        make_chat: Callable[[], BaseChatModel],
        *,
        baa_declared: bool,
        seconds: float,
        cache_prompt: bool = False,
        refusal: str = "",
    ) -> None:
        """`make_chat` is called once, when the model is first asked. `seconds`: the whole call, retries included.

        `cache_prompt`: put a Bedrock cache point after the record, for models that support prompt caching. `refusal`: why
        nothing may be sent although a BAA is declared.
        """
        self.name = name
        self._make, self._seconds, self._cache = make_chat, seconds, cache_prompt
        no_baa = "no BAA is declared for the model's provider (CHARTBRIEF_MODEL_BAA_DECLARED)"
        self._refusal = refusal if baa_declared else no_baa
        self._chat: Any = None
        self._lock = threading.Lock()

    async def write(self, prompt: Prompt) -> ModelAnswer:
        """Ask the model in a thread of its own, which is left behind when the time is over."""
        if self._refusal:
            raise ModelNotPermitted(self._refusal)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ModelAnswer] = loop.create_future()

        def settle(answer: ModelAnswer | None, fault: ModelFault | None) -> None:
            if future.done():
                return
            if fault is not None:
                future.set_exception(fault)
            elif answer is not None:
                future.set_result(answer)

        ends = time.monotonic() + self._seconds

        def work() -> None:
            answer, fault = None, None
            _ENDS.set(ends)
            try:
                answer = self._ask(prompt)
            except ModelFault as known:
                fault = known
            except Exception as error:  # noqa: BLE001 - langchain and botocore raise many kinds; each becomes one code
                fault = fault_of(error)
            if not loop.is_closed():
                loop.call_soon_threadsafe(settle, answer, fault)

        threading.Thread(target=work, name="chartbrief-model", daemon=True).start()
        try:
            return await asyncio.wait_for(future, self._seconds)
        except TimeoutError:
            raise ModelFault("model_timeout", f"no answer within {self._seconds:g} s") from None

    def _still_wanted(self, **_event: Any) -> None:
        """A hook before each try: botocore's retries know no deadline and would send the record for an answer nobody reads."""
        if time.monotonic() > _ENDS.get():
            raise ModelFault("model_timeout", f"no answer within {self._seconds:g} s")

    def _ask(self, prompt: Prompt) -> ModelAnswer:
        """One call. Runs in a fresh thread, so that no tracer or callback of a caller's context is inherited."""
        _be_quiet()
        from langchain_core.messages import HumanMessage, SystemMessage
        from langsmith import tracing_context

        with self._lock:
            if self._chat is None:
                chat = self._make()
                self._chat = chat.with_structured_output(Answer, method="function_calling", include_raw=True)
        prefix: list[str | dict[str, Any]] = [
            {"type": "text", "text": prompt.instructions},
            {"type": "text", "text": prompt.record},
        ]
        if self._cache:
            prefix.append({"cachePoint": {"type": "default"}})
        messages = [SystemMessage(content=prefix), HumanMessage(content=prompt.question)]
        with tracing_context(enabled=False):
            result = self._chat.invoke(messages, config={"callbacks": []})
        return _read(result["raw"])


class BedrockStatementModel(LangchainStatementModel):
    """A model on Amazon Bedrock. Credentials come from where boto3 finds them."""

    def __init__(
        self,
        model_id: str,
        *,
        region: str,
        baa_declared: bool,
        provider: str | None = None,
        endpoint_url: str | None = None,
        seconds: float = 60.0,
        attempts: int = 2,
        max_tokens: int = 4096,
        cache_prompt: bool = False,
    ) -> None:
        """`provider`: needed where `model_id` is an ARN. `attempts`: tries at Bedrock in all, within `seconds`."""
        open_wire = bool(endpoint_url) and not _is_private(endpoint_url or "")
        refusal = "the model's endpoint is neither https nor on this machine" if open_wire else ""

        def make() -> BaseChatModel:
            from botocore.config import Config
            from langchain_aws import ChatBedrockConverse

            more: dict[str, Any] = {"provider": provider} if provider else {}
            chat = ChatBedrockConverse(
                model_id=model_id,
                region_name=region,
                endpoint_url=endpoint_url,
                temperature=0,
                max_tokens=max_tokens,
                disable_streaming=True,
                cache=False,
                config=Config(
                    connect_timeout=CONNECT_SECONDS,
                    read_timeout=seconds,
                    retries={"total_max_attempts": attempts, "mode": "standard"},
                ),
                **more,
            )
            chat.client.meta.events.register("before-send.bedrock-runtime.Converse", self._still_wanted)
            return chat

        super().__init__(
            model_id, make, baa_declared=baa_declared, seconds=seconds, cache_prompt=cache_prompt, refusal=refusal
        )


def _is_private(url: str) -> bool:
    """Whether a record may be sent to an endpoint: over TLS, or not off this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def _read(message: Any) -> ModelAnswer:
    """The statements of a chat message: its tool calls, or the JSON it wrote as text."""
    calls = [c["args"] for c in message.tool_calls if c["name"] == Answer.__name__]
    told = [read_statements(c) for c in calls] if calls else [read_statements(_text_of(message))]
    usage = message.usage_metadata or {}
    counts = {k: int(usage[k]) for k in ("input_tokens", "output_tokens", "total_tokens") if k in usage}
    counts |= {k: v for k, v in (usage.get("input_token_details") or {}).items() if isinstance(v, int) and v}
    return ModelAnswer(
        statements=tuple(s for t in told for s in t.statements),
        unreadable=sum(t.unreadable for t in told),
        cut_off=message.response_metadata.get("stopReason") == "max_tokens",
        usage=counts,
    )


def _text_of(message: Any) -> str:
    if isinstance(message.content, str):
        return message.content
    return "".join(b.get("text", "") for b in message.content if isinstance(b, dict))


def fault_of(error: Exception) -> ModelFault:
    """The fault behind an exception of langchain's or botocore's. Its text is dropped: it may repeat the prompt."""
    from botocore import exceptions as aws

    name = type(error).__name__
    if isinstance(error, aws.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        code = code if code.isalnum() and len(code) < 60 else "an error without a code"
        return ModelFault(_CODES.get(code, "model_error"), code)
    if isinstance(error, aws.ReadTimeoutError | aws.ConnectTimeoutError):
        return ModelFault("model_timeout", name)
    if isinstance(error, aws.NoCredentialsError | aws.PartialCredentialsError | aws.CredentialRetrievalError):
        return ModelFault("model_access_denied", name)
    if isinstance(error, aws.HTTPClientError | aws.ConnectionError):
        return ModelFault("model_unreachable", name)
    if isinstance(error, ValueError | KeyError | TypeError | AttributeError) or name == "ResponseParserError":
        return ModelFault("model_answer_unreadable", name)
    return ModelFault("model_error", name)


def _be_quiet() -> None:
    """These loggers write prompts and answers at DEBUG; a developer's own logging set-up must not bring that back."""
    for name in _QUIET:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.WARNING:
            logger.setLevel(logging.WARNING)
    for name in _OLD_TRACING:
        os.environ.pop(name, None)
