"""Writing into sites: plain values in, an outcome or a problem out."""

from __future__ import annotations

from typing import Any

from adapters.errors import ConfigurationError
from adapters.fhir.drafts import BadDraft, Draft, PlanChange, document, observation
from context_builder.document import ContextDocument, ContextRequest, Summary
from models.record import Chart
from service.api.problems import Problem
from service.api.schemas import DocumentBody, PlanBody, VitalBody
from service.store import Store, StoreUnavailable, UnknownPatient, UnknownSite
from service.store.sealing import SealError
from service.workflows.write_back import now, outcome_row, write_back

PROBLEMS = {
    "refused": "write_refused",
    "conflict": "write_refused",
    "invalid": "invalid_write",
    "unknown": "write_unknown",
    "failed": "write_failed",
}
"""State of a write that did not succeed -> problem."""


class Writing:
    """What a writer asks for. Whoever inherits has the store, and summaries."""

    @property
    def store(self) -> Store:
        """The open store."""
        raise Problem("unavailable")

    def links(self, tenant: str, patient_id: str) -> dict[str, str]:
        """Site -> its id of the patient; raises Problem('unknown_patient')."""
        raise Problem("unknown_patient")

    def summary(self, tenant: str, patient_id: str, request: ContextRequest) -> tuple[Chart, ContextDocument, Summary]:
        """The summary of a stored record."""
        raise Problem("unknown_patient")

    def write(
        self, tenant: str, patient_id: str, body: VitalBody | DocumentBody | PlanBody, *, send: bool
    ) -> dict[str, Any]:
        """Check a write at a site and, with `send`, do it. Raises Problem where it was not, or would not be, done."""
        self.links(tenant, patient_id)
        text = ""
        if isinstance(body, DocumentBody):
            text = body.text or self.summary(tenant, patient_id, ContextRequest())[2].text
        try:
            found = write_back(
                self.store, tenant, patient_id, body.site, lambda there: _thing(body, there, text), send=send
            )
        except BadDraft as error:
            raise Problem("invalid_write", str(error), reason=error.code) from None
        except UnknownPatient:
            raise Problem("unknown_patient") from None
        except UnknownSite:
            raise Problem("unknown_site") from None
        except ConfigurationError as error:
            raise Problem("invalid_site", reason=error.code) from None
        except StoreUnavailable as error:
            raise Problem("unavailable", headers={"Retry-After": str(error.retry_after)}) from None
        except SealError:
            raise Problem("unavailable", "the stored secrets cannot be opened with the configured master key") from None
        row = outcome_row(found)
        if found.state in PROBLEMS:
            row.pop("resource")  # a problem document quotes nothing that was sent
            more = {k: row[k] for k in ("state", "site", "resource_type", "interaction", "issues", "scopes")}
            raise Problem(PROBLEMS[found.state], found.message, reason=found.code, site_status=found.status, **more)
        return row


def _thing(body: VitalBody | DocumentBody | PlanBody, there: str, text: str) -> Draft | PlanChange:
    if isinstance(body, VitalBody):
        return observation(
            there, body.vital, body.value, body.at, unit=body.unit, patient_reported=body.patient_reported
        )
    if isinstance(body, DocumentBody):
        return document(there, text, body.at or now(), title=body.title)
    return PlanChange(
        care_plan=body.care_plan,
        patient=there,
        at=now(),
        note=body.note or "",
        activity=body.activity or "",
        status=body.status or "",
    )
