"""The documentation site in a browser, as the service serves it: search, dark mode, and the API reference beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.running import RunningService


@pytest.fixture(scope="module")
def documented(documentation_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Yield a service with the built site."""
    data = tmp_path_factory.mktemp("documented")
    with RunningService(data_dir=data, encoder="none", site=documentation_site) as running:
        running.wait_until_ready()
        yield running


def is_wrong(message: Any) -> bool:
    """Return whether a line of the console is an error; a drawing alone has no icon, for which a browser asks."""
    return message.type in {"error", "warning"} and not message.location["url"].endswith("/favicon.ico")


@pytest.fixture(params=[PROJECTOR, PHONE], ids=["projector", "phone"])
def page(chromium: Any, documented: RunningService, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Yield the open site; it may log no error and call no other host."""
    width, height = request.param
    page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme="light")
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if is_wrong(message) else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda each: None if each.url.startswith(documented.url) else wrong.append(each.url))
    page.goto(f"{documented.url}/docs")
    page.wait_for_load_state("networkidle")  # the search is ready
    yield page
    page.close()
    assert wrong == []


def test_a_reader_searches_and_follows_a_result(page):
    page.locator("label.md-header__button[for=__search], .md-search__button").locator("visible=true").first.click()
    page.wait_for_function("document.activeElement.shadowRoot?.activeElement?.tagName === 'INPUT'")
    page.keyboard.type("quantiles")
    result = page.locator("a").filter(has_text="Guide").filter(has_text="Read a field").first
    result.click()
    page.wait_for_url("**/docs/guide/reading.html*")
    assert page.locator("article h1").inner_text().startswith("Read a field")


def test_every_kind_of_page_opens_and_fits_its_window(page):
    start = page.url
    kinds = ("start/notebook", "guide/asking", "reference/glossary", "reference/http", "reference/python/client")
    for name in (*kinds, "operate/container", "operate/certificate"):
        page.goto(f"{start}{name}.html")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_a_drawing_opens_by_itself(page):
    page.goto(f"{page.url}pictures/null-key.svg")
    assert page.evaluate("document.styleSheets[0].cssRules.length") > 0


def test_the_site_and_the_api_reference_lead_to_each_other(page):
    home = page.url
    page.goto(f"{home}reference/http.html")
    page.wait_for_selector("#description .opblock")
    assert page.get_by_role("button", name="Try it out").count() == 0
    page.get_by_role("link", name="on a page of this service").click()
    page.wait_for_selector(".opblock")
    assert page.url == f"{home}api"
    page.get_by_role("link", name="Documentation").click()
    page.wait_for_url(home)
