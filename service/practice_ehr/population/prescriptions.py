"""Prescriptions as orders: a course of one drug is a chain of MedicationRequests, renewed year by year."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from service.practice_ehr.population.catalog import RXNORM, SNOMED, Drug
from service.practice_ehr.population.clinical import diagnosis_concept
from service.practice_ehr.population.elements import HL7, Json, at, coding, concept, instant, quantity, reference
from service.practice_ehr.population.record import Record

OFTEN = {1: "once daily", 2: "twice daily", 3: "three times daily", 4: "four times daily"}
RENEWED_EVERY = 360
ROUTES = {
    "injection": ("34206005", "Subcutaneous route"),
    "inhalation": ("447694001", "Respiratory tract route"),
}


def instruction(found: Drug, *, as_needed: bool, text: str = "") -> Json:
    """The dosage of a drug, in words and structured."""
    weekly = found.per_day < 1
    often = "once a week" if weekly else OFTEN[int(found.per_day)]
    if found.form == "injection":
        phrase = f"Inject {found.amount:g} {'units' if found.unit == '[iU]' else found.unit} under the skin {often}"
    elif found.form == "inhalation":
        phrase = (
            f"Inhale {2 if found.unit == '{puff}' else 1} {'puffs' if found.unit == '{puff}' else 'capsule'} {often}"
        )
    else:
        phrase = f"Take 1 {found.form} by mouth {often}"
    repeat: Json = {
        "frequency": 1 if weekly else int(found.per_day),
        "period": 1,
        "periodUnit": "wk" if weekly else "d",
    }
    return {
        "text": text or phrase + (" as needed" if as_needed else ""),
        "timing": {"repeat": repeat},
        "asNeededBoolean": as_needed,
        "route": concept(coding(SNOMED, *ROUTES.get(found.form, ("26643006", "Oral route")))),
        "doseAndRate": [{"doseQuantity": quantity(found.amount, _unit(found.unit), found.unit)}],
    }


def _unit(ucum: str) -> str:
    return {"[iU]": "units", "{puff}": "puff", "ug": "mcg"}.get(ucum, ucum)


@dataclass
class Course:
    """A drug taken from `start`; `orders` are its MedicationRequests so far, the last one the current."""

    drug: Drug
    record: Record
    start: date
    reason: str
    as_needed: bool = False
    days: int | None = None
    sig: str = ""
    orders: list[Json] = field(default_factory=list)

    @property
    def last_order(self) -> date:
        """When it was last prescribed."""
        return date.fromisoformat(self.orders[-1]["authoredOn"][:10])

    def order(self, moment: datetime, visit: Json | None = None) -> Json:
        """Prescribe it, or renew it: the earlier order is then completed."""
        if self.orders:
            self.orders[-1]["status"] = "completed"
        supply = self.days or 90
        count = max(1, round(supply * self.drug.per_day))
        unit = {"injection": "pen", "inhalation": "inhaler"}.get(self.drug.form, self.drug.form)
        dispense: Json = {
            "numberOfRepeatsAllowed": 0 if self.days else 3,
            "quantity": quantity(count if unit == self.drug.form else 1, unit),
            "expectedSupplyDuration": quantity(supply, "days", "d"),
        }
        if not self.days:
            end = moment.date() + timedelta(days=365)
            dispense["validityPeriod"] = {"start": moment.date().isoformat(), "end": end.isoformat()}
        made = self.record.add(
            "MedicationRequest",
            moment,
            status="active",
            intent="order",
            category=[concept(coding(f"{HL7}/medicationrequest-category", "community", "Community"))],
            reportedBoolean=False,
            medicationCodeableConcept=concept(coding(RXNORM, self.drug.rxnorm, self.drug.display), text=self.drug.text),
            subject=self.record.subject,
            encounter=reference(visit) if visit else None,
            authoredOn=instant(moment),
            requester=self.record.doctor(0),
            reasonCode=[diagnosis_concept(self.reason)] if self.reason else None,
            dosageInstruction=[instruction(self.drug, as_needed=self.as_needed, text=self.sig)],
            dispenseRequest=dispense,
        )
        self.orders.append(made)
        return made

    def renew_until(self, day: date) -> None:
        """The yearly renewals that fell due before `day`, by telephone, without a visit."""
        while (day - self.last_order).days > RENEWED_EVERY + 30 and not self.days:
            self.order(at(self.last_order + timedelta(days=RENEWED_EVERY), 11, 40))

    def end(self, moment: datetime, status: str, why: str = "") -> None:
        """The last order is stopped or completed."""
        self.orders[-1]["status"] = status
        self.orders[-1]["meta"]["lastUpdated"] = instant(moment)
        if why:
            self.orders[-1]["statusReason"] = {"text": why}
