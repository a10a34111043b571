"""What the hospital publishes about itself: CapabilityStatement and smart-configuration, made from the dress."""

from __future__ import annotations

from service.practice_ehr.apps import CONTEXT_SCOPES
from service.practice_ehr.auth import ALGORITHMS
from service.practice_ehr.dress import Dress, Json
from service.practice_ehr.search_params import params_of

OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
VERSIONS = {"R4": "4.0.1", "DSTU2": "1.0.2"}
SMART_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"

LAUNCH_CAPABILITIES = [
    "launch-ehr",
    "launch-standalone",
    "client-public",
    "client-confidential-symmetric",
    "sso-openid-connect",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
]
"""https://hl7.org/fhir/smart-app-launch/conformance.html"""


def capability_statement(dress: Dress, base: str, token_url: str | None, date: str, apps_at: str = "") -> Json:
    """A Conformance where the dress writes DSTU2. Exactly the types, interactions and search parameters the server answers; no security for an open server.

    `apps_at`: the origin of the sign-in page, where there is one.
    """
    rest: Json = {"mode": "server", "resource": [_resource(dress, name) for name in sorted(dress.types)]}
    if token_url:
        endpoints = {"token": token_url} | (_sign_in(dress, apps_at) if apps_at else {})
        rest["security"] = {
            "cors": False,
            "service": [{"coding": [{"system": SMART_SERVICE, "code": "SMART-on-FHIR"}]}],
            "extension": [{"url": OAUTH_URIS, "extension": [{"url": n, "valueUri": u} for n, u in endpoints.items()]}],
        }
    statement = "Conformance" if dress.release == "DSTU2" else "CapabilityStatement"
    return {
        "resourceType": statement,
        "status": "active",
        "date": date,
        "publisher": "Chartbrief practice EHR",
        "kind": "instance",
        "software": {"name": dress.software},
        "implementation": {"description": dress.title, "url": base},
        "fhirVersion": VERSIONS[dress.release],
        **({"acceptUnknown": "no"} if statement == "Conformance" else {}),
        "format": ["json"],
        "rest": [rest],
    }


def _resource(dress: Dress, name: str) -> Json:
    support = dress.types[name]
    interactions = [c for c, has in (("read", support.read), ("search-type", support.search)) if has]
    writes = dress.writes.get(name)
    if writes:
        interactions += [c for c, has in (("create", writes.create), ("update", writes.update)) if has]
    row: Json = {"type": name, "interaction": [{"code": c} for c in interactions]}
    if dress.meta.version_id:
        row["versioning"] = "versioned"
    if writes and writes.create:
        row["conditionalCreate"] = writes.conditional
    if support.search:
        known = params_of(name)
        row["searchParam"] = [{"name": p, "type": known[p].fhir_type} for p in support.params]
    if support.includes:
        row["searchInclude"] = list(support.includes)
    if support.revincludes:
        row["searchRevInclude"] = list(support.revincludes)
    if name == "Patient" and dress.everything:
        definition = "http://hl7.org/fhir/OperationDefinition/Patient-everything"
        row["operation"] = [{"name": "everything", "definition": definition}]
    return row


def smart_configuration(dress: Dress, token_url: str, apps_at: str = "") -> Json:
    """The smart-configuration of a server that offers backend services; `apps_at` (its origin): and launches."""
    syntaxes = dress.authorization.scopes
    suffixes = [s for v, s in (("v1", "read"), ("v2", "rs")) if v in syntaxes]
    denied = dress.authorization.denied_types
    types = [t for t in sorted(dress.types) if t not in denied]
    document: Json = {
        "token_endpoint": token_url,
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "scopes_supported": [f"system/{t}.{s}" for t in types for s in suffixes],
        "capabilities": ["client-confidential-asymmetric", *(f"permission-{v}" for v in syntaxes)],
    }
    if not apps_at:
        return document
    where = _sign_in(dress, apps_at)
    document["issuer"] = apps_at
    document["authorization_endpoint"], document["revocation_endpoint"] = where["authorize"], where["revoke"]
    document["jwks_uri"] = f"{apps_at}{dress.authorization.jwks_path}"
    document["authorization_response_iss_parameter_supported"] = True
    document["code_challenge_methods_supported"] = ["S256"]
    document["grant_types_supported"] += ["authorization_code", "refresh_token"]
    document["token_endpoint_auth_methods_supported"] += ["client_secret_basic", "none"]
    document["scopes_supported"] += CONTEXT_SCOPES
    document["scopes_supported"] += [f"{c}/{t}.{s}" for c in ("patient", "user") for t in types for s in suffixes]
    document["capabilities"] += LAUNCH_CAPABILITIES
    return document


def _sign_in(dress: Dress, origin: str) -> dict[str, str]:
    rules = dress.authorization
    return {"authorize": f"{origin}{rules.authorize_path}", "revoke": f"{origin}{rules.revoke_path}"}
