"""Results in canonical units, words of results, local names with their specimen, estimated filtration rates."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.normalizer import normalize
from adapters.normalizer.assemble import assemble
from adapters.normalizer.estimates import CKD_EPI_2021, ckd_epi_2021
from models.record import AnyEntry, Coding, Concept, Demographics, Origin, Result
from models.record.raw import make_raw
from models.terminology.systems import LOINC

AT = "2026-03-01T10:00:00Z"


def observed(**held: Any) -> Result:
    resource = {
        "resourceType": "Observation",
        "id": held.pop("id", "o1"),
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "effectiveDateTime": held.pop("at", "2026-02-03T08:00:00Z"),
        "subject": {"reference": "Patient/p"},
    } | held
    made = normalize([raw(resource)], tenant="t", patient_id="p", as_of=AT) if False else read(resource)
    [entry] = made
    assert isinstance(entry, Result)
    return entry
