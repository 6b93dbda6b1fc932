"""The size of the page, and how soon and how smoothly it draws."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.arriving import arrival
from tests.browser.reading import checked
from tests.browser.speed import first_paint, frames_a_second, many_rows

MOST_BYTES = 175_000
# Of the story, which is what a link to the page opens.
MOST_BYTES_AT_FIRST = 90_000
MOST_REQUESTS = 20
# Far below what is aimed at (50): a shared machine without a graphics card must not fail for being slow.
FEWEST_FRAMES = 10


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_the_first_answer_needs_little_and_comes_before_the_fonts(chromium: Any, site: Any, language: str) -> None:
    context = chromium.new_context(locale=language)
    page = context.new_page()
    first = arrival(page, f"{site.url}/scenes")
    assert first.transferred <= MOST_BYTES, sorted(first.before.items(), key=lambda one: -one[1])[:10]
    assert [path for path in first.before if path.endswith(".woff2")] == []
    assert any(path.endswith("/sans.woff2") for path in first.after)
    assert sum(path.startswith("/v1/") for path in first.before) == 1
    # The first drawing needed one wave: no file had to name another one first.
    html = page.request.get(f"{site.url}/scenes", headers={"accept-language": language}).text()
    assert [path for path in first.before if path.endswith((".js", ".css")) and path[1:] not in html] == []

    page.goto("about:blank")
    again = arrival(page, f"{site.url}/scenes")
    assert {path: size for path, size in again.before.items() if size and not path.startswith("/v1/")}.keys() <= {
        "/scenes"
    }
    assert again.before["/scenes"] <= 400
    # A letter that is shown later may want a font that no letter wanted before.
    files = first.before | first.after
    assert [path for path, size in again.after.items() if size and path in files and not path.startswith("/v1")] == []
    context.close()


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_the_story_needs_little_before_its_first_picture(chromium: Any, site: Any, language: str) -> None:
    context = chromium.new_context(locale=language)
    page = context.new_page()
    first = arrival(page, site.url)
    assert first.transferred <= MOST_BYTES_AT_FIRST, sorted(first.before.items(), key=lambda one: -one[1])[:10]
    assert len(first.before) <= MOST_REQUESTS
    assert [path for path in first.before if path.endswith(".woff2") or "/recorded/" in path] == []
    context.close()


def test_something_is_read_before_a_script_runs(chromium: Any, site: Any) -> None:
    for language, title in (("en-GB", "SQL against attention"), ("zh-CN", "SQL 与注意力")):
        context = chromium.new_context(locale=language, java_script_enabled=False)
        page = context.new_page()
        page.goto(f"{site.url}/scenes")
        assert title in page.locator("h1").inner_text()
        assert page.locator(".legend").inner_text()
        assert page.locator("#opening").inner_text() == "books about felines"
        assert page.locator("html").get_attribute("lang") == language[:2]
        context.close()


def test_what_is_asked_while_the_script_comes_is_what_the_scene_asks(visit: Any) -> None:
    opened = visit("")
    page = opened.page
    assert page.locator("#question").input_value() == "books about felines"
    page.wait_for_selector("#checking[data-state=agreed]")
    assert sum(url.endswith("/compare") for url in opened.requests) == 1
    assert page.evaluate("Object.keys(window.asked)") == []


def test_another_scene_shows_nothing_of_the_opening_one(chromium: Any, site: Any) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.route("**/built/scenes.js", lambda route: None)  # it never comes
    for address, shown in (
        ("", True),
        ("#scene=library&theme=dark", True),
        ("#scene=steps", False),
        ("#query=x", False),
    ):
        page.goto("about:blank")
        page.goto(f"{site.url}/scenes{address}", wait_until="commit")
        page.wait_for_selector("h1", state="attached")
        assert page.locator("h1").is_visible() == shown, address
        assert page.locator("html").get_attribute("data-theme") == ("dark" if "dark" in address else None)
    context.close()


@pytest.mark.parametrize("address", ["#scene=values&t=0.2", "?embed=1#scene=values", "#scene=rows&packed=c07O"])
def test_a_link_to_a_scene_where_the_page_once_was_leads_to_the_scene(visit: Any, site: Any, address: str) -> None:
    page = visit("lesson.html").page
    for name in ("", "index.html"):
        page.goto(f"{site.url}/{name}{address}")
        page.wait_for_url(f"{site.url}/scenes{address}")
        page.go_back()
        page.wait_for_url(f"{site.url}/lesson.html")


def test_a_thousand_rows_follow_the_slider(visit: Any) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    assert first_paint(page) > 0
    many_rows(page)
    assert checked(page) < 1e-9
    assert "1,000" in page.locator(".all h2").inner_text()
    frames = frames_a_second(page, 2.0)
    assert frames > FEWEST_FRAMES
    assert page.locator(".drawn .total").inner_text() == "Σ = 1.000"
