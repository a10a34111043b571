"""Quality flags: a closed list. Flags inform; they never delete."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from models.record.base import Value

FlagCode = Literal[
    "missing_code",  # no code and no text: what it is, is unknown
    "local_code_only",  # only a site's or vendor's own code system
    "unmapped_code",  # no standard code could be found
    "uncertain_mapping",  # mapped, but below the automatic threshold
    "unknown_code",  # a code that its system does not have
    "retired_code",  # a code that its system has withdrawn since
    "incomplete_code",  # a category of its system: codes below it say more
    "text_only",  # words without any code
    "code_text_mismatch",  # code and wording contradict each other
    "unknown_system",  # a code system nobody can name
    "missing_unit",  # a number without unit where one is needed
    "unknown_unit",  # a unit that is not UCUM and not in the table
    "missing_value",  # an observation without value and without a reason
    "missing_status",  # a required status is absent
    "unknown_status",  # a status outside FHIR's list
    "missing_onset",  # a problem without onset or recorded date
    "missing_date",  # an event without its date
    "missing_subject",  # no patient reference
    "invalid_date",  # a date that could not be read (the raw resource keeps it)
    "implausible_value",  # outside what a living patient can have
    "future_date",  # after the time of retrieval
    "before_birth",  # before the patient was born
    "stale_active",  # called active, nothing supports it for a long time
    "status_conflict",  # two fields of one resource disagree
    "duplicate_of",  # the same fact again; `related` names the kept one
    "conflicts_with",  # another fact says otherwise; `related` names it
    "same_problem",  # a problem told again in another coding or at another site; both stay
    "likely_over",  # called active, though such a condition ends by its nature
    "unlisted_problem",  # a drug or result speaks of a condition that no problem names
    "same_drug",  # the same ingredient in another current order
    "same_class",  # another current drug of a class of which one is enough
    "allergy_conflict",  # a current order of a substance to which an allergy is recorded; on both
    "missing_results",  # a report names results that are not in the record
    "entered_in_error",  # the source took it back
    "negated",  # the source says it was NOT done / NOT present
    "refuted",  # verificationStatus refuted
    "unread_modifier",  # a modifierExtension changes the meaning in a way nobody here can read
    "unreadable_content",  # an attachment without readable text
    "broken_reference",  # a reference that leads nowhere
    "computed_value",  # calculated by us, not measured
    "estimated_value",  # the source or we estimated it
    "tolerated",  # the resource broke the FHIR rules in a way we could read around
    "truncated_text",  # text cut at a size cap
]


class Flag(Value, frozen=True):
    """One remark on the quality of an entry."""

    code: Annotated[FlagCode, Meta(description="What is the matter; closed list.")]
    detail: Annotated[str, Meta(description="Why, in words; element paths and codes, never names of people.")] = ""
    related: Annotated[tuple[str, ...], Meta(description="Ids of the entries concerned.")] = ()
    rule: Annotated[str, Meta(description="Id of the rule behind a remark on the chart (docs/record.md).")] = ""
    confidence: Annotated[
        float | None, Meta(description="How sure such a remark is, 0 to 1; None where nothing was inferred.")
    ] = None
