"""A picture in a sandboxed frame, as a notebook shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.browser.frame.test_frames import framing
from tests.running import RunningService


def test_the_page_works_in_a_sandboxed_frame(chromium: Any, tmp_path: Path) -> None:
    """Notebooks show their outputs so: the document's origin is null, and even its own files have another origin."""
    open_to_all = {"frame_ancestors": "*", "cors_origins": ("*",)}
    with RunningService(data_dir=tmp_path, **open_to_all) as running:
        running.wait_until_ready()
        with framing(f"{running.url}/deeper?embed=1#four", 'sandbox="allow-scripts" width="1200" height="700"') as site:
            page = chromium.new_page()
            page.goto(site, wait_until="load")
            frame = page.frame_locator("iframe")
            frame.locator("#way-attention li").first.wait_for(timeout=240_000)
            for hidden in (".bar", ".rail", ".sentence"):
                assert not frame.locator(hidden).first.is_visible(), hidden
            assert frame.locator("#temperature").is_visible()
            page.close()
