"""The exported page, opened from files without a network, and in a frame that may only run scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import Visit
from tests.browser.frame.test_frames import framing
from tests.browser.reading import number, share, words
from tests.running import RunningService
from tools.page import WORKSHOP, library
from workshop.tests.browser.deeper.test_pictures import PICTURES
from workshop.tests.browser.frame.conftest import LOAD_MS
from workshop.tools.recorded import read
from workshop.tools.recorded.writing import BEGINNINGS, NAME, SPECIAL, model_of


def load_encoder(page: Any) -> None:
    """Load the encoder as a reader does, who typed something new."""
    page.click("#load-encoder", timeout=LOAD_MS)
    page.wait_for_selector(".notice", state="hidden", timeout=LOAD_MS)
    page.wait_for_selector("[aria-busy=true]", state="detached", timeout=LOAD_MS)


def test_a_question_of_one_s_own_is_answered_as_the_service_answers_it(offline: Visit, site: RunningService) -> None:
    page = offline.go("deeper.html#four")
    page.wait_for_selector("#way-attention li")
    page.fill("#question", "a pet that barks at the postman")
    load_encoder(page)
    page.wait_for_timeout(500)
    rows = words("story/rows.json")["shelf"]["rows"]
    body = {"query": "a pet that barks at the postman", "rows": rows, "temperature": 0.05, "top_k": 20, "null": "auto"}
    matches = httpx.post(f"{site.url}/v1/compare", json=body, timeout=60).json()["attention"]["matches"]
    shown = page.locator("#way-attention li")
    assert shown.count() == len(rows)
    weights = {item.locator(".key").inner_text(): item.locator(".weight").inner_text() for item in shown.all()}
    for match in matches:
        assert abs(share(weights[match["key"]].strip()) - match["weight"]) < 0.02, match["key"]
    near = {match["key"]: match["similarity"] for match in matches}
    for item in page.locator("#way-top li").all():
        similarity = number(item.locator(".weight").inner_text().strip())
        assert abs(similarity - near[item.locator(".key").inner_text()]) < 0.01


def test_the_zoom_is_recorded_and_computed_from_files(offline: Visit) -> None:
    page = offline.go("deeper.html#zoom")
    row = "section[aria-labelledby='zoom-answer'] tr.chosen"
    page.wait_for_selector(row)
    page.fill("#zoom-question", "a pet that barks at the postman")
    page.keyboard.press("Enter")
    page.click("#load-encoder", timeout=LOAD_MS)
    page.wait_for_function("() => document.querySelector('.chips')?.textContent.includes('bark')", timeout=LOAD_MS)
    page.wait_for_selector(row, timeout=LOAD_MS)
    page.wait_for_selector(".neurons", timeout=LOAD_MS)
    page.click("#leave-out")
    page.wait_for_selector(".movers button", timeout=LOAD_MS)
    assert page.locator(".movers button").count() == 3


def test_a_link_with_keys_of_ones_own_is_read_by_the_page_itself(offline: Visit) -> None:
    page = offline.page
    page.goto(f"{offline.origin}/index.html#hard-and-soft&rows=9*a_bright_bus~red")
    page.click("#load-encoder", timeout=LOAD_MS)
    page.wait_for_function(
        "() => document.querySelector('#hard-and-soft .edits button')?.ariaLabel.includes('a bright bus')",
        timeout=LOAD_MS,
    )
    threads = page.locator("#hard-and-soft .threads .left .thread")
    assert sum(float(thread.get_attribute("data-weight") or "nan") for thread in threads.all()) == pytest.approx(1)
    page.locator("#hard-and-soft .edits button").first.click()
    page.keyboard.type("a calm sea")
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.includes('a_calm_sea')")
    page.wait_for_function(
        "() => Number(document.querySelector('#hard-and-soft .threads .left .thread').dataset.weight) > 0.9"
    )


def test_each_picture_opens(offline: Visit) -> None:
    page = offline.go("deeper.html")
    for name in PICTURES:
        page.evaluate("(name) => { location.hash = name; }", name)
        page.wait_for_selector(f"#{name} .screen", state="visible")
        offline.settle()
        assert page.locator(f"#{name} .doing > .notice:visible").count() == 0
    page.evaluate("location.hash = 'certificate'")
    page.wait_for_selector("#certificate .notice:visible")
    assert "no service behind it" in page.locator("#certificate .notice").inner_text()


def test_a_picture_is_saved_from_files(offline: Visit) -> None:
    page = offline.page
    page.goto(f"{offline.origin}/index.html#hard-and-soft&t=0.1")
    page.wait_for_selector("#hard-and-soft .thread[data-weight]", state="attached")
    page.locator(".sharing summary").click()
    with page.expect_download() as download:
        page.locator(".sharing button[data-kind=png]").click()
    with Image.open(download.value.path()) as picture:
        assert picture.width > 2000
        assert len(picture.convert("RGB").resize((200, 100)).getcolors(20_000) or []) > 50


def test_the_story_is_there_with_all_its_chapters(offline: Visit) -> None:
    page = offline.page
    page.goto(f"{offline.origin}/index.html")
    page.wait_for_selector("article.chapter svg")
    chapters = (WORKSHOP / "story/index.js").read_text(encoding="utf-8").count('from "./chapters/')
    assert page.locator("nav.rail a").count() == chapters == 8
    for i in range(chapters):
        page.locator("nav.rail a").nth(i).click()
        page.wait_for_function(
            "(n) => document.querySelectorAll('article.chapter')[n].querySelector('svg, canvas')", arg=i
        )
    page.locator("nav.rail a").first.click()
    field = page.locator("form.asking textarea").first
    field.fill("something burning hot")
    field.press("Enter")
    page.click("#load-encoder", timeout=LOAD_MS)
    page.wait_for_selector(".notice", state="hidden", timeout=LOAD_MS)


def test_a_text_is_written_from_files(offline: Visit) -> None:
    page = offline.page
    page.goto(f"{offline.origin}/index.html")
    page.evaluate(library("language/index.js", "Language"))
    texts = page.evaluate(
        """async (texts) => {
      const model = await Language.LanguageModel.load();
      return texts.map((text) => {
        const { ids } = model.tokens(text);
        do ids.push(model.next(model.logits(ids), 0, 1)[0].id);
        while (ids.length < model.shape.positions && model.words[ids.at(-1)] !== ".");
        return ids;
      });
    }""",
        ["", BEGINNINGS[0][0]],
    )
    model, vocabulary = model_of(read(NAME))
    for ids in texts:
        assert 1 < len(ids) <= 14
        logits = model(np.array([ids]))[0] @ model.embeddings.tokens.T
        begun = 1 if ids == texts[0] else 6
        expected = logits[:, len(SPECIAL) :].argmax(axis=1) + len(SPECIAL)
        assert ids[begun:] == expected[begun - 1 : -1].tolist(), [vocabulary.words[number] for number in ids]


def test_the_teacher_s_window_runs_a_lesson_from_files(offline: Visit) -> None:
    page = offline.page
    page.goto(f"{offline.origin}/index.html?lesson")
    page.wait_for_selector(".lesson-bar")
    with page.expect_popup() as popup:
        page.click("#teacher")
    teacher = popup.value
    teacher.click("#forward:not([disabled])")
    page.locator(".lesson-bar .place", has_text="2 /").wait_for()
    teacher.locator(".say", has_text="A table of nine rows").wait_for()


def test_the_lesson_and_the_worksheet_lead_back_to_files(offline: Visit) -> None:
    page = offline.page
    for name in ("lesson.html", "worksheet.html"):
        page.goto(f"{offline.origin}/{name}")
        page.wait_for_selector("#lesson h1")
        links = page.evaluate("[...document.links].map((link) => link.href)")
        for link in links:
            path = Path(httpx.URL(link).path)
            assert not link.startswith("file:") or path.is_file(), (name, link)
    page.goto(f"{offline.origin}/deeper.html#similarities")
    page.wait_for_selector("article:visible .screen")
    assert page.locator(".mark").get_attribute("href") == "index.html"


def test_the_exported_page_works_in_a_sandboxed_frame(chromium: Any, origin: str) -> None:
    address = f"{origin}/deeper.html?embed=1#regression"
    with framing(address, 'sandbox="allow-scripts" width="800" height="520"') as site:
        page = chromium.new_page()
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(site, wait_until="load")
        frame = page.frame_locator("iframe")
        curve = frame.locator(".plot .trace path")
        curve.wait_for(timeout=240_000)
        before = curve.get_attribute("d")
        frame.locator("#temperature").focus()
        page.keyboard.press("End")
        page.wait_for_timeout(200)
        assert curve.get_attribute("d") != before
        for hidden in (".bar", ".rail", ".sentence", ".prediction"):
            assert not frame.locator(hidden).first.is_visible(), hidden
        assert errors == []
        page.close()
