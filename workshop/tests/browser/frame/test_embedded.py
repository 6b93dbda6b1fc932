"""A chapter in a frame of another site: it answers and can be dragged, sends no key, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.browser.frame.test_frames import framing
from tests.running import RunningService

ROWS = quote("3*my_cat*<b>d</b>*a_violin")
SIZE = 'width="800" height="520"'
TOLD = "#hard-and-soft p.told"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service that anybody may read, without a setting for frames."""
    with RunningService(data_dir=tmp_path_factory.mktemp("framed")) as running:
        running.wait_until_ready()
        yield running


def shown(chromium: Any, site: str) -> tuple[Any, Any]:
    """Return a page of another site, and the frame in it."""
    page = chromium.new_page()
    page.goto(site, wait_until="load")
    return page, page.frame_locator("iframe")


def test_another_site_shows_a_chapter_with_its_rows(chromium: Any, service: RunningService) -> None:
    with framing(f"{service.url}/?embed=1#hard-and-soft&t=0.3&rows={ROWS}", SIZE) as site:
        page, frame = shown(chromium, site)
        frame.locator(".key-text", has_text="<b>d</b>").wait_for(timeout=30_000)
        assert frame.locator("p.about").inner_text() == "Rows by the linking page."
        assert frame.locator("b", has_text="d").count() == 0
        for hidden in (".bar", ".rail", "#hard-and-soft .hood", "#hard-and-soft .prediction"):
            assert not frame.locator(hidden).is_visible(), hidden
        field = frame.locator("#hard-and-soft .asking input, #hard-and-soft .asking textarea").first
        with page.expect_response("**/v1/compare") as answered:
            field.fill("a stringed instrument")
            field.press("Enter")
        assert answered.value.ok
        assert "x-api-key" not in answered.value.request.headers
        before = frame.locator(TOLD).inner_text()
        knob = frame.locator("#hard-and-soft .knob")
        knob.focus()
        for _ in range(12):
            knob.press("ArrowDown")
        assert frame.locator(TOLD).inner_text() != before
        page.close()


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("nothing-fits", ".share:not(:empty)"),
        ("who-shares", ".share:not(:empty)"),
        ("nothing-fits&masked=[[%22cats%22]]", ".row.masked .key"),
        ("inside-a-model", ".head-map button:last-child"),
        ("inside-a-model&use=masked", "[data-use=masked][aria-pressed=true]"),
    ],
)
def test_a_frame_shows_the_answer_of_the_screen_that_its_address_is_about(
    chromium: Any, service: RunningService, address: str, seen: str
) -> None:
    page = chromium.new_page(viewport={"width": 800, "height": 520})
    page.goto(f"{service.url}/?embed=1#{address}")
    page.wait_for_function(
        """(seen) => {
          const box = document.querySelector(seen)?.getBoundingClientRect();
          return box?.width > 0 && box.right <= 800 && box.top >= 0 && box.bottom <= 520;
        }""",
        arg=seen,
    )
    page.close()


@pytest.mark.parametrize("path", ["/", "/?embed=0", "/explore?embed=1", "/room?embed=1", "/lesson.html?embed=1"])
def test_nothing_that_writes_is_framed(chromium: Any, service: RunningService, path: str) -> None:
    with framing(f"{service.url}{path}", SIZE) as site:
        page = chromium.new_page()
        refused: list[str] = []
        page.on("console", lambda message: refused.append(message.text))
        page.goto(site, wait_until="load")
        page.wait_for_timeout(200)
        page.close()
    assert any("frame-ancestors" in text for text in refused)


@pytest.mark.parametrize("query", ["embed=0&embed=1", "embed&embed=1", "%65mbed=0&embed=1", "embed=1&embed=0"])
def test_an_address_that_is_nearly_that_of_a_picture_is_not_framed(
    chromium: Any, service: RunningService, query: str
) -> None:
    test_nothing_that_writes_is_framed(chromium, service, f"/deeper?{query}")
    page = chromium.new_page()
    page.goto(f"{service.url}/deeper?{query}")
    assert page.evaluate("document.documentElement.dataset.embed") is None
    page.close()


def test_a_frame_sends_no_key_and_no_write(chromium: Any, service: RunningService) -> None:
    page = chromium.new_page()
    page.goto(f"{service.url}/")
    page.evaluate("sessionStorage.setItem('softkv-key', 'secret')")
    sent: list[Any] = []
    page.on("request", lambda request: sent.append(request.headers) if "/v1/" in request.url else None)
    page.goto(f"{service.url}/deeper?embed=1#networks")
    page.wait_for_selector("#networks svg")
    page.locator("#networks button:visible", has_text="Train").first.click()
    page.wait_for_timeout(500)
    assert sent
    assert all("x-api-key" not in headers and "authorization" not in headers for headers in sent)
    assert not [request for request in sent if request.get("accept") == "text/event-stream"]
    links = page.evaluate(
        """() => [...document.querySelectorAll("a[href]")].map((link) => {
            link.addEventListener("click", (event) => event.preventDefault());
            link.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true}));
            return [link.href, link.target]; })"""
    )
    assert links
    assert all("embed" not in href and target == "_blank" for href, target in links)
    page.close()


def test_without_a_key_recorded_rows_are_shown(chromium: Any, tmp_path: Path) -> None:
    with RunningService(data_dir=tmp_path, read_keys=("r",)) as running:
        running.wait_until_ready()
        with framing(f"{running.url}/?embed=1#hard-and-soft&rows={ROWS}&q=a%20violin", SIZE) as site:
            page, frame = shown(chromium, site)
            frame.locator("p.about", has_text="recorded rows").wait_for(timeout=30_000)
            assert "the deep ocean" in frame.locator(".key-text").all_text_contents()
            assert not frame.locator("#api-key").is_visible()
            page.close()


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [({"embed": "none"}, "'self'"), ({"frame_ancestors": "https://lms.example"}, "https://lms.example")],
)
def test_an_operator_decides(tmp_path: Path, settings: dict[str, Any], allowed: str) -> None:
    with RunningService(data_dir=tmp_path, encoder="none", **settings) as running, running.client() as client:
        for path in ("/?embed=1", "/deeper?embed=1", "/"):
            assert f"frame-ancestors {allowed};" in client.get(path).headers["content-security-policy"]


def test_an_exported_page_is_framed_as_well(chromium: Any, origin: str) -> None:
    with framing(f"{origin}/index.html?embed=1#hard-and-soft&rows={ROWS}", SIZE) as site:
        page, frame = shown(chromium, site)
        frame.locator("#hard-and-soft .key-text").first.wait_for(timeout=60_000)
        assert frame.locator("p.about").inner_text() == "Rows by the linking page."
        assert not frame.locator(".bar").is_visible()
        page.close()
