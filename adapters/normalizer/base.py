"""What every reader is handed: the resource, where it came from, and what its neighbours say."""

from __future__ import annotations

from datetime import timedelta

from adapters.normalizer.codes import PREFER_PROBLEM, About, concept_of
from adapters.normalizer.neighbours import Neighbours
from adapters.normalizer.read import Json, Reader
from adapters.normalizer.rules import DEFAULT_RULES, NormalizationRules
from models.record import Concept, Origin, OriginMethod, RawResource, entry_id
from models.record.dates import bounds
from models.terminology.mapper import Domain

_DATES = (
    "effectiveDateTime",
    "effectivePeriod",
    "effectiveInstant",
    "occurrenceDateTime",
    "performedDateTime",
    "performedPeriod",
    "onsetDateTime",
    "recordedDate",
    "authoredOn",
    "dateAsserted",
    "period",
    "issued",
    "date",
)
_EASTERNMOST = timedelta(hours=14)


class Source(Reader):
    """A resource being read: the tolerant accessors plus origin, rules and neighbours."""

    __slots__ = ("neighbours", "raw", "rules", "version")

    def __init__(
        self,
        resource: Json,
        raw: RawResource,
        neighbours: Neighbours,
        rules: NormalizationRules = DEFAULT_RULES,
        *,
        version: str,
    ) -> None:
        self.resource = resource
        self.flags = []
        self.raw = raw
        self.neighbours = neighbours
        self.rules = rules
        self.version = version

    def id(self, path: str = "") -> str:
        """Stable id of the entry at `path`."""
        raw = self.raw
        return entry_id(raw.site, raw.resource_type, raw.resource_id, path)

    def origins(self, path: str = "", method: OriginMethod = "structured") -> tuple[Origin, ...]:
        """Where the entry at `path` came from."""
        raw, said = self.raw, self.neighbours.provenance
        return (
            Origin(
                tenant=raw.tenant,
                site=raw.site,
                resource_type=raw.resource_type,
                resource_id=raw.resource_id,
                version=self.version,
                path=path,
                retrieved=raw.retrieved,
                method=method,
                api=raw.api,
                twin=getattr(self.resource, "twin", ""),
                provenance=said.get(f"{raw.resource_type}/{raw.resource_id}") or said.get(f"urn:uuid:{raw.resource_id}")
                if said
                else None,
            ),
        )

    def concept(
        self,
        key: str,
        prefer: tuple[str, ...] = (),
        *,
        main: bool = False,
        unit: str = "",
        specimen: str = "",
        domain: Domain | None = None,
    ) -> Concept:
        """`resource[key]` as a Concept; `main` codes get quality remarks. `unit`, `specimen`: of the result it names."""
        about = self.about(unit, specimen, domain, dated=prefer is PREFER_PROBLEM)  # retired codes
        return concept_of(self, self.resource, key, self.rules, prefer, flags=main, about=about)

    def about(self, unit: str = "", specimen: str = "", domain: Domain | None = None, *, dated: bool = False) -> About:
        """What stands beside a code of this resource; its day only where something depends on it (`dated`: here)."""
        dated = dated or self.rules.dated
        return About(unit, specimen, self._happened() if dated else "", domain)

    def _happened(self) -> str:
        """When the entry happened, for mapping tables whose rows have dates; '' when nothing says."""
        for key in _DATES:
            value = self.resource.get(key)
            if isinstance(value, dict):
                value = value.get("start") or value.get("end")
            if isinstance(value, str) and value[:4].isdigit():
                return value
        return ""

    def status(self, known: frozenset[str], key: str = "status") -> str:
        """The status as sent, with a remark when it is absent or outside FHIR's list."""
        status = self.text(self.resource, key)
        if not status:
            self.flag("missing_status", key)
        elif status not in known:
            self.flag("unknown_status", f"{key}: {status[:40]}")
        if status == "entered-in-error":
            self.flag("entered_in_error", key)
        return status

    @property
    def now(self) -> str:
        """The moment for which it is judged what is over: when it was last known to be as it is."""
        return max(self.raw.retrieved, self.neighbours.as_of)

    def check_date(self, value: str | None, path: str) -> None:
        """Remark on a date that is missing or lies after the retrieval.

        A calendar day begins 14 hours earlier in the easternmost zone than in UTC: that much is no future.
        """
        retrieved = self.raw.retrieved
        if value is None:
            self.flag("missing_date", path)
        elif retrieved and value > retrieved[: len(value)] and bounds(value)[0] > bounds(retrieved)[1] + _EASTERNMOST:
            self.flag("future_date", path)
