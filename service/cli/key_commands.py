"""`key`: who may call the service."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.file_commands import AsJson

keys = typer.Typer(no_args_is_help=True, help="Access keys of the API and the page: create, list, revoke.")


@keys.command("create")
def create(
    role: Annotated[str, typer.Option("--role", help="admin, clinician, integration or operator.")],
    label: Annotated[str, typer.Option("--label", help="For whom or what, to recognize it later.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make a key. It is printed once and kept only as a hash."""
    from service.access import Role
    from service.cli import output
    from service.cli.running import opened

    if role not in set(Role):
        raise output.CommandError("invalid_role", f"--role is one of: {', '.join(Role)}", roles=list(Role))
    with opened("key create") as store:
        key_id, token = store.services.create_key(store.tenant, role, label)
    if as_json:
        output.emit({"key_id": key_id, "role": role, "label": label, "key": token})
        return
    output.stdout().print(token, markup=False, soft_wrap=True)
    output.stderr().print(f"Key {key_id} ({role}). It is shown this once; keep it safe.", markup=False)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """The keys, without their secrets."""
    from service.cli import output, render
    from service.cli.running import opened

    with opened("key list") as store:
        rows = store.services.keys(store.tenant)
    if as_json:
        output.emit({"keys": rows})
        return
    made = render.table(f"Keys ({len(rows)})", "id", "role", "label", "created", "revoked")
    for item in rows:
        render.row(made, *(item.get(k) or "" for k in ("key_id", "role", "label", "created", "revoked")))
    output.stdout().print(made)


@keys.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False) -> None:
    """End a key now."""
    from service.cli import output
    from service.cli.running import opened

    with opened("key revoke") as store:
        if not store.services.revoke_key(store.tenant, key_id):
            raise output.CommandError("unknown_key", "no such key")
    if as_json:
        output.emit({"key_id": key_id, "revoked": True})
    else:
        output.stdout().print(f"Key {key_id} is revoked.", markup=False)


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(keys, name="key")
