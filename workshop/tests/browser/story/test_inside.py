"""The sixth chapter: threads as thick as what the model attends to, for each of its heads and any sentence."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.browser.conftest import PHONE, PROJECTOR
from tests.running import RunningService
from tests.thorough import thorough
from workshop.tests.browser.story.conftest import Read
from workshop.tools.recorded import read as recorded
from workshop.tools.recorded import unpack_weights

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = "#inside-a-model"
SCREEN = f"{HERE} .screen:first-child"
SENTENCE = "The dog chased the cat across the street"
OWN = "A bird sang in the old tree"
HAIR = 0.75  # a thread is drawn at least so thick, in pixels
LAYERS, HEADS = 6, 12


@pytest.fixture(scope="module")
def weights() -> NDArray[np.float64]:
    """The recorded weights of the story's sentence, [layer, head, token, token]."""
    (text,) = [one for one in recorded("trace")["texts"] if one["text"] == SENTENCE]
    n = len(text["tokens"])
    return unpack_weights(text["weights"], LAYERS, HEADS, n, n)


def drawn(page: Page) -> tuple[list[float], list[float]]:
    """Return the weights of the threads of the word that is looked at, and how thick each is where it leaves it."""
    threads: list[tuple[str, str | None]] = page.locator(f"{SCREEN} .of.shown .thread").evaluate_all(
        "(threads) => threads.map((one) => [one.getAttribute('data-weight'), one.getAttribute('d')])"
    )
    numbers = [[float(text) for text in (d or "").replace("M", " ").split("C")[0].split()] for _, d in threads]
    ends = [float(d.replace("Z", "").split()[-1]) if d else 0.0 for _, d in threads]
    thickness = [end - start[1] if start else 0.0 for start, end in zip(numbers, ends, strict=True)]
    return [float(weight) for weight, _ in threads], thickness


def opened(read: Read, address: str = "", **options: Any) -> Page:
    page = read(f"{HERE}{address}", **options)
    page.wait_for_selector(f"{SCREEN} .of.shown .thread[d]", state="attached")
    return page


def place(page: Page) -> str:
    text: str = page.locator(f"{SCREEN} .map-place .told").inner_text()
    return text.split(" · ")[0]


@pytest.mark.parametrize(("layer", "head", "word"), [(2, 9, 2), thorough(1, 3, 3), thorough(6, 12, 3), (5, 6, 8)])
def test_threads_are_as_thick_as_the_recorded_weights(
    read: Read, weights: NDArray[np.float64], layer: int, head: int, word: int
) -> None:
    page = opened(read, f"&layer={layer}&head={head}&word={word}")
    shares, thick = drawn(page)
    expected = weights[layer - 1, head - 1, word]
    assert shares == pytest.approx(expected.tolist())
    bundle = thick[int(expected.argmax())] / expected.max()
    for weight, pixels in zip(expected, thick, strict=True):
        assert pixels == pytest.approx(max(weight * bundle, HAIR if weight else 0), abs=0.1)


def test_the_map_is_dragged_and_the_threads_follow(read: Read, weights: NDArray[np.float64]) -> None:
    page = opened(read)
    buttons = page.locator(f"{SCREEN} .head-map button")
    assert buttons.count() == LAYERS * HEADS
    start, end = buttons.nth(0).bounding_box(), buttons.nth(3 * HEADS + 4).bounding_box()
    assert start
    assert end
    page.mouse.move(start["x"] + 12, start["y"] + 12)
    page.mouse.down()
    assert place(page) == "Layer 1, head 1"
    assert drawn(page)[0] == pytest.approx(weights[0, 0, 2].tolist())
    page.mouse.move(end["x"] + 12, end["y"] + 12, steps=6)
    page.mouse.up()
    page.mouse.move(10, 10)
    assert place(page) == "Layer 4, head 5"
    assert drawn(page)[0] == pytest.approx(weights[3, 4, 2].tolist())
    page.wait_for_url("**&layer=4&head=5*")


def test_keys_move_the_cursor_and_the_word(read: Read, weights: NDArray[np.float64]) -> None:
    page = opened(read)
    page.locator(f"{SCREEN} .head-map button[aria-pressed=true]").focus()
    for key in ("ArrowUp", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
    assert place(page) == "Layer 1, head 8"
    chosen = page.locator(f"{SCREEN} .head-map button[tabindex='0']")
    assert str(chosen.get_attribute("aria-label")).startswith("Layer 1, head 8 · ")
    page.locator(f"{SCREEN} [role=radio][tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(f"{SCREEN} [role=radio][aria-checked=true]").get_attribute("aria-label") == "chased"
    assert drawn(page)[0] == pytest.approx(weights[0, 7, 3].tolist())


def test_a_word_that_is_pointed_at_shows_its_row(read: Read, weights: NDArray[np.float64]) -> None:
    page = opened(read)
    page.locator(f"{SCREEN} .from .word").nth(5).hover()
    assert drawn(page)[0] == pytest.approx(weights[1, 8, 5].tolist())
    page.mouse.move(10, 10)
    assert drawn(page)[0] == pytest.approx(weights[1, 8, 2].tolist())


def test_the_small_pictures_are_the_weights(read: Read, weights: NDArray[np.float64]) -> None:
    page = opened(read)
    pixels = page.locator(f"{SCREEN} .head-map canvas").evaluate_all(
        """(all) => all.map((one) => {
          const { data } = one.getContext('2d').getImageData(0, 0, one.width, one.height);
          return Array.from(data).filter((_, i) => i % 4 === 3);
        })"""
    )
    n = weights.shape[-1]
    opacity = np.array(pixels).reshape(LAYERS, HEADS, n, n) / 255
    np.testing.assert_allclose(opacity, np.minimum(1, weights * 1.2), atol=0.003)


def test_a_guess_shows_that_the_head_looks_at_the_next_word(read: Read, weights: NDArray[np.float64]) -> None:
    page = opened(read, "&layer=5&word=1")
    page.locator(f"{SCREEN} .choices").get_by_role("button", name="the").click()
    assert page.locator(f"{SCREEN} .verdict").inner_text().startswith("Right.")
    page.wait_for_selector(f"{SCREEN} [aria-label=chased][aria-checked=true]", state="attached")
    assert place(page) == "Layer 2, head 9"
    expected = weights[1, 8]
    assert drawn(page)[0] == pytest.approx(expected[3].tolist())
    assert expected[2].argmax() == 3, "dog looks at chased"
    assert expected[3].argmax() == 4, "chased looks at the"
    following = np.mean([expected[i, i + 1] for i in range(len(expected) - 1)])
    assert f"{following:.0%} on the next word" in page.locator(f"{SCREEN} .map-place .told").inner_text()


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_a_sentence_of_the_readers_own_is_the_services_trace(
    read: Read, site: RunningService, size: tuple[int, int]
) -> None:
    page = opened(read, size=size)
    field = page.locator(f"{SCREEN} .asking textarea")
    field.fill(OWN)
    field.press("Enter")
    page.wait_for_selector(f"{HERE} .screen[data-text='{OWN}']")
    with site.client() as client:
        body = {"text": OWN, "layers": [1], "heads": [8], "vector_format": "base64"}
        traced = client.post("/v1/trace", json=body).json()
    tokens = [token["text"] for token in traced["tokens"]]
    n = len(tokens)
    expected = np.frombuffer(base64.b64decode(traced["attention"]["base64"]), np.float32).reshape(n, n)
    assert page.locator(f"{SCREEN} .from .word text").all_text_contents() == tokens
    assert drawn(page)[0] == pytest.approx(expected[2].tolist(), abs=1e-6)
    page.wait_for_url("**A%20bird%20sang*")
    page.reload()
    page.wait_for_selector(f"{HERE} .screen[data-text='{OWN}']")


@pytest.mark.parametrize("text", [" ".join(["the dog runs"] * 20), "unbelievably " * 12, "猫追老鼠" * 10])
def test_a_long_sentence_is_cut_to_sixteen_tokens(read: Read, text: str) -> None:
    page = opened(read)
    field = page.locator(f"{SCREEN} .asking textarea")
    field.fill(text)
    field.press("Enter")
    page.wait_for_selector(f"{HERE} .screen[data-text='{text.strip()}']")
    tokens = page.locator(f"{SCREEN} .from .word text").all_text_contents()
    assert len(tokens) <= 16
    assert tokens[-1] == "[SEP]"
    first, most = re.findall(r"\d+", page.locator(f"{SCREEN} .limit").inner_text())[1:3]
    assert int(first) < int(most)
    assert sum(drawn(page)[0]) == pytest.approx(1)
    place = page.locator(f"{SCREEN} .lines-place")
    assert place.evaluate("(one) => one.scrollHeight <= one.clientHeight || getComputedStyle(one).overflowY === 'auto'")
    field.fill("")
    assert (field.get_attribute("placeholder") or "").startswith("Still shown: ")


def test_an_address_may_say_anything(read: Read) -> None:
    page = opened(read, "&layer=99&head=-4&word=1000")
    assert place(page) == "Layer 6, head 1"
    assert page.locator(f"{SCREEN} [aria-checked=true]").get_attribute("aria-label") == "[SEP]"


def test_the_second_screen_runs_in_parallel_when_it_is_seen(read: Read) -> None:
    page = opened(read, moving=True)
    counts = page.locator(f"{HERE} .parallel-steps .count")
    assert counts.all_text_contents() == ["0 steps", "0 steps"]
    page.locator(f"{HERE} .parallel-steps").scroll_into_view_if_needed()
    page.wait_for_function(
        "() => document.querySelector('#inside-a-model .parallel-steps .count').textContent === '4 steps'"
    )
    assert counts.all_text_contents() == ["4 steps", "1 step"]
