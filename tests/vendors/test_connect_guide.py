"""What docs/connect.md shows can be pasted: the site file loads, the codes it explains exist."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from adapters.profile import parse_site

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/connect.md").read_text("utf-8")


def test_the_site_file_shown_loads_with_the_overrides_shown():
    first, overrides, second, person = (tomllib.loads(b) for b in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL))
    assert parse_site(first).name == "mercy"
    assert parse_site(person).one_patient_each
    site = parse_site(first | overrides)
    profile = site.profile()
    assert profile.paging.count == 50 and profile.limits.concurrency == 2 and profile.answers[0].status == 403
    assert profile.mrn_system and profile.required_params
    both = overrides["overrides"] | second["overrides"]
    companion = parse_site(first | {"vendor": "athenahealth", "overrides": both}).profile().companion
    assert companion and companion.active


def test_every_key_and_code_in_the_tables_exists():
    keys = re.findall(r"^\| ((?:`[a-z_\[\]]+`(?:, )?)+) \|", GUIDE, re.MULTILINE)
    named = {k.strip("`[]") for row in keys for k in row.split(", ")}
    source = "\n".join(p.read_text("utf-8") for room in ("adapters", "service") for p in (ROOT / room).rglob("*.py"))
    assert len(named) > 15
    for name in named - {"http_429"}:
        assert re.search(rf"\b{name}\b", source), name
