"""The page in a real browser: a clinician signs in, reads, opens sources; a hostile record stays text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_kit import own_store, serving
from store_kit import NOW, add_site, fetch
from test_page_view import PERSON, lab, resource

from models.record import RawResource
from service.api.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
TENANT = "ours"
HOSTILE = (
    "</pre></script>\"'><script>window.owned=1</script><img src=x onerror=window.owned=1><svg onload=window.owned=1>"
)
POISON = "javascript:window.owned=1"


class Visit:
    """One open page; what it asked for and complained about."""

    def __init__(self, context: Any, page: Any, base: str) -> None:
        self.context, self.page, self.base = context, page, base
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    @classmethod
    async def begin(cls, chromium: Any, base: str, key: str, patient: str, **more: Any) -> Visit:
        context = await chromium.new_context(**more)
        visit = cls(context, await context.new_page(), base)
        await visit.page.goto(f"{base}/patients/{patient}")
        await visit.page.fill("#key", key)
        visit.complaints.clear()  # the browser reports the 401 that led here
        await visit.page.click("button.primary")
        await visit.page.wait_for_selector("h1:has-text('Oduya')")
        return visit

    async def text(self, selector: str = "main") -> str:
        return str(await self.page.inner_text(selector))

    async def close(self) -> None:
        foreign = [url for url in self.requests if not url.startswith(self.base + "/")]
        assert foreign == [], "a request left the origin"
        assert self.complaints == []
        assert await self.page.evaluate("window.owned") is None
        await self.context.close()


def sections() -> list[Any]:
    """A small record with everything the page shows; two of its sections could not be read."""

    def of(section: Any, *bodies: dict[str, Any], **more: Any) -> Any:
        raws = [
            RawResource(
                tenant=TENANT,
                site="north",
                resource_type=b["resourceType"],
                resource_id=b["id"],
                content=json.dumps(b).encode(),
                retrieved=NOW,
            )
            for b in bodies
        ]
        return fetch(section, raws, **more)

    active = {"clinicalStatus": {"coding": [{"code": "active"}]}}
    pressure = resource(
        "Observation",
        "bp",
        status="final",
        category=[{"coding": [{"code": "vital-signs"}]}],
        code={"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
        effectiveDateTime="2024-08-02",
        component=[
            {
                "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
                "valueQuantity": {"value": value, "unit": "mmHg"},
            }
            for code, value in (("8480-6", 142), ("8462-4", 91))
        ],
    )
    return [
        of("demographics", PERSON),
        of("allergies", state="not_authorized", reason="HTTP 403"),
        of("medications", state="failed", reason="HTTP 500 three times"),
        of(
            "problems",
            resource("Condition", "c1", code={"text": "Gout"}, onsetDateTime="2020", **active),
            resource("Condition", "c2", code={"text": HOSTILE}, onsetDateTime=HOSTILE, **active),
        ),
        of(
            "labs",
            lab("o1", 6.9, "2024-01-02"),
            lab("o2", 8.4, "2024-08-02", interpretation=[{"coding": [{"code": "H"}]}]),
            *(lab(f"x{i}", i, "2024-08-02") | {"code": {"text": f"Test {i} {HOSTILE}"}} for i in range(16)),
        ),
        of("vitals", pressure),
        of(
            "notes",
            resource(
                "DocumentReference",
                "d1",
                status="current",
                type={"text": HOSTILE},
                description=POISON,
                content=[{"attachment": {"contentType": "text/plain", "url": POISON, "title": HOSTILE}}],
            ),
        ),
    ]


@pytest.fixture(scope="module")
def place(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str, str]]:
    """A served app, a clinician's key, a patient."""
    with own_store(postgres_url, tmp_path_factory.mktemp("home")) as store:
        add_site(store, TENANT, freshness_hours=1e6)
        patient = store.register_patient(TENANT, "north", "p")
        store.commit_fetch(TENANT, patient, "north", sections())
        with serving(create_app(store.settings, store)) as base:
            yield base, store.create_api_key(TENANT, "clinician")[1], patient


async def test_a_clinician_signs_in_reads_and_opens_the_source_of_a_statement(
    chromium: Any, place: tuple[str, str, str]
) -> None:
    visit = await Visit.begin(chromium, *place, viewport={"width": 1280, "height": 900})
    page = visit.page
    assert "Mirembe Oduya" in await visit.text("h1")
    assert "Allergies (access not permitted)" in await visit.text("#gaps") and await page.is_visible("#gaps")
    assert "Medications (could not be read)" in await visit.text("#gaps")
    assert "access not permitted" in await visit.text("#allergies")
    for negative in ("no known", "none known", "nkda"):
        assert negative not in (await visit.text()).lower()

    await page.click("#problems a.source:has-text('Gout')")
    await page.wait_for_selector("#panel mark")
    assert await page.inner_text("#panel-title") == "Gout"
    assert "Condition/c1" in await visit.text("#panel") and "north" in await visit.text("#panel")
    assert any("Gout" in m for m in await page.locator("#panel mark").all_inner_texts())
    await page.keyboard.press("Escape")
    await page.wait_for_selector("#panel", state="hidden")
    assert (await page.evaluate("document.activeElement.textContent")).strip().startswith("Gout"), (
        "focus returns to where it was"
    )

    await page.click("#vitals a.source:has-text('91')")
    await page.wait_for_selector("#panel mark")
    assert "91" in "".join(await page.locator("#panel mark").all_inner_texts())
    assert "142" not in "".join(await page.locator("#panel mark").all_inner_texts()), "the cited component alone"
    await page.click("#panel-close")

    summary = page.locator("#summary a.source:has-text('Gout')").first
    await summary.focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#panel mark")
    assert "Condition/c1" in await visit.text("#panel")
    await page.keyboard.press("Escape")
    assert await page.locator("#labs tr.later:visible").count() == 0
    await page.click("#labs .show-all")
    assert await page.locator("#labs tr.later:visible").count() > 0
    await visit.close()


async def test_a_link_fills_the_key_in_and_no_server_sees_it(chromium: Any, place: tuple[str, str, str]) -> None:
    base, key, patient = place
    context = await chromium.new_context()
    visit = Visit(context, await context.new_page(), base)
    page = visit.page
    await page.goto(f"{base}/patients/{patient}#key={key}")
    assert await page.input_value("#key") == key
    assert await page.is_visible("#from-link"), "a person is told where the key came from, and decides"
    assert page.url == f"{base}/patients/{patient}", "the address no longer holds it"
    assert await context.cookies() == []
    assert not any(key in url for url in visit.requests)
    visit.complaints.clear()  # the browser reports the 401 that led here
    await page.keyboard.press("Enter")
    await page.wait_for_selector("h1:has-text('Oduya')")
    await page.goto(f"{base}/#key={key}")
    await page.goto(f"{base}/patients/{patient}#key={key}")
    await page.wait_for_function("!window.location.hash")
    await visit.close()


async def test_a_link_to_another_machine_fills_nothing_in(chromium: Any, place: tuple[str, str, str]) -> None:
    base, key, _ = place
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(f"{base.replace('127.0.0.1', 'ward.localhost')}/login#key={key}")
    await page.wait_for_function("!window.location.hash")
    assert await page.input_value("#key") == ""
    assert not await page.is_visible("#from-link")
    await context.close()


async def test_a_hostile_record_stays_text_wherever_it_is_opened(chromium: Any, place: tuple[str, str, str]) -> None:
    visit = await Visit.begin(chromium, *place)
    page = visit.page
    assert "onerror=window.owned=1" in await visit.text("#problems")
    for selector in ("#problems a.source:has-text('owned')", "#notes a.source", "#labs a.source"):
        await page.locator(selector).first.click()
        await page.wait_for_selector("#panel .resource")
        assert (
            await page.evaluate("document.querySelectorAll('#panel script, #panel img, #panel svg, #panel a').length")
            == 0
        )
        await page.keyboard.press("Escape")
    handlers = (
        "[...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on'))).length"
    )
    assert await page.evaluate(handlers) == 0
    assert await page.evaluate("document.scripts.length") == 1
    link = await page.locator("#problems a.source:has-text('owned')").first.get_attribute("href")
    await page.goto(visit.base + link)
    assert "onerror=window.owned=1" in await visit.text() and await page.evaluate("document.scripts.length") == 0
    await page.evaluate("window.tried = 0")
    await page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.owned=2'; document.body.append(s); }"""
    )
    assert await page.evaluate("window.owned") is None, "the policy stops even a script that got in"
    assert any("Content Security Policy" in c for c in visit.complaints)
    visit.complaints.clear()
    await visit.close()


async def test_without_scripts_everything_can_be_read(chromium: Any, place: tuple[str, str, str]) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    base, key, patient = place
    page = await context.new_page()
    await page.goto(f"{base}/patients/{patient}")
    await page.fill("#key", key)
    await page.click("button.primary")
    assert await page.locator("#labs tr.later").first.is_visible(), "nothing is folded away"
    assert not await page.locator(".show-all").first.is_visible()
    await page.locator("#problems a.source").first.click()
    await page.wait_for_url("**/sources/*")
    assert await page.locator("mark").count() >= 1 and "Back to the patient" in await page.inner_text("main")
    await context.close()


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (768, "dark")])
async def test_it_fits_a_small_screen(
    chromium: Any, place: tuple[str, str, str], width: int, scheme: str, tmp_path: Path
) -> None:
    visit = await Visit.begin(chromium, *place, viewport={"width": width, "height": 740}, color_scheme=scheme)
    page = visit.page
    assert await page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out sideways"
    assert (await page.locator("#gaps").bounding_box())["y"] < 740, "what is not known is on the first screen"
    await page.locator("#problems a.source").first.click()
    await page.wait_for_selector("#panel .resource")
    box = await page.locator("#panel").bounding_box()
    assert box["width"] <= width and box["x"] >= 0
    await page.screenshot(path=str(tmp_path / "panel.png"))
    await visit.close()


async def test_on_paper_nothing_is_folded_away(chromium: Any, place: tuple[str, str, str]) -> None:
    visit = await Visit.begin(chromium, *place)
    await visit.page.emulate_media(media="print")
    assert await visit.page.locator("#labs tr.later").first.is_visible()
    assert not await visit.page.locator("header.bar").is_visible()
    assert await visit.page.locator("#coverage").is_visible() and await visit.page.locator("#gaps").is_visible()
    await visit.close()


async def test_an_ended_session_leads_to_signing_in_and_back(chromium: Any, place: tuple[str, str, str]) -> None:
    visit = await Visit.begin(chromium, *place)
    await visit.context.clear_cookies()
    await visit.page.locator("#problems a.source").first.click()
    await visit.page.wait_for_selector("#key")
    await visit.page.fill("#key", place[1])
    await visit.page.click("button.primary")
    await visit.page.wait_for_selector("h1:has-text('Oduya')")
    visit.complaints.clear()  # the 401 itself
    await visit.close()
