"""The site report: what was found at a site on one day. Counts, codes and times; nothing of the patient it was found with.

`evidence` tells the two kinds of knowledge apart: `live` is what the site answered to a request of ours, `declared` what
its capability statement or the granted scopes say, `none` what nobody said.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adapters.errors import ConfigurationError
from adapters.profile import Upgrade
from models.record import CoverageState, Section

SCHEMA_VERSION: Literal[1] = 1
Evidence = Literal["live", "declared", "none"]
State = CoverageState
"""Of one search or type, in the record's own words: present, empty, truncated, not_supported, not_authorized, failed,
not_queried."""
Live = Literal["used", "ignored", "refused", "unclear", "not_probed"]
"""Of a search parameter. used: the self link names it, or the answer shows it. ignored: the self link leaves it out, or
the answer contradicts it. refused: the search fails with it and passes without. unclear: the answer does not tell."""
BROKEN: tuple[State, ...] = ("failed", "not_authorized", "not_supported", "truncated")
"""States that cost the record something, gravest first."""
MANY_CODED = 0.8
"""Share of standard or mapped main codes below which a type is pointed out. A choice of ours."""
Age = Literal["day", "week", "month", "year", "older", "future", "unreadable"]


class Part(BaseModel):
    """A part of a report: strict, and never changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Part):
    """Why the site could not be opened."""

    code: str
    message: str
    action: str
    status: int | None = None


class Latency(Part):
    """Milliseconds of the good answers, bodies included, waiting for our own turn not. Nearest rank: with few samples
    p95 and p99 are the slowest one."""

    samples: int
    p50: int
    p95: int
    p99: int


class Coding(Part):
    """How the entries of a type are coded, by the normalizer's reading of their main code."""

    entries: int = Field(description="Entries that have, or should have, a main code.")
    standard: int = Field(default=0, description="A standard code was sent.")
    mapped: int = Field(default=0, description="A local code that the profile's table maps.")
    local: int = Field(default=0, description="Codes of this source only.")
    unmapped: int = Field(default=0, description="Other codes that are no standard ones.")
    text_only: int = Field(default=0, description="Words without a code.")
    missing: int = Field(default=0, description="Neither words nor code.")

    def share(self, name: str) -> float:
        """One kind as a share of all, 0 to 1."""
        return int(getattr(self, name)) / self.entries if self.entries else 0.0

    def words(self) -> str:
        """`standard 80%, local 20%`."""
        kinds = [name for name in type(self).model_fields if name != "entries" and getattr(self, name)]
        return ", ".join(f"{name.replace('_', ' ')} {self.share(name):.0%}" for name in kinds)


class Freshness(Part):
    """meta.lastUpdated: on how many resources, and how old in steps (exact times would tell of the patient)."""

    resources: int
    dated: int
    ages: dict[Age, int] = {}


class PagingFound(Part):
    """How the site pages, as far as two pages show it."""

    pages: int = Field(description="Pages walked, two at most.")
    linked_by: tuple[str, ...] = Field(default=(), description="Parameters that only the next link has.")
    total: bool = Field(default=False, description="Whether Bundle.total is given.")
    most_on_a_page: int = 0
    trouble: str = Field(default="", description="Why the second page could not be used; a code.")


class Parameter(Part):
    """One search parameter of a type."""

    declared: bool | None = Field(
        description="In the capability statement; None: not read, or not declared there by custom."
    )
    live: Live = "not_probed"


class SearchFound(Part):
    """One search of the product, as the site answered it."""

    params: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    state: State
    reason: str = ""
    evidence: Evidence
    refused_with: str = Field(default="", description="The parameter without which it passes.")
    optional: bool = Field(default=False, description="The record is whole where the site does not support it.")

    @property
    def spared(self) -> bool:
        """Not supported, and not needed."""
        return self.optional and self.state == "not_supported"


class TypeFound(Part):
    """One resource type."""

    use: Literal["search", "read"] = Field(description="Searched by patient, or read because others refer to it.")
    declared: bool | None = Field(description="In the capability statement; None: that could not be read.")
    granted: bool | None = Field(
        description="Our scopes cover it; None: nothing was asked of the authorization server."
    )
    state: State
    reason: str = ""
    evidence: Evidence
    searches: dict[str, SearchFound] = {}
    params: dict[str, Parameter] = {}
    latency: Latency | None = None
    answers: dict[int, int] = Field(default={}, description="HTTP status -> how often.")
    resources: int = 0
    quarantined: dict[str, int] = Field(default={}, description="Reason -> count.")
    outcomes: dict[str, int] = Field(default={}, description="Issue codes of OperationOutcomes inside answers.")
    coding: Coding | None = None
    systems: dict[str, int] = Field(default={}, description="Code systems of main codes, as we name them.")
    freshness: Freshness | None = None
    paging: PagingFound | None = None


class FeedFound(Part):
    """One list of the companion API."""

    api: str = Field(description="api/feed, as origins name it.")
    path: str = Field(description="As the profile has it, without a patient.")
    section: Section
    use: Literal["always", "instead"]
    state: State
    reason: str = ""
    evidence: Evidence
    rows: int = 0
    quarantined: int = 0


class Window(Part):
    """A vendor's upgrade window, and the next month it may come."""

    upgrade: Upgrade
    next_month: str = Field(default="", description="YYYY-MM; empty where no months are published.")


class ConformanceReport(Part):
    """What a site was found to support."""

    schema_version: Literal[1] = SCHEMA_VERSION
    site: str
    title: str = ""
    vendor: str
    variant: str = ""
    fhir_base: str
    checked_at: str = Field(description="UTC, ISO 8601.")
    state: Literal["ready", "needs_reauthorization", "unavailable", "misconfigured"]
    error: Problem | None = None
    probed: bool
    not_probed_because: str = ""
    software: str = ""
    fhir_version: str = ""
    release: str = ""
    statement_read: bool = False
    token_endpoint: str = ""
    endpoints_found_in: str = ""
    scopes_asked: tuple[str, ...] = ()
    types: dict[str, TypeFound] = {}
    not_read: tuple[str, ...] = Field(
        default=(),
        description="Types that the site declares as searchable by patient, and that Chartbrief does not read.",
    )
    companion: dict[str, FeedFound] = Field(default={}, description="Feeds of the companion API, where it is asked.")
    requests: int = 0
    seconds: float = 0.0
    deadline_passed: bool = False
    upgrades: tuple[Window, ...] = ()

    def missing(self) -> list[str]:
        """Types the capability statement does not name."""
        return [name for name, found in self.types.items() if found.declared is False]

    def refused(self) -> list[str]:
        """Types the granted scopes do not cover."""
        return [name for name, found in self.types.items() if found.granted is False]

    def attention(self) -> list[str]:
        """What an engineer has to act on or to know of, gravest first; empty when all that was asked for works."""
        searched = {name: found for name, found in self.types.items() if found.use == "search"}
        lines = [
            f"{name}: {found.state.replace('_', ' ')}{_because(found.reason)}; {_loses(found)}"
            for state in BROKEN
            for name, found in searched.items()
            if found.state == state
        ]
        read = [name for name, found in self.types.items() if found.use == "read" and found.state in BROKEN]
        if read:
            lines.append(
                f"Cannot be read where others refer to them: {', '.join(read)}; the coverage counts them missing"
            )
        for name, found in self.types.items():
            wrong = [f"{param} {row.live}" for param, row in found.params.items() if row.live in ("refused", "ignored")]
            if wrong:
                lines.append(f"{name}: search parameters {', '.join(wrong)}")
            if found.paging and found.paging.trouble:
                lines.append(f"{name}: further pages cannot be had ({found.paging.trouble})")
            if found.quarantined:
                lines.append(f"{name}: {sum(found.quarantined.values())} resources could not be used (quarantined)")
            if found.coding and found.coding.share("standard") + found.coding.share("mapped") < MANY_CODED:
                lines.append(f"{name}: few standard codes ({found.coding.words()} of {found.coding.entries})")
        unseen = [n for n, found in self.types.items() if found.evidence != "live" and found.state not in BROKEN]
        if self.probed and unseen:
            lines.append(f"Only declared, not verified live: {', '.join(unseen)}")
        return lines


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _loses(found: TypeFound) -> str:
    """What the record lacks for it."""
    sections = dict.fromkeys(s for search in found.searches.values() for s in search.sections)
    named = ", ".join(s.replace("_", " ") for s in sections) or "it"
    return f"the record lacks {'a part of ' if found.state == 'truncated' else ''}{named}"


def windows(upgrades: tuple[Upgrade, ...], today: date) -> tuple[Window, ...]:
    """Upgrade windows with the next month of each, this month included."""
    return tuple(Window(upgrade=u, next_month=_next(u.months, today)) for u in upgrades)


def _next(months: tuple[int, ...], today: date) -> str:
    if not months:
        return ""
    later = [m for m in months if m >= today.month]
    return f"{today.year if later else today.year + 1}-{min(later or months):02}"


def read_report(path: Path) -> ConformanceReport:
    """A report from its file; ConfigurationError when it is none, or of another schema version."""
    try:
        return ConformanceReport.model_validate_json(path.read_bytes())
    except OSError:
        raise ConfigurationError(f"no such report: {path.name}", code="file_not_found") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(p) for p in first["loc"]) or "file"
        raise ConfigurationError(
            f"{path.name} is no site report of version {SCHEMA_VERSION} ({where}: {first['type']})", code="not_a_report"
        ) from None
