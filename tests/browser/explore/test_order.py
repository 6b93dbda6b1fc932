"""Documents and results in the order of a field, two settings side by side, and links that show the same again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.browser.explore.conftest import LATE, Explore

if TYPE_CHECKING:
    from playwright.sync_api import Page

PRICES: list[Any] = [9.5, 100, None, -3, 20, 7]
NAMES = ["Zebra", "apfel", "Öl", "Birne", "zoo", ""]
SHOWN = """() => ["#strip", "#compared", "#ordering", "#results", "#page", "table.listing"].map(
    (part) => document.querySelector(part)?.innerText ?? "")"""
IDS = "rows => rows.map((row) => row.dataset.id)"
TURNED = "left\u202eright"


@pytest.fixture
def shop(writer: httpx.Client) -> httpx.Client:
    """A client of a service that has goods with prices, some without."""
    writer.put("/v1/collections/shop", json={}).raise_for_status()
    metadata = [{"price": PRICES[i % 6], "maker": NAMES[i % 6]} for i in range(120)]
    rows = [{"id": f"{i:03}", "key": f"coffee mill {i}", "metadata": one} for i, one in enumerate(metadata)]
    writer.post("/v1/collections/shop/documents", json={"documents": rows}).raise_for_status()
    return writer


def same_again(explore: Explore, page: Page, ready: str) -> None:
    """Open the link that the menu copies in a Chinese browser without a memory, and compare what it shows."""
    page.evaluate("navigator.clipboard.writeText = async (text) => void (window.copiedLink = text)")
    page.click(".sharing summary")
    page.click(".sharing [data-kind=link]")
    page.wait_for_function("() => window.copiedLink")
    link: str = page.evaluate("window.copiedLink")
    again = explore(link[link.index("#") :], locale="zh-CN").page
    again.wait_for_selector(ready)
    assert again.evaluate(SHOWN) == page.evaluate(SHOWN)


def test_results_in_the_order_of_a_field(explore: Explore, shop: httpx.Client) -> None:
    page = explore("#collection=shop&q=coffee&k=6").page
    page.wait_for_selector("#results .match[data-id]")
    matches = shop.post("/v1/collections/shop/attend", json={"query": "coffee", "top_k": 6, **LATE}).json()["matches"]
    price = {match["id"]: match["metadata"]["price"] for match in matches}
    assert page.eval_on_selector_all("#results .match[data-id]", IDS) == list(price)
    page.focus(".heads [aria-sort=none] button")
    page.keyboard.press("Enter")
    page.wait_for_selector(".heads [aria-sort=descending]:has-text('similarity')")
    page.select_option("#sort", "metadata.price")
    page.wait_for_selector("#ordering:has-text('in the order of')")
    page.focus("#sort-turn")
    for sign in (1, -1):
        expected = sorted(price, key=lambda one: (price[one] is None, sign * (price[one] or 0)))
        assert page.eval_on_selector_all("#results .match[data-id]", IDS) == expected
        page.keyboard.press("Enter")
    assert page.inner_text("#ordering").startswith("The 6 heaviest documents, in the order of “price”.")
    page.goto(page.url.replace("metadata.price", "metadata.maker").replace("k=6", "k=120"))
    page.wait_for_function("() => document.querySelectorAll('#results .match[data-id]').length === 120")
    makers = [name.strip() for name in page.locator("#results .by").all_inner_texts()]
    assert list(dict.fromkeys(makers)) == ["", "apfel", "Birne", "Öl", "Zebra", "zoo"]


def test_chosen_columns_stand_in_the_list_and_in_its_link(explore: Explore, shop: httpx.Client) -> None:
    page = explore("#collection=shop&q=coffee&k=6").page
    page.wait_for_selector("#results .match[data-id]")
    assert page.locator("#results .by").count() == 0
    page.click("#columns")
    page.focus(".columns input[value='metadata.price']")
    page.keyboard.press("Space")
    assert page.evaluate("document.activeElement.value") == "metadata.price"
    page.check(".columns input[value='metadata.maker']")
    matches = shop.post("/v1/collections/shop/attend", json={"query": "coffee", "top_k": 6, **LATE}).json()["matches"]
    told = [{field: "–" if value is None else value for field, value in match["metadata"].items()} for match in matches]
    shown = [f"{field} {one.get(field, '–')}".strip() for one in told for field in ("maker", "price")]
    page.wait_for_function("count => document.querySelectorAll('#results .by').length === count", arg=len(shown))
    assert [text.strip() for text in page.locator("#results .by").all_inner_texts()] == shown
    same_again(explore, page, "#results .by")


@pytest.mark.parametrize(
    "cells", [["9,50 €", "1.211,99 €", "80,00 €"], ["1 May 1890", "28 January 1813", "3 June 1850"]]
)
def test_texts_of_numbers_or_dates_are_ordered_as_such(
    explore: Explore, writer: httpx.Client, cells: list[str]
) -> None:
    """A collection may have such texts from elsewhere than the page."""
    writer.put("/v1/collections/shop", json={}).raise_for_status()
    rows = [{"id": f"{i}", "key": f"thing {i}", "metadata": {"cell": cell}} for i, cell in enumerate(cells)]
    writer.post("/v1/collections/shop/documents", json={"documents": rows}).raise_for_status()
    page = explore("#collection=shop&q=thing&sort=metadata.cell").page
    page.wait_for_selector("#results .by")
    order = [0, 2, 1] if "€" in cells[0] else [1, 2, 0]
    assert page.locator("#results .by").all_inner_texts() == [cells[i] for i in order]


def test_documents_are_ordered_by_the_service_over_all_pages(explore: Explore, shop: httpx.Client) -> None:
    page = explore("#collection=shop&tab=documents").page
    page.wait_for_selector("th[aria-sort=ascending].of-id")
    page.select_option("#sort", "metadata.price")
    page.wait_for_selector("th[aria-sort=ascending].of-metadata")
    page.focus("th[aria-sort] button")
    page.keyboard.press("Enter")
    page.wait_for_selector("th[aria-sort=descending]")
    page.click("#after")
    page.wait_for_function("() => document.querySelector('#page').textContent.startsWith('51 to 100 of 120')")
    order = {"order_by": {"field": "metadata.price", "direction": "descending"}, "limit": 200}
    listed = shop.post("/v1/collections/shop/documents/query", json=order).json()["documents"]
    assert page.eval_on_selector_all("tr[data-id]", IDS) == [one["id"] for one in listed][50:100]
    same_again(explore, page, "tr[data-id]")
    page.click("#before")
    page.wait_for_function("() => document.querySelector('#page').textContent.startsWith('1 to 50')")
    page.click("tr[data-id] button")
    page.wait_for_function("() => document.querySelector('#document p.key')?.textContent.startsWith('coffee mill')")


def test_two_settings_stand_side_by_side(explore: Explore, shop: httpx.Client) -> None:
    page = explore("#collection=shop&q=coffee&t=0.02&k=5&sort=-metadata.price").page
    page.click("#hold")
    page.wait_for_selector("#compared tr[data-id]")
    assert "Both are equal so far" in page.inner_text("#compared")
    page.select_option("#null", "off")
    page.focus("#temperature")
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('#compared th:nth-child(3)').textContent.includes('∞')")
    both = [{"temperature": 0.02}, {"temperature": 1e300, "null": False}]
    asked = [{"query": "coffee", "top_k": 120, **LATE, **settings} for settings in both]
    answers = [shop.post("/v1/collections/shop/attend", json=one).json() for one in asked]
    was, now = ({match["id"]: 100 * match["weight"] for match in answer["matches"]} for answer in answers)
    rows = page.locator("#compared tr[data-id]").all()
    assert len(rows) >= 5
    for row in rows:
        points = float(row.locator("td").nth(2).inner_text().replace("−", "-"))
        assert points == pytest.approx(now[row.get_attribute("data-id")] - was[row.get_attribute("data-id")], abs=0.051)
    assert page.locator("#compared tr").last.locator("td").nth(1).inner_text() == "0%"
    same_again(explore, page, "#compared tr[data-id]")


def test_a_text_that_turns_its_line_turns_nothing_else(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/turned", json={}).raise_for_status()
    writer.put(f"/v1/collections/turned/documents/{TURNED}", json={"key": "cats"}).raise_for_status()
    page = explore("#collection=turned&q=cats", (1280, 800)).page
    page.wait_for_selector("#results .match[data-id]")
    assert page.inner_text("#strip .reason").startswith(f"“cats” (\u2068{TURNED}\u2069) stands out")
    assert page.inner_text("#results .id bdi") == TURNED
    assert page.evaluate("document.querySelector('#results .match').getBoundingClientRect().top") <= 450
