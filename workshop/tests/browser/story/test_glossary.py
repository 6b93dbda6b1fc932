"""Words with dots: each opens its one line of the glossary, in both languages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import violations
from tools.page import WORKSHOP
from workshop.tests.browser.story.conftest import Read

if TYPE_CHECKING:
    from playwright.sync_api import Page

GLOSSARY = json.loads((WORKSHOP / "story" / "glossary.json").read_text(encoding="utf-8"))
# Where the words stand, in the order of the glossary.
PLACES = [
    "#hard-and-soft",
    "#nothing-fits",
    "#in-numbers&step=4",
    "#hard-and-soft",
    "#hard-and-soft&t=0",
    "#nothing-fits",
    "#it-learns",
]


def open_hoods(page: Page) -> None:
    page.evaluate("() => document.querySelectorAll('details.hood').forEach((one) => (one.open = true))")


@pytest.mark.parametrize(("language", "size", "theme"), [("en", PROJECTOR, "light"), ("zh", PHONE, "dark")])
def test_a_word_opens_its_line(read: Read, axe: Any, language: str, size: tuple[int, int], theme: str) -> None:
    assert len(GLOSSARY[language]) == len(PLACES)
    page = read(f"#hard-and-soft&lang={language}&theme={theme}", size)
    line = page.locator(".gloss-line")
    for place, (word, text) in zip(PLACES, GLOSSARY[language].items(), strict=True):
        page.evaluate("(state) => { location.hash = state; }", f"{place}&lang={language}&theme={theme}")
        chapter = place.split("&")[0]
        button = page.locator(f"{chapter} .gloss[data-word='{word}']").first
        button.wait_for(state="attached")
        open_hoods(page)
        button.focus()
        page.keyboard.press("Enter")
        expect(line).to_have_text(text)
        expect(line).to_be_in_viewport(ratio=1)
        assert violations(axe, page) == [], word
        page.keyboard.press("Escape")
        expect(line).to_be_hidden()
        expect(button).to_be_focused()
        button.click()
        expect(line).to_be_visible()
        button.click()
        expect(line).to_be_hidden()


def test_a_sentence_that_changes_keeps_its_dots(read: Read) -> None:
    page = read("#hard-and-soft&t=0")
    hot = page.locator("#hard-and-soft .told .gloss[data-word='one-hot']")
    expect(hot).to_have_count(1)
    page.locator("#hard-and-soft .knob").focus()
    page.keyboard.press("PageUp")
    expect(hot).to_have_count(0)
    page.keyboard.press("Home")
    expect(hot).to_have_count(1)
    assert page.locator("#hard-and-soft p.told").inner_text().endswith("one-hot). A database would need an equal key.")
