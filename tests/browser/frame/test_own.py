"""Rows of a reader in an exported page: from a file or a link to an answer, in the browser alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Visit
from tests.browser.frame.conftest import LOAD_MS
from tests.browser.reading import number, share
from tests.running import RunningService

CSV = '''title,description,price
espresso machine,"Makes strong coffee, with a frother",249.5
blue bicycle,A city bike with eight gears,480
garden hose,Twenty metres of rubber,25
desk lamp,Warm light for reading,35
winter coat,"Down filled, very warm",180
"tea pot, ""cast iron""",Holds one litre,60
chess set,Wooden pieces and a board,45
,no title here,1
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
    page.wait_for_selector("#results li[data-id]")
    page.wait_for_selector("[aria-busy=true]", state="detached")


def test_a_file_is_answered_as_by_the_service(offline: Visit, file: Path, site: RunningService) -> None:
    page = take(offline, file)
    ask(page)
    rows = [line.split(",", 1)[0] for line in CSV.splitlines()[1:6]] + ['tea pot, "cast iron"', "chess set"]
    documents = [{"id": f"shop-{i + 2}", "key": key, "value": key} for i, key in enumerate(rows)]
    with site.client() as client:
        client.put("/v1/collections/own-shop", json={}).raise_for_status()
        client.post("/v1/collections/own-shop/documents", json={"documents": documents}).raise_for_status()
        answer = client.post("/v1/collections/own-shop/attend", json={"query": QUESTION}).json()
        client.delete("/v1/collections/own-shop")
    shown = {
        item.get_attribute("data-id"): (item.locator(".share .number").inner_text(), item.locator(".likeness"))
        for item in page.locator("#results li[data-id]").all()
    }
    assert len(shown) == len(rows)
    for match in answer["matches"]:
        weight, similarity = shown[match["id"]]
        assert abs(share(weight) - match["weight"]) < 0.02, match["key"]
        assert abs(number(similarity.inner_text().split()[-1]) - match["similarity"]) < 0.01, match["key"]
    assert page.locator("#strip").get_attribute("data-verdict") == answer["evidence"]["verdict"] == "one"
    page.locator("#temperature").focus()
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('#strip').dataset.verdict !== 'one'")
    page.locator("#temperature-own").click()
    page.wait_for_function("document.querySelector('#strip').dataset.verdict === 'one'")
    ask(page, "the tax return of my uncle")
    page.wait_for_function("document.querySelector('#strip').dataset.verdict === 'none'")
    assert "below" in page.locator("#strip .reason").inner_text()


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
