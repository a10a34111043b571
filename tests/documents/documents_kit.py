"""Tiny C-CDA documents. Every person and identifier here is invented."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapters.normalizer import NormalizationRules, Normalized, normalize, parse_file
from models.record import AnyEntry

NOW = "2024-06-30T12:00:00Z"
CORPUS = Path(__file__).resolve().parents[3] / "shared" / "data"
T = "2.16.840.1.113883.10.20.22.4."
LOINC, SNOMED, RXNORM = "2.16.840.1.113883.6.1", "2.16.840.1.113883.6.96", "2.16.840.1.113883.6.88"
PROBLEMS, ALLERGIES, MEDICATIONS, IMMUNIZATIONS = "11450-4", "48765-2", "10160-0", "11369-6"
RESULTS, VITALS, SOCIAL, PLAN = "30954-2", "8716-3", "29762-2", "18776-5"
PERSON = """<recordTarget><patientRole><id root="1.2.3" extension="MRN7"/>
<patient><name use="L"><given>Ada</given><family>Moor</family></name>
<administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19700501"/></patient>
</patientRole></recordTarget>"""


def section(code: str, entries: str = "", text: str = "", title: str = "Section", more: str = "") -> str:
    narrative = f"<text>{text}</text>" if text else ""
    wrapped = f"<entry>{entries}</entry>" if entries else ""
    return (
        f'<component><section {more}><code code="{code}" codeSystem="{LOINC}"/><title>{title}</title>{narrative}{wrapped}'
        "</section></component>"
    )


def document(*sections: str, head: str = PERSON, ids: str = '<id root="9.9.1"/>', related: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{ids}'
        f'<code code="34133-9" codeSystem="{LOINC}" displayName="Summary"/><title>Summary</title>'
        f'<effectiveTime value="20240601"/>{head}{related}<component><structuredBody>{"".join(sections)}</structuredBody>'
        "</component></ClinicalDocument>"
    ).encode()


def coded(tag: str, code: str, display: str = "", system: str = SNOMED, kind: str = "", inner: str = "") -> str:
    typed = f'xsi:type="{kind}" ' if kind else ""
    return f'<{tag} {typed}code="{code}" codeSystem="{system}" displayName="{display}">{inner}</{tag}>'


def statement(tag: str, template: str, inner: str, attrs: str = 'moodCode="EVN"', status: str = "completed") -> str:
    known = f'<templateId root="{T}{template}"/>' if template else ""
    told = f'<statusCode code="{status}"/>' if status else ""
    return f"<{tag} {attrs}>{known}{told}{inner}</{tag}>"


def related(inner: str, kind: str = "SUBJ") -> str:
    return f'<entryRelationship typeCode="{kind}">{inner}</entryRelationship>'


def problem(
    value: str, when: str = '<low value="2019"/>', attrs: str = "", more: str = "", status: str = "active"
) -> str:
    observed = statement(
        "observation", "4", f"<effectiveTime>{when}</effectiveTime>{value}{more}", f'moodCode="EVN" {attrs}'
    )
    return statement("act", "3", related(observed), status=status)


def read(data: bytes, rules: NormalizationRules | None = None) -> Normalized:
    resources, rejected = parse_file(data, "f.xml", tenant="t", site="s", retrieved=NOW)
    return normalize(resources, rejected=rejected, rules=rules)


def only(found: Normalized, kind: type[Any]) -> Any:
    """The one entry of a class."""
    (entry,) = [e for e in found.entries if isinstance(e, kind)]
    return entry


def flags(entry: AnyEntry) -> set[str]:
    return {f.code for f in entry.flags}
