"""Why a statement is not shown: a closed list of stable codes, each with a detail from the statement or the fact's key."""

from __future__ import annotations

from typing import Literal, NamedTuple

ReasonCode = Literal[
    "no_citation",  # cites nothing, and is not a sentence about coverage
    "coverage_mismatch",  # a sentence about coverage that the coverage does not say
    "unknown_citation",  # cites a key that is not in the document
    "citation_unrelated",  # none of the facts it cites is what it talks about
    "unsupported_number",  # a number no cited fact of that subject has
    "unit_mismatch",  # the number is there, the unit is another
    "comparator_mismatch",  # `<`, `at least`, ... added, dropped or turned round
    "unsupported_date",  # a date, or a time relative to as_of, that no cited fact has
    "date_mismatch",  # the date belongs to another value, or a start is told as an end
    "unsupported_term",  # a word that is neither plain language nor in a cited fact
    "unsupported_drug",  # the same, known to be a drug
    "unsupported_condition",  # the same, known to be a condition, test or procedure
    "status_mismatch",  # stopped told as current, uncertain told as certain, and the reverse
    "negation_mismatch",  # present told as absent, absent told as present
    "unsupported_absence",  # "no X", "denies X" without a fact that says so
    "laterality_mismatch",  # left, right, both
    "frequency_mismatch",  # how often
    "trend_mismatch",  # the cited numbers, in date order, say otherwise, or newer ones exist
    "trend_unsupported",  # a trend without two dated numbers of one measurement, or whose good direction is not known
    "range_mismatch",  # high, low, normal: the source's mark or range says otherwise or nothing
    "order_mismatch",  # latest, first, before, after: the dates say otherwise or cannot say it
    "count_mismatch",  # "three admissions" with another number of them cited, or on record
    "relation_mismatch",  # a drug told as an allergy, an indication nobody recorded, another kind of fact
    "qualifier_dropped",  # "family history of X" told as X, "pulmonary hypertension" as "hypertension"
    "identity_mismatch",  # another sex than the patient's
    "other_person",  # a person who is not the patient
    "narrative_claim",  # rests on quoted text, which is data and proves nothing
    "link",  # URL, e-mail address, host name, network address
    "markup",  # HTML, Markdown, code, citation brackets, table cells, line breaks
    "instruction_text",  # tells the reader or a machine what to do, or hides text in an encoding
    "invisible_text",  # invisible, control or look-alike characters
    "too_long",
    "too_many",
]


class Reason(NamedTuple):
    """One reason and the part of the statement it is about."""

    code: ReasonCode
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}" if self.detail else self.code
