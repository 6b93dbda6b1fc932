"""An explorer without collections offers the demo, which is then asked."""

from __future__ import annotations

import httpx
from playwright.sync_api import expect

from softkv_service.datasets import DEMOS
from tests.browser.explore.conftest import Explore


def test_the_demo_is_loaded_and_answers(explore: Explore, writer: httpx.Client) -> None:
    page = explore().page
    page.get_by_role("button", name="Load the demo").click()
    expect(page.locator("#stage")).to_contain_text("One stands out", timeout=120_000)
    expect(page.locator("#stage")).to_contain_text("Old Possum's Book of Practical Cats")
    assert "collection=library" in page.url
    documents = list(DEMOS["library"].documents())
    assert writer.get("/v1/collections/library").json()["documents"] == len(documents)
    page.get_by_role("link", name="New collection").click()
    expect(page.get_by_role("heading", name="A new collection")).to_be_visible()
    assert page.get_by_role("button", name="Load the demo").count() == 0
