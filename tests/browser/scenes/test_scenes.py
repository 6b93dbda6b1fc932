"""Every scene by its permalink: on a projector, on a phone, in both languages."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import checked, module, share, sideways
from tests.thorough import thorough

SMALL = [
    "library",
    "videos",
    "nothing",
    "share",
    "values",
    "filter",
    "guess",
    "rows",
    "sure",
    "steps",
    "scores",
    "encoder",
    "hopfield",
    "regression",
    "lowrank",
    "space",
    "million",
    "photo",
    "pairs",
    "learning",
    "vision",
]


@pytest.mark.parametrize("language", ["en", thorough("zh")])
@pytest.mark.parametrize("scene", SMALL)
def test_a_scene_opens_on_a_projector_and_on_a_phone(visit: Any, scene: str, language: str) -> None:
    for size in (PROJECTOR, PHONE):
        page = visit(f"#scene={scene}&lang={language}", size).page
        assert page.locator("h1").count() == 1
        assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-Hans"}[language]
        assert page.locator(".notice:visible").count() == 0
        assert sideways(page) <= 0


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_opening_scene_fits_one_screen(visit: Any, language: str) -> None:
    page = visit(f"#lang={language}").page
    assert page.locator("#scene").input_value() == "library"
    for part in (
        "h1",
        "#question",
        "#temperature",
        "#verdict",
        "#limit-average",
        "#answer-sql",
        "#answer-attention",
        "#output-node",
        ".row.rest",
        "#picture-verdict",
        "#checking",
    ):
        box = page.locator(part).bounding_box()
        assert box is not None
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= PROJECTOR[1], part


def test_the_opening_scene_tells_its_story(visit: Any) -> None:
    page = visit("").page
    assert page.locator("#answer-sql .headline").inner_text() == "0 rows"
    assert "SELECT" in page.locator("#answer-sql .statement").inner_text()
    assert "Fahrenheit 451" in page.locator("#answer-text .found").inner_text()
    assert "cats" in page.locator("#answer-attention .found li").first.inner_text()
    assert page.locator(".limit[data-holds=true]").count() == 3


def test_with_an_equal_key_sql_finds_it_too_and_the_limit_still_holds(visit: Any) -> None:
    opened = visit("#scene=library&query=cats")
    assert opened.page.locator("#answer-sql .headline").inner_text() == "1 row"
    assert opened.page.locator(".limit[data-holds=true]").count() == 3
    opened.page.click("#limit-exact")
    opened.settle()
    assert "100%" in opened.page.locator("#answer-attention .found li").first.inner_text()


def test_what_is_drawn_sums_to_one(visit: Any) -> None:
    for scene in ("library", "nothing", "filter", "rows"):
        page = visit(f"#scene={scene}").page
        assert page.locator(".drawn .total").inner_text() == "Σ = 1.000"


def test_a_filter_is_minus_infinity(visit: Any) -> None:
    page = visit("#scene=filter").page
    masked = page.locator(".rows .row.masked")
    assert masked.count() > 0
    assert masked.first.locator(".logit").inner_text() == "−∞"
    assert masked.first.locator(".share").inner_text() == "0%"
    assert masked.first.locator(".key-text").input_value() == "cats"
    assert set(page.locator(".rows .share").all_inner_texts()).isdisjoint({"−∞"})


def test_the_memory_repairs_the_picture(visit: Any) -> None:
    page = visit("#scene=hopfield").page
    page.wait_for_selector("#path .stored")
    assert "A (9" in page.locator("#hopfield-words").inner_text()
    levels = [float(text) for text in page.locator(".energies .level").all_text_contents()]
    assert levels == sorted(levels, reverse=True)
    before = page.url
    page.locator(".recalling button.cell-of").first.click()
    page.wait_for_url(lambda url: url != before)


def test_regression_is_the_services_curve(visit: Any) -> None:
    page = visit("#scene=regression").page
    assert checked(page) < 1e-9
    page.focus("#at")
    page.keyboard.press("End")
    assert "10.00" in page.locator("#regression-words").inner_text()


def test_the_low_rank_map_is_counted_and_computed(visit: Any) -> None:
    page = visit("#scene=lowrank").page
    assert page.locator("#full").inner_text().endswith("150,994,944")
    assert page.locator("#low").inner_text().endswith("3,145,728")
    assert "48" in page.locator("#ratio").inner_text()
    page.wait_for_selector("#checking[data-state=agreed]")
    page.select_option("#rank", "1024")
    assert "6.0" in page.locator("#ratio").inner_text()


def test_steps_go_forward_and_back_with_the_services_numbers(visit: Any) -> None:
    opened = visit("#scene=steps")
    page = opened.page
    for _ in range(12):
        page.click("#next")
    assert page.locator("#next").is_disabled()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert page.locator(".steps [aria-current=step]").inner_text().startswith("8")
    assert "step=7" in page.evaluate("new Promise((done) => setTimeout(() => done(location.hash), 300))")
    shown = [float(cell) for cell in page.locator(".matrix.weight td:not(.corner)").all_inner_texts()]
    body = module(page, "/js/example.js", "(example) => ({...example})")
    answer = httpx.post(
        f"{opened.origin}/v1/attend",
        json={
            **dict.fromkeys(("query", "key", "value"), body["EMBEDDINGS"]),
            "projections": {name: body[name] for name in ("W_Q", "W_K", "W_V", "W_O")},
        },
        timeout=60,
    ).json()
    expected = [weight for row in answer["weights"][0] for weight in row]
    assert shown == pytest.approx(expected, abs=0.005)
    page.check("#causal")
    opened.settle()
    assert page.locator(".matrix.weight td:not(.corner)").all_inner_texts()[1:3] == ["0.00", "0.00"]


def test_inside_the_encoder_a_words_row_sums_to_one(visit: Any) -> None:
    opened = visit("#scene=encoder")
    page = opened.page
    page.wait_for_selector(".shares li")
    assert sum(share(text) for text in page.locator(".shares .number").all_inner_texts()) == pytest.approx(1, abs=0.01)
    page.check("#causal")
    opened.settle()
    page.wait_for_timeout(300)
    page.locator(".queries button").first.click()
    assert page.locator(".shares .number").first.inner_text() == "100%"
