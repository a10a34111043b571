"""What a dress may say of a second API: rows instead of resources, made of the same population."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from service.practice_ehr.changes import Strict


class RowField(Strict):
    """One field of a row, from the first of these elements that holds something."""

    paths: tuple[str, ...] = Field(default=(), description="Elements of the resource; `id` is its own.")
    take: Literal["text", "number", "day", "time", "code"] = Field(
        default="text", description="number: what its id ends with; day: MM/DD/YYYY; time: HH:MM."
    )
    codes: dict[str, str] = {}
    value: str = Field(default="", description="Always this; {patient} is the patient's number.")


class Coming(Strict):
    """A row that every patient has: something that lies ahead, which the resources do not hold."""

    row: dict[str, str]
    day_field: str
    in_days: int


class RowList(Strict):
    """One list of rows."""

    path: str = Field(description="Below the base; {patient} is the patient's number.")
    type: str
    key: str = Field(description="Field of the answer that holds the rows.")
    id: str = Field(description="Field that tells the rows apart.")
    category: str = Field(default="", description="Only resources of this category.")
    required: tuple[str, ...] = ()
    nested: bool = Field(default=False, description="A list of lists.")
    inside: str = Field(default="", description="Each member is a group that holds its rows in this field.")
    paged: bool = True
    row: dict[str, RowField]
    coming: tuple[Coming, ...] = ()


class CompanionDress(Strict):
    """How the second API looks from outside."""

    base_path: str = Field(pattern=r"^/")
    scope: str = ""
    patient_prefix: str = Field(default="", description="What FHIR ids of patients begin with, before the number.")
    default_limit: int = Field(default=1500, gt=0)
    max_limit: int = Field(default=5000, gt=0)
    lists: dict[str, RowList]
