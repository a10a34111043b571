"""Who may do what: one table of routes and roles. A route that is not in it is refused, and fails the suite.

Every answer about a patient is given within the caller's tenant; the tenant comes from the key, never from the request.
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a key may be used for."""

    ADMIN = "admin"
    """Everything, sites and their configuration included."""
    CLINICIAN = "clinician"
    """Reads records, asks for contexts and summaries, refreshes patients, writes to sites that permit it."""
    INTEGRATION = "integration"
    """A program: what a clinician may but writing to sites, and registering patients."""
    OPERATOR = "operator"
    """Keeps the service running: sites, refreshes, freshness, quarantine reasons. Reads no record."""


OPEN: frozenset[Role] = frozenset()
"""Marks routes that need no key: health, the API's description, signing in, static files, our public keys; and the way
through a hospital's sign-in, which a person without a key of ours takes: it lets nobody see anything here."""

_EVERYBODY = frozenset(Role)
_READERS = frozenset({Role.ADMIN, Role.CLINICIAN, Role.INTEGRATION})
_OPERATORS = frozenset({Role.ADMIN, Role.OPERATOR})
_REGISTRARS = frozenset({Role.ADMIN, Role.INTEGRATION, Role.OPERATOR})
_WRITERS = frozenset({Role.ADMIN, Role.CLINICIAN})
_ADMINS = frozenset({Role.ADMIN})
_DECIDERS = frozenset({Role.ADMIN, Role.CLINICIAN})
"""What a code means is a clinical judgement: no program's, and not that of who keeps the service running."""
_STEWARDS = frozenset({Role.ADMIN, Role.CLINICIAN})

ROUTES: dict[str, frozenset[Role]] = {
    "GET /healthz": OPEN,
    "GET /readyz": OPEN,
    "GET /openapi.json": OPEN,
    "GET /docs": OPEN,
    "GET /login": OPEN,
    "POST /login": OPEN,
    "GET /static/{name}": OPEN,
    "GET /.well-known/jwks/{tenant}/{site}": OPEN,
    "GET /smart/launch": OPEN,
    "GET /smart/launch/{tenant}/{site}": OPEN,
    "GET /smart/start": OPEN,
    "GET /smart/callback": OPEN,
    "POST /logout": _EVERYBODY,
    "GET /v1/sites": _EVERYBODY,
    "POST /v1/sites": _ADMINS,
    "PUT /v1/sites/{site}": _ADMINS,
    "GET /v1/sites/{site}": _EVERYBODY,
    "POST /v1/sites/{site}/check": _OPERATORS,
    "GET /v1/sites/{site}/report": _EVERYBODY,
    "GET /v1/sites/{site}/reports": _EVERYBODY,
    "GET /v1/sites/{site}/reports/{report_id}": _EVERYBODY,
    "GET /v1/sites/{site}/reports/{report_id}/diff": _EVERYBODY,
    "POST /v1/sites/{site}/quality": _OPERATORS,
    "GET /v1/sites/{site}/quality": _EVERYBODY,
    "GET /v1/sites/{site}/quality/runs/{run_id}": _EVERYBODY,
    "GET /v1/sites/{site}/quality/reports": _EVERYBODY,
    "GET /v1/sites/{site}/quality/reports/{report_id}": _EVERYBODY,
    "GET /v1/sites/{site}/quality/reports/{report_id}/diff": _EVERYBODY,
    "POST /v1/sites/{site}/connect": _ADMINS,
    "POST /v1/sites/{site}/disconnect": _ADMINS,
    "PUT /v1/sites/{site}/secret": _ADMINS,
    "POST /v1/sites/{site}/rotate-key": _ADMINS,
    "POST /v1/sites/{site}/patients/search": _READERS,
    "POST /v1/patients": _REGISTRARS,
    "POST /v1/patients/search": _READERS,
    "POST /v1/patients/{patient_id}/refresh": _EVERYBODY,
    "GET /v1/patients/{patient_id}/refresh/{run_id}": _EVERYBODY,
    "GET /v1/patients/{patient_id}/freshness": _EVERYBODY,
    "GET /v1/patients/{patient_id}/quarantine": _OPERATORS | _READERS,
    "GET /v1/patients/{patient_id}/quality": _READERS,
    "GET /v1/patients/{patient_id}/chart": _READERS,
    "GET /v1/patients/{patient_id}/raw/{site}/{resource_type}/{resource_id}": _READERS,
    "POST /v1/patients/{patient_id}/context": _READERS,
    "POST /v1/patients/{patient_id}/summary": _READERS,
    "POST /v1/patients/{patient_id}/writes/preview": _WRITERS,
    "POST /v1/patients/{patient_id}/writes": _WRITERS,
    "GET /v1/patients/{patient_id}/links": _STEWARDS,
    "POST /v1/patients/{patient_id}/unlink": _STEWARDS,
    "POST /fhir/Patient/$match": _READERS,
    "POST /v1/identity/find": _ADMINS,
    "GET /v1/identity/pairs": _STEWARDS,
    "POST /v1/identity/pairs/{pair_id}/accept": _STEWARDS,
    "POST /v1/identity/pairs/{pair_id}/reject": _STEWARDS,
    "GET /v1/schema/record": _EVERYBODY,
    "GET /v1/terminology/review": _READERS,
    "GET /v1/terminology/review/{site}/{key}": _READERS,
    "POST /v1/terminology/review/{site}/{key}/accept": _DECIDERS,
    "POST /v1/terminology/review/{site}/{key}/reject": _DECIDERS,
    "POST /v1/terminology/review/{site}/{key}/withdraw": _DECIDERS,
    "GET /v1/terminology/decisions/{site}": _READERS,
    "POST /v1/renormalize": _ADMINS,
    "GET /v1/renormalize/{run_id}": _ADMINS,
    "GET /": _READERS,
    "POST /": _READERS,
    "GET /patients/{patient_id}": _READERS,
    "GET /patients/{patient_id}/sources/{entry_ids}": _READERS,
    "POST /patients/{patient_id}/refresh": _READERS,
    "POST /patients/{patient_id}/summary": _READERS,
}
"""`METHOD template` -> the roles that may call it."""

UNAUDITED = frozenset(
    {
        "GET /healthz",
        "GET /readyz",
        "GET /openapi.json",
        "GET /docs",
        "GET /login",
        "GET /static/{name}",
        "GET /.well-known/jwks/{tenant}/{site}",
    }
)
"""Open routes that tell nothing about anybody. Every other request leaves one audit row, refused ones included."""


def allowed(route: str, role: str) -> bool:
    """Whether `role` may call `route`. Unknown routes and unknown roles may nothing."""
    roles = ROUTES.get(route)
    return roles is not None and role in roles


def is_open(route: str) -> bool:
    """Whether `route` needs no key."""
    return ROUTES.get(route) == OPEN and route in ROUTES
