"""The map of keys: what is drawn is the service's similarities and weights, and no name covers another."""

from __future__ import annotations

from typing import Any, cast

import httpx
import numpy as np
import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import checked, module, same_names_in_both, sideways
from tests.browser.written import fixed, percent
from tests.thorough import thorough

STILL = {"reduced_motion": "reduce"}
DOTS = """() => [...document.querySelectorAll('#space .dots circle')].map((dot) =>
  ['cx', 'cy', 'r'].map((name) => Number(dot.getAttribute(name))))"""
CENTRE = (
    """() => ['cx', 'cy'].map((name) => Number(document.querySelector('#space .seeker circle').getAttribute(name)))"""
)
RING = "() => Number(document.querySelector('#ring .reach').getAttribute('r'))"
GRID = 0.2
# Boxes of the query's dot and of every text, in pixels of the screen.
BOXES = """() => {
  const box = (one) => { const {left, right, top, bottom} = one.getBoundingClientRect();
    return {text: one.textContent, left, right, top, bottom}; };
  return {frame: box(document.querySelector('#space')), boxes:
    [...document.querySelectorAll('#space .seeker circle, #space .names text, #space .axis text, #ring text')]
      .filter((one) => one.getClientRects().length).map(box)}; }"""
TOURS = """({tour}, vectors) => import('/js/views/space/plane.js').then(({Plane}) => {
  const typed = vectors.map((vector) => Float64Array.from(vector));
  return [typed, typed].map((given) => tour(given, new Plane(given))); })"""


def ask(opened: Any, query: str, temperature: float = 0.05, **options: Any) -> list[dict[str, Any]]:
    """Return the service's matches, in the order of their ids, as the page keeps them."""
    body = {"query": query, "top_k": 1000, "null": False, "temperature": temperature, "include": ["key"], **options}
    answer = httpx.post(f"{opened.origin}/v1/collections/library/attend", json=body, timeout=60)
    return sorted(answer.json()["matches"], key=lambda match: match["id"])


def of_each(matches: list[dict[str, Any]], name: str) -> Any:
    return np.array([match[name] for match in matches])


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_radii_are_distances_and_sizes_are_weights(visit: Any, size: tuple[int, int]) -> None:
    opened = visit("#scene=space", size, **STILL)
    page = opened.page
    for query in ("books about felines", "animals that talk"):
        page.fill("#question", query)
        matches = ask(opened, query)
        similarities, weights = of_each(matches, "similarity"), of_each(matches, "weight")
        page.wait_for_function("(key) => document.querySelector('#space-words').textContent.includes(key)",
                               arg=f"“{matches[int(weights.argmax())]['key']}” is nearest")  # fmt: skip
        assert checked(page) < 1e-6
        dots, centre = np.array(page.evaluate(DOTS)), page.evaluate(CENTRE)
        unit = float(page.locator("#space .rings circle").first.get_attribute("r")) / GRID
        np.testing.assert_allclose(np.hypot(*(dots[:, :2] - centre).T) / unit, 1 - similarities, atol=1e-3)
        np.testing.assert_allclose(dots[:, 2], 3.5 + 24 * np.sqrt(weights), atol=0.01)
        assert page.evaluate(RING) / unit == pytest.approx(1 - similarities.max() + 0.05, abs=1e-6)
        # The weight that stands at the ring of the distance 0.8 is that of a row there.
        there = weights.max() * np.exp((1 - similarities.max() - 0.8) / 0.05)
        assert percent(float(there)) in page.locator("#space .there:not(.end)").all_text_contents()
        text = page.locator("#space-words").inner_text()
        assert f"at {fixed(1 - similarities.max())}, and gets {percent(float(weights.max()))}." in text
    assert sideways(page) <= 0


def test_the_marked_rows_are_those_that_the_service_ranks_first(visit: Any) -> None:
    opened = visit("#scene=space", **STILL)
    page = opened.page
    matches = ask(opened, "books about felines")
    order = np.argsort(-of_each(matches, "similarity"))
    assert matches[order[0]]["key"] == "cats"
    sizes = np.array(page.evaluate(DOTS))[:, 2]
    np.testing.assert_array_equal(np.argsort(-sizes)[:5], order[:5])
    marked = [name.rsplit(" ", 1)[0].rstrip("…") for name in page.locator("#space .names text").all_text_contents()]
    first = [matches[i]["key"] for i in order[:8]]
    assert len(marked) >= 5
    assert all(any(key.startswith(name) for key in first) for name in marked)
    # What is pointed at is named in full, and the keyboard reaches every row.
    page.focus("#space .dots")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    second = matches[order[1]]
    said = f"“{second['key']}”: distance {fixed(1 - second['similarity'])}, weight {percent(second['weight'])}"
    assert page.locator("#space-pointed").inner_text() == said
    last = int(order[-1])
    x, y, _ = page.evaluate(DOTS)[last]
    corner = page.locator("#space").bounding_box()
    page.mouse.move(corner["x"] + x, corner["y"] + y)
    assert matches[last]["key"] in page.locator("#space-pointed").inner_text()


@pytest.mark.parametrize("size", [PROJECTOR, thorough(PHONE), thorough((1024, 768))])
def test_no_name_covers_the_query_or_another_name(visit: Any, size: tuple[int, int]) -> None:
    opened = visit("#scene=space&projector=1" if size[0] == 1024 else "#scene=space", size, **STILL)
    for where in ("t=0.05", "t=inf", "t=0", "t=0.2&query=cats", "flat=1", "query=growing up&lang=zh&t=0.1"):
        page = opened.go(f"#scene=space&{where}")
        page.reload()
        opened.settle()
        seen = page.evaluate(BOXES)
        assert len(seen["boxes"]) >= 4, where
        for i, one in enumerate(seen["boxes"]):
            assert one["left"] >= seen["frame"]["left"] - 1, (where, one)
            assert one["right"] <= seen["frame"]["right"] + 1, (where, one)
            for other in seen["boxes"][:i]:
                across = min(one["right"], other["right"]) - max(one["left"], other["left"])
                down = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
                # The boxes of two lines of text have room above and below their letters.
                assert across <= 1 or down <= 4, (where, one, other)


def test_the_ring_is_dragged_on_the_map(visit: Any) -> None:
    opened = visit("#scene=space", **STILL)
    page = opened.page
    corner, (x, y) = page.locator("#space").bounding_box(), page.evaluate(CENTRE)
    unit = float(page.locator("#space .rings circle").first.get_attribute("r")) / GRID
    nearest = 1 - of_each(ask(opened, "books about felines"), "similarity").max()

    def drag(distance: float) -> None:
        grip = page.locator("#ring .grip").bounding_box()
        page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
        page.mouse.down()
        page.mouse.move(corner["x"] + x, corner["y"] + y + distance * unit, steps=4)
        page.mouse.up()
        opened.settle()

    drag(nearest + 0.2)
    temperature = float(page.locator("#ring text").text_content().removeprefix("T = "))
    assert temperature == pytest.approx(0.2, abs=0.01)
    assert page.locator(".temperature output").inner_text() == str(temperature)
    weights = of_each(ask(opened, "books about felines", temperature), "weight")
    np.testing.assert_allclose(np.array(page.evaluate(DOTS))[:, 2], 3.5 + 24 * np.sqrt(weights), atol=0.01)
    assert checked(page) < 1e-6
    drag(1.2)
    assert page.locator("#ring text").text_content() == "T = ∞"
    np.testing.assert_allclose(np.array(page.evaluate(DOTS))[:, 2], 3.5 + 24 * np.sqrt(1 / len(weights)), atol=0.01)
    drag(0.1)
    assert page.locator("#ring text").text_content() == "T = 0"
    assert "gets 100%. Inside the ring: 1 row, with 100%" in page.locator("#space-words").inner_text()
    page.focus("#ring")
    page.keyboard.press("ArrowUp")
    assert page.get_attribute("#ring", "aria-valuetext") != "T = 0"


def test_alike_keys_are_neighbours_whatever_is_asked(visit: Any) -> None:
    opened = visit("#scene=space", **STILL)
    matches = ask(opened, "cats", include=["key", "key_vector"])
    keys = of_each(matches, "key_vector")
    order, again = cast(list[list[int]], module(opened.page, "/js/views/space/circle.js", TOURS, keys.tolist()))
    assert order == again
    assert sorted(order) == list(range(len(keys)))
    directions = keys - keys.mean(0)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    cosines = directions @ directions.T
    beside = cosines[order, np.roll(order, 1)].mean()
    greedy = np.sort(cosines - 2 * np.eye(len(keys)), axis=1)[:, -1].mean()  # with its most alike key beside each
    assert beside > 0.6 * greedy
    assert cosines[order[0], order[-1]] == pytest.approx(
        cosines[order, np.roll(order, 1)].min()
    )  # cut where it is least


def test_the_flat_map_is_numpys_plane_with_the_true_weights(visit: Any) -> None:
    opened = visit("#scene=space&flat=1", **STILL)
    page = opened.page
    matches = ask(opened, "books about felines", include=["key", "key_vector"])
    keys = of_each(matches, "key_vector")
    _, sizes, axes = np.linalg.svd(keys - keys.mean(0), full_matrices=False)
    share = float((sizes[:2] ** 2).sum() / (sizes**2).sum())
    assert f"keeps {percent(share)} of the variance" in page.locator("#space-kept").inner_text()
    dots = np.array(page.evaluate(DOTS))
    np.testing.assert_allclose(dots[:, 2], 3.5 + 24 * np.sqrt(of_each(matches, "weight")), atol=0.01)
    # Of a direction the page takes the largest number as positive.
    places = (keys - keys.mean(0)) @ np.array([axis * np.sign(axis[np.abs(axis).argmax()]) for axis in axes[:2]]).T
    for drawn, expected in ((dots[:, 0], places[:, 0]), (-dots[:, 1], places[:, 1])):
        assert np.corrcoef(drawn, expected)[0, 1] > 0.99999
    assert not page.locator("#ring").is_visible()
    page.locator("#flat").click()
    assert page.locator("#ring").is_visible()
    assert page.locator("#space-kept").inner_text() == ""
    same_names_in_both("space")


def test_its_question_is_answered_by_the_exponential(visit: Any) -> None:
    page = visit("#scene=space&lang=zh", covered=True).page
    page.locator(".choice[value=hardly]").click()
    assert page.locator("#reply").inner_text().startswith("答对了")
