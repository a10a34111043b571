"""Do a code and the words beside it speak of different things? Precision first: said only when the words clearly name another.

The words must be a whole known name (a condition, an ingredient, a vaccine, a test) and share neither group nor word with what
the code means. Codes that describe a circumstance (status, history, symptoms, pregnancy, injuries) say nothing about the name
of a disease beside them and are never contradicted.
"""

from __future__ import annotations

from models.record import Coding
from models.terminology import conditions, labs, medications, vaccines, vocabulary
from models.terminology.categories import ccsr_of, of_icd10cm
from models.terminology.conditions import Equivalent
from models.terminology.systems import CVX, ICD9CM, ICD10, ICD10CM, LOINC, NDC, RXNORM, SNOMED
from models.terminology.words import stems

_DISEASES = frozenset("ABCDEFGHIJKLMN")
"""Chapters of ICD-10-CM that name diseases; O, P, Q, R, S-Y, Z describe circumstances as well."""


def contradicts(domain: str, target: Coding, wording: str) -> bool:
    """Whether `wording` clearly names something else than `target`."""
    if not wording or not target.code:
        return False
    if domain == "condition":
        return _condition(target, wording)
    if domain in ("medication", "allergen") and target.system in (RXNORM, NDC):
        return medications.differ(_official(target), wording)
    if domain == "vaccine" and target.system == CVX:
        return vaccines.differ(target.code, wording)
    if domain == "observation" and target.system == LOINC:
        return labs.differ(target.code, wording)
    return False


def _condition(target: Coding, wording: str) -> bool:
    named = [w.code for w in conditions.by_wording(wording)]
    if not named:
        return False
    said = _in_icd10cm(target)
    if not said or any(code[0] not in _DISEASES for code in (*named, *said)):
        return False
    if any(
        " in " in conditions.icd10cm_name(code) for code in said
    ):  # "polyneuropathy in diseases classified elsewhere"
        return False
    if any(_alike(a, b) for a in named for b in said):
        return False
    words = stems(wording).union(*(stems(conditions.icd10cm_name(code)) for code in named))
    means = frozenset().union(*(stems(_lineage(code)) for code in said))
    return bool(words) and bool(means) and not words & means


def _official(target: Coding) -> Coding:
    """A drug by its name in the imported RxNorm, a package by that of the drug in it; as sent where nothing was imported."""
    imported = vocabulary.in_use()
    if imported is None:
        return target
    drug, _ = imported.translate(target)
    return imported.named(drug.target if drug and drug.target else target)


def _in_icd10cm(target: Coding) -> tuple[str, ...]:
    said: Equivalent | None = None
    if target.system in (ICD10CM, ICD10):
        return (target.code,) if conditions.icd10cm_name(target.code) else ()
    if target.system == ICD9CM:
        said = conditions.from_icd9(target.code)
    elif target.system == SNOMED:
        said = conditions.from_snomed(target.code)
        imported = vocabulary.in_use()
        if said is None and imported is not None:
            mapping, _ = imported.translate(target)
            return (mapping.target.code,) if mapping and mapping.target else ()
    return said.codes if said else ()


def _alike(a: str, b: str) -> bool:
    """The same category (three characters), a shared group of ours, of CCSR, or neighbours of one block."""
    a, b = conditions.dotted(a), conditions.dotted(b)
    if a[:2] == b[:2] or set(of_icd10cm(a)) & set(of_icd10cm(b)):
        return True
    return bool(ccsr_of(a)) and ccsr_of(a) == ccsr_of(b)


def _lineage(code: str) -> str:
    """The names of a code and of the codes above it."""
    code = conditions.dotted(code)
    return " ".join(conditions.icd10cm_name(code[:n]) for n in range(3, len(code) + 1) if n != 4)
