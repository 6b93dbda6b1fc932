"""The pictures that go deeper: each is drawn from the service's numbers, and checked with them or with NumPy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import module, number, share, sideways, slide, words
from tests.running import RunningService
from tests.thorough import thorough

PICTURES = ("four", "regression", "certificate", "similarities", "zoom", "networks")
PANELS = """() => [...document.querySelectorAll('.panel')].map((panel) => ({
  scores: [...panel.querySelectorAll('tbody td:not(.weight)')].map((cell) =>
    Number(cell.textContent.replace('−', '-'))),
  weights: [...panel.querySelectorAll('td.weight')].map((cell) => Number(cell.style.getPropertyValue('--share'))),
  output: Number(panel.querySelector('.value').textContent),
}))"""
MEASURES = "/deeper/similarities/measures.js"
LARGE_ROWS = 4_000


def ask(origin: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = httpx.post(f"{origin}{path}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_the_index_has_each_picture_below_its_chapter(visit: Any) -> None:
    page = visit("deeper").page
    cards = page.locator(".card").evaluate_all("(cards) => cards.map((card) => card.getAttribute('href').slice(1))")
    assert sorted(cards) == sorted(PICTURES)
    chapters = page.locator(".group h3 a").evaluate_all("(links) => links.map((link) => link.getAttribute('href'))")
    assert len(chapters) == 5
    assert all(re.fullmatch(r"\./#[a-z-]+", chapter) for chapter in chapters)
    page.locator(".card").first.click()
    page.wait_for_selector("#four .screen")
    assert not page.locator("#pictures").is_visible()
    assert page.title() == "Four ways to search · softkv"
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.go_back()
    page.wait_for_selector(".card:visible")
    page.locator(".group h3 a").nth(1).click()
    page.wait_for_url("**/#who-shares")
    page.wait_for_selector("#who-shares .screen")


@pytest.mark.parametrize("size", [PROJECTOR, PHONE], ids=["projector", "phone"])
@pytest.mark.parametrize("language", ["en", thorough("zh")])
def test_each_picture_opens_in_the_width_of_the_screen(visit: Any, language: str, size: tuple[int, int]) -> None:
    opened = visit(f"deeper#pictures&lang={language}", size, reduced_motion="reduce")
    page = opened.page
    for name in PICTURES:
        page.evaluate("(name) => { location.hash = name; }", name)
        page.wait_for_selector(f"#{name} .screen", state="visible")
        assert page.locator("article:visible").count() == 1
        title = page.locator(f"#{name} h2").inner_text().replace("\u2060", "")
        assert title == next(iter(titles(language)[name]))
        assert sideways(page) <= 0, name
    opened.settle()


def titles(language: str) -> dict[str, set[str]]:
    return {name: {words(f"deeper/pictures/{name}.json")[language]["title"]} for name in PICTURES}


def test_four_ways_answer_as_the_service_does(visit: Any) -> None:
    opened = visit("deeper#four")
    page = opened.page
    rows = words("story/rows.json")["shelf"]["rows"]
    for question in ("books about felines", "cats"):
        page.locator(".choices button", has_text=re.compile(f"^{question}$")).click()
        page.wait_for_function("(text) => document.querySelector('#question').value === text", arg=question)
        page.wait_for_timeout(400)
        opened.settle()
        body = {"query": question, "rows": rows, "top_k": len(rows), "null": "auto", "temperature": 0.05}
        compared = ask(opened.origin, "/v1/compare", body)
        for way, name in (("sql", "sql"), ("text", "full_text")):
            count = len(compared[name]["rows"])
            headline = page.locator(f"#way-{way} .headline").inner_text()
            assert headline == ("1 row" if count == 1 else f"{count} rows")
        assert page.locator("#way-top li").count() == 3
        attended = page.locator("#way-attention li")
        assert attended.count() == len(rows)
        for i, match in enumerate(compared["attention"]["matches"]):
            weight = attended.nth(i).locator(".weight").inner_text().strip()
            assert share(weight) == pytest.approx(match["weight"], abs=0.0051)
    assert page.locator("#way-sql .headline").inner_text() == "1 row"
    assert page.locator("#way-sql code strong").inner_text() == "key = :key"


def test_the_curve_is_the_services_and_a_guess_shows_the_mean(visit: Any) -> None:
    page = visit("deeper#regression").page
    page.wait_for_selector("#checking[data-state=agreed]", state="attached")
    page.locator(".prediction button", has_text="A flat line").click()
    page.wait_for_selector(".prediction .verdict:not(:empty)")
    assert "Right" in page.locator(".verdict").inner_text()
    page.wait_for_function("() => location.hash.includes('t=inf')")
    page.locator("#at").focus()
    heights = []
    for key in ("Home", "End"):
        page.keyboard.press(key)
        heights.append(page.locator(".seeker circle").get_attribute("cy"))
    assert heights[0] == heights[1]


def compare_panels(opened: Any, spots: list[list[float]], temperature: float) -> list[int]:
    """Compare the panels with new answers of the service; return which key wins in each."""
    page = opened.page
    page.wait_for_timeout(300)
    opened.settle()
    measures, values = module(page, MEASURES, "({MEASURES, VALUES}) => [MEASURES, VALUES.map((value) => [value])]")
    assert [one["name"] for one in measures] == ["dot", "scaled_dot", "cosine", "gaussian", "bilinear", "additive"]
    winners = []
    for measure, panel in zip(measures, page.evaluate(PANELS), strict=True):
        body = {"query": spots[:1], "key": spots[1:], "value": values, "similarity": measure["name"]}
        more = {"parameters": measure["parameters"]} if "parameters" in measure else {}
        answer = ask(opened.origin, "/v1/attend", body | more | {"temperature": temperature, "intermediates": True})
        assert panel["scores"] == pytest.approx(answer["intermediates"]["similarities"][0], abs=0.00501)
        assert panel["weights"] == pytest.approx(answer["weights"][0], abs=1e-12)
        assert panel["output"] == pytest.approx(answer["output"][0][0], abs=0.00501)
        winners.append(int(np.argmax(answer["weights"][0])))
    return winners


def test_six_similarities_are_the_services_and_at_zero_alpha_is_one_hot(visit: Any) -> None:
    opened = visit("deeper#similarities", (1440, 900))
    page = opened.page
    page.wait_for_selector(".panel tr.best")
    spots = module(page, MEASURES, "({SPOTS}) => SPOTS")
    names = ("dot", "scaled", "cosine", "gaussian", "bilinear", "additive")
    winners = dict(zip(names, compare_panels(opened, spots, 1), strict=True))
    # What the guess says of the picture as it begins.
    page.locator(".prediction button", has_text="Three to five").click()
    reason = page.locator(".prediction .verdict").inner_text()
    assert reason.startswith("Right")
    letters = re.findall(r"“(.)”", reason)
    assert letters == ["abcdef"[winners[name]] for name in ("dot", "cosine", "gaussian", "bilinear", "additive")]
    page.focus("[data-spot='0']")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function("() => location.hash.includes('spots')")
    moved = [[1.3, 0.8], *spots[1:]]
    compare_panels(opened, moved, 1)
    slide(page, 0)
    compare_panels(opened, moved, 0)
    assert "α = [ 000010]" in page.locator("#vectors").inner_text().replace("\n", "")
    page.locator(".measure").nth(2).click()
    assert page.locator("#vectors h3").inner_text().startswith("Cosine")
    assert page.locator(".measure[aria-pressed=true]").count() == 1
    page.wait_for_function("() => location.hash.includes('similarity=cosine')")
    page.reload()  # the address has it all
    page.wait_for_selector(".panel tr.best")
    assert page.locator("#vectors h3").inner_text().startswith("Cosine")
    compare_panels(opened, moved, 0)


@pytest.fixture(scope="module")
def large(site: RunningService) -> Iterator[str]:
    """Yield the largest collection, which has too many rows for the exact path."""
    vectors = np.random.default_rng(4).normal(size=(LARGE_ROWS, 384)).round(3)
    with site.client() as client:
        client.put("/v1/collections/largest", json={"value_from": "key"}).raise_for_status()
        for begin in range(0, LARGE_ROWS, 1000):
            rows = [
                {"id": f"row-{i}", "key": f"number {i}", "value": i, "key_vector": vectors[i].tolist()}
                for i in range(begin, begin + 1000)
            ]
            client.post("/v1/collections/largest/documents", json={"documents": rows}).raise_for_status()
        yield "/v1/collections/largest/attend"
        client.delete("/v1/collections/largest")


def test_the_error_bar_is_the_certificate(visit: Any, large: str) -> None:
    opened = visit("deeper#certificate")
    page = opened.page
    page.wait_for_selector(".certified tbody tr")
    opened.settle()
    body = {"query": "smiling cat", "temperature": 0.05, "top_k": 16, "rerank": None}
    exact, codes = (ask(opened.origin, large, body | more) for more in ({"max_error": 1e-12}, {}))
    assert (exact["certificate"]["method"], codes["certificate"]["method"]) == ("exact", "quantised")
    assert "8-bit" in page.locator(".told").inner_text()
    truth = {match["id"]: match["weight"] for match in exact["matches"]}
    bound = codes["certificate"]["total_variation"]
    shown = page.locator(".certified tbody tr").all()
    assert len(shown) == 8
    for row, match in zip(shown, codes["matches"], strict=False):
        weight, error = row.locator(".weight").inner_text().split(" ± ")
        assert number(weight) == pytest.approx(match["weight"], rel=5.1e-3)
        digit, exponent = re.fullmatch(r"(\d)·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", error).groups()
        value = int(digit) * 10.0 ** int(exponent.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
        assert bound <= value * (1 + 1e-6) <= 2.1 * bound
        assert abs(match["weight"] - truth[match["id"]]) <= bound
    page.get_by_role("button", name="the numbers themselves").click()
    page.wait_for_function("() => /exactly/.test(document.querySelector('.told').textContent)")
    assert set(page.locator(".certified td:nth-child(3)").all_inner_texts()) == {"0"}
