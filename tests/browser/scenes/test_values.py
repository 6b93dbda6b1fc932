"""The kinds of rows' values, and the effect of an edit, a mask and a screen on visible ones."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.browser.blending import colour, compared, light, memory, own, roomy, shown, switched
from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import checked, module, sideways, weights

SMALL_PROJECTOR = (1024, 768)
KIND = "({valuesOf}, rows) => valuesOf({tail: null, rows}).kind"
HOSTILE = {
    "markup": ["<img src=x onerror='window.hurt=1'>", "#f7d51d"],
    "not hexadecimal": ["#12345g", "#f7d51d"],
    "too few digits": ["#fff", "#f7d51d"],
    "beyond the pole": ["91, 200", "48.86, 2.35"],
    "beyond the date line": ["48.86, 180.01", "48.86, 2.35"],
    "an exponent": ["1e999", "2"],
    "not a number": ["NaN", "2"],
    "infinite": ["Infinity", "2"],
    "other units": ["€ 3.20", "$ 2.80"],
    "one without its unit": ["12 min", "15"],
    "a comma for a point": ["3,20 €", "2,80 €"],
    "too long": ["9" * 400, "2"],
    "a number in a sentence": ["Water at 80 °C, two minutes.", "60 g to the litre, four minutes."],
    "nothing written": ["", "2"],
    "kinds mixed": ["#f7d51d", "€ 3.20"],
    "script in the unit": ["3 <b>", "4 <b>"],
}
WRITTEN = {
    "colour": ["#f7d51d", "#0B4F7A"],
    "number": [
        ["€ 3.20", "€ 12"],
        ["12 min", "90 min"],
        ["1,250", "7"],
        ["−4 °C", "+3 °C"],
        ["US$ 5", "US$ 7.5"],
        ["3 元", "4.5 元"],
    ],
    "place": [["48.86, 2.35", "-33.87, 151.21"], ["90, -180", "−90，180"]],
}


def test_what_does_not_fit_makes_texts_of_all(visit: Any) -> None:
    page = visit("lesson.html").page
    for name, values in HOSTILE.items():
        rows = [{"value": value, "masked": False} for value in values]
        assert module(page, "/js/values.js", KIND, rows) == "text", name


@pytest.mark.parametrize("name", ["markup", "script in the unit", "an exponent"])
def test_a_hostile_value_is_shown_as_text(visit: Any, name: str) -> None:
    values = HOSTILE[name]
    opened = visit(own(values))
    page = opened.page
    page.wait_for_selector("#output-node[data-kind=text]")
    assert page.get_attribute("#output-node", "data-vector") == ""
    assert [field.input_value() for field in page.locator(".rows .value-text").all()] == values
    assert page.evaluate("window.hurt") is None
    assert page.locator(".picture img, .picture b, .arithmetic img, .arithmetic b").count() == 0
    assert checked(page) < 1e-9


def test_what_fits_is_a_colour_a_number_or_a_place(visit: Any) -> None:
    page = visit("lesson.html").page
    for kind, groups in WRITTEN.items():
        for values in groups if isinstance(groups[0], list) else [groups]:
            rows = [{"value": value, "masked": False} for value in values]
            assert module(page, "/js/values.js", KIND, rows) == kind, values
            assert module(page, "/js/values.js", KIND, [*rows, {"value": "a text", "masked": True}]) == kind, values
            assert module(page, "/js/values.js", KIND, [*rows, {"value": "a text", "masked": False}]) == "text", values
    assert module(page, "/js/values.js", KIND, [{"value": "#f7d51d", "masked": True}]) == "text"


def test_editing_a_colour_moves_the_output_alone_and_before_the_service_answers(visit: Any) -> None:
    opened = visit("#scene=values")
    page = opened.page
    checked(page)
    before, swatch, blended = weights(page), page.get_attribute("#output-node .swatch", "data-colour"), shown(page)
    page.route("**/v1/**", lambda route: None)
    field = page.locator(".rows .value-cell input.swatch").nth(2)
    assert field.input_value() == "#0b4f7a"
    field.fill("#ff0000")
    assert page.locator(".rows .value-text").nth(2).input_value() == "#ff0000"
    assert page.get_attribute("#output-node .swatch", "data-colour") != swatch
    share_of = compared(opened.origin, {**memory(page)}, 0.05)["matches"]
    weight = next(m["weight"] for m in share_of if m["value"] == "#ff0000")
    moved = [b + weight * (new - old) for b, new, old in zip(blended, light("#ff0000"), light("#0b4f7a"), strict=True)]
    assert shown(page) == pytest.approx(moved, abs=1e-9)
    assert weights(page) == before
    page.unroute("**/v1/**")
    page.locator(".rows .value-text").nth(0).fill("yellow")
    page.wait_for_selector("#output-node[data-kind=text]")
    assert "“yellow” does not fit" in page.locator("#output-how").inner_text()
    assert page.locator(".rows .value-cell input.swatch").nth(0).is_hidden()
    opened.settle()
    assert checked(page) < 1e-9


def test_a_masked_row_counts_for_nothing(visit: Any) -> None:
    opened = visit(own(["#ff0000", "#0000ff", "no colour"], t="inf", none="false", masked='["row-2"]'))
    page = opened.page
    assert checked(page) < 1e-9
    assert page.get_attribute("#output-node .swatch", "data-colour") == colour([0.5, 0, 0.5])


def test_of_texts_the_nearest_stored_value_is_named(visit: Any) -> None:
    opened = visit("#scene=library")
    page = opened.page
    checked(page)
    page.wait_for_selector("#output-nearest:not(:empty)")
    body = {"query": "books about felines", "top_k": 12, "include": ["output", "value_vector", "value"]}
    answer = httpx.post(f"{opened.origin}/v1/collections/library/attend", json=body, timeout=60).json()

    def cosine(one: list[float], other: list[float]) -> float:
        dot = sum(a * b for a, b in zip(one, other, strict=True))
        return float(dot / (sum(a * a for a in one) * sum(b * b for b in other)) ** 0.5)

    near = {m["value"]: cosine(m["value_vector"], answer["output"]) for m in answer["matches"]}
    best = max(near, key=lambda value: near[value])
    assert page.locator("#output-nearest").inner_text().replace("\n", " ") == best
    assert f"{near[best]:.2f}" in page.locator("#output-words").inner_text()
    assert page.locator("#output-node .barcode").is_visible()


def test_when_no_row_answers_no_value_is_nearest(visit: Any) -> None:
    page = visit("#scene=library&t=0&none=0.9999").page
    assert checked(page) < 1e-9
    page.wait_for_function("() => document.querySelector('#output-words').textContent === 'nothing answered'")
    assert page.locator("#output-nearest").inner_text() == ""


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("size", [SMALL_PROJECTOR, PROJECTOR, PHONE])
def test_the_output_can_be_read(visit: Any, size: tuple[int, int], language: str) -> None:
    large = "1" if size == SMALL_PROJECTOR else "0"
    opened = visit(f"#scene=values&lang={language}&projector={large}", size)
    for kind in ("colour", "number", "place"):
        page = switched(opened, kind)
        assert sideways(page) <= 0
        node = page.locator("#output-node").bounding_box()
        for part in page.locator("#output-node > :not([hidden])").all():
            box = part.bounding_box()
            if box is None:
                continue
            assert box["x"] >= node["x"] - 0.5
            assert box["x"] + box["width"] <= node["x"] + node["width"] + 0.5
            assert part.evaluate("(one) => one.scrollWidth - one.clientWidth") <= 0
        letters = page.locator("#output-node .blended").evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")
        assert letters >= (15 if size == SMALL_PROJECTOR else 12)
        if kind == "place" and (size == PHONE or roomy(page)):
            assert page.locator(".map").bounding_box()["width"] >= 200
        assert size != PROJECTOR or roomy(page)
        if kind == "colour":
            assert page.locator("#output-node .swatch").bounding_box()["width"] >= 60
