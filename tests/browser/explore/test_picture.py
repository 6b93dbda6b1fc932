"""The answer as a picture, what is shared of it, and the explorer on a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.browser.conftest import PHONE
from tests.browser.explore.conftest import LATE, Explore
from tests.browser.explore.test_tasks import ASKED, fill, first_is
from tests.running import RunningService

ROWS = [{"id": f"filter-{number}", "key": f"coffee filter of size {number}"} for number in range(20)]
DRAWN = "() => [...document.querySelectorAll('.picturing .thread')].map((one) => Number(one.dataset.weight ?? 0))"


def test_the_picture_has_the_weights_of_the_answer(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/shop", json={}).raise_for_status()
    writer.post("/v1/collections/shop/documents", json={"documents": ROWS}).raise_for_status()
    page = explore("#collection=shop&q=coffee").page
    page.click(".picturing summary")
    page.wait_for_selector(".picturing .thread[data-weight]", state="attached")
    answer = writer.post("/v1/collections/shop/attend", json={"query": "coffee", "top_k": 8, **LATE}).json()
    drawn = page.evaluate(DRAWN)
    weights = [match["weight"] for match in answer["matches"]]
    assert drawn[:8] == pytest.approx(weights, abs=1e-5)
    assert drawn[8:] == pytest.approx([answer["rest_weight"], answer["evidence"]["null_weight"]], abs=1e-5)
    page.locator(".picturing .knob").focus()
    page.keyboard.press("Home")
    page.wait_for_url("**t=0*")
    page.wait_for_function(f"() => ({DRAWN})().includes(1)")


@pytest.mark.parametrize(("kind", "frames"), [("png", 1), ("gif", 50)])
def test_the_answer_is_saved_as_a_picture_and_a_film(
    explore: Explore, writer: httpx.Client, tmp_path: Path, kind: str, frames: int
) -> None:
    fill(writer)
    page = explore(ASKED).page
    first_is(page, "b1")
    page.click(".sharing summary")
    with page.expect_download(timeout=300_000) as download:
        page.click(f".sharing [data-kind={kind}]")
    path = tmp_path / f"answer.{kind}"
    download.value.save_as(path)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == frames
        assert len(set(image.convert("RGB").resize((64, 32)).get_flattened_data())) > 50
    page.wait_for_selector(".sharing details:not([open])")


def test_the_menu_closes_after_use_and_with_escape(explore: Explore, writer: httpx.Client) -> None:
    fill(writer)
    page = explore(ASKED, permissions=["clipboard-read", "clipboard-write"]).page
    first_is(page, "b1")
    page.click(".sharing summary")
    page.keyboard.press("Escape")
    assert page.locator(".sharing details[open]").count() == 0
    page.click(".sharing summary")
    page.click(".sharing [data-kind=frame]")
    page.wait_for_function("() => document.querySelector('.sharing .outcome').textContent.startsWith('Copied')")
    assert page.locator(".sharing details[open]").count() == 0
    code = page.evaluate("navigator.clipboard.readText()")
    assert code.startswith('<iframe src="http')
    assert "explore?embed=1#collection=" in code


def test_a_phone_shows_the_question_first(explore: Explore, writer: httpx.Client) -> None:
    fill(writer)
    page = explore(ASKED, PHONE, has_touch=True).page
    first_is(page, "b1")
    assert page.locator("#question").bounding_box()["y"] < PHONE[1] / 3
    assert not page.locator("#collections").is_visible()
    page.click("#drawer")
    assert page.locator("#collections a[aria-current]").is_visible()
    assert page.locator("#drawer").get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert not page.locator("#collections").is_visible()
    page.click("#drawer")
    page.click("#collections >> text=New collection")
    page.wait_for_selector("#create")
    assert not page.locator("#collections").is_visible()
    marks = page.locator(".bar .tools").bounding_box()
    assert marks["x"] + marks["width"] <= PHONE[0]


def test_a_dark_preference_is_dark_from_the_first_pixel(chromium: Any, empty: RunningService) -> None:
    page = chromium.new_page(color_scheme="dark")
    page.route("**/built/*.js", lambda route: route.abort())
    page.goto(f"{empty.url}/explore")
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.close()
    assert max(int(part) for part in paper[4:-1].split(",")) < 60
