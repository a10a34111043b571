"""What a vendor's profile may say about a companion API: a second API of the same EHR, with rows instead of resources."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from adapters.normalizer.companion import Dates, Shape, Strict
from models.record import Section

_NAME = re.compile(r"^[a-z0-9]+$")


class Feed(Strict):
    """One list of rows, for one section of the record."""

    section: Section
    use: Literal["always", "instead"] = Field(
        default="instead",
        description="always: it has what the FHIR API has not; instead: only where the FHIR API does not give the section.",
    )
    path: str = Field(pattern=r"^/", description="Below the base; {patient} is the patient's number there.")
    params: dict[str, str] = Field(default={}, description="Query parameters; {name} is one of the site's values.")
    rows: str = Field(
        description="Where the rows stand in an answer: names with dots; lists within lists are one list."
    )
    id: str = Field(description="Field that tells the rows apart.")
    paged: bool = Field(default=True, description="Takes the paging parameters.")
    shape: Shape


class Pages(Strict):
    """How a long list is asked for."""

    limit_param: str = "limit"
    offset_param: str = "offset"
    limit: int = Field(default=1000, gt=0, description="Rows to ask for at once.")
    next: str = Field(
        default="next", description="Field that holds the link to what follows; only its offset is taken."
    )
    total: str = Field(default="totalcount", description="Field that counts the list's members.")
    max_pages: int = Field(default=200, gt=0)


class Companion(Strict):
    """The companion API of a vendor. It is asked where a site file gives the values only a site knows."""

    api: str = Field(pattern=_NAME.pattern, max_length=20, description="Its name in origins and citations.")
    title: str
    base: str = Field(
        pattern=r"^/", description="Below the origin of the FHIR base; {name} is one of the site's values."
    )
    values: dict[str, str] = Field(default={}, description="Given by the site file.")
    site_values: tuple[str, ...] = Field(description="Names in `values` that only a site knows.")
    patient: str = Field(description="Pattern of FHIR patient ids; its one group is the patient's number here.")
    scope: str = Field(default="", description="Asked for beside the FHIR scopes, with the same token.")
    accept: str = "application/json"
    patient_field: str = Field(default="", description="Field of a row that repeats the patient's number.")
    dates: Dates = "iso"
    pages: Pages = Pages()
    feeds: dict[str, Feed] = Field(min_length=1)

    @field_validator("values")
    @classmethod
    def _plain(cls, values: dict[str, str]) -> dict[str, str]:
        if not all(re.fullmatch(r"[A-Za-z0-9_-]{1,40}", value) for value in values.values()):
            raise ValueError("values are plain: letters, digits, - and _")
        return values

    @field_validator("feeds")
    @classmethod
    def _names(cls, feeds: dict[str, Feed]) -> dict[str, Feed]:
        if not all(_NAME.match(name) and len(name) <= 20 for name in feeds):
            raise ValueError("a feed's name is a short word")
        return feeds

    @model_validator(mode="after")
    def _known(self) -> Companion:
        try:
            groups = re.compile(self.fill(self.patient, escape=True)).groups
        except re.error:
            raise ValueError("`patient` is no pattern") from None
        if groups != 1:
            raise ValueError("the pattern of patient ids needs one group")
        asked = set(self.values) - set(self.site_values)
        if asked:
            raise ValueError(f"no such value: {', '.join(sorted(asked))}")
        if self.values and not self.active:
            absent = [n for n in self.site_values if not self.values.get(n)]
            raise ValueError(f"a value only the site knows is missing: {', '.join(absent)}")
        return self

    @property
    def active(self) -> bool:
        """Whether the site file gives what it takes to ask."""
        return all(self.values.get(name) for name in self.site_values)

    def fill(self, text: str, *, escape: bool = False) -> str:
        """`text` with the site's values in place of {name}."""
        for name, value in self.values.items():
            text = text.replace(f"{{{name}}}", re.escape(value) if escape else value)
        return text

    def number_of(self, patient_id: str) -> str | None:
        """The patient's number here, for their id at the FHIR API; None when the id tells none."""
        match = re.fullmatch(self.fill(self.patient, escape=True), patient_id)
        return match[1] if match else None

    def name(self, feed: str) -> str:
        """How origins call a feed: api/feed."""
        return f"{self.api}/{feed}"

    def shapes(self) -> dict[str, Shape]:
        """The shape of each feed by the name origins have."""
        return {self.name(n): f.shape.model_copy(update={"dates": self.dates}) for n, f in self.feeds.items()}
