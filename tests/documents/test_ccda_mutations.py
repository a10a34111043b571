"""Documents that were damaged on purpose: never a crash, and every statement is accounted for."""

from __future__ import annotations

import copy
import random

import lxml.etree
from documents_kit import (
    ALLERGIES,
    IMMUNIZATIONS,
    MEDICATIONS,
    PLAN,
    PROBLEMS,
    RESULTS,
    SOCIAL,
    VITALS,
    coded,
    document,
    problem,
    read,
    related,
    section,
    statement,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.normalizer import assemble, coverage_from_entries
from models.record.dates import is_partial_date

DRUG = "<consumable><manufacturedProduct><manufacturedMaterial>{}</manufacturedMaterial></manufacturedProduct></consumable>"
WHEN = (
    '<effectiveTime xsi:type="IVL_TS"><low value="20240101"/><high value="20240201"/></effectiveTime>'
    '<effectiveTime xsi:type="PIVL_TS"><period value="6" unit="h"/></effectiveTime>'
)
VALUE = '<value xsi:type="PQ" value="7.1" unit="mg/dL"/>'
OBSERVED = statement("observation", "2", coded("code", "2345-7", "Glucose") + '<effectiveTime value="2024"/>' + VALUE)
WHOLE = document(
    section(PROBLEMS, problem(coded("value", "195967001", "Asthma", kind="CD")), "<table><tr><td ID='a'>Asthma</td></tr></table>"),
    section(ALLERGIES, statement("act", "30", related(statement("observation", "7", coded("value", "419199007", kind="CD"))))),
    section(MEDICATIONS, statement("substanceAdministration", "16", WHEN + DRUG.format(coded("code", "1", "Drug")) + '<doseQuantity value="2"/>')),
    section(IMMUNIZATIONS, statement("substanceAdministration", "52", WHEN + DRUG.format(coded("code", "166", "flu")))),
    section(RESULTS, statement("organizer", "1", f"<component>{OBSERVED}</component>")),
    section(VITALS, statement("organizer", "26", f"<component>{OBSERVED}</component>")),
    section(SOCIAL, statement("observation", "78", coded("code", "72166-2") + coded("value", "449868002", kind="CD"))),
    section("47519-4", statement("procedure", "14", coded("code", "80146002", "Appendectomy") + WHEN)),
    section("46240-8", statement("encounter", "49", coded("code", "99213") + WHEN)),
    section(PLAN, statement("act", "39", coded("code", "1", "Visit"), 'moodCode="RQO"')),
)  # fmt: skip
ODD = [
    "",
    " ",
    "true",
    "-1",
    "1e400",
    "99999999999999999999",
    "2024-13-45",
    "0",
    "NaN",
    "é\u202e\u0301",
    "\U0001f600",
    "x" * 30_000,
    "PQ",
    "CD",
    "RTO",
    "#a",
    "UNK",
    "EVN",
    "INT",
]
NAMES = [
    "observation",
    "act",
    "value",
    "code",
    "effectiveTime",
    "entry",
    "section",
    "organizer",
    "text",
    "low",
    "period",
    "translation",
    "id",
]


def damaged(seed: int, blows: int) -> bytes:
    """`WHOLE` after some blows."""
    return damage(lxml.etree.fromstring(WHOLE), random.Random(seed), blows)


def damage(root: lxml.etree._Element, chance: random.Random, blows: int) -> bytes:
    """A document after some blows: elements dropped, doubled, moved, renamed; attributes dropped, changed, moved."""
    for _ in range(blows):
        element = chance.choice(list(root.iter())[1:])
        parent = element.getparent()
        blow = chance.randrange(7)
        if blow == 0 and parent is not None:
            parent.remove(element)
        elif blow == 1 and parent is not None:
            parent.append(copy.deepcopy(element))
        elif blow == 2:
            other = chance.choice(list(root.iter()))
            other.append(copy.deepcopy(element))
        elif blow == 3:
            element.tag = f"{{urn:hl7-org:v3}}{chance.choice(NAMES)}"
        elif blow == 4:
            element.text = chance.choice(ODD)
        elif element.attrib:
            name = chance.choice(list(element.attrib))
            if blow == 5:
                del element.attrib[name]
            else:
                element.set(name, chance.choice(ODD))
        else:
            element.set(chance.choice(["value", "code", "nullFlavor", "negationInd", "moodCode"]), chance.choice(ODD))
    return lxml.etree.tostring(root, xml_declaration=True, encoding="UTF-8")


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.integers(0, 10**9), st.integers(1, 25))
def test_damaged_documents_are_read_as_far_as_they_go(seed: int, blows: int) -> None:
    found = read(damaged(seed, blows))
    assert found.ledger.balanced and not [r for r in found.quarantine if r.reason == "unreadable"]
    ids = [e.id for e in found.entries]
    assert len(set(ids)) == len(ids)
    told = sum(n.startswith("ClinicalDocument/") and "#" in n for n in found.dispositions)
    assert found.ledger.by_type.get("ClinicalStatement", {"offered": 0})["offered"] == told
    for entry in found.entries:
        assert entry.origin.method == "document" and (entry.date is None or is_partial_date(entry.date))
    lines = coverage_from_entries(found.entries, ("s",), quarantine=found.quarantine, told=found.coverage)
    assert assemble("t", "p", found.entries, lines, as_of="2024-06-30T12:00:00Z").entries


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=4))
def test_bytes_that_were_changed_end_in_entries_or_quarantine(place: int, noise: bytes) -> None:
    found = read(WHOLE[:place] + noise + WHOLE[place + len(noise) :])
    assert found.ledger.balanced and (found.entries or found.quarantine)
