"""The workshop's documents below a path of a proxy: everything that they load and call begins with that path."""

from __future__ import annotations

import pytest

from tests.browser.conftest import Open
from tests.browser.frame.test_prefix import address as address
from tests.thorough import thorough


def test_a_question_is_answered_with_the_path(visit: Open, address: str) -> None:
    opened = visit("deeper#four", origin=address)
    opened.page.wait_for_selector("#way-attention li")
    assert opened.page.url == f"{address}/deeper#four"
    assert opened.asked()
    assert [url for url in opened.requests if not url.startswith(f"{address}/")] == []


@pytest.mark.parametrize("where", ["lesson.html", thorough("worksheet.html"), "room"])
def test_every_other_document_opens(visit: Open, address: str, where: str) -> None:
    opened = visit(where, origin=address)
    assert opened.page.url.startswith(f"{address}/{where}")
    if where == "room":
        opened.page.locator("a.mark").click()
        opened.page.wait_for_url(f"{address}/")
