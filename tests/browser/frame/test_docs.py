"""The API's documentation: drawn from this service alone, and its calls can be tried there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.browser.reading import violations
from tests.running import RunningService


@pytest.fixture
def docs(chromium: Any, site: RunningService) -> Iterator[Any]:
    """Yield the open page; it may log no error and call no other host."""
    page = chromium.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(site.url) else wrong.append(request.url))
    page.goto(f"{site.url}/docs/api")
    page.wait_for_selector(".opblock")
    yield page
    page.close()
    assert wrong == []


def test_every_call_is_there(docs, site):
    paths = httpx.get(f"{site.url}/openapi.json", timeout=60).json()["paths"].values()
    assert docs.locator(".opblock").count() == sum(len(calls) for calls in paths)


def test_an_example_runs_as_it_stands(docs):
    call = docs.locator("#operations-attend-attend")
    call.locator(".opblock-summary-control").click()
    call.locator(".try-out__btn").click()
    call.locator(".execute").click()
    answer = call.locator(".live-responses-table")
    answer.wait_for()
    assert "200" in answer.locator(".response-col_status").all_inner_texts()[-1]
    assert "log_partition" in answer.inner_text()


def test_conventions_stand_below_the_calls_and_a_link_leads_home(docs, site):
    last = docs.locator(".opblock").last.bounding_box()["y"]
    conventions = docs.locator("#conventions")
    assert conventions.bounding_box()["y"] > last
    assert "Numbers are strict" in conventions.inner_text()
    assert docs.get_by_text("Numbers are strict").count() == 1
    assert docs.locator("nav.documentation a").first.evaluate("link => link.href") == f"{site.url}/"


def test_a_key_can_be_given(docs):
    docs.locator(".auth-wrapper .authorize").click()
    assert docs.locator(".auth-container").count() == 2


def test_no_reader_is_hindered(docs, axe):
    assert violations(axe, docs) == []
