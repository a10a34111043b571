"""Published endpoint lists -> endpoints, and an account of every row that is none.

Formats, as they were met:
- a Bundle of Endpoint resources, the organization contained, referenced, or merely named in the reference;
- a Bundle of Organization and Endpoint (SMART user-access brands, https://hl7.org/fhir/smart-app-launch/brands.html): an
  Organization lists its endpoints, or takes those of the one it is `partOf`;
- `{"endpoints": [{"name", "baseUrl"}]}`, `{"Endpoints": [{"OrganizationName", "URL"}]}`, or the rows alone.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import orjson
from msgspec import Meta

from adapters.directory.products import product_of
from adapters.fhir.capabilities import read_capabilities
from models.record import Value

LONGEST_ADDRESS = 500
FHIR_VERSION = "http://hl7.org/fhir/StructureDefinition/endpoint-fhir-version"
REST = "hl7-fhir-rest"
_NAME_KEYS = ("organizationname", "name", "organization", "hospital")
_ADDRESS_KEYS = ("url", "baseurl", "fhirbase", "endpointurl", "address")
_RELEASE = re.compile(r"(?:^|[/_.-])(dstu2|stu3|r4b|r4|r5)(?=$|[/_.-])", re.IGNORECASE)


class ListError(Exception):
    """The file is no endpoint list; the message says what it looks like. `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Endpoint(Value, frozen=True):
    """One organization at one FHIR base."""

    id: Annotated[str, Meta(description="Stable: made of the name and the address.")]
    name: str
    fhir_base: Annotated[str, Meta(description="Base URL without a slash at the end.")]
    vendor: Annotated[str, Meta(description="Vendor profile to use; `generic` where there is none of its own.")] = (
        "generic"
    )
    product: Annotated[
        str, Meta(description="Whose product it is, for people; empty when the address does not tell.")
    ] = ""
    release: Annotated[str, Meta(description="DSTU2, STU3, R4, R4B, R5; empty when nobody says.")] = ""
    release_from: Annotated[str, Meta(description="`list`, `address`, or empty.")] = ""
    city: str = ""
    state: str = ""
    aliases: tuple[str, ...] = ()


class EndpointList(Value, frozen=True):
    """What a list held. rows = endpoints + duplicates + all that was skipped."""

    name: str
    published: Annotated[str, Meta(description="The list's own date; empty when it has none.")]
    digest: Annotated[str, Meta(description="SHA-256 of the file.")]
    rows: int
    duplicates: int
    skipped: Annotated[dict[str, int], Meta(description="Reason -> rows.")]
    endpoints: tuple[Endpoint, ...]
    imported: str = ""


class _Row(NamedTuple):
    """One row before it is judged; `problem` says why it is none."""

    name: str = ""
    address: str = ""
    release: str = ""
    city: str = ""
    state: str = ""
    aliases: tuple[str, ...] = ()
    problem: str = ""


def read_list(data: bytes, name: str, vendor: str = "") -> EndpointList:
    """Read a published list. `name`: what to call it. `vendor`: whose list it is, where the addresses do not tell.

    Raises ListError with code `not_json` or `not_an_endpoint_list`. A row that cannot be used is counted, never an error.
    """
    try:
        document = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        page = data[:500].lstrip()[:1] == b"<"
        raise ListError("not_json", "the file is a web page, not JSON" if page else "the file is not JSON") from None
    rows, published = _rows(document)
    endpoints: dict[str, Endpoint] = {}
    skipped: Counter[str] = Counter()
    count = duplicates = 0
    for row in rows:
        count += 1
        endpoint = _endpoint(row, vendor)
        if isinstance(endpoint, str):
            skipped[endpoint] += 1
        elif endpoint.id in endpoints:
            duplicates += 1
        else:
            endpoints[endpoint.id] = endpoint
    if not count:
        raise ListError("not_an_endpoint_list", "the list is empty")
    return EndpointList(
        name=name,
        published=published,
        digest=hashlib.sha256(data).hexdigest(),
        rows=count,
        duplicates=duplicates,
        skipped=dict(sorted(skipped.items())),
        endpoints=tuple(endpoints.values()),
    )


def _rows(document: Any) -> tuple[Iterator[_Row], str]:
    """The rows of a document, and its date."""
    if isinstance(document, dict) and document.get("resourceType") == "Bundle":
        entries = document.get("entry")
        resources = [
            (e["resource"], e.get("fullUrl"))
            for e in (entries if isinstance(entries, list) else [])
            if isinstance(e, dict) and isinstance(e.get("resource"), dict)
        ]
        if not any(r.get("resourceType") in ("Endpoint", "Organization") for r, _ in resources):
            raise ListError("not_an_endpoint_list", "a Bundle without Endpoint or Organization")
        meta = document.get("meta")
        updated = meta.get("lastUpdated") if isinstance(meta, dict) else None
        return _Bundle(resources).rows(), _text(document.get("timestamp")) or _text(updated)
    if isinstance(document, dict) and "resourceType" not in document:
        lists = [v for k, v in document.items() if k.casefold() == "endpoints" and isinstance(v, list)]
        document = lists[0] if lists else None
    if not isinstance(document, list):
        raise ListError(
            "not_an_endpoint_list",
            "neither a Bundle of Endpoint and Organization, nor rows with a name and a URL under `endpoints`",
        )
    return (_plain(item) for item in document), ""


def _plain(item: Any) -> _Row:
    if not isinstance(item, dict):
        return _Row(problem="no_object")
    by_key = {k.casefold(): v for k, v in item.items()}
    name = next((_text(by_key[k]) for k in _NAME_KEYS if _text(by_key.get(k))), "")
    address = next((_text(by_key[k]) for k in _ADDRESS_KEYS if _text(by_key.get(k))), "")
    return _Row(name, address, city=_text(by_key.get("city")), state=_text(by_key.get("state")))


class _Bundle:
    """The resources of a Bundle, with the references between them."""

    def __init__(self, resources: list[tuple[dict[str, Any], Any]]) -> None:
        self._endpoints = [(r, u) for r, u in resources if r.get("resourceType") == "Endpoint"]
        self._organizations = [(r, u) for r, u in resources if r.get("resourceType") == "Organization"]
        self._endpoint_of: dict[str, dict[str, Any]] = {}
        self._organization_of: dict[str, dict[str, Any]] = {}
        for known, those in ((self._endpoint_of, self._endpoints), (self._organization_of, self._organizations)):
            for resource, url in those:
                kind, found = resource["resourceType"], _text(resource.get("id"))
                for handle in (_text(url), f"{kind}/{found}" if found else "", found):
                    if handle:
                        known.setdefault(handle, resource)
        self._managers = {id(e): self._manager(e) for e, _ in self._endpoints}
        self._managing = {id(organization) for organization, _ in self._managers.values()}

    def rows(self) -> Iterator[_Row]:
        """A row for each organization at each endpoint, and one for each that leads nowhere."""
        named: set[int] = set()
        for organization, _ in self._organizations:
            mine = self._endpoints_of(organization)
            for endpoint in mine:
                named.add(id(endpoint))
                yield _fhir_row(endpoint, organization, "")
            if not mine and id(organization) not in self._managing:
                yield _Row(problem="organization_without_endpoint")
        for endpoint, _ in self._endpoints:
            if id(endpoint) not in named:
                yield _fhir_row(endpoint, *self._managers[id(endpoint)])

    def _endpoints_of(self, organization: dict[str, Any]) -> list[dict[str, Any]]:
        """Its own, or those of the organization through which it gives access (at most two levels up)."""
        for _ in range(3):
            references = organization.get("endpoint")
            found = [
                self._endpoint_of[key]
                for r in (references if isinstance(references, list) else [])
                for key in _handles(r)
                if key in self._endpoint_of
            ]
            if found:
                return list({id(e): e for e in found}.values())
            above = next(
                (self._organization_of[k] for k in _handles(organization.get("partOf")) if k in self._organization_of),
                None,
            )
            if above is None:
                return []
            organization = above
        return []

    def _manager(self, endpoint: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
        """The managing organization, contained or in the Bundle, or the words that stand in its place."""
        reference = endpoint.get("managingOrganization")
        handles = _handles(reference)
        contained = endpoint.get("contained")
        for resource in contained if isinstance(contained, list) else []:
            # Seen: the reference to a contained organization without its '#'.
            if isinstance(resource, dict) and {_text(resource.get("id")), f"#{resource.get('id')}"} & set(handles):
                return resource, ""
        found = next((self._organization_of[k] for k in handles if k in self._organization_of), None)
        words = _text(reference.get("display")) if isinstance(reference, dict) else ""
        return found, words or next((h for h in handles if " " in h), "")  # seen: the name as the reference


def _handles(reference: Any) -> list[str]:
    """What a reference may be known by: itself, and `Type/id` of an absolute one."""
    text = _text(reference.get("reference")) if isinstance(reference, dict) else ""
    return [h for h in dict.fromkeys((text, "/".join(text.split("/")[-2:]), text.rpartition(":")[2])) if h]


def _fhir_row(endpoint: dict[str, Any], organization: dict[str, Any] | None, words: str) -> _Row:
    problem = ""
    if _text(endpoint.get("status")) not in ("", "active"):
        problem = "not_active"
    elif _connection(endpoint.get("connectionType")) not in ("", REST):
        problem = "not_fhir_rest"
    owner = organization or {}
    city, state = _place(owner.get("address"))
    alias = owner.get("alias")
    return _Row(
        name=_text(owner.get("name")) or _text(endpoint.get("name")) or words,
        address=_text(endpoint.get("address")),
        release=_declared(endpoint),
        city=city,
        state=state,
        aliases=tuple(t for a in (alias if isinstance(alias, list) else []) if (t := _text(a))),
        problem=problem,
    )


def _connection(value: Any) -> str:
    """The connection type: a Coding (R4) or CodeableConcepts (R5)."""
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            codings = item.get("coding")
            codes = [
                _text(c.get("code")) for c in (codings if isinstance(codings, list) else [item]) if isinstance(c, dict)
            ]
            if codes:
                return REST if REST in codes else codes[0]
    return ""


def _declared(endpoint: dict[str, Any]) -> str:
    extensions = endpoint.get("extension")
    versions = [
        _text(e.get("valueCode"))
        for e in (extensions if isinstance(extensions, list) else [])
        if isinstance(e, dict) and e.get("url") == FHIR_VERSION
    ]
    releases = [_release_of(v) for v in versions if v[:1].isdigit()]
    return "R4" if "R4" in releases else next(iter(releases), "")


@cache
def _release_of(version: str) -> str:
    """The release of a version number, as a capability statement of that version would be read."""
    return read_capabilities({"resourceType": "CapabilityStatement", "fhirVersion": version}).release


def _place(addresses: Any) -> tuple[str, str]:
    for address in addresses if isinstance(addresses, list) else [addresses]:
        if isinstance(address, dict) and (address.get("city") or address.get("state")):
            return _text(address.get("city")), _text(address.get("state"))
    return "", ""


def _endpoint(row: _Row, vendor: str) -> Endpoint | str:
    """The endpoint of a row, or the reason why there is none."""
    if row.problem:
        return row.problem
    if not row.address:
        return "no_address"
    if not row.name:
        return "no_name"
    base = _base(row.address)
    if not base:
        return "not_https"
    product = product_of(base, vendor)
    release, release_from = row.release, "list" if row.release else ""
    if not release and (match := list(_RELEASE.finditer(urlsplit(base).path))):
        release, release_from = match[-1].group(1).upper(), "address"
    digest = hashlib.sha256(f"{row.name.casefold()}\n{base.casefold()}".encode()).hexdigest()
    return Endpoint(
        id=digest[:10],
        name=row.name,
        fhir_base=base,
        vendor=product.vendor,
        product=product.title,
        release=release,
        release_from=release_from,
        city=row.city,
        state=row.state,
        aliases=row.aliases,
    )


def _base(address: str) -> str:
    """The address as a site file takes it; empty when it may not: https only, no user, query or fragment."""
    if len(address) > LONGEST_ADDRESS or any(c.isspace() for c in address):
        return ""
    try:
        parts = urlsplit(address)
        usable = parts.scheme.lower() == "https" and parts.hostname and parts.port != 0
    except ValueError:
        return ""
    if not usable or parts.username is not None or parts.query or parts.fragment:
        return ""
    return f"https://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _text(value: Any) -> str:
    """A printable text on one line; empty for anything else. Lists come from the internet."""
    if not isinstance(value, str):
        return ""
    if not value.isprintable():
        value = "".join(" " if c.isspace() else c for c in value if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(value.split())[:LONGEST_ADDRESS]
