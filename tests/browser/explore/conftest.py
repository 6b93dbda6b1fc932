"""Visits to the explorer, the page at `/explore`, on a service that begins without collections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.browser.conftest import PROJECTOR, Visit
from tests.running import RunningService

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

Explore = Callable[..., Visit]
LATE: dict[str, Any] = {"rerank": {"model": "late"}}
"""What the explorer asks with by itself: a person's question is looked at twice."""
READ = "() => document.querySelector('#stage .tab, #stage .empty')"


@pytest.fixture(scope="session")
def running(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service with the real encoder."""
    with RunningService(data_dir=tmp_path_factory.mktemp("explored")) as service:
        service.wait_until_ready()
        yield service


@pytest.fixture
def empty(running: RunningService) -> RunningService:
    """Return a service without collections."""
    with running.client() as client:
        for collection in client.get("/v1/collections").json()["collections"]:
            client.delete(f"/v1/collections/{collection['name']}").raise_for_status()
    return running


@pytest.fixture
def writer(empty: RunningService) -> Iterator[httpx.Client]:
    """A client of the service without collections."""
    with empty.client() as client:
        yield client


@pytest.fixture
def explore(chromium: Browser, empty: RunningService) -> Iterator[Explore]:
    """Yield a function that opens the explorer; after the test no page may have logged an error or called another host.

    What a page logs by intent, such as a refused call, a test takes out of `errors` of its visit.
    """
    visits: list[Visit] = []
    contexts: list[Any] = []

    def start(
        where: str = "", size: tuple[int, int] = PROJECTOR, origin: str = empty.url, ready: str = READ, **options: Any
    ) -> Visit:
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        context.set_default_timeout(240_000)
        contexts.append(context)
        opened = Visit(context.new_page(), origin)
        visits.append(opened)
        opened.page.goto(f"{origin}/explore{where}")
        opened.page.wait_for_function(ready)
        return opened

    yield start
    for context in contexts:
        context.close()
    assert [error for one in visits for error in one.errors] == []
    assert [url for one in visits for url in one.strangers] == []


def tab_to(page: Page, selector: str) -> None:
    """Go on with the keyboard until an element has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")
