"""The page on a projector, a phone and paper: minimal heights, and the slider beside the part that it moves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import checked, sideways, slide
from tests.thorough import thorough

LARGE = "projector=1"
SIZES = {
    "1024×768 A+": ((1024, 768), LARGE),
    "1280×720 A+": (PROJECTOR, LARGE),
    "1280×720": (PROJECTOR, ""),
    "1440×900": ((1440, 900), ""),
    "390×844": (PHONE, ""),
}
AT_A_LANDING = {"1280×720 A+", "390×844"}
EACH_SIZE = [size if size in AT_A_LANDING else thorough(size) for size in SIZES]
FEWEST_LETTERS = 20
# Each text, how many of its letters are seen: those whose box lies in the box that shows it.
SEEN = """() => {
  const seen = (text, shown, box) => {
    const range = document.createRange();
    let count = 0;
    for (let i = 0; i < text.length; i++) {
      range.setStart(text, i);
      range.setEnd(text, i + 1);
      const place = range.getBoundingClientRect();
      if (place.right <= box.right + 1 && place.bottom <= box.bottom + 1) count++;
    }
    return [shown, count];
  };
  const whole = [...document.querySelectorAll('.found-value, .found .pairing .key')].map((element) => {
    const around = element.closest('.pairing, .found-value');
    return seen(element.firstChild, element.textContent, around.getBoundingClientRect());
  });
  const fields = [...document.querySelectorAll('.rows .field')].map((field) => {
    const mirror = document.createElement('div');
    const style = getComputedStyle(field);
    for (const name of ['font', 'padding', 'whiteSpace', 'overflowWrap', 'boxSizing']) mirror.style[name] = style[name];
    Object.assign(mirror.style, {width: style.width, position: 'absolute', top: 0, left: 0});
    mirror.textContent = field.value;
    document.body.append(mirror);
    const box = mirror.getBoundingClientRect();
    const shown = {right: box.left + field.clientWidth, bottom: box.top + field.clientHeight};
    const found = seen(mirror.firstChild, field.value, shown);
    mirror.remove();
    return found;
  });
  return [...whole, ...fields];
}"""


@pytest.mark.parametrize("language", ["en", thorough("zh")])
@pytest.mark.parametrize("size", EACH_SIZE)
def test_no_key_and_no_value_is_cut_below_twenty_letters(visit: Any, size: str, language: str) -> None:
    screen, how = SIZES[size]
    page = visit(f"#scene=library&lang={language}&{how}", screen).page
    page.wait_for_selector(".found-value")
    texts = page.evaluate(SEEN)
    assert len(texts) > 20
    assert [(text, seen) for text, seen in texts if seen < min(FEWEST_LETTERS, len(text))] == []
    assert sideways(page) <= 0


@pytest.mark.parametrize("size", EACH_SIZE)
def test_what_decides_in_a_statement_is_seen_and_bold(visit: Any, size: str) -> None:
    screen, how = SIZES[size]
    page = visit(f"#scene=library&{how}", screen).page
    for column, clause, parameter in (
        ("#answer-sql", "key = :key", ":key = 'books about felines'"),
        ("#answer-text", "words_1 MATCH :words", ':words = \'"books" OR'),
    ):
        bold = page.locator(f"{column} .statement strong")
        assert bold.all_inner_texts() == [clause]
        assert page.locator(f"{column} .parameter").first.inner_text().startswith(parameter)
        inside, box = bold.bounding_box(), page.locator(f"{column} .statement").bounding_box()
        assert inside["y"] + inside["height"] <= box["y"] + box["height"] + 1
        assert inside["x"] + inside["width"] <= box["x"] + box["width"] + 1
        hides = "(e) => e.scrollHeight > e.clientHeight + 1"
        assert not page.locator(f"{column} .statement").evaluate(hides)


def test_the_value_stands_first_and_its_key_under_it(visit: Any) -> None:
    page = visit("#scene=library").page
    first = page.locator("#answer-attention .found li").first
    value, key = first.locator(".value"), first.locator(".key")
    assert value.inner_text() == "Old Possum's Book of Practical Cats, T. S. Eliot"
    assert key.inner_text() == "cats"
    assert value.bounding_box()["y"] < key.bounding_box()["y"]


@pytest.mark.parametrize("size", ["1024×768 A+", "1280×720 A+", "390×844"])
def test_in_one_column_the_slider_and_the_whole_picture_are_on_one_screen(visit: Any, size: str) -> None:
    screen, how = SIZES[size]
    page = visit(f"#scene=library&{how}", screen).page
    checked(page)
    page.evaluate("window.scrollBy(0, document.querySelector('.canvas').getBoundingClientRect().top)")
    picture, slider = page.locator(".canvas").bounding_box(), page.locator(".temperature").bounding_box()
    assert picture["y"] >= -1
    assert picture["y"] + picture["height"] <= slider["y"] + 1
    assert slider["y"] + slider["height"] <= screen[1] + 1
    before = page.locator(".rows .share").first.inner_text()
    slide(page, 400)
    assert page.locator(".rows .share").first.inner_text() != before


def test_on_a_phone_the_picture_is_directly_under_the_question(visit: Any) -> None:
    page = visit("#scene=library", PHONE).page
    names = (".story", "#question", ".picture", "#verdict", ".answers", ".settings", ".limits", ".all")
    tops = [page.locator(name).bounding_box()["y"] for name in names]
    assert tops == sorted(tops)
    assert tops[2] < PHONE[1] / 2
    assert page.locator(".row").nth(3).bounding_box()["y"] < page.locator(".temperature").bounding_box()["y"]


@pytest.mark.parametrize("scene", ["values", "filter", "guess", "rows"])
@pytest.mark.parametrize("size", EACH_SIZE)
def test_where_a_scene_is_about_its_picture_it_is_there_before_the_four_answers(
    visit: Any, size: str, scene: str
) -> None:
    screen, how = SIZES[size]
    page = visit(f"#scene={scene}&{how}", screen).page
    page.wait_for_selector("#output-node")
    picture, answers = page.locator(".picture").bounding_box(), page.locator(".answers").bounding_box()
    assert picture["y"] + picture["height"] <= answers["y"]
    assert picture["y"] < page.locator(".row").first.bounding_box()["y"] < 0.6 * screen[1]


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("scene", ["library", thorough("videos"), thorough("nothing"), thorough("share")])
def test_in_large_type_the_whole_picture_is_on_the_first_screen_below_a_bar_of_one_row(
    visit: Any, scene: str, language: str
) -> None:
    page = visit(f"#scene={scene}&lang={language}&{LARGE}", (1024, 768)).page
    page.wait_for_selector("path.wire")
    boxes = {part: page.locator(part).bounding_box() for part in ("#bar", ".rows", ".answers", ".temperature")}
    assert boxes["#bar"]["height"] < 60
    assert boxes[".rows"]["y"] + boxes[".rows"]["height"] <= boxes[".temperature"]["y"]
    assert boxes[".answers"]["y"] > boxes[".rows"]["y"] + boxes[".rows"]["height"]
    assert sideways(page) <= 0


def test_on_a_phone_a_step_is_there_before_the_list_of_steps(visit: Any) -> None:
    page = visit("#scene=steps&step=4", PHONE).page
    page.wait_for_selector("#derivation table")
    tops = [page.locator(name).bounding_box()["y"] for name in ("#derivation", "#next", ".steps")]
    assert tops == sorted(tops)
    assert tops[0] < PHONE[1] < tops[-1]


@pytest.mark.parametrize("size", EACH_SIZE)
def test_every_mark_of_the_slider_can_be_hit(visit: Any, size: str) -> None:
    screen, how = SIZES[size]
    opened = visit(f"#scene=library&{how}", screen)
    for scene in ("library", "steps", "hopfield", "regression"):
        opened.go(f"#scene={scene}&{how}")
        for mark in opened.page.locator(".tick").all():
            box = mark.bounding_box()
            assert min(box["width"], box["height"]) >= 24, scene


def test_a_long_key_is_two_lines_and_whole_where_it_is_edited(visit: Any) -> None:
    page = visit("#scene=videos").page
    longest = page.locator(".rows .key-text").first
    assert longest.evaluate("(field) => field.classList.contains('cut')")
    low = longest.bounding_box()["height"]
    longest.focus()
    assert longest.bounding_box()["height"] > low
    assert longest.evaluate("(field) => field.scrollHeight <= field.clientHeight + 2")


def test_a_key_stays_one_line_of_text(visit: Any) -> None:
    opened = visit("#scene=rows", permissions=["clipboard-read", "clipboard-write"])
    page = opened.page
    first = page.locator(".rows .key-text").first
    first.fill("")
    page.keyboard.type("hot")
    page.keyboard.press("Enter")
    page.evaluate("navigator.clipboard.writeText(' water\\nand leaves')")
    page.keyboard.press("Control+v")
    assert first.input_value() == "hot water and leaves"
    page.wait_for_timeout(450)
    opened.settle()
    assert checked(page) < 1e-9


def test_where_a_field_cannot_size_itself_it_grows_all_the_same(visit: Any) -> None:
    opened = visit("lesson.html")
    page = opened.page
    page.add_init_script(
        "const can = CSS.supports.bind(CSS);"
        "CSS.supports = (name, ...more) => name !== 'field-sizing' && can(name, ...more);"
    )
    page.goto("about:blank")
    opened.go("#scene=library")
    first = page.locator(".rows .key-text").first
    first.evaluate("(field) => field.style.setProperty('field-sizing', 'fixed')")
    low = first.bounding_box()["height"]
    first.fill("cats " * 20)
    assert first.bounding_box()["height"] > 1.5 * low
    opened.settle()


@pytest.mark.parametrize("size", ["1024×768 A+", "390×844"])
def test_the_numbers_of_a_plot_are_large_enough_and_clear_of_the_dots(visit: Any, size: str) -> None:
    screen, how = SIZES[size]
    page = visit(f"#scene=regression&{how}", screen).page
    heights = page.evaluate(
        "[...document.querySelectorAll('.plot text')].filter((text) => text.textContent)"
        ".map((text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)"
    )
    assert min(heights) >= 11
    covered = """() => {
      const boxes = (what) => [...document.querySelectorAll(what)].map((one) => one.getBoundingClientRect());
      const letters = ({left, right, top, bottom, height}) =>
        ({left: left + 1, right: right - 1, top: top + height / 4, bottom: bottom - height / 4});
      const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
      const texts = boxes('.plot .names text').map(letters);
      return texts.flatMap((text) => boxes('.plot .dots circle').filter((dot) => meet(text, dot))).length;
    }"""
    for offset in (0.5, 2, 3.5, 4.2, 5.2, 7, 9.5):
        ask_at = "(slider, at) => { slider.value = at; slider.dispatchEvent(new Event('input')); }"
        page.locator("#at").evaluate(ask_at, offset)
        assert page.locator(".plot .names text").count() > 1
        assert page.evaluate(covered) == 0, offset


def print_of(page: Any) -> Any:
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.set_viewport_size({"width": 718, "height": 1000})
    page.emulate_media(media="print")
    page.wait_for_timeout(200)
    return page


@pytest.mark.parametrize(
    "where", ["#scene=library&theme=dark&projector=1", "#scene=regression&theme=dark", "lesson.html?theme=dark"]
)
def test_paper_is_light(visit: Any, where: str) -> None:
    page = print_of(visit(where).page)
    ink, paper = page.evaluate(
        "['color', '--paper'].map((name) => getComputedStyle(document.body).getPropertyValue(name))"
    )
    assert ink == "rgb(23, 25, 30)"
    assert paper.strip() == "#fbfaf6"
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "16px"
    assert not page.locator("#bar").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_it_says_what_was_asked_and_where(visit: Any) -> None:
    page = visit("#scene=library&query=animals that talk").page
    assert not page.locator(".printed").is_visible()
    print_of(page)
    assert page.locator(".printed").inner_text() == f"animals that talk — {page.url}"
    assert page.locator(".printed").bounding_box()["y"] < page.locator("h1").bounding_box()["y"]


def test_the_table_is_whole(visit: Any) -> None:
    page = visit("#scene=library").page
    assert page.locator(".all tbody tr").count() == 40
    print_of(page)
    assert page.locator(".all tbody tr").count() == 110
    cut = """(fields) => fields.filter((field) =>
      field.scrollHeight > field.clientHeight + 2 || field.scrollWidth > field.clientWidth + 2).length"""
    assert page.locator(".field").evaluate_all(cut) == 0
