"""The built-in population: deterministic, longitudinal synthetic patients, some of them known at several hospitals.

Nobody here exists. Names are drawn from lists; the courses are made to be coherent, not to be epidemiology.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from service.practice_ehr.population import notes
from service.practice_ehr.population.course import Body
from service.practice_ehr.population.record import CODES, HOSPITALS, RXNORM, SNOMED, US_CORE, Json, Recorder, spaced

STAR_KEY = "p01"
"""The patient of the demo: known at all three hospitals, which do not agree."""
TODAY = date(2026, 11, 1)
_FEMALE = ("Eleanor", "Rosa", "Grace", "Ingrid", "Fatima", "Naomi", "Alice", "Yuki", "Carmen", "Hannah")
_MALE = ("Walter", "Samuel", "Diego", "Henrik", "Omar", "Isaac", "Louis", "Kenji", "Andre", "Victor")
_FAMILY = (
    "Whitfield",
    "Marchetti",
    "Abernathy",
    "Solberg",
    "Haddad",
    "Castellano",
    "Nakamura",
    "Okonkwo",
    "Brennan",
    "Lindgren",
)
_STREETS = ("Maple Street", "Harbor Road", "Orchard Lane", "Mill Avenue", "Second Street")


@dataclass
class SyntheticPatient:
    """One person and what each hospital recorded."""

    key: str
    name: str
    birth_date: date
    gender: str
    story: str
    records: dict[str, Recorder] = field(default_factory=dict)

    @property
    def hospitals(self) -> tuple[str, ...]:
        """Hospitals that know the person."""
        return tuple(self.records)

    def resources(self, hospital: str) -> list[Json]:
        """Plain R4 resources as recorded there; [] where the person is unknown."""
        record = self.records.get(hospital)
        return list(record.resources) if record else []

    def mrn(self, hospital: str) -> str:
        """The medical record number there."""
        record = self.records[hospital]
        return f"{record.place.key[:1].upper()}{100_000 + int(record.patient_id[-5:], 16) % 900_000}"


def generate(seed: int = 7, patients: int = 12, today: date = TODAY) -> list[SyntheticPatient]:
    """The first `patients` of the population of `seed`; the same in every process and on every Python."""
    makers: list[Callable[[Maker], None]] = [star, heart_failure, healthy_adult, child, elder, copd_patient]
    made = []
    for index in range(patients):
        key = f"p{index + 1:02d}"
        maker = Maker(key, random.Random(f"{seed}|{key}"), today)  # noqa: S311  a reproducible population
        (makers[index] if index < len(makers) else diabetic)(maker)
        made.append(maker.patient)
    return made


def canary(seed: int = 7, today: date = TODAY) -> SyntheticPatient:
    """A patient whose every name and number is unmistakable: none may turn up in a log, an error or a URL."""
    maker = Maker("canary", random.Random(f"{seed}|canary"), today)  # noqa: S311  a reproducible population
    maker.person(
        "Canaryfirst", "Canarylast", date(1961, 2, 3), True, "Its strings must never leak.", ("epic", "oracle_health")
    )
    diabetic_course(maker, ("epic",))
    maker.at("oracle_health").note(
        (("11506-3"), "Progress note"), "CANARYNOTE: seen for canarydiagnosis.", today - timedelta(days=30)
    )
    return maker.patient


class Maker:
    """Writes one patient's life."""

    def __init__(self, key: str, rng: random.Random, today: date) -> None:
        self.key, self.rng, self.today = key, rng, today
        self.patient: SyntheticPatient

    def person(
        self,
        given: str,
        family: str,
        born: date,
        female: bool,
        story: str,
        hospitals: tuple[str, ...],
        *,
        spelled: dict[str, str] | None = None,
    ) -> None:
        """The person, registered at the hospitals; `spelled` is the family name where one has it differently."""
        gender = "female" if female else "male"
        self.patient = SyntheticPatient(self.key, f"{given} {family}", born, gender, story)
        street, phone = f"{self.rng.randint(10, 980)} {self.rng.choice(_STREETS)}", f"555-01{self.rng.randint(10, 99)}"
        for name in hospitals:
            record = Recorder(self.key, HOSPITALS[name])
            self.patient.records[name] = record
            record.staff()
            self._register(record, given, (spelled or {}).get(name, family), born, gender, street, phone)
        self.body = Body(
            self.rng,
            born,
            female,
            162 + self.rng.gauss(0, 4) if female else 177 + self.rng.gauss(0, 5),
            70 + self.rng.gauss(0, 6),
        )

    def _register(
        self, record: Recorder, given: str, family: str, born: date, gender: str, street: str, phone: str
    ) -> None:
        omb = "urn:oid:2.16.840.1.113883.6.238"
        record.add(
            "Patient",
            {
                "meta": {"profile": [US_CORE + "us-core-patient"]},
                "extension": [
                    {
                        "url": US_CORE + "us-core-race",
                        "extension": [
                            {
                                "url": "ombCategory",
                                "valueCoding": {"system": omb, "code": "2106-3", "display": "White"},
                            },
                            {"url": "text", "valueString": "White"},
                        ],
                    },
                    {
                        "url": US_CORE + "us-core-ethnicity",
                        "extension": [
                            {
                                "url": "ombCategory",
                                "valueCoding": {"system": omb, "code": "2186-5", "display": "Not Hispanic or Latino"},
                            },
                            {"url": "text", "valueString": "Not Hispanic or Latino"},
                        ],
                    },
                    {"url": US_CORE + "us-core-birthsex", "valueCode": "F" if gender == "female" else "M"},
                ],
                "identifier": [
                    {
                        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
                        "system": record.place.mrn_system,
                        "value": self.patient.mrn(record.place.key),
                    }
                ],
                "active": True,
                "name": [{"use": "official", "family": family, "given": [given]}],
                "telecom": [{"system": "phone", "value": phone, "use": "home"}],
                "gender": gender,
                "birthDate": str(born),
                "address": [
                    {
                        "use": "home",
                        "line": [street],
                        "city": "Springfield",
                        "state": "MA",
                        "postalCode": "01101",
                        "country": "US",
                    }
                ],
                "communication": [
                    {
                        "language": {
                            "coding": [{"system": "urn:ietf:bcp:47", "code": "en-US", "display": "English"}],
                            "text": "English",
                        },
                        "preferred": True,
                    }
                ],
            },
            record.patient_id,
        )

    def random_person(self, story: str, hospitals: tuple[str, ...], age: int) -> None:
        """Somebody with a drawn name, about `age` years old."""
        female = self.rng.random() < 0.5
        given = self.rng.choice(_FEMALE if female else _MALE)
        born = self.today - timedelta(days=int((age + self.rng.random()) * 365.25))
        self.person(given, self.rng.choice(_FAMILY), born, female, story, hospitals)

    def at(self, hospital: str) -> Recorder:
        """The record at a hospital."""
        return self.patient.records[hospital]

    def check(self, record: Recorder, day: date, encounter: str, *, bmi: bool = False) -> tuple[float, float]:
        """The vital signs of a visit."""
        body, when = self.body, f"{day}T09:10:00Z"
        pressure = body.noise(body.systolic, 0.04), body.noise(body.diastolic, 0.04)
        record.pressure(*pressure, when, encounter)
        record.vital("pulse", body.noise(74, 0.07), when, encounter)
        record.vital("weight", body.noise(body.weight, 0.006), when, encounter)
        record.vital("height", body.height, when, encounter)
        record.vital("breathing", body.noise(15, 0.08), when, encounter)
        record.vital("temperature", body.noise(36.7, 0.006), when, encounter)
        record.vital("saturation", min(100, body.noise(97.5, 0.008)), when, encounter)
        return pressure


def diabetic_course(maker: Maker, hospitals: tuple[str, ...], *, years: int = 6, kidneys: bool = True) -> None:
    """Type 2 diabetes with hypertension: visits each quarter, treatment stepped up as HbA1c asks for it."""
    body, record, today = maker.body, maker.at(hospitals[0]), maker.today
    body.weight, body.hba1c, body.systolic, body.diastolic = body.weight + 18, 7.4, 148, 90
    body.drift = {"hba1c": 0.7, "systolic": 2.0, "weight": 0.8, "creatinine": 0.06 if kidneys else 0.01}
    start = today - timedelta(days=365 * years)
    diabetes = record.problem("diabetes", start)
    record.problem("hypertension", start - timedelta(days=700))
    record.problem("hyperlipidemia", start + timedelta(days=90))
    record.social("72166-2", "Tobacco smoking status", ("8517006", "Former smoker"), start)
    drugs: dict[str, Json] = {}
    kidney_noted = False
    last = start
    for number, day in enumerate(spaced(start, today - timedelta(days=12), 91, [0, 5, -4, 9])):
        body.step((day - last).days)
        last = day
        contact = record.encounter(day, "video" if number % 5 == 3 else "visit", "diabetes")
        pressure = maker.check(record, day, contact) if number % 5 != 3 else (body.systolic, body.diastolic)
        labs = body.labs(day)
        record.panel("diabetes", labs, day, contact)
        record.panel("metabolic", labs, day, contact)
        if number % 4 == 0:
            record.panel("lipid", labs, day, contact)
            record.panel("kidney", labs, day, contact)
            record.panel("count", labs, day, contact)
        for key, wanted in (
            ("metformin_500", number >= 0),
            ("lisinopril_10", number >= 1),
            ("simvastatin_20", number >= 2),
        ):
            if wanted and key not in drugs:
                drugs[key] = record.drug(
                    key, day, reason="diabetes" if key.startswith("met") else None, encounter=contact
                )
                body.target |= {
                    "metformin_500": {"hba1c": 7.2},
                    "lisinopril_10": {"systolic": 136, "diastolic": 82},
                    "simvastatin_20": {"ldl": 88},
                }[key]
        if labs["hba1c"] > 7.5 and "semaglutide" not in drugs and number >= 8:
            drugs["semaglutide"] = record.drug("semaglutide", day, reason="diabetes", encounter=contact)
            body.target |= {"hba1c": 6.8, "weight": body.weight - 7}
        if kidneys and labs["egfr"] < 60 and not kidney_noted:
            record.problem("ckd3", day)
            kidney_noted = True
        for key in list(drugs):  # refills: a new order each year, the old one completed
            issued = date.fromisoformat(drugs[key]["authoredOn"])
            if (day - issued).days > 360:
                drugs[key]["status"] = "completed"
                drugs[key] = record.drug(key, day, encounter=contact)
        if number % 4 == 1 or day > today - timedelta(days=120):
            problems = [CODES["problems"][k][1] for k in ("diabetes", "hypertension", "hyperlipidemia")]
            lines = [CODES["drugs"][k][1] for k in drugs]
            steps = [
                f"Type 2 diabetes: A1c {labs['hba1c']}%, continue current therapy.",
                "Hypertension: home readings requested.",
                "Possible sleep apnea; consider sleep study.",
            ]
            text = notes.clinic_note(
                maker.patient.name,
                day,
                int(body.age(day)),
                maker.patient.gender,
                problems,
                lines,
                pressure,
                labs,
                steps,
            )
            record.note(("11506-3", "Progress note"), text, day, contact, as_binary=number % 8 == 1)
        if number % 4 == 0:
            record.vaccine("influenza", day, refused=number % 8 == 4)
    record.score("44261-6", "PHQ-9 total score", 6, today - timedelta(days=200))
    plan = record.plan(
        "Diabetes care plan",
        ["A1c every three months", "Retinal exam every year", "Foot exam at each visit"],
        start,
        diabetes,
    )
    record.provenance(plan, start)
    record.procedure(
        ("252779009", "Single bright white flash electroretinography"),
        today - timedelta(days=700),
        done=False,
        why_not="Patient declined",
    )
    record.procedure(("134395001", "Diabetic retinopathy screening"), today - timedelta(days=400))
    record.vaccine("pneumococcal", start + timedelta(days=400))
    record.vaccine("tdap", start + timedelta(days=800))


def star(maker: Maker) -> None:
    """Known at three hospitals, which contradict each other."""
    maker.person(
        "Eleanor",
        "Whitfield",
        date(1958, 4, 12),
        True,
        "Diabetes, hypertension, chronic kidney disease, a heart failure admission elsewhere; three hospitals disagree.",
        ("epic", "oracle_health", "athenahealth"),
        spelled={"athenahealth": "Whitefield"},
    )
    diabetic_course(maker, ("epic",), years=6)
    today, epic, river, hillside = maker.today, maker.at("epic"), maker.at("oracle_health"), maker.at("athenahealth")
    penicillin = (RXNORM, "7980", "penicillin G")
    epic.allergy(penicillin, ("126485001", "Urticaria"), date(2015, 5, 2), severity="moderate")
    epic.narrative_report(
        ("24627-2", "CT Chest"),
        ("RAD", "Radiology"),
        notes.chest_ct(today - timedelta(days=410), 8),
        today - timedelta(days=410),
        "8 mm right upper lobe nodule; follow-up CT recommended.",
    )
    epic.problem("sinusitis", today - timedelta(days=1500), ended=today - timedelta(days=1470))
    epic.problem("asthma", today - timedelta(days=900), verification="entered-in-error")
    epic.note(
        ("34748-4", "Telephone encounter note"),
        notes.phone_note(today - timedelta(days=1980)),
        today - timedelta(days=1980),
        kind="text/html",
    )

    admitted, left = today - timedelta(days=143), today - timedelta(days=138)
    stay = river.encounter(admitted, "inpatient", "heart_failure", hours=3, end_day=left)
    river.encounter(admitted, "emergency", "heart_failure", hours=2, hour=6)
    river.problem("heart_failure", admitted)
    river.problem("diabetes", "2020")
    river.problem("hypertension", "2019-03")
    river.allergy((SNOMED, "716186003", "No known allergy"), None, admitted)
    for offset in range((left - admitted).days + 1):
        day = admitted + timedelta(days=offset)
        maker.body.noise(1, 0.01)
        labs = maker.body.labs(day) | {
            "bnp": round(1480 - 230 * offset + maker.rng.gauss(0, 30)),
            "creatinine": round(1.52 - 0.05 * offset, 2),
        }
        labs["egfr"] = round(_egfr(labs["creatinine"], maker.body.age(day)))
        river.panel("metabolic", labs, day, stay)
        river.panel("heart", labs, day, stay)
        river.pressure(158 - 6 * offset, 92 - 3 * offset, f"{day}T07:00:00Z", stay)
        river.vital("weight", maker.body.weight + 4.5 - 0.9 * offset, f"{day}T06:30:00Z", stay)
        river.vital("saturation", 91 + offset, f"{day}T07:00:00Z", stay)
    river.narrative_report(
        ("34552-0", "Transthoracic echocardiogram"),
        ("CUS", "Cardiac Ultrasound"),
        notes.echo(admitted + timedelta(days=1), 38),
        admitted + timedelta(days=1),
        "Reduced left ventricular systolic function, ejection fraction 38%.",
    )
    river.drug("furosemide_40", left, reason="heart_failure", encounter=stay)
    river.drug("carvedilol_6", left, reason="heart_failure", encounter=stay)
    river.drug("lisinopril_20", left, reason="heart_failure", encounter=stay)
    river.drug("metformin_500", left, state="stopped", encounter=stay)["statusReason"] = {
        "text": "Held on discharge: acute kidney injury"
    }
    river.drug("furosemide_40", left, reason="heart_failure")
    names = [CODES["drugs"][k][1] for k in ("furosemide_40", "carvedilol_6", "lisinopril_20")]
    river.note(
        ("18842-5", "Discharge summary"),
        notes.discharge(maker.patient.name, admitted, left, "Acute on chronic systolic heart failure", 38, names),
        left,
        stay,
        as_binary=True,
    )
    river.vaccine("covid", today - timedelta(days=400))

    for day in (today - timedelta(days=1200), today - timedelta(days=640), today - timedelta(days=95)):
        contact = hillside.encounter(day, "visit")
        maker.check(hillside, day, contact)
    hillside.problem("hypertension", today - timedelta(days=2500))
    hillside.problem("depression", today - timedelta(days=1200))
    hillside.drug("sertraline_50", today - timedelta(days=95))
    hillside.drug("amlodipine_5", today - timedelta(days=2400), refills=0)
    hillside.drug("amoxicillin", today - timedelta(days=640), state="completed", days=10, refills=0)
    hillside.lab("ldl", 96, f"{today - timedelta(days=95)}T08:00:00Z")
    hillside.allergy(
        (SNOMED, "387406002", "Sulfonamide"),
        ("271807003", "Eruption of skin"),
        today - timedelta(days=1200),
        severity="mild",
    )
    hillside.vaccine("zoster", today - timedelta(days=640))
    hillside.plan(
        "Depression follow-up",
        ["PHQ-9 at each visit", "Reassess sertraline in three months"],
        today - timedelta(days=95),
    )


def _egfr(creatinine: float, age: float) -> float:
    from service.practice_ehr.population.course import ckd_epi_2021

    return ckd_epi_2021(creatinine, age, True)


def heart_failure(maker: Maker) -> None:
    """Heart failure with two admissions, at two hospitals with different doses."""
    maker.random_person("Heart failure; two hospitals prescribe different doses.", ("epic", "oracle_health"), 74)
    today, epic, river = maker.today, maker.at("epic"), maker.at("oracle_health")
    body = maker.body
    body.systolic, body.creatinine = 132, 1.3
    start = today - timedelta(days=365 * 4)
    for record in (epic, river):
        record.problem("heart_failure", start)
        record.problem("hypertension", start - timedelta(days=2000))
    epic.allergy((SNOMED, "716186003", "No known allergy"), None, start)
    last = start
    for number, day in enumerate(spaced(start, today - timedelta(days=20), 120, [0, 7, -9])):
        body.step((day - last).days)
        last = day
        contact = epic.encounter(day, "visit", "heart_failure")
        maker.check(epic, day, contact)
        labs = body.labs(day) | {"bnp": round(body.noise(310 + 40 * (number % 4), 0.1))}
        epic.panel("metabolic", labs, day, contact)
        epic.panel("heart", labs, day, contact)
    epic.drug("furosemide_20", today - timedelta(days=200), reason="heart_failure")
    epic.drug("carvedilol_6", today - timedelta(days=200), reason="heart_failure")
    for back in (600, 75):
        admitted = today - timedelta(days=back)
        stay = river.encounter(admitted, "inpatient", "heart_failure", end_day=admitted + timedelta(days=4))
        labs = body.labs(admitted) | {"bnp": round(body.noise(1200, 0.1))}
        river.panel("metabolic", labs, admitted, stay)
        river.panel("heart", labs, admitted, stay)
        river.narrative_report(
            ("34552-0", "Transthoracic echocardiogram"),
            ("CUS", "Cardiac Ultrasound"),
            notes.echo(admitted, 35),
            admitted,
        )
    river.drug("furosemide_40", today - timedelta(days=70), reason="heart_failure")
    river.drug("carvedilol_12", today - timedelta(days=70), reason="heart_failure")


def healthy_adult(maker: Maker) -> None:
    """A healthy young adult with little on record."""
    maker.random_person("Healthy; three visits and a few vaccines.", ("athenahealth",), 29)
    record, today = maker.at("athenahealth"), maker.today
    for back in (1100, 700, 300):
        day = today - timedelta(days=back)
        maker.check(record, day, record.encounter(day, "visit"))
    record.vaccine("tdap", today - timedelta(days=1100))
    record.vaccine("influenza", today - timedelta(days=300))
    record.allergy((SNOMED, "716186003", "No known allergy"), None, today - timedelta(days=1100))


def child(maker: Maker) -> None:
    """A child: growth and vaccines."""
    maker.random_person("A child with growth and vaccines only.", ("athenahealth",), 6)
    record, born, today = maker.at("athenahealth"), maker.patient.birth_date, maker.today
    for months, vaccines in (
        (2, ("dtap", "hepb", "ipv")),
        (4, ("dtap", "ipv")),
        (6, ("dtap", "hepb")),
        (12, ("mmr", "varicella")),
        (48, ("dtap", "ipv", "mmr")),
        (60, ("influenza",)),
    ):
        day = born + timedelta(days=int(months * 30.44))
        if day >= today:
            continue
        contact = record.encounter(day, "visit")
        record.vital("weight", 4 + 1.6 * months**0.62, f"{day}T09:10:00Z", contact)
        record.vital("height", 51 + 6.2 * months**0.55, f"{day}T09:10:00Z", contact)
        for name in vaccines:
            record.vaccine(name, day)


def elder(maker: Maker) -> None:
    """Polypharmacy and a long history: several hundred observations."""
    maker.random_person("Many problems, many drugs, a long history.", ("oracle_health", "epic"), 84)
    diabetic_course(maker, ("oracle_health",), years=10)
    record, other, today = maker.at("oracle_health"), maker.at("epic"), maker.today
    record.problem("copd", today - timedelta(days=3000))
    record.problem("anemia", today - timedelta(days=500))
    for key in ("albuterol", "aspirin_81", "ferrous_sulfate", "metoprolol_50", "hydrochlorothiazide", "amlodipine_5"):
        record.drug(key, today - timedelta(days=maker.rng.randint(30, 320)))
    record.drug("losartan_50", today - timedelta(days=2900))
    record.allergy(
        (RXNORM, "7980", "penicillin G"), ("39579001", "Anaphylaxis"), today - timedelta(days=5000), severity="severe"
    )
    stay = other.encounter(today - timedelta(days=800), "inpatient", "pneumonia", end_day=today - timedelta(days=795))
    other.problem("pneumonia", today - timedelta(days=800), ended=today - timedelta(days=770), encounter=stay)
    other.narrative_report(
        ("24627-2", "CT Chest"),
        ("RAD", "Radiology"),
        notes.chest_ct(today - timedelta(days=799), 5),
        today - timedelta(days=799),
    )


def copd_patient(maker: Maker) -> None:
    """COPD, a smoker, depression screened."""
    maker.random_person("COPD and smoking; a refused vaccine.", ("oracle_health",), 66)
    record, today = maker.at("oracle_health"), maker.today
    start = today - timedelta(days=365 * 5)
    record.problem("copd", start)
    record.problem("depression", start + timedelta(days=500))
    record.social("72166-2", "Tobacco smoking status", ("77176002", "Smoker"), today - timedelta(days=150))
    for day in spaced(start, today - timedelta(days=30), 160, [0, 11, -6]):
        contact = record.encounter(day, "visit", "copd")
        maker.check(record, day, contact)
        labs = maker.body.labs(day)
        record.panel("count", labs, day, contact)
        record.score("44261-6", "PHQ-9 total score", max(0, round(maker.rng.gauss(9, 3))), day)
    record.drug("albuterol", today - timedelta(days=90), reason="copd")
    record.drug("sertraline_50", today - timedelta(days=60), reason="depression")
    record.vaccine("influenza", today - timedelta(days=40), refused=True)
    record.allergy((SNOMED, "716186003", "No known allergy"), None, start)


def diabetic(maker: Maker) -> None:
    """One of the many: diabetes at one hospital."""
    hospital = maker.rng.choice(tuple(HOSPITALS))
    maker.random_person("Diabetes and hypertension at one hospital.", (hospital,), maker.rng.randint(45, 80))
    diabetic_course(maker, (hospital,), years=maker.rng.randint(3, 8), kidneys=maker.rng.random() < 0.4)


def hospital_resources(population: list[SyntheticPatient], hospital: str) -> list[dict[str, Any]]:
    """All that a hospital holds: its patients' resources, shared ones once."""
    unique = {(r["resourceType"], r["id"]): r for p in population for r in p.resources(hospital)}
    return list(unique.values())
