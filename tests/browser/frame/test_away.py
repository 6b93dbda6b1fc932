"""The service goes and returns under an open page, which reports that, marks old results, and recovers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.reading import checked, slide, weights
from tests.running import RunningService


class Restarting:
    """One service that is stopped and started again, on the same port and with the same data."""

    def __init__(self, data_dir: Path) -> None:
        self.settings: dict[str, Any] = {"data_dir": data_dir, "demo": ("library",)}
        self.running = RunningService(**self.settings)
        self.port = self.running.port

    @property
    def url(self) -> str:
        return self.running.url

    def start(self) -> None:
        self.running.__enter__()
        self.running.wait_until_ready()

    def stop(self) -> None:
        self.running.__exit__()

    def again(self) -> None:
        self.running = RunningService(port=self.port, **self.settings)
        self.start()


@pytest.fixture
def restarting(chromium: Any, tmp_path: Path) -> Iterator[Restarting]:
    one = Restarting(tmp_path)
    one.start()
    yield one
    one.stop()


def forgive(opened: Any) -> None:
    """Ignore the browser's log lines of unanswered requests, which this test causes."""
    opened.errors[:] = [error for error in opened.errors if "ERR_" not in error and "503" not in error]


def test_a_restart_under_an_open_page(restarting: Restarting, visit: Any) -> None:
    opened = visit("", origin=restarting.url)
    page = opened.page
    before = weights(page)
    restarting.stop()
    page.fill("#question", "how to train a dog")
    page.wait_for_selector("#notice .notice")
    assert page.locator(".lookup.stale").count() == 1
    assert float(page.locator(".right").evaluate("(part) => getComputedStyle(part).opacity")) < 0.7
    assert "by itself" in page.locator("#notice").inner_text()
    restarting.again()
    page.wait_for_selector("#notice .notice", state="detached", timeout=240_000)
    opened.settle()
    assert page.locator(".stale").count() == 0
    assert page.locator("#question").input_value() == "how to train a dog"
    assert weights(page) != before
    assert checked(page) < 1e-9
    forgive(opened)


def test_a_network_that_returns_is_used_at_once(restarting: Restarting, visit: Any) -> None:
    opened = visit("", origin=restarting.url)
    page = opened.page
    checked(page)
    before = page.locator("#summary").inner_text()
    page.context.set_offline(True)
    page.fill("#question", "how to train a dog")
    page.wait_for_selector("#notice .notice")
    opacity = "(part) => getComputedStyle(part).opacity"
    assert all(float(page.locator(part).evaluate(opacity)) < 0.5 for part in ("#verdict", "#summary"))
    # No long timer asks again from now on: only the event of the network does.
    page.evaluate("""() => {
      const timer = window.setTimeout;
      window.setTimeout = (work, after, ...more) => (after >= 1000 ? 0 : timer(work, after, ...more));
    }""")
    page.wait_for_timeout(1500)
    page.context.set_offline(False)
    page.wait_for_selector("#notice .notice", state="detached")
    page.wait_for_function("(was) => document.querySelector('#summary').textContent !== was", arg=before)
    assert page.locator(".stale").count() == 0
    forgive(opened)


def test_a_scene_without_its_rows_leads_to_those_that_are_there(restarting: Restarting, visit: Any) -> None:
    opened = visit("#scene=videos", origin=restarting.url, covered=True)
    page = opened.page
    page.wait_for_selector("#notice .there button")
    assert not page.locator("#prediction").is_visible()
    assert page.locator("#notice .there button").all_inner_texts() == ["library", "your own rows"]
    assert (
        "library" in page.locator("#source option").first.get_attribute("value") + page.locator("#source").inner_text()
    )
    page.click("#notice .there button[value=library]")
    page.wait_for_selector("#prediction .choice")
    assert page.locator("#notice").inner_text() == ""
    assert page.locator("#source").input_value() == "library"
    opened.errors[:] = [error for error in opened.errors if "404" not in error]  # which a browser logs


def test_the_slider_on_an_answer_that_cannot_be_checked(restarting: Restarting, visit: Any) -> None:
    opened = visit("", origin=restarting.url)
    page = opened.page
    checked(page)
    restarting.stop()
    slide(page, 250)
    page.wait_for_selector(".lookup.stale")
    restarting.again()
    page.wait_for_selector(".stale", state="detached", timeout=240_000)
    assert checked(page) < 1e-9
    forgive(opened)


def test_a_scene_whose_view_did_not_come(restarting: Restarting, visit: Any) -> None:
    opened = visit("", origin=restarting.url)
    page = opened.page
    checked(page)
    restarting.stop()
    page.select_option("#scene", "steps")
    page.wait_for_timeout(500)
    restarting.again()
    page.wait_for_selector(".story .choice", timeout=240_000)
    page.wait_for_function("() => document.querySelector('#scene').value === 'steps'")
    forgive(opened)


def test_another_view_recovers_too(restarting: Restarting, visit: Any) -> None:
    opened = visit("#scene=steps", origin=restarting.url)
    page = opened.page
    page.wait_for_selector(".formula")
    restarting.stop()
    page.check("#causal")
    page.wait_for_selector("#notice .notice")
    assert page.locator(".stale").count() == 1
    restarting.again()
    page.wait_for_selector("#notice .notice", state="detached", timeout=240_000)
    assert page.locator(".stale").count() == 0
    assert page.is_checked("#causal")
    forgive(opened)
