"""Care over the years: visits at hospitals, what is measured there, what is decided, and what gets written down."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from service.practice_ehr.population import clinical, documents, narratives, observations, protocols
from service.practice_ehr.population.body import Body
from service.practice_ehr.population.catalog import diagnosis, drug, panel
from service.practice_ehr.population.elements import Json, at
from service.practice_ehr.population.measures import laboratory, vital_signs
from service.practice_ehr.population.people import Persona
from service.practice_ehr.population.prescriptions import Course
from service.practice_ehr.population.record import Record

FAMILY_HISTORIES = (
    "Father with coronary disease at 71; no family history of colon or breast cancer.",
    "Mother with type 2 diabetes. Father with hypertension. No family history of early heart disease.",
    "Paternal grandfather with colon cancer at 74. Mother with hypothyroidism.",
    "Adopted; family history unknown.",
    "Brother with asthma. Parents without chronic disease.",
)


@dataclass
class Visit:
    """One contact while it is being written."""

    record: Record
    encounter: Json
    moment: datetime
    kind: str
    reason: str
    vitals: dict[str, float] = field(default_factory=dict)
    labs: dict[str, float] = field(default_factory=dict)
    phq9: int | None = None
    plan: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)

    @property
    def hospital(self) -> str:
        """Key of the hospital."""
        return self.record.hospital.key


class Care:
    """One person's care. The body is one; the records are as many as the hospitals that know the person."""

    def __init__(self, persona: Persona, rng: random.Random, start: date, today: date, **body: object) -> None:
        self.persona, self.rng, self.today = persona, rng, today
        self.body = Body(persona.birth_date, persona.female, rng, start, **body)  # type: ignore[arg-type]
        self.records: dict[str, Record] = {}
        self.courses: dict[str, Course] = {}
        self.renewed_unaware: list[Course] = []
        self.problems: dict[tuple[str, str], Json] = {}
        self.avoid: set[str] = set()
        self.last_done: dict[str, date] = {}
        self.pack_years = 0
        self.family_history = self.pick(*FAMILY_HISTORIES)

    def pick(self, *choices: str) -> str:
        """One of these, by the person's own random numbers."""
        return choices[int(self.rng.random() * len(choices))]

    def record(self, hospital: str, day: date) -> Record:
        """The record there, begun on the first contact."""
        if hospital not in self.records:
            self.records[hospital] = Record(self.persona, hospital, day)
            self._asked_about_habits(self.records[hospital], at(day, 8, 50))
        return self.records[hospital]

    def _asked_about_habits(self, record: Record, moment: datetime) -> None:
        if self.body.age >= 13:
            p = self.persona
            observations.social_history(
                record, moment, smoking=p.smoking, drinks=p.drinking, pack_years=self.pack_years
            )

    def visit(
        self,
        hospital: str,
        day: date,
        kind: str = "follow_up",
        reason: str = "",
        panels: Sequence[str] = (),
        *,
        hour: int = 9,
        history: Sequence[str] = (),
        minutes: int | None = None,
        disposition: tuple[str, str] | None = None,
        decide: bool = True,
        bmi: bool = True,
        screen_mood: bool = False,
    ) -> Visit | None:
        """A contact with vital signs (not by telehealth), panels and decisions; None when the day is still to come."""
        day = _weekday(day) if kind not in ("emergency", "inpatient") else day
        moment = at(day, hour, int(self.rng.random() * 12) * 5)
        minutes = minutes or clinical.usual_minutes(kind)
        if (moment + timedelta(minutes=minutes)).date() > self.today:
            return None
        self.body.advance(day)
        record = self.record(hospital, day)
        for one in [*self.courses.values(), *self.renewed_unaware]:
            if one.record is record:
                one.renew_until(day)
        made = clinical.encounter(record, kind, moment, reason=reason, minutes=minutes, disposition=disposition)
        visit = Visit(record, made, moment, kind, reason, history=list(history))
        if kind != "telehealth":
            visit.vitals = vital_signs(self.body)
            observations.vitals(record, visit.vitals, moment + timedelta(minutes=4), made, bmi=bmi)
        self.measure(visit, panels)
        if screen_mood:
            self._screen_mood(visit)
        if decide:
            protocols.decide(self, visit)
        return visit

    def measure(self, visit: Visit, panels: Sequence[str]) -> None:
        """Draw blood: results and reports of these panels."""
        for key in panels:
            members = panel(key).members
            values = laboratory(self.body, members)
            visit.labs |= values
            observations.lab_panel(visit.record, key, values, visit.moment + timedelta(minutes=20), visit.encounter)

    def _screen_mood(self, visit: Visit) -> None:
        total = max(0, min(24, round(self.body.mood + self.rng.gauss(0, 1.2))))
        scores = [0] * 9
        order = [1, 0, 3, 2, 6, 4, 5, 7]  # the ninth question stays 0: nobody here is at risk
        for step in range(total):
            scores[order[step % 8]] += 1
        visit.phq9 = sum(scores)
        observations.phq9(visit.record, scores, visit.moment + timedelta(minutes=8), visit.encounter)

    def problem(
        self, hospital: str, key: str, day: date, *, onset: date | None = None, known: bool = True, **more: str
    ) -> Json:
        """A diagnosis goes on that hospital's problem list; the body has it from `onset` (else `day`) on."""
        if known:
            self.body.onsets.setdefault(key, onset or day)
        record = self.record(hospital, day)
        made = clinical.condition(record, key, at(day, 9, 45), onset=onset or day, **more)  # type: ignore[arg-type]
        self.problems[(hospital, key)] = made
        return made

    def start(
        self, key: str, visit: Visit, reason: str, *, sig: str = "", days: int | None = None, as_needed: bool = False
    ) -> Course:
        """Prescribe a drug at a visit. A short course is over by itself and does not change the body."""
        moment = visit.moment + timedelta(minutes=15)
        made = Course(drug(key), visit.record, moment.date(), reason, as_needed=as_needed, days=days, sig=sig)
        made.order(moment, visit.encounter)
        if days:
            if (moment + timedelta(days=days)).date() <= self.today:
                made.end(moment + timedelta(days=days), "completed")
        else:
            self.courses[key] = made
            self.body.drugs.add(key)
        return made

    def reported(
        self, key: str, visit: Visit, reason: str, *, status: str = "active", why: str = "", sig: str = ""
    ) -> Json:
        """A drug that another hospital prescribed, as the person told this one; `status` and `why` are this hospital's view."""
        made = Course(drug(key), visit.record, visit.moment.date(), reason, sig=sig)
        order = made.order(visit.moment + timedelta(minutes=6), visit.encounter)
        order |= {"intent": "plan", "reportedBoolean": True, "status": status}
        del order["dispenseRequest"]
        if why:
            order["statusReason"] = {"text": why}
        return order

    def ago(self, years: float) -> date:
        """The day so many years before today."""
        return self.today - timedelta(days=round(years * 365.25))

    def stop(self, key: str, moment: datetime, why: str, *, told: bool = True, renewed: bool = False) -> None:
        """The person no longer takes the drug. `told`: the hospital that prescribed it writes it down; where it does
        not know, `renewed` says that it goes on renewing the prescription."""
        gone = self.courses.pop(key, None)
        self.body.drugs.discard(key)
        if gone and told:
            gone.end(moment, "stopped", why)
        elif gone and renewed:
            self.renewed_unaware.append(gone)

    def takes(self, *ingredients: str) -> bool:
        """Whether a drug with one of these ingredients is taken now."""
        return any(c.drug.ingredient in ingredients for c in self.courses.values())

    def write(self, visit: Visit, *, document: str = "progress", form: str = "text") -> None:
        """The note of a visit, from what happened there."""
        text = narratives.progress_note(self, visit)
        moment = visit.moment + timedelta(minutes=22)
        made = documents.note(visit.record, document, text, moment, visit.encounter, form=form)
        clinical.provenance(visit.record, [made, visit.encounter], moment)

    def past(self, moment: datetime) -> bool:
        """Whether a moment has come."""
        return moment.date() <= self.today

    def finish(self) -> None:
        """Renewals up to today."""
        for one in [*self.courses.values(), *self.renewed_unaware]:
            one.renew_until(self.today)

    def problem_names(self, hospital: str) -> list[str]:
        """What stands active on that hospital's list."""
        names = []
        for (where, key), made in self.problems.items():
            status = made.get("clinicalStatus", {}).get("coding", [{}])[0].get("code")
            if where == hospital and status == "active":
                names.append(diagnosis(key).display)
        return names


def _weekday(day: date) -> date:
    return day - timedelta(days=max(0, day.weekday() - 4))
