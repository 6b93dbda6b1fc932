"""Calibration in the page: the labels are the learner's, every weight the service's, every score NumPy's."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import httpx
import numpy as np

from tests.browser.conftest import PHONE
from tests.browser.reading import module, same_names_in_both, sideways, slide
from tests.browser.written import fixed, percent

LABELS = "rwrwrwrwrw"
RIGHT = np.array([label == "r" for label in LABELS], float)
POSITIONS = "({temperatureAt, STEPS}) => Array.from({length: STEPS}, (_, i) => temperatureAt(i))"
DOTS = """() => [...document.querySelectorAll('.dots g')].map((dot) =>
  [dot.textContent.replace(/: [^:]*$/, ''), Number(dot.dataset.weight), dot.className.baseVal])"""
CARD = """(() => {
  const shown = document.querySelector('#card .asked-text');
  return shown && shown.textContent.endsWith(query) && document.querySelector('#card .matched') !== null;
})()"""
ADDED = "a book about ghosts"


def questions(page: Any) -> list[str]:
    return list(module(page, "/js/views/sure/questions.js", "({QUESTIONS}) => QUESTIONS"))


def first(origin: str, query: str, temperatures: list[float], null: Any = "auto") -> tuple[dict[str, Any], np.ndarray]:
    """The first match, and its weight at each temperature."""
    body = {"query": query, "temperatures": temperatures, "top_k": 1, "null": null}
    answer = httpx.post(f"{origin}/v1/collections/library/sweep", json=body, timeout=60).json()
    return answer["matches"][0], np.array([one["weights"][0] for one in answer["temperatures"]])


def error(weights: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over four bins."""
    bins = np.minimum((weights * 4).astype(int), 3)
    gaps = [abs(weights[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins)]
    return float(sum(gaps))


def test_labels_become_dots_and_scores(visit: Any) -> None:
    opened = visit("#scene=sure", covered=True)
    page = opened.page
    requests: list[str] = []
    page.on("request", lambda one: requests.append(f"{one.url} {one.post_data}") if one.method == "POST" else None)
    page.wait_for_selector(".choice")
    page.focus("#reveal")
    page.keyboard.press("Enter")
    labelled_questions = questions(page)
    assert len(labelled_questions) == 10
    for i, (query, label) in enumerate(zip(labelled_questions, LABELS, strict=True)):
        page.wait_for_function(f"(query) => {CARD}", arg=query)
        match, _ = first(opened.origin, query, [0.05])
        card = page.locator("#card").inner_text()
        assert match["key"] in card
        assert match["value"] in card
        assert not re.search(r"%|\d\.\d", card)
        assert page.locator(".dots g").count() == i
        if i % 3:
            page.keyboard.press("1" if label == "r" else "2")
        else:
            page.locator("#judge-right" if label == "r" else "#judge-wrong").click()
    page.wait_for_selector("#card", state="hidden")
    opened.settle()

    stops = module(page, "/js/scale.js", POSITIONS)
    swept = np.array([first(opened.origin, query, [*stops, 0.05, 0.2])[1] for query in labelled_questions])
    weights, warm = swept[:, -2], swept[:, -1]
    shown = {query: (weight, kind) for query, weight, kind in page.evaluate(DOTS)}
    assert [shown[query][1] for query in labelled_questions] == [
        {"r": "right-one", "w": "wrong-one"}[one] for one in LABELS
    ]
    np.testing.assert_allclose([shown[query][0] for query in labelled_questions], weights, rtol=1e-12)
    score = float(((weights - RIGHT) ** 2).mean())
    text = page.locator("#sure-words").inner_text()
    assert text.startswith(f"10 labels: {percent(float(weights.mean()))} sure on average, 50% right. Too sure by")
    assert page.locator("#measures").inner_text() == (
        f"Brier score {fixed(score, 3)} · expected calibration error {fixed(error(weights, RIGHT), 3)}"
    )

    # The slider moves all dots, and nothing is asked for it; the mark is where the Brier score is least.
    assert [one for one, times in Counter(requests).items() if times > 1] == []
    before = len(requests)
    assert slide(page, int(np.abs(np.array(stops) - 0.2).argmin())) == 0.2
    moved = {query: weight for query, weight, _ in page.evaluate(DOTS)}
    np.testing.assert_allclose([moved[query] for query in labelled_questions], warm, atol=5e-4)
    scores = ((swept[:, :-2] - RIGHT[:, None]) ** 2).mean(0)
    least = stops[int(scores.argmin())]
    assert f"T = {least:g}: {fixed(float(scores.min()), 3)}" in page.locator("#least").inner_text()
    page.click("#to-least")
    page.wait_for_function(
        "(least) => document.querySelector('.temperature output').textContent === least", arg=f"{least:g}"
    )
    page.wait_for_function(
        "(score) => document.querySelector('#measures').textContent.includes(score)", arg=fixed(float(scores.min()), 3)
    )
    for position in (1, 60, 250, 399):
        slide(page, position)
        now = {query: weight for query, weight, _ in page.evaluate(DOTS)}
        np.testing.assert_allclose([now[query] for query in labelled_questions], swept[:, position], atol=5e-3)
    assert len(requests) == before

    page.wait_for_timeout(300)
    assert f"labels={LABELS}" in page.url
    page.reload()
    opened.settle()
    page.wait_for_function("() => document.querySelectorAll('.dots g').length === 10")
    assert page.locator("#card").is_hidden()


def test_a_label_is_turned_taken_back_and_added(visit: Any) -> None:
    opened = visit(f"#scene=sure&labels={LABELS}")
    page = opened.page
    page.wait_for_function("() => document.querySelectorAll('.dots g').length === 10")
    page.locator(".turn").nth(1).click()
    assert "60% right" in page.locator("#sure-words").inner_text()
    assert "how to" not in page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.click("#undo")
    assert "50% right" in page.locator("#sure-words").inner_text()

    page.fill("#own", ADDED)
    page.keyboard.press("Enter")
    page.wait_for_function(f"(query) => {CARD}", arg=ADDED)
    page.keyboard.press("2")
    page.wait_for_function("() => document.querySelectorAll('.dots g').length === 11")
    with_none, without = (first(opened.origin, ADDED, [0.05], null)[1][0] for null in ("auto", False))
    weighed = "(query) => Number([...document.querySelectorAll('.dots g')].find(({textContent}) =>"
    weighed += " textContent.startsWith(query)).dataset.weight)"
    assert abs(page.evaluate(weighed, ADDED) - with_none) < 1e-12
    page.uncheck("#none")
    opened.settle()
    page.wait_for_function("() => document.querySelectorAll('.dots g').length === 11")
    assert abs(page.evaluate(weighed, ADDED) - without) < 1e-12
    assert without > with_none

    # A typed digit is not a label; an unreadable question is left out.
    page.fill("#own", "1")
    assert page.locator(".dots g").count() == 11
    page.fill("#own", "关于鬼的书")
    page.keyboard.press("Enter")
    page.wait_for_selector("#drop:visible")
    assert not page.locator("#judge-right").is_visible()
    page.keyboard.press("1")
    page.click("#drop")
    page.wait_for_selector("#card", state="hidden")
    page.wait_for_timeout(300)
    assert json.loads(page.evaluate("new URLSearchParams(location.hash.slice(1)).get('own')")) == [ADDED]
    assert page.locator(".dots g").count() == 11
    page.click("#anew")
    page.wait_for_selector("#card:visible")
    assert page.locator(".dots g").count() == 0
    same_names_in_both("sure")


def test_labels_of_one_kind_have_no_best_temperature(visit: Any) -> None:
    page = visit("#scene=sure&labels=rrrrrrrrrr&lang=zh", PHONE).page
    page.wait_for_function("() => document.querySelectorAll('.dots g').length === 10")
    assert "有对有错" in page.locator("#least").inner_text()
    assert not page.locator("#to-least").is_visible()
    assert page.locator("#brier .least path").count() == 0
    assert "自信不足" in page.locator("#sure-words").inner_text()
    described = page.locator("#reliability").get_attribute("aria-label") or ""
    assert "10 个标注" in described
    assert sideways(page) <= 0
    tops = [page.locator(name).bounding_box()["y"] for name in (".story", "#sure-words", "#reliability", "#brier")]
    assert tops == sorted(tops)


def test_where_the_mean_fits_and_bins_do_not_that_is_told(visit: Any) -> None:
    """Seven of ten right, and none of them what it is sure of."""
    opened = visit("#scene=sure")
    page = opened.page
    weights = np.array([first(opened.origin, query, [0.05])[1][0] for query in questions(page)])
    right = np.ones(10)
    right[np.argsort(-weights)[:3]] = 0
    opened.go(f"#scene=sure&labels={''.join('wr'[int(one)] for one in right)}")
    page.wait_for_function("() => document.querySelectorAll('.dots g').length === 10")
    opened.settle()
    assert abs(weights.mean() - right.mean()) < 0.03
    assert error(weights, right) > 0.3
    text = page.locator("#sure-words").inner_text()
    assert text.endswith(
        f"On average that fits; bin by bin it is off by {fixed(100 * error(weights, right), 0)} points."
    )
    assert "softkv calibrate FILE -c library fit it" in page.locator("#few").inner_text()


def test_the_card_tells_of_the_collection_that_is_asked(visit: Any, site: Any) -> None:
    opened = visit("#scene=sure&source=videos")
    page = opened.page
    page.wait_for_selector(".matched")
    assert page.locator("#card").inner_text().startswith("Question 1 of 10, put to “videos”: 96 documents")
    assert not page.locator("#elsewhere").is_visible()
    assert "book" not in page.locator("#card").inner_text()
    with site.client() as client:
        assert client.put("/v1/collections/hollow", json={}).status_code == 201
        try:
            opened.go("#scene=sure&source=hollow")
            page.wait_for_selector("#elsewhere:visible")
            card = page.locator("#card").inner_text()
            assert "softkv load FILE -c hollow" in card
            assert not page.locator(".judge").is_visible()
            page.click("#elsewhere")
            page.wait_for_selector(".matched")
            assert "put to “library”: 110 documents" in page.locator("#card").inner_text()
        finally:
            client.delete("/v1/collections/hollow")


def test_while_an_answer_is_on_its_way_the_card_says_so(visit: Any) -> None:
    opened = visit("#scene=steps")
    page = opened.page
    routes: list[Any] = []
    is_held = True
    page.route("**/sweep", lambda one: routes.append(one) if is_held else one.continue_())
    page.goto(f"{opened.origin}/scenes#scene=sure&revealed=1")
    page.wait_for_selector("#card .awaited")
    assert "Asking" in page.locator("#card .asked-of").inner_text()
    page.locator("#judge-right").click(force=True)
    assert page.locator(".dots g").count() == 0
    is_held = False
    for one in routes:
        one.continue_()
    page.wait_for_selector(".matched")
    assert page.locator("#card .awaited").count() == 0
    page.click("#judge-right")
    page.wait_for_function("() => document.querySelectorAll('.dots g').length === 1")
