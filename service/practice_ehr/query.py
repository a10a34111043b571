"""A search request: which parameters count, which are refused, in the manner of the dress."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.practice_ehr.dress import Dress, applies
from service.practice_ehr.outcome import bad_request, refused
from service.practice_ehr.search import check_criteria
from service.practice_ehr.search_params import params_of

CONTROL = frozenset(
    {"_count", "_sort", "_include", "_revinclude", "_format", "_total", "_pretty", "_summary", "_elements"}
)


@dataclass(frozen=True)
class Query:
    """A search that was accepted."""

    resource_type: str
    criteria: list[tuple[str, str]]
    count: int
    sort: str = ""
    includes: tuple[str, ...] = ()
    revincludes: tuple[str, ...] = ()
    used: list[tuple[str, str]] = field(default_factory=list)


def parse_query(dress: Dress, resource_type: str, params: list[tuple[str, str]], *, strict: bool) -> Query:
    """Check a search against the dress; raises Refused. Unknown parameters are ignored unless `strict`."""
    support = dress.types[resource_type]
    criteria, used = [], []
    known = set(support.params) | {n for rule in dress.required for n in rule.any_of if n in params_of(resource_type)}
    for name, value in params:
        if name in CONTROL:
            used.append((name, value))
        elif name.partition(":")[0] in known:
            criteria.append((name, value))
            used.append((name, value))
        elif (strict or dress.unknown_params == "refuse") and name not in PAGE_PARAMS:
            raise bad_request("A search parameter is not supported.", "not-supported")
    _required(dress, resource_type, criteria)
    check_criteria(resource_type, criteria)
    _refused_values(dress, resource_type, criteria)
    _identifier(dress, resource_type, criteria)
    _patient(dress, resource_type, criteria)
    return Query(
        resource_type,
        criteria,
        _count(dress, resource_type, params),
        ",".join(v for n, v in params if n == "_sort"),
        tuple(v for n, v in params if n == "_include" and v in support.includes),
        tuple(v for n, v in params if n == "_revinclude" and v in support.revincludes),
        used,
    )


MOVED = "_moved"
"""The mark of an address that a redirect led to."""
PAGE_PARAMS = {
    "sessionID": "session",
    "-pageContext": "context",
    "cursor": "cursor",
    "page": "page",
    "_walk": "page",
    "-pageDirection": "context",
    "_pad": "",
    MOVED: "",
}


def _required(dress: Dress, resource_type: str, criteria: list[tuple[str, str]]) -> None:
    given = {n.partition(":")[0]: v for n, v in criteria}
    for rule in dress.required:
        if not applies(rule.types, resource_type) or resource_type in rule.except_types:
            continue
        values = [given[n] for n in rule.any_of if n in given]
        wanted = rule.value.format(tenant=dress.tenant)
        if not values or (wanted and wanted not in values):
            raise refused(rule.refusal, dress.content_type)


def _refused_values(dress: Dress, resource_type: str, criteria: list[tuple[str, str]]) -> None:
    for rule in dress.refused_values:
        if not applies(rule.types, resource_type):
            continue
        for name, value in criteria:
            codes = {v.rpartition("|")[2] for v in value.split(",")}
            if name == rule.param and codes & set(rule.values):
                raise refused(rule.refusal, dress.content_type)
    for allowed in dress.allowed_values:
        if applies(allowed.types, resource_type):
            for name, value in criteria:
                codes = {v.rpartition("|")[2] for v in value.split(",")}
                if name == allowed.param and codes - set(allowed.values):
                    raise refused(allowed.refusal, dress.content_type)


def _identifier(dress: Dress, resource_type: str, criteria: list[tuple[str, str]]) -> None:
    """Record numbers repeat from system to system: some EHRs search for `system|value` only."""
    if dress.identifier_without_system is None or resource_type != "Patient":
        return
    for name, value in criteria:
        if name == "identifier" and any(not part.rpartition("|")[0] for part in value.split(",")):
            raise refused(dress.identifier_without_system, dress.content_type)


def _patient(dress: Dress, resource_type: str, criteria: list[tuple[str, str]]) -> None:
    names = {n.partition(":")[0] for n, v in criteria} - {"ah-practice", "ah-chart-sharing-group"}
    params = params_of(resource_type)
    if not dress.patient_required or names & {"patient", "subject", "_id"}:
        return
    if "patient" in params or not names:
        raise bad_request("A search needs a patient or _id.", "required")


def _count(dress: Dress, resource_type: str, params: list[tuple[str, str]]) -> int:
    most = dress.types[resource_type].max_count or dress.paging.max_count
    text = next((v for n, v in reversed(params) if n == "_count"), "")
    if not text:
        return min(dress.paging.default_count, most)
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise bad_request("_count is no whole number.", "invalid")
    return min(int(text), most)
