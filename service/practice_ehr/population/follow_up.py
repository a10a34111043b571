"""Years with a family doctor: check-ups and follow-ups, diseases that come, what is prescribed, what gets screened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from service.practice_ehr.population import clinical, prevention
from service.practice_ehr.population.catalog import drug

if TYPE_CHECKING:
    from service.practice_ehr.population.care import Care, Visit

FULL = ("cmp", "lipid", "cbc")
# What is prescribed when a disease is found; later steps are up to protocols.py.
FIRST_DRUGS = {
    "hypertension": ("lisinopril_10",),
    "hyperlipidemia": ("atorvastatin_20",),
    "diabetes": ("metformin_500",),
    "hypothyroidism": ("levothyroxine_50",),
    "depression": ("sertraline_50",),
    "coronary_disease": ("aspirin_81", "metoprolol_25", "atorvastatin_40"),
    "atrial_fibrillation": ("apixaban_5", "metoprolol_25"),
    "heart_failure": ("carvedilol_6", "furosemide_20", "empagliflozin_10"),
    "copd": ("tiotropium", "albuterol"),
    "asthma": ("fluticasone", "albuterol"),
    "osteoporosis": ("alendronate_70",),
    "prostate_enlargement": ("tamsulosin",),
    "iron_deficiency_anemia": ("ferrous_sulfate",),
}
AS_NEEDED = {"albuterol": "Inhale 2 puffs every 4 to 6 hours as needed for wheezing"}
# What is measured because of a disease.
WATCHED = {
    "diabetes": ("a1c", "uacr"), "prediabetes": ("a1c",), "hypothyroidism": ("tsh",), "heart_failure": ("ntprobnp",),
    "iron_deficiency_anemia": ("ferritin",), "prostate_enlargement": ("psa",), "copd": ("spirometry",), "asthma": ("spirometry",),
}  # fmt: skip
COMPLAINTS = {
    "diabetes": "Reports thirst and nocturia.",
    "hypothyroidism": "Reports fatigue, constipation and cold intolerance.",
    "depression": "Low mood and poor sleep for two months.",
    "asthma": "Wheezes with exercise and with colds.",
    "copd": "Cough with sputum most mornings; short of breath on stairs.",
    "iron_deficiency_anemia": "Tired, pale; heavy menstrual bleeding or dark stools were asked about and denied.",
    "atrial_fibrillation": "Palpitations for some weeks.",
    "heart_failure": "Short of breath when lying flat, ankles swollen.",
    "prostate_enlargement": "Weak stream, gets up twice at night.",
}
# The body has the disease; the list of problems has its stages, which protocols.kidney writes.
SILENT = frozenset({"chronic_kidney_disease"})

UNNOTICED = 0.75
"""Years a disease is there before anybody finds it: laboratory values have moved by then."""

Event = Callable[["Care"], None]


def follow(
    care: Care,
    hospital: str,
    years: float,
    onsets: Mapping[str, float],
    events: Mapping[float, Event] | None = None,
    *,
    until: float = 0.05,
) -> None:
    """Half-yearly visits from `years` ago `until` so many years ago.

    `onsets`: condition -> years ago when it began. One that began before the first visit is found then; others at the
    first visit after. `events` happen so many years ago, between the visits.
    """
    for key, ago in onsets.items():
        care.body.onsets[key] = max(care.persona.birth_date, care.ago(ago))
    todo = sorted((events or {}).items(), reverse=True)
    when, count = years, 0
    while when >= until:
        while todo and todo[0][0] > when:
            todo.pop(0)[1](care)
        _half_year(care, hospital, when, count)
        when -= 0.5
        count += 1
    for _, event in todo:
        event(care)


def _half_year(care: Care, hospital: str, when: float, count: int) -> None:
    yearly = count % 2 == 0
    known = {key for where, key in care.problems if where == hospital}
    since = care.ago(when + UNNOTICED)
    found = [k for k in care.body.onsets if k not in known | SILENT and care.body.onsets[k] <= since]
    chronic = [k for k in care.body.onsets if care.body.onsets[k] <= care.ago(when)]
    if not (yearly or chronic):
        return
    remote = not yearly and not found and care.rng.random() < 0.3
    reason = found[0] if found else next((k for k in chronic if k not in SILENT), "")
    watched = [p for k in chronic for p in WATCHED.get(k, ())]
    panels = [*FULL, *watched] if yearly else ["bmp", *watched]
    kind = "wellness" if yearly else "telehealth" if remote else "follow_up"
    visit = care.visit(
        hospital,
        care.ago(when),
        kind,
        reason,
        () if remote else tuple(dict.fromkeys(panels)),
        history=[COMPLAINTS[k] for k in found if k in COMPLAINTS],
        screen_mood="depression" in chronic and not remote,
    )
    if visit is None:
        return
    for key in found:
        diagnose(care, visit, key)
    if yearly:
        prevention.check_up(care, visit)
        if "diabetes" in chronic:
            clinical.procedure(visit.record, "foot_exam", visit.moment, reason="diabetes", visit=visit.encounter)
    if yearly or found or remote:
        care.write(visit, form=("text", "html", "binary")[count // 2 % 3])


def diagnose(care: Care, visit: Visit, key: str) -> None:
    """Put a disease on the list, start its first drugs, and plan what the person can do."""
    day = visit.moment.date()
    problem = care.problem(visit.hospital, key, day, onset=min(care.body.onsets[key], day))
    started = []
    for name in FIRST_DRUGS.get(key, ()):
        made = _prescribe(care, visit, name, key)
        if made:
            started.append(made)
    display = problem["code"]["text"]
    visit.plan.append(f"{display}: {'start ' + ', '.join(started) if started else 'discussed'}.")
    if key in ("copd", "asthma"):
        clinical.procedure(visit.record, "spirometry", visit.moment, reason=key, visit=visit.encounter)
    if key in ("atrial_fibrillation", "coronary_disease", "heart_failure"):
        clinical.procedure(visit.record, "ecg", visit.moment, reason=key, visit=visit.encounter)
    if key in PLANS:
        title, activities, goal = PLANS[key]
        plan = clinical.care_plan(visit.record, title, visit.moment, activities, goal=goal, addresses=[problem])
        clinical.provenance(visit.record, [problem, plan], visit.moment + timedelta(minutes=20))


PLANS = {
    "diabetes": ("Diabetes self management plan", ["Home glucose checks", "Diet and exercise counseling"], "HbA1c below 7%"),
    "asthma": ("Asthma action plan", ["Controller inhaler daily", "Peak flow when symptoms begin"], "No night waking"),
    "heart_failure": ("Heart failure self management plan", ["Weigh every morning", "Salt below 2 g a day"], "No admission"),
}  # fmt: skip


def _prescribe(care: Care, visit: Visit, name: str, reason: str) -> str:

    found = drug(name)
    if {name, found.ingredient} & care.avoid or care.takes(found.ingredient):
        return ""
    # A beta blocker is taken once, whatever the reason.
    if found.ingredient in ("carvedilol", "metoprolol") and care.takes("carvedilol", "metoprolol"):
        return ""
    care.start(name, visit, reason, as_needed=name in AS_NEEDED, sig=AS_NEEDED.get(name, ""))
    return found.text
