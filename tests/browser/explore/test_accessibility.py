"""No finding of axe in any tab of the explorer, in both themes and languages, and nothing wider than its screen."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.explore.conftest import Explore
from tests.browser.explore.test_tasks import ASKED, fill, first_is
from tests.browser.reading import sideways, violations
from tests.thorough import thorough

LOOKS = [
    (PROJECTOR, "lang=en&theme=light&large=0"),
    (PHONE, "lang=zh&theme=dark&large=0"),
    ((1024, 768), "lang=en&theme=dark&large=1"),
    ((1920, 1080), "lang=zh&theme=light&large=0"),
]
IDLE = """() => !document.querySelector("[aria-busy=true]")
    && document.getAnimations().every(({ playState }) => playState !== "running")"""


@pytest.mark.parametrize("which", [0, thorough(1), thorough(2), thorough(3)])
def test_nothing_is_found_in_any_tab(explore: Explore, writer: httpx.Client, axe: Any, which: int) -> None:
    """A landing sees a projector and a phone, a night all sizes."""
    size, look = LOOKS[which]
    fill(writer)
    page = explore(f"{ASKED}&doc=b1&sort=-metadata.year&held=t%3D0.5&{look}", size).page
    problems: list[str] = []

    def look_at(where: str) -> None:
        page.wait_for_function(IDLE)
        problems.extend(f"{where}: {finding}" for finding in violations(axe, page))
        if wider := sideways(page):
            problems.append(f"{where}: {wider} px wider than the screen")

    first_is(page, "b2")
    page.wait_for_selector("#left-out")
    page.click("#filter-add")
    page.click(".more summary")
    page.wait_for_selector("#compared tr[data-id]")
    page.click("#raw")
    page.click("#edit")
    page.click("#delete")
    look_at("the question and the document")
    page.click("#document-close")
    tabs = [tab.get_attribute("id") or "" for tab in page.locator("#collections ~ * [role=tablist] > [id^=tab-]").all()]
    assert {"tab-ask", "tab-documents"} <= set(tabs)
    for tab in tabs:
        page.click(f"#{tab}")
        page.wait_for_selector(f"#{tab}[aria-selected=true]")
        look_at(tab)
    for link in page.locator("#collections .service a").all():
        if size == PHONE:
            page.click("#drawer")
            look_at("the drawer")
        link.click()
        look_at(link.inner_text())
    page.click("#key")
    look_at("the key box")
    assert problems == []
