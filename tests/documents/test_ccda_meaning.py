"""Slips of real exports that would turn a fact into another one: each read as what the document means."""

from __future__ import annotations

from documents_kit import (
    ALLERGIES,
    MEDICATIONS,
    RESULTS,
    RXNORM,
    SOCIAL,
    T,
    coded,
    document,
    only,
    problem,
    read,
    related,
    section,
    statement,
)

from models.record import (
    Allergy,
    Encounter,
    Medication,
    Problem,
    Procedure,
    Report,
    Result,
    SocialHistory,
)

ASTHMA = coded("value", "195967001", "Asthma", kind="CD")
FEVER = coded("value", "386661006", "Fever", kind="CD")
REFERS = '<originalText><reference value="#w1"/></originalText>'


def allergy(code: str, *reactions: str) -> str:
    inside = "".join(related(statement("observation", "9", r), "MFST") for r in reactions)
    entity = f"<participant><participantRole><playingEntity>{code}</playingEntity></participantRole></participant>"
    body = coded("value", "419511003", kind="CD") + entity + inside
    return statement("act", "30", related(statement("observation", "7", body)), status="active")


def test_an_allergen_is_not_named_by_its_reaction() -> None:
    wheeze = coded("value", "56018004", "Wheezing", kind="CD")
    codeine = coded("code", "2670", "Codeine", RXNORM, inner=REFERS)
    words = '<content ID="w1">Wheezing</content>'
    found = only(read(document(section(ALLERGIES, allergy(codeine, wheeze), words))), Allergy)
    assert found.concept.display == "Codeine" and found.reactions[0].manifestations[0].display == "Wheezing"
    assert found.notes == ("the document calls the allergen by the words of its reaction: Wheezing",)
    uncoded = f'<code nullFlavor="UNK">{REFERS}</code>'
    assert (
        only(read(document(section(ALLERGIES, allergy(uncoded, wheeze), words))), Allergy).concept.display == "Wheezing"
    )


def test_a_visit_is_not_named_by_its_diagnosis() -> None:
    visit = coded("code", "99213", "Office visit", "2.16.840.1.113883.6.12", inner=REFERS)
    diagnosis = related(statement("act", "80", related(statement("observation", "4", FEVER))))
    body = statement("encounter", "49", visit + '<effectiveTime value="20240601"/>' + diagnosis)
    found = read(document(section("46240-8", body, '<content ID="w1">Fever</content>')))
    assert only(found, Encounter).concept.display == "Office visit" and only(found, Problem).concept.display == "Fever"


def test_words_that_several_codes_claim_name_none_of_them() -> None:
    def done(code: str, name: str) -> str:
        return statement("procedure", "14", coded("code", code, name, inner=REFERS))

    stent, other, unnamed = done("1", "Placement of stent"), done("2", "Polypectomy"), done("3", "")
    words = '<content ID="w1">Removal of polyp</content>'
    for entries, wanted in (
        ((stent, other), ["Placement of stent", "Polypectomy"]),
        ((stent, stent), ["Removal of polyp", "Removal of polyp"]),
        ((stent, unnamed), ["Placement of stent", "Removal of polyp"]),
    ):
        found = read(document(section("47519-4", "</entry><entry>".join(entries), words)))
        assert [e.concept.display for e in found.entries if isinstance(e, Procedure)] == wanted


def test_no_information_is_no_name() -> None:
    smoking = coded("code", "72166-2", "Tobacco smoking status", "2.16.840.1.113883.6.1", inner="<originalText>No Information</originalText>")  # fmt: skip
    body = statement("observation", "78", smoking + '<value xsi:type="CD" nullFlavor="UNK"/>')
    found = only(read(document(section(SOCIAL, body))), SocialHistory)
    assert (found.concept.display, found.absent_reason) == ("Tobacco smoking status", "unknown")


def test_a_bare_assertion_is_named_by_its_template() -> None:
    smoker = coded("value", "8517006", "Former smoker", kind="CD")
    for template, name in (("78", "Tobacco smoking status"), ("85", "Tobacco use"), ("38", "Section")):
        body = statement("observation", template, coded("code", "ASSERTION", system="2.16.840.1.113883.5.4") + smoker)
        assert only(read(document(section(SOCIAL, body))), SocialHistory).concept.display == name


def test_a_row_of_a_table_is_no_name_where_the_code_has_one() -> None:
    row = '<table><tbody><tr ID="w1"><td>Gout attack, right toe</td><td>2019</td></tr></tbody></table>'
    cell = '<table><tbody><tr><td ID="w1">Gout attack, right toe</td><td>2019</td></tr></tbody></table>'
    named = coded("value", "90560007", "Gout", kind="CD", inner=REFERS)
    unnamed = (
        f'<value xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CD" nullFlavor="UNK">{REFERS}</value>'
    )
    told = [
        only(read(document(section("11450-4", problem(value), text))), Problem).concept.display
        for value, text in ((named, row), (named, cell), (unnamed, row))
    ]
    assert told == ["Gout", "Gout attack, right toe", "Gout attack, right toe | 2019"]


def test_a_value_of_which_nobody_knows_whether_it_holds_is_no_value() -> None:
    value = coded("value", "77386006", "Pregnancy", kind="CD")
    body = f'<templateId root="2.16.840.1.113883.10.20.15.3.8"/>{coded("code", "ASSERTION")}{value}'
    for attrs in ('moodCode="EVN" nullFlavor="UNK"', 'moodCode="EVN" nullFlavor="UNK" negationInd="true"'):
        found = only(read(document(section(SOCIAL, statement("observation", "", body, attrs)))), SocialHistory)
        assert (found.value_concept, found.value_text, found.absent_reason) == (None, "", "unknown")
        assert found.notes == ("unknown: Pregnancy",) and not found.has_flag("status_conflict")


def test_a_part_of_which_nobody_knows_whether_it_holds_is_no_value() -> None:
    part = statement("observation", "", coded("code", "1", "Blood culture") + coded("value", "10828004", "Positive", kind="CD"), 'moodCode="EVN" nullFlavor="NASK"')  # fmt: skip
    body = statement(
        "observation", "2", coded("code", "600-7", "Culture", "2.16.840.1.113883.6.1") + related(part, "COMP")
    )
    (found,) = only(read(document(section(RESULTS, body))), Result).components
    assert (found.value_concept, found.value_text, found.absent_reason) == (None, "", "not asked")


def drug(name: str, dose: str) -> str:
    held = f"<consumable><manufacturedProduct><manufacturedMaterial>{coded('code', '1', name, RXNORM)}</manufacturedMaterial></manufacturedProduct></consumable>"
    return statement(
        "substanceAdministration", "16", f'<doseQuantity value="{dose}"/>{held}', 'moodCode="INT"', "active"
    )


def test_the_drugs_of_a_cluster_are_read_and_what_it_plans_is_not() -> None:
    planned = drug("Planned", "1").replace(f"{T}16", f"{T}42")
    parts = "".join(
        f"<component>{d}</component>" for d in (drug("Azithromycin", "2"), drug("Azithromycin", "1"), planned)
    )
    found = read(
        document(section(MEDICATIONS, statement("organizer", "", parts, 'classCode="CLUSTER" moodCode="EVN"')))
    )
    drugs = [e for e in found.entries if isinstance(e, Medication)]
    assert [(d.concept.display, d.intent, d.dosages[0].dose.value) for d in drugs] == [("Azithromycin", "order", 2.0), ("Azithromycin", "order", 1.0)]  # fmt: skip
    assert len({d.id for d in drugs}) == 2 and found.ledger.by_type["ClinicalStatement"]["offered"] == 1


def test_a_failed_procedure_says_so() -> None:
    failed = related(
        statement("act", "", coded("code", "103709008", "Failed attempted procedure") + "<text>Patient moved</text>")
    )
    body = statement("procedure", "14", coded("code", "168731009", "Chest X-ray") + failed)
    found = only(read(document(section("47519-4", body))), Procedure)
    assert found.status == "completed" and found.outcome == "Failed attempted procedure: Patient moved"


def test_an_exports_own_bookkeeping_is_a_remark_of_the_report_and_no_result() -> None:
    kind = statement(
        "observation",
        "",
        '<code nullFlavor="UNK"/><value xsi:type="CD" code="16" codeSystem="1.2.3" codeSystemName="Local.Type"/>',
    )
    named = statement(
        "observation",
        "2",
        coded("code", "2345-7", "Glucose", "2.16.840.1.113883.6.1") + '<value xsi:type="PQ" value="7" unit="mg/dL"/>',
    )
    panel = statement("organizer", "1", coded("code", "24320-4", "Panel") + f"<component>{kind}</component><component>{named}</component>")  # fmt: skip
    found = read(document(section(RESULTS, panel)))
    assert only(found, Result).concept.display == "Glucose"
    assert only(found, Report).notes == ("an observation without name: code 16 of Local.Type",)


def test_what_is_said_of_a_relative_is_no_fact_of_the_patient() -> None:
    mother = (
        '<subject><relatedSubject><code code="MTH" codeSystem="2.16.840.1.113883.5.111"/></relatedSubject></subject>'
    )
    own, patient = mother.replace("MTH", "SELF"), mother.replace("MTH", "116154003")
    for relative, wanted in ((mother, 0), (own, 1), (patient, 1)):
        act = problem(ASTHMA).replace("<statusCode", f"{relative}<statusCode", 1)
        found = read(document(section("11450-4", act, "Asthma")))
        assert len([e for e in found.entries if isinstance(e, Problem)]) == wanted and found.ledger.balanced
    family = read(document(section("10157-6", problem(ASTHMA), "Mother: asthma")))
    assert not [e for e in family.entries if isinstance(e, Problem)]
