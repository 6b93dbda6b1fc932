"""The zoom from a question to its row: its numbers are those of the service's calls."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, quote

import httpx
import numpy as np
import pytest

from tests.browser.conftest import PHONE

QUESTION = "where do birds fly in winter"
READY = "() => document.querySelectorAll('.zoomed .strip').length > 12 && document.querySelector('.terms .formula')"
OF_ROW = "section[aria-labelledby='zoom-answer'] tr.chosen"


def post(origin: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{origin}{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def text_of(locator: Any) -> str:
    """Return a text that may be out of sight: the page lays those steps out later, and until then has no inner text."""
    return locator.text_content() or ""


def numbers(text: str) -> list[float]:
    return [float(number.replace("−", "-")) for number in re.findall(r"[−-]?\d+(?:\.\d+)?", text)]


def test_the_recorded_question_needs_no_model(visit: Any) -> None:
    opened = visit("deeper")
    called = list[str]()
    opened.page.on("request", lambda request: called.append(request.url))
    opened.page.goto(f"{opened.origin}/deeper#zoom")
    opened.page.reload()
    opened.page.wait_for_function(READY)
    opened.page.wait_for_selector(OF_ROW)
    assert opened.page.locator(".movers button").count() == 3
    assert not [url for url in called if "/v1/" in url]


@pytest.mark.parametrize(("layer", "head", "i", "j"), [(1, 3, 1, 4), (6, 12, 5, 0)])
def test_a_cell_has_the_numbers_of_the_trace(visit: Any, layer: int, head: int, i: int, j: int) -> None:
    opened = visit(f"deeper#zoom&q={quote(QUESTION)}&layer={layer}&head={head}&i={i}&j={j}&dim=7")
    page = opened.page
    page.wait_for_function(READY)
    include = ["logits", "query", "key", "hidden_states", "neurons"]
    body = {"text": QUESTION, "purpose": "query", "layers": [layer - 1], "heads": [head - 1], "include": include}
    trace = post(opened.origin, "/v1/trace", body)
    query, key = np.array(trace["query"])[0, 0, i], np.array(trace["key"])[0, 0, j]
    logit, weight = trace["logits"][0][0][i][j], trace["attention"][0][0][i][j]
    of_cell = numbers(page.locator(".terms .formula").first.inner_text().split("=", 1)[1])
    assert of_cell[:3] == pytest.approx([query @ key, 32, logit], abs=5e-4)
    assert of_cell[3] == pytest.approx(100 * weight, abs=0.5)
    row = page.locator(f".head-of .of-row tbody tr:nth-child({j + 1}) td").all_text_contents()
    assert float(row[2]) == pytest.approx(weight, abs=5e-5)
    states = np.array(trace["hidden_states"])[0, :, i, 7]
    of_row = numbers(text_of(page.locator("section[aria-labelledby='zoom-row'] > .formula")))
    shown = [of_row[1], of_row[2], of_row[5], of_row[6], of_row[7]]
    assert shown == pytest.approx(list(states), abs=5e-5)
    neurons = page.locator(".neurons tbody th").all_text_contents()
    assert [int(index) for index in neurons] == trace["neurons"]["index"][0][i]


def test_the_weights_are_those_of_attend(visit: Any) -> None:
    opened = visit(f"deeper#zoom&q={quote(QUESTION)}")
    page = opened.page
    page.wait_for_selector(OF_ROW)
    answer = post(opened.origin, "/v1/collections/library/attend", {"query": QUESTION, "top_k": 8})
    best = answer["matches"][0]
    cells = page.locator(f"{OF_ROW} td").all_text_contents()
    assert float(cells[0].replace("−", "-")) == pytest.approx(best["similarity"], abs=5e-5)
    assert numbers(cells[1])[0] == pytest.approx(100 * best["weight"], abs=0.5)
    of_formula = numbers(text_of(page.locator("section[aria-labelledby='zoom-answer'] .formula")).split("=", 1)[1])
    assert of_formula[0] == pytest.approx(best["similarity"], abs=1e-4)


def test_a_head_is_left_out_and_chosen(visit: Any) -> None:
    opened = visit(f"deeper#zoom&q={quote(QUESTION)}")
    page = opened.page
    page.wait_for_selector(OF_ROW)
    page.click("#leave-out")
    page.wait_for_selector(".movers button", timeout=60_000)
    layer, head, moved = numbers_of_movers(page.locator(".movers p").first.inner_text())
    body = {"text": QUESTION, "purpose": "query", "include": ["vector", "without_head"], "heads": [0]}
    trace = post(opened.origin, "/v1/trace", body)
    queries = [trace["vector"]["embedding"], trace["without_head"][layer - 1][head - 1]]
    before, after = post(opened.origin, "/v1/collections/library/attend", {"queries": queries, "top_k": 110})["results"]
    weights = [{match["id"]: match["weight"] for match in answer["matches"]} for answer in (before, after)]
    change = sum(abs(weights[0][name] - weights[1][name]) for name in weights[0])
    change += abs(before["evidence"]["null_weight"] - after["evidence"]["null_weight"])
    assert moved <= 100 * change / 2 + 0.5
    page.locator(".movers button").first.click()
    page.wait_for_function(f"() => location.hash.includes('head={head}') || {head} === 7")
    assert page.locator(".head-map [aria-pressed='true']").get_attribute("data-place") == f"{layer - 1},{head - 1}"


def test_another_question_takes_the_tint_and_its_legend_away(visit: Any) -> None:
    page = visit("deeper#zoom").page
    page.wait_for_selector(OF_ROW)
    page.wait_for_selector(".movers button")
    tinted = page.locator(".zoom-map .head-map button[style*='--moved']")
    assert tinted.count() == 72
    sentences = page.locator(".movers p").all_inner_texts()
    assert "summed over all rows" in sentences[0]
    assert re.fullmatch(r"The weight of .+ alone, with the head → without it:", sentences[1])
    assert "tint" in sentences[2]
    page.fill("#zoom-question", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.hash.includes('birds')")
    assert tinted.count() == 0
    assert page.locator(".movers p").count() == 0


def test_all_rows_of_a_small_collection_leave_no_others(visit: Any) -> None:
    rows = json.dumps([[key] for key in ("cats purr", "dogs bark", "birds sing")])
    page = visit(f"deeper#zoom&q={quote(QUESTION)}&rows={quote(rows)}").page
    page.wait_for_selector(OF_ROW)
    step = page.locator("section[aria-labelledby='zoom-answer']")
    assert "all other rows" not in text_of(step)
    assert "won" not in text_of(step.locator("h3"))
    step.scroll_into_view_if_needed()
    edges = step.locator("th.number, tr.chosen td.number:not(.wide)").evaluate_all(
        "(cells) => cells.map((cell) => [getComputedStyle(cell).textAlign, cell.getBoundingClientRect().right])"
    )
    assert edges[0] == edges[1]
    assert edges[0][0] == "right"


def numbers_of_movers(text: str) -> tuple[int, int, float]:
    head, layer, moved = numbers(text)[:3]
    return int(layer), int(head), moved


def test_two_sentences_part_layer_by_layer(visit: Any) -> None:
    texts = ["the bank of the river", "the bank lends money"]
    opened = visit(f"deeper#zoom&q={quote(texts[0])}&second={quote(texts[1])}&i=2")
    page = opened.page
    page.wait_for_selector("section[aria-labelledby='zoom-two'] table")
    ends = list[np.ndarray]()
    for text in texts:
        body = {"text": text, "purpose": "query", "layers": [5], "heads": [0], "include": ["hidden_states"]}
        ends.append(np.array(post(opened.origin, "/v1/trace", body)["hidden_states"])[0, -1, 2])
    cosine = ends[0] @ ends[1] / np.linalg.norm(ends[0]) / np.linalg.norm(ends[1])
    cells = page.locator("section[aria-labelledby='zoom-two'] tbody tr:last-child td").all_text_contents()
    assert numbers(cells[0])[0] == pytest.approx(cosine, abs=5e-4)
    lines = page.locator("section[aria-labelledby='zoom-two'] tbody tr")
    cosines = [numbers(line.locator("td").first.text_content() or "")[0] for line in lines.all()]
    lowest = lines.nth(cosines.index(min(cosines))).locator("th").text_content()
    sentence = text_of(page.locator("section[aria-labelledby='zoom-two'] .formula"))
    falls = [before - after for before, after in pairwise(cosines)]
    assert f"largest fall in one step is at layer {falls.index(max(falls)) + 1};" in sentence
    assert f"lowest cosine is in the line “{lowest}”" in sentence


def test_the_explorer_leads_there_and_back(visit: Any) -> None:
    opened = visit(f"explore#collection=library&q={quote(QUESTION)}&t=0.1")
    page = opened.page
    page.wait_for_selector("#zoom")
    weight = float(page.locator("[data-weight]").first.get_attribute("data-weight"))
    page.click("#zoom")
    page.wait_for_selector(OF_ROW)
    assert numbers(text_of(page.locator(f"{OF_ROW} td").nth(1)))[0] == pytest.approx(100 * weight, abs=0.5)
    page.click("#zoom-back")
    page.wait_for_selector("[data-weight]")
    assert float(page.locator("[data-weight]").first.get_attribute("data-weight")) == pytest.approx(weight)


@pytest.mark.parametrize("size", [PHONE, (320, 640)])
def test_a_small_screen_needs_no_scroll_sideways_and_keys_choose_a_cell(visit: Any, size: tuple[int, int]) -> None:
    page = visit("deeper#zoom", size).page
    page.wait_for_function(READY)
    page.wait_for_selector(OF_ROW)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.locator(".cells [aria-pressed='true']").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label == page.locator(".cells [aria-pressed='true']").get_attribute("aria-label")
    assert label.startswith("“pu” looks at “rring”: ")


@pytest.mark.parametrize("address", ["#hard-and-soft&t=0.1", "#nothing-fits"])
def test_a_chapter_leads_there_with_its_rows_and_weights(visit: Any, address: str) -> None:
    chapter = address[1:].split("&")[0]
    page = visit(address).page
    link = page.locator(f"#{chapter} a.to-zoom")
    link.wait_for()
    said = parse_qs(str(link.get_attribute("href")).partition("&")[2])
    question, rows, options = said["q"][0], json.loads(said["rows"][0]), json.loads(said["ask"][0])
    origin = page.url.partition("#")[0].rstrip("/")
    body = {"query": question, "rows": [{"key": key} for (key,) in rows], "top_k": 100, **options}
    attention = post(origin, "/v1/compare", body)["attention"]
    link.click()
    page.wait_for_selector(OF_ROW)
    weights = [match["weight"] for match in attention["matches"]]
    shown = page.locator("section[aria-labelledby='zoom-answer'] tbody tr td:last-child").all_text_contents()
    assert numbers(shown[0])[0] == pytest.approx(100 * weights[0], abs=0.5)
    assert len(shown) == len(rows) + (attention["evidence"]["null_similarity"] is not None)
    page.click("#leave-out")
    page.wait_for_selector(".movers button", timeout=60_000)
    assert page.locator("#zoom-back").get_attribute("href") == f"./{address}"


def test_chapter_5_leads_there_in_one_step_and_a_lesson_stays_open(visit: Any) -> None:
    page = visit("#in-numbers").page
    page.locator("#in-numbers a.to-zoom").click()
    page.wait_for_selector(OF_ROW)
    assert page.locator("#zoom-back").get_attribute("href") == "./#in-numbers"
    lesson = visit("?lesson=9#in-numbers").page
    lesson.wait_for_selector("#in-numbers a.to-zoom", state="attached")
    assert lesson.locator("#in-numbers a.to-zoom").get_attribute("target") == "_blank"


LEADING = ["hard-and-soft", "key-is-not-value", "who-shares", "nothing-fits", "in-numbers", "inside-a-model"]


@pytest.mark.parametrize("chapter", LEADING)
def test_on_a_phone_nothing_lies_over_the_link_of_a_chapter(visit: Any, chapter: str) -> None:
    page = visit(f"#{chapter}", PHONE).page
    link = page.locator(f"#{chapter} a.to-zoom")
    link.wait_for(timeout=20_000)
    link.click(trial=True, timeout=20_000)


def test_the_head_that_links_two_words_is_named_and_chosen(visit: Any) -> None:
    text = "the bank of the river"
    opened = visit(f"deeper#zoom&q={quote(text)}&i=2&j=5")
    page = opened.page
    page.wait_for_function(READY)
    trace = post(opened.origin, "/v1/trace", {"text": text, "purpose": "query", "layers": list(range(6))})
    weights = np.array(trace["attention"])[:, :, 2, 5]
    layer, head = (int(place) + 1 for place in np.unravel_index(weights.argmax(), weights.shape))
    said = page.locator("#linking").inner_text()
    assert said.startswith(f"“bank” looks at “river” most in layer {layer}, head {head}: ")
    assert numbers(said)[-1] == pytest.approx(100 * weights.max(), abs=0.5)
    page.click("#linking")
    place = f"{layer - 1},{head - 1}"
    assert page.locator(".head-map [aria-pressed='true']").get_attribute("data-place") == place


def test_late_interaction_joins_the_words(visit: Any) -> None:
    options = {"rerank": {"model": "late"}}
    opened = visit(f"deeper#zoom&q={quote(QUESTION)}&ask={quote(json.dumps(options))}")
    page = opened.page
    page.wait_for_selector("#words-met svg path")
    body = {"query": QUESTION, "include": ["explanation"], **options}
    best = post(opened.origin, "/v1/collections/library/attend", body)["matches"][0]
    late = next(one for one in best["explanation"]["addends"] if one["of"] == "late")
    assert page.locator("#words-met .query").all_text_contents() == [pair["word"] for pair in late["pairs"]]
    of_sentence = numbers(text_of(page.locator("#words-met").locator("xpath=preceding-sibling::p[1]")))
    assert of_sentence[0] == pytest.approx(late["similarity"], abs=6e-4)
    assert of_sentence[-1] == pytest.approx(100 * best["weight"], abs=0.5)


def test_a_question_that_gave_way_to_another_one_is_not_shown(visit: Any) -> None:
    page = visit("deeper#zoom").page
    page.wait_for_selector(OF_ROW)
    held = []
    page.route("**/v1/trace", lambda route: held.append(route) if not held else route.continue_())
    for text in ("a slow question", "a fast answer"):
        page.fill("#zoom-question", text)
        page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.chips').innerText.includes('answer')")
    page.wait_for_function(READY)
    assert "slow" not in page.locator(".chips").inner_text()
