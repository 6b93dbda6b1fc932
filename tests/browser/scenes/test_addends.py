"""Words too: what the page adds to a logit, and what comes of it, is the service's."""

from __future__ import annotations

import json
import shlex
from typing import Any

import httpx
import pytest

from tests.browser.conftest import PHONE
from tests.browser.reading import checked, logits, module, sideways, slide, weights
from tests.browser.written import fixed, percent

ASKED = {
    "query": "books about felines",
    "temperature": 0.05,
    "top_k": 200,
    "null": False,
    "include": ["key", "explanation"],
}
PULL = """(lambda) => {
  const slider = document.querySelector('#lambda');
  slider.value = String(lambda);
  slider.dispatchEvent(new Event('input', {bubbles: true}));
}"""


LINES = """() => {
  const box = document.querySelector('.addends .scrolling').getBoundingClientRect();
  return [...document.querySelectorAll('.addends tr')].map((row) => [...row.children].map((cell) => {
    const { top, left, right } = cell.getBoundingClientRect();
    return { top, isWhole: left >= box.left - 1 && right <= box.right + 1 && cell.scrollWidth <= cell.clientWidth + 1 };
  }));
}"""
WIDE = [(1280, 800), (1280, 720), (1920, 1080)]


def answered(opened: Any, **more: Any) -> list[dict[str, Any]]:
    """Return every match of the opening question, with its explanation."""
    path = f"{opened.origin}/v1/collections/library/attend"
    return list(httpx.post(path, json=ASKED | more, timeout=60).json()["matches"])


def pull(page: Any, weight: float) -> None:
    """Move λ, and wait until the service has said the same."""
    page.evaluate(PULL, weight)
    page.wait_for_function("(text) => document.querySelector('.lambda output').textContent === text", arg=fixed(weight))
    page.wait_for_timeout(100)
    assert checked(page) < 1e-9


def test_words_are_a_line_of_the_logit_and_all_of_it_is_the_services(visit: Any) -> None:
    opened = visit("#scene=library", permissions=["clipboard-read", "clipboard-write"])
    page = opened.page
    checked(page)
    requests: list[Any] = []
    page.on("request", lambda one: requests.append(one.post_data_json) if one.method == "POST" else None)
    assert page.locator(".addends").is_visible()
    assert page.locator(".addends tbody tr").count() == 0
    alone = {match["key"]: percent(match["weight"]) for match in answered(opened)}
    shown = weights(page)
    assert {key: alone[key] for key in shown} == shown

    for weight in (0.2, 0.3):
        pull(page, weight)
        matches = answered(opened, full_text=weight)
        by_key = {match["key"]: match for match in matches}
        shown, sums = weights(page), logits(page)
        assert {key: percent(by_key[key]["weight"]) for key in shown} == shown
        assert {key: fixed(by_key[key]["logit"]) for key in sums} == sums
        lines = page.locator(".addends tbody tr").all()
        assert any(float(line.locator("[data-addend]").get_attribute("data-addend")) > 0 for line in lines)
        for line in lines:
            match = by_key[line.locator("th").inner_text()]
            (addend,) = match["explanation"]["addends"]
            added = float(line.locator("[data-addend]").get_attribute("data-addend"))
            assert abs(added - addend["addend"]) < 1e-12
            assert abs(match["similarity"] / 0.05 + added - match["logit"]) < 1e-9
            near, written, logit, share = line.locator("td").all_inner_texts()
            assert near == fixed(match["similarity"] / 0.05)
            assert written == f"+ {fixed(weight)} × {fixed(addend['rank'])} = {fixed(added)}"
            assert (logit, share) == (fixed(match["logit"]), percent(match["weight"]))
    assert "110 rows at 0.9% each" in page.locator(".limit", has=page.locator("#limit-average")).inner_text()
    # Ranks were asked once; after that only what the numbers are held against.
    assert [body["full_text"] for body in requests if "explanation" in body["include"]] == [0.2]
    assert page.locator(".limit[data-holds=true]").count() == 3
    page.click(".curl")
    page.wait_for_selector(".curl[data-command]")
    command = shlex.split(page.get_attribute(".curl", "data-command") or "")
    assert command[2].endswith("/attend")
    assert json.loads(command[command.index("-d") + 1])["full_text"] == 0.3

    # In the cold words decide nothing, and without them all is as it was.
    slide(page, 0)
    page.wait_for_selector(".addends table", state="hidden")
    page.click("#limit-average")
    page.wait_for_function("() => document.querySelector('#lambda').value === '0'")
    assert checked(page) < 1e-9
    assert len(set(weights(page).values())) == 1


def test_an_address_brings_words_and_rows_of_ones_own_have_none(visit: Any) -> None:
    opened = visit("#scene=library&lambda=0.2&lang=zh", PHONE)
    page = opened.page
    assert checked(page) < 1e-9
    page.wait_for_selector(".addends tbody tr")
    by_key = {match["key"]: percent(match["weight"]) for match in answered(opened, full_text=0.2)}
    shown = weights(page)
    assert {key: by_key[key] for key in shown} == shown
    assert sideways(page) <= 0
    page.locator(".all .key-text").first.fill("dogs")
    page.wait_for_timeout(500)
    opened.settle()
    assert checked(page) < 1e-9
    assert not page.locator(".addends").is_visible()
    opened.go("#scene=share&lambda=0.2")
    assert checked(page) < 1e-9
    assert not page.locator(".addends").is_visible()


def test_the_slider_of_words_is_dragged_where_the_page_is_scrolled_to_it(visit: Any) -> None:
    page = visit("#scene=library", WIDE[0]).page
    checked(page)
    for width, height in WIDE:
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("window.scrollTo(0, 0)")
        page.mouse.move(width / 2, height / 2)
        page.mouse.wheel(0, 450)
        page.wait_for_function("() => window.scrollY > 300")
        box = page.locator("#lambda").bounding_box()
        y = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 10, y)
        page.mouse.down()
        for share in (0.2, 0.5):
            page.mouse.move(box["x"] + share * box["width"], y)
        page.mouse.up()
        assert float(page.locator("#lambda").input_value()) == pytest.approx(0.15, abs=0.011), (width, height)
        page.evaluate(PULL, 0)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_on_a_phone_a_line_is_whole_in_two_lines(visit: Any, language: str) -> None:
    page = visit(f"#scene=library&lambda=0.2&lang={language}", PHONE).page
    page.wait_for_selector(".addends tbody tr")
    for row in page.evaluate(LINES):
        assert [cell["isWhole"] for cell in row] == [True] * 5
        key, near, words, logit, weight = (cell["top"] for cell in row)
        assert key == weight < near == words == logit


def test_an_address_brings_no_more_words_than_the_slider_has(visit: Any) -> None:
    page = visit("#scene=library&lambda=1e9").page
    assert checked(page) < 1e-9
    assert page.locator(".lambda output").inner_text() == "0.30"
    read = "({fromHash}) => ['7', '0.3', '0.123', '0.29', '-1', 'x'].map((said) => fromHash(`#lambda=${said}`).lambda)"
    assert module(page, "/js/state.js", read) == [0.3, 0.3, 0.12, 0.29, 0, 0]
