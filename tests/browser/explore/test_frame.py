"""The frame of the explorer: its list of collections, its address, its key box and its words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from softkv_service.api.routes import page as page_routes
from tests.browser.explore.conftest import Explore
from tests.running import RunningService


def test_the_list_shows_the_settings_of_each_collection(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={"temperature": 0.1}).raise_for_status()
    writer.put("/v1/collections/vectors", json={"encoder": None, "dimension": 4}).raise_for_status()
    page = explore().page
    assert page.locator("#collections .name").all_inner_texts() == ["books", "vectors"]
    page.click("#collections >> text=vectors")
    page.wait_for_function("() => /width\\s+4\\b/.test(document.querySelector('.facts').innerText)")
    facts = page.locator("#collections .facts").inner_text()
    assert "vectors only" in facts
    assert re.search(r"late interaction\s+off", facts)
    page.click("#collections >> text=books")
    page.wait_for_function("() => /temperature\\s+0\\.1/.test(document.querySelector('.facts').innerText)")
    assert re.search(r"late interaction\s+on", page.locator("#collections .facts").inner_text())
    assert "collection=books" in page.url


def test_many_collections_come_by_pages_and_are_found_by_their_beginning(
    explore: Explore, writer: httpx.Client
) -> None:
    names = [f"class-{i:03}" for i in range(102)] + ["zebra"]
    for name in names:
        writer.put(f"/v1/collections/{name}", json={"encoder": None, "dimension": 2}).raise_for_status()
    # A link leads to one that is not on the first page.
    page = explore("#collection=zebra").page
    assert page.locator("#tab-ask").count()
    assert page.locator("#collections .name").count() == 101
    assert page.locator("#collections [aria-current] .name").inner_text() == "zebra"
    page.click("#more-collections")
    page.wait_for_function("() => document.querySelectorAll('#collections .name').length === 103")
    assert page.locator("#collections [aria-current] .name").inner_text() == "zebra"
    page.fill("#find", "ze")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelectorAll('#collections .name').length === 1")
    page.fill("#find", "yak")
    page.keyboard.press("Enter")
    page.wait_for_selector("#collections .empty")
    # An address that names nothing shows the first.
    again = explore().page
    again.wait_for_selector("#tab-ask")
    assert "collection=class-000" in again.url


def test_a_link_shows_the_same_in_the_same_language_and_theme(explore: Explore, writer: httpx.Client) -> None:
    writer.put("/v1/collections/books", json={}).raise_for_status()
    page = explore("#collection=books").page
    page.click("#language")
    page.click("#theme")
    again = explore(page.url[page.url.index("#") :]).page
    assert again.locator("#collections [aria-current] .name").inner_text() == "books"
    assert again.locator("#collections h2").inner_text() == "集合"
    assert again.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("has_workshop", [True, False])
def test_the_bar_and_the_missing_page_lead_to_pages_that_the_service_has(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_workshop: bool
) -> None:
    if not has_workshop:
        monkeypatch.setattr(page_routes, "find_parts", list)
    with RunningService(data_dir=tmp_path, encoder="none") as running:
        page = chromium.new_page()
        page.goto(f"{running.url}/explore")
        page.wait_for_selector("#key")
        links = page.locator("nav.tools a").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
        page.goto(f"{running.url}/nowhere")
        ways = page.locator("li a:visible").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
        page.close()
    assert links == [*(["./?learn", "deeper"] if has_workshop else []), "docs/"]
    assert ways == [*(["/?learn"] if has_workshop else []), "/explore", "/docs/"]


def test_an_unknown_collection_and_an_empty_service_are_reported(explore: Explore) -> None:
    opened = explore("#collection=nothing")
    assert "nothing" in opened.page.locator("#stage").inner_text()
    opened.errors[:] = [error for error in opened.errors if "404" not in error]
    begun = explore(ready="() => document.querySelector('#create')").page
    assert "There is no collection yet." in begun.inner_text("#collections")
