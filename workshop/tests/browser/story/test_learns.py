"""The last chapter: the moment of a recorded training is dragged, and what is drawn is what was recorded of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from workshop.tests.browser.story.conftest import Read
from workshop.tools.recorded import read as read_recorded
from workshop.tools.recorded import unpack_weights

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = "#it-learns"
END = "<end>"
SHARES = "(cells) => cells.map((cell) => Number(cell.style.getPropertyValue('--share')))"
RECORDED = read_recorded("translation")
RUN = RECORDED["runs"]["transformer"]
LAST = len(RUN["moments"]) - 1
HANDLE = f"{HERE} .moment"


def moment(page: Page) -> int:
    """Return the moment that the handle is at."""
    return int(page.locator(HANDLE).get_attribute("aria-valuenow") or "nan")


def wait_for(page: Page, at: int) -> None:
    page.wait_for_selector(f"{HANDLE}[aria-valuenow='{at}']")


def check_drawn(page: Page) -> None:
    """The words and the weights of the picture are those of its moment."""
    output: dict[str, Any] = RUN["written"][0][moment(page)]
    tokens = [token for token in output["tokens"] if token != END]
    source = RECORDED["sources"][0]["tokens"]
    assert page.locator(f"{HERE} .read").all_text_contents() == source
    assert page.locator(f"{HERE} .written").all_text_contents() == tokens
    weights = unpack_weights(output["weights"], len(output["tokens"]), len(source))[: len(tokens)]
    drawn = np.array(page.locator(f"{HERE} .cell").evaluate_all(SHARES)).reshape(-1, len(source))
    np.testing.assert_allclose(drawn[: len(tokens)], weights, atol=1e-9)
    assert not drawn[len(tokens) :].any()
    target = RUN["written"][0][-1]["tokens"]
    right = [token for i, token in enumerate(tokens) if target[i : i + 1] == [token]]
    assert page.locator(f"{HERE} .written.right").all_text_contents() == right
    step = RUN["moments"][moment(page)][0]
    assert page.locator(f"{HERE} .step").text_content() == f"step {step} of {RECORDED['steps']}"


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_the_moment_is_dragged(read: Read, size: tuple[int, int]) -> None:
    page = read(f"{HERE}&moment=0", size)
    wait_for(page, 0)
    check_drawn(page)
    page.locator(HANDLE).scroll_into_view_if_needed()
    box = page.locator(f"{HANDLE} .grip").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y, steps=3)
    page.mouse.up()
    assert 0 < moment(page) < LAST
    check_drawn(page)
    page.wait_for_url(f"**&moment={moment(page)}*")
    page.keyboard.press("End")
    wait_for(page, LAST)
    check_drawn(page)
    assert page.locator(f"{HERE} .written").all_text_contents() == RUN["written"][0][-1]["tokens"][:-1]
    page.keyboard.press("ArrowLeft")
    wait_for(page, LAST - 1)


@pytest.mark.parametrize("size", [PROJECTOR, PHONE, (1024, 768)])
def test_each_side_and_line_of_the_picture_is_named(read: Read, size: tuple[int, int]) -> None:
    page = read(f"{HERE}&moment={LAST}&large={int(size == (1024, 768))}", size)
    wait_for(page, LAST)
    assert page.locator(f"{HERE} .axis").all_text_contents() == ["read →", "written ↓"]
    assert "GRU" in page.locator(f"{HERE} .told").inner_text()
    crossed = """(name) => {
      const box = name.getBoundingClientRect();
      const line = document.querySelector('#it-learns path.error:not(.rival)');
      const frame = line.ownerSVGElement.getBoundingClientRect();
      const [left, top] = [box.left - frame.left, box.top - frame.top];
      const isIn = ({x, y}) => x > left && x < left + box.width && y > top && y < top + box.height;
      const points = Array.from({length: 400}, (_, i) => line.getPointAtLength((i / 399) * line.getTotalLength()));
      return points.filter(isIn).length;
    }"""
    assert page.locator(f"{HERE} .name.rival").evaluate(crossed) == 0


def test_a_guess_is_answered_by_the_training_itself(read: Read) -> None:
    page = read(HERE)
    page.wait_for_selector(f"{HANDLE}[aria-valuenow]")
    assert moment(page) < LAST
    page.locator(f"{HERE} .prediction button", has_text="car").click()
    wait_for(page, LAST)
    assert page.locator(f"{HERE} .verdict").inner_text().startswith("Look again: French puts the colour after its noun")
    output = RUN["written"][0][-1]
    row = unpack_weights(output["weights"], len(output["tokens"]), -1)[output["tokens"].index("rouge")]
    page.wait_for_function(f"() => document.querySelector('{HERE} .told').textContent.includes('red')")
    assert f"{round(row.max() * 100)}%" in page.locator(f"{HERE} .told").inner_text()
    assert page.locator(f"{HERE} .pointed").is_visible()


def test_the_training_plays_by_itself_and_then_invites_to_drag(read: Read) -> None:
    page = read(HERE, moving=True)
    page.wait_for_selector(f"{HERE} .moment.asks")
    assert 0 < moment(page) < LAST / 2
    assert page.locator(f"{HERE} .written:not(.right)").count() > 0
    page.locator(f"{HERE} .hood summary").click()
    facts = page.locator(f"{HERE} .hood").inner_text()
    assert f"about {round(RUN['parameters'], -3):,} parameters" in facts
    runs = RECORDED["runs"]
    assert all(f"{runs[model]['accuracy']:.0%}" in facts for model in ("transformer", "gru", "gru_attention", "lstm"))
    half = {
        model: next((step for step, *_, share in one["moments"] if share >= 0.5), None) for model, one in runs.items()
    }
    assert half["transformer"] < half["gru_attention"] < half["lstm"]  # "in more steps"
    assert {link.get_attribute("href") for link in page.locator(f"{HERE} .hood a").all()} == {
        "#row-to-word&z=4",
        "deeper#networks",
    }


# The names of curves that lie over another text, or over the line of the curve that is drawn darkest.
CROWDED = """() => {
  const texts = [...document.querySelectorAll('#it-learns .learned .name')];
  const boxes = texts.map((one) => one.getBoundingClientRect());
  const line = document.querySelector('#it-learns .learned .error:not(.rival)');
  const at = Array.from({length: 400}, (_, i) => {
    const {x, y} = line.getPointAtLength((line.getTotalLength() * i) / 399);
    return new DOMPoint(x, y).matrixTransform(line.getScreenCTM());
  });
  const over = (a, b) => Math.min(a.right, b.right) > Math.max(a.left, b.left) + 1
    && Math.min(a.bottom, b.bottom) > Math.max(a.top, b.top) + 6; // letters do not fill their box
  return texts.filter((_, i) => boxes.some((other, j) => i !== j && over(boxes[i], other)) || at.some(({x, y}) =>
    x > boxes[i].left && x < boxes[i].right && y > boxes[i].top + 5 && y < boxes[i].bottom - 5))
    .map((one) => one.textContent);
}"""


@pytest.mark.parametrize("size", [PHONE, (820, 1180), PROJECTOR])
def test_names_of_curves_stand_apart(read: Read, size: tuple[int, int]) -> None:
    page = read("#it-learns", size)
    page.wait_for_selector("#it-learns .learned .name")
    assert page.evaluate(CROWDED) == []
