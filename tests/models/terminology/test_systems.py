"""Code systems row by row: what was sent, what it means."""

from __future__ import annotations

import pytest

from models.terminology.systems import canonical_system, is_standard, system_name

THO = "http://terminology.hl7.org/CodeSystem/"
ROWS = """
LN|http://loinc.org
LNC|http://loinc.org
https://loinc.org/|http://loinc.org
2.16.840.1.113883.6.1|http://loinc.org
urn:oid:2.16.840.1.113883.6.1|2.77|http://loinc.org
SCT|http://snomed.info/sct
SCT2|http://snomed.info/sct
SNOMED-CT|http://snomed.info/sct
SNOMED CT|http://snomed.info/sct
http://snomed.info/sct/|http://snomed.info/sct
http://snomed.info/sct/900000000000207008|http://snomed.info/sct
2.16.840.1.113883.6.96|http://snomed.info/sct
I10|http://hl7.org/fhir/sid/icd-10-cm
I10C|http://hl7.org/fhir/sid/icd-10-cm
ICD-10|http://hl7.org/fhir/sid/icd-10-cm
ICD10CM|http://hl7.org/fhir/sid/icd-10-cm
icd-10-cm|http://hl7.org/fhir/sid/icd-10-cm
https://hl7.org/fhir/sid/icd-10-cm|http://hl7.org/fhir/sid/icd-10-cm
2.16.840.1.113883.6.90|http://hl7.org/fhir/sid/icd-10-cm
http://hl7.org/fhir/sid/icd-10|http://hl7.org/fhir/sid/icd-10
2.16.840.1.113883.6.3|http://hl7.org/fhir/sid/icd-10
I10P|http://www.cms.gov/Medicare/Coding/ICD10
2.16.840.1.113883.6.4|http://www.cms.gov/Medicare/Coding/ICD10
I9|http://hl7.org/fhir/sid/icd-9-cm
I9C|http://hl7.org/fhir/sid/icd-9-cm
I9CDX|http://hl7.org/fhir/sid/icd-9-cm
I9CP|http://hl7.org/fhir/sid/icd-9-cm
ICD-9|http://hl7.org/fhir/sid/icd-9-cm
http://hl7.org/fhir/sid/icd-9|http://hl7.org/fhir/sid/icd-9-cm
2.16.840.1.113883.6.103|http://hl7.org/fhir/sid/icd-9-cm
2.16.840.1.113883.6.104|http://hl7.org/fhir/sid/icd-9-cm
2.16.840.1.113883.6.42|http://hl7.org/fhir/sid/icd-9-cm
RXNORM|http://www.nlm.nih.gov/research/umls/rxnorm
https://www.nlm.nih.gov/research/umls/rxnorm/|http://www.nlm.nih.gov/research/umls/rxnorm
2.16.840.1.113883.6.88|http://www.nlm.nih.gov/research/umls/rxnorm
NDC|http://hl7.org/fhir/sid/ndc
2.16.840.1.113883.6.69|http://hl7.org/fhir/sid/ndc
CVX|http://hl7.org/fhir/sid/cvx
2.16.840.1.113883.12.292|http://hl7.org/fhir/sid/cvx
2.16.840.1.113883.6.59|http://hl7.org/fhir/sid/cvx
MVX|http://hl7.org/fhir/sid/mvx
2.16.840.1.113883.12.227|http://hl7.org/fhir/sid/mvx
C4|http://www.ama-assn.org/go/cpt
CPT|http://www.ama-assn.org/go/cpt
2.16.840.1.113883.6.12|http://www.ama-assn.org/go/cpt
HCPCS|http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets
https://bluebutton.cms.gov/resources/codesystem/hcpcs|http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets
2.16.840.1.113883.6.285|http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets
UCUM|http://unitsofmeasure.org
http://unitsofmeasure.org/|http://unitsofmeasure.org
2.16.840.1.113883.6.8|http://unitsofmeasure.org
2.16.840.1.113883.4.9|http://fdasis.nlm.nih.gov
2.16.840.1.113883.3.26.1.1|http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl
2.16.840.1.113883.6.101|http://nucc.org/provider-taxonomy
CDCREC|urn:oid:2.16.840.1.113883.6.238
2.16.840.1.113883.5.83|http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation
http://hl7.org/fhir/v2/0078|http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation
http://terminology.hl7.org/CodeSystem/v2-0078|http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation
2.16.840.1.113883.5.2|http://terminology.hl7.org/CodeSystem/v3-MaritalStatus
2.16.840.1.113883.5.1008|http://terminology.hl7.org/CodeSystem/v3-NullFlavor
http://hl7.org/fhir/v3/ActCode|http://terminology.hl7.org/CodeSystem/v3-ActCode
http://hl7.org/fhir/v2/0203|http://terminology.hl7.org/CodeSystem/v2-0203
HL70203|http://terminology.hl7.org/CodeSystem/v2-0203
2.16.840.1.113883.12.112|http://terminology.hl7.org/CodeSystem/v2-0112
L|L
99LOCAL|99LOCAL
2.16.840.1.113883.3.247.1.1|urn:oid:2.16.840.1.113883.3.247.1.1
https://fhir.hospital.example/codeSet/72|https://fhir.hospital.example/codeSet/72
SNM3|SNM3
""".strip().splitlines()


@pytest.mark.parametrize("row", ROWS)
def test_each_spelling(row: str) -> None:
    sent, _, meant = row.rpartition("|")
    assert canonical_system(sent) == meant
    assert canonical_system(f"  {sent} ") == meant
    assert canonical_system(meant) == meant


def test_older_snomed_and_local_systems_are_no_standards() -> None:
    assert not any(is_standard(canonical_system(s)) for s in ("SNM3", "L", "99LOCAL", "http://snomed.info/xsct"))


def test_licensed_vocabularies_have_names_for_people() -> None:
    assert system_name(canonical_system("2.16.840.1.113883.3.247.1.1")) == "IMO Problem"
