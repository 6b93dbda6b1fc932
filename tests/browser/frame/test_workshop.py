"""The workshop in a minute: the story is drawn with its answer, and leads to the explorer and back."""

from __future__ import annotations

from tests.browser.conftest import Open


def test_the_story_answers_and_the_explorer_leads_back_to_it(visit: Open) -> None:
    page = visit().page
    page.wait_for_function("() => performance.getEntriesByName('answered').length > 0")
    page.goto(f"{page.url.partition('#')[0]}explore")
    page.wait_for_selector("#stage .tab")
    page.click("h1 a.mark")
    page.wait_for_selector("#story article .screen")
