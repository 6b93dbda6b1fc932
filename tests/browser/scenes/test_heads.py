"""Inside the encoder: all heads, two of them, one pair of numbers, two texts; every number is the service's."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.browser.reading import share, sideways

TEXT = "The dog chased the cat across the street"
STORY = [TEXT, "The teacher praised the student in the hall", "The boy kicked the ball over the fence"]
STORY += ["The wolf ate the sheep"]
INK = """() => [...document.querySelectorAll('.thumbnail canvas')].map((canvas) =>
  canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((ink) => ink))"""


def traced(origin: str, **body: Any) -> dict[str, Any]:
    answer = httpx.post(f"{origin}/v1/trace", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def close(text: str, expected: float) -> bool:
    """Return whether a percentage on the page, "44%" or "<0.1%", shows this share."""
    return abs(share(text) - expected) <= (0.001 if expected < 0.1 or expected > 0.99 else 0.0051)


def test_all_heads_come_in_one_call_and_every_panel_is_the_services(visit: Any) -> None:
    opened = visit("#scene=encoder", (1440, 900))
    page = opened.page
    page.wait_for_selector("#neuron-checked[data-state=agreed]")
    every = traced(opened.origin, text=TEXT, layers=list(range(6)), include=["changes"])
    names = [token["text"] for token in every["tokens"]]
    assert page.evaluate(INK) == [True] * 72
    # One call for every head and one for the vectors of the head that is looked at; then another head's vectors alone.
    urls = [url for url in opened.asked() if url.endswith("/trace")]
    assert len(urls) == 2
    page.get_by_label("layer 2, head 9", exact=True).click()
    page.locator(".queries button").nth(2).click()
    page.wait_for_function("document.querySelector('#neuron h2').textContent.includes('“dog” asks “chased”')")
    weights = every["attention"][1][8]
    shown = dict(tuple(item.inner_text().split()[::-1]) for item in page.locator(".shares li").all()[:3])
    assert all(
        close(text, max(weights[2][j] for j, name in enumerate(names) if name == word)) for word, text in shown.items()
    )
    assert len([url for url in opened.asked() if url.endswith("/trace")]) == 3

    page.click(".picking.second")
    page.get_by_label("layer 6, head 12", exact=True).click()
    assert "second=5.11" in page.evaluate("new Promise((done) => setTimeout(() => done(location.hash), 300))")
    first = page.locator(".shares li").first
    assert close(first.locator(".of-second").inner_text(), every["attention"][5][11][2][3])
    assert page.locator("path.wire.second").count() > 0
    page.click("#drop-second")
    assert page.locator("path.wire.second, .of-second").count() == 0

    page.locator(".keys button").nth(5).click()
    one = traced(opened.origin, text=TEXT, layers=[1], heads=[8], include=["query", "key", "logits"])
    logit = one["logits"][0][0][2][5]
    assert sum(
        q * k for q, k in zip(one["query"][0][0][2], one["key"][0][0][5], strict=True)
    ) / 32**0.5 == pytest.approx(logit, abs=1e-4)
    assert f"{logit:.2f}".replace("-", "−") in page.locator("#neuron-checked").inner_text()
    assert f"{logit:.2f}".replace("-", "−") in page.locator("#neuron-sum").inner_text()
    assert page.locator("#neuron .bars-of.query rect").count() == 32
    actual = [float(text) for text in page.locator("#moves td").all_inner_texts()]
    expected = [one[kind][2] for one in every["changes"] for kind in ("attention", "feed_forward", "layer")]
    assert actual == pytest.approx(expected, abs=0.00501)
    best = max((every["attention"][layer][head][2][5], layer, head) for layer in range(6) for head in range(12))
    summary = page.locator("#strongest").inner_text()
    assert f"layer {best[1] + 1}, head {best[2] + 1}" in summary
    assert "72 heads" in summary
    assert close(re.findall(r"[<>]?[\d.]+%", summary)[-1], best[0])
    page.click("#go-strongest")
    assert (
        page.locator(".thumbnail[aria-pressed=true]").get_attribute("title")
        == f"layer {best[1] + 1}, head {best[2] + 1}"
    )


def test_attention_is_not_explanation(visit: Any) -> None:
    opened = visit("#scene=encoder", (1024, 768))
    page = opened.page
    page.wait_for_selector(".shares li")
    assert page.locator("#stories table, #stories .weight").count() == 0
    page.locator("#stories .guesses button").last.click()
    page.wait_for_selector("#stories tbody tr")
    holds = 0
    for text, line in zip(STORY, page.locator("#stories tbody:first-of-type tr").all(), strict=True):
        trace = traced(opened.origin, text=text, layers=[5], heads=[11])
        weights = trace["attention"][0][0][3]
        strongest = max(range(len(weights)), key=weights.__getitem__)
        cells = line.locator("td").all_inner_texts()
        assert cells[0] == text
        assert close(cells[1], weights[2] + weights[5])
        assert cells[2].split()[0] == trace["tokens"][strongest]["text"]
        assert (cells[3] == "fits") == (weights[2] + weights[5] > 0.5)
        holds += weights[2] + weights[5] > 0.5
    assert 0 < holds < 4
    assert page.locator("#story-count").inner_text().startswith(f"You said 4; the story fits {holds} of 4.")
    page.fill("#sentence", "My aunt kicked the old machine")
    page.wait_for_selector("#stories .yours")
    page.locator("#stories .sentence").nth(1).click()
    page.wait_for_timeout(450)
    opened.settle()
    assert page.locator("#sentence").input_value() == STORY[1]
    assert page.locator("#row-of h2").inner_text() == "Where “praised” looks"
    assert page.locator("#stories .yours").count() == 0


def test_a_question_and_a_passage_and_a_text_too_long_for_all_heads(visit: Any) -> None:
    opened = visit("#scene=encoder", (390, 844))
    page = opened.page
    page.wait_for_selector(".shares li")
    assert not page.locator("#passage").is_visible()
    page.click("#example-passage")
    page.wait_for_timeout(450)
    opened.settle()
    texts = {"text": page.locator("#sentence").input_value(), "pair": page.locator("#passage").input_value()}
    trace = traced(opened.origin, **texts, layers=[2], heads=[9])
    sides = [[token["text"] for token in trace["tokens"] if token["sequence"] == side] for side in (0, 1)]
    assert page.locator(".queries button").all_inner_texts() == sides[0]
    assert page.locator(".keys button").all_inner_texts() == sides[1]
    weights = trace["attention"][0][0][5]
    passage = sum(weight for weight, token in zip(weights, trace["tokens"], strict=True) if token["sequence"] == 1)
    assert close(page.locator("#across").inner_text().split()[0], passage)
    assert sideways(page) <= 0
    address = page.url
    page.goto("about:blank")
    opened.go(address.split("/", 3)[3])
    assert page.locator("#passage").input_value() == texts["pair"]
    page.click("#one-text")
    page.fill("#sentence", "cat dog " * 70)
    page.wait_for_timeout(450)
    opened.settle()
    assert len(page.locator(".queries button").all()) == 142
    assert page.evaluate(INK).count(True) == 12
    opened.errors.clear()  # the browser logs that all heads of so long a text were refused
