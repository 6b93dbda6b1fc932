"""The story on paper: every chapter, no blank page, nothing beyond the right edge."""

from __future__ import annotations

import re
import zlib

import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from workshop.tests.browser.story.conftest import Read
from workshop.tests.browser.story.test_screens import CHAPTERS

SHEET = 718
"""The width of A4 without margins of a centimetre, in pixels of CSS."""
DRAWN = "(n) => [...document.querySelectorAll('.chapter')].filter((one) => one.querySelector('svg')).length === n"
# The elements that a reader sees beyond the right edge; a drawing's frame cuts off its own.
BEYOND = """() => [...document.querySelectorAll('main *')].filter((one) => {
  const frame = one.closest('svg');
  return one.checkVisibility() && (frame ?? one).getBoundingClientRect().right > innerWidth + 1;
}).map((one) => one.outerHTML.slice(0, 120))"""
PRESSED = ".bar, .rail, .choice, .hood, .doing button:not(.gloss), textarea, input"


def painted(pdf: bytes) -> list[int]:
    """Return by page the number of strokes, fills and texts that it paints, in the order of the file."""
    streams = {
        int(number): zlib.decompress(content)
        for number, content in re.findall(
            rb"(\d+) 0 obj\s*<<[^>]*FlateDecode[^>]*>>\s*stream\r?\n(.*?)endstream", pdf, re.DOTALL
        )
        if content[:1] == b"x"
    }
    pages = re.findall(rb"/Type\s*/Page\b(?:(?!endobj).)*?/Contents (\d+) 0 R", pdf, re.DOTALL)
    assert pages
    return [len(re.findall(rb"\b(?:Tj|TJ|f\*?|S|B)\s", streams[int(page)])) for page in pages]


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_every_chapter_is_printed(read: Read, size: tuple[int, int]) -> None:
    page = read(size=size)
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function(DRAWN, arg=len(CHAPTERS))
    pdf = page.pdf(format="A4", margin=dict.fromkeys(("top", "right", "bottom", "left"), "1cm"))
    marks = painted(pdf)
    assert min(marks) > 20, marks
    assert 3 <= len(marks) <= 14
    page.set_viewport_size({"width": SHEET, "height": 1000})
    page.emulate_media(media="print")
    page.wait_for_function("() => matchMedia('print').matches")
    assert page.evaluate(BEYOND) == []
    assert [one for one in page.locator(PRESSED).all() if one.is_visible()] == []


def test_the_opening_is_printed_as_it_ends_and_captions_stay_at_their_pictures(read: Read) -> None:
    page = read(moving=True)
    page.wait_for_selector("#hard-and-soft .playing")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#hard-and-soft .threads .share").all_text_contents().count("47%") == 1
    page.wait_for_selector("#row-to-word .zoom svg .row", state="attached")
    page.emulate_media(media="print")
    for screen in page.locator(".screen").all():
        picture, doing = (screen.locator(part).bounding_box() for part in (".picture", ".doing"))
        assert picture
        assert picture["height"] > 60
        assert not doing or abs(doing["y"] - picture["y"] - picture["height"]) < 40
