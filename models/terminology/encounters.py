"""Contacts with care: how their class is spelled, what says that one was held remotely, and where a patient was discharged to.

Classes: HL7 v3 ActCode (ActEncounterCode), HL7 v2 table 0004, DSTU2's words. Dispositions: HL7's discharge-disposition codes
(http://terminology.hl7.org/CodeSystem/discharge-disposition), to which the two-digit patient discharge status of claims (UB-04 field 17, HL7 v2
table 0112) is brought; the words are our own.
"""

from __future__ import annotations

import re

from models.terminology.clinical import TELEHEALTH_CODES, says_telehealth
from models.terminology.systems import CPT, HCPCS, POS

CLASSES = frozenset(["AMB", "EMER", "FLD", "HH", "IMP", "ACUTE", "NONAC", "OBSENC", "PRENC", "SS", "VR"])
IN_PRESENCE = CLASSES - {"VR"}
_SPELLINGS = {
    # DSTU2 and words that stand where the ActCode belongs
    "inpatient": "IMP",
    "inpatient encounter": "IMP",
    "inpatient acute": "ACUTE",
    "inpatient non-acute": "NONAC",
    "outpatient": "AMB",
    "outpatient encounter": "AMB",
    "ambulatory": "AMB",
    "emergency": "EMER",
    "emergency department": "EMER",
    "emergency room": "EMER",
    "virtual": "VR",
    "telehealth": "VR",
    "telemedicine": "VR",
    "home": "HH",
    "home health": "HH",
    "field": "FLD",
    "observation": "OBSENC",
    "observation encounter": "OBSENC",
    "short stay": "SS",
    "pre-admission": "PRENC",
    "preadmission": "PRENC",
    "pre admit": "PRENC",
    "preadmit": "PRENC",
}
_V2 = {"E": "EMER", "I": "IMP", "O": "AMB", "P": "PRENC", "R": "AMB"}
"""HL7 v2 table 0004 (patient class); R is a recurring outpatient, B (obstetrics) may be either. One letter means nothing else here."""


def encounter_class(system: str, code: str, display: str) -> str:
    """The ActCode that a class's code or words mean; as sent where they mean none.

    The letters of HL7 v2 count only in its table or where no system is named: a site's own "R" may be anything.
    """
    for words in (code, display):
        bare = words.strip()
        if bare.upper() in CLASSES:
            return bare.upper()
        found = _SPELLINGS.get(bare.casefold())
        if found is None and (not system or "0004" in system or "12.4" in system):
            found = _V2.get(bare.upper())
        if found:
            return found
    return code or display


_POS_REMOTE = frozenset({"02", "2", "10"})
"""CMS place of service: telehealth outside and in the patient's home."""
_MODIFIERS_REMOTE = frozenset({"95", "93", "GT", "GQ", "FQ"})
"""CPT and HCPCS modifiers of telehealth claims; in a system of modifiers, alone beside a code, or appended to one (99213-95)."""


def is_remote_code(system: str, code: str) -> bool:
    """Whether a code of a type, service or place says that a contact was held remotely."""
    if code in TELEHEALTH_CODES:
        return True
    if system == POS or "place-of-service" in system.lower():
        return code in _POS_REMOTE
    if "modifier" in system.lower() or (
        system in (CPT, HCPCS) and len(code) == 2
    ):  # a code of theirs has five characters
        return code.upper() in _MODIFIERS_REMOTE
    base, dash, modifier = code.partition("-")
    return bool(dash) and len(base) == 5 and base.isalnum() and modifier.upper() in _MODIFIERS_REMOTE


_IN_PERSON = re.compile(r"\bin[- ]person\b|\bface[- ]to[- ]face\b|\bnot (a )?tele", re.I)


def says_remote(text: str) -> bool:
    """Whether words describe a contact held remotely, and not one in person."""
    low = text.casefold()
    hinted = "tele" in low or "phone" in low or "virtual" in low or "video" in low or "visit" in low or "audio" in low
    # One of these is in every wording that says so; most have none, and the search for them is cheap.
    return hinted and says_telehealth(text) and not _IN_PERSON.search(text)


_DISPOSITIONS = {
    "home": "home",
    "alt-home": "another home",
    "other-hcf": "another health care facility",
    "hosp": "hospice",
    "long": "long-term care",
    "aadvice": "left against advice",
    "exp": "died",
    "psy": "psychiatric hospital",
    "rehab": "rehabilitation",
    "snf": "skilled nursing facility",
    "oth": "another place",
}
_STATUS = {
    **dict.fromkeys(("01", "06", "81", "86"), "home"),
    **dict.fromkeys(("02", "05", "43", "66", "69", "70", "82", "85", "88", "94", "95"), "other-hcf"),
    **dict.fromkeys(("03", "61", "83", "89"), "snf"),
    **dict.fromkeys(("04", "63", "64", "84", "91", "92"), "long"),
    "07": "aadvice",
    **dict.fromkeys(("20", "40", "41", "42"), "exp"),
    **dict.fromkeys(("21", "87"), "oth"),
    **dict.fromkeys(("50", "51"), "hosp"),
    **dict.fromkeys(("62", "90"), "rehab"),
    **dict.fromkeys(("65", "93"), "psy"),
}
"""Patient discharge status -> disposition: to home (with home health too), hospitals, nursing, long-term care, left, died,
law enforcement, hospice, rehabilitation, psychiatry; 81-95 the same with a planned readmission. 30 (still a patient) is none."""


def disposition(system: str, code: str) -> str:
    """HL7's discharge disposition of a code; '' where it has none."""
    bare = code.strip().casefold()
    if bare in _DISPOSITIONS:
        return bare
    lowered = system.casefold()
    if "nubc" in lowered or "0112" in lowered or "12.112" in lowered or "patdischargestatus" in lowered:
        return _STATUS.get(bare.zfill(2), "")
    return ""


def disposition_words(code: str) -> str:
    """A disposition of HL7's list in words; '' for others."""
    return _DISPOSITIONS.get(code, "")


LONGEST_HOURS = {"EMER": 14 * 24.0, "AMB": 31 * 24.0, "VR": 31 * 24.0, "SS": 14 * 24.0, "OBSENC": 31 * 24.0}
"""Hours that a finished contact of a class can last at most; longer ones are forgotten to be closed. Wide on purpose: boarding in
emergency rooms is counted in days, outpatient series in weeks."""
LONGEST_STAY_HOURS = 10 * 365 * 24.0
"""The same for all others: hospice and long-term care are counted in years."""
