"""What a vendor profile or a site file may say: a strict schema with a closed list of words. No code, no templates.

A profile is a default for a vendor; a site file names one hospital's connection and may override any part of the profile;
what the server itself declares and answers overrides both.
"""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from adapters.companion.schema import Companion
from adapters.egress import is_loopback_name
from adapters.errors import ConfigurationError
from adapters.normalizer.rules import NormalizationRules
from adapters.smart.keys import Algorithm
from models.record import SECTIONS, Section
from models.terminology.tables import MappingTable, TableError, load_table

VENDORS = Path(__file__).parent / "vendors"
CALLBACK = "/smart/callback"
NO_VARIANTS = frozenset({"profile", "quality", "companion"})
HostPort = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$")]
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$")]
Outcome = Literal["not_supported", "not_authorized", "retry", "reauthorize_once", "failed"]
"""What an error answer can mean. `retry`: it may pass by itself. `reauthorize_once`: try again with a fresh token, once."""


class Strict(BaseModel):
    """An unknown key fails to load."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DateSplit(Strict):
    """Ask a large search in pieces by date: one piece a year (or `years`), then one for all that is older.

    What carries no date is in no piece; the coverage says so. Use it only where the source dates everything.
    """

    param: str = Field(default="date", description="Search parameter of the date.")
    years: int = Field(default=1, gt=0, le=20, description="Years in a piece.")
    back: int = Field(default=5, gt=0, le=50, description="How many pieces before the one for all older dates.")


class Query(Strict):
    """One search, literally; only the patient is filled in."""

    resource_type: str
    params: dict[str, str] = Field(default={}, description="Search parameters besides the patient.")
    patient_param: str = Field(default="patient", description="Name of the parameter that carries the patient.")
    split: DateSplit | None = Field(default=None, description="Ask in pieces by date, side by side.")
    optional: bool = Field(
        default=False,
        description="The section is whole where a site does not support this search. A type that only optional "
        "queries ask for is asked where the capability statement lists it.",
    )
    supporting: bool = Field(
        default=False,
        description="With `optional`: it brings no entries of its own, and the section is whole also where we may not ask.",
    )


class SectionRule(Strict):
    """How one section is asked for: one or more searches, all of which together are the section."""

    queries: tuple[Query, ...] = Field(min_length=1)
    include_provenance: bool = Field(default=False, description="Ask for Provenance with _revinclude.")
    pages: int = Field(
        default=1,
        gt=0,
        description="Pages of a search in a long chart: the longest begins first. Nothing else hangs on it.",
    )
    categories: tuple[str, ...] = Field(
        default=(), description="Categories that make up the section; the coverage names those that no query asks for."
    )

    @model_validator(mode="after")
    def _needed(self) -> SectionRule:
        if all(query.optional for query in self.queries):
            raise ValueError("at least one query must not be optional")
        return self


class AnswerRule(Strict):
    """What an error answer of this source means. The first rule that matches decides."""

    status: int = Field(ge=400, le=599)
    contains: str = Field(default="", description="Text in the body, compared without case.")
    resource_type: str = Field(default="", description="Only for this type; empty: for all.")
    means: Outcome


class Paging(Strict):
    """How far a search is followed."""

    count: int | None = Field(default=100, gt=0, description="_count to ask for; None: the server's own.")
    max_pages: int = Field(default=1000, gt=0)
    max_resources: int = Field(default=50_000, gt=0)


class Limits(Strict):
    """How hard the site may be called."""

    concurrency: int = Field(default=4, gt=0, le=64, description="Requests under way at once.")
    requests_per_second: float = Field(default=20.0, gt=0)
    request_seconds: float = Field(default=60.0, gt=0, description="Total deadline of one request, body included.")
    section_seconds: float = Field(default=600.0, gt=0, description="Total deadline of one section.")
    max_body_bytes: int = Field(default=50_000_000, gt=0)
    tries: int = Field(default=4, gt=0, le=10)
    max_wait_seconds: float = Field(default=120.0, ge=0, description="Waiting for retries of one request, in all.")
    max_hydrated: int = Field(default=300, ge=0, description="Referenced resources fetched for one section.")
    max_attachment_bytes: int = Field(default=20_000_000, gt=0, description="One document's content.")
    max_section_bytes: int = Field(default=200_000_000, gt=0, description="All that is kept for one section.")


class Quirk(Strict):
    """Something this source does that the specification does not say, with its evidence."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    evidence: str = Field(min_length=20)
    date: date


class Upgrade(Strict):
    """When a vendor changes what its customers run: a note for the calendar of whoever keeps the connection."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = Field(
        default=(), description="Months of new versions; empty: the vendor publishes none."
    )
    note: str = Field(min_length=20, description="What changes then, and for whom.")
    source: str = Field(min_length=10, description="Where this is written.")
    date: date


class Profile(Strict):
    """A vendor's profile after overrides."""

    vendor: str
    title: str
    accept: str = "application/fhir+json"
    sections: dict[Section, SectionRule] = {}
    required_params: dict[str, str] = Field(
        default={}, description="Added to every search; values come from the site file."
    )
    site_params: tuple[str, ...] = Field(
        default=(), description="Names in required_params that only a site knows: its file must give them."
    )
    answers: tuple[AnswerRule, ...] = ()
    paging: Paging = Paging()
    limits: Limits = Limits()
    scope_syntax: Literal["auto", "v1", "v2"] = "auto"
    key_algorithm: Algorithm = Field(default="ES384", description="What this vendor verifies client assertions with.")
    token_hosts: tuple[HostPort, ...] = Field(default=(), description="Where this vendor's authorization servers live.")
    patient_identifier_needs_system: bool = Field(
        default=False, description="A patient is found by `system|value` only; see mrn_system."
    )
    mrn_system: str = Field(default="", description="System of a bare record number in a patient search.")
    aud_slash: bool = Field(
        default=False, description="The authorization server knows its FHIR base with a slash at the end (`aud`)."
    )
    hydrate: tuple[str, ...] = Field(
        default=("Medication", "Practitioner", "PractitionerRole", "Organization", "Location", "Binary", "Observation"),
        description="Types whose references are followed. Observation: results and members only.",
    )
    absent: tuple[str, ...] = Field(
        default=(),
        description="Of these, types that the product is known not to have: that a site lacks them is no difference from "
        "the profile. A reference to one is told as missing all the same.",
    )
    normalization: NormalizationRules = NormalizationRules()
    companion: Companion | None = Field(
        default=None, description="A second API of this vendor, from companion.toml beside the profile."
    )
    quirks: tuple[Quirk, ...] = ()
    upgrades: tuple[Upgrade, ...] = Field(
        default=(), description="A site file may override them with the hospital's own windows."
    )

    @property
    def extra_types(self) -> frozenset[str]:
        """Types that only optional queries ask for."""
        queries = [query for rule in self.sections.values() for query in rule.queries]
        needed = {query.resource_type for query in queries if not query.optional}
        return frozenset(query.resource_type for query in queries) - needed

    @property
    def supporting_types(self) -> frozenset[str]:
        """Types that only supporting queries ask for: gone without where a site refuses a token because of them."""
        queries = [query for rule in self.sections.values() for query in rule.queries]
        needed = {query.resource_type for query in queries if not query.supporting}
        return frozenset(query.resource_type for query in queries if query.supporting) - needed

    @field_validator("quirks")
    @classmethod
    def _unique(cls, quirks: tuple[Quirk, ...]) -> tuple[Quirk, ...]:
        names = [q.name for q in quirks]
        if len(names) != len(set(names)):
            raise ValueError("two quirks have the same name")
        return quirks


class SiteConfig(Strict):
    """One configured connection."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="Handle of the site; appears in citations.")
    title: str = Field(default="", description="The hospital's name for people.")
    vendor: str = Field(default="generic", pattern=r"^[a-z0-9_]+$")
    variant: str = Field(
        default="", pattern=r"^[a-z0-9_]*$", description="Another product of the vendor, e.g. an older FHIR release."
    )
    fhir_base: str = Field(description="Base URL of the FHIR API.")
    auth: Literal["backend", "none", "standalone", "ehr_launch"] = Field(
        default="backend",
        description="backend: the client itself; standalone: a person signs in at the site; ehr_launch: the EHR opens us.",
    )
    client_id: str = ""
    client_auth: Literal["private_key_jwt", "client_secret", "none"] = Field(
        default="private_key_jwt", description="How the client shows who it is; none: a public client."
    )
    redirect_uri: str = Field(
        default="", description="For launches: our `/smart/callback` as the site's browsers reach it, as registered."
    )
    scope_level: Literal["patient", "user"] = Field(
        default="patient", description="For launches: one authorization a patient, or one of a user for all patients."
    )
    stay: Literal["offline", "online", "none"] = Field(
        default="offline", description="For launches: how long it may be renewed (offline_access, online_access)."
    )
    token_hosts: tuple[HostPort, ...] = Field(default=(), description="Hosts besides the base's that may be called.")
    allow_loopback: bool = Field(default=False, description="Practice servers on this machine only.")
    write: tuple[Literal["Observation", "DocumentReference", "CarePlan"], ...] = Field(
        default=(), description="What the hospital permits us to write; nothing unless it says so."
    )
    freshness_hours: float = Field(default=24.0, gt=0, description="Older answers are called stale.")
    quality_every_hours: float | None = Field(
        default=None, ge=1, le=8760, description="A quality report of all its patients so often; None: when asked."
    )
    frame_ancestors: tuple[Origin, ...] = Field(
        default=(),
        max_length=10,
        description="With ehr_launch: origins of the EHR's pages that show us in a frame; empty: nobody may.",
    )
    raw_retention_days: int | None = Field(
        default=None, gt=0, le=36_500, description="How long what left the chart is kept; None: the service's setting."
    )
    overrides: dict[str, Any] = Field(default={}, description="Any part of the profile, by the same keys.")

    @field_validator("fhir_base")
    @classmethod
    def _base(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError("fhir_base must be an http(s) URL")
        if parts.query or parts.fragment:
            raise ValueError("fhir_base must be a URL without query and fragment")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _https(self) -> SiteConfig:
        parts = urlsplit(self.fhir_base)
        if parts.scheme == "http" and not (self.allow_loopback and is_loopback_name(parts.hostname or "")):
            raise ValueError("fhir_base must be https (http only on this machine, with allow_loopback)")
        return self

    @model_validator(mode="after")
    def _frame(self) -> SiteConfig:
        if self.frame_ancestors and self.auth != "ehr_launch":
            raise ValueError('frame_ancestors is for auth = "ehr_launch"')
        for origin in self.frame_ancestors:
            parts = urlsplit(origin)
            if parts.scheme == "http" and not (self.allow_loopback and is_loopback_name(parts.hostname or "")):
                raise ValueError("frame_ancestors must be https (http only on this machine, with allow_loopback)")
        return self

    @model_validator(mode="after")
    def _client(self) -> SiteConfig:
        if self.auth == "backend" and self.client_auth != "private_key_jwt":
            raise ValueError("backend services need client_auth private_key_jwt")
        if not self.launches:
            return self
        if not self.client_id:
            raise ValueError("a launch needs a client_id")
        parts = urlsplit(self.redirect_uri)
        if not parts.path.endswith(CALLBACK) or parts.query or parts.fragment or not parts.hostname:
            raise ValueError(f"redirect_uri must be a URL that ends in {CALLBACK}")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback_name(parts.hostname)):
            raise ValueError("redirect_uri must be https (http only on this machine)")
        return self

    @property
    def launches(self) -> bool:
        """Whether its tokens come from a person who signs in at the site."""
        return self.auth in ("standalone", "ehr_launch")

    @property
    def one_patient_each(self) -> bool:
        """Whether each patient has an authorization of their own."""
        return self.launches and self.scope_level == "patient"

    @property
    def needs_key(self) -> bool:
        """Whether we sign assertions for it."""
        return self.auth != "none" and self.client_auth == "private_key_jwt"

    def profile(self) -> Profile:
        """The vendor's profile with this site's variant and overrides; raises ConfigurationError."""
        return load_profile(self.vendor, self.overrides, self.variant)


def parse_site(data: dict[str, Any]) -> SiteConfig:
    """Validate a site's configuration; raises ConfigurationError naming each wrong key."""
    try:
        site = SiteConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(f"the site file is not valid: {_faults(error)}", code="invalid_site_file") from None
    profile = site.profile()
    absent = [name for name in profile.site_params if not profile.required_params.get(name)]
    if absent:
        raise ConfigurationError(
            f"the site file must set overrides.required_params: {', '.join(absent)} (see the vendor's README)",
            code="missing_site_parameter",
        )
    if profile.companion is not None and profile.companion.values and site.launches:
        raise ConfigurationError(
            "the companion API takes tokens of the client itself: it needs auth backend", code="invalid_site_file"
        )
    return site


def load_site(path: Path) -> SiteConfig:
    """Read a site file (TOML). `mapping_files` names mapping tables in the file's own folder (docs/terminology.md)."""
    data = _toml(path, "site file")
    names = data.pop("mapping_files", [])
    if not isinstance(names, list) or not all(isinstance(n, str) and Path(n).name == n for n in names):
        raise ConfigurationError("mapping_files must name files beside the site file", code="invalid_site_file")
    if names:
        rules = data.setdefault("overrides", {}).setdefault("normalization", {})
        rows = [row.to_dict() for name in names for row in _mapping_table(path.with_name(name)).rows]
        rules["mapping_rows"] = [*rules.get("mapping_rows", []), *rows]
    return parse_site(data)


def _mapping_table(path: Path) -> MappingTable:
    try:
        return load_table(path)
    except TableError as error:
        raise ConfigurationError(str(error), code="invalid_site_file") from None


def vendors() -> tuple[str, ...]:
    """Names of the profiles that ship."""
    return tuple(sorted(p.parent.name for p in VENDORS.glob("*/profile.toml")))


def variants(vendor: str) -> tuple[str, ...]:
    """Names of a vendor's variants: the files beside its profile."""
    return tuple(sorted(p.stem for p in (VENDORS / vendor).glob("*.toml") if p.stem not in NO_VARIANTS))


def load_profile(vendor: str, overrides: dict[str, Any] | None = None, variant: str = "") -> Profile:
    """Shared defaults, then the vendor's profile, its variant, a site's overrides; raises ConfigurationError."""
    if vendor not in vendors():
        raise ConfigurationError(
            f"no vendor profile of that name; there are: {', '.join(vendors())}", code="unknown_vendor"
        )
    if variant and variant not in variants(vendor):
        known = ", ".join(variants(vendor)) or "none"
        raise ConfigurationError(f"no such variant of this vendor; there are: {known}", code="unknown_variant")
    merged = _merge(_toml(VENDORS / "defaults.toml", "profile"), _toml(VENDORS / vendor / "profile.toml", "profile"))
    if variant:
        merged = _merge(merged, _toml(VENDORS / vendor / f"{variant}.toml", "profile"))
    second = VENDORS / vendor / "companion.toml"
    if second.is_file():
        merged = _merge(merged, {"companion": _toml(second, "profile")})
    merged = _merge(merged, overrides or {}) | {"vendor": vendor}
    try:
        profile = Profile.model_validate(merged)
        if profile.companion is not None:
            shapes = profile.companion.shapes() | profile.normalization.companion
            rules = profile.normalization.model_copy(update={"companion": shapes})
            profile = profile.model_copy(update={"normalization": rules})
    except ValidationError as error:
        raise ConfigurationError(f"the profile is not valid: {_faults(error)}", code="invalid_profile") from None
    missing = [s for s in SECTIONS if s not in profile.sections]
    if missing:
        raise ConfigurationError(f"the profile says nothing on: {', '.join(missing)}", code="invalid_profile")
    return profile


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; everything else, lists too, is replaced. `answers` and `quirks` of both count, newest first."""
    result = dict(base)
    for key, value in over.items():
        known = result.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            result[key] = _merge(known, value)
        elif key in ("answers", "quirks") and isinstance(known, list) and isinstance(value, list):
            result[key] = [*value, *known]
        else:
            result[key] = value
    return result


def _toml(path: Path, what: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"no such {what}: {path.name}", code="file_not_found") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path.name} is no TOML: {error}", code="invalid_site_file") from None


def _faults(error: ValidationError) -> str:
    rows = []
    for e in error.errors(include_input=False, include_url=False)[:8]:
        where = ".".join(str(p) for p in e["loc"])
        what = {"missing": "is missing", "extra_forbidden": "is not a key here"}.get(
            e["type"], e["msg"].removeprefix("Value error, ")
        )
        rows.append(f"{where}: {what}" if where else what)
    return "; ".join(rows)
