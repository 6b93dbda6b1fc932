"""English and 中文: every word of the page, at once; and texts that the model cannot read."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.reading import module


def test_both_languages_have_the_same_words_and_places(visit: Any) -> None:
    page = visit("lesson.html").page
    topics = set(module(page, "/js/scenes.js", "({SCENES}) => SCENES.flatMap(({words}) => words ?? [])"))
    words = {
        language: {
            name: text
            for part in ("", *(f"/{topic}" for topic in sorted(topics)))
            for name, text in module(page, f"/js/words/{language}{part}.js", "(words) => words.default").items()
        }
        for language in ("en", "zh")
    }
    assert len(topics) > 2
    assert words["en"].keys() == words["zh"].keys()
    for name, english in words["en"].items():
        placeholders = [set(re.findall(r"\{(\w+)\}", text)) for text in (english, words["zh"][name])]
        assert placeholders[0] == placeholders[1], name
        terms = [sorted(re.findall(r"\[(\w+)\|", text)) for text in (english, words["zh"][name])]
        assert set(terms[0]) == set(terms[1]), name


def test_the_lesson_plan_has_the_same_parts_in_both(visit: Any) -> None:
    page = visit("lesson.html").page
    plans = [module(page, f"/js/words/{language}/lesson.js", "(plan) => plan.default") for language in ("en", "zh")]
    for plan in plans:
        assert [part["minutes"] for part in plan["parts"]] == [part["minutes"] for part in plans[0]["parts"]]
        assert [part["scenes"] for part in plan["parts"]] == [part["scenes"] for part in plans[0]["parts"]]
        assert [len(part["questions"]) for part in plan["parts"]] == [
            len(part["questions"]) for part in plans[0]["parts"]
        ]


def test_the_switch_changes_every_word_at_once(visit: Any) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    english = page.locator("#stage").inner_text()
    page.click("#toggle-lang")
    opened.settle()
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    chinese = page.locator("#stage").inner_text()
    words = module(page, "/js/words/en.js", "(words) => words.default")
    plain = [text for text in words.values() if "{" not in text and "[" not in text and len(text) > 12]
    assert sum(text in english for text in plain) > 5
    assert [text for text in plain if text in chinese] == []
    page.click("#toggle-lang")
    opened.settle()
    assert page.locator("html").get_attribute("lang") == "en"


def test_a_question_the_model_cannot_read_gets_no_meaningless_match(visit: Any) -> None:
    page = visit("#scene=library&query=猫和狗&lang=zh").page
    assert "模型不认识" in page.locator(".unread").inner_text()
    assert page.locator("#answer-attention .found li").count() == 0
    assert set(page.locator(".rows .share").all_inner_texts()) == {"?"}
    assert not page.locator("#answer-top .found").is_visible()


def test_a_row_the_model_cannot_read_takes_no_weight(visit: Any) -> None:
    page = visit('#scene=rows&query=an animal&rows=[{"key":"猫","value":"cat"},{"key":"dog","value":"dog"}]').page
    first = page.locator(".rows .row").first
    assert first.locator(".share").inner_text() == "0%"
    assert first.locator(".logit").inner_text() == "−∞"
    assert first.locator(".similarity").inner_text() == "not readable"


@pytest.mark.parametrize(
    ("locale", "address", "language"),
    [
        ("zh-CN", "", "zh-Hans"),
        ("zh-TW", "#scene=rows", "zh-Hans"),
        ("zh-CN", "#lang=en", "en"),
        ("fr-FR", "", "en"),
        ("en-GB", "#lang=zh", "zh-Hans"),
        ("zh-CN", "lesson.html", "zh-Hans"),
        ("zh-CN", "lesson.html?lang=en", "en"),
    ],
)
def test_the_page_opens_in_the_browsers_language(visit: Any, locale: str, address: str, language: str) -> None:
    page = visit(address, locale=locale).page
    assert page.locator("html").get_attribute("lang") == language
    assert ("注意力" in page.locator("#bar").inner_text()) == (language != "en")


def test_the_words_that_come_with_the_document_are_the_modules(visit: Any) -> None:
    for language in ("en", "zh"):
        page = visit("lesson.html", locale=language).page
        brought = page.evaluate("JSON.parse(document.querySelector('#words').textContent)")
        assert brought == module(page, f"/js/words/{language}.js", "(words) => words.default")
