"""What a dress may say: how one kind of EHR looks from outside, as data. A strict schema with a closed list of words.

A dress may extend another: tables are merged key by key, everything else is replaced. `without` takes types away.
`{tenant}` in a system, URL or value is the one thing filled in: the hospital's own number.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

DRESSES = Path(__file__).parent / "dresses"
Body = Literal["outcome", "html", "text", "empty"]
Json = dict[str, Any]


class Strict(BaseModel):
    """An unknown key fails to load."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusal(Strict):
    """How this EHR says no."""

    status: int = Field(ge=400, le=599)
    body: Body = "outcome"
    code: str = Field(default="processing", description="IssueType of the OperationOutcome.")
    details: str = Field(default="", description="details.coding.code of the issue, the EHR's own number.")
    text: str = ""


class TypeSupport(Strict):
    """One exposed resource type. The capability statement lists exactly this."""

    params: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    revincludes: tuple[str, ...] = ()
    max_count: int | None = Field(default=None, gt=0)
    read: bool = True
    search: bool = True


class RequiredParams(Strict):
    """A search needs one of these."""

    types: tuple[str, ...] = ("*",)
    except_types: tuple[str, ...] = ()
    any_of: tuple[str, ...]
    value: str = Field(default="", description="The value it must have; empty: any.")
    refusal: Refusal


class RefusedValue(Strict):
    """Parameter values this EHR answers with an error, though they look valid."""

    types: tuple[str, ...]
    param: str
    values: tuple[str, ...]
    refusal: Refusal


class SearchOutcome(Strict):
    """An OperationOutcome entry inside a 200 searchset."""

    types: tuple[str, ...] = ("*",)
    when: Literal["empty", "found", "always"]
    severity: Literal["information", "warning", "error"] = "warning"
    code: str
    details: str = ""
    text: str = ""


class Paging(Strict):
    """How pages are linked."""

    style: Literal["session", "context", "cursor", "page"]
    default_count: int = Field(gt=0)
    max_count: int = Field(gt=0)
    total: bool = True
    dead: Refusal = Refusal(status=400, code="processing", text="The page is no longer available.")


class Meta(Strict):
    """Which parts of `meta` resources carry."""

    version_id: bool = True
    last_updated: bool = True
    profile: bool = True


class Authorization(Strict):
    """The authorization server that belongs to this EHR."""

    token_path: str = "/oauth2/token"  # noqa: S105  a path
    moved_token_path: str = "/oauth2/v2/token"  # noqa: S105  a path
    token_seconds: int = Field(default=300, gt=0)
    scopes: tuple[Literal["v1", "v2"], ...] = ("v1", "v2")
    denied_types: tuple[str, ...] = Field(default=(), description="Types never granted, silently.")
    jti_max: int = Field(default=255, gt=0)
    invalid_client_status: Literal[400, 401] = 401
    unauthorized: Refusal = Refusal(status=401, code="login", text="The access token is missing, unknown or expired.")
    scope_refusal: Refusal = Refusal(status=403, code="forbidden", text="The scope does not allow this.")


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
    quantity_as_text_share: float = Field(
        default=0, ge=0, le=1, description="Share of Observations with valueString for a quantity."
    )


class Dress(Strict):
    """One kind of EHR."""

    name: str
    title: str
    software: str
    hospital: str = Field(
        default="lakeshore", description="Which hospital of the built-in population wears it by default."
    )
    base_path: str = Field(pattern=r"^(/[A-Za-z0-9_.{}-]+)+$")
    tenant: str = Field(default="0", description="Default of the hospital's number.")
    content_type: str = "application/fhir+json; charset=utf-8"
    types: dict[str, TypeSupport]
    unsupported: Refusal = Refusal(status=404, code="not-supported", text="Unknown resource type.")
    unsupported_by_type: dict[str, Refusal] = {}
    not_found: Refusal = Refusal(status=404, code="not-found", text="No such resource.")
    patient_required: bool = Field(default=True, description="Searches need a patient or _id.")
    unknown_params: Literal["ignore", "refuse"] = "ignore"
    required: tuple[RequiredParams, ...] = ()
    refused_values: tuple[RefusedValue, ...] = ()
    outcomes: tuple[SearchOutcome, ...] = ()
    paging: Paging
    meta: Meta = Meta()
    authorization: Authorization = Authorization()
    changes: Changes = Changes()
    everything: bool = False

    @field_validator("types")
    @classmethod
    def _known(cls, types: dict[str, TypeSupport]) -> dict[str, TypeSupport]:
        from service.practice_ehr.search_params import params_of

        for name, support in types.items():
            unknown = set(support.params) - set(params_of(name))
            if unknown:
                raise ValueError(f"{name} has no search parameter {', '.join(sorted(unknown))}")
        return types


def applies(types: tuple[str, ...], resource_type: str) -> bool:
    """Whether a rule is for this type."""
    return "*" in types or resource_type in types


def dress_names() -> tuple[str, ...]:
    """The dresses that ship."""
    return tuple(sorted(p.stem for p in DRESSES.glob("*.toml")))


def load_dress(name: str) -> Dress:
    """A dress by name; LookupError for an unknown one, pydantic's ValidationError for a wrong file."""
    if name not in dress_names():
        raise LookupError(f"no dress of that name; there are: {', '.join(dress_names())}")
    return Dress.model_validate(_read(name) | {"name": name})


def _read(name: str) -> Json:
    data = tomllib.loads((DRESSES / f"{name}.toml").read_text(encoding="utf-8"))
    parent, without = data.pop("extends", None), data.pop("without", [])
    if parent:
        data = _merge(_read(parent), data)
    for gone in without:
        del data["types"][gone]
    return data


def _merge(base: Json, over: Json) -> Json:
    result = dict(base)
    for key, value in over.items():
        known = result.get(key)
        result[key] = _merge(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return result
