"""The fifth chapter: each matrix is the core's, at every step and edit."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from softkv_attention.heads import Heads
from softkv_attention.transformer import LayerNorm
from tests.browser.conftest import PHONE, PROJECTOR
from tests.thorough import thorough
from tools.node import ROOT, checked, node
from tools.page import WORKSHOP
from workshop.tests.browser.story.conftest import Read

if TYPE_CHECKING:
    from playwright.sync_api import Page

Matrix = NDArray[np.float64]
HERE = "#in-numbers"
STORY = WORKSHOP / "story"
EXAMPLE = json.loads((STORY / "layer.json").read_text())
STEPS = ["x", "project", "dot", "scale", "mask", "softmax", "blend", "heads", "norm", "whole"]
SHOWN = {
    "x": ["X"],
    "project": ["Q", "K", "V"],
    "dot": ["dot0", "dot1"],
    "scale": ["scaled0", "scaled1"],
    "mask": ["masked0", "masked1"],
    "softmax": ["weights0", "weights1"],
    "blend": ["blended0", "blended1"],
    "heads": ["joined", "output"],
    "norm": ["added", "sum", "normed"],
}
# The frame of the sheet, and of each text in it that is seen: what it says, its height and its box.
TEXTS = """(chapter) => {
  const sheet = document.querySelector(`${chapter} svg.sheet`);
  const boxOf = (one) => (({left, top, right, bottom}) => [left, top, right, bottom])(one.getBoundingClientRect());
  const scale = sheet.getScreenCTM().a;
  const isSeen = (one) => one.textContent && one.checkVisibility({visibilityProperty: true, opacityProperty: true});
  const height = (one) => scale * parseFloat(getComputedStyle(one).fontSize);
  const texts = [...sheet.querySelectorAll('text')].filter(isSeen);
  return [boxOf(sheet), texts.map((one) => [one.textContent, height(one), ...boxOf(one)])];
}"""
# A number on the screen has two decimals.
ROUNDED = 0.0051


def computed(X: Matrix, *, masked: bool) -> dict[str, Matrix]:
    """Return every matrix of the sheet, from the core's heads and layer norm."""
    W_Q, W_K, W_V, W_O = (np.array(EXAMPLE[name]) for name in ("W_Q", "W_K", "W_V", "W_O"))
    heads = Heads(W_Q, W_K, W_V, W_O, EXAMPLE["heads"])
    mask = np.tri(len(X), dtype=bool) if masked else None
    steps = heads.steps(X, X, X, mask)
    dot = steps.query @ np.swapaxes(steps.key, -1, -2)
    width = X.shape[1]
    layers: dict[str, Matrix] = {
        "X": X,
        "Q": np.concatenate(list(steps.query), axis=1),
        "K": np.concatenate(list(steps.key), axis=1),
        "V": np.concatenate(list(steps.value), axis=1),
        "joined": np.concatenate(list(steps.attended.output), axis=1),
        "output": steps.output,
        "added": X,
        "sum": X + steps.output,
        "normed": LayerNorm(np.ones(width), np.zeros(width))(X + steps.output),
    }
    for h in range(EXAMPLE["heads"]):
        layers |= {
            f"dot{h}": dot[h],
            f"scaled{h}": dot[h] / math.sqrt(steps.key.shape[-1]),
            f"masked{h}": steps.attended.logits[h],
            f"weights{h}": steps.attended.weights[h],
            f"blended{h}": steps.attended.output[h],
        }
    return layers


def shown(page: Page, block: str) -> list[list[float]]:
    """Return the numbers of a block that can be read now."""
    rows: list[list[str]] = page.evaluate(
        """(block) => {
          const rows = [];
          for (const cell of document.querySelectorAll(`.sheet [data-block="${block}"]`)) {
            if (cell.closest('.pending')) continue;
            (rows[Number(cell.dataset.i)] ??= [])[Number(cell.dataset.j)] = cell.textContent;
          }
          return rows;
        }""",
        block,
    )
    return [[float(text.replace("−", "-").replace("∞", "inf")) for text in row] for row in rows]


def check(page: Page, step: str, expected: dict[str, Matrix]) -> None:
    """All blocks up to a step have the core's numbers, and no later one has any."""
    for at, blocks in SHOWN.items():
        for block in blocks:
            if STEPS.index(at) <= STEPS.index(step):
                np.testing.assert_allclose(shown(page, block), expected[block], rtol=0, atol=ROUNDED, err_msg=block)
            else:
                assert shown(page, block) == [], block


@pytest.mark.node
@pytest.mark.parametrize("masked", [True, False])
def test_the_arithmetic_is_the_cores(masked: bool) -> None:
    script = f"""
        import {{ layer }} from {json.dumps((STORY / "arithmetic.js").as_uri())};
        const {{ X, isMasked, example }} = JSON.parse(process.argv[1]);
        const write = (_, number) => (Object.is(number, -Infinity) ? "-inf" : number);
        console.log(JSON.stringify(layer({{ ...example, X }}, isMasked), write));
    """
    X = np.random.default_rng(5).uniform(-2, 2, np.shape(EXAMPLE["X"]))
    given = json.dumps({"X": X.tolist(), "isMasked": masked, "example": EXAMPLE})
    layer: dict[str, Any] = json.loads(checked(node(ROOT, "--input-type=module", "--eval", script, given)))
    for name, expected in computed(X, masked=masked).items():
        if name in ("X", "added"):
            continue
        numbers = layer[name] if name in layer else layer[name[:-1]][int(name[-1])]
        np.testing.assert_allclose(np.array(numbers, dtype=np.float64), expected, rtol=1e-12, atol=1e-12, err_msg=name)


def test_each_step_shows_the_cores_numbers(read: Read) -> None:
    page = read(HERE)
    expected = computed(np.array(EXAMPLE["X"]), masked=True)
    forward = page.get_by_role("button", name="One step forward")
    for step in STEPS:
        if step == "softmax":
            page.get_by_role("button", name="1, 0, 0").click()
        check(page, step, expected)
        if step != STEPS[-1]:
            forward.click()
    assert forward.is_disabled()
    page.wait_for_url("**&step=9*")


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_a_number_is_dragged_and_all_is_computed_anew(read: Read, size: tuple[int, int]) -> None:
    page = read(HERE, size)
    box = page.locator(f"{HERE} [data-block=X][data-i='0'][data-j='2']").bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - 80, steps=8)
    page.mouse.up()
    X = np.array(EXAMPLE["X"])
    X[0, 2] = shown(page, "X")[0][2]
    assert X[0, 2] == pytest.approx(1.1)
    page.locator(f"{HERE} input[type=range]").fill("9")
    check(page, "whole", computed(X, masked=True))
    page.wait_for_function("() => decodeURIComponent(window.location.hash).includes('1.1')")
    page.reload()
    page.wait_for_selector(f"{HERE} .sheet")
    check(page, "whole", computed(X, masked=True))


def test_keys_change_a_number_and_the_mask(read: Read) -> None:
    page = read(HERE)
    page.locator(f"{HERE} [role=spinbutton][tabindex='0']").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("PageDown")
    X = np.array(EXAMPLE["X"])
    X[0, 1] -= 0.6
    page.locator(f"{HERE} input[type=range]").fill("9")
    check(page, "whole", computed(X, masked=True))
    assert "computed again" in page.locator(f"{HERE} .sum").inner_text()
    page.get_by_role("button", name="Mask").click()
    check(page, "whole", computed(X, masked=False))


def test_a_number_shows_its_sum_of_products(read: Read) -> None:
    page = read(f"{HERE}&step=2")
    page.locator(f"{HERE} [data-block=dot0][data-i='0'][data-j='2']").hover()
    told = page.locator(f"{HERE} .sum")
    left, right = told.inner_text().split(" = ")
    layers = computed(np.array(EXAMPLE["X"]), masked=True)
    products = [term.split(" · ") for term in left.split(" + ")]
    factors = [[float(factor.strip("()").replace("−", "-")) for factor in term] for term in products]
    assert sum(a * b for a, b in factors) == pytest.approx(layers["dot0"][0, 2], abs=0.01)
    assert float(right) == pytest.approx(layers["dot0"][0, 2], abs=ROUNDED)
    lit = page.locator(f"{HERE} .cell.lit").evaluate_all("(cells) => cells.map((one) => Object.values(one.dataset))")
    assert lit == [["query0", "0", "0"], ["query0", "0", "1"], ["key0", "0", "2"], ["key0", "1", "2"]]


def test_a_guess_is_answered_by_the_weights(read: Read) -> None:
    page = read(f"{HERE}&step=4")
    guess = page.get_by_role("button", name="1, 0, 0")
    assert not guess.is_visible()  # no weights yet
    page.get_by_role("button", name="One step forward").click()
    first = page.locator(f"{HERE} [data-block=weights0][data-i='0']")
    assert first.all_text_contents() == ["?"] * 3
    assert [one.get_attribute("aria-label") for one in first.all()] == ["?"] * 3
    first.first.hover()
    assert "exp" not in page.locator(f"{HERE} .sum").inner_text()
    page.get_by_role("button", name="Mask").click()
    assert "?" not in first.all_text_contents()  # without the mask there is nothing to give away
    guess.click()
    assert page.locator(f"{HERE} .verdict").inner_text().startswith("Right.")
    assert shown(page, "weights0")[0] == [1, 0, 0]
    page.get_by_role("button", name="Mask").click()
    assert page.locator(f"{HERE} .verdict").inner_text() == ""
    page.get_by_role("button", name="One step forward").click()
    assert not guess.is_visible()


@pytest.mark.parametrize(
    ("size", "look", "least"),
    [
        (PROJECTOR, "", 14),
        thorough((1024, 768), "", 14),
        ((1024, 768), "&large=1", 22),
        (PHONE, "", 14),
        thorough((1920, 1080), "&lang=zh", 14),
    ],
)
def test_no_text_is_small_or_cut_at_any_step(read: Read, size: tuple[int, int], look: str, least: int) -> None:
    page = read(f"{HERE}{look}", size)
    for step, name in enumerate(STEPS):
        page.locator(f"{HERE} input[type=range]").fill(str(step))
        frame, texts = page.evaluate(TEXTS, HERE)
        assert len(texts) >= 7, name
        for text, height, left, top, right, bottom in texts:
            assert height >= least - 0.01, (name, text)
            assert frame[0] <= left + 1, (name, text)
            assert right - 1 <= frame[2], (name, text)
            assert frame[1] <= top + 1, (name, text)
            assert bottom - 1 <= frame[3], (name, text)
        blocks = {text for text, *_ in texts} & {"Q", "K", "V"}
        assert name != "project" or len(blocks) == 3, "three matrices are three"


# Of each line of the last step: its path, the points on it, and the boxes of the matrices, in units of the sheet.
LINES = """(chapter) => {
  const sheet = document.querySelector(`${chapter} svg.sheet`);
  const lines = [...sheet.querySelectorAll('.way')].map((way) => {
    const points = [];
    for (let at = 0; at <= way.getTotalLength(); at += 4) points.push(way.getPointAtLength(at));
    return [way.getAttribute('d'), points.map(({x, y}) => [x, y])];
  });
  const sidesOf = (one) => ['x', 'y', 'width', 'height'].map((side) => one[side].baseVal.value);
  const boxes = [...sheet.querySelectorAll('.outline')].map(sidesOf);
  const {x, y, width, height} = sheet.viewBox.baseVal;
  return [lines, boxes, [x, y, width, height]];
}"""


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_the_lines_of_the_last_step_are_level_or_upright_and_cross_no_matrix(read: Read, size: tuple[int, int]) -> None:
    page = read(f"{HERE}&step=9", size)
    assert page.locator(f"{HERE} .sum").inner_text() == "", "no number can be pointed at"
    lines, boxes, (left, top, width, height) = page.evaluate(LINES, HERE)
    assert len(lines) == 6
    for path, points in lines:
        assert set(re.findall("[A-Za-z]", path)) <= set("MHVv")
        for x, y in points:
            assert left + 5 <= x <= left + width - 5, path
            assert top + 5 <= y <= top + height - 5, path
            assert not any(a + 2 < x < a + w - 2 and b + 2 < y < b + h - 2 for a, b, w, h in boxes), (path, x, y)
