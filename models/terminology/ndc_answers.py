"""What RxNav said of National Drug Codes, kept on the disk with the day it was asked (adapters/rxnav asks).

One small file for each code, written whole: several processes may ask and read at the same time.
"""

from __future__ import annotations

import os
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from models.record.base import Value
from models.terminology.ndc import ndc11


class NdcAnswer(Value, frozen=True):
    """What a package is."""

    ndc: Annotated[str, Meta(description="Eleven digits.")]
    status: Annotated[str, Meta(description="RxNav's: ACTIVE, OBSOLETE, ALIEN, UNKNOWN.")]
    asked: Annotated[str, Meta(description="Day, YYYY-MM-DD.")]
    rxcui: Annotated[str, Meta(description="RxNorm concept; empty: none.")] = ""
    name: Annotated[str, Meta(description="Its name.")] = ""


class NdcAnswers:
    """The answers kept in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, code: str) -> NdcAnswer | None:
        """The answer for a code in any layout that is known; None: never asked, or its file is damaged (ask again)."""
        known = ndc11(code)
        if not known:
            return None
        try:
            return msgspec.json.decode((self.folder / f"{known}.json").read_bytes(), type=NdcAnswer)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None

    def count(self) -> int:
        """How many packages were asked about."""
        return sum(1 for _ in self.folder.glob("*.json"))

    def put(self, answer: NdcAnswer) -> None:
        """Keep an answer in the place of an older one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.folder, suffix=".part")
        with os.fdopen(handle, "wb") as out:
            out.write(msgspec.json.encode(answer))
        Path(temporary).replace(self.folder / f"{ndc11(answer.ndc)}.json")

    def due(self, codes: list[str], today: str, days: int) -> list[str]:
        """Of codes (eleven digits) those to ask: never asked, or more than `days` ago."""
        oldest = (date.fromisoformat(today) - timedelta(days=days)).isoformat()
        return [code for code in codes if (known := self.get(code)) is None or known.asked < oldest]
