"""The lesson plan and the worksheet, in both languages, on the screen and on paper."""

from __future__ import annotations

import json
import math
import re
from itertools import pairwise
from typing import Any

import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import sideways, words
from tests.thorough import thorough
from tools.page import WORKSHOP

TIMETABLE = json.loads((WORKSHOP / "lesson" / "plan.json").read_text())


def plans() -> list[dict[str, Any]]:
    texts = words("lesson/words.json")
    return [texts[language] for language in ("en", "zh")]


@pytest.mark.parametrize("language", ["en", thorough("zh")])
@pytest.mark.parametrize("file", ["lesson.html", "worksheet.html"])
def test_lesson_and_worksheet_fit_a_projector_and_a_phone(visit: Any, file: str, language: str) -> None:
    for size in (PROJECTOR, PHONE):
        page = visit(f"{file}?lang={language}", size).page
        assert page.locator("h1").count() == 1
        assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-Hans"}[language]
        assert sideways(page) <= 0


def test_answers_are_folded_away_and_open_on_paper(visit: Any) -> None:
    page = visit("lesson.html").page
    answers = page.locator("details.answer-of")
    assert answers.count() > 20
    assert page.locator("details.answer-of[open]").count() == 0
    assert not page.get_by_text("WHERE’s “=”").first.is_visible()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.answer-of[open]").count() == answers.count()
    assert page.get_by_text("WHERE’s “=”").first.is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.answer-of[open]").count() == 0


def test_the_key_is_right(visit: Any) -> None:
    english, chinese = plans()
    for plan, comparison, learned in (
        (english, "QKᵀ is the comparison", "W_Q, W_K, W_V and W_O"),
        (chinese, "QKᵀ 是比较", "W_Q、W_K、W_V 和 W_O"),
    ):
        text = str(plan)
        assert comparison in text
        assert learned in text
        assert "SOFTKV_HOST=0.0.0.0 SOFTKV_ALLOW_ANONYMOUS=read make run" in plan["before"]["commands"]


def test_the_minutes_follow_one_another(visit: Any) -> None:
    begins = [part["from"] for part in TIMETABLE["parts"]] + [TIMETABLE["minutes"]]
    assert begins[0] == 0
    assert begins == sorted(set(begins))
    spans = list(pairwise(begins))
    for plan in plans():
        assert len(plan["parts"]) == len(spans)
        # The plan of 45 minutes omits two parts, and has the numbers in 4 minutes.
        left_out = sum(end - begin for begin, end in spans if f"{begin}–{end}" in plan["minutes"]["points"][1])
        numbers = next(
            end - begin
            for (begin, end), part in zip(spans, TIMETABLE["parts"], strict=True)
            if part["steps"][0].get("chapter") == "in-numbers"
        )
        assert 60 - left_out - (numbers - 4) <= 45


def test_both_languages_have_the_same_plan_and_the_same_sheet(visit: Any) -> None:
    check = words("lesson/check.json")
    english, chinese = (plan | check[language] for plan, language in zip(plans(), ("en", "zh"), strict=True))
    for shape in (
        lambda plan: [question["right"] for question in plan["questions"]],
        lambda plan: [len(question["choices"]) for question in plan["questions"]],
        lambda plan: [(len(part["show"]), len(part["questions"])) for part in plan["parts"]],
        lambda plan: [len(section.get("lines", [])) for section in plan["worksheet"]["sections"]],
        lambda plan: str(plan["worksheet"]).count("______"),
        lambda plan: plan.keys(),
    ):
        assert shape(english) == shape(chinese)


def test_links_open_beside_the_plan_and_on_the_question(visit: Any) -> None:
    opened = visit("lesson.html?lang=zh")
    links = opened.page.locator(".links a").all()
    assert len(links) > 5
    assert {link.get_attribute("target") for link in links} == {"softkv-story"}
    with opened.page.expect_popup() as popup:
        links[0].click()
    popup.value.wait_for_selector(".threads")
    assert popup.value.locator("html").get_attribute("lang") == "zh-Hans"
    popup.value.close()


def test_the_homework_can_be_done_without_a_service(visit: Any) -> None:
    opened = visit("worksheet.html")
    sheet = opened.page.locator("#lesson").inner_text()
    assert not re.search("curl|127.0.0.1|http", sheet)
    assert opened.page.locator(".blank").count() > 30
    english, chinese = plans()
    for plan in (english, chinese):
        _, answers = plan["after"]["homework"]
        numbers = [float(number) for number in re.findall(r"\d+\.\d+", answers)]
        for value in (*blended((1, 0, 1), 2**0.5, (10, 20, 40)), *blended((2, 1, 0), 1, (10, 20, 30))):
            assert any(math.isclose(number, value, abs_tol=0.051) for number in numbers), value


def blended(products: tuple[float, ...], width: float, values: tuple[float, ...]) -> tuple[float, ...]:
    """Return the weights and, at the end, the output."""
    terms = [math.exp(product / width) for product in products]
    weights = [term / sum(terms) for term in terms]
    return (*weights, sum(weight * value for weight, value in zip(weights, values, strict=True)))
