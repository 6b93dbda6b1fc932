"""Visits to the story, the page at `/`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.conftest import PROJECTOR, Visit
from tests.running import RunningService

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ANSWERED = "() => performance.getEntriesByName('answered').length > 0"
Read = Callable[..., "Page"]


@pytest.fixture
def read(chromium: Browser, site: RunningService) -> Iterator[Read]:
    """Yield a function that opens a chapter; after the test no page may have logged an error or called another host."""
    visits: list[Visit] = []
    contexts: list[Any] = []

    def start(where: str = "", size: tuple[int, int] = PROJECTOR, *, moving: bool = False, **options: Any) -> Page:
        motion = "no-preference" if moving else "reduce"
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, reduced_motion=motion, **options)
        context.set_default_timeout(240_000)
        contexts.append(context)
        opened = Visit(context.new_page(), site.url)
        visits.append(opened)
        opened.page.goto(f"{site.url}/{where}")
        opened.page.wait_for_function(ANSWERED)
        return opened.page

    yield start
    for context in contexts:
        context.close()
    assert [error for one in visits for error in one.errors] == []
    assert [url for one in visits for url in one.strangers] == []


def weights(page: Page, screen: str) -> list[float]:
    """Return the weight that each thread of a screen's picture says it is drawn for."""
    threads = page.locator(f"{screen} .threads").first.locator(".left .thread")
    return [float(thread.get_attribute("data-weight") or "nan") for thread in threads.all()]


def thickness(page: Page, screen: str) -> list[float]:
    """Return the thickness of each thread where it leaves the question, in pixels; 0 where there is no thread."""
    measured: list[float] = page.evaluate(
        """(screen) => [...document.querySelectorAll(`${screen} .screen:first-child .left .thread`)].map((path) => {
          const numbers = (path.getAttribute('d') ?? '').match(/-?[\\d.]+/g)?.map(Number);
          return numbers ? numbers.at(-1) - numbers[1] : 0;
        })""",
        screen,
    )
    return measured
