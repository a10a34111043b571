"""What one practice hospital is: its key, dress, data, registered clients, faults and pace."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from service.practice_ehr.dress import Dress, Json, load_dress
from service.practice_ehr.faults import Fault

_ID = re.compile(r"^[A-Za-z0-9.-]{1,64}$")
_KIND = re.compile(r"^[A-Z][A-Za-z]{1,63}$")


class PracticeDataError(ValueError):
    """Data that cannot be served; names the file and the reason, never the content."""


class App(BaseModel):
    """An app that people let into their records: a client of the sign-in page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    redirect_uris: tuple[str, ...] = Field(min_length=1)
    secret: str = Field(default="", repr=False)
    keys: tuple[Json, ...] = Field(default=(), description="Public JWKs. Neither secret nor keys: a public client.")
    launch_url: str = Field(default="", description="What the EHR's screen opens.")

    @property
    def confidential(self) -> bool:
        """Whether it can show who it is."""
        return bool(self.secret or self.keys)


class Hospital(BaseModel):
    """One practice hospital. Validation refuses resources without type or id."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    name: str = ""
    dress: str | Dress = "generic"
    tenant: str = Field(default="", description="The hospital's number at its vendor; empty: the dress's.")
    resources: list[Json] = []
    clients: dict[str, list[Json]] | None = Field(
        default=None, description="client_id -> public JWKs. None: an open server that asks for no token."
    )
    apps: dict[str, App] = Field(default={}, description="client_id -> app; with one, the server asks for tokens.")
    faults: tuple[Fault, ...] = ()
    latency: float = Field(default=0.0, ge=0, le=60, description="Seconds before every answer.")
    token_seconds: int | None = Field(default=None, gt=0, description="Life of a token; None: the dress's.")
    loaded_at: datetime = Field(
        default=datetime(2026, 1, 1, tzinfo=UTC), description="meta.lastUpdated of resources that bring none."
    )

    @field_validator("resources")
    @classmethod
    def _servable(cls, resources: list[Json]) -> list[Json]:
        for resource in resources:
            check_resource(resource)
        return resources

    @field_validator("clients", mode="before")
    @classmethod
    def _key_lists(cls, clients: Any) -> Any:
        """A JWKS document counts as the list of its keys."""
        if not isinstance(clients, dict):
            return clients
        return {name: keys.get("keys", []) if isinstance(keys, dict) else keys for name, keys in clients.items()}

    def worn(self) -> Dress:
        """The dress, with this hospital's number and token life."""
        dress = self.dress if isinstance(self.dress, Dress) else load_dress(self.dress)
        changes: dict[str, Any] = {"tenant": self.tenant or dress.tenant}
        if self.token_seconds:
            changes["authorization"] = dress.authorization.model_copy(update={"token_seconds": self.token_seconds})
        return dress.model_copy(update=changes)


def check_resource(resource: object) -> None:
    """Raise PracticeDataError for what is no resource with type and id."""
    if not isinstance(resource, dict) or not _KIND.match(str(resource.get("resourceType", ""))):
        raise PracticeDataError("something is no FHIR resource: resourceType is missing")
    if not isinstance(resource.get("id"), str) or not _ID.match(resource["id"]):
        raise PracticeDataError(f"a {resource['resourceType']} has no valid id")


def load_folder(folder: Path) -> list[Json]:
    """Resources of all bundles, single resources (`*.json`) and NDJSON files below a folder, in the order of file names.

    `urn:uuid:` references of transaction bundles and `Type?identifier=` references become plain ones. Anything that is
    no resource raises PracticeDataError with the name of its file; only `log.ndjson`, the log of a bulk export, is passed over.
    """
    if not folder.is_dir():
        raise PracticeDataError("the data folder does not exist")
    found = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".json", ".ndjson", ".jsonl"))
    paths = [p for p in found if p.name != "log.ndjson"]
    if not paths:
        raise PracticeDataError("the data folder holds no .json or .ndjson file")
    resources: list[Json] = []
    names: dict[str, str] = {}
    for path in paths:
        for resource, full_url in _read(path):
            try:
                check_resource(resource)
            except PracticeDataError as error:
                raise PracticeDataError(f"{path.name}: {error}") from None
            resources.append(resource)
            target = f"{resource['resourceType']}/{resource['id']}"
            if full_url:
                names[full_url] = target
            names.update(dict.fromkeys(_conditional(resource), target))
    for resource in resources:
        _plain_references(resource, names)
    return resources


def _read(path: Path) -> Iterator[tuple[Json, str]]:
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        documents = (
            [orjson.loads(data)]
            if path.suffix == ".json"
            else [orjson.loads(r) for r in data.splitlines() if r.strip()]
        )
    except orjson.JSONDecodeError:
        raise PracticeDataError(f"{path.name}: not valid JSON") from None
    for document in documents:
        for item in document if isinstance(document, list) else [document]:
            yield from _unbundle(item)


def _unbundle(document: Any) -> Iterator[tuple[Json, str]]:
    if isinstance(document, dict) and document.get("resourceType") == "Bundle" and document.get("type") != "document":
        for entry in document.get("entry") or []:
            resource, full_url = entry.get("resource"), entry.get("fullUrl") or ""
            if isinstance(resource, dict) and "id" not in resource and full_url.startswith("urn:uuid:"):
                resource = resource | {"id": full_url.removeprefix("urn:uuid:")}
            yield resource, full_url
    else:
        yield document, ""


def _conditional(resource: Json) -> Iterable[str]:
    identifiers = resource.get("identifier")
    for identifier in identifiers if isinstance(identifiers, list) else []:
        if isinstance(identifier, dict) and identifier.get("value"):
            yield f"{resource['resourceType']}?identifier={identifier.get('system', '')}|{identifier['value']}"


def _plain_references(value: Any, names: dict[str, str]) -> None:
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and reference in names:
            value["reference"] = names[reference]
        for item in value.values():
            _plain_references(item, names)
    elif isinstance(value, list):
        for item in value:
            _plain_references(item, names)
