"""The page as it is exported: on a plain file server without any service, and in a frame that may only run scripts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from service.cli import app
from tests.browser.conftest import Visit
from tests.browser.frame.test_frames import framing
from tests.browser.reading import slide
from tests.running import RunningService


class Quiet(SimpleHTTPRequestHandler):
    """Files and nothing else: no header of CORS, no other path."""

    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, site: RunningService) -> Iterator[tuple[str, str]]:
    """Yield the exported page, and the service that it was made from, which it must not need."""
    folder: Path = tmp_path_factory.mktemp("exported") / "public"
    questions = tmp_path_factory.mktemp("questions") / "questions.txt"
    questions.write_text("books about felines\na story about a dog\nanimals in the wild\n", encoding="utf-8")
    options = ["--questions", str(questions), "--url", site.url, "--json"]
    result = CliRunner().invoke(app, ["page", "export", str(folder), *options])
    assert result.exit_code == 0, result.output
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", site.url
        server.shutdown()
        thread.join()


def test_lookups_answer_without_a_service_as_the_service_does(chromium: Any, exported: tuple[str, str]) -> None:
    origin, service = exported
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    opened = Visit(context.new_page(), origin, "scenes.html")
    page = opened.page
    opened.go("", covered=True)
    page.locator(".choice[value=none]").click()
    assert page.locator("#reply").inner_text().startswith("Yes: ")
    page.wait_for_selector("#checking[data-state=exported]")
    assert float(page.get_attribute("#checking", "data-difference")) < 1e-6
    page.select_option("#exported-questions", "a story about a dog")
    page.wait_for_function("() => document.querySelector('#question').value === 'a story about a dog'")
    page.wait_for_timeout(600)
    temperature = slide(page, 200)
    body = {"query": "a story about a dog", "temperature": temperature, "top_k": 3, "null": False}
    matches = httpx.post(f"{service}/v1/collections/library/attend", json=body, timeout=60).json()["matches"]
    shown = page.locator("#answer-attention .found li").all_inner_texts()
    assert [match["value"] for match in matches] == [text.splitlines()[0] for text in shown]
    assert all(
        f"{match['weight']:.0%}"[:-1] in text
        for match, text in zip(matches, shown, strict=True)
        if match["weight"] > 0.1
    )

    page.fill("#question", "a question that nobody has asked before")
    page.wait_for_selector(".notice a[href^='lesson.html']")
    for scene, selector in (
        ("rows", "#output-node .nearest:not(:empty)"),
        ("filter", ".row.masked"),
        ("values", ".node.output .swatch"),
    ):
        opened.go(f"#scene={scene}")
        page.wait_for_selector(selector, state="attached")
        assert page.locator(".notice").count() == 0, scene
    opened.go("#scene=photo&lang=zh")
    page.wait_for_selector(".notice a")
    assert "需要服务" in page.locator("#scene option").nth(3).inner_text()
    page.goto(f"{origin}/lesson.html")
    page.wait_for_selector(".class-command")
    assert (opened.errors, opened.strangers) == ([], [])
    assert [url for url in opened.requests if "/v1/" in url] == []
    context.close()


def test_it_works_in_a_frame_that_may_run_scripts_and_nothing_else(chromium: Any, exported: tuple[str, str]) -> None:
    origin, _ = exported
    address = f"{origin}/index.html?embed=1#scene=values"
    with framing(address, 'sandbox="allow-scripts" width="800" height="520"') as site:
        page = chromium.new_page()
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(site, wait_until="load")
        frame = page.frame_locator("iframe")
        frame.locator("#checking[data-state=exported]").wait_for(state="attached", timeout=60_000)
        swatch = frame.locator(".node.output .blended")
        before = swatch.inner_text()
        frame.locator("#temperature").focus()
        page.keyboard.press("End")
        page.wait_for_timeout(200)
        assert swatch.inner_text() != before
        assert frame.locator(".rows .row").count() >= 8
        for hidden in ("#bar", ".answers", ".below", ".asking", "#foot", "#exported-questions"):
            assert not frame.locator(hidden).first.is_visible(), hidden
        assert errors == []
        page.close()
