"""A service with keys: the page asks for one; with a read-only key it says so and still does everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.reading import checked, weights
from tests.running import RunningService


@pytest.fixture(scope="module")
def keyed(chromium: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    settings = {"demo": ("library",), "api_keys": ("a-writing-key",), "read_keys": ("a-reading-key",)}
    with RunningService(data_dir=tmp_path_factory.mktemp("keyed"), **settings) as running:
        running.wait_until_ready()
        yield running


def give(opened: Any, key: str) -> None:
    opened.page.fill("#api-key", key)
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_selector("#answer-attention .found li")
    opened.settle()


def test_a_wrong_key_is_refused_in_words_and_a_reading_one_says_so_on_an_open_page(
    visit: Any, keyed: RunningService
) -> None:
    opened = visit("#scene=library", origin=keyed.url)
    page = opened.page
    page.fill("#api-key", "no-key-of-ours")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#notice')?.textContent.includes('refused')")
    # The words are the field's label, once: a screen reader hears no second text.
    assert page.locator("#notice").inner_text().count("refused") == 1
    assert page.get_by_label("That key was refused").get_attribute("id") == "api-key"
    give(opened, "a-writing-key")
    assert page.locator("#access").inner_text() == ""
    page.click("#key")
    give_again(opened, "a-reading-key")
    assert "only read" in page.locator("#access").inner_text()
    forgive(opened)


def give_again(opened: Any, key: str) -> None:
    opened.page.fill("#api-key", key)
    opened.page.keyboard.press("Enter")
    opened.page.wait_for_function("() => document.querySelector('#access')?.textContent")
    opened.settle()


def forgive(opened: Any) -> None:
    """A 401 is logged by the browser itself; that one error is the point of the test."""
    opened.errors[:] = [error for error in opened.errors if "401" not in error]


def test_it_asks_for_a_key_and_keeps_it_in_the_tab(visit: Any, keyed: RunningService) -> None:
    opened = visit("#scene=library", origin=keyed.url)
    page = opened.page
    page.wait_for_selector("#api-key")
    give(opened, "a-writing-key")
    assert "cats" in weights(page)
    assert "a-writing-key" not in page.url
    assert checked(page) < 1e-9
    page.reload()
    opened.settle()
    assert page.locator("#api-key").count() == 0
    page.click(".curl")
    command = page.get_attribute(".curl", "data-command") or ""
    assert "$SOFTKV_KEY" in command
    assert "a-writing-key" not in command
    forgive(opened)


def test_read_only_says_so_and_does_everything(visit: Any, keyed: RunningService) -> None:
    opened = visit("#scene=library", origin=keyed.url)
    page = opened.page
    page.wait_for_selector("#api-key")
    give(opened, "a-reading-key")
    assert page.locator("#access").inner_text() != ""
    page.locator(".rows .key-text").nth(1).fill("felines, and books about them")
    page.wait_for_timeout(500)
    opened.settle()
    assert weights(page)["felines, and books about them"].endswith("%")
    assert checked(page) < 1e-9
    forgive(opened)
