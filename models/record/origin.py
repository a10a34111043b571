"""Where a fact came from."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from models.record.base import Value

OriginMethod = Literal["structured", "document", "hl7v2", "narrative_finding", "patient_reported", "computed"]
"""`structured`: a field of a resource; `document`: an entry of a C-CDA; `hl7v2`: a message segment;
`narrative_finding`: a span of text; `patient_reported`: the source says the patient said it;
`computed`: we calculated it from the cited facts (BMI, eGFR)."""


class Provenance(Value, frozen=True):
    """What a FHIR Provenance resource says about the fact: who recorded it, on whose behalf, when."""

    recorded: Annotated[str, Meta(description="Provenance.recorded as sent.")] = ""
    agents: Annotated[tuple[str, ...], Meta(description="Agents as 'role: name'.")] = ()
    reference: Annotated[str, Meta(description="The Provenance resource, Type/id.")] = ""


class Origin(Value, frozen=True):
    """One source of one fact. An entry has at least one; a computed entry has one for each input."""

    tenant: Annotated[str, Meta(description="Tenant that owns the record.")]
    site: Annotated[str, Meta(description="Configured site (hospital connection) it came from.")]
    resource_type: Annotated[str, Meta(description="FHIR resource type, e.g. Condition.")]
    resource_id: Annotated[str, Meta(description="Resource id at the site.")]
    version: Annotated[str, Meta(description="meta.versionId, or the first 12 digits of the content's SHA-256.")] = ""
    path: Annotated[str, Meta(description="FHIRPath-like path inside the resource, e.g. component[0].")] = ""
    span: Annotated[tuple[int, int] | None, Meta(description="Begin and end in code points, for text findings.")] = None
    retrieved: Annotated[str, Meta(description="When we fetched it, ISO 8601 UTC.")] = ""
    method: Annotated[OriginMethod, Meta(description="How the fact was obtained.")] = "structured"
    api: Annotated[str, Meta(description="Which of the site's APIs answered: fhir, or a vendor's own.")] = "fhir"
    twin: Annotated[
        str,
        Meta(description="The number by which the site's FHIR API knows the same thing, where its other API tells."),
    ] = ""
    provenance: Annotated[Provenance | None, Meta(description="What the source's Provenance says.")] = None

    @property
    def reference(self) -> str:
        """`site:Type/id`, the handle a reader can open."""
        return f"{self.site}:{self.resource_type}/{self.resource_id}"
