"""Code system URIs: every spelling met in production becomes the canonical one.

Canonical URIs: HL7 Terminology (THO), https://terminology.hl7.org/external_terminologies.html. OIDs: HL7 OID registry.
Wrong spellings were seen in vendor sandboxes and certification data of 2023-2025 (../shared/design/VENDORS.md).
"""

from __future__ import annotations

import re
from functools import lru_cache

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
ICD10PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
ICD9CM = "http://hl7.org/fhir/sid/icd-9-cm"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NDC = "http://hl7.org/fhir/sid/ndc"
CVX = "http://hl7.org/fhir/sid/cvx"
CPT = "http://www.ama-assn.org/go/cpt"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
UCUM = "http://unitsofmeasure.org"
CDT = "http://www.ada.org/cdt"
SNODENT = "http://www.ada.org/snodent"
NDFRT = "http://hl7.org/fhir/ndfrt"
UNII = "http://fdasis.nlm.nih.gov"
CDCREC = "urn:oid:2.16.840.1.113883.6.238"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

STANDARD = frozenset(
    {LOINC, SNOMED, ICD10CM, ICD10, ICD10PCS, ICD9CM, RXNORM, NDC, CVX, CPT, HCPCS, CDT, UNII, CDCREC, NDFRT}
)
"""Systems whose codes mean the same at every site."""

_OIDS = {
    "2.16.840.1.113883.6.1": LOINC,
    "2.16.840.1.113883.6.96": SNOMED,
    "2.16.840.1.113883.6.90": ICD10CM,
    "2.16.840.1.113883.6.3": ICD10,
    "2.16.840.1.113883.6.4": ICD10PCS,
    "2.16.840.1.113883.6.103": ICD9CM,
    "2.16.840.1.113883.6.104": ICD9CM,
    "2.16.840.1.113883.6.42": ICD9CM,
    "2.16.840.1.113883.6.88": RXNORM,
    "2.16.840.1.113883.6.69": NDC,
    "2.16.840.1.113883.12.292": CVX,
    "2.16.840.1.113883.6.59": CVX,
    "2.16.840.1.113883.6.12": CPT,
    "2.16.840.1.113883.6.285": HCPCS,
    "2.16.840.1.113883.6.14": HCPCS,
    "2.16.840.1.113883.6.13": CDT,
    "2.16.840.1.113883.6.8": UCUM,
    "2.16.840.1.113883.4.9": UNII,
    "2.16.840.1.113883.6.209": NDFRT,
    "2.16.840.1.113883.6.238": CDCREC,
    "2.16.840.1.113883.5.4": ACT_CODE,
    "2.16.840.1.113883.5.83": "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation",
    "2.16.840.1.113883.5.1": "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender",
}

_SPELLINGS = {
    "loinc.org": LOINC,
    "loinc": LOINC,
    "snomed.info/sct": SNOMED,
    "snomed.info": SNOMED,
    "snomed": SNOMED,
    "snomed-ct": SNOMED,
    "snomedct": SNOMED,
    "ihtsdo.org/snomed-ct": SNOMED,
    "hl7.org/fhir/sid/icd-10-cm": ICD10CM,
    "hl7.org/fhir/sid/icd-10-us": ICD10CM,
    "hl7.org/fhir/sid/icd10cm": ICD10CM,
    "icd-10-cm": ICD10CM,
    "icd10cm": ICD10CM,
    "icd10": ICD10CM,
    "www.cdc.gov/nchs/icd/icd10cm.htm": ICD10CM,
    "hl7.org/fhir/sid/icd-10": ICD10,
    "www.cms.gov/medicare/coding/icd10": ICD10PCS,
    "hl7.org/fhir/sid/icd-10-pcs": ICD10PCS,
    "hl7.org/fhir/sid/icd-9-cm": ICD9CM,
    "hl7.org/fhir/sid/icd-9-cm/diagnosis": ICD9CM,
    "hl7.org/fhir/sid/icd-9-cm/procedure": ICD9CM,
    "hl7.org/fhir/sid/icd-9": ICD9CM,
    "icd-9-cm": ICD9CM,
    "www.nlm.nih.gov/research/umls/rxnorm": RXNORM,
    "nlm.nih.gov/research/umls/rxnorm": RXNORM,
    "rxnorm": RXNORM,
    "hl7.org/fhir/sid/ndc": NDC,
    "www.fda.gov/drugs/informationondrugs": NDC,
    "ndc": NDC,
    "hl7.org/fhir/sid/cvx": CVX,
    "www2a.cdc.gov/vaccines/iis/iisstandards/vaccines.asp?rpt=cvx": CVX,
    "www2.cdc.gov/vaccines/iis/iisstandards/vaccines": CVX,
    "cvx": CVX,
    "www.ama-assn.org/go/cpt": CPT,
    "ama-assn.org/go/cpt": CPT,
    "cpt": CPT,
    "www.cms.gov/medicare/coding/hcpcsreleasecodesets": HCPCS,
    "www.cms.gov/medicare/coding/medhcpcsgeninfo": HCPCS,
    "terminology.hl7.org/codesystem/hcpcs-all-codes": HCPCS,
    "hcpcs": HCPCS,
    "unitsofmeasure.org": UCUM,
    "ucum": UCUM,
    "fdasis.nlm.nih.gov": UNII,
    "unii": UNII,
    "hl7.org/fhir/ndfrt": NDFRT,
    "www.ada.org/cdt": CDT,
    "www.ada.org/snodent": SNODENT,
    "ln": LOINC,
    "lnc": LOINC,
    "sct": SNOMED,
    "i10": ICD10CM,
    "i10c": ICD10CM,
    "i9": ICD9CM,
    "i9c": ICD9CM,
    "c4": CPT,
    "cpt4": CPT,
    "cpt-4": CPT,
}


_OID = re.compile(r"(?:(?:urn:)?oid:)?\s*([0-2](?:\.(?:0|[1-9]\d*))+)/*", re.IGNORECASE)


@lru_cache(maxsize=4096)
def canonical_system(system: str) -> str:
    """The canonical URI for `system`; the trimmed text itself when the system is not known.

    Handles: `urn:oid:` and bare OIDs, http/https, trailing slashes, letter case, `http://loinc`, a version behind a
    bar, SNOMED CT editions, and short names (HL7 v2 table 0396 among them).
    """
    text = system.strip()
    oid = _OID.fullmatch(text)
    if oid:
        return _OIDS.get(oid[1], f"urn:oid:{oid[1]}")
    key = text.lower().partition("|")[0].rstrip("/ ").removeprefix("https://").removeprefix("http://")
    if key.startswith("snomed.info/sct/"):
        return SNOMED
    if key in ("terminology.hl7.org/codesystem/v2-0078", "hl7.org/fhir/v2/0078"):
        return "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    return _SPELLINGS.get(key) or _SPELLINGS.get(key.removeprefix("www."), text)


def is_standard(system: str) -> bool:
    """Whether `system` (canonical) is shared by all sites."""
    return system in STANDARD


_NAMES = {
    LOINC: "LOINC",
    SNOMED: "SNOMED CT",
    ICD10CM: "ICD-10-CM",
    ICD10: "ICD-10",
    ICD10PCS: "ICD-10-PCS",
    ICD9CM: "ICD-9-CM",
    RXNORM: "RxNorm",
    NDC: "NDC",
    CVX: "CVX",
    CPT: "CPT",
    HCPCS: "HCPCS",
    UCUM: "UCUM",
    UNII: "UNII",
}


def system_name(system: str) -> str:
    """A short name for people."""
    return _NAMES.get(system, system)
