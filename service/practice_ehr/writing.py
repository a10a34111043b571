"""Create and update: If-None-Exist, If-Match, version ids, and the ways in which a hospital says no.

https://hl7.org/fhir/R4/http.html : 201 with Location and ETag for a new resource; 200 and the resource that is there already, 412
when several are, for a conditional create; 412 (or 409, in the dress of an older server) for a version that is no longer the
current one; 422 with an OperationOutcome for what is wrong.
"""

from __future__ import annotations

import re
import threading
import uuid
from typing import Any
from urllib.parse import parse_qsl

import orjson

from adapters.normalizer.judge import judge
from service.practice_ehr.dress import Dress, Json
from service.practice_ehr.exchange import Exchange
from service.practice_ehr.outcome import Refused, Reply, bad_request, refused
from service.practice_ehr.search import check_criteria, select
from service.practice_ehr.search_params import params_of
from service.practice_ehr.store import Store, local_id

_VERSION = re.compile(r'^(?:W/)?"([^"]{1,64})"$')
_KINDS = ("application/fhir+json", "application/json", "application/json+fhir")


class Writing:
    """The writes of one hospital. One at a time: a conditional create that races with itself makes one resource."""

    def __init__(self, dress: Dress, store: Store) -> None:
        self._dress, self._store, self._lock = dress, store, threading.Lock()

    def offered(self, kind: str, interaction: str) -> bool:
        """Whether this hospital takes such a write at all."""
        support = self._dress.writes.get(kind)
        return support is not None and (support.create if interaction == "create" else support.update)

    def answer(self, exchange: Exchange) -> Reply:
        """Answer an authorized create or update; raises Refused."""
        kind, interaction = exchange.target.resource_type, exchange.target.interaction
        support = self._dress.writes[kind]
        if not exchange.may_write(kind, interaction):
            raise refused(self._dress.authorization.scope_refusal, self._dress.content_type)
        if support.refusal is not None:
            raise refused(support.refusal, self._dress.content_type)
        resource = self._resource(exchange)
        with self._lock:
            if interaction == "create":
                return self._create(exchange, resource, conditional=support.conditional)
            return self._update(exchange, resource)

    def _resource(self, exchange: Exchange) -> Json:
        kind = exchange.target.resource_type
        if exchange.content_type not in _KINDS:
            raise bad_request("The body must be FHIR JSON.", "not-supported", 415)
        try:
            resource: Any = orjson.loads(exchange.body)
        except orjson.JSONDecodeError:
            raise bad_request("The body is not JSON.", "structure") from None
        if not isinstance(resource, dict) or resource.get("resourceType") != kind:
            raise bad_request("The body is another resource than the address says.", "invalid")
        if judge(exchange.body, kind):
            raise bad_request("The resource is not valid.", "structure", 422)
        owner = resource.get("subject")
        if kind != "Provenance":
            reference = str(owner.get("reference", "")) if isinstance(owner, dict) else ""
            if self._store.get("Patient", local_id(reference, "Patient")) is None:
                raise bad_request("The subject is no patient of this hospital.", "business-rule", 422)
            if exchange.only_patient and local_id(reference, "Patient") != exchange.only_patient:
                raise refused(self._dress.authorization.scope_refusal, self._dress.content_type)
        return dict(resource)

    def _create(self, exchange: Exchange, resource: Json, *, conditional: bool) -> Reply:
        kind = exchange.target.resource_type
        if exchange.if_none_exist and conditional:
            criteria = parse_qsl(exchange.if_none_exist)
            known = params_of(kind)
            if not criteria or any(name.partition(":")[0] not in known for name, _ in criteria):
                raise bad_request("If-None-Exist is no search of this type.", "not-supported", 412)
            check_criteria(kind, criteria)
            there = select(self._store, kind, criteria)
            if len(there) > 1:
                raise bad_request("Several resources meet If-None-Exist.", "multiple-matches", 412)
            if there:
                return self._reply(exchange, there[0], 200)
        resource["id"] = uuid.uuid4().hex
        self._store.put(resource)
        return self._reply(exchange, self._kept(kind, resource["id"]), 201)

    def _update(self, exchange: Exchange, resource: Json) -> Reply:
        kind, found = exchange.target.resource_type, exchange.target.resource_id
        if resource.get("id") != found:
            raise bad_request("The id differs from the address.", "invalid")
        current = self._store.get(kind, found)
        if current is None:
            raise refused(self._dress.not_found, self._dress.content_type)
        match = _VERSION.match(exchange.if_match)
        if exchange.if_match and (match is None or match.group(1) != str(self._store.version(kind, found))):
            raise self._conflict()
        if not exchange.if_match and self._dress.writes[kind].if_match_required:
            raise bad_request("If-Match is required.", "required", 412)
        if self._store.patients_of(current) != self._store.patients_of(resource):
            raise bad_request("The resource cannot become another patient's.", "business-rule", 422)
        self._store.put(resource)
        return self._reply(exchange, self._kept(kind, found), 200)

    def _conflict(self) -> Refused:
        return bad_request("The version is not the current one.", "conflict", self._dress.version_conflict)

    def _kept(self, kind: str, found: str) -> Json:
        kept = self._store.get(kind, found)
        assert kept is not None, "just put"
        return kept

    def _reply(self, exchange: Exchange, resource: Json, status: int) -> Reply:
        kind, found = resource["resourceType"], resource["id"]
        version = self._store.version(kind, found)
        where = f"{exchange.base}/{kind}/{found}"
        headers = {"Location": f"{where}/_history/{version}"} if status == 201 else {}
        if self._dress.meta.version_id:
            headers["ETag"] = f'W/"{version}"'
        return Reply(status, orjson.dumps(resource), self._dress.content_type, headers, 1)
