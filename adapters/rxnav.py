"""RxNav, NLM's public service: which RxNorm concept a National Drug Code is. Off unless a base address is configured.

Only codes leave, one a request, eleven digits, through the egress gate; never who takes the drug. NLM asks for at most 20 requests
a second from one address. https://lhncbc.nlm.nih.gov/RxNav/APIs/api-RxNorm.getNDCStatus.html: ACTIVE has its concept; OBSOLETE
names it in the history; ALIEN is not RxNorm's own; UNKNOWN is nobody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from adapters.egress import Egress
from adapters.errors import AdapterError, BadAnswer
from adapters.fhir.http import Http
from adapters.profile import Limits
from models.terminology.ndc import ndc11
from models.terminology.ndc_answers import NdcAnswer

LIMITS = Limits(
    concurrency=4,
    requests_per_second=10.0,
    request_seconds=20.0,
    max_body_bytes=1_000_000,
    tries=3,
    max_wait_seconds=30.0,
)
STATUSES = frozenset({"ACTIVE", "OBSOLETE", "ALIEN", "UNKNOWN"})
_GIVE_UP = 3
"""After so many failures in a row the service is called unreachable and nothing more is asked."""


class RxNav:
    """The client. Use as an async context manager."""

    def __init__(self, base: str, *, allow_loopback: bool = False, limits: Limits = LIMITS) -> None:
        """`base`: https://rxnav.nlm.nih.gov; its host alone is ever called."""
        self._base = base.rstrip("/")
        self._http = Http(Egress(self._base, allow_loopback=allow_loopback), limits)

    async def __aenter__(self) -> RxNav:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._http.__aexit__(*error)

    async def ndc(self, code: str, today: str) -> NdcAnswer:
        """What RxNav says of a code today. Raises AdapterError; ValueError for what is no NDC: it is not sent."""
        digits = ndc11(code)
        if not digits:
            raise ValueError("not a National Drug Code whose layout is known")
        answer = await self._http.send("GET", f"{self._base}/REST/ndcstatus.json?ndc={digits}", lane="ndc")
        if answer.status != 200:
            raise BadAnswer("RxNav did not answer with a status", code="bad_status", status=answer.status)
        return _read(answer.json(), digits, today)

    async def ndcs(self, codes: Iterable[str], today: str) -> tuple[list[NdcAnswer], int]:
        """Answers for the codes, and how many could not be asked; ends early when the service cannot be reached."""
        found: list[NdcAnswer] = []
        failed = in_a_row = 0
        waiting = list(codes)
        for start in range(0, len(waiting), LIMITS.concurrency):
            some = waiting[start : start + LIMITS.concurrency]
            if in_a_row >= _GIVE_UP:
                return found, failed + len(waiting) - start
            for told in await asyncio.gather(*(self.ndc(code, today) for code in some), return_exceptions=True):
                if isinstance(told, NdcAnswer):
                    found.append(told)
                    in_a_row = 0
                elif isinstance(told, AdapterError):
                    failed, in_a_row = failed + 1, in_a_row + 1
                else:
                    raise told
        return found, failed


def _read(said: Any, digits: str, today: str) -> NdcAnswer:
    status = said.get("ndcStatus") if isinstance(said, dict) else None
    if not isinstance(status, dict) or status.get("status") not in STATUSES:
        raise BadAnswer("RxNav answered with something else than an NDC status", code="not_ndc_status")
    told = ndc11(_text(status.get("ndc11")))
    if told and told != digits:
        raise BadAnswer("RxNav answered about another NDC", code="wrong_ndc")
    rxcui = _text(status.get("rxcui"))
    history = status.get("ndcHistory")
    if not rxcui and status["status"] == "OBSOLETE" and isinstance(history, list):
        latest = max((h for h in history if isinstance(h, dict)), key=lambda h: _text(h.get("endDate")), default={})
        rxcui = _text(latest.get("activeRxcui")) or _text(latest.get("originalRxcui"))
    kept = rxcui if rxcui.isdigit() and status["status"] in ("ACTIVE", "OBSOLETE") else ""
    return NdcAnswer(
        ndc=digits,
        status=status["status"],
        asked=today,
        rxcui=kept,
        name=_text(status.get("conceptName"))[:500] if kept else "",
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""
