"""What the hospital publishes about itself: CapabilityStatement and smart-configuration, made from the dress."""

from __future__ import annotations

from service.practice_ehr.auth import ALGORITHMS
from service.practice_ehr.dress import Dress, Json
from service.practice_ehr.search_params import params_of

OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
VERSIONS = {"R4": "4.0.1", "DSTU2": "1.0.2"}
SMART_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"


def capability_statement(dress: Dress, base: str, token_url: str | None, date: str) -> Json:
    """A Conformance where the dress writes DSTU2. Exactly the types, interactions and search parameters the server answers; no security for an open server."""
    rest: Json = {"mode": "server", "resource": [_resource(dress, name) for name in sorted(dress.types)]}
    if token_url:
        rest["security"] = {
            "cors": False,
            "service": [{"coding": [{"system": SMART_SERVICE, "code": "SMART-on-FHIR"}]}],
            "extension": [{"url": OAUTH_URIS, "extension": [{"url": "token", "valueUri": token_url}]}],
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


def smart_configuration(dress: Dress, token_url: str) -> Json:
    """The smart-configuration of a server that offers backend services and nothing else."""
    syntaxes = dress.authorization.scopes
    suffixes = [s for v, s in (("v1", "read"), ("v2", "rs")) if v in syntaxes]
    denied = dress.authorization.denied_types
    return {
        "token_endpoint": token_url,
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
        "scopes_supported": [f"system/{t}.{s}" for t in sorted(dress.types) if t not in denied for s in suffixes],
        "capabilities": ["client-confidential-asymmetric", *(f"permission-{v}" for v in syntaxes)],
    }
