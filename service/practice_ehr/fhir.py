"""The answers of the FHIR API: search with pages and companions, read, `$everything`, Binary."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from service.practice_ehr.dress import Dress, Json, SearchOutcome, applies
from service.practice_ehr.exchange import Exchange, wants_json
from service.practice_ehr.outcome import Refused, Reply, bad_request, outcome, refused
from service.practice_ehr.paging import Pages, Position, Walk, search_url
from service.practice_ehr.query import Query, parse_query
from service.practice_ehr.search import select, sort
from service.practice_ehr.search_params import values_at
from service.practice_ehr.spoil import spoil_bundle, spoil_resource
from service.practice_ehr.store import Store, target_of
from service.practice_ehr.wear import chosen, of_category
from service.practice_ehr.writing import Writing

MOST_KNOWN = 100
"""Searches whose matches are kept."""
SHARED = frozenset({"Medication", "Practitioner", "PractitionerRole", "Organization", "Location"})


class FhirServer:
    """Reads and searches of one hospital in its dress."""

    def __init__(self, dress: Dress, store: Store) -> None:
        self._dress, self._store = dress, store
        self.pages = Pages(dress.paging)
        self.writing = Writing(dress, store)
        self._known: dict[tuple[object, ...], tuple[int, tuple[Json, ...]]] = {}

    def answer(self, exchange: Exchange) -> Reply:
        """Answer an authorized request; raises Refused."""
        target = exchange.target
        if target.interaction in ("create", "update"):
            return self.writing.answer(exchange)
        self._supported(exchange)
        if target.resource_type != "Binary" and not wants_json(exchange.accept, _formats(exchange)):
            raise bad_request("Only JSON is served.", "not-supported", 406)
        if target.interaction == "search":
            return self._search(exchange)
        if target.interaction == "everything":
            return self._everything(exchange)
        return self._read(exchange)

    def _supported(self, exchange: Exchange) -> None:
        kind, interaction = exchange.target.resource_type, exchange.target.interaction
        support = self._dress.types.get(kind)
        offered = support is not None and (support.search if interaction == "search" else support.read)
        if interaction == "everything":
            offered = offered and self._dress.everything
        if not offered:
            raise refused(self._dress.unsupported_by_type.get(kind, self._dress.unsupported), self._dress.content_type)
        allowed = exchange.may_search(kind) if interaction == "search" else exchange.may_read(kind)
        if not allowed:
            raise refused(self._dress.authorization.scope_refusal, self._dress.content_type)

    def _search(self, exchange: Exchange) -> Reply:
        kind, values = exchange.target.resource_type, exchange.values
        if "dead_link" in exchange.due:
            self.pages.forget(values)
            raise refused(self._dress.paging.dead, self._dress.content_type)
        if self.pages.key(values):
            return self._bundle(exchange, self._further(exchange))
        number = self._number(values)
        query = parse_query(self._dress, kind, exchange.params, strict=exchange.strict)
        matches = self._matches(exchange, query)
        return self._bundle(exchange, self._start(exchange, query, matches, f"{exchange.base}/{kind}", number))

    def _matches(self, exchange: Exchange, query: Query) -> tuple[Json, ...]:
        """What a search finds. Kept until something changes: who walks by page number asks the same for each page."""
        kind = query.resource_type
        asked = (kind, tuple(query.criteria), query.sort, exchange.only_patient)
        revision, known = self._store.revision, self._known.get(asked)
        if known is not None and known[0] == revision:
            return known[1]
        listed = [
            r for r in select(self._store, kind, query.criteria) if not self._unlisted(r) and self._own(exchange, r)
        ]
        matches = tuple(sort(listed, kind, query.sort))
        while len(self._known) >= MOST_KNOWN:
            self._known.pop(next(iter(self._known)), None)
        self._known[asked] = (revision, matches)
        return matches

    def _unlisted(self, resource: Json) -> bool:
        return any(
            of_category(resource, rule.categories) and chosen(rule, resource, f"{self._dress.name}:unlisted:{index}")
            for index, rule in enumerate(self._dress.unlisted)
        )

    def _number(self, values: dict[str, str]) -> int:
        number = self.pages.plain_number(values)
        if number < 1:
            raise bad_request("page is no number from 1 on.", "invalid")
        return number

    def _start(self, exchange: Exchange, query: Query, matches: Iterable[Json], path: str, number: int = 1) -> Position:
        client = exchange.grant.client_id if exchange.grant else ""
        walk = Walk(search_url(path, query), query, tuple(matches), client)
        return Position(walk, offset=(number - 1) * query.count, page=number)

    def _further(self, exchange: Exchange) -> Position:
        values, client = exchange.values, exchange.grant.client_id if exchange.grant else ""
        position = self.pages.find(values)
        alive = position is not None and position.walk.query.resource_type == exchange.target.resource_type
        if not alive or position is None or position.walk.client_id != client:
            raise refused(self._dress.paging.dead, self._dress.content_type)
        return position

    def _everything(self, exchange: Exchange) -> Reply:
        patient = exchange.target.resource_id
        if self.pages.key(exchange.values):
            return self._bundle(exchange, self._further(exchange))
        if self._store.get("Patient", patient) is None or exchange.only_patient not in ("", patient):
            raise self._missing()
        own = [r for r in self._store.compartment(patient) if self._visible(exchange, r)]
        shared = {(r["resourceType"], r["id"]): r for r in self._referenced(own) if self._visible(exchange, r)}
        count = parse_query(self._dress, "Patient", [("_id", patient), *_counts(exchange)], strict=False).count
        query = Query("Patient", [], count, used=_counts(exchange))
        path = f"{exchange.base}/Patient/{patient}/$everything"
        number = self._number(exchange.values)
        return self._bundle(exchange, self._start(exchange, query, [*own, *shared.values()], path, number))

    def _visible(self, exchange: Exchange, resource: Json) -> bool:
        kind = resource["resourceType"]
        return kind in self._dress.types and exchange.may_read(kind) and self._own(exchange, resource)

    def _own(self, exchange: Exchange, resource: Json) -> bool:
        """Whether a token that is limited to one patient reaches a resource: theirs, and what is nobody's."""
        return not exchange.only_patient or self._store.patients_of(resource) <= {exchange.only_patient}

    def _referenced(self, resources: Iterable[Json]) -> Iterable[Json]:
        for resource in resources:
            for reference in _references(resource):
                kind, found = target_of(reference)
                target = self._store.get(kind, found) if kind in SHARED else None
                if target:
                    yield target

    def _bundle(self, exchange: Exchange, position: Position) -> Reply:
        page, walk = self.pages.entries(position, exchange.due), position.walk
        entries = [self._entry(exchange, r, "match") for r in page]
        entries += [self._entry(exchange, r, "include") for r in self._companions(exchange, page, walk.query)]
        entries += self._outcomes(walk)
        bundle: Json = {"resourceType": "Bundle", "type": "searchset"}
        if self._dress.paging.total:
            bundle["total"] = len(walk.matches)
        bundle["link"] = [{"relation": "self", "url": exchange.url if position.page > 1 else walk.url}]
        following = self.pages.next_link(position, exchange.url, exchange.due)
        if following:
            bundle["link"].append({"relation": "next", "url": following})
        if entries:
            bundle["entry"] = entries
        body = spoil_bundle(bundle, walk.query.resource_type, exchange.due)
        return Reply(200, body, self._dress.content_type, count=len(page))

    def _entry(self, exchange: Exchange, resource: Json, mode: str) -> Json:
        url = f"{exchange.base}/{resource['resourceType']}/{resource['id']}"
        return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}

    def _companions(self, exchange: Exchange, page: tuple[Json, ...], query: Query) -> list[Json]:
        """Resources that come with matches; a type the token does not cover stays out."""
        found: dict[tuple[str, str], Json] = {}
        for resource in page:
            for include in query.includes:
                for target in self._included(resource, include):
                    found[(target["resourceType"], target["id"])] = target
            if "Provenance:target" in query.revincludes:
                for provenance in self._store.provenance_of(resource["resourceType"], resource["id"]):
                    found[("Provenance", provenance["id"])] = provenance
        own = {(r["resourceType"], r["id"]) for r in page}
        return [r for key, r in found.items() if key not in own and self._visible(exchange, r)]

    def _included(self, resource: Json, include: str) -> Iterable[Json]:
        element = {"MedicationRequest:medication": "medicationReference"}.get(include, include.partition(":")[2])
        for reference in values_at(resource, f"{element}.reference"):
            kind, found = target_of(str(reference))
            target = self._store.get(kind, found) if kind in SHARED else None
            if target:
                yield target

    def _outcomes(self, walk: Walk) -> list[Json]:
        return [
            {"resource": _outcome(rule), "search": {"mode": "outcome"}}
            for rule in self._dress.outcomes
            if applies(rule.types, walk.query.resource_type)
            and (rule.when == "always" or (rule.when == "found") == bool(walk.matches))
        ]

    def _read(self, exchange: Exchange) -> Reply:
        target = exchange.target
        resource = self._store.get(target.resource_type, target.resource_id)
        if resource is None or target.version not in ("", resource.get("meta", {}).get("versionId")):
            raise self._missing()
        if not self._own(exchange, resource):
            raise refused(self._dress.authorization.scope_refusal, self._dress.content_type)
        if target.resource_type == "Binary" and (self._dress.binary_as_is or not _wants_fhir(exchange)):
            return _raw(resource)
        meta, headers = resource.get("meta", {}), {}
        if "versionId" in meta:
            headers["ETag"] = f'W/"{meta["versionId"]}"'
        body = spoil_resource(resource, exchange.due)
        return Reply(200, body, self._dress.content_type, headers, 1)

    def _missing(self) -> Refused:
        return refused(self._dress.not_found, self._dress.content_type)


def _formats(exchange: Exchange) -> list[str]:
    return [v for n, v in exchange.params if n == "_format"]


def _counts(exchange: Exchange) -> list[tuple[str, str]]:
    return [(n, v) for n, v in exchange.params if n == "_count"]


def _outcome(rule: SearchOutcome) -> Json:
    return outcome(rule.severity, rule.code, rule.text, rule.details)


def _references(value: object) -> Iterable[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value["reference"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _wants_fhir(exchange: Exchange) -> bool:
    """Binary is FHIR JSON only when JSON is asked for by name (R4, Binary: "the native content otherwise")."""
    if _formats(exchange):
        return wants_json("", _formats(exchange))
    kinds = [a.partition(";")[0].strip().lower() for a in exchange.accept.split(",")]
    return kinds[0] in ("application/fhir+json", "application/json", "application/json+fhir")


def _raw(resource: Json) -> Reply:
    try:
        data = base64.b64decode(str(resource.get("data") or resource.get("content", "")), validate=True)
    except binascii.Error:
        raise bad_request("The content cannot be given.", "exception", 500) from None
    return Reply(200, data, str(resource.get("contentType", "application/octet-stream")), count=1)
