"""The page never sends the same request twice."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.browser.reading import checked, slide, weights


def posts(page: Any) -> list[str]:
    """Return the paths and bodies of all POST requests from now on."""
    requests: list[str] = []
    page.on("request", lambda one: requests.append(f"{one.url} {one.post_data}") if one.method == "POST" else None)
    return requests


@pytest.mark.parametrize("masked", [0, 1])
def test_an_edit_of_own_rows_is_one_comparison(visit: Any, masked: int) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    checked(page)
    if masked:
        page.locator(".rows .mask").nth(3).click()
        page.wait_for_timeout(200)
        opened.settle()
        checked(page)
    requests = posts(page)
    page.locator(".rows .key-text").first.fill("how to boil an egg")
    page.wait_for_timeout(500)
    opened.settle()
    assert checked(page) < 1e-9
    compared = [one for one in requests if "/v1/compare" in one]
    assert len(compared) == 1, compared
    assert weights(page)["how to boil an egg"].endswith("%")


def test_a_row_that_was_never_open_still_gets_its_similarity(visit: Any) -> None:
    rows = [{"id": str(i), "key": key, "value": key} for i, key in enumerate(("tea", "coffee", "a bicycle"))]
    page = visit(f"#scene=rows&query=drink&rows={json.dumps(rows)}&masked={json.dumps(['2'])}").page
    assert checked(page) < 1e-9
    similarity = page.locator(".rows .row .similarity").nth(2).inner_text()
    assert similarity != "0.00"


def test_a_moved_slider_asks_once_more_and_a_slider_that_returns_does_not(visit: Any) -> None:
    page = visit("#scene=rows").page
    checked(page)
    requests = posts(page)
    stop = int(page.locator("#temperature").input_value())
    slide(page, stop + 40)
    page.wait_for_selector("#checking[data-state=agreed]")
    assert sum("/v1/compare" in one for one in requests) == 1
    slide(page, stop)
    page.wait_for_selector("#checking[data-state=agreed]")
    assert sum("/v1/compare" in one for one in requests) == 1


@pytest.mark.parametrize("scene", ["library", "nothing", "filter", "rows", "videos"])
def test_no_scene_asks_the_same_twice(visit: Any, scene: str) -> None:
    opened = visit("lesson.html")
    requests = posts(opened.page)
    opened.go(f"#scene={scene}")
    checked(opened.page)
    assert [one for one, times in Counter(requests).items() if times > 1] == []
