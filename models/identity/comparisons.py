"""What of two people is compared, and in which levels: the model's definition.

Each level has a name; the rules (rules.toml) and every explanation speak in these names, so that nothing is compared
twice in two ways. The weights of the levels are trained (benchmarks/identity_training.py) and shipped in data/model.json.
"""

from __future__ import annotations

from typing import Any

COLUMNS = {
    "given": "varchar", "middle": "varchar", "family": "varchar", "givens": "varchar[]", "forms": "varchar[]", "given_known": "boolean", "given_full": "boolean",
    "families": "varchar[]", "suffix": "varchar", "newborn": "boolean", "birth_order": "varchar", "birth": "varchar",
    "birth_swapped": "varchar", "partial": "varchar", "sex": "varchar", "house": "varchar", "street": "varchar",
    "words": "varchar[]", "unit": "varchar", "city": "varchar", "zip": "varchar", "homes": "varchar[]", "phones": "varchar[]",
    "emails": "varchar[]", "national": "varchar", "national4": "varchar", "records": "varchar[]",
    "documents": "varchar[]", "document_kinds": "varchar[]", "members": "varchar[]", "keys": "varchar[]",
    "tf_given": "double", "tf_family": "double",
}  # fmt: skip
"""Columns of the compared table and their DuckDB types. Empty values are null."""

GENERATION = 12
"""Years between two birth dates, from which on they may be a parent's and a child's."""
_YEARS = "abs(cast(substr(birth_l, 1, 4) as int) - cast(substr(birth_r, 1, 4) as int))"


def _close(column: str) -> str:
    """One slip of the keyboard in a word of four letters and more, or alike from its beginning on."""
    left, right = f"{column}_l", f"{column}_r"
    return (
        f"((least(length({left}), length({right})) >= 4 and damerau_levenshtein({left}, {right}) <= 1) "
        f"or jaro_winkler_similarity({left}, {right}) >= 0.9)"
    )


def _first(column: str) -> str:
    return f"substr({column}_l, 1, 1) = substr({column}_r, 1, 1)"


_CROSSWISE = (
    "((given_l = family_r and jaro_winkler_similarity(family_l, given_r) >= 0.8) "
    "or (family_l = given_r and jaro_winkler_similarity(given_l, family_r) >= 0.8) "
    "or (jaro_winkler_similarity(given_l, family_r) >= 0.92 and jaro_winkler_similarity(family_l, given_r) >= 0.92))"
)
_STREET = (
    "(street_l = street_r or jaro_winkler_similarity(street_l, street_r) >= 0.9 or list_has_any(words_l, words_r))"
)
_TOWN = (
    "(zip_l = zip_r or city_l = city_r or damerau_levenshtein(zip_l, zip_r) <= 1 "
    "or jaro_winkler_similarity(city_l, city_r) >= 0.92)"
)
"""Null where neither zip nor city is known on both sides."""


LEVELS: dict[str, list[tuple[str, str]]] = {
    "given": [
        ("missing", "(given_l is null or given_r is null) and not (newborn_l or newborn_r)"),
        ("newborn", "(newborn_l or newborn_r) and not coalesce(birth_order_l <> birth_order_r, false)"),
        ("initial", f"(length(given_l) = 1 or length(given_r) = 1) and {_first('given')}"),
        ("same", "given_l = given_r"),
        ("alias", "list_has_any(givens_l, givens_r)"),  # the record itself says that the person has both names
        # Two full names are two, even where one is also used for the other: Julia and Julie may be twins.
        ("nickname", "list_has_any(forms_l, forms_r) and not (given_full_l and given_full_r)"),
        ("swapped", _CROSSWISE),
        # Of two different names one is a slip of the other only where one of them is no name: Jayden and Hayden are two.
        ("spelling", f"{_close('given')} and given_known_l <> given_known_r and {_first('given')}"),
        (
            "lookalike",
            f"length(given_l) > 1 and length(given_r) > 1 and ({_close('given')} or list_has_any(forms_l, forms_r))",
        ),
        ("middle", "given_l = middle_r or given_r = middle_l"),
        ("different", "ELSE"),
    ],
    "family": [
        ("missing", "family_l is null or family_r is null"),
        ("same", "family_l = family_r"),
        ("part", "list_has_any(families_l, families_r)"),
        ("swapped", _CROSSWISE),
        ("spelling", _close("family")),
        ("different", "ELSE"),
    ],
    "middle": [
        ("missing", "middle_l is null or middle_r is null or given_l = middle_r or given_r = middle_l"),
        ("same", "middle_l = middle_r and length(middle_l) > 1"),
        ("initial", f"(length(middle_l) = 1 or length(middle_r) = 1 or {_close('middle')}) and {_first('middle')}"),
        ("different", "ELSE"),
    ],
    "suffix": [
        ("missing", "suffix_l is null or suffix_r is null"),
        ("same", "suffix_l = suffix_r"),
        ("different", "ELSE"),
    ],
    "birth": [
        ("missing", "coalesce(birth_l, partial_l) is null or coalesce(birth_r, partial_r) is null"),
        ("same", "birth_l = birth_r"),
        ("swapped", "birth_l = birth_swapped_r"),
        ("digit", f"damerau_levenshtein(birth_l, birth_r) = 1 and {_YEARS} < {GENERATION}"),
        (
            "close",
            f"({_YEARS} = 0 and (substr(birth_l, 6, 2) = substr(birth_r, 6, 2) "
            "or substr(birth_l, 9, 2) = substr(birth_r, 9, 2))) "
            f"or (substr(birth_l, 6, 5) = substr(birth_r, 6, 5) and {_YEARS} < {GENERATION})",
        ),
        (
            "partial",
            "(birth_l is null or birth_r is null) and (starts_with(coalesce(birth_l, partial_l), coalesce(partial_r, "
            "birth_r)) or starts_with(coalesce(birth_r, partial_r), coalesce(partial_l, birth_l)))",
        ),
        ("two", f"damerau_levenshtein(birth_l, birth_r) = 2 and {_YEARS} < {GENERATION}"),
        ("decade", "damerau_levenshtein(birth_l, birth_r) = 1"),
        # too near to be parent and child, or not known how near
        ("apart", f"birth_l is null or birth_r is null or {_YEARS} < {GENERATION}"),
        ("different", "ELSE"),
    ],
    "sex": [
        ("missing", "sex_l is null or sex_r is null"),
        ("same", "sex_l = sex_r"),
        ("different", "ELSE"),
    ],
    "address": [
        (
            "missing",
            "(street_l is null or street_r is null) and (zip_l is null or zip_r is null) and (city_l is null or city_r is null)",
        ),
        (
            "home",
            f"(house_l = house_r and {_STREET} and coalesce(unit_l = unit_r, true) and coalesce({_TOWN}, true)) "
            "or list_has_any(homes_l, homes_r)",  # the other addresses count as they are written
        ),
        # the number left out, or one slip in two digits and more
        (
            "near",
            f"{_STREET} and {_TOWN} and coalesce(unit_l = unit_r, true) and (house_l is null or house_r is null or "
            "(least(length(house_l), length(house_r)) > 1 and damerau_levenshtein(house_l, house_r) <= 1))",
        ),
        ("building", "house_l = house_r and street_l = street_r and (zip_l = zip_r or city_l = city_r)"),
        ("street", f"{_STREET} and {_TOWN}"),
        ("zip", "zip_l = zip_r"),
        ("city", "city_l = city_r or jaro_winkler_similarity(city_l, city_r) >= 0.94"),
        ("different", "ELSE"),
    ],
    "phone": [
        ("missing", "phones_l is null or phones_r is null"),
        ("same", "list_has_any(phones_l, phones_r)"),
        ("slip", "length(phones_l[1]) > 8 and damerau_levenshtein(phones_l[1], phones_r[1]) <= 1"),
        ("different", "ELSE"),
    ],
    "email": [
        ("missing", "emails_l is null or emails_r is null"),
        ("same", "list_has_any(emails_l, emails_r)"),
        # where the digits are the same: of jsmith12 and jsmith13 neither is a slip of the other
        (
            "spelling",
            "damerau_levenshtein(emails_l[1], emails_r[1]) <= 2 and "
            "regexp_replace(emails_l[1], '[^0-9]', '', 'g') = regexp_replace(emails_r[1], '[^0-9]', '', 'g')",
        ),
        ("different", "ELSE"),
    ],
    "number": [
        ("missing", "(national_l is null or national_r is null) and (national4_l is null or national4_r is null)"),
        ("same", "national_l = national_r"),
        ("last4", "(national_l is null or national_r is null) and national4_l = national4_r"),
        ("slip", "length(national_l) = length(national_r) and damerau_levenshtein(national_l, national_r) <= 1"),
        ("different", "ELSE"),
    ],
    "record": [
        ("missing", "records_l is null or records_r is null"),
        ("same", "list_has_any(records_l, records_r)"),
        ("other", "ELSE"),  # says nothing: that one hospital has two numbers for somebody is why people are compared
    ],
    "document": [
        (
            "missing",
            "documents_l is null or documents_r is null or not (list_has_any(document_kinds_l, document_kinds_r))",
        ),
        ("same", "list_has_any(documents_l, documents_r)"),
        ("different", "ELSE"),
    ],
    "member": [
        ("missing", "members_l is null or members_r is null"),
        ("same", "list_has_any(members_l, members_r)"),
        ("different", "ELSE"),
    ],
}  # fmt: skip
"""Comparison -> its levels in order: the first whose condition holds. `missing` weighs nothing."""

BLOCKING = {"blocking_rule": "l.keys = r.keys", "arrays_to_explode": ["keys"], "sql_dialect": "duckdb"}
"""Which pairs are compared, in Splink's words: those with a key of blocking.py in common."""

TERM_FREQUENCIES = {"given": "given", "family": "family"}
"""Comparison -> column whose rarity counts at level `same`."""


def settings(link_type: str = "dedupe_only") -> dict[str, Any]:
    """The model without its trained weights, as Splink's settings."""
    comparisons = []
    for name, levels in LEVELS.items():
        made: list[dict[str, Any]] = []
        for label, condition in levels:
            level: dict[str, Any] = {"sql_condition": condition, "label_for_charts": label}
            if label == "missing":
                level["is_null_level"] = True
            if label == "same" and name in TERM_FREQUENCIES:
                level |= {"tf_adjustment_column": TERM_FREQUENCIES[name], "tf_adjustment_weight": 1.0}
            made.append(level)
        comparisons.append({"output_column_name": name, "comparison_levels": made})
    return {
        "link_type": link_type,
        "unique_id_column_name": "unique_id",
        "probability_two_random_records_match": 2.0**-17,
        "retain_intermediate_calculation_columns": True,
        "retain_matching_columns": True,
        "comparisons": comparisons,
        "blocking_rules_to_generate_predictions": [BLOCKING],
    }
