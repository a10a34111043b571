"""The patient record: what every room above speaks. Imports nothing of Chartbrief."""

from models.record.base import Value
from models.record.chart import Chart, Conflict, ConflictKind, canonical_order
from models.record.coding import (
    Coding,
    Concept,
    Mapping,
    MappingMethod,
    NamedRef,
    Quantity,
    ReferenceRange,
)
from models.record.coverage import RESOURCE_TYPE_OF_SECTION, SECTIONS, Coverage, CoverageState, Section
from models.record.dates import PartialDate
from models.record.entries import (
    Activity,
    Address,
    Allergy,
    AnyEntry,
    Assessment,
    Attachment,
    CarePlan,
    Component,
    Demographics,
    Dosage,
    Encounter,
    Entry,
    Identifier,
    Immunization,
    Medication,
    Note,
    Observation,
    PersonName,
    PlannedActivity,
    Problem,
    Procedure,
    Reaction,
    Report,
    Result,
    SocialHistory,
    Vital,
    entry_id,
)
from models.record.flags import Flag, FlagCode
from models.record.origin import Origin, OriginMethod, Provenance
from models.record.raw import Ledger, Missing, RawResource, Rejected, RejectReason
from models.record.schema import json_schema

__all__ = [name for name in dir() if not name.startswith("_")]
