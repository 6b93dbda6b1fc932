"""English and 中文: every word of the page, at once; and texts that the model cannot read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.reading import same_names_in_both, topics, words


@pytest.mark.parametrize("topic", topics())
def test_both_languages_have_the_same_words_and_places(topic: str) -> None:
    same_names_in_both(topic)


def test_no_two_topics_have_words_of_the_same_name() -> None:
    for language in ("en", "zh"):
        names = [name for topic in topics() for name in words(language, topic)]
        assert len(names) == len(set(names))


def test_the_lesson_plan_has_the_same_parts_in_both() -> None:
    plans = [words(language, "lesson") for language in ("en", "zh")]
    shapes = [[(len(part["show"]), len(part["questions"])) for part in plan["parts"]] for plan in plans]
    assert shapes[0] == shapes[1]


def test_the_switch_changes_every_word_at_once(visit: Any) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    english = page.locator("#stage").inner_text()
    page.click("#toggle-lang")
    opened.settle()
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    chinese = page.locator("#stage").inner_text()
    plain = [
        text
        for topic in topics()
        for text in words("en", topic).values()
        if "{" not in text and "[" not in text and len(text) > 12
    ]
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


def test_words_come_with_the_document_and_those_of_the_other_language_when_it_is_chosen(visit: Any) -> None:
    opened = visit("", locale="en")
    assert [url for url in opened.requests if "/words/" in url] == []
    opened.page.click("#toggle-lang")
    opened.settle()
    (address,) = (url for url in opened.requests if "/words/" in url)
    assert address.endswith("/words/scenes.zh.json")
    whole = {name: text for topic in topics() for name, text in words("zh", topic).items()}
    assert opened.page.request.get(address).json() == whole
