"""`patient`: who is registered, who can be found, how fresh what is known of them is, what could not be used."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.file_commands import AsJson
from service.cli.output import CommandError

patients = typer.Typer(no_args_is_help=True, help="Patients: list, search, register; freshness and quarantine.")
PatientId = Annotated[str, typer.Argument(metavar="PATIENT", help="Our id (chartbrief patient list).")]
Born = Annotated[str | None, typer.Option("--born", metavar="DATE", help="Birth date: 1961-05-06, 1961-05 or 1961.")]
Number = Annotated[
    str | None, typer.Option("--identifier", metavar="ID", help="A record number; at a site `system|value` too.")
]
MOST = 50


@patients.command("list")
def list_patients(as_json: AsJson = False) -> None:
    """The registered patients."""
    from service.cli import output
    from service.cli.running import opened

    with opened("patient list") as store:
        rows = store.services.patients(store.tenant)
    if as_json:
        output.emit({"patients": rows})
    else:
        _table(f"Patients ({len(rows)})", rows)


@patients.command("search")
def search(
    name: Annotated[str | None, typer.Option("--name", help="Each word begins a part of the name.")] = None,
    born: Born = None,
    identifier: Number = None,
    site: Annotated[
        str | None, typer.Option("--site", metavar="NAME", help="Ask this site instead, to register somebody.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200)] = MOST,
    as_json: AsJson = False,
) -> None:
    """Find patients among those that were read, or (--site) among all that a site knows."""
    from service.api.schemas import SearchBody, SiteSearchBody
    from service.cli import output, render
    from service.cli.running import opened, working

    if site is not None:
        asked = {"name": name, "birth_date": born, "identifier": identifier}
        body = _checked(SiteSearchBody, {k: v for k, v in asked.items() if v})
        with opened("patient search at site") as store, working(f"Asking {site} ..."):
            found = store.services.search_at_site(store.tenant, site, body)
        if as_json:
            output.emit({"site": site, "patients": found})
            return
        made = render.table(f"Patients at {site} ({len(found)})", "id there", "name", "born", "sex")
        for row in found:
            render.row(made, *(row.get(k, "") for k in ("site_patient_id", "name", "birth_date", "gender")))
        output.stdout().print(made)
        return
    given_here = {"name": name, "birth_date": born, "identifier": identifier}
    wanted = _checked(SearchBody, {k: v for k, v in given_here.items() if v is not None} | {"limit": limit})
    with opened("patient search") as store:
        people = store.services.search(store.tenant, wanted)
    if as_json:
        output.emit(people.model_dump(mode="json") | {"patients": [p.model_dump() for p in people.items]})
    else:
        _table(f"Patients ({people.count} of {people.total})", [p.model_dump() for p in people.items])


@patients.command("register")
def register_patient(
    site: Annotated[str, typer.Option("--site", metavar="NAME", help="A connected site.")],
    site_patient: Annotated[str, typer.Option("--site-patient", metavar="ID", help="The patient's FHIR id there.")],
    patient: Annotated[
        str | None, typer.Option("--patient", metavar="ID", help="Our id, where it is somebody already registered.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say that a site knows a patient. Doing it twice gives the same patient."""
    from service.api.schemas import RegisterBody
    from service.cli import output
    from service.cli.running import opened

    body = _checked(RegisterBody, {"site": site, "site_patient_id": site_patient, "patient_id": patient})
    with opened("patient register", patient) as store:
        store.patient_id = ours = store.services.register(store.tenant, body)
    if as_json:
        output.emit({"patient_id": ours, "site": site})
    else:
        output.stdout().print(ours, markup=False)
        output.stderr().print(f"Next: chartbrief refresh {ours}", markup=False)


@patients.command("freshness")
def freshness(patient: PatientId, as_json: AsJson = False) -> None:
    """When each section of each site was last true."""
    from service.cli import output, render
    from service.cli.running import opened

    with opened("patient freshness", patient) as store:
        found = store.services.freshness(store.tenant, patient)
    if as_json:
        output.emit(found.model_dump(mode="json"))
        return
    made = render.table("Freshness", "site", "section", "state", "last updated", "reason")
    for line in found.sections:
        render.row(made, line.site, line.section, line.state, line.last_updated or "never", line.reason)
    output.stdout().print(made)


@patients.command("quarantine")
def quarantine(patient: PatientId, as_json: AsJson = False) -> None:
    """What was received and could not be used, with the reason."""
    from service.cli import output, render
    from service.cli.running import opened

    with opened("patient quarantine", patient) as store:
        rows = store.services.quarantine(store.tenant, patient)
    if as_json:
        output.emit({"quarantine": rows})
        return
    made = render.table(f"Quarantine ({len(rows)})", "site", "section", "what", "reason", "detail", "now")
    for row in rows:
        what = f"{row['resource_type']}/{row['resource_id']}".strip("/")
        now = "open" if row["current"] else "bytes purged" if row["purged_at"] else "repaired"
        render.row(made, row["site"], row["section"], what, row["reason"], row["detail"], now)
    output.stdout().print(made)


def _table(title: str, rows: list[dict[str, Any]]) -> None:
    from service.cli import output, render

    made = render.table(title, "id", "name", "born", "sites", "last updated")
    for row in rows:
        updated = row["last_updated"] or "never"
        render.row(made, row["id"], row["name"], row["birth_date"] or "", ", ".join(row["sites"]), updated)
    output.stdout().print(made)


def _checked(model: Any, values: dict[str, Any]) -> Any:
    """The values as the API's own body; a refusal names the option, never the value."""
    from pydantic import ValidationError

    try:
        return model.model_validate(values)
    except ValidationError as error:
        fields = sorted({str(e["loc"][0]) for e in error.errors() if e["loc"]})
        words = f"not usable: {', '.join(fields)}" if fields else "at least one criterion is needed"
        raise CommandError("invalid_request", words, fields=fields) from None


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(patients, name="patient")
