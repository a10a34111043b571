"""Patient -> Demographics."""

from __future__ import annotations

from adapters.normalizer.base import Source
from adapters.normalizer.codes import words_of
from adapters.normalizer.names import person_name
from adapters.normalizer.read import Json
from adapters.normalizer.values import named_refs
from models.record import Address, Demographics, Identifier
from models.record.dates import bounds

_RACE = "us-core-race"
_ETHNICITY = "us-core-ethnicity"
_BIRTH_SEX = "us-core-birthsex"


def demographics(source: Source) -> list[Demographics]:
    """Read a Patient."""
    item = source.resource
    birth = source.date(item, "birthDate")
    if birth is None:
        source.flag("missing_date", "birthDate")
    else:
        source.check_date(birth, "birthDate")
    deceased, when = source.boolean(item, "deceasedBoolean"), source.date(item, "deceasedDateTime")
    race, ethnicity, sex = _us_core(source)
    return [
        Demographics(
            id=source.id(),
            origins=source.origins(),
            names=tuple(n for n in (person_name(source, x) for x in _names(source)) if n),
            birth_date=birth,
            gender=source.text(item, "gender").lower(),
            birth_sex=sex,
            deceased=True if item.get("deceasedDateTime") is not None else deceased,
            deceased_date=when,
            race=race,
            ethnicity=ethnicity,
            languages=_languages(source),
            marital_status=words_of(source, item, "maritalStatus", source.rules),
            identifiers=tuple(i for i in (_identifier(source, x) for x in source.objs(item, "identifier")) if i.value),
            addresses=tuple(_address(source, x) for x in source.objs(item, "address")),
            telecom=_telecom(source, item),
            general_practitioners=named_refs(
                source, item, "generalPractitioner", source.neighbours.names, "general practitioner"
            ),
            active=source.boolean(item, "active"),
            flags=tuple(source.flags),
        )
    ]


def _names(source: Source) -> list[Json]:
    """The names as sent, those that were given up last: a maiden name may still be called official."""
    now = source.now

    def given_up(name: Json) -> bool:
        end = source.period(name, "period")[1] if "period" in name else None
        return bool(end and now and bounds(end)[1] < bounds(now)[0])

    return sorted(source.objs(source.resource, "name"), key=given_up)


def _us_core(source: Source) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    race: list[str] = []
    ethnicity: list[str] = []
    sex = ""
    for extension in source.objs(source.resource, "extension"):
        url = source.text(extension, "url").rsplit("/", 1)[-1].lower()
        if url == _BIRTH_SEX:
            sex = source.text(extension, "valueCode")
        elif url in (_RACE, _ETHNICITY):
            (race if url == _RACE else ethnicity).extend(_omb(source, extension))
    return tuple(dict.fromkeys(race)), tuple(dict.fromkeys(ethnicity)), sex


def _omb(source: Source, extension: Json) -> list[str]:
    """The text of a US Core race or ethnicity, else the displays of its categories."""
    parts = source.objs(extension, "extension")
    texts = [source.text(p, "valueString") for p in parts if p.get("url") == "text"]
    if any(texts):
        return [t for t in texts if t]
    codings = [source.obj(p, "valueCoding") for p in parts if "valueCoding" in p]
    return [d for d in (source.text(c, "display") or source.text(c, "code") for c in codings) if d]


def _languages(source: Source) -> tuple[str, ...]:
    found: list[tuple[bool, str]] = []
    for item in source.objs(source.resource, "communication"):
        words = words_of(source, item, "language", source.rules)
        if words:
            found.append((item.get("preferred") is not True, words))
    return tuple(dict.fromkeys(words for _, words in sorted(found, key=lambda f: f[0])))


def _identifier(source: Source, item: Json) -> Identifier:
    codes = source.objs(source.obj(item, "type"), "coding") if "type" in item else []
    return Identifier(
        system=source.text(item, "system"),
        value=source.text(item, "value"),
        type=next((source.text(c, "code") for c in codes if c.get("code")), ""),
    )


def _address(source: Source, item: Json) -> Address:
    return Address(
        lines=source.texts(item, "line"),
        city=source.text(item, "city"),
        state=source.text(item, "state"),
        postal_code=source.text(item, "postalCode"),
        country=source.text(item, "country"),
        use=source.text(item, "use"),
    )


def _telecom(source: Source, item: Json) -> tuple[str, ...]:
    found = []
    for contact in source.objs(item, "telecom"):
        value = source.text(contact, "value")
        if value:
            found.append(f"{source.text(contact, 'system') or 'contact'}: {value}")
    return tuple(found)
