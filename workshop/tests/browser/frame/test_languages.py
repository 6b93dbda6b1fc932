"""English and Chinese: every word of the page, at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.frame.test_languages import topics
from tests.thorough import thorough


def test_the_switch_changes_every_word_at_once(visit: Any) -> None:
    opened = visit("deeper#similarities", locale="en-GB")
    page = opened.page
    english = page.locator("body").inner_text()
    page.get_by_role("button", name="中文").click()
    opened.settle()
    assert page.locator("html").get_attribute("lang") == "zh-Hans"
    chinese = page.locator("body").inner_text()
    plain = [
        text
        for texts in topics().values()
        for text in texts["en"].values()
        if isinstance(text, str) and "{" not in text and "[" not in text and len(text) > 12
    ]
    assert sum(text in english for text in plain) > 5
    assert [text for text in plain if text in chinese] == []


@pytest.mark.parametrize(
    ("locale", "address", "language"),
    [
        ("zh-TW", "deeper", "zh-Hans"),
        thorough("zh-CN", "deeper#four&lang=en", "en"),
        thorough("fr-FR", "deeper", "en"),
        thorough("en-GB", "deeper#pictures&lang=zh", "zh-Hans"),
        ("zh-CN", "lesson.html?lang=en", "en"),
        thorough("zh-CN", "lesson.html", "zh-Hans"),
    ],
)
def test_the_page_opens_in_the_browsers_language(visit: Any, locale: str, address: str, language: str) -> None:
    assert visit(address, locale=locale).page.locator("html").get_attribute("lang") == language
