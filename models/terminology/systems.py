"""Code system URIs: every spelling met in production becomes the canonical one.

Canonical URIs: HL7 Terminology (THO), https://terminology.hl7.org/external_terminologies.html. OIDs: HL7 OID registry.
Mnemonics: HL7 v2 table 0396 (https://www.hl7.eu/HL7v2x/v282/hl7v282tab0396.htm).
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
MVX = "http://hl7.org/fhir/sid/mvx"
MEDRT = "http://www.nlm.nih.gov/research/umls/MED-RT"
NCIT = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
UMLS = "http://www.nlm.nih.gov/research/umls"
MESH = "https://www.nlm.nih.gov/mesh"
NUCC = "http://nucc.org/provider-taxonomy"
POS = "https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set"
HSLOC = "https://www.cdc.gov/nhsn/cdaportal/terminology/codesystem/hsloc.html"
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
    "2.16.840.1.113883.6.2": ICD9CM,
    "2.16.840.1.113883.6.88": RXNORM,
    "2.16.840.1.113883.6.69": NDC,
    "2.16.840.1.113883.12.292": CVX,
    "2.16.840.1.113883.12.227": MVX,
    "2.16.840.1.113883.6.60": MVX,
    "2.16.840.1.113883.6.345": MEDRT,
    "2.16.840.1.113883.3.26.1.1": NCIT,
    "2.16.840.1.113883.6.86": UMLS,
    "2.16.840.1.113883.6.177": MESH,
    "2.16.840.1.113883.6.101": NUCC,
    "2.16.840.1.113883.6.50": POS,
    "2.16.840.1.113883.6.259": HSLOC,
    "2.16.840.1.113883.6.59": CVX,
    "2.16.840.1.113883.6.12": CPT,
    "2.16.840.1.113883.6.285": HCPCS,
    "2.16.840.1.113883.6.14": HCPCS,
    "2.16.840.1.113883.6.13": CDT,
    "2.16.840.1.113883.6.8": UCUM,
    "2.16.840.1.113883.4.9": UNII,
    "2.16.840.1.113883.6.209": NDFRT,
    "2.16.840.1.113883.6.238": CDCREC,
}

_V3 = {
    "1": "AdministrativeGender",
    "2": "MaritalStatus",
    "4": "ActCode",
    "6": "ActClass",
    "7": "ActPriority",
    "8": "ActReason",
    "14": "ActStatus",
    "25": "Confidentiality",
    "45": "EntityNameUse",
    "60": "LanguageAbilityMode",
    "61": "LanguageAbilityProficiency",
    "79": "MediaType",
    "83": "ObservationInterpretation",
    "84": "ObservationMethod",
    "88": "ParticipationFunction",
    "90": "ParticipationType",
    "110": "RoleClass",
    "111": "RoleCode",
    "112": "RouteOfAdministration",
    "139": "TimingEvent",
    "1001": "ActMood",
    "1008": "NullFlavor",
    "1063": "ObservationValue",
    "1076": "ReligiousAffiliation",
    "1119": "AddressUse",
}
"""HL7 v3 code systems that C-CDA documents name by OID (2.16.840.1.113883.5.N)."""

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
    "snomed.info/id": SNOMED,
    "www.snomed.org": SNOMED,
    "snomed.org": SNOMED,
    "snomed ct": SNOMED,
    "snomed-ct us": SNOMED,
    "sct2": SNOMED,
    "sctid": SNOMED,
    "snomedct_us": SNOMED,
    "www.ihtsdo.org": SNOMED,
    "hl7.org/fhir/sid/loinc": LOINC,
    "loinc.org/downloads/loinc": LOINC,
    "hl7.org/fhir/sid/snomed": SNOMED,
    "hl7.org/fhir/sid/rxnorm": RXNORM,
    "purl.bioontology.org/ontology/rxnorm": RXNORM,
    "rxcui": RXNORM,
    "rxn": RXNORM,
    "purl.bioontology.org/ontology/icd10cm": ICD10CM,
    "terminology.hl7.org/codesystem/icd10cm": ICD10CM,
    "terminology.hl7.org/codesystem/icd-10-cm": ICD10CM,
    "icd-10": ICD10CM,
    "icd 10": ICD10CM,
    "icd10-cm": ICD10CM,
    "icd-10cm": ICD10CM,
    "icd 10 cm": ICD10CM,
    "icd-10-cm diagnosis": ICD10CM,
    "i10p": ICD10PCS,
    "icd10pcs": ICD10PCS,
    "icd-10-pcs": ICD10PCS,
    "i9cdx": ICD9CM,
    "i9cp": ICD9CM,
    "icd9": ICD9CM,
    "icd-9": ICD9CM,
    "icd9cm": ICD9CM,
    "icd 9": ICD9CM,
    "hl7.org/fhir/sid/icd9cm": ICD9CM,
    "terminology.hl7.org/codesystem/icd9": ICD9CM,
    "terminology.hl7.org/codesystem/icd9cm": ICD9CM,
    "www.cms.gov/medicare/coding/icd9providerdiagnosticcodes": ICD9CM,
    "hl7.org/fhir/sid/ndc-11": NDC,
    "www.fda.gov/ndc": NDC,
    "terminology.hl7.org/codesystem/ndc": NDC,
    "www.cdc.gov/vaccines/programs/iis/cvx": CVX,
    "hl7.org/fhir/sid/cvx-code": CVX,
    "terminology.hl7.org/codesystem/cvx": CVX,
    "mvx": MVX,
    "hl7.org/fhir/sid/mvx": MVX,
    "terminology.hl7.org/codesystem/mvx": MVX,
    "hl7.org/fhir/sid/cpt": CPT,
    "www.ama-assn.org/go/cpt-4": CPT,
    "terminology.hl7.org/codesystem/cpt": CPT,
    "c5": CPT,
    "bluebutton.cms.gov/resources/codesystem/hcpcs": HCPCS,
    "hl7.org/fhir/sid/hcpcs": HCPCS,
    "hcp": HCPCS,
    "ucum.org": UCUM,
    "unitsofmeasure": UCUM,
    "terminology.hl7.org/codesystem/ucum": UCUM,
    "hl7.org/fhir/sid/unii": UNII,
    "precision.fda.gov/uniisearch": UNII,
    "fdaunii": UNII,
    "www.nlm.nih.gov/research/umls/ndfrt": NDFRT,
    "www.nlm.nih.gov/research/umls/med-rt": MEDRT,
    "ncit": NCIT,
    "ncithesaurus-stage.nci.nih.gov": NCIT,
    "nucc.org/provider-taxonomy": NUCC,
    "hcpt": NUCC,
    "terminology.hl7.org/codesystem/cdcrec": CDCREC,
    "cdcrec": CDCREC,
    "hsloc": HSLOC,
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


_THO = "http://terminology.hl7.org/CodeSystem/"
_HL7_TABLE = re.compile(
    r"https?://(?:www\.)?(?:hl7\.org/fhir/(?:v2/(?P<v2>\d{4})|v3/(?P<v3>[A-Za-z]+))/*)|HL7(?P<short>\d{4})"
    r"|https?://terminology\.hl7\.org/CodeSystem/v2-(?P<tho>0078)/*"
)


@lru_cache(maxsize=4096)
def canonical_system(system: str) -> str:
    """The canonical URI for `system`; the trimmed text itself when the system is not known.

    Handles: `urn:oid:` and bare OIDs, http/https, trailing slashes, letter case, `http://loinc`, a version behind a
    bar, SNOMED CT editions, short names (HL7 v2 table 0396 among them), HL7's tables in the spellings of older releases.
    `I10` and `ICD-10` mean ICD-10-CM: no US source sends WHO's edition under these names.
    """
    text = system.strip()
    bare = text.partition("|")[0].rstrip()
    oid = _OID.fullmatch(bare)
    if oid:
        return _of_oid(oid[1])
    key = bare.lower().rstrip("/ ").removeprefix("https://").removeprefix("http://")
    if key.startswith("snomed.info/sct/"):
        return SNOMED
    known = _SPELLINGS.get(key) or _SPELLINGS.get(key.removeprefix("www."))
    return known or _of_hl7(bare) or text


def _of_oid(oid: str) -> str:
    known = _OIDS.get(oid)
    if known:
        return known
    root, _, last = oid.rpartition(".")
    if root == "2.16.840.1.113883.12" and len(last) <= 4:  # HL7 v2 tables
        return f"{_THO}v2-{int(last):04d}"
    if root == "2.16.840.1.113883.5" and last in _V3:
        return f"{_THO}v3-{_V3[last]}"
    return f"urn:oid:{oid}"


def _of_hl7(text: str) -> str:
    """HL7's own tables in their older spellings: `http://hl7.org/fhir/v2/0203` (DSTU2, STU3), `HL70203` (v2)."""
    found = _HL7_TABLE.fullmatch(text)
    if not found:
        return ""
    if found["v3"]:
        return f"{_THO}v3-{found['v3']}"
    number = found["v2"] or found["short"] or found["tho"]
    return f"{_THO}v3-ObservationInterpretation" if number == "0078" else f"{_THO}v2-{number}"


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
    MVX: "MVX",
    MEDRT: "MED-RT",
    NCIT: "NCI Thesaurus",
    CDCREC: "CDC race and ethnicity",
    NUCC: "NUCC provider taxonomy",
    # Licensed vocabularies of vendors of terminology: kept as sent, named for people.
    "urn:oid:2.16.840.1.113883.3.247.1.1": "IMO Problem",
    "urn:oid:2.16.840.1.113883.6.27": "Multum",
    "urn:oid:2.16.840.1.113883.6.64": "First Databank",
    "urn:oid:2.16.840.1.113883.6.68": "Medi-Span GPI",
}


def system_name(system: str) -> str:
    """A short name for people."""
    return _NAMES.get(system, system)
