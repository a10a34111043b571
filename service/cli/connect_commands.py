"""`site connect`, `disconnect`, `secret`, `rotate-key`: letting people and keys in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.file_commands import AsJson

if TYPE_CHECKING:
    from service.store.client_keys import Step

Name = Annotated[str, typer.Argument(metavar="NAME", help="The site's name.")]
OfPatient = Annotated[str, typer.Option("--patient", metavar="PATIENT", help="Whose authorization (our id).")]


def connect(name: Name, patient: OfPatient = "", as_json: AsJson = False) -> None:
    """Print the address at which a person signs in at the site and lets us in. It is good for an hour."""
    from service.cli import output
    from service.cli.running import opened

    with opened("site connect", patient or None) as store:
        url = store.services.connect_address(store.tenant, name, patient)
    if as_json:
        output.emit({"site": name, "open": url})
        return
    output.stderr().print("Open this in a browser, while `chartbrief serve` runs at that address:", markup=False)
    output.stdout().print(url, markup=False, soft_wrap=True)


def disconnect(name: Name, patient: OfPatient = "", as_json: AsJson = False) -> None:
    """Revoke at the site, and forget here, what people authorized: all of it, or one patient's."""
    from service.cli import output
    from service.cli.running import opened, working

    with opened("site disconnect", patient or None) as store, working(f"Telling {name} ..."):
        found = store.services.disconnect(store.tenant, name, patient)
    if as_json:
        output.emit(found)
        return
    words = f"{found['ended']} ended, {found['confirmed_by_site']} of them confirmed by the site."
    output.stdout().print(words, markup=False)


def secret(name: Name) -> None:
    """Seal the client secret that the site gave us. Asked for on the terminal, or read from stdin; never an argument."""
    import sys

    from service.cli import output
    from service.cli.running import opened

    given = typer.prompt("Client secret", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.readline()
    with opened("site secret") as store:
        store.services.put_client_secret(store.tenant, name, given.strip())
    output.stderr().print(f"The secret of {name} is sealed.", markup=False)


def rotate_key(
    name: Name,
    switch: Annotated[bool, typer.Option("--switch", help="Sign with the new key; the old stays published.")] = False,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Publish the old key no more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rotate our key at a site, in three steps: publish a new key beside the old one, --switch to it, --drop-old."""
    import json

    from service.cli import output
    from service.cli.running import opened

    if switch and drop_old:
        raise output.CommandError("usage", "--switch and --drop-old are two steps")
    step: Step = "switch" if switch else "drop_old" if drop_old else "publish"
    with opened("site rotate-key") as store:
        found = store.services.rotate_key(store.tenant, name, step)
    if as_json:
        output.emit(found)
        return
    following = {
        "publish": "Register it, or wait until the site has read it again; then: --switch.",
        "switch": "When the site has taken a token with it: --drop-old.",
        "drop_old": "The rotation is done.",
    }
    console = output.stdout()
    console.print(f"Key {found['signs']} signs. Published now:", markup=False)
    console.print(json.dumps(found["jwks"], indent=2), markup=False, soft_wrap=True)
    console.print(following[step], markup=False)


def register(sites: typer.Typer) -> None:
    """Add the commands to those of sites."""
    sites.command()(connect)
    sites.command()(disconnect)
    sites.command()(secret)
    sites.command("rotate-key")(rotate_key)
