"""The site file of a published endpoint: what the lists know, and what only the hospital does, said beside it."""

from __future__ import annotations

import json
import re

from adapters.directory.lists import Endpoint
from adapters.directory.match import words
from adapters.profile import load_profile, variants

LONGEST_HANDLE = 40


def handle_of(name: str) -> str:
    """A site's handle made of a hospital's name."""
    text = re.sub(r"[^a-z0-9]+", "-", "-".join(words(name))).strip("-")
    return text[:LONGEST_HANDLE].rstrip("-") or "hospital"


def site_file(endpoint: Endpoint, sources: tuple[tuple[str, str], ...] = (), client_id: str = "") -> str:
    """A site file (TOML) of docs/connect.md. Parameters that only the site knows stand in it empty: `site add` names them."""
    variant = endpoint.release.lower() if endpoint.release.lower() in variants(endpoint.vendor) else ""
    lines = [f"# From the endpoint list {name}{f' of {date}' if date else ''}." for name, date in sources[:3]]
    if endpoint.release_from == "address":
        lines.append(f"# {endpoint.release} is read from the address; the server's own statement decides.")
    if endpoint.release in ("DSTU2", "STU3") and not variant:
        lines.append(f"# This vendor's profile has no variant for {endpoint.release}: look for an R4 endpoint first.")
    rows = {
        "name": handle_of(endpoint.name),
        "title": endpoint.name,
        "vendor": endpoint.vendor,
        "variant": variant,
        "fhir_base": endpoint.fhir_base,
        "auth": "backend",
        "client_id": client_id,
    }
    for key, value in rows.items():
        if value:
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    if not client_id:
        lines.append('# client_id = ""  # as the vendor\'s registration gives it; see docs/connect.md')
    needed = load_profile(endpoint.vendor, variant=variant).site_params
    if needed:
        lines += ["", "[overrides.required_params] # only the site knows them"]
        lines += [f'{json.dumps(name)} = ""' for name in needed]
    return "\n".join(lines) + "\n"
