"""The size of the page at `/`."""

from __future__ import annotations

from typing import Any

from workshop.tests.browser.arriving import CAME, arrival

MOST_BYTES = 90_000
MOST_REQUESTS = 10
MOST_BYTES_OF_A_VISIT = 180_000  # with fonts, and the scripts that come after the first picture


def test_the_story_needs_little_before_its_first_picture(chromium: Any, site: Any) -> None:
    context = chromium.new_context(locale="zh-CN")
    page = context.new_page()
    first = arrival(page, site.url)
    assert first.transferred <= MOST_BYTES, sorted(first.before.items(), key=lambda one: -one[1])[:10]
    assert len(first.before) <= MOST_REQUESTS
    assert [path for path in first.before if path.endswith(".woff2") or "/recorded/" in path] == []
    page.wait_for_selector("#hard-and-soft .edits button")
    came = {path: size for path, _, _, size in page.evaluate(CAME)["came"]}
    assert any(path.endswith(".woff2") for path in came)
    assert sum(came.values()) <= MOST_BYTES_OF_A_VISIT, sorted(came.items(), key=lambda one: -one[1])[:10]
    context.close()
