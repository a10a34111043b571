"""What a vendor profile or a site file may say: a strict schema with a closed list of words. No code, no templates.

A profile is a default for a vendor; a site file names one hospital's connection and may override any part of the profile;
what the server itself declares and answers overrides both.
"""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from adapters.errors import ConfigurationError
from adapters.normalizer.rules import NormalizationRules
from models.record import SECTIONS, Section

VENDORS = Path(__file__).parent / "vendors"
Outcome = Literal["not_supported", "not_authorized", "empty", "retry", "reauthorize_once", "failed"]


class Strict(BaseModel):
    """An unknown key fails to load."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Query(Strict):
    """One search. `{patient}` is the only thing filled in; everything else is literal."""

    resource_type: str
    params: dict[str, str] = Field(default={}, description="Search parameters besides the patient.")
    patient_param: str = Field(default="patient", description="Name of the parameter that carries the patient.")


class SectionRule(Strict):
    """How one section is asked for: one or more searches, all of which together are the section."""

    queries: tuple[Query, ...]
    include_provenance: bool = Field(default=False, description="Ask for Provenance with _revinclude.")


class AnswerRule(Strict):
    """What an error answer of this source means. The first rule that matches decides."""

    status: int = Field(ge=200, le=599)
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


class Quirk(Strict):
    """Something this source does that the specification does not say, with its evidence."""

    name: str
    evidence: str
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
    answers: tuple[AnswerRule, ...] = ()
    paging: Paging = Paging()
    limits: Limits = Limits()
    scope_syntax: Literal["auto", "v1", "v2"] = "auto"
    patient_identifier_needs_system: bool = False
    hydrate: tuple[str, ...] = ("Medication", "Practitioner", "PractitionerRole", "Organization", "Location", "Binary")
    normalization: NormalizationRules = NormalizationRules()
    quirks: tuple[Quirk, ...] = ()

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
    fhir_base: str = Field(description="Base URL of the FHIR API.")
    auth: Literal["backend", "none"] = "backend"
    client_id: str = ""
    token_hosts: tuple[str, ...] = Field(default=(), description="Hosts besides the base's that discovery may name.")
    allow_loopback: bool = Field(default=False, description="Practice servers on this machine only.")
    freshness_hours: float = Field(default=24.0, gt=0, description="Older answers are called stale.")
    overrides: dict[str, Any] = Field(default={}, description="Any part of the profile, by the same keys.")

    @field_validator("fhir_base")
    @classmethod
    def _base(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("fhir_base must be an http(s) URL")
        return value.rstrip("/")


def parse_site(data: dict[str, Any]) -> SiteConfig:
    """Validate a site's configuration; raises ConfigurationError naming each wrong key."""
    try:
        site = SiteConfig.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(f"the site file is not valid: {_faults(error)}", code="invalid_site_file") from None
    load_profile(site.vendor, site.overrides)
    return site


def load_site(path: Path) -> SiteConfig:
    """Read a site file (TOML)."""
    return parse_site(_toml(path, "site file"))


def vendors() -> tuple[str, ...]:
    """Names of the profiles that ship."""
    return tuple(sorted(p.parent.name for p in VENDORS.glob("*/profile.toml")))


def load_profile(vendor: str, overrides: dict[str, Any] | None = None) -> Profile:
    """The profile of `vendor` on top of the shared defaults, with a site's overrides; raises ConfigurationError."""
    if vendor not in vendors():
        raise ConfigurationError(
            f"no vendor profile of that name; there are: {', '.join(vendors())}", code="unknown_vendor"
        )
    merged = _merge(_toml(VENDORS / "defaults.toml", "profile"), _toml(VENDORS / vendor / "profile.toml", "profile"))
    merged = _merge(merged, overrides or {}) | {"vendor": vendor}
    try:
        profile = Profile.model_validate(merged)
    except ValidationError as error:
        raise ConfigurationError(f"the profile is not valid: {_faults(error)}", code="invalid_profile") from None
    missing = [s for s in SECTIONS if s not in profile.sections]
    if missing:
        raise ConfigurationError(f"the profile says nothing on: {', '.join(missing)}", code="invalid_profile")
    return profile


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Tables are merged key by key; everything else, lists too, is replaced. `answers` and `quirks` of both count."""
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
    rows = [
        (".".join(str(p) for p in e["loc"]), e["msg"]) for e in error.errors(include_input=False, include_url=False)
    ]
    return "; ".join(f"{where or 'file'}: {what}" for where, what in rows[:8])
