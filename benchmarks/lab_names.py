"""Made-up local names of tests, for fitting and measuring the matcher: styles of hospitals and laboratories, slips, missing units.

`generate(seed)` draws from the seed's names; `thinned(seed)` is the seed with names and whole components taken out, so that the
matcher meets names it was not given and tests it does not have. Nothing here is used by the service.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from models.terminology.labs.anchors import LabTerm, seed_terms

VOLUME = {1: 100.0, 2: 30.0, 3: 10.0, 4: 3.0, 5: 1.0}
"""How often a test of a rank is met, relatively: the commonness column of the seed, as a volume."""


class Named(NamedTuple):
    """A name as a source would send it, and the code it means; '' for a test outside the seed."""

    text: str
    unit: str
    specimen: str
    value: float | None
    code: str
    weight: float


OUTSIDE = tuple(
    name.strip()
    for name in """
    Amiodarone level; Flecainide; Mexiletine; Clozapine level; Haloperidol level; Risperidone; Aripiprazole; Quetiapine level; Itraconazole
    Posaconazole; Fluconazole level; Isavuconazole; Rifampin level; Isoniazid level; Ethambutol; Linezolid level; Cefepime level
    Mycophenolic acid; Azathioprine metabolites; 6-thioguanine; 6-MMP; Busulfan; Imatinib level; Hydroxychloroquine level; Ustekinumab
    Vedolizumab level; Natalizumab antibody; Cotinine, urine; Caffeine level; Bromide; Thallium; Nickel blood; Cobalt serum; Aluminum
    Beryllium; Antimony; Iodine urine; Fluoride; Molybdenum; Titanium; Carnitine free; Acylcarnitine profile; Amino acids plasma
    Phenylalanine; Tyrosine; Leucine; Citrulline; Glutamine; Orotic acid; Very long chain fatty acids; Phytanic acid; Pipecolic acid
    Lysosomal enzymes; Hexosaminidase A; Beta-glucosidase; Arylsulfatase A; Biotinidase; Galactose-1-phosphate; Porphobilinogen urine
    Aminolevulinic acid; Porphyrins total plasma; Uroporphyrin; Protoporphyrin free erythrocyte; Heme; Methylhistidine; Hydroxyproline
    N-telopeptide; C-telopeptide serum; Osteocalcin; Bone alkaline phosphatase; Sclerostin; FGF23; PTHrP; Vitamin K; Coenzyme Q10; Biotin
    Vitamin B2; Niacin; Pantothenic acid; Beta carotene; Omega-3 index; Lipoprotein X; Lp-PLA2; Oxidized LDL; Adiponectin; Leptin; Ghrelin
    Resistin; Proinsulin; Insulin antibody; IA-2 antibody; ZnT8 antibody; Islet cell antibody; 21-hydroxylase antibody; Parietal cell ab
    Intrinsic factor antibody; Acetylcholine receptor binding ab; MuSK antibody; NMDA receptor antibody; Aquaporin-4 IgG; GM1 antibody
    Hu antibody; Yo antibody; Ri antibody; Amphiphysin ab; VGKC antibody; CASPR2; LGI1 antibody; GQ1b antibody; MAG antibody
    Histone antibody; Ku antibody; PM-Scl antibody; RNA polymerase III antibody; Mi-2 antibody; SRP antibody; MDA5 antibody
    Soluble liver antigen; LKM-1 antibody; F-actin antibody; ASCA IgA; Saccharomyces cerevisiae IgG; Phospholipase A2 receptor antibody
    GBM antibody; Platelet antibody; Heparin induced platelet antibody; Serotonin release assay; Platelet function PFA-100; ADAMTS13
    Plasmin inhibitor; PAI-1 activity; tPA antigen; Thromboelastograph R; Euglobulin lysis; Factor inhibitor Bethesda; Reptilase time
    Lupus anticoagulant hexagonal phase; Kaolin clotting time; Prekallikrein; HMW kininogen; Hemopexin; Plasma free hemoglobin
    Osmotic fragility; Heinz bodies; Pyruvate kinase RBC; Methemoglobin reductase; Hemoglobin H inclusion; Hemoglobin Barts
    Kleihauer Betke; Cold agglutinin; Donath Landsteiner; Direct Coombs C3; Red cell phenotype; Crossmatch; HLA-A typing; HLA DQ2
    PRA class I; CH100; C1 esterase inhibitor; C1q; C2 complement; C5; Factor B; Bb fragment; Mannose binding lectin; IgD; IgG4 food panel
    Tryptase; Histamine; Eosinophil cationic protein; sIL-2R; IL-2; IL-10; Interferon gamma; Neopterin; Serum amyloid A; Calreticulin
    CALR mutation; MPL mutation; FLT3 ITD; NPM1; KRAS; EGFR mutation; BRAF V600E; PD-L1; HER2 FISH; Estrogen receptor; Ki-67; MSI
    Cytogenetics karyotype; Microarray chromosomal; Fragile X; CFTR panel; SMN1; HFE C282Y; APOE genotype; MTHFR; CYP2C19; TPMT activity
    UGT1A1; DPYD; HLA-B*5701; Cell free DNA trisomy 21; Nuchal risk; PAPP-A; Inhibin A; Estriol unconjugated; AFP amniotic
    Acetylcholinesterase amniotic; L/S ratio; Lamellar body count; Fetal lung maturity; Placental growth factor; sFlt-1
    Chlamydia pneumoniae IgG; Mycoplasma pneumoniae IgM; Mycoplasma PCR; Legionella PCR; Pertussis toxin IgG; Q fever phase I
    Rickettsia IgG RMSF; Ehrlichia PCR; Anaplasma PCR; Babesia smear; Malaria smear; Leishmania ab; Trypanosoma cruzi IgG; Strongyloides ab
    Schistosoma IgG; Echinococcus; Toxocara; Trichinella; Cysticercosis; Entamoeba histolytica ag; Cyclospora; Microsporidia; Pinworm prep
    Histoplasma antigen urine; Blastomyces antigen; Cryptococcal antigen; Pneumocystis PCR; Aspergillus PCR; Mucor PCR; Candida auris
    HHV-6 PCR; EBV DNA quant; BK virus PCR; JC virus PCR; Parvovirus B19 PCR; HTLV I/II; Hepatitis B genotype; HCV NS5A resistance
    HIV genotype; HIV-2 RNA; Tropism; Enterovirus PCR CSF; HSV PCR CSF; VZV PCR lesion; Mumps PCR; Measles PCR; Rabies titer; Polio
    Tetanus antitoxoid; Diphtheria IgG; Pneumococcal serotype 14; Meningococcal; Haemophilus influenzae b IgG; CMV avidity; Chikungunya
    Norovirus antigen; Astrovirus; Shiga toxin 1; Campylobacter culture; Yersinia culture; Vibrio culture; VRE screen; ESBL; CRE PCR; KPC
    Chlorpyrifos; Cholinesterase RBC; Pseudocholinesterase; Dibucaine number; Ethylene glycol; Isopropanol; Acetone urine; Toluene
    Benzene; Carbon tetrachloride; Ketamine screen; LSD; MDMA confirm; Synthetic cannabinoids; Kratom; Gabapentin urine; Zolpidem urine
    Carisoprodol; Meperidine urine; Tapentadol; Hydromorphone confirm; Norfentanyl; Naloxone urine; Ethyl glucuronide; PEth
    Semen volume; Sperm morphology; Fructose semen; Post vasectomy; Gastric pH; Gastric aspirate; Pancreatic fluid amylase; Bile culture
    Nasal smear eosinophils; Urine eosinophils; Urine myoglobin; Urine porphobilinogen; Bence Jones; Urine immunofixation; Cystine urine
    Urine amino acids; Urine organic acids; Urine copper 24h; Urine iodine; Urine cotinine; Urine 17-ketosteroids; Urine dopamine
    Stool alpha-1 antitrypsin; Stool chymotrypsin; Stool osmolality; Stool sodium; Stool reducing substances; Stool fat qualitative
    CSF IgG index; CSF oligoclonal bands; CSF VDRL titer; CSF 14-3-3; CSF tau; CSF amyloid; CSF ACE; CSF lactate; CSF cytology
    Pleural fluid adenosine deaminase; Ascites triglyceride; Synovial crystals; Synovial uric acid; Vitreous potassium; Amniotic bilirubin
    Sweat sodium; Saliva cortisol; Hair mercury; Nail arsenic; Breath hydrogen; Bone marrow differential; Lymph node culture
    Ordering provider; Accession number; Patient instructions; Collected by; Received date; Report status; Clinical information
    Source; Body site; Units transfused; Message; See note; Disclaimer; Result comment; Verified by; PDF; Scanned report; Referral
    Vision left eye; Visual acuity; Intraocular pressure; Peak flow; FVC; DLCO; Grip strength; Gait speed; Fall risk; Braden score
    PR interval; QRS duration; Vent rate EKG; LVEF; Aortic root; Gleason score; Fundal height; Cervical dilation; Apgar 1 min
    """.replace("\n", ";").split(";")
    if name.strip()
)
"""Tests and captions outside the seed."""

_PRINTED = {
    "mg/dL": ("mg/dL", "MG/DL", "mg/dl"), "ug/dL": ("ug/dL", "mcg/dL", "MCG/DL"), "ug/mL": ("ug/mL", "mcg/mL", "MCG/ML"),
    "10*3/uL": ("K/uL", "x10E3/uL", "10*3/uL", "Thousand/uL", "10^3/uL", "th/mm3"), "10*6/uL": ("M/uL", "x10E6/uL", "Million/uL"),
    "mmol/L": ("mmol/L", "mEq/L", "MMOL/L"), "U/L": ("U/L", "IU/L", "units/L"), "m[IU]/L": ("uIU/mL", "mIU/L", "mcIU/mL"),
    "m[IU]/mL": ("mIU/mL", "MIU/ML"), "g/dL": ("g/dL", "G/DL", "gm/dL"), "[IU]/mL": ("IU/mL",), "[arb'U]/mL": ("U/mL", "AU/mL", "units"),
    "mm[Hg]": ("mmHg", "mm Hg"), "mm/h": ("mm/hr", "mm/h"), "/[HPF]": ("/HPF", "/hpf", "#/hpf"), "/[LPF]": ("/LPF", "/lpf"),
    "mL/min/{1.73_m2}": ("mL/min/1.73m2", "mL/min/1.73 m2", "mL/min"), "{INR}": ("", "INR", "ratio"), "{ratio}": ("", "ratio", "(calc)"),
    "[pH]": ("", "pH", "units"), "{specific_gravity}": ("",), "{titer}": ("", "titer"), "{index}": ("index", ""), "s": ("sec", "seconds", "s"),
    "mg/g{creat}": ("mg/g creat", "mcg/mg creat", "mg/g"), "mosm/kg": ("mOsm/kg",), "Cel": ("C", "F", "degF"), "kg": ("kg", "lb"),
    "cm": ("cm", "in"), "k[IU]/L": ("kU/L",), "ug/mL{FEU}": ("ug/mL FEU", "mg/L FEU"), "/uL": ("cells/uL", "/uL", "/cumm"),
    "mg/(24.h)": ("mg/24 h", "mg/24hr"), "{copies}/mL": ("copies/mL",), "/min": ("bpm", "/min"), "mmol/(24.h)": ("mmol/24 h",),
    "g/(24.h)": ("g/24 h",), "u[IU]/mL": ("uIU/mL",), "mg/mg{creat}": ("", "(calc)", "ratio"), "/100{WBCs}": ("/100 WBC", "%"),
}  # fmt: skip
_SYSTEM_WORDS = {
    "serum/plasma": ("SERUM", "SER", "PLASMA", "Serum/Plasma", "S"), "serum": ("SERUM", "Ser"), "plasma": ("PLASMA", "PLAS"),
    "blood": ("BLOOD", "BLD", "WB", "WHOLE BLOOD"), "arterial blood": ("ARTERIAL", "ART", "ABG"), "venous blood": ("VENOUS", "VEN", "VBG"),
    "capillary blood": ("CAPILLARY", "CAP"), "urine": ("URINE", "UR", "U", "RANDOM URINE"), "urine sediment": ("URINE", "UA", "UR"),
    "csf": ("CSF", "SPINAL FLUID"), "body fluid": ("BODY FLUID", "FLUID", "FLD"), "stool": ("STOOL", "FECAL"),
}  # fmt: skip
_MUST_TELL = frozenset(
    {"urine", "csf", "body fluid", "arterial blood", "venous blood", "capillary blood", "urine sediment", "stool"}
)
_PREFIXES = ("XX ", "ZZZ ", "POC ", "(LabCorp) ", "QUEST ", "LC ", "EXT ", "CMP - ", "CBC: ", "HIST ")
_SUFFIXES = (
    " - SENDOUT",
    " LEVEL",
    " LVL",
    " (POC)",
    " (EXTERNAL)",
    ", QN",
    " TEST",
    " RESULT",
    " (REF LAB)",
    " [Quest]",
    " W/REFLEX",
)
_LOINC_STYLE = {
    "mass_conc": "[Mass/volume]", "substance_conc": "[Moles/volume]", "enzyme_conc": "[Enzymatic activity/volume]", "presence": "[Presence]",
    "arbitrary_conc": "[Units/volume]", "number_conc": "[#/volume]", "titer": "[Titer]",
}  # fmt: skip


def thinned(seed: int, keep: float = 0.6, lose: float = 0.08) -> tuple[tuple[LabTerm, ...], frozenset[str]]:
    """The seed without a part of its names, and without the tests of some components; the codes that are left out."""
    chance = random.Random(seed)
    lost = {c for c in sorted({t.component for t in seed_terms()}) if chance.random() < lose}
    left, gone = [], set()
    for term in seed_terms():
        if term.component in lost:
            gone.add(term.code)
            continue
        names = tuple(n for n in term.names if chance.random() < keep)
        left.append(msgspec.structs.replace(term, names=names))
    return tuple(left), frozenset(gone)


def generate(seed: int, amount: int, gone: frozenset[str] = frozenset()) -> Iterator[Named]:
    """`amount` names; about an eighth of them outside the seed."""
    chance = random.Random(seed)
    terms = seed_terms()
    weights = [VOLUME[t.rank] ** 0.6 * (0.3 if "unspecified" in t.component else 1.0) for t in terms]
    for _ in range(amount):
        if chance.random() < 0.13:
            text = _styled(chance, chance.choice(OUTSIDE))
            unit = chance.choice(("", "", "mg/dL", "ng/mL", "U/mL", "%", "ug/mL", "umol/L", "IU/mL"))
            yield Named(text, unit, "", None, "", 2.0)
            continue
        term = chance.choices(terms, weights)[0]
        yield _named(chance, term, "" if term.code in gone else term.code)


def _named(chance: random.Random, term: LabTerm, code: str) -> Named:
    text = chance.choice((term.component, *term.names) if term.names else (term.component,)).replace(
        " unspecified method", ""
    )
    specimen = ""
    words = _SYSTEM_WORDS.get(term.system, ())
    tells = any(w.lower() in text.lower().split() for w in words) or term.system == "patient"
    if words and not tells:
        how = chance.random()
        if how < 0.4 or term.system in _MUST_TELL or (term.system == "blood" and how < 0.9 and _has_serum_twin(term)):
            if how < 0.25:
                specimen = chance.choice(words)
            else:
                word = chance.choice(words)
                text = chance.choice((f"{text}, {word}", f"{text} {word}", f"{text}-{word}", f"{word} {text}"))
    if term.property in _LOINC_STYLE and not term.challenge and chance.random() < 0.08:
        text = f"{text} {_LOINC_STYLE[term.property]} in {term.system.title().replace('/', ' or ')}"
    if term.challenge and not any(p in text.lower() for p in term.challenge.split()[:1]):
        text = f"{text} {term.challenge}"
    if term.time == "24 h" and "24" not in text:
        text = f"{text}, 24 HR"
    unit = ""
    if term.unit and chance.random() < 0.85:
        unit = chance.choice(_PRINTED.get(term.unit, (term.unit,)))
    value = None
    if (
        term.low is not None
        and term.high is not None
        and chance.random() < 0.5
        and unit not in ("F", "degF", "lb", "in")
    ):
        low, high = max(term.low, term.high / 1000), term.high
        value = round(low * (high / low) ** chance.betavariate(2, 3), 3) if low > 0 else None
    return Named(_styled(chance, text), unit, specimen, value, code, VOLUME[term.rank] ** 0.5)


def _has_serum_twin(term: LabTerm) -> bool:
    """Whole blood is told where the same is measured in serum."""
    return any(t.component == term.component and t.system == "serum/plasma" for t in seed_terms())


def _styled(chance: random.Random, text: str) -> str:
    if chance.random() < 0.08:
        text = chance.choice(_PREFIXES) + text
    if chance.random() < 0.15:
        text += chance.choice(_SUFFIXES)
    parts = text.split()
    if len(parts) > 1 and chance.random() < 0.12:
        text = (
            ", ".join((" ".join(parts[1:]), parts[0])) if chance.random() < 0.5 else f"{parts[0]},{' '.join(parts[1:])}"
        )
    if chance.random() < 0.08:
        text = _slip(chance, text)
    if chance.random() < 0.08:
        text = " ".join(word[: chance.randint(4, 6)] if len(word) > 7 else word for word in text.split())
    if chance.random() < 0.04:
        text = text[: chance.randint(18, 26)]
    how = chance.random()
    return text.upper() if how < 0.5 else text.title() if how < 0.75 else text


def _slip(chance: random.Random, text: str) -> str:
    places = [i for i, c in enumerate(text) if c.isalpha() and i > 2]
    if len(places) < 6:
        return text
    at = chance.choice(places)
    kind = chance.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1 and at + 1 < len(text):
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at] + text[at:]
