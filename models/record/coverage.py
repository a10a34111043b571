"""Coverage: what we know we do not know, per section and site."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from msgspec import Meta

from models.record.base import Value

Section = Literal[
    "demographics",
    "allergies",
    "problems",
    "medications",
    "vitals",
    "labs",
    "social_history",
    "assessments",
    "encounters",
    "reports",
    "immunizations",
    "procedures",
    "care_plans",
    "notes",
]
SECTIONS: tuple[Section, ...] = get_args(Section)

CoverageState = Literal[
    "present",
    "none_asserted",
    "empty",
    "not_supported",
    "not_authorized",
    "failed",
    "not_queried",
    "stale",
    "truncated",
    "filtered",
]
"""present: asked and answered with data. none_asserted: the source explicitly says there is none ("no known
allergies"). empty: asked, answered with nothing. not_supported: the site does not expose it. not_authorized: scope or
403. failed: the query broke. not_queried: nobody asked. stale: older than its freshness target. truncated: a cap
stopped us, there may be more. filtered: answered, and some left out by policy: ours, or the site's own, which says so. Only
`none_asserted` may be worded as a negative."""

RESOURCE_TYPE_OF_SECTION: dict[Section, str] = {
    "demographics": "Patient",
    "allergies": "AllergyIntolerance",
    "problems": "Condition",
    "medications": "MedicationRequest",
    "vitals": "Observation",
    "labs": "Observation",
    "social_history": "Observation",
    "assessments": "Observation",
    "encounters": "Encounter",
    "reports": "DiagnosticReport",
    "immunizations": "Immunization",
    "procedures": "Procedure",
    "care_plans": "CarePlan",
    "notes": "DocumentReference",
}


TEXT_ONLY = "written as text only"
"""Coverage.told of a section that a document has in words and not as entries."""


class Coverage(Value, frozen=True):
    """What happened when one section was asked of one site."""

    section: Annotated[Section, Meta(description="Section of the record.")]
    site: Annotated[str, Meta(description="Site that was, or was not, asked.")]
    state: Annotated[CoverageState, Meta(description="What is known about the section there.")]
    resource_type: Annotated[str, Meta(description="FHIR type that was asked for.")] = ""
    as_of: Annotated[str, Meta(description="When this was last true, ISO 8601 UTC; empty when never asked.")] = ""
    reason: Annotated[str, Meta(description="Why, in words without PHI (status, OperationOutcome code, cap).")] = ""
    told: Annotated[
        str,
        Meta(
            description="What documents say of the section where none of their entries speaks for it: `written as text "
            "only`, or why they have no information (`no information`, `not asked`, ...). Closed list of words."
        ),
    ] = ""
    unasked: Annotated[
        tuple[str, ...], Meta(description="Parts of the section nobody asked for, as category codes.")
    ] = ()
    offered: Annotated[int, Meta(ge=0, description="Resources the site offered for it.")] = 0
    stored: Annotated[int, Meta(ge=0, description="Of these: kept and readable.")] = 0
    quarantined: Annotated[int, Meta(ge=0, description="Of these: kept, but unusable.")] = 0
    missing: Annotated[int, Meta(ge=0, description="Of these: known to exist, not received.")] = 0

    @property
    def complete(self) -> bool:
        """True when the section can be read as all the site had to say."""
        whole = self.state in ("present", "none_asserted", "empty") and not self.unasked
        return whole and not self.told and self.missing == 0 and self.quarantined == 0
