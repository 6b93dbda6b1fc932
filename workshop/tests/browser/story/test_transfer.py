"""The size of the page at `/`."""

from __future__ import annotations

from typing import Any

from workshop.tests.browser.arriving import arrival

MOST_BYTES = 90_000
MOST_REQUESTS = 10


def test_the_story_needs_little_before_its_first_picture(chromium: Any, site: Any) -> None:
    context = chromium.new_context(locale="zh-CN")
    page = context.new_page()
    first = arrival(page, site.url)
    assert first.transferred <= MOST_BYTES, sorted(first.before.items(), key=lambda one: -one[1])[:10]
    assert len(first.before) <= MOST_REQUESTS
    assert [path for path in first.before if path.endswith(".woff2") or "/recorded/" in path] == []
    context.close()
