"""The resource behind a fact, as received, with the place it was read from marked.

Text comes out in runs of one kind, so that a template (or the script) has nothing to decide and nothing to escape wrong.
Numbers keep the digits the source sent: 7.0 is not 7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from models.record import AnyEntry, Origin
from service.page.places import ContentOf, is_place, statement

MOST_TEXT = 4000
"""Characters of one string shown; a document's base64 tells nobody anything. The API gives all of it."""
SHOWN: dict[str, tuple[str, ...]] = {
    "Patient": ("name", "birthDate", "gender", "deceased[x]"),
    "AllergyIntolerance": (
        "code",
        "substance",
        "clinicalStatus",
        "verificationStatus",
        "criticality",
        "reaction",
        "status",
    ),
    "Condition": ("code", "clinicalStatus", "verificationStatus", "onset[x]", "abatement[x]"),
    "MedicationRequest": ("medication[x]", "status", "intent", "dosageInstruction", "authoredOn", "doNotPerform"),
    "MedicationOrder": ("medication[x]", "status", "dosageInstruction", "dateWritten", "dateEnded"),
    "MedicationStatement": ("medication[x]", "status", "dosage", "effective[x]", "wasNotTaken", "adherence"),
    "Observation": (
        "code",
        "value[x]",
        "status",
        "effective[x]",
        "interpretation",
        "referenceRange",
        "dataAbsentReason",
    ),
    "Encounter": ("type", "class", "status", "period", "actualPeriod", "reasonCode", "reason"),
    "DiagnosticReport": ("code", "status", "effective[x]", "conclusion", "codedDiagnosis"),
    "Immunization": ("vaccineCode", "status", "occurrence[x]", "statusReason", "date", "wasNotGiven", "explanation"),
    "Procedure": (
        "code",
        "status",
        "performed[x]",
        "occurrence[x]",
        "statusReason",
        "notPerformed",
        "reasonNotPerformed",
    ),
    "CarePlan": ("title", "category", "status", "period", "activity"),
    "DocumentReference": ("type", "status", "docStatus", "date", "indexed", "created", "description"),
}
"""What of a resource the page shows, in R4 and by the other releases' names, where an origin names the resource as a whole. `x[x]` is a choice of type."""
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:\[\d+\])*)")


@dataclass(frozen=True)
class Run:
    """A piece of the text: `kind` is name, string, atom or empty for punctuation; `marked` when the fact was read here."""

    kind: str
    text: str
    marked: bool


@dataclass(frozen=True)
class Source:
    """One origin of one fact. `runs` is empty and `state` says why when there is nothing to show."""

    title: str
    site: str
    reference: str
    facts: tuple[tuple[str, str], ...]
    state: str
    runs: tuple[Run, ...]


class _Number(str):
    """A number in the digits it was sent with."""


def origins(entries: Sequence[AnyEntry]) -> list[tuple[AnyEntry, Origin]]:
    """What there is to open: each resource and place once, in the order of the entries."""
    found: dict[tuple[str, str, str, str], tuple[AnyEntry, Origin]] = {}
    for entry in entries:
        for origin in entry.origins:
            found.setdefault((origin.reference, origin.version, origin.path, origin.api), (entry, origin))
    return list(found.values())


def source(title: str, origin: Origin, content: bytes | None, content_of: ContentOf = lambda *_: None) -> Source:
    """The resource of an origin; `content` None when it is not kept any more. Of what was read from a document, the
    statement in the document is shown; `content_of` gives the Binary that a document stands in."""
    rows = (
        ("Site", origin.site),
        ("API", origin.api),
        ("Resource", f"{origin.resource_type}/{origin.resource_id}"),
        ("Version", origin.version),
        ("Read from", origin.path or ("the marked elements" if origin.api == "fhir" else "the row as a whole")),
        ("Obtained", origin.method.replace("_", " ")),
        ("Retrieved", origin.retrieved),
        ("Recorded by", "; ".join(origin.provenance.agents) if origin.provenance else ""),
    )
    state = ""
    made: tuple[Run, ...] = ()
    if content is None:
        state = "This version of the resource is no longer kept."
    else:
        try:
            made = _statement_runs(origin, content, content_of) or runs(content, origin.path)
        except (ValueError, RecursionError):
            state = "The resource cannot be shown as text."
    return Source(
        title=title,
        site=origin.site,
        reference=f"{origin.resource_type}/{origin.resource_id}",
        facts=tuple((name, value) for name, value in rows if value),
        state=state,
        runs=made,
    )


def _statement_runs(origin: Origin, content: bytes, content_of: ContentOf) -> tuple[Run, ...]:
    if not is_place(origin):
        return ()
    place, xml = statement(origin, content, content_of)
    return (Run("name", place, False), Run("", "\n", False), Run("string", _shortened(xml), True)) if xml else ()


def runs(content: bytes, path: str) -> tuple[Run, ...]:
    """JSON, indented, in runs; the value at `path` (FHIRPath-like, `component[0].valueQuantity`) is marked.

    Of a path that leads beyond the resource the longest part that exists is marked; without a path the elements in
    SHOWN are. Raises ValueError for what is no JSON.
    """
    resource = json.loads(content, parse_float=_Number, parse_int=_Number)
    if not isinstance(resource, dict):
        raise ValueError("no resource")
    kind = resource.get("resourceType")
    way = steps(path, kind)
    chosen = [p for p in ([way] if way else [(name,) for name in resource if _is_shown(kind, name)]) if p]
    return tuple(_joined(_written(resource, chosen, 0, marked=False)))


def _is_shown(kind: object, name: str) -> bool:
    for element in SHOWN.get(kind, ()) if isinstance(kind, str) else ():
        stem = element.removesuffix("[x]")
        if name == stem or (stem != element and name.startswith(stem) and name[len(stem) : len(stem) + 1].isupper()):
            return True
    return False


def steps(path: str, resource_type: object = None) -> tuple[str | int, ...]:
    """`Observation.component[0].value` as ("component", 0, "value"); a leading resource type is dropped."""
    found: list[str | int] = []
    for part in path.split(".") if path else ():
        match = _STEP.fullmatch(part)
        if match is None:
            break
        found.append(match[1])
        found += [int(index) for index in re.findall(r"\d+", match[2])]
    return tuple(found[1:] if found and found[0] == resource_type else found)


def _written(value: Any, paths: Sequence[Sequence[str | int]], depth: int, *, marked: bool) -> Iterable[Run]:
    """The value in runs; `paths` are the rests of those that lead through it."""
    if isinstance(value, _Number) or value is None or isinstance(value, bool):
        yield Run("atom", value if isinstance(value, _Number) else json.dumps(value), marked)
        return
    if isinstance(value, str):
        yield Run("string", json.dumps(_shortened(value), ensure_ascii=False), marked)
        return
    rows = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    if not rows:
        yield Run("", opening + closing, marked)
        return
    yield Run("", f"{opening}\n", marked)
    for position, (name, item) in enumerate(rows):
        ahead = [path[1:] for path in paths if path and path[0] == name]
        here = marked or any(not _leads_on(item, rest) for rest in ahead)
        yield Run("", "  " * (depth + 1), marked)
        if isinstance(value, dict):
            yield Run("name", json.dumps(name, ensure_ascii=False), here)
            yield Run("", ": ", here)
        yield from _written(item, ahead, depth + 1, marked=here)
        yield Run("", ",\n" if position + 1 < len(rows) else "\n", marked)
    yield Run("", "  " * depth + closing, marked)


def _leads_on(value: Any, path: Sequence[str | int]) -> bool:
    """Whether the next step of the path exists in the value."""
    if not path:
        return False
    if isinstance(value, dict):
        return path[0] in value
    return isinstance(value, list) and isinstance(path[0], int) and path[0] < len(value)


def _shortened(text: str) -> str:
    left = len(text) - MOST_TEXT
    return text if left <= 0 else f"{text[:MOST_TEXT]}… ({left} more characters)"


def _joined(pieces: Iterable[Run]) -> Iterable[Run]:
    last: Run | None = None
    for piece in pieces:
        if last is not None and (last.kind, last.marked) == (piece.kind, piece.marked):
            last = Run(last.kind, last.text + piece.text, last.marked)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last
