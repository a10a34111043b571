"""Raw resources and what becomes of them: every one offered is stored, quarantined or reported missing."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from msgspec import Meta

from models.record.base import Value
from models.record.coverage import Section

RejectReason = Literal[
    "not_json",
    "not_a_resource",
    "wrong_resource_type",
    "missing_id",
    "wrong_patient",
    "unreadable",
    "too_large",
    "too_deep",
    "unsupported_version",
    "operation_outcome",
    "not_xml",
    "unsafe_xml",
]
"""Closed list of why a received thing could not become part of the record. It is kept in quarantine all the same."""


class RawResource(Value, frozen=True):
    """A resource exactly as received, before anything is read into it."""

    tenant: Annotated[str, Meta(description="Tenant that owns it.")]
    site: Annotated[str, Meta(description="Site it came from.")]
    resource_type: Annotated[str, Meta(description="FHIR resource type.")]
    resource_id: Annotated[str, Meta(description="Resource id at the site.")]
    content: Annotated[bytes, Meta(description="The bytes as received: JSON, or XML (FHIR, C-CDA).")]
    version: Annotated[str, Meta(description="meta.versionId as sent, or empty.")] = ""
    retrieved: Annotated[str, Meta(description="ISO 8601 UTC.")] = ""
    fhir_version: Annotated[str, Meta(description="DSTU2, R4, R4B or R5.")] = "R4"
    section: Annotated[Section | None, Meta(description="Section whose query offered it, when known.")] = None
    api: Annotated[str, Meta(description="Which of the site's APIs answered.")] = "fhir"
    full_url: Annotated[
        str, Meta(description="fullUrl of the bundle entry it stood in, where type and id do not tell it already.")
    ] = ""

    @property
    def content_hash(self) -> str:
        """SHA-256 of the content, hex."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def key(self) -> tuple[str, str, str, str, str]:
        """Unique (tenant, site, type, id, version)."""
        return (self.tenant, self.site, self.resource_type, self.resource_id, self.version or self.content_hash[:12])


class Rejected(Value, frozen=True):
    """Something received that could not be used, with the reason; the bytes go to quarantine beside it."""

    site: Annotated[str, Meta(description="Site it came from.")]
    reason: Annotated[RejectReason, Meta(description="Why it is unusable; closed list.")]
    detail: Annotated[str, Meta(description="What was wrong, by element path; no patient data.")] = ""
    resource_type: Annotated[str, Meta(description="FHIR resource type, if it could be read.")] = ""
    resource_id: Annotated[str, Meta(description="Resource id, if it could be read.")] = ""
    source: Annotated[str, Meta(description="Where it stood: file:line, or query and page.")] = ""
    section: Annotated[Section | None, Meta(description="Section whose query offered it, when known.")] = None
    content: Annotated[bytes, Meta(description="The bytes as received (capped), for whoever repairs it.")] = b""


class Missing(Value, frozen=True):
    """Something the source says exists and that we did not receive."""

    site: Annotated[str, Meta(description="Site that mentioned it.")]
    section: Annotated[Section | None, Meta(description="Section it belongs to, when known.")] = None
    reference: Annotated[str, Meta(description="Type/id, or the page that was lost.")] = ""
    reason: Annotated[str, Meta(description="Why: status, cap, broken link.")] = ""
    count: Annotated[int, Meta(ge=0, description="How many, when a number is known.")] = 1


class Ledger(Value, frozen=True):
    """The account of one run. `offered == stored + quarantined + reported_missing` always."""

    offered: Annotated[int, Meta(ge=0, description="All that the sources offered.")] = 0
    stored: Annotated[int, Meta(ge=0, description="Kept and readable (with or without entries of their own).")] = 0
    quarantined: Annotated[int, Meta(ge=0, description="Kept, unusable, with a reason.")] = 0
    reported_missing: Annotated[int, Meta(ge=0, description="Known to exist, not received.")] = 0
    by_type: Annotated[dict[str, dict[str, int]], Meta(description="The same four numbers per resource type.")] = {}

    @property
    def balanced(self) -> bool:
        """Whether nothing disappeared."""
        return self.offered == self.stored + self.quarantined + self.reported_missing
