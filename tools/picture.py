"""Pictures of the page: the one of the page for teachers, and the one that a link to the page is shown with.

python -m tools.picture    # starts the service, opens the page, and stores what it shows now
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import BROWSERS, FLAGS, PROJECTOR
from tests.running import RunningService
from tools import ROOT

FILE = ROOT / "docs" / "pictures" / "page.png"
MOST_BYTES = 150_000
COLOURS = 160
# Open Graph: the picture of the story's opening, without what a reader could press.
SHARED = ROOT / "workshop" / "softkv_workshop" / "web" / "og.png"
SHARED_SIZE = (1200, 630)
SHARED_BYTES = 120_000
OPENING = "#hard-and-soft&t=0.07&lang=en&theme=light"
ALONE = """.rail, .bar .tools { visibility: hidden !important; }
  .screen { min-height: calc(100vh - 3rem) !important; grid-template-rows: auto 1fr !important; }
  .screen > :is(.doing, .hood) { display: none !important; }"""
LOADED = "() => [...document.styleSheets].some((one) => /fonts/.test(one.href)) && document.fonts.status === 'loaded'"


def opening(chromium: Browser, url: str, size: tuple[int, int], style: str = "") -> bytes:
    """Return the story's first screen as a PNG, with its fonts and a further style."""
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, locale="en-GB", bypass_csp=True)
    page = context.new_page()
    page.goto(f"{url}/{OPENING}")
    page.add_style_tag(content=style)
    page.wait_for_function(LOADED)
    page.wait_for_function("() => document.querySelectorAll('.threads path').length > 0")
    page.wait_for_timeout(500)
    return page.screenshot()


def packed(shot: bytes, most: int) -> bytes:
    """Return a screenshot as a small PNG.

    Raises:
        ValueError: it would be too large.
    """
    result = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        result, "PNG", optimize=True
    )
    if result.tell() > most:
        raise ValueError(f"Expected at most {most} bytes, got {result.tell()}. Take fewer colours.")
    return result.getvalue()


def main() -> None:
    """Take them anew."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    with (
        tempfile.TemporaryDirectory() as data,
        RunningService(data_dir=Path(data), demo=()) as running,
        sync_playwright() as playwright,
    ):
        running.wait_until_ready()
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        FILE.write_bytes(packed(opening(chromium, running.url, PROJECTOR), MOST_BYTES))
        SHARED.write_bytes(packed(opening(chromium, running.url, SHARED_SIZE, ALONE), SHARED_BYTES))
        chromium.close()


if __name__ == "__main__":
    main()
