"""The entries of a chart, one class per kind of fact. `kind` tags each in JSON."""

from models.record.care import CarePlan, Encounter, Immunization, PlannedActivity, Procedure
from models.record.demographics import Address, Demographics, Identifier, PersonName
from models.record.documents import Attachment, Note, Report, ReportForm
from models.record.entry import Activity, Entry, entry_id
from models.record.observation import Assessment, Component, Observation, Result, SocialHistory, Vital
from models.record.statements import Allergy, Dispense, Dosage, Medication, Problem, Reaction

__all__ = [
    "Activity",
    "Address",
    "Allergy",
    "AnyEntry",
    "Assessment",
    "Attachment",
    "CarePlan",
    "Component",
    "Demographics",
    "Dispense",
    "Dosage",
    "Encounter",
    "Entry",
    "Identifier",
    "Immunization",
    "Medication",
    "Note",
    "Observation",
    "PersonName",
    "PlannedActivity",
    "Problem",
    "Procedure",
    "Reaction",
    "Report",
    "ReportForm",
    "Result",
    "SocialHistory",
    "Vital",
    "entry_id",
]

AnyEntry = (
    Demographics
    | Problem
    | Medication
    | Allergy
    | Vital
    | Result
    | SocialHistory
    | Assessment
    | Encounter
    | Report
    | Immunization
    | Procedure
    | CarePlan
    | Note
)
