"""Small resources and section answers, as an adapter would hand them to the store."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from adapters.profile import SiteConfig
from adapters.source import SectionFetch
from models.record import RESOURCE_TYPE_OF_SECTION, Coverage, CoverageState, Missing, RawResource, Rejected, Section
from service.store import Store

NOW = "2026-03-04T10:00:00Z"


def add_site(store: Store, tenant: str = "t1", name: str = "north", **more: Any) -> None:
    store.put_site(tenant, SiteConfig(name=name, fhir_base=f"https://{name}.example/fhir", auth="none", **more))


def add_patient(store: Store, tenant: str = "t1", site: str = "north", there: str = "p1") -> str:
    add_site(store, tenant, site)
    return store.register_patient(tenant, site, there)


def raw(
    kind: str, found: str, body: dict[str, Any], *, tenant: str = "t1", site: str = "north", **more: Any
) -> RawResource:
    content = json.dumps({"resourceType": kind, "id": found, **body}).encode()
    return RawResource(
        tenant=tenant,
        site=site,
        resource_type=kind,
        resource_id=found,
        content=content,
        **{"retrieved": NOW, **more},
    )


def condition(found: str, words: str = "Hypertension", *, patient: str = "p1", **more: Any) -> RawResource:
    body = {
        "subject": {"reference": f"Patient/{patient}"},
        "code": {"text": words, "coding": [{"system": "http://snomed.info/sct", "code": "38341003"}]},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "onsetDateTime": "2019-03",
    }
    return raw("Condition", found, body, **more)


def person(found: str = "p1", family: str = "Testperson", given: str = "Ana", **more: Any) -> RawResource:
    body = {
        "name": [{"family": family, "given": [given]}],
        "birthDate": "1961-05-06",
        "gender": "female",
        "identifier": [{"system": "urn:oid:1.2.3", "value": "MRN-77"}],
    }
    return raw("Patient", found, body, **more)


def fetch(
    section: Section,
    resources: Iterable[RawResource] = (),
    *,
    site: str = "north",
    state: CoverageState | None = None,
    as_of: str = NOW,
    rejected: tuple[Rejected, ...] = (),
    missing: tuple[Missing, ...] = (),
    reason: str = "",
) -> SectionFetch:
    """An answer of the moment `as_of`: its resources were received then, unless they say another time."""
    resources = tuple(
        msgspec.structs.replace(r, retrieved=as_of, section=section) if r.retrieved == NOW else r for r in resources
    )
    state = state or ("present" if resources else "empty")
    good = state in ("present", "empty", "truncated")
    return SectionFetch(
        section=section,
        coverage=Coverage(
            section=section,
            site=site,
            state=state,
            resource_type=RESOURCE_TYPE_OF_SECTION[section],
            as_of=as_of if good else "",
            reason=reason,
            offered=len(resources) + len(rejected) + sum(m.count for m in missing),
            stored=len(resources),
            quarantined=len(rejected),
            missing=sum(m.count for m in missing),
        ),
        resources=resources,
        rejected=rejected,
        missing=missing,
        requests=1,
    )
