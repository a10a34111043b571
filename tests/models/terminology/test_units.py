"""Units: spellings, kinds, conversion to an analyte's canonical unit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.record import Quantity
from models.terminology.analytes import MOLAR_MASS, VALENCE, canonical, limits, with_canonical
from models.terminology.labs.anchors import by_code, seed_terms
from models.terminology.units import _UNITS, convert, ucum_code, unit_of

CODES = sorted(_UNITS)


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        ("MG/DL", "mg/dL"), ("mcg/dL", "ug/dL"), ("µmol/L", "umol/L"), ("uIU/mL", "u[IU]/mL"), ("mIU/L", "m[IU]/L"), ("IU/L", "[IU]/L"),
        ("K/uL", "10*3/uL"), ("Thousand/uL", "10*3/uL"), ("x10E3/uL", "10*3/uL"), ("x10(3)/mcL", "10*3/uL"), ("10^9/L", "10*9/L"),
        ("M/uL", "10*6/uL"), ("cells/uL", "/uL"), ("#/uL", "/uL"), ("mEq/L", "meq/L"), ("mm/hr", "mm/h"), ("/HPF", "/[HPF]"),
        ("ng/mL FEU", "ng/mL{FEU}"), ("mg/24 h", "mg/(24.h)"), ("copies/mL", "{copies}/mL"), ("sec", "s"), ("mOsm/kg", "mosm/kg"),
        ("mL/min/1.73 m2", "mL/min/{1.73_m2}"), ("FL", "fL"), ("gm/dL", "g/dL"), ("banana", ""), ("mg / dL", "mg/dL"), ("", ""),
    ],
)  # fmt: skip
def test_print_spellings_are_read(printed: str, code: str) -> None:
    assert ucum_code(printed) == code


@given(st.sampled_from(CODES), st.sampled_from(CODES), st.floats(-1e6, 1e6))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_there_and_back_is_the_same_and_never_between_kinds(a: str, b: str, value: float) -> None:
    there = convert(value, a, b)
    one, other = unit_of(a), unit_of(b)
    assert one and other
    assert (there is None) == (one.kind != other.kind)
    if there is not None:
        back = convert(there, b, a)
        assert back == pytest.approx(value, rel=1e-9, abs=1e-6)


def test_arbitrary_units_equivalents_and_counts_are_kinds_of_their_own() -> None:
    for a, b in [
        ("[IU]/L", "mg/L"), ("[IU]/mL", "/mL"), ("[arb'U]/mL", "[IU]/mL"), ("U/L", "[IU]/L"), ("meq/L", "mmol/L"), ("mg/dL", "mmol/L"),
        ("ng/mL{FEU}", "ng/mL{DDU}"), ("{copies}/mL", "/mL"), ("%", "mg/dL"), ("U/L", "mol/L"),
    ]:  # fmt: skip
        assert convert(1.0, a, b) is None, (a, b)


def test_a_unit_no_table_knows_is_parsed_and_one_that_cannot_be_is_refused() -> None:
    assert convert(1.0, "mg/cm2", "ug/mm2") == pytest.approx(10)
    for held in ("[IU]/cm2", "{foo}/cm2", "mg//dL", "banana", "mg/dL/", "%%"):
        assert unit_of(held) is None


@pytest.mark.parametrize(
    ("loinc", "value", "unit", "wanted"),
    [
        ("2345-7", 5.5, "mmol/L", 99.09), ("2160-0", 88.4, "umol/L", 1.0), ("2093-3", 5.0, "mmol/L", 193.3), ("2571-8", 1.0, "mmol/L", 88.54),
        ("17861-6", 2.5, "mmol/L", 10.02), ("17861-6", 5.0, "meq/L", 10.02), ("3094-0", 5.0, "mmol/L", 14.0), ("1975-2", 17.1, "umol/L", 1.0),
        ("3084-1", 357, "umol/L", 6.0), ("1989-3", 75, "nmol/L", 30.05), ("3024-7", 15.0, "pmol/L", 1.165), ("2823-3", 4.0, "meq/L", 4.0),
        ("2601-3", 2.0, "meq/L", 1.0), ("4548-4", 48, "mmol/mol", 6.54), ("59261-8", 6.5, "%", 47.5), ("8310-5", 98.6, "[degF]", 37.0),
        ("29463-7", 154.3, "[lb_av]", 69.99), ("3016-3", 2.0, "u[IU]/mL", 2.0), ("1742-6", 20, "[IU]/L", 20.0), ("718-7", 140, "g/L", 14.0),
        ("777-3", 250, "10*9/L", 250), ("777-3", 250000, "/uL", 250), ("4544-3", 0.42, "L/L", 42), ("6301-6", 1.1, "", 1.1),
        ("9318-7", 12, "ug/mg", 12), ("48065-7", 500, "ng/mL", 0.5), ("2744-1", 7.4, "", 7.4),
    ],
)  # fmt: skip
def test_values_reach_the_canonical_unit(loinc: str, value: float, unit: str, wanted: float) -> None:
    """Against published factors (AMA Manual of Style's SI conversions, NGSP, exact definitions)."""
    said = canonical(loinc, value, unit)
    assert said is not None and said[0] == pytest.approx(wanted, rel=6e-3) and said[1] == by_code()[loinc].unit


@pytest.mark.parametrize(
    ("loinc", "unit"),
    [("2345-7", "[IU]/L"), ("2345-7", ""), ("2345-7", "banana"), ("2276-4", "[IU]/mL"), ("3016-3", "mg/L"), ("62238-1", "mL/min"),
     ("718-7", "mmol/L"), ("2345-7", "mmol/mol"), ("6301-6", "mg/dL"), ("99999-9", "mg/dL"), ("48065-7", "ng/mL{DDU}"), ("2162-6", "mg/dL")],
)  # fmt: skip
def test_what_cannot_be_converted_has_no_canonical_value(loinc: str, unit: str) -> None:
    sent = Quantity(value=5.0, unit=unit, code=unit, as_sent="5.0")
    assert canonical(loinc, 5.0, unit) is None
    assert with_canonical(loinc, sent) == sent


@given(
    st.sampled_from([t for t in seed_terms() if t.unit]), st.sampled_from(CODES), st.floats(0, 1e5), st.floats(0, 1e5)
)
@settings(max_examples=300, derandomize=True, deadline=None)
def test_conversion_is_monotonic_and_ends_in_the_canonical_unit(term, code: str, a: float, b: float) -> None:  # type: ignore[no-untyped-def]
    one, other = canonical(term.code, a, code), canonical(term.code, b, code)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert one[1] == term.unit
        assert (a <= b) == (one[0] <= other[0]) or one[0] == pytest.approx(other[0])


def test_what_was_sent_stays_beside_the_canonical_value() -> None:
    told = with_canonical("2345-7", Quantity(value=5.50, unit="mmol/l", code="mmol/L", as_sent="5.50", comparator="<"))
    assert (told.value, told.unit, told.code, told.as_sent, told.comparator) == (5.5, "mmol/l", "mmol/L", "5.50", "<")
    assert told.canonical_code == "mg/dL" and told.canonical_value == pytest.approx(99.09, abs=0.01)


def test_every_molar_mass_and_valence_is_of_an_analyte_of_the_seed() -> None:
    components = {t.component for t in seed_terms()}
    assert set(MOLAR_MASS) | set(VALENCE) <= components


def test_limits_are_in_the_canonical_unit() -> None:
    assert limits("2823-3") == (0.8, 14.0, "mmol/L") and limits("5778-6") is None and limits("0-0") is None
