"""Writers of tiny releases. Codes are real where a rule needs them; the wordings are ours."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

LOINC_COLUMNS = (
    "LOINC_NUM",
    "COMPONENT",
    "CLASS",
    "VersionLastChanged",
    "STATUS",
    "CONSUMER_NAME",
    "SHORTNAME",
    "LONG_COMMON_NAME",
)
OLD_LOINC = (
    ("2345-7", "Glucose", "CHEM", "2.73", "ACTIVE", "", "Glucose SerPl-mCnc", "Glucose in serum, our words"),
    ("35184-1", "Fasting glucose", "CHEM", "2.70", "ACTIVE", "", "", "Fasting glucose, our words"),
    ("4548-4", "Hemoglobin A1c", "HEM", "2.80", "ACTIVE", "", "HbA1c Bld", "Hemoglobin A1c share, our words"),
    ("11111-1", "Something rare", "CHEM", "2.80", "TRIAL", "", "", "Rare thing"),
)
NEW_LOINC = (
    OLD_LOINC[0],
    ("35184-1", "Fasting glucose", "CHEM", "2.81", "DEPRECATED", "", "", "Fasting glucose, our words"),
    ("4548-4", "Hemoglobin A1c", "HEM", "2.81", "ACTIVE", "", "HbA1c Bld", "Hemoglobin A1c per total, our words"),
    ("11111-1", "Something rare", "CHEM", "2.81", "DISCOURAGED", "", "", "Rare thing"),
    ("22222-2", "New thing", "CHEM", "2.81", "ACTIVE", "", "", 'A "new" thing,\nin two lines'),
)


def csv_text(columns: tuple[str, ...], rows: Any) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows([columns, *rows])
    return out.getvalue()


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def zipped(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def loinc(folder: Path, rows: Any = OLD_LOINC, name: str = "Loinc_2.80.zip", maps: str = "") -> Path:
    members: dict[str, str | bytes] = {"LoincTable/Loinc.csv": "\ufeff" + csv_text(LOINC_COLUMNS, rows)}
    if maps:
        members["LoincTable/MapTo.csv"] = maps
    return zipped(folder / name, members)


def new_loinc(folder: Path) -> Path:
    return loinc(
        folder, NEW_LOINC, "Loinc_2.81.zip", '"LOINC","MAP_TO","COMMENT"\r\n"35184-1","1558-6","our words"\r\n'
    )


def conso(rxcui: str, tty: str, name: str, suppress: str = "N", sab: str = "RXNORM") -> str:
    return f"{rxcui}|ENG||||||9{rxcui}|{rxcui}|{rxcui}||{sab}|{tty}|{rxcui}|{name}||{suppress}|4096|\n"


def rel(target: str, source: str, rela: str) -> str:
    """RXCUI2 (source) has `rela` to RXCUI1 (target)."""
    return f"{target}||CUI|RO|{source}||CUI|{rela}|||RXNORM|RXNORM||||4096|\n"


def ndc(rxcui: str, code: str, suppress: str = "N", sab: str = "RXNORM") -> str:
    return f"{rxcui}||||||||NDC|{sab}|{code}|{suppress}||\n".replace("||||||||NDC", "|||1|AUI|1|2||NDC")


RXNCONSO = (
    conso("29046", "IN", "lisinopril")
    + conso("5487", "IN", "hydrochlorothiazide")
    + conso("314076", "SCD", "lisinopril 10 MG Oral Tablet")
    + conso("314076", "SY", "lisinopril ten milligram tablet")
    + conso("314076", "TMSY", "hidden wording", suppress="Y")
    + conso("316151", "SCDC", "lisinopril 10 MG")
    + conso("197885", "SCD", "hydrochlorothiazide 12.5 MG / lisinopril 10 MG Oral Tablet")
    + conso("104377", "SBD", "lisinopril 10 MG Oral Tablet [Zestril]")
    + conso("999001", "SCD", "withdrawn 5 MG Oral Tablet", suppress="O")
    + conso("316672", "DF", "Oral Tablet")
    + conso("314076", "PT", "another vocabulary's words", sab="VANDF")
)
RXNREL = (
    rel("316151", "314076", "consists_of")
    + rel("29046", "316151", "has_ingredient")
    + rel("316151", "29046", "ingredient_of")
    + rel("29046", "197885", "has_ingredient")
    + rel("5487", "197885", "has_ingredient")
    + rel("314076", "104377", "tradename_of")
    + rel("104377", "314076", "has_tradename")
)
RXNSAT = (
    ndc("314076", "00093111301")
    + ndc("314076", "00093111302", suppress="O")
    + ndc("104377", "00310013010")
    + ndc("104377", "00093111302")
    + ndc("29046", "0093-1113-01", sab="MTHSPL")
    + ndc("314076", "12345")
)
ARCHIVE = "1|2|old words|20100101|20100101|20100101|C|N|ENG|20100101|S|V|555|RXNORM|SCD|314076|\n"


CDC_CROSSWALK = (
    "SaleNDC11|SaleProprietaryName|SaleLabeler|StartDate|EndDate|SaleGTIN|SaleLastUpdate|UseNDC11|NoUseNDC|UseGTIN|UseLastUpdate|"
    "CVXCode|CVXDescription|MVXCode\n"
    "11111-0101-50|Somevax|Our labeler|7/1/2025||||11111-0101-01|False||7/15/2025|140|Influenza, our words|OUR\n"
    "11111-0102-10|Twovax|Our labeler|1/1/2024|||9/2/2025|11111-0103-01|False|||20|DTaP, our words|OUR\n"
    "11111-0102-10|Twovax|Our labeler|1/1/2024|||9/2/2025|11111-0104-01|False|||48|Hib, our words|OUR\n"
    "11111-0105-10|Nocode|Our labeler||||||False||||nothing|OUR\n"
)


def crosswalk(folder: Path, text: str = CDC_CROSSWALK, name: str = "ndc_lookup.txt") -> Path:
    return write(folder / name, text)


CCSR_OTHER = (
    "'ICD-10-CM CODE','ICD-10-CM CODE DESCRIPTION','Default CCSR CATEGORY IP','Default CCSR CATEGORY DESCRIPTION IP',"
    "'Default CCSR CATEGORY OP','Default CCSR CATEGORY DESCRIPTION OP','CCSR CATEGORY 1','CCSR CATEGORY 1 DESCRIPTION'\n"
    "'I10','Hypertension in our words','CIR099','ours','CIR099','ours','CIR099','ours'\n"
)


def rxnorm(folder: Path, name: str = "RxNorm_full_11032025.zip", conso_text: str = RXNCONSO) -> Path:
    return zipped(
        folder / name,
        {
            "rrf/RXNCONSO.RRF": conso_text,
            "rrf/RXNREL.RRF": RXNREL,
            "rrf/RXNSAT.RRF": RXNSAT,
            "rrf/RXNATOMARCHIVE.RRF": ARCHIVE,
            "prescribe/rrf/RXNCONSO.RRF": "this one is not read\n",
        },
    )


def rf2(columns: str, *rows: str) -> str:
    return (
        "\r\n".join((columns.replace(" ", "\t"), *(row if "\t" in row else row.replace(" | ", "\t") for row in rows)))
        + "\r\n"
    )


FSN, SYNONYM, IS_A = "900000000000003001", "900000000000013009", "116680003"
US, PREFERRED, ACCEPTABLE = "900000000000509007", "900000000000548007", "900000000000549004"
CONCEPTS = {
    "44054006": "1",
    "73211009": "1",
    "59621000": "1",
    "64572001": "1",
    "111552007": "0",
    "222000": "0",
    "75053002": "1",
}


def _description(number: str, code: str, kind: str, term: str, active: str = "1") -> str:
    return f"{number} | 20260301 | {active} | 1 | {code} | en | {kind} | {term} | 1"


def _member(refset: str, *cells: str, active: str = "1") -> str:
    return "\t".join(("u" + refset, "20260301", active, "1", refset, *cells))


def snomed_files(date: str = "20260301") -> dict[str, str | bytes]:
    end = f"US1000124_{date}.txt"
    folder = f"SnomedCT_ManagedServiceUS_PRODUCTION_US1000124_{date}T120000Z/Snapshot"
    extended = "id effectiveTime active moduleId refsetId referencedComponentId mapGroup mapPriority mapRule mapAdvice mapTarget correlationId mapCategoryId"
    us_map = "6011000124106"

    def mapped(code: str, group: str, priority: str, rule: str, advice: str, target: str, refset: str = us_map) -> str:
        return _member(refset, code, group, priority, rule, advice, target, "447561005", "447637006")

    return {
        f"{folder}/Terminology/sct2_Concept_Snapshot_{end}": rf2(
            "id effectiveTime active moduleId definitionStatusId",
            *(f"{code} | 20260301 | {active} | 1 | 2" for code, active in CONCEPTS.items()),
        ),
        f"{folder}/Terminology/sct2_Description_Snapshot-en_{end}": rf2(
            "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
            _description("1", "44054006", FSN, "Diabetes mellitus type 2 (disorder)"),
            _description("2", "44054006", SYNONYM, "Adult sugar illness, our words"),
            _description("3", "44054006", SYNONYM, "Type 2 diabetes mellitus"),
            _description("4", "73211009", FSN, "Diabetes mellitus (disorder)"),
            _description("5", "59621000", FSN, "Essential hypertension (disorder)"),
            _description("6", "64572001", FSN, "Disease (disorder)"),
            _description("7", "111552007", FSN, "Old sugar illness (disorder)"),
            _description("8", "222000", FSN, "Vague illness (disorder)"),
            _description("9", "59621000", SYNONYM, "Withdrawn wording", active="0"),
            _description("10", "75053002", FSN, "Broken leg of our words (disorder)"),
        ),
        f"{folder}/Terminology/sct2_Relationship_Snapshot_{end}": rf2(
            "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId characteristicTypeId modifierId",
            f"1 | 20260301 | 1 | 1 | 44054006 | 73211009 | 0 | {IS_A} | 1 | 1",
            f"2 | 20260301 | 1 | 1 | 73211009 | 64572001 | 0 | {IS_A} | 1 | 1",
            f"3 | 20260301 | 0 | 1 | 59621000 | 73211009 | 0 | {IS_A} | 1 | 1",
            "4 | 20260301 | 1 | 1 | 59621000 | 64572001 | 0 | 363698007 | 1 | 1",
        ),
        f"{folder}/Refset/Language/der2_cRefset_LanguageSnapshot-en_{end}": rf2(
            "id effectiveTime active moduleId refsetId referencedComponentId acceptabilityId",
            _member(US, "2", ACCEPTABLE),
            _member(US, "3", PREFERRED),
        ),
        f"{folder}/Refset/Content/der2_cRefset_AssociationSnapshot_{end}": rf2(
            "id effectiveTime active moduleId refsetId referencedComponentId targetComponentId",
            _member("900000000000526001", "111552007", "44054006"),
            _member("900000000000523009", "222000", "44054006"),
            _member("900000000000523009", "222000", "59621000"),
            _member("900000000000526001", "222000", "64572001", active="0"),
        ),
        f"{folder}/Refset/Map/der2_iisssccRefset_ExtendedMapSnapshot_{end}": rf2(
            extended,
            mapped("59621000", "1", "1", "TRUE", "ALWAYS I10", "I10"),
            mapped("44054006", "1", "1", "IFA 248152002 | Female |", "IF FEMALE CHOOSE O24.11", "O24.11"),
            mapped("44054006", "1", "2", "OTHERWISE TRUE", "ALWAYS E11.9", "E11.9"),
            mapped("73211009", "1", "1", "TRUE", "ALWAYS E11.9", "E11.9"),
            mapped("73211009", "2", "1", "TRUE", "ALWAYS Z79.4", "Z79.4"),
            mapped("75053002", "1", "1", "TRUE", "ALWAYS S82.90X?", "S82.90X?"),
            mapped("64572001", "1", "1", "TRUE", "MAP SOURCE CONCEPT CANNOT BE CLASSIFIED", ""),
            mapped("59621000", "1", "1", "TRUE", "ALWAYS I10", "I10", refset="447562003"),
        ),
    }


def snomed(folder: Path, date: str = "20260301") -> Path:
    return zipped(folder / f"SnomedCT_US_{date}.zip", snomed_files(date))


def order_line(number: int, code: str, billable: int, short: str, long: str) -> str:
    return f"{number:05d} {code:<7} {billable} {short:<60} {long}\r\n"


ORDER = (
    order_line(1, "I10", 1, "Essential (primary) hypertension", "Essential (primary) hypertension")
    + order_line(2, "E11", 0, "Type 2 diabetes", "Type 2 diabetes, our words")
    + order_line(3, "E119", 1, "Type 2 DM w/o comp", "Type 2 diabetes without trouble")
)
TABULAR = """<?xml version="1.0" encoding="utf-8"?>
<ICD10CM.tabular><version>2027</version><chapter><name>19</name><section id="S06">
<diag><name>S06</name><desc>Head injury</desc><sevenChrDef><extension char="A">initial encounter</extension>
<extension char="D">subsequent encounter</extension></sevenChrDef>
<diag><name>S06.0</name><desc>Shaken</desc><inclusionTerm><note>Knocked about</note></inclusionTerm>
<diag><name>S06.0X</name><desc>Shaken</desc><diag><name>S06.0X0</name><desc>Shaken, awake</desc></diag>
<diag><name>S06.0X7</name><desc>Shaken, died</desc></diag></diag></diag>
<diag><name>S06.1</name><desc>Swollen</desc></diag></diag></section></chapter></ICD10CM.tabular>"""
CVX_LINES = (
    "08   |hepatitis B, young   |Hep B, adolescent or pediatric dosage |note |Active |False |2010/05/28|\r\n"
    "140  |influenza seasonal, PF |Influenza, our words |note |Active |False |2025/08/29|\r\n"
    "16   |influenza, whole |Influenza whole virus |retired – note |Inactive |False |2010/05/28|\r\n"
    "99   |RESERVED |RESERVED - do not use |note |Never Active |True |2010/05/28|\r\n"
).encode("cp1252")
CVX_XML = """<CVXCodes><CVXInfo><ShortDescription>hepatitis B, young</ShortDescription><FullVaccinename>Hep B full</FullVaccinename>
<CVXCode>8</CVXCode><Notes/><Status>Active</Status><LastUpdated>9/1/2025</LastUpdated></CVXInfo></CVXCodes>"""
CCSR = (
    "\"'ICD-10-CM CODE'\",\"'ICD-10-CM CODE DESCRIPTION'\",\"'Default CCSR CATEGORY IP'\",\"'Default CCSR CATEGORY DESCRIPTION IP'\","
    "\"'Default CCSR CATEGORY OP'\",\"'CCSR CATEGORY 1'\",\"'CCSR CATEGORY 1 DESCRIPTION'\",\"'CCSR CATEGORY 2'\"\r\n"
    '"\'E1121\'","Diabetes with kidneys","\'END003\'","x","\'GEN003\'","\'END003\'","x","\'GEN003\'"\r\n'
    '"\'I10\'","High pressure","\'CIR007\'","x","\'CIR007\'","\'CIR007\'","x","\' \'"\r\n'
)
VALUE_SET: dict[str, Any] = {
    "resourceType": "ValueSet",
    "url": "http://example.org/ValueSet/diabetes",
    "version": "20260101",
    "date": "2026-01-01",
    "title": "Diabetes",
    "expansion": {
        "total": 2,
        "contains": [
            {
                "system": "http://hl7.org/fhir/sid/icd-10-cm",
                "abstract": True,
                "code": "E11",
                "contains": [
                    {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9", "display": "Type 2"},
                    {"system": "urn:oid:2.16.840.1.113883.6.96", "code": "44054006"},
                ],
            }
        ],
    },
}
CONCEPT_MAP: dict[str, Any] = {
    "resourceType": "ConceptMap",
    "url": "http://example.org/ConceptMap/labs",
    "version": "1",
    "group": [
        {
            "source": "http://hospital.example/labs",
            "target": "http://loinc.org",
            "element": [{"code": "GLU", "target": [{"code": "2345-7", "display": "Glucose", "equivalence": "equal"}]}],
        }
    ],
}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()
