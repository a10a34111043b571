"""Bodies of requests and answers that are not already values of another room."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

from adapters.conformance import Difference
from adapters.conformance.report import Window

SiteName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
FhirId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]
PatientId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
BirthDate = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$")]
Words = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class Body(BaseModel):
    """Strict about unknown fields."""

    model_config = ConfigDict(extra="forbid")


class SearchBody(Body):
    """Whom to look for. In the body, so that no name reaches a URL or a log."""

    name: Words | None = Field(default=None, description="Each word begins a part of the name.")
    birth_date: BirthDate | None = None
    identifier: Words | None = Field(default=None, description="An identifier's value, e.g. an MRN.")
    limit: int = Field(default=50, ge=1, le=200)

    @model_validator(mode="after")
    def _something(self) -> SearchBody:
        if not (self.name or self.birth_date or self.identifier):
            raise ValueError("one of name, birth_date, identifier is needed")
        return self


class SiteSearchBody(Body):
    """Whom to look for at a site, before they are registered here."""

    identifier: Words | None = Field(default=None, description="`system|value`, or the value where the site takes it.")
    name: Words | None = Field(default=None, description="Each word begins a part of the name.")
    family: Words | None = None
    given: Words | None = None
    birth_date: BirthDate | None = None

    @model_validator(mode="after")
    def _something(self) -> SiteSearchBody:
        if not (self.identifier or self.name or self.family or self.given or self.birth_date):
            raise ValueError("at least one criterion is needed")
        return self


class CheckBody(Body):
    """How to check a site."""

    patient: FhirId | None = Field(
        default=None,
        description="A test patient's id at the site: everything is probed with it. None: nothing is probed.",
    )


class OfPatient(Body):
    """Whose authorization is meant."""

    patient_id: PatientId | None = Field(default=None, description="Our id; None: of the site, or of all patients.")


class ClientSecret(Body):
    """A secret for us. It is never repeated, in errors neither."""

    secret: SecretStr = Field(min_length=1, max_length=1000)


class Rotation(Body):
    """One step of a rotation."""

    step: Literal["publish", "switch", "drop_old"]


class RegisterBody(Body):
    """A patient as one site knows them; `patient_id` says that it is somebody already registered."""

    site: SiteName
    site_patient_id: FhirId
    patient_id: PatientId | None = None


class RefreshBody(Body):
    """Which sites to ask (None: all that know the patient), and how long to wait for the end of it."""

    sites: list[SiteName] | None = Field(default=None, min_length=1, max_length=50)
    wait_seconds: float = Field(default=0, ge=0, le=120, description="0: answer 202 at once.")


Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200_000)]
Note = Annotated[str, StringConstraints(min_length=1, max_length=4_000)]


class VitalBody(Body):
    """A vital sign to write into a site."""

    kind: Literal["observation"]
    site: SiteName
    vital: Words = Field(
        description="heart-rate, respiratory-rate, oxygen-saturation, body-temperature, body-weight, body-height, bmi or blood-pressure."
    )
    value: Words = Field(description="As measured: 72, 98.60; 120/80 for a blood pressure.")
    unit: str = Field(default="", max_length=20, description="UCUM; empty: the usual one.")
    at: Instant = Field(description="When it was measured, with time zone.")
    patient_reported: bool = False


class DocumentBody(Body):
    """A summary to write into a site as a document. Without `text`: the summary of the stored record."""

    kind: Literal["document"]
    site: SiteName
    text: Text | None = None
    title: Words = "Summary"
    at: Instant | None = Field(default=None, description="When it was made; default: now.")


class PlanBody(Body):
    """What to add to a CarePlan of a site, or change in it."""

    kind: Literal["care_plan"]
    site: SiteName
    care_plan: FhirId = Field(description="The site's id of the CarePlan.")
    note: Note | None = None
    activity: Note | None = None
    status: Words | None = Field(default=None, description="RequestStatus, e.g. active, on-hold, completed.")


WriteBody = Annotated[VitalBody | DocumentBody | PlanBody, Field(discriminator="kind")]


class Answer(BaseModel):
    """What the store adds to a row is passed on."""

    model_config = ConfigDict(extra="allow")


class Site(Answer):
    """A connected site. `state`: new, ready, needs_reauthorization, unavailable, misconfigured."""

    name: str
    title: str = ""
    vendor: str
    fhir_base: str
    state: str
    detail: str = ""
    checked_at: str | None = None
    last_updated: str | None = Field(default=None, description="When anything was last read from it.")
    report: dict[str, Any] | None = Field(default=None, description="What its last check found.")
    stale_patients: int = Field(
        default=0, description="Patients whose entries were made by older code or tables (`/v1/renormalize`)."
    )


class SiteWithKey(Site):
    """A site with the public key to register with its vendor."""

    jwks: dict[str, list[dict[str, Any]]]


class Sites(BaseModel):
    """All sites of the tenant."""

    items: list[Site]
    count: int


class ConnectAddress(BaseModel):
    """What a person opens in a browser within the hour. Whoever has it can begin a sign-in at the site, no more."""

    site: str
    open: str


class Disconnected(BaseModel):
    """How many authorizations ended, and how many of these the site confirmed."""

    site: str
    ended: int
    confirmed_by_site: int


class Rotated(BaseModel):
    """The key that signs now, and the public keys that are published."""

    site: str
    signs: str
    jwks: dict[str, list[dict[str, Any]]]


class SiteReportRow(Answer):
    """One check of a site. `report_id` is its moment as addresses write it: 20261125T012300Z."""

    report_id: str
    checked_at: str
    state: str
    probed: bool
    software: str = ""


class SiteReports(BaseModel):
    """All reports of a site, newest first."""

    items: list[SiteReportRow]
    count: int


class SiteDiff(BaseModel):
    """What changed, worst first; `counts` by severity: breaks, degrades, info."""

    before: str
    after: str
    probed: bool
    counts: dict[str, int]
    differences: list[Difference]
    upgrades: list[Window]


class SitePatients(BaseModel):
    """Patients a site knows by the criteria given."""

    items: list[dict[str, Any]]
    count: int


class Registered(BaseModel):
    """Our id of a registered patient."""

    patient_id: str
    site: str


class PatientRow(Answer):
    """A registered patient. Name and birth date come from the first site that gave them; the chart has all."""

    id: str
    name: str = ""
    birth_date: str | None = None
    gender: str = ""
    sites: list[str] = []
    last_updated: str | None = None


class Patients(BaseModel):
    """Patients found: `count` in this answer, of `total`."""

    items: list[PatientRow]
    count: int
    total: int


class QuarantineRow(Answer):
    """Something received that could not be used; `current` is false once the site sent it right."""

    id: int
    site: str
    section: str
    reason: str
    detail: str = ""
    resource_type: str = ""
    resource_id: str = ""
    source: str = ""
    current: bool = True
    received: str = ""
    bytes: int = 0
    purged_at: str | None = Field(default=None, description="Since when its bytes are gone (retention); the row stays.")


class Quarantine(BaseModel):
    """All that could not be used of a patient."""

    items: list[QuarantineRow]
    count: int


class RunState(BaseModel):
    """A refresh: `state` is pending, running, done or failed; `report` holds ledger and coverage once it is done."""

    run_id: str
    patient_id: str
    state: str
    report: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return self.state in ("done", "failed")


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


class Written(Answer):
    """What became of a write. `state`: dry_run, created, updated or already_there; anything else is a problem."""

    state: str
    written: bool
    site: str
    resource_type: str
    interaction: str
    resource_id: str = ""
    version: str = ""
    provenance: str = Field(default="", description="Whether who wrote it is on record at the site.")
    scopes: list[str] = []
    resource: dict[str, Any] | None = Field(default=None, description="What was, or would be, sent.")


class Freshness(BaseModel):
    """`last updated`, per section and site; `sites` gives the newest of each."""

    patient_id: str
    as_of: str
    sites: dict[str, str | None]
    sections: list[FreshnessLine]
