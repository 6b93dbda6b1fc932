"""The opening: nine rows, a question, and the knob in the picture."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import expect

from softkv_attention import attend
from tests.running import RunningService
from tests.thorough import thorough
from workshop.tests.browser.story.conftest import Read, thickness, weights
from workshop.tools.similarities import RECORDED, ROWS

if TYPE_CHECKING:
    pass

FIRST = "#hard-and-soft"
COLOURS = json.loads(ROWS.read_text())["colours"]
KEYS = [row["key"] for row in COLOURS["rows"]]
SIMILARITIES = np.array(json.loads(RECORDED.read_text())[COLOURS["queries"][0]][0]["similarities"])
HAIR = 0.75  # a thread is drawn at least so thick, in pixels


def softmax(temperature: float) -> NDArray[np.float64]:
    """Return the core's weights of the nine rows."""
    if math.isinf(temperature):
        return np.full(len(KEYS), 1 / len(KEYS))
    attended = attend(
        np.ones((1, 1)), SIMILARITIES[:, None], np.eye(len(KEYS)), similarity="dot", temperature=temperature
    )
    return np.asarray(attended.weights[0])


def address(temperature: float) -> str:
    return f"{FIRST}&t={'inf' if math.isinf(temperature) else temperature}"


@pytest.mark.parametrize("temperature", [0, thorough(0.02), 0.1, thorough(1), math.inf])
def test_threads_are_as_thick_as_the_weights(read: Read, temperature: float) -> None:
    page = read(address(temperature))
    expected = softmax(temperature)
    assert weights(page, FIRST) == pytest.approx(expected.tolist(), abs=1e-9)
    drawn = thickness(page, FIRST)
    bundle = (
        sum(thick for thick, weight in zip(drawn, expected, strict=True) if weight > 0.05)
        / expected[expected > 0.05].sum()
    )
    for thick, weight in zip(drawn, expected, strict=True):
        assert thick == pytest.approx(max(weight * bundle, HAIR if weight else 0), abs=0.25)


def test_the_knob_goes_from_one_row_to_all_alike(read: Read) -> None:
    page = read(FIRST)
    knob = page.locator(f"{FIRST} .knob").first
    knob.focus()
    page.keyboard.press("Home")
    assert weights(page, FIRST) == [1.0 if key == "the deep ocean" else 0.0 for key in KEYS]
    expect(page.locator(f"{FIRST} p.told").first).to_contain_text(
        "One row answers, the nearest: the deep ocean (0 0 1 0 0 0 0 0 0, one-hot)"
    )
    largest = [1.0]
    for _ in range(20):
        page.keyboard.press("PageUp")
        largest.append(max(weights(page, FIRST)))
    assert all(a >= b - 1e-12 for a, b in pairwise(largest))
    page.keyboard.press("End")
    assert weights(page, FIRST) == pytest.approx([1 / 9] * 9)
    drawn = thickness(page, FIRST)
    assert max(drawn) - min(drawn) <= 0.2
    expect(page.locator(f"{FIRST} p.told").first).to_contain_text("All 9 rows answer alike")
    page.wait_for_url("**/#hard-and-soft&t=inf")


def test_the_knob_is_dragged_in_the_picture(read: Read) -> None:
    page = read(FIRST)
    box = page.locator(f"{FIRST} .handle").first.bounding_box()
    track = page.locator(f"{FIRST} .track").first.bounding_box()
    assert box
    assert track
    x, middle = box["x"] + box["width"] / 2, track["y"] + track["height"] / 2
    page.mouse.move(x, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(x, track["y"] - 30, steps=4)
    page.wait_for_function("() => document.querySelector('#hard-and-soft .knob .told')?.textContent === 'T = ∞'")
    assert weights(page, FIRST) == pytest.approx([1 / 9] * 9)
    page.mouse.move(x, middle, steps=4)
    page.mouse.up()
    assert sorted(weights(page, FIRST))[-2:] == [0.0, 1.0]


def test_the_output_is_the_mix_of_light(read: Read) -> None:
    page = read(f"{FIRST}&t=0")
    swatch = page.locator(f"{FIRST} .output .swatch").first
    assert swatch.get_attribute("fill") == "#0b4f8a"
    page.locator(f"{FIRST} .knob").first.focus()
    page.keyboard.press("End")
    light = np.mean([[_linear(row["value"][at : at + 2]) for at in (1, 3, 5)] for row in COLOURS["rows"]], axis=0)
    mixed = swatch.get_attribute("fill") or ""
    assert [_linear(mixed[at : at + 2]) for at in (1, 3, 5)] == pytest.approx(light.tolist(), abs=0.01)


def _linear(digits: str) -> float:
    share = int(digits, 16) / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def test_a_question_of_the_readers_own_is_the_services_answer(read: Read, site: RunningService) -> None:
    page = read(FIRST)
    field = page.locator(f"{FIRST} .asking textarea").first
    field.fill("something burning hot")
    field.press("Enter")
    page.wait_for_function(
        "() => document.querySelector('#hard-and-soft .query-text')?.textContent.startsWith('something')"
    )
    rows = [{"id": key, "key": key, "value": key} for key in KEYS]
    with site.client() as client:
        body = {"query": "something burning hot", "rows": rows, "temperature": 0.05, "null": False, "top_k": 9}
        matches = client.post("/v1/compare", json=body).json()["attention"]["matches"]
    expected = {match["key"]: match["weight"] for match in matches}
    assert weights(page, FIRST) == pytest.approx([expected[key] for key in KEYS], abs=1e-6)


def test_the_opening_plays_and_hands_over(read: Read) -> None:
    page = read(moving=True)
    page.wait_for_selector(f"{FIRST} .unequal", state="attached")
    page.wait_for_function("() => document.querySelector('#hard-and-soft .found')?.textContent === '=  0 rows'")
    page.wait_for_function("() => document.querySelector('#hard-and-soft .knob .told')?.textContent === 'T = 0'")
    page.wait_for_function("() => document.querySelector('#hard-and-soft .knob .told')?.textContent === 'T = ∞'")
    page.wait_for_function("() => document.querySelector('#hard-and-soft .drag')?.textContent === 'drag'")
    assert weights(page, FIRST) == pytest.approx(softmax(0.05).tolist(), abs=1e-9)
    assert page.locator(f"{FIRST} .stills").count() == 0


def test_less_motion_is_three_stills(read: Read) -> None:
    page = read()
    captions = page.locator(f"{FIRST} .stills figcaption").all_inner_texts()
    assert captions == ["T = 0", "T = 0.05", "T = ∞"]


def test_another_question_has_the_same_average(read: Read) -> None:
    page = read(f"{FIRST}&t=inf")
    swatch = page.locator(f"{FIRST} .output .swatch").first
    average = swatch.get_attribute("fill")
    page = read(FIRST)
    right = page.locator(f"{FIRST} .prediction button").nth(2)
    shown = right.locator(".swatch").evaluate("(it) => it.style.background")
    right.click()
    assert page.locator(f"{FIRST} .verdict").first.inner_text().startswith("Right.")
    page.wait_for_selector(f"{FIRST} .query-text >> text=the colour of fire", state="attached")
    assert page.locator(f"{FIRST} .knob .told").first.text_content() == "T = ∞"
    assert weights(page, FIRST) == pytest.approx([1 / 9] * 9)
    assert page.locator(f"{FIRST} .output .swatch").first.get_attribute("fill") == average
    digits = [int((average or "")[at : at + 2], 16) for at in (1, 3, 5)]
    assert shown == f"rgb({', '.join(map(str, digits))})"
    page.wait_for_url("**&q=the%20colour%20of%20fire*")


@pytest.mark.thorough
def test_the_guess_is_about_a_question_that_the_opening_has_not_shown(read: Read) -> None:
    page = read(moving=True)
    page.evaluate(
        """() => {
          const card = document.querySelector('#hard-and-soft .asked');
          window.questions = new Set([card.textContent]);
          const look = () => window.questions.add(card.textContent);
          new MutationObserver(look).observe(card, {childList: true, characterData: true, subtree: true});
        }"""
    )
    page.wait_for_function("() => document.querySelector('#hard-and-soft .drag')?.textContent === 'drag'")
    assert page.evaluate("[...window.questions].some((one) => one.includes('fire'))") is False
    page.locator(f"{FIRST} .prediction button").first.click()
    page.wait_for_function("() => [...window.questions].some((one) => one.includes('fire'))")
    page.wait_for_function("() => document.querySelector('#hard-and-soft .knob .told')?.textContent === 'T = ∞'")


def test_questions_to_try_follow_the_guess_and_one_is_misread(read: Read) -> None:
    page = read(FIRST)
    others = page.locator(f"{FIRST} .doing > .choices button")
    assert not others.first.is_visible()
    page.locator(f"{FIRST} .prediction button").first.click()
    told = page.locator(f"{FIRST} p.told").first
    for question, key in (("a banana", "a ripe lemon"), ("a campfire", "glowing embers"), ("a lawn", "spring grass")):
        others.get_by_text(question, exact=True).click()
        page.wait_for_selector(f"{FIRST} .query-text >> text={question}", state="attached")
        expect(told).to_contain_text("As if")
        assert KEYS[int(np.argmax(weights(page, FIRST)))] == key
    others.get_by_text("hot lava").click()
    expect(told).to_contain_text("The encoder reads lava as rock")
    assert KEYS[int(np.argmax(weights(page, FIRST)))] == "wet stone"
