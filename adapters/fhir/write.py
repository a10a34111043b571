"""Writing into an EHR, where its hospital permits it: capability check, conditional create, If-Match, Provenance.

A POST is repeated only where repeating is known to be safe. Where the server declares conditional creates, each POST
carries If-None-Exist with our identifier. Where it does not, we search by that identifier first and POST once; if the
answer is lost, a second search tells whether it was written. Where neither is offered nothing is written: the same write twice
could be two resources.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import quote

from msgspec import Meta

from adapters.errors import AdapterError, BadAnswer, SiteUnavailable
from adapters.fhir.capabilities import Capabilities
from adapters.fhir.drafts import WRITTEN, BadDraft, Draft, Interaction, PlanChange, changed_plan, provenance
from adapters.fhir.http import RETRY_STATUS, Answer
from adapters.fhir.outcome import issue_codes
from adapters.fhir.search import search_url
from adapters.source import Source
from models.record import Value

State = Literal["dry_run", "created", "updated", "already_there", "refused", "conflict", "invalid", "unknown", "failed"]
"""What became of a write. `unknown`: it may have been written; doing it again finds out and doubles nothing.

`refused` and `invalid`: nothing was written, and nothing will be until something is changed. `conflict`: somebody else
changed the resource meanwhile."""
MESSAGES = {
    "not_permitted": "the site file does not list this type under `write`: the hospital has to permit it first",
    "unsupported_version": "we write FHIR R4 only",
    "no_capability_statement": "the site's capability statement cannot be read, so that nothing is known to be permitted",
    "type_not_declared": "the site does not declare this resource type",
    "interaction_not_declared": "the site declares this type, but not this interaction",
    "scope_not_granted": "the token does not cover writing this type: ask the site to grant the scope",
    "another_patient": "the authorization in use is another patient's",
    "not_repeatable": "the site offers neither conditional create nor a search by identifier: the same write twice could be two",
    "no_version": "the site gives no version of this resource, so that a change of somebody else could be overwritten",
    "not_found": "the site does not have this resource",
    "site_refuses": "the site refuses this write",
    "site_rejects": "the site finds the resource wrong",
    "multiple_matches": "the site has several resources with our identifier",
    "changed_meanwhile": "somebody changed the resource meanwhile: look at it and write again",
    "outcome_unknown": "the answer was lost: it may have been written; the same write again doubles nothing",
}
"""Code -> explanation."""
_LOCATION = re.compile(r"/([A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/([A-Za-z0-9.-]{1,64}))?/?$")
_ETAG = re.compile(r'^(?:W/)?"([A-Za-z0-9.-]{1,64})"$')


class WriteOutcome(Value, frozen=True):
    """What became of one write."""

    state: State
    site: str
    resource_type: str
    interaction: Interaction
    code: Annotated[str, Meta(description="Stable reason; empty when it was written.")] = ""
    message: str = ""
    resource_id: str = ""
    version: str = ""
    issues: Annotated[tuple[str, ...], Meta(description="Issue codes of the site's OperationOutcome.")] = ()
    status: int | None = None
    scopes: Annotated[tuple[str, ...], Meta(description="The scopes that were asked for.")] = ()
    provenance: Annotated[
        Literal["", "created", "already_there", "not_supported", "not_granted", "failed"],
        Meta(description="Whether who wrote it is on record at the site."),
    ] = ""
    content: Annotated[bytes, Meta(description="What was, or would be, sent.")] = b""

    @property
    def written(self) -> bool:
        """Whether the site holds what was to be written."""
        return self.state in ("created", "updated", "already_there")


class _Stop(Exception):
    """The write ends here, with this state and code."""

    def __init__(self, state: State, code: str, message: str = "", **more: Any) -> None:
        super().__init__(code)
        self.state, self.code, self.message, self.more = state, code, message or MESSAGES.get(code, ""), more


def needs(thing: Draft | PlanChange) -> dict[str, Interaction]:
    """What a write needs at the site: resource types and what is done to them; what a Source is opened for."""
    if isinstance(thing, PlanChange):
        return {"CarePlan": "update", "Provenance": "create"}
    return {thing.resource_type: "create", "Provenance": "create"}


async def write(source: Source, thing: Draft | PlanChange, at: str, *, send: bool = False) -> WriteOutcome:
    """Write it; without `send`: only check whether it could be, and show what would be sent.

    `source` was opened with `writes=needs(thing)`. `at`: the instant for the Provenance. Raises no AdapterError.
    """
    return await _Write(source, thing, at).run(send)


class _Write:
    def __init__(self, source: Source, thing: Draft | PlanChange, at: str) -> None:
        self._source, self._thing, self._at = source, thing, at
        self._interaction: Interaction = "update" if isinstance(thing, PlanChange) else "create"
        self._type = "CarePlan" if isinstance(thing, PlanChange) else thing.resource_type
        self._content = b"" if isinstance(thing, PlanChange) else thing.content
        self._capabilities = Capabilities(declared=False)
        self._scopes: tuple[str, ...] = ()

    async def run(self, send: bool) -> WriteOutcome:
        try:
            await self._check()
            if isinstance(self._thing, PlanChange):
                return await self._update(self._thing, send)
            return await self._create(self._thing, send)
        except _Stop as stop:
            return self._outcome(stop.state, code=stop.code, message=stop.message, **stop.more)
        except BadDraft as error:
            return self._outcome("invalid", code=error.code, message=str(error))
        except AdapterError as error:
            state: State = "failed" if isinstance(error, SiteUnavailable | BadAnswer) else "refused"
            return self._outcome(state, code=error.code, message=str(error), status=error.status)

    def _outcome(self, state: State, **more: Any) -> WriteOutcome:
        return WriteOutcome(
            state=state,
            site=self._source.site.name,
            resource_type=self._type,
            interaction=self._interaction,
            scopes=self._scopes,
            content=self._content,
            **more,
        )

    async def _check(self) -> None:
        """Whether hospital, server and token let us do it; before anything is sent that could change something."""
        if self._type not in self._source.site.write:
            raise _Stop("refused", "not_permitted")
        report = await self._source.discover()
        self._capabilities, self._scopes = report.capabilities, report.scopes_asked
        if not self._capabilities.declared:
            raise _Stop("refused", "no_capability_statement")
        if self._capabilities.release not in ("R4", "R4B"):
            raise _Stop("refused", "unsupported_version")
        offered = self._capabilities.types.get(self._type)
        if offered is None:
            raise _Stop("refused", "type_not_declared")
        if self._interaction not in offered.interactions:
            raise _Stop("refused", "interaction_not_declared")
        if not self._source.is_for(self._thing.patient):
            raise _Stop("refused", "another_patient")
        if not self._source.may(self._type, self._interaction):
            raise _Stop("refused", "scope_not_granted", self._why_not())
        if self._interaction == "create" and not (offered.conditional_create or self._searchable()):
            raise _Stop("refused", "not_repeatable")

    def _why_not(self) -> str:
        """What a person can do about a grant that does not cover it; '' where it is a matter of the app's registration."""
        if not self._source.site.launches:
            return ""
        if self._source.was_asked(self._type, self._interaction):
            return f"whoever authorized this did not grant writing {self._type}: authorize again and allow it"
        return f"writing {self._type} was permitted after this was authorized: authorize again"

    def _searchable(self) -> bool:
        offered = self._capabilities.types[self._type]
        return "identifier" in offered.search_params and self._source.may(self._type, "search")

    # Create ----------------------------------------------------------------------------------------------------------

    async def _create(self, draft: Draft, send: bool) -> WriteOutcome:
        conditional = self._capabilities.types[draft.resource_type].conditional_create
        if not send:
            return self._outcome("dry_run")
        if not conditional and (known := await self._known(draft)):
            return await self._settled("already_there", known, "")
        header = {"If-None-Exist": f"identifier={WRITTEN}|{draft.identifier}"}
        url = f"{self._source.site.fhir_base}/{draft.resource_type}"
        try:
            tries = None if conditional else 1
            answer = await self._source.send("POST", url, draft.resource_type, draft.content, header, tries=tries)
        except (SiteUnavailable, BadAnswer) as error:
            if error.code == "rate_limited":
                raise
            return await self._lost(draft)
        if answer.status in RETRY_STATUS and answer.status != 429:  # it may have been written before it failed
            return await self._lost(draft, answer.status)
        if answer.status == 412:
            raise _Stop("conflict", "multiple_matches", status=412, issues=_issues(answer))
        self._refused(answer)
        found, version = _identity(answer, draft.resource_type)
        if not found:
            return await self._lost(draft)
        return await self._settled("created" if answer.status == 201 else "already_there", found, version)

    async def _lost(self, draft: Draft, status: int | None = None) -> WriteOutcome:
        """The outcome is not known: a search tells, where there is one; else the same write again will.

        `status`: the site did answer, with an error; when a search then finds nothing, nothing was written.
        """
        if not self._searchable():
            raise _Stop("unknown", "outcome_unknown", status=status)
        try:
            known = await self._known(draft)
        except AdapterError:
            raise _Stop("unknown", "outcome_unknown", status=status) from None
        if known:
            return await self._settled("created", known, "")
        if status is not None:
            raise _Stop("failed", f"http_{status}", "the site did not take it", status=status)
        raise _Stop("unknown", "outcome_unknown")

    async def _known(self, draft: Draft) -> str:
        """The id of the resource with our identifier; empty when there is none."""
        params = {"identifier": f"{WRITTEN}|{draft.identifier}", "patient": draft.patient}
        params |= self._source.profile.required_params
        url = search_url(self._source.site.fhir_base, draft.resource_type, list(params.items()))
        bundle = (await self._source.get(url, draft.resource_type)).json()
        entries = bundle.get("entry") if isinstance(bundle, dict) else None
        found = []
        for entry in entries if isinstance(entries, list) else []:
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if isinstance(resource, dict) and resource.get("resourceType") == draft.resource_type:
                rows = resource.get("identifier")
                ours = {"system": WRITTEN, "value": draft.identifier}
                # A server that ignores a parameter it does not know would give everything.
                if any(
                    isinstance(r, dict) and ours.items() <= r.items() for r in (rows if isinstance(rows, list) else [])
                ):
                    found.append(str(resource.get("id")))
        if len(set(found)) > 1:
            raise _Stop("conflict", "multiple_matches")
        return found[0] if found else ""

    # Update ----------------------------------------------------------------------------------------------------------

    async def _update(self, change: PlanChange, send: bool) -> WriteOutcome:
        url = f"{self._source.site.fhir_base}/CarePlan/{quote(change.care_plan, safe='')}"
        version = await self._read(change, url)
        if not self._content:
            return await self._settled("already_there", change.care_plan, version, provenance=False)
        if not version:
            raise _Stop("refused", "no_version")
        if not send:
            return self._outcome("dry_run", resource_id=change.care_plan, version=version)
        sent = self._content
        try:
            header = {"If-Match": f'W/"{version}"'}
            answer = await self._source.send("PUT", url, "CarePlan", sent, header, tries=None)
        except (SiteUnavailable, BadAnswer) as error:
            if error.code == "rate_limited":
                raise
            answer = Answer(503)
        if answer.status in (409, 412) or answer.status in RETRY_STATUS:
            # A repeated try of ours answers 412 too when the first one arrived: the resource itself tells.
            if answer.status == 429:
                self._refused(answer)
            return await self._update_lost(change, url, answer, sent)
        self._refused(answer)
        _, version = _identity(answer, "CarePlan")
        return await self._settled("updated", change.care_plan, version)

    async def _update_lost(self, change: PlanChange, url: str, answer: Answer, sent: bytes) -> WriteOutcome:
        try:
            version = await self._read(change, url)
        except AdapterError:
            self._content = sent
            raise _Stop("unknown", "outcome_unknown", resource_id=change.care_plan) from None
        there, self._content = not self._content, sent
        if there:
            return await self._settled("updated", change.care_plan, version)
        if answer.status in (409, 412):
            raise _Stop("conflict", "changed_meanwhile", status=answer.status, issues=_issues(answer))
        raise _Stop("failed", f"http_{answer.status}", "the site did not take it", status=answer.status)

    async def _read(self, change: PlanChange, url: str) -> str:
        """Read the plan; sets what is to be sent (empty: nothing is left to change), returns its version."""
        try:
            answer = await self._source.get(url, "CarePlan")
        except AdapterError as error:
            if error.status in (404, 410):
                raise _Stop("refused", "not_found", status=error.status) from None
            raise
        self._content = changed_plan(answer.text, change) or b""
        tag = _ETAG.match(answer.headers.get("etag", ""))
        if tag:
            return tag.group(1)
        resource = answer.json()
        meta = resource.get("meta") if isinstance(resource, dict) else None
        version = meta.get("versionId") if isinstance(meta, dict) else ""
        return version if isinstance(version, str) else ""

    # Both ------------------------------------------------------------------------------------------------------------

    def _refused(self, answer: Answer) -> None:
        """Raise for an answer that is none of the good ones; says what the site's refusal means."""
        if answer.status in (200, 201, 204):
            return
        issues = _issues(answer)
        if answer.status in (401, 403, 404, 405, 501):
            raise _Stop("refused", "site_refuses", status=answer.status, issues=issues)
        if answer.status in (400, 413, 415, 422):
            raise _Stop("invalid", "site_rejects", status=answer.status, issues=issues)
        raise _Stop("failed", f"http_{answer.status}", "the site did not take it", status=answer.status, issues=issues)

    async def _settled(self, state: State, found: str, version: str, *, provenance: bool = True) -> WriteOutcome:
        told = await self._provenance(found) if provenance else ""
        return self._outcome(state, resource_id=found, version=version, provenance=told)

    async def _provenance(self, found: str) -> str:
        """Say who wrote it. A failure here does not undo the write; the outcome tells it."""
        offered = self._capabilities.types.get("Provenance")
        if offered is None or "create" not in offered.interactions:
            return "not_supported"
        if not self._source.may("Provenance", "create"):
            return "not_granted"
        reported_by = self._thing.patient if isinstance(self._thing, Draft) and self._thing.by_patient else ""
        body = provenance(self._type, found, self._interaction, self._at, reported_by)
        repeatable = self._interaction == "create" and offered.conditional_create
        header = {"If-None-Exist": f"target={self._type}/{found}"} if self._interaction == "create" else {}
        url = f"{self._source.site.fhir_base}/Provenance"
        try:
            tries = None if repeatable else 1
            answer = await self._source.send("POST", url, "Provenance", body, header, tries=tries)
        except AdapterError:
            return "failed"
        return {201: "created", 200: "already_there"}.get(answer.status, "failed")


def _issues(answer: Answer) -> tuple[str, ...]:
    try:
        return issue_codes(answer.json())[:5]
    except BadAnswer:
        return ()


def _identity(answer: Answer, resource_type: str) -> tuple[str, str]:
    """Id and version of what was written: of Location, ETag, or the body. Empty where the site does not tell."""
    found = version = ""
    for name in ("location", "content-location"):
        match = _LOCATION.search(answer.headers.get(name, ""))
        if match and match.group(1) == resource_type:
            found, version = match.group(2), match.group(3) or ""
            break
    tag = _ETAG.match(answer.headers.get("etag", ""))
    version = version or (tag.group(1) if tag else "")
    if not found and answer.body:
        try:
            resource = answer.json()
        except BadAnswer:
            resource = None
        if isinstance(resource, dict) and resource.get("resourceType") == resource_type:
            found = str(resource.get("id") or "")
    return found, version
