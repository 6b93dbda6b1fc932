"""Each chapter has few words, large type, a link for each state and no fault that axe finds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import violations
from tests.thorough import thorough
from workshop.tests.browser.story.conftest import Read

CHAPTERS = [
    "hard-and-soft",
    "key-is-not-value",
    "who-shares",
    "nothing-fits",
    "in-numbers",
    "inside-a-model",
    "it-learns",
    "row-to-word",
]
MOST_WORDS = 78  # with the names of the parts of a picture, and without values: titles of books are whole
LEAST_PIXELS = 16
# The texts on the screen, each with its size; numbers of a table or on a thread are no words.
SEEN = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent.trim();
    const holder = node.parentElement;
    const isRead = !['SCRIPT', 'NOSCRIPT', 'STYLE'].includes(holder.tagName);
    if (!text || !isRead || !holder.checkVisibility({visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    const frame = holder.closest('svg')?.getBoundingClientRect(); // what a drawing clips away is not seen
    if (frame && (box.right < frame.left || box.left > frame.right)) continue;
    if (frame && (box.bottom < frame.top || box.top > frame.bottom)) continue;
    const size = parseFloat(getComputedStyle(holder).fontSize);
    const isValue = holder.closest('.value-text') !== null;
    if (box.width && box.bottom > 0 && box.top < innerHeight) seen.push([text, size, isValue]);
  }
  return seen;
}"""


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("language", ["en", thorough("zh")])
def test_a_screen_has_few_words_in_large_type(read: Read, chapter: str, language: str) -> None:
    page = read(f"#{chapter}&lang={language}")
    # The zoom's first drawing is one of a level that need not be on the screen.
    page.wait_for_selector(f"#{chapter} svg", state="attached")
    seen = page.evaluate(SEEN)
    assert [(text, size) for text, size, _ in seen if size < LEAST_PIXELS] == []
    words = [
        word for text, _, is_value in seen if not is_value for word in re.findall(r"[A-Za-z]+(?:['’][a-z]+)?", text)
    ]
    assert len(words) <= MOST_WORDS, words


# The right edge of what is seen, and the places of what is done and of the picture.
ORDER = """(chapter) => {
  const boxOf = (part) => document.querySelector(`#${chapter} ${part}`).getBoundingClientRect();
  const [doing, picture] = [boxOf('.doing'), boxOf('.picture')];
  return [document.documentElement.scrollWidth, doing.top, doing.bottom, picture.top];
}"""


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("look", ["", "?embed=1", thorough("?lang=zh"), "&large=1"])
def test_on_a_phone_the_controls_come_first_and_nothing_scrolls_sideways(read: Read, chapter: str, look: str) -> None:
    page = read(f"{look if '?' in look else ''}#{chapter}{look if '&' in look else ''}", (320, 640))
    page.wait_for_selector(f"#{chapter} svg", state="attached")
    page.wait_for_timeout(300)  # a picture that became stacked grows once
    width, top, bottom, picture = page.evaluate(ORDER, chapter)
    assert width == 320
    assert 0 < top < bottom <= picture


ROWS = """(chapter) => [...document.querySelectorAll(`#${chapter} .picture g.row`)].map((row) => {
  const [box, text] = ['.key', '.key-text'].map((part) => row.querySelector(part).getBBox());
  return [row.querySelector('.key-text').textContent, box.height, text.height];
})"""


@pytest.mark.parametrize("chapter", ["hard-and-soft", "key-is-not-value", "who-shares"])
@pytest.mark.parametrize(("size", "look"), [(PHONE, ""), ((820, 1180), ""), ((1024, 768), "&large=1")])
def test_no_text_is_higher_than_its_row(read: Read, chapter: str, size: tuple[int, int], look: str) -> None:
    page = read(f"#{chapter}{look}", size)
    page.wait_for_selector(f"#{chapter} g.row")
    page.wait_for_timeout(300)  # a picture that became stacked grows once
    rows = page.evaluate(ROWS, chapter)
    assert [row for row in rows if row[2] > row[1] + 1] == []
    assert size[0] != 820 or [key for key, *_ in rows if "…" in key] == []


COVERED = """(chapter) => {
  document.getElementById(chapter).scrollIntoView({behavior: 'instant'});
  const box = (selector) => document.querySelector(selector).getBoundingClientRect();
  const [dots, summary] = [box('.rail'), box(`#${chapter} .hood summary`)];
  return summary.top < dots.bottom && summary.bottom > dots.top;
}"""


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_summary_lies_partly_under_the_dots_of_a_phone(read: Read, chapter: str, language: str) -> None:
    page = read(f"#{chapter}&lang={language}", PHONE)
    page.wait_for_selector(f"#{chapter} .hood summary", state="attached")
    assert not page.evaluate(COVERED, chapter)


@pytest.mark.parametrize("chapter", CHAPTERS)
@pytest.mark.parametrize(
    ("size", "look"),
    [
        thorough(PROJECTOR, ""),
        thorough((1024, 768), "&large=1&lang=zh"),
        (PHONE, "&theme=dark"),
        thorough((1920, 1080), ""),
    ],
)
def test_axe_finds_nothing(read: Read, axe: Any, chapter: str, size: tuple[int, int], look: str) -> None:
    page = read(f"#{chapter}{look}", size)
    assert violations(axe, page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("chapter", [*map(thorough, CHAPTERS[:-1]), CHAPTERS[-1]])
def test_a_dot_of_the_rail_leads_to_a_chapter(read: Read, chapter: str) -> None:
    page = read()
    page.locator(f".rail a[href='#{chapter}']").click()
    page.wait_for_selector(f".rail a[href='#{chapter}'][aria-current]", state="attached")
    assert page.locator(f"#{chapter} :is(h1, h2)").first.is_visible()


def test_the_page_is_as_dark_as_the_system(read: Read) -> None:
    assert read(color_scheme="dark").locator("html").get_attribute("data-theme") == "dark"
    assert read(color_scheme="light").locator("html").get_attribute("data-theme") == "light"
    assert read("#who-shares&theme=light", color_scheme="dark").locator("html").get_attribute("data-theme") == "light"


def test_a_guess_is_gone_with_its_question(read: Read) -> None:
    page = read("#nothing-fits")
    page.get_by_role("button", name="none of these").click()
    guess = page.locator("#nothing-fits .prediction").first
    assert guess.is_visible()
    page.get_by_role("button", name="books about felines").click()
    guess.wait_for(state="hidden")


def test_a_wrong_guess_is_marked_and_keeps_the_focus(read: Read) -> None:
    page = read("#nothing-fits")
    wrong = page.get_by_role("button", name="nearest row")
    wrong.focus()
    page.keyboard.press("Enter")
    assert "is-wrong" in (wrong.get_attribute("class") or "")
    assert "Look again" in page.evaluate("document.activeElement.textContent")


def test_a_long_question_stays_on_its_card(read: Read) -> None:
    page = read("#nothing-fits")
    field = page.locator("#nothing-fits textarea").first
    field.fill("which book tells how cats and other animals live in a city " * 5)
    field.press("Enter")
    page.locator("#nothing-fits .query-text", has_text="which").first.wait_for(state="attached")
    card = page.locator("#nothing-fits .asked .card").first.bounding_box()
    assert card
    for line in page.locator("#nothing-fits .screen:first-child .query-text").all():
        box = line.bounding_box()
        assert box
        assert box["y"] >= card["y"] - 1
        assert box["y"] + box["height"] <= card["y"] + card["height"] + 1


# Of each row of each picture: its weight, and the number that is written at it.
NUMBERS = """(chapter) => [...document.querySelectorAll(`#${chapter} .screen`)].map((screen) => {
  const shares = [...screen.querySelectorAll('.share')].map((one) => one.textContent);
  return [...screen.querySelectorAll('.thread')].map((one, i) => [Number(one.dataset.weight), shares[i]]);
})"""


@pytest.mark.parametrize("address", ["#hard-and-soft&t=0.1", "#key-is-not-value&t=0.1", "#nothing-fits&g=bc&mt=0.1"])
@pytest.mark.parametrize(("size", "look"), [(PHONE, ""), ((1024, 768), "&large=1"), thorough((736, 600), "")])
def test_a_number_is_shown_only_if_all_larger_ones_are(
    read: Read, address: str, size: tuple[int, int], look: str
) -> None:
    page = read(f"{address}{look}", size)
    for rows in page.evaluate(NUMBERS, address[1:].partition("&")[0]):
        shown, hidden = ([weight for weight, told in rows if bool(told) == is_told] for is_told in (True, False))
        assert shown
        assert max(hidden, default=0) <= min(shown)
