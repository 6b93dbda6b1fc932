"""Keys and values that are edited where they stand: a key moves weights, a value does not, and both are in the link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PHONE, PROJECTOR
from tests.running import RunningService
from workshop.tests.browser.story.conftest import Read, weights

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

HARD, VALUE = "#hard-and-soft", "#key-is-not-value"
SEA = "the colour of a calm sea"
READ = """([text, home, isFixed]) => window.softkvEditing.read(text, home, isFixed)"""
WRITE = """([rows, home]) => window.softkvEditing.write(rows, home)"""


def fields(page: Page, chapter: str, part: int = 0) -> Locator:
    """Return the buttons over the keys, or with part 1 those over the values."""
    return page.locator(f"{chapter} .edits [role=group]").nth(part).locator("button")


def type_into(page: Page, field: Locator, text: str) -> None:
    field.click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def keys(page: Page, chapter: str) -> list[str]:
    return page.locator(f"{chapter} .asked-picture .row .key-text").all_text_contents()


def core(site: RunningService, texts: list[str], query: str = SEA) -> list[float]:
    """Return the weights that the service gives to these keys, in their order."""
    rows = [{"id": str(i), "key": text, "value": text} for i, text in enumerate(texts)]
    body = {"query": query, "rows": rows, "null": False, "top_k": 30, "temperature": 0.05}
    with site.client() as client:
        matches = client.post("/v1/compare", json=body).json()["attention"]["matches"]
    return [match["weight"] for match in sorted(matches, key=lambda match: int(match["id"]))]


@pytest.mark.parametrize(("size", "touch"), [(PROJECTOR, False), (PHONE, True)])
def test_a_key_moves_the_weights_and_no_value(
    read: Read, site: RunningService, size: tuple[int, int], touch: bool
) -> None:
    page = read(HARD, size, has_touch=touch)
    values = page.locator(f"{HARD} .asked-picture .row .swatch").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('fill'))"
    )
    before = weights(page, HARD)
    field = fields(page, HARD).nth(2)
    field.tap() if touch else field.click()
    page.keyboard.type("a stormy night")
    page.keyboard.press("Enter")
    expect(page.locator(f"{HARD} .asked-picture .row .key-text").nth(2)).to_contain_text("a stormy")
    expect(field).to_have_attribute("aria-label", "Key “a stormy night”: change it")
    expect(field).to_be_focused()
    names = [label.split("“")[1].split("”")[0] for label in labels(page)]
    assert weights(page, HARD) == pytest.approx(core(site, names), abs=2e-3)
    assert weights(page, HARD) != pytest.approx(before, abs=0.01)
    assert values == page.locator(f"{HARD} .asked-picture .row .swatch").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('fill'))"
    )
    expect(page.locator(f"{HARD} .prediction")).to_be_hidden()


def labels(page: Page) -> list[str]:
    names: list[str] = fields(page, HARD).evaluate_all("(all) => all.map((one) => one.getAttribute('aria-label'))")
    return names


def test_a_value_moves_no_weight_and_makes_no_call(read: Read) -> None:
    page = read(f"{HARD}&t=0")
    before = weights(page, HARD)
    calls: list[str] = []
    page.on("request", lambda request: calls.append(request.url))
    type_into(page, fields(page, HARD, 1).nth(2), "red")
    output = page.locator(f"{HARD} .asked-picture .output .swatch")
    expect(output).to_have_attribute("fill", "#ff0000")
    type_into(page, fields(page, HARD, 1).nth(2), "Homer")
    expect(page.locator(f"{HARD} .asked-picture .band-text", has_text="Homer")).to_be_visible()
    assert weights(page, HARD) == before
    assert [url for url in calls if "/v1/" in url] == []


def test_an_empty_text_is_refused_and_escape_takes_back(read: Read) -> None:
    page = read(HARD)
    first = fields(page, HARD).first
    first.focus()
    page.keyboard.press("Enter")
    field = page.locator(f"{HARD} .field input")
    expect(field).to_have_attribute("aria-label", "Key")
    field.fill("  ")
    page.keyboard.press("Enter")
    expect(page.locator(f"{HARD} .field [role=alert]")).to_have_text("Type a word, or press Escape.")
    field.fill("nothing of this")
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(first).to_be_focused()
    assert keys(page, HARD)[0] == "a ripe lemon"
    page.keyboard.press("ArrowDown")
    expect(fields(page, HARD).nth(1)).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(fields(page, HARD, 1).nth(1)).to_be_focused()


def test_rows_of_ones_own_are_a_link(read: Read, site: RunningService) -> None:
    page = read(HARD)
    type_into(page, fields(page, HARD).nth(0), "100% *wool* ~ 羊毛!_#")
    expect(page.locator(f"{HARD} .restart")).to_be_visible()
    fields(page, HARD).nth(1).click()
    page.locator(f"{HARD} .field button").click()
    expect(page.locator(f"{HARD} .asked-picture .row")).to_have_count(8)
    page.locator(f"{HARD} .edits .add").click()
    page.keyboard.type("sheep")
    page.keyboard.press("Enter")
    expect(page.locator(f"{HARD} .asked-picture .row")).to_have_count(9)
    page.wait_for_url("**sheep**")
    drawn, names = weights(page, HARD), labels(page)
    assert drawn == pytest.approx(core(site, [name.split("“")[1].split("”")[0] for name in names]), abs=2e-3)
    fresh = read(page.url.split("/", 3)[3])
    expect(fields(fresh, HARD)).to_have_count(9)
    fresh.wait_for_function("(n) => document.querySelectorAll('.edits button')[0].ariaLabel === n", arg=names[0])
    assert weights(fresh, HARD) == pytest.approx(drawn)
    assert labels(fresh) == names
    fresh.locator(f"{HARD} .restart").click()
    expect(fields(fresh, HARD).first).to_have_attribute("aria-label", "Key “a ripe lemon”: change it")
    expect(fresh.locator(f"{HARD} .prediction")).to_be_visible()
    fresh.wait_for_function("() => !location.hash.includes('rows')")


@pytest.mark.parametrize("bad", ["1*x", "31", "nine", "3*a*b*c*d", "10", f"9*{'x' * 61}", "9*_", "12*%E0%A4%A"])
@pytest.mark.parametrize("chapter", [HARD, VALUE])
def test_a_link_with_invalid_rows_shows_a_sentence(read: Read, chapter: str, bad: str) -> None:
    page = read(f"{chapter}&rows={bad}")
    expect(page.locator(f"{chapter} p.told").first).to_contain_text("cannot be read")
    assert keys(page, chapter)[0] in ("a ripe lemon", "First sourdough loaf")


def test_rows_in_an_address_are_read_as_written(read: Read) -> None:
    page = read(HARD)
    page.wait_for_function("() => window.softkvEditing")
    home = [{"key": f"k{i}", "value": f"v{i}"} for i in range(9)]
    texts = ["a", "!e", "_ *~#!", "100% 羊毛", "'\"&=<b>", "#d62839", "*" * 30]
    for count in (2, 3, 9, 17, 30):
        rows = [
            {"key": texts[(i + count) % 7], "value": texts[i % 7]} if i > 8 or i % 3 == 1 else home[i]
            for i in range(count)
        ]
        text = page.evaluate(WRITE, [rows, home])
        assert page.evaluate(READ, [text, home, False]) == rows
        assert page.evaluate("(text) => decodeURIComponent(encodeURIComponent(text))", text) == text
    assert page.evaluate(WRITE, [home, home]) == ""
    assert page.evaluate(WRITE, [[{"key": "new one", "value": "v0"}, *home[1:]], home]) == "9*new_one"
    assert page.evaluate(READ, ["7", home, True]) is None


def test_the_second_chapter_tells_weights_from_values(read: Read) -> None:
    page = read(VALUE)
    told = page.locator(f"{VALUE} p.told")
    before = weights(page, VALUE)
    type_into(page, fields(page, VALUE).nth(1), "my tomatoes are dying")
    expect(told).to_contain_text("The weights changed. No value did. Every earlier weight ×")
    moved = weights(page, VALUE)
    assert moved != pytest.approx(before, abs=0.01)
    value = page.locator(f"{VALUE} .handles button").nth(1)
    value.focus()
    for key in ("Enter", "Enter"):
        page.keyboard.press(key)
    page.keyboard.type("volcano")
    page.keyboard.press("Enter")
    expect(told).to_have_text("A value changed. No weight did.")
    assert weights(page, VALUE) == moved
    expect(value).to_have_attribute("aria-label", "a volcano, the value of “my tomatoes are dying”")
    page.wait_for_url("**rows=8**my_tomatoes_are_dying~volcano")
    page.get_by_role("button", name="Start again").last.click()
    expect(fields(page, VALUE).nth(1)).to_have_attribute("aria-label", "Key “Fix a flat tyre”: change it")
    assert weights(page, VALUE) == pytest.approx(before)


def test_a_typed_value_goes_with_its_row(read: Read) -> None:
    page = read(f"{VALUE}&v=10234567")
    handle: Any = page.locator(f"{VALUE} .handles button").first
    handle.dblclick()
    page.keyboard.type("tyres")
    page.keyboard.press("Enter")
    expect(handle).to_have_attribute("aria-label", "tyres, the value of “First sourdough loaf”")
    page.wait_for_url("**rows=**")
    assert "rows=8**~tyres" in page.url, "it was the second row's value, which had moved to the first"
