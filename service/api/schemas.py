"""Bodies of requests and answers that are not already values of another room."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

SITE_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"


class Body(BaseModel):
    """Strict about unknown fields."""

    model_config = ConfigDict(extra="forbid")


class SearchBody(Body):
    """Whom to look for. In the body, so that no name reaches a URL or a log."""

    name: str | None = Field(default=None, min_length=1, max_length=200, description="Part of a name.")
    birth_date: str | None = Field(default=None, pattern=r"^\d{4}(-\d{2}(-\d{2})?)?$")
    identifier: str | None = Field(
        default=None, min_length=1, max_length=200, description="An identifier's value, e.g. an MRN."
    )
    limit: int = Field(default=50, ge=1, le=200)

    @model_validator(mode="after")
    def _something(self) -> SearchBody:
        if not (self.name or self.birth_date or self.identifier):
            raise ValueError("one of name, birth_date, identifier is needed")
        return self


class RegisterBody(Body):
    """A patient as one site knows them; `patient_id` says that it is somebody already registered."""

    site: str = Field(pattern=SITE_NAME)
    site_patient_id: str = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9\-.]{1,64}$")
    patient_id: str | None = Field(default=None, min_length=1, max_length=64)


class RefreshBody(Body):
    """Which sites to ask (None: all that know the patient), and how long to wait for the end of it."""

    sites: list[str] | None = Field(default=None, max_length=50)
    wait_seconds: float = Field(default=0, ge=0, le=120, description="0: answer 202 at once.")


class Page(BaseModel):
    """A list, so that an answer can grow."""

    items: list[dict[str, Any]]
    count: int


class RunState(BaseModel):
    """A refresh: `state` is pending, running, done or failed; `report` holds ledger and coverage once it is done."""

    run_id: str
    patient_id: str
    state: str
    report: dict[str, Any] | None = None


class FreshnessLine(BaseModel):
    """When one section of one site was last true."""

    section: str
    site: str
    state: str
    last_updated: str | None
    age_seconds: int | None
    reason: str = ""
    offered: int = 0
    stored: int = 0
    quarantined: int = 0
    missing: int = 0


class Freshness(BaseModel):
    """`last updated`, per section and site; `sites` gives the newest of each."""

    patient_id: str
    as_of: str
    sites: dict[str, str | None]
    sections: list[FreshnessLine]
