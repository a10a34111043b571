"""Which FHIR elements repeat and what their values are: what JSON writes down and XML leaves to the specification.

R4 (by R4B's classes) and R5 come from fhir.resources. DSTU2 has no classes there any more: where it differs from R4, or has
what R4 has not, the tables below say so (https://hl7.org/fhir/DSTU2, resource by resource).
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Literal

Kind = Literal["boolean", "number", "string", "complex", "resource", ""]
"""'' where nobody knows: the element itself must tell."""


@dataclass(frozen=True)
class Element:
    """One element of a type. `repeats`: None where nobody knows."""

    repeats: bool | None = None
    kind: Kind = ""
    type: str = ""


UNKNOWN = Element()
RESOURCE = Element(None, "resource")

# Type: elements. `*` repeats, no star stands once (R4 may repeat it); after the colon the type where R4 has none or another.
_DSTU2 = """
HumanName: family*
TimingRepeat: when
AllergyIntolerance: identifier* substance:CodeableConcept category note:Annotation reaction*
AllergyIntoleranceReaction: substance:CodeableConcept manifestation* note:Annotation
CarePlan: identifier* category* author*:Reference support*:Reference relatedPlan*:CarePlanRelatedPlan
  participant*:CarePlanParticipant addresses*:Reference goal* note:Annotation
CarePlanActivity: actionResulting*:Reference progress*
CarePlanActivityDetail: category:CodeableConcept reasonCode* reasonReference* prohibited:boolean goal* performer*
Condition: identifier* category bodySite* stage severity evidence*
ConditionEvidence: code detail*
ConditionStage: assessment*
DiagnosticOrder: identifier* specimen*:Reference reason*:CodeableConcept supportingInformation*:Reference
  event*:DiagnosticOrderEvent item*:DiagnosticOrderItem note*:Annotation
DiagnosticOrderItem: specimen*:Reference bodySite:CodeableConcept event*:DiagnosticOrderEvent
DiagnosticReport: identifier* category performer request*:Reference specimen* result* imagingStudy* image*:DiagnosticReportMedia
  codedDiagnosis*:CodeableConcept presentedForm*
DocumentReference: class:CodeableConcept format*:string author* content* securityLabel* relatesTo* indexed:string
DocumentReferenceContent: format*:Coding
DocumentReferenceContext: event* encounter:Reference related*
DocumentReferenceContextRelated: identifier:Identifier ref:Reference
Encounter: class:string episodeOfCare* incomingReferral*:Reference reason*:CodeableConcept indication*:Reference participant* type*
EncounterHospitalization: dietPreference* specialCourtesy* specialArrangement* admittingDiagnosis*:Reference
  dischargeDiagnosis*:Reference
FamilyMemberHistory: relationship note:Annotation condition*
FamilyMemberHistoryCondition: note:Annotation
Goal: category* addresses* note* outcome*:GoalOutcome priority
Immunization: wasNotGiven:boolean reported:boolean explanation:ImmunizationExplanation vaccinationProtocol*:ImmunizationVaccinationProtocol
  reaction* note*
ImmunizationExplanation: reason*:CodeableConcept reasonNotGiven*:CodeableConcept
ImmunizationVaccinationProtocol: doseSequence:number seriesDoses:number targetDisease*:CodeableConcept
  doseStatus:CodeableConcept doseStatusReason:CodeableConcept authority:Reference
Medication: isBrand:boolean product:MedicationProduct package:MedicationPackage
MedicationProduct: form:CodeableConcept ingredient*:MedicationProductIngredient batch*:MedicationBatch
MedicationProductIngredient: item:Reference amount:Ratio
MedicationPackage: container:CodeableConcept content*:MedicationPackageContent
MedicationPackageContent: item:Reference amount:Quantity
MedicationAdministration: reasonNotGiven*:CodeableConcept reasonGiven*:CodeableConcept device* wasNotGiven:boolean note:string
MedicationDispense: identifier dosageInstruction*:MedicationOrderDosageInstruction receiver* note:string
MedicationOrder: identifier*:Identifier status:string patient:Reference prescriber:Reference encounter:Reference
  dosageInstruction*:MedicationOrderDosageInstruction dispenseRequest:MedicationOrderDispenseRequest
  substitution:MedicationOrderSubstitution reasonEnded:CodeableConcept priorPrescription:Reference note:string
MedicationOrderDosageInstruction: text:string additionalInstructions:CodeableConcept timing:Timing asNeededBoolean:boolean
  route:CodeableConcept method:CodeableConcept
MedicationOrderDispenseRequest: validityPeriod:Period numberOfRepeatsAllowed:number quantity:Quantity
  expectedSupplyDuration:Quantity
MedicationOrderSubstitution: type:CodeableConcept reason:CodeableConcept
MedicationStatement: identifier* patient:Reference wasNotTaken:boolean reasonNotTaken*:CodeableConcept note:string
  supportingInformation*:Reference dosage*:MedicationStatementDosage
MedicationStatementDosage: text:string timing:Timing asNeededBoolean:boolean route:CodeableConcept method:CodeableConcept
Observation: category interpretation performer* related*:ObservationRelated comments:string
ObservationReferenceRange: meaning:CodeableConcept
Patient: careProvider*:Reference
Practitioner: name practitionerRole*:PractitionerPractitionerRole
PractitionerPractitionerRole: managingOrganization:Reference role:CodeableConcept specialty*:CodeableConcept period:Period
  location*:Reference healthcareService*:Reference
Procedure: category notPerformed:boolean reasonNotPerformed*:CodeableConcept bodySite* performer* notes*:Annotation
  request:Reference report* complication* followUp* focalDevice* used*:Reference encounter
SupplyRequest: identifier
Bundle: entry*
"""
_VALUES = {"boolean": "boolean", "number": "number", "string": "string"}
_SUFFIXES = (
    "CodeableConcept", "CodeableReference", "Reference", "Quantity", "Range", "Ratio", "Period", "Timing", "Age", "Duration",
    "SampledData", "Attachment", "Identifier", "Annotation", "Coding", "HumanName", "Address", "ContactPoint",
)  # fmt: skip
"""Types that a choice element names at its end (`valueQuantity`); those of one word before others that end alike."""
_PRIMITIVE_SUFFIXES: dict[str, Kind] = {"Boolean": "boolean", "Integer": "number", "Decimal": "number"}


def element_of(release: str, holder: str, name: str) -> Element:
    """What `name` is within `holder` (`Observation`, `Quantity`, `ObservationComponent`) of a release."""
    if release == "DSTU2":
        own = _old().get(holder, {}).get(name)
        if own is not None and (own.kind or own.type):
            return own
        found = _of_class("R4", holder, name)
        return found if own is None else Element(own.repeats, found.kind, found.type)
    return _of_class("R5" if release == "R5" else "R4", holder, name)


@cache
def _old() -> dict[str, dict[str, Element]]:
    found: dict[str, dict[str, Element]] = {}
    holder = ""
    for line in _DSTU2.strip().splitlines():
        if not line.startswith(" "):
            holder, _, line = line.partition(":")
            found[holder] = {}
        for word in line.split():
            name, _, kind = word.partition(":")
            value = typing.cast(Kind, _VALUES.get(kind, "complex" if kind else ""))
            made = Element(name.endswith("*"), value, "" if kind in _VALUES else kind)
            found[holder][name.rstrip("*")] = made
    return found


@cache
def _of_class(release: str, holder: str, name: str) -> Element:
    for field in (f for n, f in _fields(release, holder).items() if (f.alias or n) == name):
        return _read(field.annotation)
    return _guess(name)


@cache
def _fields(release: str, holder: str) -> dict[str, Any]:
    if release == "R5":
        from fhir.resources import get_fhir_model_class as class_of
    else:
        from fhir.resources.R4B import get_fhir_model_class as class_of
    try:
        return dict(class_of(holder).model_fields)
    except (ValueError, KeyError):  # no such type in this release
        return {}


def _read(annotation: Any) -> Element:
    """The element that an annotation of fhir.resources means: Optional[List[abc.CodeableConceptType]] and the like."""
    repeats, metadata, leaf = False, "", annotation
    while arguments := typing.get_args(leaf):
        if typing.get_origin(leaf) is list:
            repeats = True
        metadata += "".join(type(a).__name__ for a in getattr(leaf, "__metadata__", ()))
        leaf = arguments[0]
    if leaf is bool:
        return Element(repeats, "boolean")
    if leaf in (int, Decimal):  # JSON writes a 64-bit integer as text
        return Element(repeats, "string" if "Integer64" in metadata else "number")
    name = getattr(leaf, "__name__", "")
    if not name.endswith("Type"):
        return Element(repeats, "string")
    named = name.removesuffix("Type")
    return Element(repeats, "resource") if named == "Resource" else Element(repeats, "complex", named)


def _guess(name: str) -> Element:
    """An element that no table has: choices name their type, and some names mean the same wherever they stand."""
    if name in ("extension", "modifierExtension"):
        return Element(True, "complex", "Extension")
    if name == "contained":
        return Element(True, "resource")
    if name == "resource":
        return RESOURCE
    if name in ("meta", "text"):
        return Element(None, "", {"meta": "Meta", "text": "Narrative"}[name])
    if name == "coding":
        return Element(True, "complex", "Coding")
    for suffix in _SUFFIXES:
        if name.endswith(suffix):
            return Element(None, "complex", suffix)
    for suffix, kind in _PRIMITIVE_SUFFIXES.items():
        if name.endswith(suffix):
            return Element(None, kind)
    return UNKNOWN
