"""The review queue and re-normalization as routes and commands ask for them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from adapters.errors import AdapterError
from adapters.normalizer.rules import DEFAULT_RULES, NormalizationRules
from models.record import Coding
from models.terminology.mapper import Answer, Ask, Domain
from models.terminology.systems import canonical_system, is_standard, system_name
from models.terminology.tables import COLUMNS, CONFIDENCE, Row, TableError, row_of, shielded
from service.api.problems import Problem
from service.api.refusals import known, refusals
from service.store import Store, UnknownSite
from service.store.review import State, UnknownCode

if TYPE_CHECKING:
    from service.workflows import Runtime

DOMAINS: tuple[str, ...] = get_args(Domain)
USED = tuple(name for name in CONFIDENCE if name not in ("inexact", "unmatched"))
"""Equivalences that an acceptance may have: an inexact target is never used, so it decides nothing."""
ORDER = (
    "system",
    "code",
    "text",
    "unit",
    "specimen",
    "target_system",
    "target_code",
    "display",
    "equivalence",
    "confidence",
    "effective_from",
    "effective_to",
    "author",
    "note",
)
"""Columns of the exported table: those of docs/terminology.md, in its order."""
assert set(ORDER) == COLUMNS
_MOST_WORDS = 60


class Reviewing:
    """What is open, what it may mean, and deciding it. Whoever inherits has the store and the workflows."""

    @property
    def store(self) -> Store:
        """The open store."""
        raise Problem("unavailable")

    def _runtime(self) -> Runtime:
        raise Problem("unavailable")

    def review_queue(
        self,
        tenant: str,
        site: str | None = None,
        domain: str | None = None,
        state: State = "open",
        *,
        everything: bool = False,
        first: int = 0,
        most: int | None = 50,
    ) -> list[dict[str, Any]]:
        """The queue, what matters most first."""
        if domain is not None and domain not in DOMAINS:
            raise Problem("invalid_request", f"the domain is one of {', '.join(DOMAINS)}")
        with refusals():
            if site is not None:
                self.store.site(tenant, site)
            return self.store.review_queue(
                tenant, site, domain=domain, state=state, everything=everything, first=first, most=most
            )

    def review_item(self, tenant: str, site: str, key: str) -> dict[str, Any]:
        """One code: how often it occurs, what it may mean, where it stands (without whose it is), what was decided."""
        found = self._item(tenant, site, key)
        bodies = found.pop("bodies")
        answer, barred = self._meaning(tenant, found), _barred(found)
        candidates = [
            {
                "system": c.target.system,
                "code": c.target.code,
                "display": c.target.display,
                "score": c.score,
                "why": c.why,
            }
            for c in answer.candidates
            if (c.target.system, c.target.code) not in barred
        ]
        return found | {
            "others": self.store.review_others(tenant, site, key),
            "meaning_without_decision": _shown(answer),
            "candidates": candidates,
            "examples": [context_of(body) for body in bodies],
        }

    def accept(
        self,
        tenant: str,
        site: str,
        key: str,
        actor: str,
        target: tuple[str, str, str],
        *,
        equivalence: str = "equal",
        effective: tuple[str, str] = ("", ""),
        note: str = "",
        wait_seconds: float = 0,
    ) -> dict[str, Any]:
        """Decide what a code means at a site; re-normalizes whom it touches."""
        runtime, item = self._runtime(), self._item(tenant, site, key)
        row = _checked(item, target, equivalence, effective)
        display = row.display or self._display(tenant, item, row)
        with refusals():
            decided = self.store.decide(
                tenant,
                site,
                key,
                "accepted",
                actor=actor,
                author=actor,
                target=(row.target_system, row.target_code, display),
                equivalence=equivalence,
                effective=effective,
                note=note,
            )
        return self._after(runtime, tenant, item, decided, wait_seconds)

    def reject(
        self,
        tenant: str,
        site: str,
        key: str,
        actor: str,
        reason: str,
        target: tuple[str, str] | None = None,
        *,
        wait_seconds: float = 0,
    ) -> dict[str, Any]:
        """Never propose `target` for a code again: it stays in the queue. Without a target: none fits, and it leaves it."""
        runtime, item = self._runtime(), self._item(tenant, site, key)
        answer = self._meaning(tenant, item)
        if target is not None:
            barred = [(canonical_system(target[0]), target[1])]
        else:
            used = [answer.mapping.target] if answer.mapping.target else []
            barred = [(t.system, t.code) for t in (*used, *(c.target for c in answer.candidates))]
        with refusals():
            decided = self.store.decide(
                tenant,
                site,
                key,
                "open" if target else "no_target",
                actor=actor,
                author=actor,
                rejected=barred,
                note=reason,
            )
        return self._after(runtime, tenant, item, decided, wait_seconds)

    def withdraw(
        self, tenant: str, site: str, key: str, actor: str, reason: str, *, wait_seconds: float = 0
    ) -> dict[str, Any]:
        """Take all that was decided about a code back. What was decided stays in its history."""
        runtime, item = self._runtime(), self._item(tenant, site, key)
        if not item["history"]:
            raise Problem("conflict", "nothing was decided about this code")
        with refusals():
            decided = self.store.decide(tenant, site, key, "withdrawn", actor=actor, author=actor, note=reason)
        return self._after(runtime, tenant, item, decided, wait_seconds)

    def decision_csv(self, tenant: str, site: str) -> str:
        """The decisions in force at a site, as a mapping table (CSV)."""
        known(site, "unknown_site")
        with refusals():
            rows = self.store.decision_table(tenant, site)
        out = io.StringIO()
        writer = csv.DictWriter(out, ORDER, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: shielded(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows)
        return out.getvalue()

    def renormalize(
        self,
        tenant: str,
        actor: str,
        *,
        site: str | None = None,
        patient_id: str | None = None,
        apply: bool = False,
        wait_seconds: float = 0,
    ) -> dict[str, Any]:
        """Begin to read raw again, and wait for the end at most `wait_seconds`; returns the run."""
        if patient_id is not None:
            known(patient_id, "unknown_patient")
        with refusals():
            runtime = self._runtime()
            run_id = runtime.renormalize(tenant, actor, site=site, patient_id=patient_id, apply=apply)
        return self.renormalization(tenant, run_id, wait_seconds)

    def renormalization(self, tenant: str, run_id: str, wait_seconds: float = 0) -> dict[str, Any]:
        """How far a re-normalization is, and its report once it has ended."""
        known(run_id, "unknown_run")
        with refusals():
            found = self._runtime().renormalization(tenant, run_id, wait_seconds)
        if found is None:
            raise Problem("unknown_run")
        return found

    def _item(self, tenant: str, site: str, key: str) -> dict[str, Any]:
        known(site, "unknown_site")
        known(key, "unknown_code")
        with refusals():
            self.store.site(tenant, site)
            try:
                return self.store.review_item(tenant, site, key)
            except UnknownCode:
                raise Problem("unknown_code") from None

    def _after(
        self,
        runtime: Runtime,
        tenant: str,
        item: Mapping[str, Any],
        decided: tuple[dict[str, Any], str | None],
        wait_seconds: float,
    ) -> dict[str, Any]:
        """The decision, the run that re-normalizes (None where nothing new was decided), and what else the code has that the
        decision does not reach: other units and wordings are other questions."""
        (decision, run_id), run = decided, None
        with refusals():
            if run_id is not None:
                runtime.take_up(tenant, run_id)
                run = runtime.renormalization(tenant, run_id, wait_seconds)
            others = self.store.review_others(tenant, item["site"], item["key"])
        return {"decision": decision, "renormalization": run, "still_open": others}

    def _meaning(self, tenant: str, item: Mapping[str, Any]) -> Answer:
        """What codes, tables and words say by themselves, with the rules of the site."""
        coding = Coding(system=item["system"], code=item["code"])
        codings = (Coding(system=coding.system, code=coding.code, display=item["text"]),) if coding.code else ()
        ask = Ask(domain=item["domain"], codings=codings, text=item["text"], unit=item["unit"])
        return self._rules(tenant, item["site"]).terminology.map(ask)

    def _display(self, tenant: str, item: Mapping[str, Any], row: Row) -> str:
        """The name of an accepted target: a candidate's, where it is one."""
        wanted = (row.target_system, row.target_code)
        targets = (c.target for c in self._meaning(tenant, item).candidates)
        return next((t.display for t in targets if (t.system, t.code) == wanted), "")

    def _rules(self, tenant: str, site: str) -> NormalizationRules:
        try:
            return self.store.site(tenant, site).profile().normalization
        except (AdapterError, UnknownSite):
            return DEFAULT_RULES


def _checked(
    item: Mapping[str, Any], target: tuple[str, str, str], equivalence: str, effective: tuple[str, str]
) -> Row:
    """The decision as a row of a mapping table, by the same checks as a table that is loaded."""
    system, code, display = target
    if equivalence not in USED:
        raise Problem("invalid_target", f"equivalence is one of {', '.join(USED)}")
    cells = {"text": item["text"] or item["code"], "target_system": system, "target_code": code, "display": display}
    cells |= {"equivalence": equivalence, "effective_from": effective[0], "effective_to": effective[1]}
    try:
        row = row_of(cells, "the decision")
    except TableError as error:
        raise Problem("invalid_target", str(error)) from None
    if not row.target_code or not is_standard(row.target_system):
        raise Problem(
            "invalid_target", "the target must be a code of a standard system (LOINC, SNOMED CT, RxNorm, ...)"
        )
    return row


def _barred(item: Mapping[str, Any]) -> set[tuple[str, str]]:
    newest = item["history"][-1]["rejected"] if item["history"] else []
    return {(r["system"], r["code"]) for r in newest}


def _shown(answer: Answer) -> dict[str, Any]:
    mapping, target = answer.mapping, answer.mapping.target
    shown: dict[str, Any] = {"method": mapping.method, "confidence": mapping.confidence, "flags": list(answer.flags)}
    if target is not None:
        shown |= {"system": target.system, "code": target.code, "display": target.display}
    return shown


def context_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """An entry as context for a code: value, unit, range, other codings, and the year. No ids, no names, no notes, no free
    text, no day: nothing of it says whose it is."""
    concept = body.get("concept") or {}
    value, ranges = body.get("value") or {}, body.get("reference_ranges") or []
    dates = ("effective", "issued", "onset", "recorded", "authored", "start", "occurred", "performed", "date")
    when = next((str(body[name]) for name in dates if body.get(name)), "")
    shown: dict[str, Any] = {
        "kind": body.get("kind", ""),
        "year": when[:4],
        "status": body.get("status", ""),
        "category": body.get("category", ""),
        "value": f"{value.get('comparator', '')}{value.get('as_sent') or value.get('value', '')} "
        f"{value.get('unit') or value.get('code', '')}".strip(),
        "interpretation": body.get("interpretation", ""),
        "codings": [
            {"system": system_name(c.get("system", "")), "code": c.get("code", ""), "display": c.get("display", "")}
            for c in concept.get("codings") or []
        ],
    }
    if ranges:
        low, high = ranges[0].get("low") or {}, ranges[0].get("high") or {}
        shown["range"] = f"{low.get('as_sent', '')}-{high.get('as_sent', '')}".strip("-")
    specimen = str(body.get("specimen", ""))
    if "/" not in specimen and len(specimen) <= _MOST_WORDS:
        shown["specimen"] = specimen
    return {name: held for name, held in shown.items() if held}
