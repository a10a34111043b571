"""How good is the verifier? True statements over generated charts, and the same with one thing altered.

    python benchmarks/verifier.py [--patients 12] [--seed 7] [--show]

Prints, for each kind of alteration, how many altered statements are caught, and for each kind of true statement how many are
wrongly withheld. True statements are the deterministic renderer's and paraphrases made here from the facts, so both hold by
construction; an alteration changes one thing to something the cited facts do not say.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import date

from adapters.normalizer import assemble, coverage_from_entries, normalize, parse_file
from context_builder import BudgetTooSmall, ContextDocument, ContextRequest, build_context, summarize
from context_builder.document import Fact, Statement
from context_builder.verify import verify
from models.record import Chart
from service.practice_ehr.population import SyntheticPatient, generate

AS_OF = "2026-11-01T12:00:00Z"
BUDGETS = (2000, 8000)
OTHER_DRUGS = ("warfarin", "digoxin", "lithium", "methotrexate", "clozapine")
OTHER_CONDITIONS = ("Sarcoidosis", "Hodgkin lymphoma", "Schizophrenia", "Cirrhosis of liver", "Malignant melanoma")
OTHER_UNITS = {
    "mg/dL": "mmol/L",
    "mg": "g",
    "MG": "mcg",
    "%": "mg/dL",
    "mmHg": "kPa",
    "kg": "lb",
    "g/dL": "g/L",
    "cm": "in",
}
FREQUENCIES = ("once daily", "twice daily", "three times daily", "every day", "at bedtime", "weekly")
NUMBER = re.compile(r"(?<![\w.\-/])\d+(?:\.\d+)?(?![\w\-/]|\.\d)")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class True_(Statement):
    """A true statement and the template it was made by."""

    template: str = ""


def chart_of(patient: SyntheticPatient) -> Chart:
    """The patient as all hospitals together know them."""
    resources = []
    for hospital in patient.hospitals:
        bundle = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": r} for r in patient.resources(hospital)],
        }
        resources += parse_file(json.dumps(bundle).encode(), "x.json", tenant="bench", site=hospital, retrieved=AS_OF)[
            0
        ]
    entries = normalize(resources).entries
    return assemble("bench", patient.key, entries, coverage_from_entries(entries, patient.hospitals), as_of=AS_OF)


def documents(seed: int, patients: int) -> Iterator[ContextDocument]:
    """Contexts of the population."""
    for patient in generate(seed, patients):
        chart = chart_of(patient)
        for budget in BUDGETS:
            try:
                yield build_context(chart, ContextRequest(budget_tokens=budget))
            except BudgetTooSmall as error:
                yield build_context(chart, ContextRequest(budget_tokens=error.needed_tokens))


def say(template: str, text: str, *keys: str, kind: str = "finding") -> True_:
    """One true statement."""
    return True_(text=text[:1].upper() + text[1:], cites=keys, kind=kind, template=template)


def long_date(iso: str) -> str:
    """`2026-08-03` as `August 3, 2026`."""
    return f"{date.fromisoformat(iso[:10]):%B} {int(iso[8:10])}, {iso[:4]}"


def paraphrases(doc: ContextDocument) -> Iterator[True_]:
    """True statements made from the facts, in words the renderer does not use."""
    for f in doc.facts:
        yield from _of_fact(f)
    series: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for f in doc.facts:
        if f.section in ("labs", "vitals") and len(f.date) >= 10 and re.fullmatch(r"\d+(\.\d+)?", f.value):
            series[(f.display, f.unit)].append(f)
    for (name, unit), points in series.items():
        points.sort(key=lambda p: p.date)
        first, last = points[0], points[-1]
        if len(points) < 2 or float(first.value) == float(last.value) or first.date[:10] == last.date[:10]:
            continue
        verb = "rose" if float(last.value) > float(first.value) else "fell"
        yield say("trend with values", f"{name} {verb} from {first.value} {unit} on {first.date[:10]} to {last.value} {unit} on {last.date[:10]}.", first.key, last.key)  # fmt: skip
        if sum(p.date[:10] == last.date[:10] for p in points) == 1:
            yield say("trend", f"{name} has {'risen' if verb == 'rose' else 'fallen'}.", first.key, last.key)
            yield say("latest", f"The latest {name} was {last.value} {unit}.", last.key)


def pairs(doc: ContextDocument) -> Iterator[True_]:
    """True statements about two facts at once; `@` stands between the parts an alteration exchanges."""
    results = [
        f
        for f in doc.facts
        if f.section in ("labs", "vitals") and len(f.date) >= 10 and re.fullmatch(r"\d+(\.\d+)?", f.value)
    ]
    for left, right in itertools.pairwise(results):
        if left.display != right.display and left.date[:10] == right.date[:10] and left.value != right.value:
            text = f"On {left.date[:10]}, {left.display} was @{left.value}@ {left.unit} and {right.display} was @{right.value}@ {right.unit}."
            yield say("two results", text, left.key, right.key)
    for section, words in (
        ("problems", "@{}@ is active, but @{}@ is over."),
        ("medications", "Takes @{}@; @{}@ was stopped."),
    ):
        held = [f for f in doc.facts if f.section == section and f.status == "current" and not f.negated]
        over = [f for f in doc.facts if f.section == section and f.status == "historical" and not f.negated]
        for left, right in zip(held, over, strict=False):
            if left.display.lower() not in right.display.lower() and right.display.lower() not in left.display.lower():
                yield say(f"two {section}", words.format(left.display, right.display), left.key, right.key)


def _of_fact(f: Fact) -> Iterator[True_]:
    when = f.date[:10]
    dated = len(when) == 10
    if f.section == "demographics" and "age " in f.text:
        age = re.search(r"age (\d+)", f.text)
        sex = "woman" if "female" in f.text else "man"
        if age and ("male" in f.text):
            yield say("age and sex", f"The patient is a {age[1]}-year-old {sex}.", f.key, kind="identity")
    elif f.section == "problems" and not f.negated and f.status != "none_asserted":
        yield from _states(
            f, f"{f.display} is active.", f"{f.display} is over.", f"{f.display}, status uncertain.", "problem"
        )
        if f.status == "current" and dated and "since" in f.text:
            yield say("problem dated", f"The patient has {f.display}, since {long_date(when)}.", f.key)
    elif f.section == "medications" and not f.negated and f.status != "none_asserted":
        yield from _states(
            f, f"Takes {f.display}.", f"{f.display} was stopped.", f"{f.display} may not be current.", "medication"
        )
        for frequency in FREQUENCIES:
            if f.status == "current" and frequency in f.text.lower():
                yield say("medication frequency", f"Prescribed {f.display}, {frequency}.", f.key)
    elif f.section == "allergies" and not f.negated and f.status == "current":
        yield say("allergy", f"Allergic to {f.display}.", f.key, kind="allergy")
    elif f.section in ("labs", "vitals") and dated and re.fullmatch(r"\d+(\.\d+)?", f.value):
        yield say("result", f"{f.display} was {f.value} {f.unit} on {when}.", f.key, kind="result")
        yield say("result, long date", f"On {long_date(when)}, {f.display} measured {f.value} {f.unit}.", f.key)
        if f.detail.startswith(("H;", "L;")) or f.detail in ("H", "L"):
            yield say("range", f"{f.display} {f.value} {f.unit} is {'high' if f.detail[0] == 'H' else 'low'}.", f.key)
    elif f.section in ("immunizations", "procedures") and dated and f.status == "completed":
        verb = "was given" if f.section == "immunizations" else "was performed"
        yield say(f.section, f"{f.display} {verb} on {when}.", f.key)
    elif f.section == "encounters" and dated and f.status == "finished":
        yield say("encounter", f"Seen on {long_date(when)}: {f.display}.", f.key)


def _states(f: Fact, current: str, past: str, uncertain: str, name: str) -> Iterator[True_]:
    text = {"current": current, "historical": past, "uncertain": uncertain}.get(f.status)
    if text:
        yield say(f"{name} {f.status}", text, f.key)


# Alterations: each returns the altered text, or None where it does not apply.


def a_number(s: Statement, f: Fact, rng: random.Random) -> str | None:
    spans = [
        m
        for m in NUMBER.finditer(DATE.sub(lambda m: "x" * 10, s.text))
        if not 1900 <= float(m[0]) < 2100 or "." in m[0]
    ]
    if not spans:
        return None
    m = rng.choice(spans)
    if f.section in ("labs", "vitals") and m[0] not in (f.value, *f.value.split("/")):
        return None
    digits = m[0]
    other = rng.choice(
        [f"{float(digits) * 10:g}", f"{float(digits) + 1:g}", f"{float(digits) + 0.1:.1f}", f"9{digits}"]
    )
    return s.text[: m.start()] + other + s.text[m.end() :] if float(other) not in f.numbers else None


def a_unit(s: Statement, f: Fact, rng: random.Random) -> str | None:
    for unit, other in OTHER_UNITS.items():
        changed = re.sub(rf"(?<=\d) ?{re.escape(unit)}(?![\w/])", f" {other}", s.text, count=1)
        if changed != s.text:
            return changed
    return None


def a_date(s: Statement, f: Fact, rng: random.Random) -> str | None:
    if m := DATE.search(s.text):
        other = rng.choice(
            [
                f"{int(m[0][:4]) - 1}{m[0][4:]}",
                f"{m[0][:8]}{(int(m[0][8:]) % 28) + 1:02}",
                f"{m[0][:5]}{(int(m[0][5:7]) % 12) + 1:02}-15",
            ]
        )
        return (
            s.text.replace(m[0], other)
            if other not in f.text and not f.date.startswith(other) and not f.end_date.startswith(other)
            else None
        )
    if m := re.search(r"(\w+ \d{1,2}, )(\d{4})", s.text):
        return s.text.replace(m[0], f"{m[1]}{int(m[2]) - 1}")
    return None


def a_drug(s: Statement, f: Fact, rng: random.Random) -> str | None:
    if f.section not in ("medications", "allergies"):
        return None
    word = next((w for w in re.findall(r"[A-Za-z]{5,}", f.display) if w in s.text), None)
    others = [d for d in OTHER_DRUGS if d not in f.text.lower()]
    return s.text.replace(word, rng.choice(others), 1) if word else None


def a_condition(s: Statement, f: Fact, rng: random.Random) -> str | None:
    return (
        s.text.replace(f.display, rng.choice(OTHER_CONDITIONS), 1)
        if f.section == "problems" and f.display in s.text
        else None
    )


def a_negation(s: Statement, f: Fact, rng: random.Random) -> str | None:
    if f.negated:
        return (
            re.sub(r"(?i)\bno known |\bnot |\bno ", "", s.text, count=1)
            if re.search(r"(?i)\b(no known|not|no) ", s.text)
            else None
        )
    if f.section == "demographics":
        return None
    return (
        rng.choice([f"No {s.text}", f"Denies {s.text}", re.sub(r" (is|was) ", r" \1 not ", s.text, count=1)])
        .replace("No The", "No")
        .strip()
        if " is " in s.text or " was " in s.text
        else f"No evidence of {s.text}"
    )


def a_side(s: Statement, f: Fact, rng: random.Random) -> str | None:
    for side, other in (
        ("left", "right"),
        ("right", "left"),
        ("Left", "Right"),
        ("Right", "Left"),
        ("bilateral", "left"),
    ):
        if re.search(rf"\b{side}\b", s.text):
            return re.sub(rf"\b{side}\b", other, s.text)
    return None


def a_status(s: Statement, f: Fact, rng: random.Random) -> str | None:
    if f.section not in ("problems", "medications"):
        return None
    swaps = {
        " is active": " has resolved", " is over": " is active", "Takes ": "Previously took ", " was stopped": " is taken now and active",
        "; over": "; active", "; stopped": "; active", " may not be current": " is current", ", status uncertain": "",
        "The patient has ": "History of ", "Prescribed ": "Discontinued ",
    }  # fmt: skip
    return next((s.text.replace(a, b, 1) for a, b in swaps.items() if a in s.text), None)


def a_trend(s: Statement, f: Fact, rng: random.Random) -> str | None:
    swaps = {" rose ": " fell ", " fell ": " rose ", " risen": " fallen", " fallen": " risen"}
    return next((s.text.replace(a, b, 1) for a, b in swaps.items() if a in s.text), None)


def a_swap(s: Statement, f: Fact, rng: random.Random) -> str | None:
    m = re.search(r"from (\S+) (.*?) to (\S+) ", s.text)
    return (
        s.text.replace(f"from {m[1]} ", "from @ ").replace(f"to {m[3]} ", f"to {m[1]} ").replace("@", m[3])
        if m
        else None
    )


def a_frequency(s: Statement, f: Fact, rng: random.Random) -> str | None:
    for frequency in FREQUENCIES:
        if frequency in s.text.lower() and f.section == "medications":
            return re.sub(frequency, "four times a day", s.text, flags=re.IGNORECASE)
    return None


def a_comparator(s: Statement, f: Fact, rng: random.Random) -> str | None:
    if f.section not in ("labs", "vitals") or not f.value or f" {f.value} " not in s.text:
        return None
    return s.text.replace(f" {f.value} ", f" {rng.choice(['more than', '<', 'at least', '>'])} {f.value} ", 1)


def a_severity(s: Statement, f: Fact, rng: random.Random) -> str | None:
    if f.section not in ("problems", "labs", "allergies") or "severe" in f.text.lower():
        return None
    return s.text.rstrip(".") + rng.choice(
        [", severe.", " due to smoking.", ", well controlled.", " and needs urgent treatment."]
    )


def a_sex(s: Statement, f: Fact, rng: random.Random) -> str | None:
    for word, other in ((" woman", " man"), (" man", " woman"), ("female", "male"), ("; male", "; female")):
        if f.section == "demographics" and word in s.text:
            return s.text.replace(word, other, 1)
    return None


def a_person(s: Statement, f: Fact, rng: random.Random) -> str | None:
    return rng.choice(["The patient's mother: ", "Mr. Vandenberg: ", "Another patient: "]) + s.text


ALTERATIONS: dict[str, Callable[[Statement, Fact, random.Random], str | None]] = {
    name.removeprefix("a_"): made for name, made in list(globals().items()) if name.startswith("a_")
}


def citation(s: Statement, doc: ContextDocument, rng: random.Random) -> Statement | None:
    """The same text citing another fact of the section, with another name."""
    facts = {f.key: f for f in doc.facts}
    own = facts[s.cites[0]]
    others = [f for f in doc.facts if f.section == own.section and f.display != own.display and f.text not in own.text]
    return (
        s.model_copy(update={"cites": (rng.choice(others).key,)})
        if others and len(s.cites) == 1 and own.section != "demographics"
        else None
    )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", action="store_true", help="print what went wrong")
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    caught: Counter[str] = Counter()
    altered: Counter[str] = Counter()
    true: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    shown: list[str] = []
    seconds, statements = 0.0, 0
    for doc in documents(asked.seed, asked.patients):
        facts = {f.key: f for f in doc.facts}
        rendered = [
            True_(text=s.text, cites=s.cites, kind=s.kind, template="renderer")
            for s in summarize(doc).statements
            if len(s.text) <= 2000
        ]
        both = list(pairs(doc))
        exchanged = [s.model_copy(update={"text": re.sub(r"@(.+?)@(.*)@(.+?)@", r"\3\2\1", s.text)}) for s in both]
        both = [s.model_copy(update={"text": s.text.replace("@", "")}) for s in both]
        said = [*rendered, *paraphrases(doc), *both]
        begun = time.perf_counter()
        withheld = {id(w.statement): w for w in verify_all(said, doc)}
        seconds += time.perf_counter() - begun
        statements += len(said)
        for s in said:
            true[s.template] += 1
            if id(s) in withheld:
                wrong[s.template] += 1
                shown.append(f"withheld though true  {s.text[:160]} {withheld[id(s)].reasons}")
        changed: list[tuple[str, Statement]] = [("exchange", s) for s in exchanged]
        for s in said:
            if not s.cites or id(s) in withheld:
                continue
            for name, alter in ALTERATIONS.items():
                text = alter(s, facts[s.cites[0]], rng)
                if text and text != s.text:
                    changed.append((name, Statement(text=text[:2000], cites=s.cites, kind=s.kind)))
            if other := citation(s, doc, rng):
                changed.append(("citation", other))
        missed = {id(s) for s in (c for _, c in changed)} - {
            id(w.statement) for w in verify_all([c for _, c in changed], doc)
        }
        for name, s in changed:
            altered[name] += 1
            caught[name] += id(s) not in missed
            if id(s) in missed:
                shown.append(f"shown though altered ({name})  {s.text[:160]} {s.cites}")
    print(f"{'alteration':<14}{'altered':>9}{'caught':>9}{'':>9}")
    for name in sorted(altered):
        print(f"{name:<14}{altered[name]:>9}{caught[name]:>9}{caught[name] / altered[name]:>9.2%}")
    print(f"{'all':<14}{altered.total():>9}{caught.total():>9}{caught.total() / altered.total():>9.2%}\n")
    print(f"{'true statement':<24}{'made':>9}{'withheld':>9}")
    for name in sorted(true):
        print(f"{name:<24}{true[name]:>9}{wrong[name]:>9}{wrong[name] / true[name]:>9.2%}")
    print(f"{'all':<24}{true.total():>9}{wrong.total():>9}{wrong.total() / true.total():>9.2%}")
    print(f"\n{statements / seconds:,.0f} statements a second (the first of a document reads its facts)")
    if asked.show:
        print("\n".join(sorted(shown)))


def verify_all(said: list[Statement] | list[True_], doc: ContextDocument) -> list:  # type: ignore[type-arg]
    """All withheld statements, in batches below the verifier's limit."""
    found = []
    for at in range(0, len(said), 200):
        found += verify(said[at : at + 200], doc).withheld
    return found


if __name__ == "__main__":
    main()
