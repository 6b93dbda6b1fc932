"""Rows of a reader in an exported page: from a file or a link to an answer, in the browser alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Visit
from tests.browser.frame.test_frames import framing
from tests.browser.reading import number, share, violations
from tests.running import RunningService
from workshop.tests.browser.frame.conftest import LOAD_MS, serving

CSV = '''title,description,price
espresso machine,"Makes strong coffee, with a frother",249.5
blue bicycle,A city bike with eight gears,480
garden hose,Twenty metres of rubber,25
desk lamp,Warm light for reading,35
winter coat,"Down filled, very warm",180
"tea pot, ""cast iron""",Holds one litre,60
chess set,Wooden pieces and a board,45
,,1
'''
QUESTION = "something to make coffee with"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.csv"
    path.write_text(CSV, encoding="utf-8")
    return path


def load_encoder(page: Any) -> None:
    """Load the encoder, which the explorer offers above all else."""
    page.click("#load-encoder", timeout=LOAD_MS)
    page.wait_for_selector("#load-encoder", state="detached", timeout=LOAD_MS)


def take(visit: Visit, file: Path) -> Any:
    """Read a file as a reader does, up to the tab where it is asked."""
    page = visit.page
    page.goto(f"{visit.origin}/explore.html#tab=new")
    page.set_input_files("#file", file)
    page.click("#send")
    load_encoder(page)
    page.click("#ask-it", timeout=LOAD_MS)
    return page


def ask(page: Any, question: str = QUESTION) -> None:
    page.fill("#question", question)
    page.click("#ask")
    page.wait_for_selector("#results .match[data-id]")
    page.wait_for_selector("[aria-busy=true]", state="detached")


def test_a_file_is_answered_as_by_the_service(offline: Visit, file: Path, site: RunningService) -> None:
    page = take(offline, file)
    ask(page)
    rows = [line.split(",", 1)[0] for line in CSV.splitlines()[1:6]] + ['tea pot, "cast iron"', "chess set"]
    documents = [{"id": f"shop-{i + 2}", "key": key, "value": key} for i, key in enumerate(rows)]
    with site.client() as client:
        client.put("/v1/collections/own-shop", json={}).raise_for_status()
        client.post("/v1/collections/own-shop/documents", json={"documents": documents}).raise_for_status()
        answer = client.post("/v1/collections/own-shop/attend", json={"query": QUESTION, "rerank": None}).json()
        body = {"query": QUESTION, "temperature": 1e300, "rerank": None}
        hottest = client.post("/v1/collections/own-shop/attend", json=body).json()["reason"]
        hottest = hottest.replace("“shop-2”", "“espresso machine” (shop-2)")  # the page names the key
        client.delete("/v1/collections/own-shop")
    shown = {
        item.get_attribute("data-id"): (item.locator(".share .number").inner_text(), item.locator(".likeness"))
        for item in page.locator("#results .match[data-id]").all()
    }
    assert len(shown) == len(rows)
    for match in answer["matches"]:
        weight, similarity = shown[match["id"]]
        assert abs(share(weight) - match["weight"]) < 0.02, match["key"]
        assert abs(number(similarity.inner_text().split()[-1]) - match["similarity"]) < 0.01, match["key"]
    assert page.locator("#strip").get_attribute("data-verdict") == answer["evidence"]["verdict"] == "one"
    page.locator("#temperature").focus()
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('#strip').dataset.verdict !== 'one'")
    reason, expected = (re.sub(r"0\.\d+", "", text) for text in (page.locator("#strip .reason").inner_text(), hottest))
    assert expected.startswith(reason)  # the service computes a bound, and says that the verdict lies within it
    page.locator("#temperature-own").click()
    page.wait_for_function("() => document.querySelector('#strip').dataset.verdict === 'one'")
    ask(page, "the tax return of my uncle")
    page.wait_for_function("() => document.querySelector('#strip').dataset.verdict === 'none'")
    assert "below" in page.locator("#strip .reason").inner_text()


def test_a_parquet_file_needs_a_service(offline: Visit, tmp_path: Path) -> None:
    (tmp_path / "books.parquet").write_bytes(b"PAR1 and more")
    offline.page.goto(f"{offline.origin}/explore.html#tab=new")
    offline.page.set_input_files("#file", tmp_path / "books.parquet")
    assert "CSV, TSV and JSON. Parquet" in offline.page.inner_text("#unreadable")


def test_rows_last_until_they_are_deleted(offline: Visit, file: Path) -> None:
    page = take(offline, file)
    page.reload()
    page.wait_for_selector("#collections a[aria-current]")
    assert page.locator("#collections a[aria-current] .size").inner_text() == "7"
    page.click("#tab-settings")
    page.fill("#delete-name", "shop")
    page.click("#delete-collection")
    page.wait_for_selector("#collections .name >> text=shop", state="detached")
    page.reload()
    page.wait_for_selector("#collections .name")
    assert "shop" not in page.locator("#collections .name").all_inner_texts()


def test_a_link_brings_few_rows_along_and_a_frame_shows_them(offline: Visit, file: Path, origin: str) -> None:
    page = take(offline, file)
    ask(page)
    page.locator(".picturing summary").click()
    before = page.locator("#strip .reason").inner_text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click(".sharing summary")
    page.click(".sharing [data-kind=link]")
    page.wait_for_function("() => document.querySelector('.sharing .outcome').textContent === 'Copied'")
    link = page.evaluate("navigator.clipboard.readText()")
    assert "&rows=" in link
    assert len(link) < 2000
    # Another reader, whose browser has no rows, and a page of another site.
    address = f"{origin}/{link.rsplit('/', 1)[1]}"
    other = page.context.browser.new_context()
    asked = other.new_page()
    asked.goto(address)
    load_encoder(asked)
    asked.wait_for_selector("#results .match[data-id]", timeout=LOAD_MS)
    assert asked.locator("#strip .reason").inner_text() == before
    assert "rows=" not in asked.url
    assert asked.locator("#results .match[data-id]").count() == 7
    embedded = address.replace("explore.html", "explore.html?embed=1").replace("&", "&amp;")
    with framing(embedded, 'sandbox="allow-scripts" width="800" height="520"') as site:
        asked.goto(site)
        frame = asked.frame_locator("iframe")
        frame.locator("#load-encoder").click(timeout=LOAD_MS)
        frame.locator(".picturing .thread[data-weight]").first.wait_for(state="attached", timeout=LOAD_MS)
        for hidden in (".bar", "#collections", "#results", ".tabs"):
            assert not frame.locator(hidden).first.is_visible(), hidden
        assert frame.locator("#question").is_visible()
    other.close()


def test_a_link_without_rows_wants_their_file(offline: Visit, tmp_path: Path) -> None:
    page = offline.page
    page.goto(f"{offline.origin}/explore.html#collection=shop&q=coffee")
    page.wait_for_selector("#missing:visible")
    assert "The rows of “shop” are not in this browser" in page.locator("#missing").inner_text()
    rows = tmp_path / "another.csv"
    rows.write_text("title\ncoffee\ntea\nmilk\n", encoding="utf-8")
    page.set_input_files("#file", rows)
    page.click("#send")
    load_encoder(page)
    page.click("#ask-it", timeout=LOAD_MS)
    page.wait_for_selector("#results .match[data-id]")
    assert page.locator("#collections a[aria-current] .name").inner_text() == "shop"
    assert page.locator("#question").input_value() == "coffee"


def test_nothing_is_found_by_axe_in_an_exported_explorer(chromium: Any, file: Path, origin: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is missing").Axe()
    page = chromium.new_context(viewport={"width": 390, "height": 844}).new_page()
    page.goto(f"{origin}/explore.html#tab=new&theme=dark")
    page.wait_for_selector("#lasting:not(:empty)")
    problems = violations(axe, page)
    page.set_input_files("#file", file)
    page.wait_for_selector("#send")
    problems += violations(axe, page)
    page.click("#send")
    page.wait_for_selector("#load-encoder")
    problems += violations(axe, page)
    load_encoder(page)
    page.click("#ask-it", timeout=LOAD_MS)
    ask(page)
    page.locator(".picturing summary").click()
    page.locator(".sharing summary").click()
    problems += violations(axe, page)
    page.context.close()
    assert problems == []


def test_the_page_works_below_a_path_of_a_plain_host(chromium: Any, folder: Path) -> None:
    with serving(folder.parent) as host:
        visit = Visit(chromium.new_page(), f"{host}/{folder.name}")
        page = visit.page
        page.goto(f"{visit.origin}/")
        page.wait_for_selector("article.chapter svg")
        page.click("nav.tools a[href^='explore.html']")
        page.wait_for_selector("#lasting:not(:empty)")
        page.click("#collections >> text=library")
        page.fill("#question", "books about felines")
        page.click("#ask")
        page.wait_for_selector("#results .match[data-id]")
        page.click("nav.tools a[href^='deeper.html']")
        page.click(".card[href='#zoom']")
        page.wait_for_selector("section[aria-labelledby='zoom-answer'] tr.chosen")
        assert page.locator(".head-map button").count() == 72
        page.click("#zoom-back")
        page.wait_for_selector("#results .match[data-id='i-am-a-cat']")
        assert (visit.errors, visit.strangers) == ([], [])
        page.close()
