"""A service with keys: the page asks for one, and keeps it in the tab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.running import RunningService


def test_the_page_asks_for_a_key_and_keeps_it_in_the_tab(visit: Any, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"api_keys": ("a-writing-key",), "read_keys": ("a-reading-key",)}
    with RunningService(data_dir=tmp_path, **settings) as keyed:
        keyed.wait_until_ready()
        opened = visit("deeper#four", origin=keyed.url)
        page = opened.page
        page.fill("#api-key", "no-key-of-ours")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.querySelector('.notice').textContent.includes('refused')")
        page.fill("#api-key", "a-reading-key")
        page.keyboard.press("Enter")
        page.wait_for_selector("#way-attention li")
        assert "a-reading-key" not in page.url
        page.reload()
        page.wait_for_selector("#way-attention li")
        assert page.locator("#api-key").count() == 0
    opened.errors[:] = [error for error in opened.errors if "401" not in error]  # which the browser logs
