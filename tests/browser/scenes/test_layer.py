"""The whole layer on one sheet: its numbers are the service's, and its blocks are the steps."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from tests.browser.reading import module, sideways

BLOCKS = """() => [...document.querySelectorAll('.block')].map((block) =>
  [...block.querySelectorAll('.figures span')].map((cell) =>
    cell.textContent.replace('−∞', '-Infinity').replace('−', '-')))"""


@pytest.mark.parametrize(("heads", "walked"), [(1, 0), (2, 1)])
def test_every_block_of_the_sheet_has_the_services_numbers(visit: Any, heads: int, walked: int) -> None:
    opened = visit(f"#scene=steps&step=7&heads={heads}&walked={walked}&causal=1", (1440, 900))
    page = opened.page
    page.wait_for_selector(".block.at-norm .figures span")
    example = module(page, "/js/example.js", "(example) => ({...example})")
    x = np.array(example["EMBEDDINGS"])
    body = {
        **dict.fromkeys(("query", "key", "value"), example["EMBEDDINGS"]),
        "mask": np.tri(3, dtype=bool).tolist(),
        "projections": {name: example[name] for name in ("W_Q", "W_K", "W_V", "W_O")} | {"n_heads": heads},
        "intermediates": True,
    }
    answer = httpx.post(f"{opened.origin}/v1/attend", json=body, timeout=60).json()
    actual = {name: np.array(intermediate, dtype=float) for name, intermediate in answer["intermediates"].items()}
    of_head = ("query", "key", "value", "similarities", "logits", "weights", "heads")
    one = {name: actual[name][walked] for name in of_head}
    changed = x + np.array(answer["output"])
    out = (changed - changed.mean(axis=1, keepdims=True)) / changed.std(axis=1, keepdims=True)
    expected = [
        x, one["query"], one["key"], one["value"], one["query"] @ one["key"].T, one["similarities"],
        np.where(np.isnan(one["logits"]), -np.inf, one["logits"]), one["weights"], one["heads"],
        actual["concatenated"], np.array(answer["output"]), changed, out,
    ]  # fmt: skip
    shown = page.evaluate(BLOCKS)
    assert len(shown) == len(expected)
    for position, (texts, numbers) in enumerate(zip(shown, expected, strict=True)):
        np.testing.assert_allclose(
            [float(text) for text in texts], numbers.ravel(), rtol=0, atol=0.005 + 1e-9, err_msg=str(position)
        )
    assert page.locator(".block[aria-current=step]").get_attribute("aria-label").startswith("Step 8")
    for name, text in (("concat", "concatenated"), ("residual", " + "), ("norm", "deviation")):
        page.click(f".block.at-{name}")
        assert text in page.locator("#derivation").inner_text()
        assert page.locator(f".block.at-{name}").get_attribute("aria-current") == "step"
    assert page.locator("#next").is_disabled()
    box = page.locator("#sheet .flow").bounding_box()
    assert box["y"] + box["height"] < 900
    assert "12,288" in page.locator("#sheet-gpt").inner_text()


def test_on_a_projector_the_sheet_is_whole_and_on_a_phone_the_lit_block_is_in_sight(visit: Any) -> None:
    page = visit("#scene=steps&step=12&projector=1&lang=zh", (1024, 768)).page
    page.wait_for_selector(".block.at-norm .figures span")
    hidden = "(flow) => flow.scrollWidth - flow.clientWidth"
    assert page.locator("#sheet .scrolling").evaluate(hidden) <= 1
    assert sideways(page) <= 0
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#back")
    page.click("#back")
    lit = page.locator(".block[aria-current=step]").bounding_box()
    assert 0 <= lit["x"] <= lit["x"] + lit["width"] <= 390
    assert sideways(page) <= 0


@pytest.mark.parametrize(
    ("size", "large", "least"),
    [((1280, 720), 0, 14), ((1920, 1080), 0, 16), ((1024, 768), 1, 14), ((1280, 720), 1, 14)],
)
@pytest.mark.parametrize("heads", [1, 2])
def test_the_sheet_can_be_read_and_is_whole(
    visit: Any, size: tuple[int, int], large: int, least: int, heads: int
) -> None:
    page = visit(f"#scene=steps&step=7&heads={heads}&projector={large}", size).page
    page.wait_for_selector(".block.at-norm .figures span")
    sizes = page.evaluate(
        """() => [...document.querySelectorAll('#sheet .figures > *, #sheet .of, #sheet .lines text')].map((one) =>
          parseFloat(getComputedStyle(one).fontSize))"""
    )
    assert len(sizes) > 13
    assert min(sizes) >= least - 0.01
    assert page.locator("#sheet .scrolling").evaluate("(flow) => flow.scrollWidth - flow.clientWidth") <= 2
    page.locator("#sheet").scroll_into_view_if_needed()
    left, sheet = page.locator(".layered > .left").bounding_box(), page.locator("#sheet").bounding_box()
    assert left["x"] + left["width"] <= sheet["x"] or left["y"] + left["height"] <= sheet["y"]


def test_the_low_rank_map_says_where_its_sizes_come_from(visit: Any) -> None:
    text = visit("#scene=lowrank").page.locator("#whence").inner_text()
    assert 12_288 / 96 == 128
    for number in ("12,288", "96", "128"):
        assert number in text
