"""The texts of the pictures of the first four chapters: large enough, whole, inside the picture and apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, PROJECTOR
from tests.thorough import thorough
from workshop.tests.browser.story.conftest import Read

if TYPE_CHECKING:
    from playwright.sync_api import Page

SMALL = (1024, 768)
STATES = [
    *(f"#hard-and-soft&t={t}" for t in ("0", "0.001", "0.05", "0.3", "inf")),
    "#hard-and-soft&t=0.02&q=the colour of fire",
    *(f"#key-is-not-value&t={t}" for t in ("0", "0.05", "inf")),
    "#who-shares",
    *(f"#who-shares&seen=1&n={n}&t={t}&u={t}" for n, t in ((9, "0.05"), (9, "0"), (60, "inf"), (110, "0.123"))),
    "#nothing-fits",
    *(f"#nothing-fits&g=b&level={level}&t={t}&mt={t}" for level, t in ((-0.1, "0.05"), (0.39, "0"), (1, "inf"))),
    '#nothing-fits&g=bc&masked=[["cats","chess"]]&q=books about felines',
]
FONTS = "() => document.fonts.status === 'loaded' && [...document.fonts].some(({status}) => status === 'loaded')"
# Each text of a picture, with its size on the screen and its letters' box, from the picture's upper left corner.
TEXTS = """(chapter) => [...document.querySelectorAll(`${chapter} .screen .asked-picture > .threads`)].map((svg) => {
  const frame = svg.getBoundingClientRect();
  const scale = frame.width / svg.viewBox.baseVal.width;
  const seen = [...svg.querySelectorAll('text')].filter((one) => one.textContent.trim() && one.checkVisibility({
    visibilityProperty: true, opacityProperty: true}) && !one.closest('[opacity="0"]'));
  return {width: frame.width, height: frame.height, texts: seen.map((one) => {
    const {left, right, top, height} = one.getBoundingClientRect();
    const size = parseFloat(getComputedStyle(one).fontSize) * scale;
    const middle = top + height / 2 - frame.top;
    return {text: one.textContent, kind: one.getAttribute('class'), size,
      left: left - frame.left, right: right - frame.left, top: middle - size * 0.36, bottom: middle + size * 0.36};
  })};
})"""


def go(page: Page, state: str) -> list[dict[str, Any]]:
    """Show a state of the open story, and return its pictures."""
    page.evaluate("(state) => { location.hash = state; }", state)
    chapter = state.split("&")[0]
    page.wait_for_selector(f"{chapter} .threads .row", state="attached")
    page.wait_for_function("(chapter) => document.querySelector(`${chapter} .threads .query-text`)", arg=chapter)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    pictures: list[dict[str, Any]] = page.evaluate(TEXTS, chapter)
    return pictures


def texts_of(pictures: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the texts of a kind in all pictures of a chapter."""
    return [one for picture in pictures for one in picture["texts"] if one["kind"] == kind]


def faults(picture: dict[str, Any], least: float) -> list[str]:
    """Return the texts of a picture that are too small, beyond its edge or over another text."""
    texts = picture["texts"]
    # A key or a value is rather smaller than cut, but in the largest type some titles are both.
    texts_of_rows = ("key-text", "value-text")
    small = [
        f"small: {one['text']} {one['size']:.1f}"
        for one in texts
        if one["size"] < (min(least, 14) if one["kind"] in texts_of_rows else least) - 0.01
    ]
    beyond = [
        f"beyond: {one['text']} {one}"
        for one in texts
        if one["left"] < -1
        or one["right"] > picture["width"] + 1
        or one["top"] < -4
        or one["bottom"] > picture["height"] + 1
    ]
    over = [
        f"over: {a['text']} ({a['kind']}) and {b['text']} ({b['kind']})"
        for i, a in enumerate(texts)
        for b in texts[i + 1 :]
        if min(a["right"], b["right"]) - max(a["left"], b["left"]) > 1
        and min(a["bottom"], b["bottom"]) - max(a["top"], b["top"]) > 1
    ]
    return small + beyond + over


@pytest.mark.parametrize(
    ("size", "look", "least"),
    [
        (PROJECTOR, "lang=en", 14),
        (SMALL, "lang=en&large=1", 22),
        thorough(PROJECTOR, "lang=zh", 14),
        thorough(SMALL, "lang=zh&large=1", 22),
        thorough((1920, 1080), "lang=en&large=1", 22),
        (PHONE, "lang=en", 14),
    ],
)
def test_texts_of_pictures_are_large_and_apart(read: Read, size: tuple[int, int], look: str, least: int) -> None:
    page = read(f"#hard-and-soft&{look}", size)
    page.wait_for_function(FONTS)
    shown = {state: go(page, f"{state}&{look}") for state in STATES}
    found = {state: [fault for one in pictures for fault in faults(one, least)] for state, pictures in shown.items()}
    assert {state: wrong for state, wrong in found.items() if wrong} == {}
    if size != PHONE:
        keys = {
            one["text"] for state, drawn in shown.items() if "t=inf" not in state for one in texts_of(drawn, "key-text")
        }
        assert [key for key in keys if "…" in key] == []


@pytest.mark.parametrize("width", [736, 721])
def test_keys_are_whole_and_apart_in_a_small_window(read: Read, width: int) -> None:
    """The second width is that beside a scrollbar, of which this browser has none."""
    page = read("#hard-and-soft", (width, 600))
    page.wait_for_function(FONTS)
    for state in ("#hard-and-soft&t=0.05", "#key-is-not-value&t=0.05", "#nothing-fits&g=b&level=1"):
        pictures = go(page, state)
        texts = [one["text"] for picture in pictures for one in picture["texts"] if one["kind"] != "value-text"]
        assert any("%" in text for text in texts)
        assert [text for text in texts if "…" in text] == [], state
        assert [fault for picture in pictures for fault in faults(picture, 14)] == [], state


@pytest.mark.parametrize("chapter", ["#key-is-not-value", "#nothing-fits", "#hard-and-soft"])
def test_a_guess_stands_above_the_dots_of_a_phone(read: Read, chapter: str) -> None:
    page = read(chapter, PHONE)
    page.keyboard.press("Shift")  # until then, the page goes back to its address while it grows
    for screen in page.locator(f"{chapter} .screen").all():
        if not screen.locator(".prediction").count():
            continue
        screen.evaluate("(one) => one.scrollIntoView({behavior: 'instant', block: 'start'})")
        rail = page.locator(".rail").bounding_box()
        assert rail
        for button in screen.locator(".prediction button").all():
            box = button.bounding_box()
            assert box
            assert box["y"] + box["height"] <= rail["y"]


def test_a_long_question_grows_its_box_and_an_empty_box_names_it(read: Read) -> None:
    page = read()
    field = page.locator("#hard-and-soft textarea")
    card = page.locator("#hard-and-soft .asked .card").first
    expect(card).to_be_visible()
    before = card.bounding_box()
    field.fill("")
    expect(field).to_have_attribute("placeholder", "Still shown: the colour of a calm sea")
    field.fill("which of all the colours that I have ever seen is nearest to that of a calm sea " * 3)
    field.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#hard-and-soft .asked-picture .query-text').length > 5")
    grown = card.bounding_box()
    assert before
    assert grown
    assert grown["height"] > 2 * before["height"]
    assert field.evaluate("(one) => one.scrollHeight <= one.clientHeight + 2"), "no line is cut"


def test_an_empty_output_has_a_dash(read: Read) -> None:
    masked = '[["cats","gorillas","chimpanzees","gardening","chess","mushrooms","pirates","sourdough"]]'
    page = read(f"#nothing-fits&masked={masked}")
    empty = page.locator("#nothing-fits .screen:nth-child(2) .output .empty")
    expect(empty).to_have_text("–")
    page = read("#nothing-fits&g=b&q=books about felines")
    expect(page.locator("#nothing-fits .screen:first-child .output .empty")).to_have_text("")


def test_one_other_row_is_as_high_as_a_row(read: Read) -> None:
    page = read("#who-shares&seen=1")
    heights = page.locator("#who-shares .screen:first-child .row rect.key").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect().height)"
    )
    assert heights == pytest.approx([heights[0]] * 9, abs=0.2)


SHIFTED = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => list.getEntries().forEach(({value, hadRecentInput}) => {
    sum += hadRecentInput ? 0 : value;
  })).observe({type: 'layout-shift', buffered: true});
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(sum))));
})"""


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_nothing_moves_while_the_fonts_and_fields_arrive(read: Read, size: tuple[int, int]) -> None:
    page = read(size=size)
    page.wait_for_function(FONTS)
    page.wait_for_selector(".edits button")
    # Another font's ascent moves the letters of a title by 3 pixels in a box that stays: 0.011 on a phone.
    assert page.evaluate(SHIFTED) < 0.02
