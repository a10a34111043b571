"""Clinical statements of C-CDA become the entries they mean. One tiny document a quirk; expectations read off the guide."""

from __future__ import annotations

import pytest
from documents_kit import (
    ALLERGIES,
    IMMUNIZATIONS,
    MEDICATIONS,
    PLAN,
    PROBLEMS,
    RESULTS,
    RXNORM,
    SOCIAL,
    VITALS,
    coded,
    document,
    flags,
    only,
    problem,
    read,
    related,
    section,
    statement,
)

from models.record import (
    Allergy,
    Assessment,
    CarePlan,
    Demographics,
    Encounter,
    Immunization,
    Medication,
    Note,
    Problem,
    Procedure,
    Report,
    Result,
    SocialHistory,
    Vital,
)

ASTHMA = coded("value", "195967001", "Asthma", kind="CD")


@pytest.mark.parametrize(
    ("when", "concern", "more", "clinical", "activity", "abatement"),
    [
        ('<low value="2019"/>', "active", "", "active", "active", None),
        ('<low value="2019"/><high value="20200301"/>', "active", "", "resolved", "historical", "2020-03-01"),
        ('<low value="2019"/><high nullFlavor="UNK"/>', "active", "", "resolved", "historical", None),
        ('<low value="2019"/><high nullFlavor="NI"/>', "active", "", "active", "active", None),
        ('<low value="2019"/>', "completed", "", "inactive", "historical", None),
        ('<low value="2019"/>', "", "", "", "uncertain", None),
        ('<low value="2019"/>', "completed", related(statement("observation", "6", coded("value", "55561003", kind="CD"))), "active", "active", None),
    ],
)  # fmt: skip
def test_the_state_of_a_problem(
    when: str, concern: str, more: str, clinical: str, activity: str, abatement: str | None
) -> None:
    found = only(read(document(section(PROBLEMS, problem(ASTHMA, when, more=more, status=concern)))), Problem)
    assert (found.clinical_status, found.activity, found.abatement) == (clinical, activity, abatement)
    assert (found.concept.display, found.onset, found.category) == ("Asthma", "2019", "problem-list-item")
    assert found.concept.mapping.method == "standard" and found.concept.codings[0].system == "http://snomed.info/sct"
    origin = found.origin
    assert (origin.method, origin.resource_type, origin.resource_id) == ("document", "ClinicalDocument", "9.9.1")
    assert (
        origin.path
        == "/ClinicalDocument/component/structuredBody/component/section/entry/act/entryRelationship/observation"
    )


def test_a_negated_general_problem_is_an_explicit_negative_and_a_negated_particular_one_is_refuted() -> None:
    none = problem(coded("value", "55607006", "Problem", kind="CD"), attrs='negationInd="true"')
    found = only(read(document(section(PROBLEMS, none))), Problem)
    assert found.none_asserted and not flags(found) & {"refuted"}
    found = only(read(document(section(PROBLEMS, problem(ASTHMA, attrs='negationInd="true"')))), Problem)
    assert "refuted" in flags(found) and found.activity == "historical" and not found.none_asserted


def test_no_information_about_problems_is_neither_a_problem_nor_a_negative() -> None:
    silent = problem('<value xsi:type="CD" nullFlavor="NI"/>', attrs='nullFlavor="NI"')
    found = read(document(section(PROBLEMS, silent)))
    assert not [e for e in found.entries if isinstance(e, Problem)]
    assert found.ledger.by_type["ClinicalStatement"]["stored"] == 1


def test_words_come_from_the_narrative_and_translations_stay_codings() -> None:
    value = coded(
        "value", "44054006", "DM II", kind="CD",
        inner='<originalText><reference value="#p1"/></originalText><translation code="E11.9" codeSystem="2.16.840.1.113883.6.90"/>',
    )  # fmt: skip
    text = '<table><tbody><tr><td ID="p1">Sugar <content>diabetes</content></td><td>2019</td></tr></tbody></table>'
    found = only(read(document(section(PROBLEMS, problem(value), text))), Problem)
    assert found.concept.text == "Sugar diabetes"
    assert [c.code for c in found.concept.codings] == ["44054006", "E11.9"]
    assert found.concept.codings[1].system == "http://hl7.org/fhir/sid/icd-10-cm"


def test_what_else_stands_in_a_concern_is_no_problem() -> None:
    date = statement("observation", "", coded("code", "64991-3", "Date") + '<value xsi:type="TS" value="20220613"/>')
    health = statement("observation", "5", coded("value", "81323004", "Alive and well", kind="CD"))
    act = statement("act", "132", related(date) + related(health) + related(statement("observation", "4", ASTHMA)))
    assert only(read(document(section("75310-3", act))), Problem).concept.display == "Asthma"


def allergy(agent: str, value: str = "416098002", attrs: str = "", more: str = "", high: str = "") -> str:
    observed = statement(
        "observation",
        "7",
        f'<effectiveTime><low value="2006"/>{high}</effectiveTime>{coded("value", value, kind="CD")}'
        f'<participant typeCode="CSM"><participantRole><playingEntity>{agent}</playingEntity></participantRole></participant>{more}',
        f'moodCode="EVN" {attrs}',
    )
    return statement("act", "30", related(observed), status="active")


def test_an_allergy_with_its_reaction() -> None:
    severity = related(statement("observation", "8", coded("value", "24484000", kind="CD")))
    reaction = related(
        statement("observation", "9", coded("value", "247472004", "Hives", kind="CD") + severity), "MFST"
    )
    critical = related(
        statement("observation", "145", '<value xsi:type="CD" code="CRITH" codeSystem="2.16.840.1.113883.5.1063"/>')
    )
    found = only(
        read(
            document(section(ALLERGIES, allergy(coded("code", "7980", "Penicillin", RXNORM), more=reaction + critical)))
        ),
        Allergy,
    )
    assert (found.concept.display, found.type, found.categories, found.criticality) == (
        "Penicillin",
        "allergy",
        ("medication",),
        "high",
    )
    assert found.reactions[0].severity == "severe" and found.reactions[0].manifestations[0].display == "Hives"
    assert (found.onset, found.activity) == ("2006", "active")


@pytest.mark.parametrize(
    ("agent", "value", "display"),
    [
        ('<code nullFlavor="NA"/>', "416098002", "No known drug allergies"),
        ('<code nullFlavor="NA"/>', "419199007", "No known allergies"),
        ('<code nullFlavor="NA"/>', "414285001", "No known food allergies"),
        (coded("code", "105590001", "Substance"), "419199007", "No known allergies"),
        (coded("code", "410942007", "Drug"), "419199007", "No known drug allergies"),
    ],
)
def test_a_negated_general_allergy_says_none_of_its_kind(agent: str, value: str, display: str) -> None:
    found = only(read(document(section(ALLERGIES, allergy(agent, value, 'negationInd="true"')))), Allergy)
    assert found.none_asserted and found.concept.display == display and found.type == ""


def test_not_allergic_to_peanuts_is_refuted_and_no_negative_of_the_section() -> None:
    found = only(
        read(document(section(ALLERGIES, allergy(coded("code", "762952008", "Peanut"), attrs='negationInd="true"')))),
        Allergy,
    )
    assert "refuted" in flags(found) and not found.none_asserted


def drug(inner: str = "", attrs: str = 'moodCode="EVN"', status: str = "active", code: str = "") -> str:
    product = code or coded("code", "197806", "Ibuprofen 600 MG Oral Tablet", RXNORM)
    return statement(
        "substanceAdministration",
        "16",
        f"{inner}<consumable><manufacturedProduct><manufacturedMaterial>{product}</manufacturedMaterial></manufacturedProduct></consumable>",
        attrs,
        status,
    )


PIVL = '<effectiveTime xsi:type="PIVL_TS" operator="A">{}</effectiveTime>'
SINCE = '<effectiveTime xsi:type="IVL_TS"><low value="20240601"/></effectiveTime>'


@pytest.mark.parametrize(
    ("timing", "frequency"),
    [
        (PIVL.format('<period value="6" unit="h"/>'), "every 6 hours"),
        (
            PIVL.format('<period xsi:type="IVL_PQ"><low value="4" unit="h"/><high value="6" unit="h"/></period>'),
            "every 4 to 6 hours",
        ),
        (PIVL.format('<period value="1" unit="d"/>'), "once a day"),
        ('<effectiveTime xsi:type="EIVL_TS" operator="A"><event code="HS"/></effectiveTime>', "at bedtime"),
        (PIVL.format('<period nullFlavor="UNK"/>'), ""),
    ],
)
def test_how_often_a_drug_is_taken(timing: str, frequency: str) -> None:
    route = coded("routeCode", "C38288", "Oral Route of Administration", "2.16.840.1.113883.3.26.1.1")
    body = SINCE + timing + route + '<doseQuantity value="1"/>' + coded("administrationUnitCode", "C48542", "tablet")
    found = only(read(document(section(MEDICATIONS, drug(body)))), Medication)
    assert (found.start, found.end, found.activity, found.reported) == ("2024-06-01", None, "active", True)
    (dose,) = found.dosages
    assert (dose.frequency, dose.route, dose.dose.value, dose.dose.unit) == (frequency, "Oral", 1.0, "tablet")


@pytest.mark.parametrize(
    ("attrs", "status", "code", "read_status", "activity", "none"),
    [
        ('moodCode="EVN"', "completed", "", "completed", "historical", False),
        ('moodCode="EVN"', "aborted", "", "stopped", "historical", False),
        ('moodCode="EVN"', "suspended", "", "on-hold", "uncertain", False),
        ('moodCode="EVN" negationInd="true"', "active", "", "not-taken", "historical", False),
        ('moodCode="EVN" negationInd="true"', "active", '<code nullFlavor="OTH"><translation code="410942007" codeSystem="2.16.840.1.113883.6.96"/></code>', "active", "active", True),
        ('moodCode="EVN" nullFlavor="NI"', "active", "", "unknown", "uncertain", False),
    ],
)  # fmt: skip
def test_what_is_taken_and_what_is_not(
    attrs: str, status: str, code: str, read_status: str, activity: str, none: bool
) -> None:
    found = only(read(document(section(MEDICATIONS, drug(SINCE, attrs, status, code)))), Medication)
    assert (found.status, found.activity, found.none_asserted) == (read_status, activity, none)


def test_an_order_counts_refills_and_not_fills() -> None:
    supply = related(
        statement("supply", "17", '<repeatNumber value="3"/><quantity value="75"/>', 'moodCode="INT"'), "REFR"
    )
    found = only(read(document(section(MEDICATIONS, drug(SINCE + supply, 'moodCode="INT"')))), Medication)
    assert (found.intent, found.refills, found.quantity.value, found.reported) == ("order", 2, 75.0, None)


def vaccine(attrs: str, more: str = "", status: str = "completed") -> str:
    code = coded("code", "166", "influenza", "2.16.840.1.113883.12.292")
    return statement(
        "substanceAdministration",
        "52",
        f'<effectiveTime value="20151115"/><consumable><manufacturedProduct><manufacturedMaterial>{code}</manufacturedMaterial>'
        f"</manufacturedProduct></consumable>{more}",
        f'moodCode="EVN" {attrs}',
        status,
    )


@pytest.mark.parametrize(
    ("attrs", "status", "given"),
    [
        ("", "completed", True),
        ('negationInd="true"', "completed", False),
        ('nullFlavor="NI"', "completed", None),
        ("", "active", None),
    ],
)
def test_only_a_completed_vaccination_was_given(attrs: str, status: str, given: bool | None) -> None:
    refusal = related(statement("observation", "53", coded("code", "PATOBJ", "patient objection")), "RSON")
    body = vaccine(attrs, refusal if given is False else "", status)
    found = only(read(document(section(IMMUNIZATIONS, body))), Immunization)
    assert (found.given, found.occurrence) == (given, "2015-11-15")
    assert found.status_reason == ("patient objection" if given is False else "")


def result(value: str, more: str = "", attrs: str = "", status: str = "completed", template: str = "2") -> str:
    body = (
        coded("code", "2345-7", "Glucose", "2.16.840.1.113883.6.1")
        + '<effectiveTime value="202406010830-0500"/>'
        + value
        + more
    )
    return statement("observation", template, body, f'moodCode="EVN" {attrs}', status)


def panel(inner: str, template: str = "1") -> str:
    return statement(
        "organizer",
        template,
        coded("code", "24320-4", "Panel", "2.16.840.1.113883.6.1") + f"<component>{inner}</component>",
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ('<value xsi:type="PQ" value="7.10" unit="mg/dL"/>', "7.10 mg/dL"),
        ('<value xsi:type="IVL_PQ"><high value="5" unit="mg/dL" inclusive="false"/></value>', "<5 mg/dL"),
        ('<value xsi:type="IVL_PQ"><low value="90" unit="mg/dL"/></value>', ">=90 mg/dL"),
        ('<value xsi:type="IVL_PQ"><low value="1" unit="d"/><high value="2" unit="d"/></value>', "1 d to 2 d"),
        ('<value xsi:type="INT" value="15"/>', "15"),
        ('<value xsi:type="ST">Amber</value>', "Amber"),
        ('<value xsi:type="RTO_PQ_PQ"><numerator value="1"/><denominator value="128"/></value>', "1:128"),
        ('<value xsi:type="CD" code="10828004" codeSystem="2.16.840.1.113883.6.96" displayName="Positive"/>', "Positive"),
        ('<value xsi:type="PQ" value="trace" unit="mg/dL"/>', "trace mg/dL"),
        ('<value xsi:type="PQ" nullFlavor="OTH"><translation value="187"><originalText>THOUS/MCL</originalText></translation></value>', "187 THOUS/MCL"),
        ('<value value="4" unit="mg/dL"/>', "4 mg/dL"),
    ],
)  # fmt: skip
def test_values_of_every_type(value: str, shown: str) -> None:
    found = only(read(document(section(RESULTS, panel(result(value))))), Result)
    assert found.value_display == shown and found.effective == "2024-06-01T08:30-05:00" and found.status == "final"


def test_a_panel_is_a_report_of_its_results() -> None:
    found = read(document(section(RESULTS, panel(result('<value xsi:type="PQ" value="7" unit="mg/dL"/>')))))
    report, measured = only(found, Report), only(found, Result)
    assert report.form == "structured" and report.results == (f"#{measured.origin.path}",)


def test_no_value_keeps_its_reason_and_a_pending_result_is_not_final() -> None:
    found = only(
        read(document(section(RESULTS, panel(result('<value xsi:type="PQ" nullFlavor="NASK"/>', status="active"))))),
        Result,
    )
    assert (found.value, found.absent_reason, found.status) == (None, "not asked", "registered")


def test_a_negated_value_never_reads_as_if_it_held() -> None:
    value = coded("value", "77386006", "Pregnant", kind="CD")
    body = statement(
        "observation", "", f'<templateId root="2.16.840.1.113883.10.20.15.3.8"/>{coded("code", "ASSERTION")}{value}',
        'moodCode="EVN" negationInd="true"',
    )  # fmt: skip
    found = only(read(document(section(SOCIAL, body))), SocialHistory)
    assert found.value_concept is None and found.value_text == "not present: Pregnant"
    assert found.concept.display == "Pregnancy status" and "negated" in flags(found)


def test_a_unit_beside_its_number() -> None:
    unit = related(
        statement("observation", "", coded("code", "246514001", "units") + '<value xsi:type="ST">g/dL</value>'), "COMP"
    )
    found = only(read(document(section(RESULTS, panel(result('<value xsi:type="REAL" value="14.1"/>', unit))))), Result)
    assert found.value_display == "14.1 g/dL" and not found.components


def test_ranges_and_interpretation() -> None:
    more = (
        '<interpretationCode code="H" codeSystem="2.16.840.1.113883.5.83"/><referenceRange><observationRange>'
        '<value xsi:type="IVL_PQ"><low value="65" unit="mg/dL"/><high value="99" unit="mg/dL"/></value></observationRange></referenceRange>'
    )
    found = only(
        read(document(section(RESULTS, panel(result('<value xsi:type="PQ" value="180" unit="mg/dL"/>', more))))), Result
    )
    assert found.abnormal and found.reference_ranges[0].high.value == 99


def test_vital_signs_take_the_time_of_their_organizer() -> None:
    measured = statement(
        "observation",
        "27",
        coded("code", "8480-6", "Systolic", "2.16.840.1.113883.6.1")
        + '<value xsi:type="PQ" value="132" unit="mm[Hg]"/>',
    )
    organizer = statement("organizer", "26", f'<effectiveTime value="20240601"/><component>{measured}</component>')
    found = read(document(section(VITALS, organizer)))
    assert only(found, Vital).effective == "2024-06-01" and not [e for e in found.entries if isinstance(e, Report)]


def test_wrong_templates_are_read_by_section_and_class() -> None:
    odd = statement(
        "observation",
        "",
        coded("code", "8867-4", "Heart rate", "2.16.840.1.113883.6.1")
        + '<value xsi:type="PQ" value="80" unit="/min"/>',
    )
    assert only(read(document(section(VITALS, odd))), Vital).value.value == 80
    assert only(read(document(section("47420-5", odd))), Vital)  # a vital sign's code makes it one, in whatever section
    other = statement(
        "observation",
        "",
        coded("code", "54522-8", "Functional status", "2.16.840.1.113883.6.1")
        + coded("value", "105504002", "Cane", kind="CD"),
    )
    assert only(read(document(section("47420-5", other))), Assessment).value_display == "Cane"


def test_a_wrong_section_code_beside_a_known_template() -> None:
    odd = section("99999-9", problem(ASTHMA)).replace(
        "<title>", '<templateId root="2.16.840.1.113883.10.20.22.2.5.1"/><title>'
    )
    assert only(read(document(odd)), Problem).category == "problem-list-item"


@pytest.mark.parametrize(
    ("tag", "attrs", "status", "done"),
    [
        ("procedure", 'moodCode="EVN"', "completed", True),
        ("act", 'moodCode="EVN"', "completed", True),
        ("observation", 'moodCode="EVN"', "completed", True),
        ("procedure", 'moodCode="EVN" negationInd="true"', "completed", False),
        ("procedure", 'moodCode="EVN"', "cancelled", False),
        ("procedure", 'moodCode="EVN"', "aborted", None),
    ],
)
def test_only_a_completed_procedure_was_done(tag: str, attrs: str, status: str, done: bool | None) -> None:
    template = {"procedure": "14", "act": "12", "observation": "13"}[tag]
    body = statement(
        tag, template, coded("code", "80146002", "Appendectomy") + '<effectiveTime value="2019"/>', attrs, status
    )
    found = only(read(document(section("47519-4", body))), Procedure)
    assert (found.done, found.performed, found.concept.display) == (done, "2019", "Appendectomy")


def test_an_encounter_with_its_diagnosis() -> None:
    diagnosis = related(statement("act", "80", related(statement("observation", "4", ASTHMA))))
    code = coded(
        "code",
        "99213",
        "Visit",
        "2.16.840.1.113883.6.12",
        inner='<translation code="AMB" codeSystem="2.16.840.1.113883.5.4"/>',
    )
    body = statement("encounter", "49", f'{code}<effectiveTime value="202406010900"/>{diagnosis}')
    found = read(document(section("46240-8", body)))
    contact, told = only(found, Encounter), only(found, Problem)
    assert (contact.encounter_class, contact.start, contact.diagnoses[0].name) == ("AMB", "2024-06-01T09:00", "Asthma")
    assert told.category == "encounter-diagnosis" and told.activity == "uncertain"


def test_what_is_planned_is_a_plan_and_never_care() -> None:
    planned = statement(
        "procedure",
        "41",
        coded("code", "73761001", "Colonoscopy") + '<effectiveTime value="20250101"/>',
        'moodCode="RQO"',
        "active",
    )
    goal = statement(
        "observation",
        "121",
        coded("code", "27113001", "Weight") + '<value xsi:type="PQ" value="88" unit="kg"/>',
        'moodCode="GOL"',
        "active",
    )
    found = read(document(section(PLAN, f"{planned}</entry><entry>{goal}", title="Plan")))
    plan = only(found, CarePlan)
    assert plan.activity == "uncertain"
    assert [(a.text, a.scheduled) for a in plan.activities] == [("Colonoscopy", "2025-01-01")] and plan.goals == (
        "Weight: 88 kg",
    )
    assert not [e for e in found.entries if isinstance(e, Procedure)]
    assert found.ledger.by_type["ClinicalStatement"] == {
        "offered": 2,
        "stored": 2,
        "quarantined": 0,
        "reported_missing": 0,
    }


def test_a_note_activity_keeps_its_words() -> None:
    body = statement(
        "act",
        "202",
        coded(
            "code",
            "34109-9",
            "Note",
            "2.16.840.1.113883.6.1",
            inner='<translation code="11488-4" codeSystem="2.16.840.1.113883.6.1" displayName="Consult note"/>',
        )
        + '<text><reference value="#n1"/></text>',
    )
    found = read(document(section("11488-4", body, '<paragraph ID="n1">Seen for asthma.</paragraph>')))
    notes = [e for e in found.entries if isinstance(e, Note)]
    assert {n.concept.display: n.text for n in notes} == {
        "Summary": "Seen for asthma.",
        "Consult note": "Seen for asthma.",
    }


def test_the_patient_of_the_head() -> None:
    found = only(read(document()), Demographics)
    assert (str(found.names[0]), found.birth_date, found.gender) == ("Ada Moor", "1970-05-01", "female")
    assert (found.identifiers[0].system, found.identifiers[0].value) == ("urn:oid:1.2.3", "MRN7")


def test_a_nullified_statement_is_taken_back() -> None:
    found = only(read(document(section(PROBLEMS, problem(ASTHMA, status="nullified")))), Problem)
    assert "entered_in_error" in flags(found) and found.superseded


@pytest.mark.parametrize("when", ["2024013", "20241332", "yesterday", "200130311"])
def test_a_date_that_is_none_is_said_so(when: str) -> None:
    found = only(read(document(section(PROBLEMS, problem(ASTHMA, f'<low value="{when}"/>')))), Problem)
    assert found.onset is None and "invalid_date" in flags(found)


def test_family_history_is_told_as_not_read_and_its_words_are_kept() -> None:
    relative = statement("organizer", "45", f"<component>{statement('observation', '46', ASTHMA)}</component>")
    found = read(document(section("10157-6", relative, "<paragraph>Mother: asthma</paragraph>")))
    assert not [e for e in found.entries if isinstance(e, Problem)] and only(found, Note).text == "Mother: asthma"
    assert [d for n, d in found.dispositions.items() if "organizer" in n] == ["raw_only"]
