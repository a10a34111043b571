"""`identity`: who is who in files (no store), and across the sites of the store: search, queue, decisions, links."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.file_commands import DEFAULT_MAX_MB, AsJson, MaxMegabytes
from service.cli.patient_commands import PatientId

if TYPE_CHECKING:
    from service.cli.identity_files import Linked

identity = typer.Typer(
    no_args_is_help=True, help="One person, many hospitals: match files, decide about pairs, unlink."
)
PairId = Annotated[str, typer.Argument(metavar="PAIR", help="Id of the pair (chartbrief identity queue).")]
Reason = Annotated[str, typer.Option("--reason", help="Why, in words without values of the records.")]


@identity.command("match")
def match(
    inputs: Annotated[
        list[Path], typer.Option("--in", metavar="FILE", help="CSV with demographic columns; twice: link across.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="LINKS", help="CSV of pairs to write.")],
    within: Annotated[
        bool, typer.Option("--within", help="With two files: also pairs within each (default: across only).")
    ] = False,
    max_mb: MaxMegabytes = DEFAULT_MAX_MB,
    as_json: AsJson = False,
) -> None:
    """Find who is who in one file, or across two. No server, no store, no network.

    Writes a row a pair (match, review, and those ruled out although they look alike), and a row for each record that
    could not be compared.
    """
    from service.cli import identity_files as room
    from service.cli import output

    done = room.link(inputs, out, within=within, max_bytes=max_mb * 1_000_000)
    if as_json:
        output.emit(done.document)
    else:
        _tell(done)


@identity.command("find")
def find(
    link: Annotated[bool, typer.Option("--link", help="Link what is certain; without it, a steward decides.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare everybody in the store with everybody, and fill the queue."""
    from service.cli import output
    from service.cli.running import opened, working

    with opened(f"identity find{' --link' if link else ''}") as store, working("Comparing ..."):
        found = store.services.find_same(store.tenant, _actor(), link=link)
    if as_json:
        output.emit(found)
        return
    output.stdout().print(
        f"{found['records']} records compared, {found['linked']} pairs linked, {found['open']} for a steward"
        + (f" ({found['left']} of them certain, but contradicted by another record)" if found["left"] else "")
    )


@identity.command("queue")
def queue(
    state: Annotated[str, typer.Option("--state", help="open, accepted, rejected or withdrawn.")] = "open",
    limit: Annotated[int, typer.Option("--limit", min=1, max=500)] = 50,
    as_json: AsJson = False,
) -> None:
    """Pairs of records that may be one person."""
    from service.cli import output, render
    from service.cli.running import opened

    if state not in ("open", "accepted", "rejected", "withdrawn"):
        raise output.CommandError("usage", "--state is one of: open, accepted, rejected, withdrawn")
    with opened("identity queue") as store:
        found = store.services.identity_queue(store.tenant, state, limit)
    if as_json:
        output.emit(found)
        return
    made = render.table(
        f"Pairs, {state} ({found['count']} of {found['total']})", "pair", "who", "where", "score", "why"
    )
    for item in found["items"]:
        who = "\n".join(f"{r.get('name', '')} {r.get('birth_date') or ''}" for r in item["records"])
        where = "\n".join(f"{r['site']}: {r['site_patient_id']}" for r in item["records"])
        render.row(made, item["pair_id"], who, where, f"{item['decision']} {item['score']:.3f}", item["reason"])
    output.stdout().print(made)


@identity.command("accept")
def accept(
    pair: PairId,
    reason: Annotated[str, typer.Option("--reason", help="Why, in words without values of the records.")] = "",
    as_json: AsJson = False,
) -> None:
    """One person: link the two records."""
    from service.cli.running import opened

    with opened("identity accept") as store:
        done = store.services.accept_pair(store.tenant, pair, _actor(), reason)
        store.patient_id = done["patient_id"]
    _done(done, f"linked: patient {done['patient_id']}", as_json)


@identity.command("reject")
def reject(pair: PairId, reason: Reason, as_json: AsJson = False) -> None:
    """Two people: the pair is never offered again."""
    from service.cli.running import opened

    with opened("identity reject") as store:
        done = store.services.reject_pair(store.tenant, pair, _actor(), reason)
    _done(done, "rejected", as_json)


@identity.command("links")
def links(patient: PatientId, as_json: AsJson = False) -> None:
    """The records a patient consists of, and how they came together."""
    from service.cli import output, render
    from service.cli.running import opened

    with opened("identity links", patient) as store:
        found = store.services.person_links(store.tenant, patient)
    if as_json:
        output.emit(found)
        return
    made = render.table(f"Records of {patient}", "site", "id there")
    for record in found["records"]:
        render.row(made, record["site"], record["site_patient_id"])
    output.stdout().print(made)
    if found["history"]:
        told = render.table("History", "when", "who", "what", "record", "from", "to", "why")
        for h in found["history"]:
            record = f"{h['site']}: {h['site_patient_id']}"
            render.row(told, h["at"], h["actor"], h["action"], record, h["from_patient"], h["to_patient"], h["note"])
        output.stdout().print(told)


@identity.command("unlink")
def unlink(
    patient: PatientId,
    site: Annotated[str, typer.Option("--site", metavar="NAME", help="Whose record is somebody else's.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Take a site's record out of a patient again, with all its facts."""
    from service.cli.running import opened

    with opened("identity unlink", patient) as store:
        done = store.services.unlink(store.tenant, patient, site, _actor(), reason)
    _done(done, f"unlinked: {site}'s record is patient {done['unlinked_patient_id']}", as_json)


def _actor() -> str:
    from service.cli.running import _user

    return f"cli:{_user()}"


def _done(document: dict[str, Any], words: str, as_json: bool) -> None:
    from service.cli import output

    if as_json:
        output.emit(document)
    else:
        output.stdout().print(words, markup=False)


def _tell(done: Linked) -> None:
    from service.cli import output, render

    made = render.table("Files", "file", "records", ">compared", ">set aside", "columns used", "not used")
    for table in done.tables:
        used = ", ".join(f"{field}={column.strip()}" for field, column in table.columns.items())
        render.row(made, table.name, table.rows, len(table.people), len(table.set_aside), used, ", ".join(table.unused))
    console = output.stdout()
    console.print(made)
    counts = done.document["decisions"]
    console.print(
        f"{counts['match']} pairs match, {counts['review']} to review, {counts['no_match']} look alike and are ruled out; "
        f"{done.document['scope']}. Written to {done.document['out']}",
        markup=False,
        soft_wrap=True,
    )


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(identity, name="identity")
