"""The second chapter: values that change places change the output, and no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import module
from workshop.tests.browser.story.conftest import Read, weights

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = "#key-is-not-value"
GROUNDS = "(pictures) => pictures.map((picture) => picture.querySelector('.drawing rect').getAttribute('fill'))"
OPACITIES = "(pictures) => pictures.map((picture) => Number(picture.getAttribute('opacity')))"


def handle(page: Page, row: int) -> tuple[float, float]:
    """Return the middle of what drags the value of a row."""
    box = page.locator(f"{HERE} .handles button").nth(row).bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def shown(page: Page) -> list[str]:
    """Return the picture at each row, by the colour of its ground."""
    grounds: list[str] = page.locator(f"{HERE} .row .shown").evaluate_all(GROUNDS)
    return grounds


def output(page: Page) -> dict[str, float]:
    """Return how much of each picture is in the output, by the colour of its ground."""
    pictures = page.locator(f"{HERE} .blend .added")
    shares, uncovered = [], 1.0
    for opacity in reversed(pictures.evaluate_all(OPACITIES)):  # a picture covers those before it
        shares.append(opacity * uncovered)
        uncovered *= 1 - opacity
    return dict(zip(pictures.evaluate_all(GROUNDS), reversed(shares), strict=True))


def check_output(page: Page) -> None:
    """The output is the sum of weight × picture, as the rows have them now."""
    expected = dict(zip(shown(page), weights(page, HERE), strict=True))
    assert output(page) == pytest.approx(expected, abs=1e-4)
    assert float(page.locator(f"{HERE} .blend").get_attribute("opacity") or "nan") == pytest.approx(1)


TAKEN = """({ Threads }, takes) => {
    const threads = new Threads((name) => name, null);
    document.body.append(threads.element);
    const asked = (query, keys, value = '') => ({ query, rows: keys.map((key) => ({ key, value: key + value })) });
    threads.take(asked('a', ['x', 'y']));
    threads.layout(800, 400);
    threads.draw({ temperature: 0.1, weights: [0.75, 0.25], similarities: [1, 0.5] });
    const read = () => {
        const paths = Array.from(threads.element.querySelectorAll('.thread'));
        const isSound = !/NaN|undefined/.test(threads.element.outerHTML);
        return { isSound, drawn: paths.map((path) => path.getAttribute('data-weight')) };
    };
    return takes.map(([query, keys, value]) => {
        threads.take(asked(query, keys, value));
        return read();
    });
}"""


def test_a_picture_of_other_rows_has_no_threads_until_it_is_drawn(read: Read) -> None:
    kept, other, more, fewer, again = (
        ("a", ["x", "y"], "!"),
        ("a", ["x", "z"], ""),
        ("a", ["x", "z", "u"], ""),
        ("a", ["x"], ""),
        ("b", ["x"], ""),
    )
    page = read(HERE)
    taken = module(page, "/shared/threads.js", TAKEN, [kept, other, more, fewer, again])
    assert all(one["isSound"] for one in taken)
    assert [one["drawn"] for one in taken] == [["0.75", "0.25"], [None] * 2, [None] * 3, [None], [None]]


@pytest.mark.parametrize("size", [PROJECTOR, PHONE])
def test_a_value_is_dragged_on_to_another_row(read: Read, size: tuple[int, int]) -> None:
    page = read(HERE, size)
    before, pictures, blend = weights(page, HERE), shown(page), output(page)
    check_output(page)
    page.mouse.move(*handle(page, 2))
    page.mouse.down()
    page.mouse.move(*handle(page, 4), steps=5)
    page.mouse.move(*handle(page, 5), steps=5)
    page.mouse.up()
    assert weights(page, HERE) == before
    assert shown(page) == [pictures[i] for i in (0, 1, 5, 3, 4, 2, 6, 7)]
    assert output(page) != blend
    check_output(page)
    page.wait_for_url("**&v=01534267*")


def test_keys_take_a_value_to_another_row(read: Read) -> None:
    page = read(HERE)
    before, pictures = weights(page, HERE), shown(page)
    page.locator(f"{HERE} .handles button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert shown(page) == [pictures[i] for i in (0, 2, 3, 1, 4, 5, 6, 7)]
    assert weights(page, HERE) == before
    check_output(page)
    page.keyboard.press("ArrowDown")
    assert shown(page)[3] == pictures[1], "a value that was put down stays"


def test_two_clicks_swap_two_values(read: Read) -> None:
    page = read(HERE)
    pictures = shown(page)
    page.mouse.click(*handle(page, 0))
    page.mouse.click(*handle(page, 7))
    assert shown(page) == [pictures[7], *pictures[1:7], pictures[0]]
    check_output(page)


def test_a_guess_swaps_the_two_heaviest(read: Read) -> None:
    page = read(HERE)
    before, pictures = weights(page, HERE), shown(page)
    page.locator(f"{HERE} .choices button").nth(0).click()
    assert page.locator(f"{HERE} .verdict").inner_text().startswith("Look again")
    first, second = sorted(range(8), key=lambda i: -before[i])[:2]
    assert shown(page)[first] == pictures[second]
    assert weights(page, HERE) == before


def test_the_knob_mixes_all_pictures(read: Read) -> None:
    page = read(f"{HERE}&t=inf&v=76543210")
    assert list(output(page).values()) == pytest.approx([1 / 8] * 8, abs=1e-4)
    check_output(page)


def test_values_move_where_motion_is_welcome(read: Read) -> None:
    page = read(HERE, moving=True)
    page.locator(f"{HERE} .choices button").nth(1).click()
    page.wait_for_selector(f"{HERE} .shown[transform]", state="attached")
    page.wait_for_selector(f"{HERE} .shown[transform]", state="detached")
    check_output(page)
