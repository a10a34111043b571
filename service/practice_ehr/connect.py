"""How a running practice hospital is connected: the site file to copy, and what it holds."""

from __future__ import annotations

import json
from collections import Counter

from service.practice_ehr.dress import Dress
from service.practice_ehr.run import PracticeEhr

CLIENT_ID = "chartbrief-practice"


def site_file(ehr: PracticeEhr, client_id: str = CLIENT_ID) -> str:
    """The site file (TOML) of docs/connect.md for this hospital."""
    dress = ehr.state.dress
    rows = {
        "name": f"practice-{dress.name.replace('_', '-')}",
        "title": ehr.hospital.name or dress.title,
        "vendor": dress.profile,
        **({"variant": dress.variant} if dress.variant else {}),
        "fhir_base": ehr.base_url,
        "auth": "none" if ehr.state.open else "backend",
    }
    if not ehr.state.open:
        rows["client_id"] = client_id
    app = ehr.state.apps.app(client_id)
    if app is not None:
        way = "private_key_jwt" if app.keys else "client_secret" if app.secret else "none"
        rows |= {"auth": "standalone", "client_auth": way, "redirect_uri": app.redirect_uris[0]}
    lines = [f"{key} = {_quoted(value)}" for key, value in rows.items()]
    lines.append("allow_loopback = true")
    needed = required_params(dress)
    if needed:
        lines += ["", "[overrides.required_params]", *(f"{name} = {_quoted(value)}" for name, value in needed.items())]
    return "\n".join(lines) + "\n"


def required_params(dress: Dress) -> dict[str, str]:
    """Parameters with a fixed value that searches must bring."""
    return {rule.any_of[0]: rule.value.format(tenant=dress.tenant) for rule in dress.required if rule.value}


def holdings(ehr: PracticeEhr) -> dict[str, int]:
    """Number of resources by type, as the hospital shows them."""
    found = Counter({kind: len(list(ehr.state.store.of_type(kind))) for kind in ehr.state.store.types()})
    return dict(sorted(found.items()))


def _quoted(value: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's."""
    return json.dumps(value, ensure_ascii=False)
