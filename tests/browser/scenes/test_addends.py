"""Words too: what the page adds to a logit, and what comes of it, is the service's."""

from __future__ import annotations

import json
import shlex
from typing import Any

import httpx

from tests.browser.conftest import PHONE
from tests.browser.reading import checked, logits, sideways, slide, weights
from tests.browser.written import fixed, percent

ASKED = {"query": "books about felines", "temperature": 0.05, "top_k": 200, "include": ["key", "explanation"]}
PULL = """(lambda) => {
  const slider = document.querySelector('#lambda');
  slider.value = String(lambda);
  slider.dispatchEvent(new Event('input', {bubbles: true}));
}"""


def answered(opened: Any, **more: Any) -> list[dict[str, Any]]:
    """Every match of the opening question, with its explanation."""
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
    said: list[Any] = []
    page.on("request", lambda one: said.append(one.post_data_json) if one.method == "POST" else None)
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
    # Ranks were asked once; after that only what the numbers are held against.
    assert [body["full_text"] for body in said if "explanation" in body["include"]] == [0.2]
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
