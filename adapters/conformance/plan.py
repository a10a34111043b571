"""Which probes a profile asks for: every search the product sends, once. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from adapters.plan import Params, Search, searches_of
from adapters.profile import Profile
from models.record import SECTIONS, Section

_DATE = re.compile(r"^(ge|gt|le|lt)\d{4}-\d\d-\d\d$")


class Probe(NamedTuple):
    """One search, the sections it serves, and which of its parameters names the patient."""

    search: Search
    sections: tuple[Section, ...]
    patient_param: str

    @property
    def resource_type(self) -> str:
        """What it asks for."""
        return self.search.resource_type

    @property
    def params(self) -> tuple[tuple[str, str], ...]:
        """Its parameters without the patient, and without the day a date piece begins or ends: the same tomorrow."""
        return tuple(
            (name, _DATE.sub(r"\1", value)) for name, value in self.search.params if name != self.patient_param
        )

    @property
    def key(self) -> str:
        """Its name in reports. `_count` and `_revinclude` are left out: they do not say what is asked for."""
        wanted = sorted(f"{name}={value}" for name, value in self.params if not name.startswith("_"))
        return self.resource_type + ("?" + "&".join(wanted) if wanted else "")

    def without(self, name: str) -> Search:
        """The same search without a parameter: does it pass then?"""
        kept: Params = tuple((n, v) for n, v in self.search.params if n != name)
        return Search(self.resource_type, kept)


def probes_of(profile: Profile, patient_id: str, today: date) -> tuple[Probe, ...]:
    """The probes of all sections. A search that two sections share is one probe, and so are the pieces by date that
    differ by the year only."""
    found: dict[str, Probe] = {}
    for section in SECTIONS:
        for search in searches_of(profile, section, patient_id, today):
            probe = Probe(search, (section,), search.params[0][0])  # a plan names the patient first
            known = found.get(probe.key)
            found[probe.key] = probe if known is None else known._replace(sections=_joined(known.sections, section))
    return tuple(found.values())


def _joined(sections: tuple[Section, ...], more: Section) -> tuple[Section, ...]:
    return tuple(dict.fromkeys((*sections, more)))


def types_read(profile: Profile, searched: Iterable[str]) -> tuple[str, ...]:
    """Types that are read because others refer to them, and nothing else."""
    return tuple(sorted(set(profile.hydrate) - set(searched)))
