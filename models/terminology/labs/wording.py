"""A local name of a test, taken apart: what is measured, in what, how.

"GLUC,FAST (POC)", "Glucose [Mass/volume] in Serum or Plasma" and "LDL Chol Calc SerPl-mCnc" end as component words and axes:
specimen, property, scale, method, challenge, timing. Names of the seed go through the same reading, so both sides meet.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from models.terminology.seeds import seed_rows


class Wording(NamedTuple):
    """What a name says. Empty: it does not say."""

    words: tuple[str, ...] = ()
    system: str = ""
    prop: str = ""
    scale: str = ""
    method: frozenset[str] = frozenset()
    challenge: str = ""
    time: str = ""
    formal: bool = False
    """Written as LOINC writes: then a method that is not told is not meant."""

    def key(self) -> str:
        """The component words, each once, in alphabetic order: equal keys name the same component."""
        return " ".join(sorted(set(self.words)))


_PHRASES = tuple(
    (re.compile(pattern), put)
    for pattern, put in (
        (
            r"\b25[ -]*\(? ?oh ?\)? ?d?\b(?=.*\bvit|\bd\b)|\b25 ?\(oh\) ?d\b|\b25[ -]?hydroxy(vitamin)?\b",
            " 25 hydroxy ",
        ),
        (r"\b1[ ,]*25[ -]*(\(oh\)2|dihydroxy|di-oh|oh)|\b1,25 \(oh\)2 ?d?\b", " 1 25 dihydroxy "),
        (r"\bwhite (blood )?(cells?|count)( count)?\b", " wbc "),
        (r"\bred (blood )?cells?( count)?\b", " rbc "),
        (r"\bblood urea nitrogen\b|\burea nitrogen\b|\burea n\b", " bun "),
        (r"\bblood sugar\b", " glucose "),
        (r"\bblood pressure\b", " bp "),
        (r"\bblood (type|group|grouping)\b", " bloodgroup "),
        (r"\bblood cultures?\b|\bcultures?,? blood\b", " bacteria culture blood "),
        (r"\boccult (blood|bld)\b|\bblood,? occult\b|\bhemoccult\b|\bguaiac\b", " occultblood "),
        (r"\bper (low|high) power field\b", " "),
        (r"\b(non|not)[ -.]*(african|afr|black|aa)\b[ .]*(am(er(ican)?)?n?)?\b", " nonblack "),
        (r"\bnonaf?r?ican\b|\bnonafricn am\b|\bnonafric\w* am\b", " nonblack "),
        (r"\b(african|afr\.?|africn) ?(am(er(ican)?)?n?)?\b", " black "),
        (r"\bnon[ -]*(?=hdl)", " non "),
        (r"\bnonhdl(-?c)?\b|\bnhdl\b", " non hdl "),
        (r"\bc[ -]?diff(icile)?\b|\bclostrid(ium|ioides) difficile\b|\bcdiff\b", " cdifficile "),
        (r"\b(sars[ -]?cov[ -]?2|covid[ -]?19|covid|coronavirus 2019)\b", " sarscov2 "),
        (r"\b(4th|fourth) gen(eration)?\b", " "),
        (r"\b(3rd|third) gen(eration)?\b", " thirdgen "),
        (r"\b(high|hi) sens(itivity|itive)?\b|\bhs[- ]?(?=c?r?p|trop|tn)|\bultra ?sensitive\b", " highsens "),
        (r"\b24[ -]*(h|hr|hrs|hour|hours)\b", " 24h "),
        (r"\b(\d) ?(h|hr|hrs|hour|hours)\b", r" \1hr "),
        (r"\bpost[ -]?(prandial|meal)\b|\bpp\b", " aftermeal "),
        (r"\bin serum or plasma\b|\bin serum, plasma or blood\b", " serpl "),
        (r"\bat(rial)? natriuretic\b", " anp "),
        (r"\bgroup ([ab]) strep\b|\bstrep(tococcus)?,? (?:group|gp) ([ab])\b", r" strep \1\3 "),
        (r"\bi-stat\b", " istat "),
        (r"\bo ?(&|and|\+) ?p\b", " ova parasites "),
        (r"\bs ?/ ?co\b", " signalcutoff "),
        (r"\ba ?[/:] ?g\b(?= ratio)|\bag ratio\b", " albumin globulin ratio "),
        (r"(?<=[a-z])\+(?=\W|$)|(?<=[a-z])\+\+(?=\W|$)", " "),
        (r"\bpulse ?ox(imetry)?\b|\boximetry\b", " pulseox "),
        (
            r"\b(?:(low)|(high)) density lipo ?protein( cholesterol)?( \((ldl|hdl)\))?",
            lambda m: " ldl " if m[1] else " hdl ",
        ),
        (r"\bcholesterol in (?=[hlv])", " "),
        (r"[%]", " percent "),
        (r"[#]", " absolute "),
    )
)
"""Rewritten before the words are split. Order matters."""

_BRACKETS = (
    ("mass/volume", "mass_conc"),
    ("moles/volume", "substance_conc"),
    ("enzymatic activity/volume", "enzyme_conc"),
    ("log", "log_conc"),
    ("units/volume", "arbitrary_conc"),
    ("#/volume", "number_conc"),
    ("#/area", "number_conc"),
    ("presence", "presence"),
    ("titer", "titer"),
    ("mass ratio", "mass_ratio"),
    ("molar ratio", "substance_ratio"),
    ("volume fraction", "volume_fraction"),
    ("entitic volume", "entitic_volume"),
    ("entitic mass", "entitic_mass"),
    ("mass/time", "mass_rate"),
    ("moles/time", "substance_rate"),
    ("volume rate/area", "area_rate"),
    ("partial pressure", "partial_pressure"),
    ("identifier", "finding"),
    ("interpretation", "finding"),
    ("type", "finding"),
    ("ratio", "ratio"),
)
"""Properties as LOINC's own names bracket them."""
_BRACKETED = re.compile(r"\[([a-z#/ ]+)\]")

_SYSTEMS = {
    "serum/plasma": "serum plasma serpl ser srm plas serplas sp ppp",
    "blood": "blood bld wb whole",
    "arterial blood": "arterial art blda abg aterial",
    "venous blood": "venous ven bldv vbg mixed",
    "capillary blood": "capillary cap bldc cbg fingerstick heelstick",
    "cord blood": "cord bldco",
    "urine": "urine ur urn urin uds random randm",
    "urine sediment": "sediment urns",
    "csf": "csf cerebrospinal spinal",
    "stool": "stool fecal feces faecal stl",
    "body fluid": "fluid fld pleural peritoneal ascites ascitic pericardial synovial",
    "sweat": "sweat",
    "saliva": "saliva salivary",
    "amniotic": "amniotic amn",
    "semen": "semen sperm seminal",
    "meconium": "meconium mec",
    "breath": "breath",
    "throat": "throat pharynx pharyngeal",
    "respiratory": "nasopharyngeal nasal nares np respiratory nasopharynx",
    "sputum": "sputum spt bal",
    "wound": "wound wnd",
    "vaginal": "vaginal vag",
    "cervix": "cervical cervix",
    "tissue": "tissue biopsy marrow",
    "dried blood": "dbs newborn",
    "red cells": "rbcs",
}
_SYSTEM_OF = {word: system for system, words in _SYSTEMS.items() for word in words.split()}
_WEAK = frozenset({"random", "randm", "whole", "mixed", "blood", "bld", "sp", "cap", "art"})
"""Words that name a specimen only where no other word does."""
_MATTERS = frozenset({"breath", "sediment", "newborn", "sperm"})
"""Specimen words that stay in the component."""

_METHODS = {
    "calculated": "calc calculated cal calculation",
    "direct": "direct measured meas",
    "manual": "manual man",
    "automated": "auto automated automatic instrument",
    "glucometer": "poc poct istat bedside waived glucometer accucheck meter",
    "screen": "screen scrn scn screening scr",
    "immunoassay": "immunoassay eia ia elisa immunologic immune",
    "naa": "naa naat pcr tma amplification amp",
    "culture": "culture cult cx",
    "test strip": "strip dipstick dip ua urinalysis macroscopic",
    "microscopy": "microscopic micro microscopy smear",
    "electrophoresis": "elph electrophoresis spep ",
    "immunofluorescence": "ifa if immunofluorescence",
    "westergren": "westergren",
    "hplc": "hplc",
    "pulse oximetry": "pulseox",
    "high sensitivity": "highsens hs",
    "third generation": "thirdgen ultrasensitive",
    "ckd-epi": "ckdepi epi ckd",
    "mdrd": "mdrd",
    "rapid": "rapid rpd",
    "estimated": "est estimated",
}
_METHOD_OF = {word: method for method, words in _METHODS.items() for word in words.split()}
_PROPERTIES = {
    "mcnc": "mass_conc",
    "scnc": "substance_conc",
    "ccnc": "enzyme_conc",
    "acnc": "arbitrary_conc",
    "ncnc": "number_conc",
    "nfr": "number_fraction",
    "mfr": "mass_fraction",
    "vfr": "volume_fraction",
    "mrto": "mass_ratio",
    "srto": "substance_ratio",
    "mrate": "mass_rate",
    "srate": "substance_rate",
    "percent": "fraction",
    "pct": "fraction",
    "relative": "fraction",
    "absolute": "number_conc",
    "hpf": "number_conc",
    "lpf": "number_conc",
}
_SCALES = {
    "ql": "ord",
    "qual": "ord",
    "qualitative": "ord",
    "qn": "qn",
    "quant": "qn",
    "quantitative": "qn",
    "quan": "qn",
    "qnt": "qn",
    "titer": "titer",
    "titr": "titer",
    "titre": "titer",
}
_CHALLENGES = {
    "fasting": "fasting",
    "fast": "fasting",
    "fasted": "fasting",
    "trough": "trough",
    "trgh": "trough",
    "peak": "peak",
    "aftermeal": "after meal",
    "am": "morning",
    "morning": "morning",
    "gtt": "dose",
    "ogtt": "dose",
    "tolerance": "dose",
    "challenge": "dose",
    "1hr": "1 h",
    "2hr": "2 h",
    "3hr": "3 h",
    "0hr": "0 h",
    "4hr": "4 h",
}
_NOISE = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "in",
        "by",
        "or",
        "for",
        "on",
        "to",
        "and",
        "at",
        "with",
        "w",
        "wo",
        "reflex",
        "reflx",
        "rflx",
        "wrfx",
        "rfx",
        "level",
        "lvl",
        "levels",
        "lev",
        "test",
        "tests",
        "tst",
        "result",
        "results",
        "quest",
        "labcorp",
        "sendout",
        "send",
        "out",
        "xx",
        "zz",
        "zzz",
        "mayo",
        "arup",
        "ref",
        "lab",
        "external",
        "ext",
        "historical",
        "hist",
        "final",
        "obs",
        "panel",
        "profile",
        "per",
        "unspecified",
        "specimen",
        "sample",
        "count",
        "ct",
        "cnt",
        "qty",
        "amount",
        "method",
        "enzymatic",
        "nom",
        "nominal",
        "point",
        "op",
        "ip",
        "amb",
        "patient",
        "new",
        "old",
        "mod",
        "modified",
        "rt",
        "units",
        "unit",
        "eag",
        "100",
        "lc",
        "ms",
        "lcms",
        "performed",
        "outside",
        "scanned",
        "concentration",
        "detection",
        "probe",
        "target",
        "spectrophotometry",
        "colorimetric",
        "cnc",
        "actual",
        "normal",
    ]
)
"""Words that say nothing about the test: how it was ordered, by whom, through which laboratory."""

_WORDS: dict[str, str] = {row[0]: row[1] for row in seed_rows("lab-words.tsv")}
"""Abbreviations with one meaning among tests."""
_CELLS = frozenset(
    [
        "neutrophils",
        "lymphocytes",
        "monocytes",
        "eosinophils",
        "basophils",
        "granulocytes",
        "segmented",
        "bands",
        "band",
        "leukocytes",
        "platelets",
        "erythrocytes",
        "reticulocytes",
        "retic",
        "nrbc",
        "blasts",
        "cd4",
        "cd8",
        "ig",
    ]
)
_SPLIT = re.compile(r"[^a-z0-9]+")
_PANEL = re.compile(
    r"^\s*(cmp|bmp|cbc|cbcd|lipid|lft|hfp|rfp|hepatic|renal|thyroid|coag|iron studies|diff)\b\s*[-:|/>]\s*"
)
_VENDOR_TAIL = re.compile(r"\s*[-–]\s*(sendout|send out|quest|labcorp|lc|arup|mayo|external|poc|historical)\s*$")


@lru_cache(maxsize=8192)
def read(text: str) -> Wording:
    """A name taken apart. Pure; names of seeds and of sources alike."""
    low = text.lower()
    if not low.isascii():
        low = unicodedata.normalize("NFKD", low.replace("µ", "u").replace("μ", "u")).encode("ascii", "ignore").decode()
    low = _PANEL.sub("", low)
    prop = ""
    for inner in _BRACKETED.findall(low):
        prop = prop or next((p for sign, p in _BRACKETS if sign in inner), "")
    low = _BRACKETED.sub(" ", low)
    low = _VENDOR_TAIL.sub("", low)
    for pattern, put in _PHRASES:
        low = pattern.sub(put, low)
    found = _SPLIT.split(low)
    return _axes([word for word in found if word], prop)._replace(formal=bool(prop))


def _axes(found: list[str], prop: str) -> Wording:
    systems: list[str] = []
    methods: set[str] = set()
    scale = challenge = time = ""
    kept: list[str] = []
    strong = any(w in _SYSTEM_OF and w not in _WEAK for w in found) or "ua" in found
    cells = any(_WORDS.get(w, w) in _CELLS for w in found)
    for place, word in enumerate(found):
        if word == "24h":
            time = "24 h"
        elif word in ("alk", "alkaline", "acid") and place + 1 < len(found) and found[place + 1].startswith("phos"):
            kept += ["alkaline" if word != "acid" else "acid", "phosphatase"]
            found[place + 1] = ""
        elif not word:
            continue
        elif word in _SYSTEM_OF and not (word in ("blood", "bld", "whole") and strong):
            system = _SYSTEM_OF[word]
            if word in ("random", "randm"):
                continue
            systems.append(system)
            if word in _MATTERS:
                kept.append(word)
        elif word in ("u",) and place == len(found) - 1 and len(found) > 1:
            systems.append("urine")
        elif word in _PROPERTIES:
            prop = prop or _PROPERTIES[word]
        elif word in ("abs", "abso") and cells:
            prop = prop or "number_conc"
        elif word in _SCALES:
            scale = scale or _SCALES[word]
        elif word in _CHALLENGES:
            challenge = f"{challenge} {_CHALLENGES[word]}".strip()
        elif word in _METHOD_OF and word not in ("micro", "direct", "epi", "scr", "man", "meter", "if", "ia"):
            methods.add(_METHOD_OF[word])
        elif word in ("direct", "micro", "ia", "if") and len(found) > 1:
            if word == "direct":
                kept.append(word)
            methods.add(_METHOD_OF[word])
        elif word in _NOISE and len(found) > 1:
            continue
        else:
            kept += _WORDS.get(word, word).split()
    if "test strip" in methods and not systems:
        systems.append("urine")
    if "screen" in methods and "uds" in found and "urine" not in systems:
        systems.append("urine")
    system = next((s for s in systems if s != "blood"), systems[0] if systems else "")
    if not kept:
        kept = [w for w in found if w]
    return Wording(tuple(kept), system, prop, scale, frozenset(methods), challenge, time)
