"""Remarks on the problem list: told twice, over by its nature, missing though drugs or results speak of it."""

from __future__ import annotations

from typing import Any

import pytest
from normalizer_kit import NOW, RXNORM, SNOMED, Json, cc, chart_of, condition, observation, order, quantity, raw

from adapters.normalizer import normalize
from models.record import Chart, Coverage, Flag, Problem

ICD10CM, ICD9CM = "http://hl7.org/fhir/sid/icd-10-cm", "http://hl7.org/fhir/sid/icd-9-cm"


def made(*items: Json, b: tuple[Json, ...] = (), coverage: list[Coverage] | None = None) -> Chart:
    """One chart of site a's resources and site b's."""
    entries = [
        e for site, here in (("a", items), ("b", b)) for e in normalize([raw(i, site=site) for i in here]).entries
    ]
    return chart_of(entries, coverage)


def said(chart: Chart, code: str) -> dict[str, Flag]:
    """Resource id -> the remark with `code`."""
    return {e.origin.resource_id: f for e in chart.entries for f in e.flags if f.code == code}


def problem(rid: str, system: str, code: str, text: str = "", **fields: Any) -> Json:
    return condition(rid, **({"code": cc(code, text, system)} | fields))


@pytest.mark.parametrize(
    ("left", "right", "better"),
    [
        (problem("x", SNOMED, "59621000"), problem("y", ICD10CM, "I10"), ""),
        (problem("x", ICD9CM, "401.9"), problem("y", ICD10CM, "I10"), ""),
        (problem("x", SNOMED, "44054006"), problem("y", ICD10CM, "E11.65"), "y"),
        (problem("x", SNOMED, "73211009", "Diabetes mellitus"), problem("y", ICD10CM, "E11.9"), "y"),
        (problem("x", ICD10CM, "N18.32"), problem("y", SNOMED, "709044004"), "x"),
        (
            problem("x", "urn:oid:1.2.3", "77", "Essential hypertension", onsetDateTime="2017"),
            problem("y", ICD10CM, "I10"),
            "",
        ),
    ],
)
def test_one_problem_in_two_systems_is_told_on_both(left: Json, right: Json, better: str) -> None:
    chart = made(left, right)
    found = said(chart, "same_problem")
    ids = {e.origin.resource_id: e.id for e in chart.of(Problem)}
    assert {i: f.related for i, f in found.items()} == {"x": (ids["y"],), "y": (ids["x"],)}
    for rid, flag in found.items():
        assert ("the more specific: this one" in flag.detail) is (rid == better)
        assert ("the more specific" in flag.detail) is bool(better)
    assert len(chart.of(Problem)) == 2 and not any(p.superseded for p in chart.of(Problem))


def test_one_problem_at_two_sites_in_one_system() -> None:
    chart = made(problem("x", ICD10CM, "J45.909"), b=(problem("y", ICD10CM, "J45.40"),))
    assert set(said(chart, "same_problem")) == {"x", "y"}
    assert "ICD-10-CM J45.40 at b" in said(chart, "same_problem")["x"].detail


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (problem("x", ICD10CM, "E10.9"), problem("y", SNOMED, "44054006")),  # type 1 is not type 2
        (
            problem("x", ICD10CM, "E11.22"),
            problem("y", ICD10CM, "E11.65"),
        ),  # one site, one system: coding rules ask for both
        (problem("x", ICD10CM, "M17.11"), problem("y", SNOMED, "239872002")),  # knee, hip
        (problem("x", ICD10CM, "C50.911"), problem("y", SNOMED, "399068003")),
        (problem("x", ICD10CM, "R73.03"), problem("y", SNOMED, "44054006")),  # prediabetes is not diabetes
        (problem("x", ICD10CM, "I10", clinicalStatus=cc("resolved")), problem("y", SNOMED, "59621000")),
        (problem("x", ICD10CM, "I10", verificationStatus=cc("refuted")), problem("y", SNOMED, "59621000")),
        # two episodes, years apart
        (
            problem("x", ICD10CM, "J20.9", onsetDateTime="2016-01-01"),
            problem("y", SNOMED, "10509002", "Acute bronchitis", onsetDateTime="2024-06-01"),
        ),
    ],
)
def test_what_is_not_one_problem(left: Json, right: Json) -> None:
    assert not said(made(left, right), "same_problem")


def test_a_general_word_is_neither_of_two_types() -> None:
    chart = made(problem("x", SNOMED, "73211009"), problem("y", ICD10CM, "E11.9"), problem("z", ICD10CM, "E10.9"))
    assert not said(chart, "same_problem")


def test_active_here_and_resolved_there_is_seen_across_systems() -> None:
    chart = made(problem("x", SNOMED, "40930008"), b=(problem("y", ICD10CM, "E03.9", clinicalStatus=cc("resolved")),))
    assert [c.kind for c in chart.conflicts] == ["active_vs_stopped"]


def old(code: str, text: str, system: str = SNOMED, **fields: Any) -> Json:
    return condition("x", **({"code": cc(code, text, system), "onsetDateTime": "2014-03-01"} | fields))


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (old("10509002", "Acute bronchitis (disorder)"), "over.acute_bronchitis"),
        (old("J20.9", "", ICD10CM), "over.acute_bronchitis"),
        (old("466.0", "", ICD9CM), "over.acute_bronchitis"),
        (old("444814009", "Viral sinusitis (disorder)"), "over.acute_upper_airway_infection"),
        (old("72892002", "Normal pregnancy", onsetDateTime="2023-06-01"), "over.pregnancy"),
        (old("O80", "", ICD10CM), "over.pregnancy"),
        (old("65966004", "Fracture of forearm"), "over.fracture"),
        (old("S52.501A", "", ICD10CM), "over.fracture"),
        (old("840539006", "COVID-19"), "over.covid_19"),
        (old("44465007", "Sprain of ankle"), "over.sprain"),
    ],
)
def test_active_but_over_by_its_nature(item: Json, rule: str) -> None:
    chart = made(item)
    (flag,) = said(chart, "likely_over").values()
    assert flag.rule == rule and flag.confidence is not None and flag.confidence >= 0.85
    assert chart.of(Problem)[0].activity == "active"  # a remark, no edit


@pytest.mark.parametrize(
    "item",
    [
        old("J42", "", ICD10CM),  # chronic bronchitis
        old("40055000", "Chronic sinusitis"),
        old("1", "Recurrent urinary tract infection"),
        old("1", "History of pneumonia"),
        old("161805006", "H/O: fracture"),
        old("S52.501K", "", ICD10CM),  # nonunion
        old("1", "Pathological fracture due to osteoporosis"),
        old("1", "Fracture of tooth"),
        old("1", "Interstitial pneumonia"),
        old("1", "Family history of sepsis"),
        old("1", "Pregnancy test negative"),
        old("1", "Post-COVID-19 condition"),
        old("195967001", "Asthma"),
        old("10509002", "Acute bronchitis", onsetDateTime="2024-05-30"),  # a month ago
        old("10509002", "Acute bronchitis", onsetDateTime="2024"),  # some time this year
        old("10509002", "Acute bronchitis", recordedDate="2024-06-01"),  # written down again
        old("10509002", "Acute bronchitis", onsetDateTime=None),
        old("10509002", "Acute bronchitis", clinicalStatus=cc("resolved")),
        old("10509002", "Acute bronchitis", clinicalStatus=cc("recurrence")),
        old("72892002", "Normal pregnancy", onsetDateTime="2023-10-01"),
    ],
)
def test_what_may_well_be_active(item: Json) -> None:
    assert not said(made(item), "likely_over")


def drug(name: str, rid: str = "m", **fields: Any) -> Json:
    return order(rid, **({"medicationCodeableConcept": cc("0", name, RXNORM), "authoredOn": "2024-04-01"} | fields))


def a1c(rid: str, value: float, day: str, unit: str = "%", **fields: Any) -> Json:
    return observation(rid, **({"valueQuantity": quantity(value, unit), "effectiveDateTime": day} | fields))


def egfr(rid: str, value: float, day: str, **fields: Any) -> Json:
    number = quantity(value, "mL/min/{1.73_m2}", **fields)
    return observation(rid, "98979-8", valueQuantity=number, effectiveDateTime=day)


ASTHMA = condition("c")


@pytest.mark.parametrize(
    ("item", "rule"),
    [
        (drug("insulin glargine 100 UNT/ML injection"), "unlisted.drug.diabetes"),
        (drug("glipizide 5 MG oral tablet"), "unlisted.drug.diabetes"),
        (drug("Janumet 50/500"), "unlisted.drug.diabetes"),
        (drug("levothyroxine 75 MCG tablet"), "unlisted.drug.hypothyroidism"),
        (drug("warfarin 5 MG tablet"), "unlisted.drug.anticoagulation"),
        (drug("apixaban 5 MG tablet"), "unlisted.drug.anticoagulation"),
        (drug("donepezil 10 MG tablet"), "unlisted.drug.dementia"),
        (drug("methimazole 5 MG tablet"), "unlisted.drug.hyperthyroidism"),
        (drug("tiotropium 18 MCG inhalation capsule"), "unlisted.drug.obstructive_lung_disease"),
    ],
)
def test_a_drug_speaks_of_a_problem_nobody_lists(item: Json, rule: str) -> None:
    listed = condition("c", code=cc("E66.9", "Obesity", ICD10CM))
    (flag,) = said(made(listed, item), "unlisted_problem").values()
    assert flag.rule == rule and "no problem names" in flag.detail


@pytest.mark.parametrize(
    "items",
    [
        (drug("metformin 500 MG tablet"),),  # prediabetes, polycystic ovaries
        (drug("empagliflozin 10 MG tablet"),),  # heart failure, kidney disease
        (drug("semaglutide 2.4 MG injection"),),  # obesity
        (drug("atorvastatin 40 MG tablet"),),  # prevention
        (drug("enoxaparin 40 MG syringe"),),  # prophylaxis
        (drug("apixaban 2.5 MG tablet", authoredOn="2024-06-10"),),  # three weeks: after a hip replacement
        (drug("warfarin 5 MG tablet"), condition("d", code=cc("Z95.2", "Presence of prosthetic heart valve", ICD10CM))),
        (drug("apixaban 5 MG"), condition("d", code=cc("I48.91", "", ICD10CM))),
        (drug("insulin lispro pen"), condition("d", code=cc("44054006", "Diabetes"), clinicalStatus=cc("resolved"))),
        (drug("insulin lispro pen"), condition("d", code={"text": "Poorly controlled DM"})),
        (drug("insulin lispro pen"), condition("d", code=cc("O24.414", "", ICD10CM))),
        (drug("insulin regular", category=[cc("inpatient")]),),
        (drug("insulin regular", status="stopped"),),
        (drug("insulin regular", doNotPerform=True),),
        (drug("insulin regular", reasonCode=[{"text": "Calcium channel blocker poisoning"}]),),
        (drug("levothyroxine 75 MCG"), condition("d", code={"text": "Hashimoto's disease"})),
        (drug("levothyroxine 75 MCG"), condition("d", code=cc("E89.0", "", ICD10CM))),
        (drug("liothyronine 25 MCG"),),  # depression
        (drug("No insulin at home"),),
    ],
)
def test_drugs_that_prove_nothing(items: tuple[Json, ...]) -> None:
    assert not said(made(ASTHMA, *items), "unlisted_problem")


def test_nothing_is_missing_where_the_list_was_not_read() -> None:
    def line(site: str, state: Any, **more: Any) -> Coverage:
        return Coverage(section="problems", site=site, state=state, **more)

    insulin = drug("insulin glargine pen")
    assert said(made(insulin, coverage=[line("a", "empty")]), "unlisted_problem")
    assert said(made(insulin, coverage=[line("a", "present")]), "unlisted_problem")
    for state in ("failed", "not_authorized", "truncated", "stale", "not_queried", "not_supported"):
        assert not said(made(insulin, coverage=[line("a", state)]), "unlisted_problem")
    assert not said(made(insulin, coverage=[line("a", "present", quarantined=1)]), "unlisted_problem")
    assert not said(made(insulin), "unlisted_problem")
    # the other hospital's list was read, this one's was not
    assert not said(
        made(insulin, b=(ASTHMA,), coverage=[line("a", "failed"), line("b", "present")]), "unlisted_problem"
    )


@pytest.mark.parametrize(
    ("items", "flagged"),
    [
        ((a1c("1", 6.5, "2023-01-02"), a1c("2", 7.1, "2023-06-02")), {"1", "2"}),
        ((a1c("1", 6.8, "2023-01-02"), a1c("2", 5.5, "2023-03-02"), a1c("3", 7.1, "2023-06-02")), {"1", "3"}),
        ((a1c("1", 6.8, "2023-01-02"), observation("2", "1558-6", valueQuantity=quantity(131, "mg/dL"), effectiveDateTime="2023-01-02")), {"1", "2"}),
        ((a1c("1", 6.8, "2023-01-02"),), set()),
        ((a1c("1", 6.8, "2023-01-02"), a1c("2", 6.9, "2023-01-02")), set()),  # one sample, told twice
        ((a1c("1", 6.4, "2023-01-02"), a1c("2", 6.4, "2023-06-02")), set()),
        ((a1c("1", 48, "2023-01-02", "mmol/mol"), a1c("2", 50, "2023-06-02", "mmol/mol")), {"1", "2"}),  # 6.5 % and 6.7 %
        ((a1c("1", 48, "2023-01-02", "mg/dL"), a1c("2", 50, "2023-06-02", "mg/dL")), set()),  # a unit that does not fit
        ((a1c("1", 6.8, "2023-01-02", status="entered-in-error"), a1c("2", 6.9, "2023-06-02")), set()),
        (tuple(observation(str(n), "2345-7", valueQuantity=quantity(240, "mg/dL"), effectiveDateTime=f"2023-0{n}-01") for n in (1, 2)), set()),  # random
        ((egfr("1", 52, "2023-01-01"), egfr("2", 55, "2023-04-30")), {"1", "2"}),
        ((egfr("1", 52, "2023-01-01"), egfr("2", 55, "2023-04-01")), {"1", "2"}),  # 90 days
        ((egfr("1", 52, "2023-01-01"), egfr("2", 55, "2023-03-31")), set()),  # 89 days
        ((egfr("1", 52, "2023-01-01"), egfr("2", 75, "2023-03-30"), egfr("3", 55, "2023-06-30")), set()),  # recovered between
        ((egfr("1", 52, "2022-01-01"), egfr("2", 55, "2022-06-30"), egfr("3", 80, "2023-06-30")), set()),  # recovered since
        ((egfr("1", 60, "2023-01-01", comparator=">"), egfr("2", 60, "2023-06-30", comparator=">")), set()),
        ((egfr("1", 15, "2023-01-01", comparator="<"), egfr("2", 15, "2023-06-30", comparator="<")), {"1", "2"}),
    ],
)  # fmt: skip
def test_results_that_make_a_diagnosis(items: tuple[Json, ...], flagged: set[str]) -> None:
    chart = made(ASTHMA, *items)
    assert set(said(chart, "unlisted_problem")) == flagged
    if flagged:
        ids = {e.origin.resource_id: e.id for e in chart.entries}
        first, last = sorted(flagged)
        assert said(chart, "unlisted_problem")[first].related == (ids[last],)


@pytest.mark.parametrize(
    ("listed", "items"),
    [
        (cc("E11.9", "", ICD10CM), (a1c("1", 6.8, "2023-01-02"), a1c("2", 7.1, "2023-06-02"))),
        (cc("433144002"), (egfr("1", 52, "2023-01-01"), egfr("2", 55, "2023-06-30"))),
        (cc("", "Renal insufficiency"), (egfr("1", 52, "2023-01-01"), egfr("2", 55, "2023-06-30"))),
    ],
)
def test_results_of_a_listed_problem_are_no_news(listed: Json, items: tuple[Json, ...]) -> None:
    assert not said(made(condition("c", code=listed), *items), "unlisted_problem")


def test_dates_at_the_end_of_the_calendar_break_nothing() -> None:
    items = (
        old("10509002", "Acute bronchitis", onsetDateTime="9999-12-31"),
        drug("apixaban 5 MG", authoredOn="9999-12-31"),
    )
    assert not said(made(*items), "likely_over") and not said(made(*items), "unlisted_problem")


def test_the_remark_speaks_for_the_charts_own_time() -> None:
    item = old("10509002", "Acute bronchitis", onsetDateTime="2024-03-01")
    entries = normalize([raw(item)]).entries
    assert said(chart_of(entries, as_of=NOW), "likely_over")
    assert not said(chart_of(entries, as_of="2024-04-01T00:00:00Z"), "likely_over")
