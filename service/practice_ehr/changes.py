"""What a dress does to clean resources, as data: local codes, other systems, missing elements, extensions, copies."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Strict(BaseModel):
    """An unknown key fails to load."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Chosen(Strict):
    """Which resources a rule touches: types, and a share chosen by hash, so that it is the same on every machine."""

    types: tuple[str, ...] = ("*",)
    share: float = Field(default=1.0, ge=0, le=1)


class LocalCodes(Chosen):
    """A local code beside or instead of the standard ones. The share is of concepts: a concept is local everywhere or nowhere."""

    name: str
    paths: tuple[str, ...] = ("code",)
    categories: tuple[str, ...] = Field(default=(), description="Only resources of these categories.")
    system: str = ""
    mode: Literal["beside", "instead", "text_only", "empty_coding"] = "beside"
    user_selected: bool = False
    extension_url: str = Field(default="", description="An extension of the resource that repeats the local code.")


class AddCoding(Chosen):
    """A coding this EHR has beside what is there."""

    path: str
    system: str
    code: str
    display: str = ""


class Drop(Chosen):
    """Elements this EHR leaves out."""

    paths: tuple[str, ...]


class ExtensionRule(Chosen):
    """A vendor extension on resources."""

    url: str
    value: dict[str, Any] = Field(description="The value[x] element, as in the resource.")


class Recode(Chosen):
    """Other codes in the place of the standard ones, for old entries: what was coded before a change of systems.

    `map`: code -> [system, code, display]. `before`: only resources whose first date (onset, recorded, performed) is
    earlier; empty: all.
    """

    path: str = "code"
    before: str = Field(default="", pattern=r"^(\d{4}(-\d\d(-\d\d)?)?)?$")
    map: dict[str, tuple[str, str, str]]


class Copies(Chosen):
    """A second resource that says the same under another id: a prescription sent twice, a report and its first version."""

    suffix: str = Field(pattern=r"^[A-Za-z0-9.-]{1,8}$")
    status: str = Field(default="", description="Status of the copy; empty: that of the original.")
    link_url: str = Field(
        default="", description="Extension of the copy that refers to the resource it was replaced by."
    )


class Changes(Strict):
    """What the EHR does to clean resources."""

    medication: Literal["codeable", "reference", "contained"] = "codeable"
    systems: dict[str, str] = Field(
        default={}, description="Code system URIs replaced by others (bare OIDs, typing errors)."
    )
    local_codes: tuple[LocalCodes, ...] = ()
    add_codings: tuple[AddCoding, ...] = ()
    drop: tuple[Drop, ...] = ()
    extensions: tuple[ExtensionRule, ...] = ()
    recode: tuple[Recode, ...] = ()
    copies: tuple[Copies, ...] = ()
    absolute_reference_share: float = Field(
        default=0, ge=0, le=1, description="Share of resources whose references are absolute URLs."
    )
    quantity_as_text_share: float = Field(
        default=0, ge=0, le=1, description="Share of Observations with valueString for a quantity."
    )
