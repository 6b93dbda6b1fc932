"""The service goes and returns under an open page, which says so and recovers by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.running import RunningService


def test_a_restart_under_an_open_page(visit: Any, tmp_path: Path) -> None:
    with RunningService(data_dir=tmp_path) as running:
        running.wait_until_ready()
        opened = visit("deeper#four", origin=running.url)
        page, port = opened.page, running.port
        before = page.locator("#way-attention").inner_text()
    page.fill("#question", "how to play a game")
    page.wait_for_selector(".notice:visible")
    assert "does not answer" in page.locator(".notice").inner_text()
    assert page.locator("article.unanswered").count() == 1
    with RunningService(data_dir=tmp_path, port=port) as running:
        running.wait_until_ready()
        page.wait_for_selector(".notice", state="hidden", timeout=240_000)
        opened.settle()
        assert page.locator("article.unanswered").count() == 0
        assert page.locator("#question").input_value() == "how to play a game"
        assert page.locator("#way-attention").inner_text() != before
    # The browser logs unanswered requests, which this test causes.
    opened.errors[:] = [error for error in opened.errors if "ERR_" not in error and "503" not in error]
