"""The third chapter: who shares the answer, among few rows and many."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import expect

from softkv_attention import attend
from tests.browser.conftest import PHONE
from tests.running import RunningService
from tests.thorough import thorough
from tools.page import WORKSHOP
from workshop.tests.browser.story.conftest import Read, thickness, weights
from workshop.tools.recorded import read as recorded

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = "#who-shares"
SHARING = recorded("sharing")
LIBRARY, CHARACTERS = SHARING["library"], SHARING["characters"]
KEYS = [row["key"] for row in LIBRARY["rows"]]
PAIR = ["artificial intelligence", "neural networks"]
HAIR = 0.75  # a thread is drawn at least so thick, in pixels
SOURCE = WORKSHOP / "story" / "chapters" / "share.js"
DRAWN: list[str] = json.loads(SOURCE.read_text().split("const SHOWN = ")[1].split(";")[0])
SHOWN = len(DRAWN)


def ready(page: Page) -> None:
    """Wait until the recorded rows are drawn."""
    page.wait_for_selector(f"{HERE} .screen:first-child .row", state="attached")


def keys(page: Page) -> list[str]:
    """Return the keys of the rows that are drawn, as the table under the hood has them."""
    ready(page)
    page.locator(f"{HERE} details.hood summary").first.click()
    page.wait_for_selector(f"{HERE} .numbers tbody th")  # a table is filled after its fold has opened
    listed: list[str] = page.locator(f"{HERE} .numbers tbody th").all_inner_texts()
    page.locator(f"{HERE} details.hood summary").first.click()
    return listed


def core(similarities: list[float], temperature: float) -> NDArray[np.float64]:
    """Return the core's weights."""
    n = len(similarities)
    if math.isinf(temperature):
        return np.full(n, 1 / n)
    column = np.array(similarities)[:, None]
    attended = attend(np.ones((1, 1)), column, np.eye(n), similarity="dot", temperature=temperature)
    return np.asarray(attended.weights[0])


def expected(count: int, temperature: float) -> list[float]:
    """Return the weight of each drawn row, and last the weight of all other rows together."""
    order = [KEYS.index(key) for key in DRAWN]
    order += [i for i in range(len(KEYS)) if i not in order]
    all_weights = core([LIBRARY["similarities"][i] for i in order[:count]], temperature)
    return [*all_weights[:SHOWN].tolist(), float(all_weights[SHOWN:].sum())]


@pytest.mark.parametrize("temperature", [0.05, thorough(0.02), thorough(0.3), math.inf])
@pytest.mark.parametrize("count", [9, thorough(30), 110])
def test_threads_are_as_thick_as_their_shares(read: Read, count: int, temperature: float) -> None:
    page = read(f"{HERE}&seen=1&n={count}&t={'inf' if math.isinf(temperature) else temperature}")
    ready(page)
    drawn = weights(page, f"{HERE} .screen:first-child")
    assert drawn == pytest.approx(expected(count, temperature), abs=1e-6)
    assert sum(drawn) == pytest.approx(1)
    thick = thickness(page, HERE)[:SHOWN]
    bundle = fan(page)["bundle"]
    for pixels, weight in zip(thick, drawn, strict=False):
        assert pixels == pytest.approx(max(HAIR, weight * bundle), abs=0.25)


def fan(page: Page) -> dict[str, Any]:
    """Return of the fan how many threads it has and their thickness, and how thick the whole bundle is."""
    measured: dict[str, Any] = page.evaluate(
        """(here) => {
          const threads = document.querySelector(`${here} .screen:first-child .threads`);
          const path = threads.querySelector('.left .fan');
          const out = threads.querySelector('.right .stream:last-child');
          const height = Number(threads.querySelector('.row rect.key').getAttribute('height'));
          return { count: (path?.getAttribute('d').match(/M/g) ?? []).length, bundle: 1.7 * height,
            each: Number(path?.getAttribute('stroke-width')), out: (out.getAttribute('d').match(/M/g) ?? []).length };
        }""",
        HERE,
    )
    return measured


def test_all_others_are_a_fan_and_never_one_rope(read: Read) -> None:
    page = read(f"{HERE}&seen=1&n=110&t=inf")
    ready(page)
    drawn = fan(page)
    assert drawn["count"] == drawn["out"] == 64
    assert drawn["count"] * drawn["each"] == pytest.approx(drawn["bundle"] * 102 / 110, rel=0.05)
    expect(page.locator(f"{HERE} p.told").first).to_contain_text("All 110 rows weigh the same: 0.9% each.")


def test_more_rows_thin_all_threads_and_hardly_two(read: Read) -> None:
    page = read(f"{HERE}&seen=1")
    ready(page)
    few = dict(zip(DRAWN, weights(page, f"{HERE} .screen:first-child"), strict=False))
    slider = page.locator(f"{HERE} input[type=range]")
    slider.focus()
    page.keyboard.press("End")
    assert page.locator(f"{HERE} .many output").inner_text() == "110"
    many = dict(zip(DRAWN, weights(page, f"{HERE} .screen:first-child"), strict=False))
    assert all(many[key] < few[key] for key in DRAWN)
    assert sum(many[key] for key in PAIR) > 0.99
    assert all(few[key] - many[key] < 0.005 for key in PAIR)
    page.wait_for_url("**&n=110*")


def test_two_rows_are_guessed_before_the_threads_are_seen(read: Read) -> None:
    page = read(HERE)
    ready(page)
    clip = f"{HERE} .screen:first-child .threads clipPath rect"
    boxes = "(rects) => rects.map((rect) => Number(rect.getAttribute('width')))"
    card = page.locator(f"{HERE} .asked .card").first
    assert page.locator(clip).evaluate_all(boxes)[0] <= float(card.get_attribute("width") or 0) + 1
    for key in PAIR:
        page.locator(f"{HERE} .picks button").nth(DRAWN.index(key)).press("Enter")
    assert page.locator(f"{HERE} .verdict").inner_text().startswith("Right")
    assert page.locator(f"{HERE} .picks button").count() == 0
    assert page.locator(clip).evaluate_all(boxes)[0] > 300


def test_keys_and_their_values_are_whole_on_a_phone(read: Read) -> None:
    page = read(HERE, PHONE)
    ready(page)
    rows = page.locator(f"{HERE} .screen:first-child .row:not(.others)")
    assert rows.locator(".key-text").all_text_contents()[:SHOWN] == DRAWN
    assert rows.count() == SHOWN + 1, "one more row is drawn, too"
    values = rows.locator(".value-text").all_text_contents()
    assert all(len(value) > len("The C Programming") for value in values if value.endswith("…")), values
    for row in rows.all():
        key, value = (row.locator(f"rect.{part}").bounding_box() for part in ("key", "value"))
        assert key
        assert value
        assert value["y"] == pytest.approx(key["y"] + key["height"], abs=1), "a value is below its key"


def test_a_question_of_the_reader_is_compared_with_all_rows(read: Read, site: RunningService) -> None:
    page = read(HERE)
    ready(page)
    field = page.locator(f"{HERE} .asking textarea")
    field.fill("a pet that barks")
    field.press("Enter")
    page.wait_for_function("() => document.querySelector('#who-shares .query-text')?.textContent.startsWith('a pet')")
    rows = [{"id": str(i), "key": key, "value": key} for i, key in enumerate(KEYS)]
    with site.client() as client:
        body = {"query": "a pet that barks", "rows": rows, "null": False, "top_k": 110}
        matches = client.post("/v1/compare", json=body).json()["attention"]["matches"]
    nearest = sorted(matches, key=lambda match: -match["similarity"])[:SHOWN]
    assert keys(page)[:SHOWN] == [match["key"] for match in nearest]
    few = core([match["similarity"] for match in nearest], 0.05)
    drawn = weights(page, f"{HERE} .screen:first-child")
    assert drawn[0] / drawn[1] == pytest.approx(few[0] / few[1], rel=1e-4)


def test_thousands_of_rows_are_shared_among_too(read: Read) -> None:
    page = read(f"{HERE}&u=0.05")
    ready(page)
    second = f"{HERE} .screen:nth-child(2)"
    page.wait_for_selector(f"{second} .row.others", state="attached")
    drawn = weights(page, second)
    assert sum(drawn) == pytest.approx(1)
    (rung,) = (one for one in CHARACTERS["temperatures"] if one["temperature"] == 0.05)
    assert drawn[-1] == pytest.approx(rung["rest_weight"], rel=1e-4)
    page.locator(f"{second} .knob").focus()
    page.keyboard.press("End")
    n = CHARACTERS["documents"]
    assert weights(page, second) == pytest.approx([1 / n] * 6 + [(n - 6) / n], rel=1e-6)
    assert page.locator(f"{second} .row.others .key-text").text_content() == "9,621 other rows"
