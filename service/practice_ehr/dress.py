"""A dress: how a practice hospital differs from a plain FHIR server. Data (TOML), strict; applied when resources load."""

from __future__ import annotations

import copy
import hashlib
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

DRESSES = Path(__file__).parent / "dresses"
Json = dict[str, Any]


class Strict(BaseModel):
    """An unknown key fails to load."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Refusal(Strict):
    """How an unsupported type or search is refused."""

    status: int
    body: Literal["outcome", "html", "text", "empty"] = "outcome"
    text: str = "not supported"


class Codes(Strict):
    """What happens to standard codes when resources load. Shares are decided by the resource's id: always the same."""

    system: str = Field(default="", description="Local code system that is put beside the standard codes.")
    beside: float = Field(default=0.0, ge=0, le=1, description="Share of main codes that get a local coding beside.")
    instead: float = Field(default=0.0, ge=0, le=1, description="Share that keep only the local coding.")
    text_only: float = Field(default=0.0, ge=0, le=1, description="Share that keep only their text.")
    types: tuple[str, ...] = ("Observation",)


class Dress(Strict):
    """One vendor's habits."""

    title: str
    software: str
    paging: Literal["session", "page_context", "cursor", "page"] = "page"
    max_count: int = 100
    default_count: int = 50
    total: bool = True
    meta: bool = Field(default=True, description="Whether resources carry meta.versionId and lastUpdated.")
    content_type: str = "application/fhir+json"
    smart_v2: bool = False
    algorithms: tuple[str, ...] = ("RS384", "ES384")
    unsupported: tuple[str, ...] = ()
    refusal: Refusal = Refusal(status=404)
    forbidden: tuple[str, ...] = Field(default=(), description="Types the app is never granted.")
    scope_refusal: Refusal = Refusal(status=403, text="insufficient scope")
    required_category: tuple[str, ...] = Field(default=(), description="Types whose search needs a category.")
    required_param: str = Field(default="", description="A parameter every search needs.")
    required_value: str = ""
    outcome_in_searchset: bool = False
    medication_by_reference: bool = False
    codes: Codes = Codes()
    drop: dict[str, tuple[str, ...]] = Field(default={}, description="Type -> elements most resources lack.")
    drop_share: float = Field(default=0.0, ge=0, le=1)
    drop_unit_code_share: float = Field(default=0.0, ge=0, le=1)
    extension: dict[str, str] = Field(default={}, description="url and valueString put on every resource.")


def load_dress(name: str) -> Dress:
    """The dress of that name; ValueError when there is none."""
    path = DRESSES / f"{name}.toml"
    if not name.isidentifier() or not path.is_file():
        raise ValueError(f"no dress of that name; there are: {', '.join(sorted(p.stem for p in DRESSES.glob('*.toml')))}")
    return Dress.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))


def wear(dress: Dress, resources: list[Json]) -> list[Json]:
    """Copies of `resources` as this vendor would serve them (Medications split off may be added)."""
    worn: list[Json] = []
    for original in resources:
        resource = copy.deepcopy(original)
        kind, ident = resource["resourceType"], str(resource["id"])
        if kind in dress.codes.types:
            _recode(dress.codes, resource, ident)
        for element in dress.drop.get(kind, ()):
            if _share(ident, element) < dress.drop_share:
                resource.pop(element, None)
        quantity = resource.get("valueQuantity")
        if isinstance(quantity, dict) and _share(ident, "unit") < dress.drop_unit_code_share:
            quantity.pop("code", None)
            quantity.pop("system", None)
        if dress.extension:
            resource.setdefault("extension", []).append(
                {"url": dress.extension["url"], "valueString": dress.extension["value"]}
            )
        if kind == "MedicationRequest" and dress.medication_by_reference and "medicationCodeableConcept" in resource:
            worn.append(_split_medication(resource))
        if dress.meta:
            resource["meta"] = resource.get("meta", {}) | {"versionId": "1", "lastUpdated": "2026-10-01T08:00:00Z"}
        else:
            meta = {k: v for k, v in resource.pop("meta", {}).items() if k not in ("versionId", "lastUpdated")}
            if meta:
                resource["meta"] = meta
        worn.append(resource)
    unique = {(r["resourceType"], r["id"]): r for r in worn}
    return list(unique.values())


def _share(ident: str, salt: str) -> float:
    """A number in [0, 1) that depends on the id only: the same resource is always dressed the same."""
    return int(hashlib.sha256(f"{ident}|{salt}".encode()).hexdigest()[:8], 16) / 0x1_0000_0000


def _recode(codes: Codes, resource: Json, ident: str) -> None:
    concept = resource.get("code")
    if not isinstance(concept, dict) or not concept.get("coding"):
        return
    first = concept["coding"][0]
    # By code, not by resource: a hospital's lab system codes an analyte one way, always.
    draw = _share(str(first.get("code")), "code")
    concept.setdefault("text", first.get("display", ""))
    number = str(int(hashlib.sha256(str(first.get("code")).encode()).hexdigest()[:8], 16) % 900_000 + 100_000)
    local = {"system": codes.system, "code": number, "display": concept["text"]}
    if draw < codes.text_only:
        concept.pop("coding")
    elif draw < codes.text_only + codes.instead:
        concept["coding"] = [local]
    elif draw < codes.text_only + codes.instead + codes.beside:
        concept["coding"] = [local, *concept["coding"]]


def _split_medication(order: Json) -> Json:
    concept = order.pop("medicationCodeableConcept")
    ident = "med-" + hashlib.sha256(repr(concept).encode()).hexdigest()[:12]
    order["medicationReference"] = {"reference": f"Medication/{ident}", "display": concept.get("text", "")}
    return {"resourceType": "Medication", "id": ident, "code": concept}
