"""What a dress may say: how one kind of EHR looks from outside, as data. A strict schema with a closed list of words.

A dress may extend another: tables are merged key by key, everything else is replaced. `without` takes types away.
`{tenant}` in a system, URL or value is the one thing filled in: the hospital's own number.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from service.practice_ehr.changes import Changes, Chosen, Strict
from service.practice_ehr.companion_dress import CompanionDress

DRESSES = Path(__file__).parent / "dresses"
Body = Literal["outcome", "html", "text", "empty"]
Json = dict[str, Any]


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


class WriteSupport(Strict):
    """What of one type may be written."""

    create: bool = False
    update: bool = False
    conditional: bool = Field(default=True, description="Whether If-None-Exist is obeyed; declared as it is.")
    if_match_required: bool = Field(default=False, description="An update without If-Match is refused.")
    refusal: Refusal | None = Field(default=None, description="Declared, and refused all the same.")


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


class AllowedValues(Strict):
    """A parameter that only knows these values; any other is refused."""

    types: tuple[str, ...]
    param: str
    values: tuple[str, ...]
    refusal: Refusal


class Redirect(Strict):
    """A read or search that first answers with a redirect to the same address with a mark on it."""

    types: tuple[str, ...] = ("*",)
    interaction: Literal["", "search", "read"] = ""
    status: Literal[301, 302, 307, 308] = 302


class Unlisted(Chosen):
    """Resources that searches leave out and reads give: linked ones that an export forgets."""

    categories: tuple[str, ...] = ()


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
    authorize_path: str = "/oauth2/authorize"
    revoke_path: str = "/oauth2/revoke"
    jwks_path: str = "/oauth2/jwks"
    token_seconds: int = Field(default=300, gt=0)
    code_seconds: int = Field(default=60, gt=0, description="Life of an authorization code; it is good for one use.")
    launch_seconds: int = Field(default=300, gt=0, description="Life of a launch that the EHR hands over.")
    refresh_tokens: Literal["all", "confidential", "none"] = Field(
        default="all", description="Which apps get refresh tokens where offline_access is granted."
    )
    refresh_grace_seconds: int = Field(
        default=0,
        ge=0,
        description="A used refresh token is answered once more within this time, for clients that lost the answer.",
    )
    aud_slash: bool = Field(default=False, description="`aud` must have a slash at the end.")
    scopes: tuple[Literal["v1", "v2"], ...] = ("v1", "v2")
    denied_types: tuple[str, ...] = Field(default=(), description="Types never granted, silently.")
    jti_max: int = Field(default=255, gt=0)
    invalid_client_status: Literal[400, 401] = 401
    unauthorized: Refusal = Refusal(status=401, code="login", text="The access token is missing, unknown or expired.")
    scope_refusal: Refusal = Refusal(status=403, code="forbidden", text="The scope does not allow this.")


class Dress(Strict):
    """One kind of EHR."""

    name: str
    title: str
    software: str
    hospital: str = Field(
        default="lakeshore", description="Which hospital of the built-in population wears it by default."
    )
    profile: str = Field(default="generic", description="Folder of adapters/vendors that speaks to such an EHR.")
    variant: str = Field(default="", description="The variant of that profile.")
    release: Literal["R4", "DSTU2"] = Field(default="R4", description="The FHIR release it writes and declares.")
    base_path: str = Field(pattern=r"^(/[A-Za-z0-9_.{}-]+)+$")
    tenant: str = Field(default="0", description="Default of the hospital's number.")
    content_type: str = "application/fhir+json; charset=utf-8"
    types: dict[str, TypeSupport]
    writes: dict[str, WriteSupport] = Field(
        default={}, description="Types that take writes; none: a server for reading."
    )
    version_conflict: Literal[409, 412] = Field(default=412, description="Answer to an If-Match that is not current.")
    unsupported: Refusal = Refusal(status=404, code="not-supported", text="Unknown resource type.")
    unsupported_by_type: dict[str, Refusal] = {}
    not_found: Refusal = Refusal(status=404, code="not-found", text="No such resource.")
    patient_required: bool = Field(default=True, description="Searches need a patient or _id.")
    unknown_params: Literal["ignore", "refuse"] = "ignore"
    required: tuple[RequiredParams, ...] = ()
    refused_values: tuple[RefusedValue, ...] = ()
    allowed_values: tuple[AllowedValues, ...] = ()
    identifier_without_system: Refusal | None = Field(
        default=None, description="Answer to a search by identifier that names no system; None: it is searched."
    )
    unknown_tenant: Refusal | None = Field(default=None, description="Answer below the base path of another tenant.")
    redirects: tuple[Redirect, ...] = ()
    unlisted: tuple[Unlisted, ...] = ()
    binary_as_is: bool = Field(default=False, description="Binary always answers with its content, never as FHIR JSON.")
    resources: tuple[Json, ...] = Field(default=(), description="What every hospital in this dress holds besides.")
    outcomes: tuple[SearchOutcome, ...] = ()
    paging: Paging
    meta: Meta = Meta()
    authorization: Authorization = Authorization()
    changes: Changes = Changes()
    everything: bool = False
    companion: CompanionDress | None = Field(default=None, description="A second API beside FHIR, with rows.")

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
