"""One person's record at one hospital while it is being written: ids, the patient, the staff, and `add`."""

from __future__ import annotations

from datetime import date, datetime

from service.practice_ehr.population.elements import HL7, US_CORE, Json, at, coding, concept, instant, reference
from service.practice_ehr.population.people import HOSPITALS, LANGUAGES, RACES, Persona, npi

SHORT = {
    "Patient": "pat", "Encounter": "enc", "Condition": "con", "Observation": "obs", "MedicationRequest": "rx",
    "AllergyIntolerance": "all", "Immunization": "imm", "Procedure": "pro", "DiagnosticReport": "rep",
    "DocumentReference": "doc", "Binary": "bin", "CarePlan": "plan", "Goal": "goal", "Provenance": "prov",
}  # fmt: skip
PROFILES = {
    "Patient": "us-core-patient", "Encounter": "us-core-encounter", "MedicationRequest": "us-core-medicationrequest",
    "AllergyIntolerance": "us-core-allergyintolerance", "Immunization": "us-core-immunization",
    "Procedure": "us-core-procedure", "DocumentReference": "us-core-documentreference",
    "CarePlan": "us-core-careplan", "Goal": "us-core-goal", "Provenance": "us-core-provenance",
}  # fmt: skip


class Record:
    """Resources of one person at one hospital, in the order in which they were written."""

    def __init__(self, persona: Persona, hospital: str, since: date) -> None:
        self.persona, self.hospital = persona.known_as(hospital), HOSPITALS[hospital]
        self.resources: list[Json] = []
        self._numbers: dict[str, int] = {}
        self.organization = self._organization()
        self.location = self._location()
        self.physicians = [self._physician(i) for i in range(len(self.hospital.physicians))]
        self.patient = self.add("Patient", at(since, 8), **self._patient())

    def add(self, kind: str, moment: datetime, *, profile: str = "", **body: object) -> Json:
        """Write one resource; its id and meta are given here."""
        number = self._numbers.get(kind, 0) + 1
        self._numbers[kind] = number
        meta: Json = {"lastUpdated": instant(moment)}
        profile = profile or PROFILES.get(kind, "")
        if profile:
            meta["profile"] = [f"{US_CORE}/{profile}"]
        ident = f"{self.persona.key}{self.hospital.letter}-{SHORT[kind]}-{number:04d}"
        resource: Json = {"resourceType": kind, "id": ident, "meta": meta}
        resource |= {k.rstrip("_"): v for k, v in body.items() if v not in (None, "", [], {})}
        self.resources.append(resource)
        return resource

    @property
    def subject(self) -> Json:
        """Reference to the patient."""
        return reference(self.patient, self.persona.name)

    def doctor(self, index: int = 0) -> Json:
        """Reference to a member of the staff."""
        given, family, _ = self.hospital.physicians[index]
        return reference(self.physicians[index], f"{given} {family}, MD")

    def everything(self) -> list[Json]:
        """The staff and places first, then the record."""
        return [self.organization, self.location, *self.physicians, *self.resources]

    def _organization(self) -> Json:
        h = self.hospital
        return {
            "resourceType": "Organization",
            "id": f"org-{h.letter}-1",
            "meta": {"lastUpdated": "2015-01-02T08:00:00-05:00", "profile": [f"{US_CORE}/us-core-organization"]},
            "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": npi(f"19929{ord(h.letter):03d}0")}],
            "active": True,
            "type": [concept(coding(f"{HL7}/organization-type", "prov", "Healthcare Provider"))],
            "name": h.name,
            "telecom": [{"system": "phone", "value": "608-555-0100"}],
            "address": [{"line": ["1 Hospital Way"], "city": h.city, "state": h.state, "postalCode": h.postal_code}],
        }

    def _location(self) -> Json:
        return {
            "resourceType": "Location",
            "id": f"loc-{self.hospital.letter}-1",
            "meta": {"lastUpdated": "2015-01-02T08:00:00-05:00", "profile": [f"{US_CORE}/us-core-location"]},
            "status": "active",
            "name": f"{self.hospital.name}, main building",
            "managingOrganization": reference(self.organization, self.hospital.name),
        }

    def _physician(self, index: int) -> Json:
        given, family, specialty = self.hospital.physicians[index]
        number = npi(f"19929{ord(self.hospital.letter):03d}{index + 1}")
        return {
            "resourceType": "Practitioner",
            "id": f"dr-{self.hospital.letter}-{index + 1}",
            "meta": {"lastUpdated": "2015-01-02T08:00:00-05:00", "profile": [f"{US_CORE}/us-core-practitioner"]},
            "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": number}],
            "name": [{"use": "official", "family": family, "given": [given], "suffix": ["MD"]}],
            "qualification": [{"code": {"text": specialty}}],
        }

    def _patient(self) -> Json:
        p, h = self.persona, self.hospital
        mr = concept(coding(f"{HL7}/v2-0203", "MR", "Medical record number"))
        married = {"M": "Married", "S": "Never Married", "W": "Widowed", "D": "Divorced"}[p.marital]
        language = concept(coding("urn:ietf:bcp:47", p.language, LANGUAGES[p.language]))
        birth_sex = {"url": f"{US_CORE}/us-core-birthsex", "valueCode": p.gender[0].upper()}
        home = {
            "use": "home",
            "line": [p.street],
            "city": p.city or h.city,
            "state": h.state,
            "postalCode": h.postal_code,
            "country": "US",
        }
        return {
            "extension": [*self._race_and_ethnicity(), birth_sex],
            "identifier": [{"use": "usual", "type": mr, "system": h.mrn_system, "value": p.mrn(h.key)}],
            "active": True,
            "name": [{"use": "official", "family": p.family, "given": [n for n in (p.given, p.middle) if n]}],
            "telecom": self._telecom(),
            "gender": p.gender,
            "birthDate": p.birth_date.isoformat(),
            "address": [home],
            "maritalStatus": concept(coding(f"{HL7}/v3-MaritalStatus", p.marital, married)),
            "communication": [{"language": language, "preferred": True}],
            "generalPractitioner": [self.doctor(0)],
            "managingOrganization": reference(self.organization, h.name),
        }

    def _telecom(self) -> list[Json]:
        p = self.persona
        # 555-0100 to 555-0199 are kept free for fiction. The number goes with the person, not with the hospital.
        phone = p.phone or f"608-555-01{sum(map(ord, p.key)) % 100:02d}"
        email = p.email or f"{p.given}.{p.family}@example.org".lower().replace(" ", "").replace("'", "")
        return [
            {"system": "phone", "value": phone, "use": "home"},
            {"system": "email", "value": email},
        ]

    def _race_and_ethnicity(self) -> list[Json]:
        cdc = "urn:oid:2.16.840.1.113883.6.238"
        race, ethnic = RACES[self.persona.race], ("2135-2", "Hispanic or Latino")
        if not self.persona.hispanic:
            ethnic = ("2186-5", "Not Hispanic or Latino")
        return [
            {
                "url": f"{US_CORE}/us-core-{name}",
                "extension": [
                    {"url": "ombCategory", "valueCoding": coding(cdc, *found)},
                    {"url": "text", "valueString": found[1]},
                ],
            }
            for name, found in (("race", race), ("ethnicity", ethnic))
        ]
