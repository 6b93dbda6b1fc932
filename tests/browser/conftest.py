"""The page in a real browser, on the real service. Tests skip without a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.running import RunningService

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first one has no windows, and takes less processor time for a test."""

FLAGS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
PROJECTOR = (1280, 720)
PHONE = (390, 844)
DRAWN = (
    "#story article:not([hidden]) .screen, #lesson > :nth-child(2), #stage > :nth-child(2), #stage :is(.tab, .empty)"
)
"""What each document has once its script has drawn it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if os.path.dirname(__file__) in str(item.path):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def browser_path() -> str:
    """Return the path of this machine's browser."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    return path


@pytest.fixture(scope="module")
def chromium(browser_path: str) -> Iterator[Browser]:
    """A browser; one a module, since playwright keeps an event loop running in the thread of the tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def axe() -> Any:
    """Return axe, which finds what hinders a reader; it is loaded into each page."""
    return pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    ).Axe()


@pytest.fixture(scope="session")
def site(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The service with the two small demo collections."""
    with RunningService(data_dir=tmp_path_factory.mktemp("site"), demo=("library", "videos")) as running:
        running.wait_until_ready()
        yield running


class Visit:
    """A page that is open, and what went wrong while it was.

    Args:
        page: the browser's page.
        origin: where the service or the exported page is.
    """

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.origin = origin
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.requests: list[str] = []
        self.disturbed = False
        page.on("console", lambda message: self._logged(message.type, message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))

    def _logged(self, kind: str, text: str) -> None:
        if "ERR_NETWORK_CHANGED" in text:  # this machine's doing, as when a container starts
            self.disturbed = True
        elif kind == "error":
            self.errors.append(text)

    def _asked(self, url: str) -> None:
        self.requests.append(url)
        if not url.startswith((self.origin, "blob:")):  # a blob is what the page itself has made
            self.strangers.append(url)

    def asked(self) -> list[str]:
        """Return the calls to the service so far; the page may still load files."""
        return [url for url in self.requests if "/v1/" in url]

    def go(self, where: str) -> Page:
        """Open a part of the page, and wait until it has its answers."""
        self.page.goto(f"{self.origin}/{where}")
        try:
            self.page.wait_for_selector(DRAWN, state="attached", timeout=240_000)
        except Exception as failure:
            if not self.disturbed:
                raise AssertionError(f"{where} stays blank: {self.errors}, {self.page.content()[:500]}") from failure
            self.page.reload()
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until nothing is being asked."""
        self.page.wait_for_selector(DRAWN, state="attached")
        self.page.wait_for_selector("[aria-busy=true], .partial", state="detached")
        self.page.wait_for_timeout(50)


Open = Callable[..., Visit]


@pytest.fixture
def visit(chromium: Browser, site: RunningService) -> Iterator[Open]:
    """Yield a function that opens pages; after the test none may have logged an error or called another host."""
    visits: list[Visit] = []
    contexts: list[Any] = []

    def start(where: str = "", size: tuple[int, int] = PROJECTOR, origin: str = site.url, **options: Any) -> Visit:
        context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        contexts.append(context)
        context.set_default_timeout(240_000)  # a slow machine may train for minutes
        opened = Visit(context.new_page(), origin)
        visits.append(opened)
        opened.go(where)
        return opened

    yield start
    for context in contexts:
        context.close()
    assert [error for one in visits for error in one.errors] == []
    assert [url for one in visits for url in one.strangers] == []
