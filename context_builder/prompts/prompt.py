"""The prompt: instructions, then the record fenced as data, then the question. The first two are a stable prefix."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

from context_builder.document import ContextDocument
from context_builder.facts_text import clean_passage

MOST_QUESTION = 2_000


class Prompt(NamedTuple):
    """What is sent. `instructions` never changes; `record` is the same for the same context; `question` comes last."""

    instructions: str
    record: str
    question: str


def prompt_for(doc: ContextDocument, question: str | None = None) -> Prompt:
    """The prompt for a context; `question` is the reader's own, for purpose `question`."""
    instructions, questions = _texts()
    # The text of a context holds no `<` before a letter but our own tags (facts_text.clean), so it cannot close this one.
    fence = f"record-{doc.context_id[:8]}"
    record = f"<{fence}>\n{doc.text}\n</{fence}>"
    asked = questions[doc.purpose]
    if question:
        asked = f"{asked}\nThe question, asked by the reader: {clean_passage(question, MOST_QUESTION)}"
    return Prompt(instructions, record, asked)


@cache
def _texts() -> tuple[str, dict[str, str]]:
    folder = resources.files("context_builder.prompts")
    questions = tomllib.loads(folder.joinpath("questions.toml").read_text("utf-8"))
    return folder.joinpath("instructions.md").read_text("utf-8"), questions
