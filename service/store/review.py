"""The review queue: which codes and wordings are open, how often and how much hangs on them, and what people decide."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Literal

from sqlalchemy import Connection, Row, text

from models.terminology.decisions import Key
from models.terminology.tables import CONFIDENCE
from service.store import audit
from service.store.decided import NEWEST, table_row, wait_for_decisions
from service.store.vault import Vault
from service.store.words import UnknownSite, as_json, clean

State = Literal["open", "decided"]
RISK: dict[str, int] = {"allergies": 8, "medications": 8, "labs": 4, "vitals": 4, "problems": 2}
"""How much hangs on a code of a section, stated: what is checked before something is given counts most, then what rules and
risk models compute with, then the problem list; everything else 1."""
MISMATCH = 2
"""A code that its words contradict counts double: it is used, while an unmapped one is only not understood."""
MOST_EXAMPLES = 5

_QUEUE = """
with counted as (
  select site, key_id, domain, system, code, wording, unit, min(section) as section,
    count(*) as patients, sum(entries) as entries, count(*) filter (where how = 'decided') as following,
    bool_or(how = 'mismatch') as mismatch, bool_or(how in ('unmapped', 'mismatch', 'unsure_match')) as unsure,
    max(coalesce((cast(:risks as jsonb)->>section)::int, 1))
      * (case when bool_or(how = 'mismatch') then :mismatch else 1 end) as risk
  from open_codes where tenant = :t and (cast(:s as text) is null or site = :s)
    and (cast(:k as text) is null or key_id = :k)
  group by site, key_id, domain, system, code, wording, unit),
newest as (
  select distinct on (site, key_id) site, key_id, version, verdict, target_system, target_code, display, equivalence,
    author, note, decided_at
  from code_decisions where tenant = :t and (cast(:s as text) is null or site = :s) order by site, key_id, version desc)
select c.*, n.version, n.verdict, n.target_system, n.target_code, n.display, n.equivalence, n.author, n.note, n.decided_at
from counted c left join newest n using (site, key_id)
where (cast(:d as text) is null or c.domain = :d) and case :state
  when 'decided' then n.verdict in ('accepted', 'no_target')
  when 'open' then coalesce(n.verdict, 'open') in ('open', 'withdrawn') and (c.unsure or :all)
  else true end
order by c.risk * c.patients desc, c.entries desc, c.site, c.key_id
limit cast(:most as bigint) offset :first
"""
_WEIGHTS = {"risks": as_json(RISK), "mismatch": MISMATCH}
_OTHERS = """
with asked as (
  select domain, system, code, wording from open_codes where tenant = :t and site = :s and key_id = :k
  union select domain, system, code, wording from code_decisions where tenant = :t and site = :s and key_id = :k)
select o.key_id, o.wording, o.unit, count(*) as patients, sum(o.entries) as entries
from open_codes o join asked a on a.domain = o.domain and a.system = o.system and a.code = o.code
  and (a.code <> '' or a.wording = o.wording)
where o.tenant = :t and o.site = :s and o.key_id <> :k and o.how in ('unmapped', 'mismatch', 'unsure_match')
group by o.key_id, o.wording, o.unit order by sum(o.entries) desc, o.key_id limit 20
"""
_EXAMPLES = """
select e.body from open_codes o join entries e on e.tenant = o.tenant and e.patient_id = o.patient_id
  and e.site = o.site and e.entry_id = o.entry_id
where o.tenant = :t and o.site = :s and o.key_id = :k order by md5(o.patient_id || o.key_id) limit :n
"""


class UnknownCode(KeyError):
    """No such code in the queue or among the decisions of this site."""

    code = "unknown_code"


class Review(Vault):
    """What is open, and deciding it."""

    clock: Callable[[], str]

    def review_queue(
        self,
        tenant: str,
        site: str | None = None,
        *,
        domain: str | None = None,
        state: State = "open",
        everything: bool = False,
        first: int = 0,
        most: int | None = 50,
    ) -> list[dict[str, Any]]:
        """Open (or decided) codes, what matters most first: risk times patients, then entries.

        `everything`: with what the words decided surely (see SURE_WORDS).
        """
        asked = {"t": tenant, "s": site, "k": None, "d": domain, "state": state, "all": everything}
        with self.database.transaction(tenant) as db:
            rows = db.execute(text(_QUEUE), asked | _WEIGHTS | {"first": first, "most": most}).all()
        return [_line(row) for row in rows]

    def review_item(self, tenant: str, site: str, key_id: str) -> dict[str, Any]:
        """One code: its line, every version of what was decided, and the bodies of some entries that have it (under
        `bodies`; whoever shows them takes out whose they are). Raises UnknownCode."""
        asked = {"t": tenant, "s": site, "k": key_id, "d": None, "state": "any", "all": True, "first": 0, "most": 1}
        with self.database.transaction(tenant, snapshot=True) as db:
            line = db.execute(text(_QUEUE), asked | _WEIGHTS).first()
            history = _history(db, tenant, site, key_id)
            if line is None and not history:
                raise UnknownCode(key_id)
            bodies = db.execute(text(_EXAMPLES), {"t": tenant, "s": site, "k": key_id, "n": MOST_EXAMPLES}).scalars()
            found = _line(line) if line is not None else _not_seen(history[-1])
            return found | {"history": [_version(v) for v in history], "bodies": list(bodies)}

    def review_others(self, tenant: str, site: str, key_id: str) -> list[dict[str, Any]]:
        """What is open at a site under the same code (without a code: the same wording), with another unit or wording. A decision is
        about one of them; so whoever decides hears of the others."""
        with self.database.transaction(tenant) as db:
            rows = db.execute(text(_OTHERS), {"t": tenant, "s": site, "k": key_id}).all()
        return [
            {"key": r.key_id, "text": r.wording, "unit": r.unit, "patients": int(r.patients), "entries": int(r.entries)}
            for r in rows
        ]

    def decision_table(self, tenant: str, site: str) -> list[dict[str, Any]]:
        """The decisions in force at a site as rows of a mapping table."""
        with self.database.transaction(tenant) as db:
            _known_site(db, tenant, site)
            rows = db.execute(text(NEWEST), {"t": tenant, "s": site}).all()
        kept = [table_row(row) for row in rows if row.verdict in ("accepted", "no_target")]
        kept.sort(key=lambda row: (row.system, row.code, row.text, row.unit))
        return [{name: getattr(row, name) for name in row.__struct_fields__} for row in kept]

    def decide(
        self,
        tenant: str,
        site: str,
        key_id: str,
        verdict: Literal["accepted", "no_target", "open", "withdrawn"],
        *,
        actor: str,
        author: str,
        target: tuple[str, str, str] | None = None,
        equivalence: str = "equal",
        effective: tuple[str, str] = ("", ""),
        rejected: Sequence[tuple[str, str]] = (),
        note: str = "",
    ) -> tuple[dict[str, Any], str | None]:
        """One more version of what is decided about a code, its audit row, and the run that re-normalizes whom it touches,
        in one transaction. Returns the version and the run's id; the same decision again is the same version and no run.

        `target` (system, code, display) of an acceptance. `rejected` is added to what was rejected before, and a target that
        is accepted leaves it; a withdrawal takes all back. Raises UnknownCode.
        """
        key_hash = self.internal_key(tenant, "audit")
        with self.database.transaction(tenant) as db:
            wait_for_decisions(db, tenant, site, deciding=True)
            history = _history(db, tenant, site, key_id)
            before = history[-1] if history else None
            key = _key(db, tenant, site, key_id, before)
            held = {(s, c) for s, c in before.rejected} if before is not None else set()
            barred = set() if verdict == "withdrawn" else (held | set(rejected)) - {target[:2] if target else ("", "")}
            system, code, display = target or ("", "", "")
            said = {
                "verdict": verdict,
                "target_system": system,
                "target_code": code,
                "display": display,
                "equivalence": equivalence if target else "unmatched",
                "confidence": CONFIDENCE[equivalence] if target else 0.0,
                "effective_from": effective[0],
                "effective_to": effective[1],
                "rejected": sorted([list(pair) for pair in barred]),
            }
            if before is not None and all(getattr(before, name) == value for name, value in said.items()):
                return _version(before), None
            made = _add(
                db, tenant, site, key, before.version + 1 if before is not None else 1, said, author, note, self.clock()
            )
            run_id = uuid.uuid4().hex
            db.execute(
                text(
                    "insert into renormalizations (tenant, run_id, of_site, of_patient, of_key, apply, actor, state) "
                    "values (:t, :r, :s, '', :k, true, :a, 'running')"
                ),
                {"t": tenant, "r": run_id, "s": site, "k": key_id, "a": actor},
            )
            outcome = f"{site}/{key_id}: {verdict}, version {made.version}"
            audit.append(db, key_hash, tenant, self.clock(), actor, "terminology decision", outcome, None)
        return _version(made), run_id


def _known_site(db: Connection, tenant: str, site: str) -> None:
    if (
        db.execute(text("select 1 from sites where tenant = :t and name = :s"), {"t": tenant, "s": site}).first()
        is None
    ):
        raise UnknownSite(site)


def _history(db: Connection, tenant: str, site: str, key_id: str) -> list[Row[Any]]:
    return list(
        db.execute(
            text("select * from code_decisions where tenant = :t and site = :s and key_id = :k order by version"),
            {"t": tenant, "s": site, "k": key_id},
        ).all()
    )


def _key(db: Connection, tenant: str, site: str, key_id: str, before: Row[Any] | None) -> Key:
    row = (
        before
        or db.execute(
            text(
                "select domain, system, code, wording, unit from open_codes where tenant = :t and site = :s and key_id = :k limit 1"
            ),
            {"t": tenant, "s": site, "k": key_id},
        ).first()
    )
    if row is None:
        raise UnknownCode(key_id)
    return Key(row.domain, row.system, row.code, row.wording, row.unit)


def _add(
    db: Connection,
    tenant: str,
    site: str,
    key: Key,
    version: int,
    said: dict[str, Any],
    author: str,
    note: str,
    at: str,
) -> Row[Any]:
    row = {"tenant": tenant, "site": site, "key_id": key.id, "version": version}
    row |= {"domain": key.domain, "system": key.system, "code": key.code, "wording": key.text, "unit": key.unit}
    row |= said | {
        "rejected": as_json(said["rejected"]),
        "author": clean(author),
        "note": clean(note),
        "decided_at": at,
    }
    values = ", ".join("cast(:rejected as jsonb)" if name == "rejected" else f":{name}" for name in row)
    return db.execute(
        text(f"insert into code_decisions ({', '.join(row)}) values ({values}) returning *"),  # noqa: S608  our own names
        row,
    ).one()


def _line(row: Row[Any]) -> dict[str, Any]:
    """A line of the queue."""
    line = {
        "key": row.key_id,
        "site": row.site,
        "domain": row.domain,
        "system": row.system,
        "code": row.code,
        "text": row.wording,
        "unit": row.unit,
        "section": row.section,
        "patients": int(row.patients),
        "entries": int(row.entries),
        "following_decision": int(row.following),
        "risk": int(row.risk),
        "mismatch": bool(row.mismatch),
        "state": "decided" if row.verdict in ("accepted", "no_target") else "open",
        "decision": None,
    }
    if row.verdict is not None:
        line["decision"] = {
            "version": row.version,
            "verdict": row.verdict,
            "target_system": row.target_system,
            "target_code": row.target_code,
            "display": row.display,
            "author": row.author,
            "decided_at": row.decided_at,
        }
    return line


def _not_seen(row: Row[Any]) -> dict[str, Any]:
    """The line of a code that was decided and that no patient has now."""
    names = ("domain", "system", "code", "unit", "site")
    state = "decided" if row.verdict in ("accepted", "no_target") else "open"
    nothing = {"section": "", "patients": 0, "entries": 0, "following_decision": 0, "risk": 0, "mismatch": False}
    return (
        {"key": row.key_id, "text": row.wording, "state": state, "decision": _version(row)}
        | nothing
        | {name: getattr(row, name) for name in names}
    )


def _version(row: Row[Any]) -> dict[str, Any]:
    """One version of a decision."""
    names = (
        "version",
        "verdict",
        "target_system",
        "target_code",
        "display",
        "equivalence",
        "confidence",
        "effective_from",
        "effective_to",
        "author",
        "note",
        "decided_at",
    )
    return {name: getattr(row, name) for name in names} | {
        "rejected": [{"system": s, "code": c} for s, c in row.rejected]
    }
