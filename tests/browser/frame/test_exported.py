"""The exported page, opened from files without a network, and in a frame that may only run scripts."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from typer.testing import CliRunner

from service.api.routes.page import WEB
from service.cli import app
from tests.browser.conftest import Visit
from tests.browser.frame.test_frames import framing
from tests.browser.reading import logits, share, weights
from tests.running import RunningService

SCENES = re.findall(
    r'^  \{ name: "(\w+)"(, served: true)?', (WEB / "js/scenes.js").read_text(encoding="utf-8"), re.MULTILINE
)
LOAD_MS = 120_000
"""The encoder is read, and texts are encoded, on a busy machine."""


class Quiet(SimpleHTTPRequestHandler):
    """Files and nothing else: no header of CORS, no other path."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported page, which no service helped to write."""
    folder: Path = tmp_path_factory.mktemp("exported") / "public"
    result = CliRunner().invoke(app, ["page", "export", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def offline(chromium: Any, folder: Path) -> Iterator[Visit]:
    """A page that is opened from the folder's files, while there is no network."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, offline=True)
    opened = Visit(context.new_page(), folder.as_uri(), "scenes.html")
    yield opened
    assert (opened.errors, opened.strangers) == ([], [])
    context.close()


@pytest.fixture
def origin(folder: Path) -> Iterator[str]:
    """The address of a plain file server of the folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def compare_with_service(page: Any, answer: dict[str, Any]) -> None:
    """Compare all weights and similarities of the table, at T = 0.05, with an answer of the service."""
    matches = {match["key"]: match for match in answer["matches"]}
    assert len(matches) >= 5
    for key, shown in weights(page).items():
        assert abs(share(shown) - matches[key]["weight"]) < 0.02, key
    for key, shown in logits(page).items():
        assert abs(float(shown.replace("−", "-")) * 0.05 - matches[key]["similarity"]) < 0.01, key


def load_encoder(page: Any) -> None:
    """Load the encoder as a reader does, who typed something new."""
    page.click("#load-encoder", timeout=LOAD_MS)
    page.wait_for_selector("#notice:empty", state="attached", timeout=LOAD_MS)
    page.wait_for_selector("[aria-busy=true]", state="detached", timeout=LOAD_MS)


def test_a_question_of_one_s_own_is_answered_as_the_service_answers_it(offline: Visit, site: RunningService) -> None:
    page = offline.go("#scene=library")
    page.wait_for_selector("#checking[data-state=exported]")
    body = {"query": "books about felines", "top_k": 1000, "temperature": 0.05, "null": False}
    compare_with_service(page, httpx.post(f"{site.url}/v1/collections/library/attend", json=body, timeout=60).json())
    page.fill("#question", "a pet that barks at the postman")
    load_encoder(page)
    body["query"] = "a pet that barks at the postman"
    answer = httpx.post(f"{site.url}/v1/collections/library/attend", json=body, timeout=60).json()
    compare_with_service(page, answer)
    shown = page.locator("#answer-attention .found li").all_inner_texts()
    assert shown[0].splitlines()[0] == answer["matches"][0]["value"]


def test_edited_rows_are_answered_as_the_service_answers_them(offline: Visit, site: RunningService) -> None:
    page = offline.go("#scene=rows&t=0.05")
    page.locator(".all .key-text").first.fill("how to make an espresso in an old machine")
    page.locator(".all .key-text").first.press("Tab")
    load_encoder(page)
    keys = list(weights(page))
    assert "how to make an espresso in an old machine" in keys
    rows = [{"id": str(i), "key": key, "value": key} for i, key in enumerate(keys)]
    body = {"query": "I would like a hot drink", "rows": rows, "temperature": 0.05, "top_k": 1000}
    answer = httpx.post(f"{site.url}/v1/compare", json=body, timeout=60).json()["attention"]
    compare_with_service(page, answer)


@pytest.mark.parametrize(("scene", "served"), SCENES)
def test_a_scene_opens(offline: Visit, scene: str, served: str) -> None:
    page = offline.go(f"#scene={scene}")
    notice = page.locator("#notice .notice")
    if served:
        assert "needs one" in notice.inner_text()
    else:
        assert notice.count() == 0
    chosen = page.locator("#scene option:checked")
    assert chosen.inner_text().endswith("(needs a service)") == bool(served)


def test_the_map_asks_a_question_of_one_s_own_without_a_service(offline: Visit, site: RunningService) -> None:
    page = offline.go("#scene=space")
    page.wait_for_selector("#checking[data-state=exported]")
    page.fill("#question", "a pet that barks at the postman")
    load_encoder(page)
    body = {"query": "a pet that barks at the postman", "top_k": 1, "temperature": 0.05, "null": False}
    (best,) = httpx.post(f"{site.url}/v1/collections/library/attend", json=body, timeout=60).json()["matches"]
    page.wait_for_function(
        "(key) => document.querySelector('#space-words').textContent.includes(key)", arg=f"“{best['key']}” is nearest"
    )


def test_a_picture_is_saved_from_files(offline: Visit) -> None:
    page = offline.page
    page.goto(f"{offline.origin}/index.html#hard-and-soft&t=0.1")
    page.wait_for_selector("#hard-and-soft .thread[data-weight]", state="attached")
    page.locator(".share summary").click()
    with page.expect_download() as download:
        page.locator(".share button[data-kind=png]").click()
    with Image.open(download.value.path()) as picture:
        assert picture.width > 2000
        assert len(picture.convert("RGB").resize((200, 100)).getcolors(20_000) or []) > 50


def test_every_head_reads_a_sentence_once_the_encoder_is_loaded(offline: Visit) -> None:
    page = offline.go("#scene=encoder")
    shares = "[...document.querySelectorAll('#row-of li')].map((row) => row.textContent)"
    recorded = page.evaluate(shares)
    assert len(recorded) > 5
    page.locator("#example-passage").click()
    page.wait_for_function("document.querySelector('#across').textContent !== ''")
    assert page.locator("#notice .notice").count() == 0
    page.locator("#example-dog").click()
    page.fill("#sentence", "The dogs chased the cats across the street")
    load_encoder(page)
    page.wait_for_function("document.querySelector('#row-of').textContent.includes('dogs')")
    whole = page.locator("#row-of").inner_text()
    page.locator("#causal").check()
    page.wait_for_function("(whole) => document.querySelector('#row-of').innerText !== whole", arg=whole)


def test_the_story_is_there_with_all_its_chapters(offline: Visit) -> None:
    page = offline.page
    page.goto(f"{offline.origin}/index.html")
    page.wait_for_selector("article.chapter svg")
    chapters = (WEB / "story/index.js").read_text(encoding="utf-8").count('from "./chapters/')
    assert page.locator("nav.rail a").count() == chapters == 7
    for number in range(chapters):
        page.locator("nav.rail a").nth(number).click()
        page.wait_for_function(
            "(n) => document.querySelectorAll('article.chapter')[n].querySelector('svg, canvas')", arg=number
        )
    page.locator("nav.rail a").first.click()
    field = page.locator("form.asking textarea").first
    field.fill("something burning hot")
    field.press("Enter")
    page.click("#load-encoder", timeout=LOAD_MS)
    page.wait_for_selector(".notice", state="hidden", timeout=LOAD_MS)


def test_the_lesson_and_the_worksheet_lead_back_to_files(offline: Visit) -> None:
    page = offline.page
    for name in ("lesson.html", "worksheet.html"):
        page.goto(f"{offline.origin}/{name}")
        page.wait_for_selector("#lesson h1")
        links = page.evaluate("[...document.links].map((link) => link.href)")
        for link in links:
            path = Path(httpx.URL(link).path)
            assert not link.startswith("file:") or path.is_file(), (name, link)
    page.goto(f"{offline.origin}/scenes.html#scene=library&lang=zh")
    page.wait_for_selector(".mark")
    assert page.locator(".mark").get_attribute("href") == "index.html"


def test_it_works_in_a_frame_that_may_run_scripts_and_nothing_else(chromium: Any, origin: str) -> None:
    address = f"{origin}/index.html?embed=1#scene=values"
    with framing(address, 'sandbox="allow-scripts" width="800" height="520"') as site:
        page = chromium.new_page()
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(site, wait_until="load")
        frame = page.frame_locator("iframe")
        frame.locator("#checking[data-state=exported]").wait_for(state="attached", timeout=240_000)
        swatch = frame.locator(".node.output .blended")
        before = swatch.inner_text()
        frame.locator("#temperature").focus()
        page.keyboard.press("End")
        page.wait_for_timeout(200)
        assert swatch.inner_text() != before
        assert frame.locator(".rows .row").count() >= 8
        for hidden in ("#bar", ".answers", ".below", ".asking", "#foot"):
            assert not frame.locator(hidden).first.is_visible(), hidden
        assert errors == []
        page.close()
