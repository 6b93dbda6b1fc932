"""The picture of the workshop page that the README shows.

python -m tests.picture    # starts the service, opens the page, and stores what it shows now
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import BROWSERS, FLAGS, PROJECTOR
from tests.examples import ROOT
from tests.running import RunningService

FILE = ROOT / "docs" / "pictures" / "page.png"
SCENE = "scenes#scene=library&t=0.06"
MOST_BYTES = 150_000
COLOURS = 160


def drawn(url: str, browser: str) -> bytes:
    """Return the scene as a PNG, after its numbers equal the service's and its fonts are loaded."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=FLAGS)
        page = chromium.new_page(viewport={"width": PROJECTOR[0], "height": PROJECTOR[1]}, locale="en-GB")
        page.goto(f"{url}/{SCENE}")
        page.wait_for_selector("#checking[data-state=agreed]", timeout=60_000)
        page.wait_for_function("() => document.querySelector('#fonts')?.sheet && document.fonts.status === 'loaded'")
        page.wait_for_timeout(500)
        shot = page.screenshot()
        chromium.close()
    return shot


def main() -> None:
    """Take it anew."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"no browser: none of {', '.join(BROWSERS)} is on PATH")
    with tempfile.TemporaryDirectory() as data, RunningService(data_dir=Path(data), demo=("library",)) as running:
        running.wait_until_ready()
        shot = drawn(running.url, browser)
    packed = io.BytesIO()
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        packed, "PNG", optimize=True
    )
    if packed.tell() > MOST_BYTES:
        sys.exit(f"{FILE.name} would have {packed.tell()} bytes: take fewer colours")
    FILE.write_bytes(packed.getvalue())


if __name__ == "__main__":
    main()
