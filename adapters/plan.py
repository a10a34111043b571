"""Which searches a section is asked with: the profile's queries, the site's parameters, pieces by date. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import NamedTuple

from adapters.profile import DateSplit, Profile, SectionRule
from models.record import Section

Params = tuple[tuple[str, str], ...]


class Search(NamedTuple):
    """One search: the type, its parameters, whether it asks for a piece by date, whether a section is whole without
    it where the site does not support it, and (supporting) where it does not let us."""

    resource_type: str
    params: Params
    dated: bool = False
    optional: bool = False
    supporting: bool = False

    @property
    def categories(self) -> tuple[str, ...]:
        """Codes of the categories it asks for; () where it asks for none in particular."""
        values = [part for name, value in self.params if name == "category" for part in value.split(",")]
        return tuple(value.rpartition("|")[2] for value in values)


def searches_of(profile: Profile, section: Section, patient_id: str, today: date) -> list[Search]:
    """The searches whose answers together are the section. A Patient is read, its search has no parameters."""
    rule = profile.sections[section]
    found: list[Search] = []
    for query in rule.queries:
        params = {query.patient_param: patient_id, **query.params, **profile.required_params}
        if profile.paging.count is not None:
            params["_count"] = str(profile.paging.count)
        if rule.include_provenance:
            params["_revinclude"] = "Provenance:target"
        fixed = tuple(params.items())
        if query.split is None:
            found.append(Search(query.resource_type, fixed, False, query.optional, query.supporting))
        else:
            found += [
                Search(query.resource_type, (*fixed, *piece), True, query.optional, query.supporting)
                for piece in pieces(query.split, today)
            ]
    return found


def unasked(rule: SectionRule, searches: Collection[Search], declined: Collection[Search] = ()) -> tuple[str, ...]:
    """Categories of the section that no search asked for, or only one that the site does not support (`declined`)."""
    asked = {category for search in searches if search not in declined for category in search.categories}
    own = rule.queries[0].resource_type
    if any(s.resource_type == own and not s.categories and "code" not in dict(s.params) for s in searches):
        return ()  # asked without a filter: everything was
    return tuple(c for c in rule.categories if c not in asked)


def pieces(split: DateSplit, today: date) -> list[Params]:
    """Half-open date ranges without gap or overlap, newest first: from the start of this period on, then `back` periods,
    then everything before."""
    start = today.year - (today.year % split.years)
    found: list[Params] = [((split.param, f"ge{start}-01-01"),)]
    for number in range(split.back):
        upper = start - number * split.years
        found.append(((split.param, f"ge{upper - split.years}-01-01"), (split.param, f"lt{upper}-01-01")))
    found.append(((split.param, f"lt{start - split.back * split.years}-01-01"),))
    return found
