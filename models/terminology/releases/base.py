"""What a release is: its manifest, its concepts, and the error that says why a file is none."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from models.record.base import Value
from models.terminology.systems import CVX, ICD9CM, ICD10CM, LOINC, NDC, RXNORM, SNOMED

Kind = Literal["loinc", "rxnorm", "snomed", "icd-10-cm", "icd9-gem", "cvx", "cvx-ndc", "ccsr", "valueset", "conceptmap"]
Status = Literal["active", "trial", "discouraged", "inactive"]
"""`discouraged`: still valid, the publisher recommends another; `inactive`: deprecated, obsolete, retired, never used."""

SYSTEM_OF: dict[str, str] = {
    "loinc": LOINC,
    "rxnorm": RXNORM,
    "snomed": SNOMED,
    "icd-10-cm": ICD10CM,
    "icd9-gem": ICD9CM,
    "cvx": CVX,
    "cvx-ndc": NDC,
    "ccsr": ICD10CM,
}
"""The code system whose codes a release of this kind is asked about."""
LICENCE: dict[str, str] = {
    "loinc": "LOINC licence (Regenstrief Institute): free, its notice must be kept",
    "rxnorm": "UMLS licence (NLM); of the release only SAB=RXNORM is read, which NLM puts no restriction on",
    "snomed": "SNOMED CT affiliate licence; in the USA through the UMLS licence",
    "icd-10-cm": "public domain (CDC/NCHS, CMS)",
    "icd9-gem": "public domain (CMS)",
    "cvx": "public domain (CDC)",
    "cvx-ndc": "public domain (CDC)",
    "ccsr": "public domain (AHRQ HCUP)",
    "valueset": "as its publisher says; value sets of VSAC need a UMLS licence",
    "conceptmap": "as its publisher says",
}


class ReleaseError(ValueError):
    """A release cannot be read, kept or found. `code` is stable; the message names file, line and column."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SourceFile(Value, frozen=True):
    """A file the user gave."""

    name: Annotated[str, Meta(description="Its name, without the folder.")]
    sha256: Annotated[str, Meta(description="Digest of its bytes.")]
    size: Annotated[int, Meta(description="Bytes.")]


class Manifest(Value, frozen=True):
    """What an index file holds and where it comes from."""

    kind: Annotated[Kind, Meta(description="Which release it is.")]
    version: Annotated[str, Meta(description="Its version, as the publisher names it.")]
    subject: Annotated[str, Meta(description="Canonical URL of a value set or concept map.")] = ""
    title: Annotated[str, Meta(description="Name for people.")] = ""
    effective_from: Annotated[str, Meta(description="First day in force, YYYY-MM-DD.")] = ""
    effective_by: Annotated[Literal["release", "given", "import"], Meta(description="Who says so.")] = "import"
    imported: Annotated[str, Meta(description="When it was imported, ISO 8601 UTC.")] = ""
    licence: Annotated[str, Meta(description="Whose licence the user needs.")] = ""
    files: Annotated[tuple[SourceFile, ...], Meta(description="What it was made from.")] = ()
    counts: Annotated[dict[str, int], Meta(description="Concepts, terms and links by kind; concepts by status.")] = {}
    skipped: Annotated[dict[str, int], Meta(description="Rows left out, by reason.")] = {}

    @property
    def name(self) -> str:
        """kind@version; of value sets and concept maps url|version."""
        return f"{self.subject}|{self.version}" if self.subject else f"{self.kind}@{self.version}"


class Entry(Value, frozen=True):
    """A code of a release."""

    code: Annotated[str, Meta(description="The code.")]
    display: Annotated[str, Meta(description="Its official name.")] = ""
    status: Annotated[Status, Meta(description="Whether it may be used.")] = "active"
    kind: Annotated[str, Meta(description="RxNorm's TTY, LOINC's class, SNOMED CT's semantic tag, ICD's billable.")] = (
        ""
    )


class Link(Value, frozen=True):
    """From a code to something else."""

    kind: Annotated[str, Meta(description="parent, replaced_by, toward_ingredient, ndc, icd10cm, gem, ccsr, cvx, row.")]
    code: Annotated[str, Meta(description="From.")]
    target: Annotated[str, Meta(description="To.")]
    note: Annotated[str, Meta(description="How: the reason, the flags, the rule.")] = ""


class Term(Value, frozen=True):
    """A wording of a code besides its display."""

    code: Annotated[str, Meta(description="The code.")]
    words: Annotated[str, Meta(description="The wording.")]


class Member(Value, frozen=True):
    """A code in a value set."""

    system: Annotated[str, Meta(description="Canonical system.")]
    code: Annotated[str, Meta(description="The code.")]
    display: Annotated[str, Meta(description="Its name.")] = ""


class About(Value, frozen=True):
    """What a release says of itself; a field that is empty was not said."""

    kind: Annotated[Kind, Meta(description="Which release.")]
    version: Annotated[str, Meta(description="Its version.")] = ""
    effective_from: Annotated[str, Meta(description="First day in force.")] = ""
    subject: Annotated[str, Meta(description="Canonical URL.")] = ""
    title: Annotated[str, Meta(description="Name for people.")] = ""


class Skipped(Value, frozen=True):
    """A row that is left out on purpose, counted under its reason."""

    reason: Annotated[str, Meta(description="Why.")]


Item = Entry | Link | Term | Member | Skipped | About
"""What the readers of formats yield; an About may come at any time and adds to what is known."""
