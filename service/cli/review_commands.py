"""`terminology review`: codes and wordings that nobody is sure of, and deciding what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from service.cli.file_commands import AsJson

review = typer.Typer(no_args_is_help=True, help="Codes whose meaning is uncertain: list, show, decide, export.")
WAIT_SECONDS = 600.0
Site = Annotated[str, typer.Argument(metavar="SITE")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The key that `list` shows.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")]


@review.command("list")
def list_codes(
    site: Annotated[str | None, typer.Option("--site", metavar="NAME", help="Only of this site.")] = None,
    domain: Annotated[
        str | None,
        typer.Option("--domain", help="condition, medication, observation, vaccine, allergen, procedure or document."),
    ] = None,
    decided: Annotated[bool, typer.Option("--decided", help="What was decided, instead of what is open.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="With what the words decided surely.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Lines at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Uncertain codes and wordings, by risk and number of patients."""
    from service.cli import output, render
    from service.cli.running import opened

    with opened("terminology review list") as store:
        items = store.services.review_queue(
            store.tenant, site, domain, "decided" if decided else "open", everything=everything, most=limit
        )
    if as_json:
        output.emit({"codes": items})
        return
    made = render.table(
        f"Codes ({len(items)})", "site", "key", "domain", "code", "text", "unit", "patients", "entries", "means"
    )
    for item in items:
        decision = item["decision"] or {}
        said = decision.get("verdict", "contradicted" if item["mismatch"] else "")
        render.row(
            made,
            item["site"],
            item["key"],
            item["domain"],
            item["code"],
            item["text"],
            item["unit"],
            str(item["patients"]),
            str(item["entries"]),
            f"{said} {decision.get('target_code', '')}".strip(),
        )
    output.stdout().print(made)


@review.command("show")
def show(site: Site, key: Key, as_json: AsJson = False) -> None:
    """One of them: what it may mean, where it stands (not whose it is), what was decided before."""
    from service.cli import output, render
    from service.cli.running import opened

    with opened("terminology review show") as store:
        found = store.services.review_item(store.tenant, site, key)
    if as_json:
        output.emit(found)
        return
    console = output.stdout()
    made = render.table(f"{found['domain']} {key} at {site}", "what", "value")
    for name in ("system", "code", "text", "unit", "section", "patients", "entries", "risk", "state"):
        render.row(made, name, str(found[name]))
    console.print(made)
    made = render.table("It may mean", "system", "code", "display", "score", "why")
    for one in found["candidates"]:
        render.row(made, one["system"], one["code"], one["display"], f"{one['score']:.2f}", one["why"])
    console.print(made)
    for example in found["examples"]:
        console.print("  " + "; ".join(f"{k}: {_plain(v)}" for k, v in example.items()), markup=False)
    for one in found["history"]:
        words = f"{one['version']}. {one['decided_at']} {one['author']}: {one['verdict']} {one['target_code']} {one['note']}"
        console.print(words.rstrip(), markup=False)


@review.command("accept")
def accept(
    site: Site,
    key: Key,
    target: Annotated[
        str, typer.Option("--target", metavar="SYSTEM|CODE", help="What it means, e.g. 'http://loinc.org|2345-7'.")
    ],
    display: Annotated[str, typer.Option("--display", metavar="TEXT", help="The target in words.")] = "",
    equivalence: Annotated[str, typer.Option("--equivalence", help="equal, wider or narrower.")] = "equal",
    effective_from: Annotated[
        str, typer.Option("--from", metavar="DATE", help="First day on which it means that; without it, always did.")
    ] = "",
    effective_to: Annotated[str, typer.Option("--to", metavar="DATE", help="Last day.")] = "",
    note: Annotated[str, typer.Option("--note", metavar="TEXT")] = "",
    as_json: AsJson = False,
) -> None:
    """Decide what a code means at a site, and re-normalize whoever has it."""
    from service.cli.running import actor, opened, working

    system, code = _target(target)
    with opened("terminology review accept", runtime=True) as store, working("Re-normalizing ..."):
        made = store.services.accept(
            store.tenant,
            site,
            key,
            actor(),
            (system, code, display),
            equivalence=equivalence,
            effective=(effective_from, effective_to),
            note=note,
            wait_seconds=WAIT_SECONDS,
        )
    _tell(made, as_json)


@review.command("reject")
def reject(
    site: Site,
    key: Key,
    reason: Reason,
    target: Annotated[
        str, typer.Option("--target", metavar="SYSTEM|CODE", help="Only this one; without it, none fits: stop asking.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Never propose a target for a code again, and re-normalize whoever has it."""
    from service.cli.running import actor, opened, working

    barred = _target(target) if target else None
    with opened("terminology review reject", runtime=True) as store, working("Re-normalizing ..."):
        made = store.services.reject(store.tenant, site, key, actor(), reason, barred, wait_seconds=WAIT_SECONDS)
    _tell(made, as_json)


@review.command("withdraw")
def withdraw(site: Site, key: Key, reason: Reason, as_json: AsJson = False) -> None:
    """Take back what was decided about a code; it stays in the history."""
    from service.cli.running import actor, opened, working

    with opened("terminology review withdraw", runtime=True) as store, working("Re-normalizing ..."):
        made = store.services.withdraw(store.tenant, site, key, actor(), reason, wait_seconds=WAIT_SECONDS)
    _tell(made, as_json)


@review.command("export")
def export(
    site: Site,
    target: Annotated[Path | None, typer.Option("--out", help="CSV to write; without it, to stdout.")] = None,
) -> None:
    """The decisions in force at a site, as a mapping table (CSV)."""
    import sys

    from service.cli import output
    from service.cli.running import opened

    with opened("terminology review export") as store:
        text = store.services.decision_csv(store.tenant, site)
    if target is None:
        sys.stdout.write(text)
        return
    try:
        target.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise output.CommandError("file_unreadable", f"{target}: {error.strerror}") from None


def _target(words: str) -> tuple[str, str]:
    from service.cli.output import CommandError

    system, _, code = words.rpartition("|")
    if not system or not code:
        raise CommandError("usage", "--target is SYSTEM|CODE, e.g. 'http://loinc.org|2345-7'")
    return system, code


def _tell(made: dict[str, Any], as_json: bool) -> None:
    from service.cli import output

    if as_json:
        output.emit(made)
        return
    decision, run, others = made["decision"], made["renormalization"], made["still_open"]
    console = output.stdout()
    what = f"{decision['verdict']} {decision['target_code']}".strip()
    console.print(f"Version {decision['version']}: {what}", markup=False)
    if run is None:
        console.print("That was decided already.")
    elif run["report"] is None:
        console.print(f"Re-normalizing, {run['patients']} patients so far (run {run['run_id']}).")
    else:
        console.print(f"Re-normalized {run['report']['patients']}; changed {run['report']['patients_changed']}.")
    for one in others:
        unit = f"unit {one['unit']}" if one["unit"] else "without a unit"
        words = f"Still open: the same code, {unit}, '{one['text']}' ({one['entries']} entries): {one['key']}"
        console.print(words, markup=False, soft_wrap=True)


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(" ".join(v for v in item.values() if v) for item in value)
    return str(value)


def register(terminology: typer.Typer) -> None:
    """Add the commands of this file."""
    terminology.add_typer(review, name="review")
