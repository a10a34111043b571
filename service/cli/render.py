"""Tables for people. Whatever a source wrote is printed as text, never as terminal markup or control characters."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from models.record import SECTIONS, AnyEntry, Chart, Ledger, Observation
from service.cli.output import stderr, stdout

if TYPE_CHECKING:
    from context_builder.document import ContextDocument, Summary
    from service.cli.files import Result

STATE_STYLE = {
    "present": "green",
    "none_asserted": "green",
    "empty": "cyan",
    "stale": "yellow",
    "truncated": "yellow",
    "filtered": "yellow",
    "not_queried": "dim",
    "not_supported": "magenta",
    "not_authorized": "red",
    "failed": "red",
}
MOST_ROWS = 40


def plain(value: object) -> str:
    """Text that cannot move the cursor, colour the terminal or hide itself."""
    text = str(value)
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else "\N{REPLACEMENT CHARACTER}" for c in text)


def table(title: str, *columns: str) -> Table:
    """An empty table in the house style; a column that starts with `>` is right-aligned."""
    made = Table(title=escape(title), box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left", overflow="fold")
    return made


def row(made: Table, *cells: object, style: str | None = None) -> None:
    """Add one row of plain text."""
    made.add_row(*(cell if isinstance(cell, Text) else Text(plain(cell)) for cell in cells), style=style)


def entry_value(entry: AnyEntry) -> str:
    """The value or state of an entry in a few words."""
    if isinstance(entry, Observation):
        return entry.value_display
    return getattr(entry, "activity", "") or entry.status


def normalized(result: Result) -> None:
    """Answer of `normalize`."""
    console = stdout()
    sections = table("Entries", "section", ">entries", "for example")
    counts = Counter(e.section for e in result.entries)
    for section in SECTIONS:
        if not counts[section]:
            continue
        names = Counter(_name(e) for e in result.entries if e.section == section)
        row(sections, section, counts[section], ", ".join(n for n, _ in names.most_common(4)))
    console.print(sections)
    if len(result.patients) > 1:
        people = table(f"Patients ({len(result.patients)})", "id", "name", "born", ">entries")
        for person in result.patients[:MOST_ROWS]:
            row(people, person["id"], person.get("name", ""), person.get("birth_date") or "", person["entries"])
        console.print(people)
    flags = Counter(flag.code for e in result.entries for flag in e.flags)
    if flags:
        remarks = table("Quality flags", "flag", ">entries")
        for code, count in flags.most_common():
            row(remarks, code, count)
        console.print(remarks)
    for package in result.document["packages"]:
        members = table(f"Package {package['file']}", "member", "became", ">resources", "why")
        for member in package["members"][:MOST_ROWS]:
            why = "; ".join(w for w in (member.get("reason", ""), member.get("remark", "")) if w)
            row(members, member["name"], member["became"].replace("_", " "), member.get("resources", 0), why)
        console.print(members)
        if len(package["members"]) > MOST_ROWS:
            console.print(f"... and {len(package['members']) - MOST_ROWS} more (--json lists all)")
    if result.normalized.quarantine:
        broken = table(f"Quarantine ({len(result.normalized.quarantine)})", "where", "what", "reason", "detail")
        for item in result.normalized.quarantine[:MOST_ROWS]:
            row(broken, item.source, f"{item.resource_type}/{item.resource_id}".strip("/"), item.reason, item.detail)
        console.print(broken)
        if len(result.normalized.quarantine) > MOST_ROWS:
            console.print(f"... and {len(result.normalized.quarantine) - MOST_ROWS} more (--json lists all)")
    ledger(result.normalized.ledger)


def ledger(account: Ledger) -> None:
    """The ledger, by type and in one line."""
    console = stdout()
    types = table("Ledger", "type", ">offered", ">stored", ">quarantined", ">missing")
    for name, numbers in sorted(account.by_type.items()):
        row(types, name, *(numbers.get(k, 0) for k in ("offered", "stored", "quarantined", "reported_missing")))
    console.print(types)
    sign = "=" if account.balanced else "IS NOT"
    console.print(
        f"{account.offered} offered {sign} {account.stored} stored + {account.quarantined} quarantined + "
        f"{account.reported_missing} reported missing",
        style="green" if account.balanced else "bold red",
    )


def context(document: ContextDocument) -> None:
    """Answer of `context`: the text on stdout, its account on stderr, so that the text can be piped."""
    console = stdout()
    console.print(Text(plain(document.text)), soft_wrap=True)
    account = document.ledger
    left_out = ", ".join(f"{n} {reason}" for reason, n in sorted(account.by_reason.items())) or "nothing"
    stderr().print(
        Panel(
            Text(
                f"{document.token_count} of {document.budget_tokens} tokens ({document.tokenizer}) · "
                f"{len(document.facts)} facts · {len(document.conflicts)} conflicts\n"
                f"{account.offered} entries offered = {account.included} included + {account.omitted} omitted "
                f"({left_out})\ncontext {document.context_id[:16]}"
            ),
            title=f"context for {document.purpose}",
            box=box.ROUNDED,
        )
    )


def summary(found: Summary, document: ContextDocument) -> None:
    """Answer of `summary`."""
    stdout().print(Text(plain(found.text)), soft_wrap=True)
    lines = [f"{len(found.statements)} statements, {len(found.withheld)} withheld · {found.state}"]
    if found.reason:
        lines.append(found.reason)
    lines.append(f"from a context of {document.token_count} of {document.budget_tokens} tokens")
    stderr().print(Panel(Text(plain("\n".join(lines))), title="summary", box=box.ROUNDED))


def coverage(lines: list[dict[str, Any]]) -> None:
    """Coverage, section by section and site by site, in words."""
    made = table("Coverage", "section", "site", "state", "as of", ">offered", ">stored", "reason")
    for line in lines:
        state = line.get("state", "")
        row(
            made,
            line.get("section", ""),
            line.get("site", ""),
            Text(state, style=STATE_STYLE.get(state, "")),
            line.get("as_of", ""),
            line.get("offered", 0),
            line.get("stored", 0),
            line.get("reason", ""),
        )
    stdout().print(made)


def _name(entry: AnyEntry) -> str:
    return plain(entry.concept.display or getattr(entry, "name", "") or "(no name)")[:60]


def _whence(entry: AnyEntry) -> str:
    """Where to open it, and through which of the site's APIs it came where that is not FHIR."""
    origin = entry.origin
    return origin.reference if origin.api == "fhir" else f"{origin.reference} ({origin.api})"


def _remarks(found: Chart) -> None:
    """What is to be checked, with the words and the confidence of each remark."""
    rows = sorted(
        {(f.code, _name(e), f.detail, f.confidence) for e in found.entries for f in e.flags if f.rule}, key=str
    )
    if not rows:
        return
    made = table(f"remarks on the chart ({len(rows)})", "flag", "entry", "why", ">confidence")
    for code, name, detail, confidence in rows[:MOST_ROWS]:
        row(made, code, name, detail, "" if confidence is None else f"{confidence:.2f}")
    stdout().print(made)
    if len(rows) > MOST_ROWS:
        stdout().print(f"... and {len(rows) - MOST_ROWS} more (--json lists all)")


def chart(found: Chart) -> None:
    """Answer of `chart`."""
    console = stdout()
    console.print(f"Patient {plain(found.patient_id)}, as of {found.as_of}", markup=False)
    for section in SECTIONS:
        entries = found.in_section(section)
        if not entries:
            continue
        made = table(f"{section} ({len(entries)})", "date", "what", "value or state", "flags", "source")
        for entry in entries[:MOST_ROWS]:
            flags = ", ".join(dict.fromkeys(f.code for f in entry.flags))
            row(made, (entry.date or "")[:10], _name(entry), entry_value(entry), flags, _whence(entry))
        console.print(made)
        if len(entries) > MOST_ROWS:
            console.print(f"... and {len(entries) - MOST_ROWS} more (--json lists all)")
    _remarks(found)
    coverage([c.to_dict() for c in found.coverage])
    for conflict in found.conflicts:
        console.print(f"conflict: {plain(conflict.kind)}: {plain(conflict.detail)}", style="yellow", markup=False)
    ledger(found.ledger)
