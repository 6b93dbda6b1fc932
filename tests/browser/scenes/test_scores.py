"""Six similarities on one picture: every number is the service's, wherever the points are."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.browser.reading import module, slide

PANELS = """() => [...document.querySelectorAll('.panel')].map((panel) => ({
  scores: [...panel.querySelectorAll('tbody td:not(.weight)')].map((cell) =>
    Number(cell.textContent.replace('−', '-'))),
  weights: [...panel.querySelectorAll('td.weight')].map((cell) => Number(cell.style.getPropertyValue('--share'))),
  output: Number(panel.querySelector('.value').textContent),
}))"""


def compare(opened: Any, spots: list[list[float]], temperature: float) -> list[int]:
    """Compare the panels with new answers of the service; return which key wins in each."""
    page = opened.page
    opened.settle()
    measures = module(page, "/js/views/scores/measures.js", "({MEASURES}) => MEASURES")
    values = [[value] for value in module(page, "/js/views/scores/measures.js", "({VALUES}) => VALUES")]
    shown = page.evaluate(PANELS)
    assert [one["name"] for one in measures] == ["dot", "scaled_dot", "cosine", "gaussian", "bilinear", "additive"]
    winners = []
    for measure, panel in zip(measures, shown, strict=True):
        body = {"query": spots[:1], "key": spots[1:], "value": values, "similarity": measure["name"]}
        more = {"parameters": measure["parameters"]} if "parameters" in measure else {}
        sent = body | more | {"temperature": temperature, "intermediates": True}
        answer = httpx.post(f"{opened.origin}/v1/attend", json=sent, timeout=60).json()
        assert panel["scores"] == pytest.approx(answer["intermediates"]["similarities"][0], abs=0.00501)
        assert panel["weights"] == pytest.approx(answer["weights"][0], abs=1e-12)
        assert panel["output"] == pytest.approx(answer["output"][0][0], abs=0.00501)
        winners.append(max(range(6), key=answer["weights"][0].__getitem__))
    return winners


def test_six_similarities_are_the_services_and_at_zero_alpha_is_one_hot(visit: Any) -> None:
    opened = visit("#scene=scores", (1440, 900))
    page = opened.page
    page.wait_for_selector(".panel tr.best")
    spots = module(page, "/js/views/scores/measures.js", "({SPOTS}) => SPOTS")
    assert 3 <= len(set(compare(opened, spots, 1))) <= 5
    assert "proportional retrieval" in page.locator("#vectors").inner_text()

    page.focus("[data-spot='0']")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    moved = [[1.3, 0.8], *spots[1:]]
    page.wait_for_function("() => location.hash.includes('spots')")
    compare(opened, moved, 1)
    box = page.locator("[data-spot='3'] circle").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + 30, steps=4)
    page.mouse.up()
    page.wait_for_timeout(400)
    dragged = module(page, "/js/state.js", "({fromHash}) => fromHash(location.hash).spots")
    assert dragged[3] != moved[3]
    compare(opened, dragged, 1)

    assert slide(page, 0) == 0
    page.wait_for_timeout(300)
    compare(opened, dragged, 0)
    assert "α = [ 000010]" in page.locator("#vectors").inner_text().replace("\n", "")
    assert "one-hot" in page.locator("#vectors").inner_text()
    page.locator(".measure").nth(2).click()
    assert page.locator("#vectors h2").inner_text().startswith("Cosine")
    assert page.locator(".measure[aria-pressed=true]").count() == 1
