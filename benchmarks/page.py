"""The workshop page in a browser: what it transfers, its first paint, and frames a second over 1,000 rows.

    python -m benchmarks.page [--rows 1000] [--rounds 3]

First paint and frames are read from the browser's own tracing. It needs chromium on PATH.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.running import Service
from tests.browser.speed import frames_a_second, many_rows

CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline.frame", "loading", "blink.user_timing"]
FLAGS = ["--no-sandbox", "--disable-background-networking"]
SECONDS = 3.0
TRANSFERRED = """() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
  .filter((entry) => !entry.name.includes('/v1/')).reduce((sum, entry) => sum + entry.transferSize, 0)"""


def traced(browser: Browser, page: Page, work: Any) -> list[dict[str, Any]]:
    """The browser's trace of what `work` makes the page do."""
    browser.start_tracing(page=page, categories=CATEGORIES)
    work()
    events: list[dict[str, Any]] = json.loads(browser.stop_tracing())["traceEvents"]
    return events


def first_paint(events: list[dict[str, Any]]) -> float:
    """Milliseconds from navigation to the first content painted."""
    painted = next(event for event in events if event["name"] == "firstContentfulPaint")
    started = [e["ts"] for e in events if e["name"] == "navigationStart" and e["ts"] < painted["ts"]]
    return (painted["ts"] - max(started)) / 1e3


def frames(events: list[dict[str, Any]]) -> float:
    """Frames drawn a second, from the first to the last."""
    drawn = sorted(event["ts"] for event in events if event["name"] == "DrawFrame")
    return (len(drawn) - 1) / ((drawn[-1] - drawn[0]) / 1e6)


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        print("there is no chromium on PATH: install it, or leave this benchmark out", file=sys.stderr)
        return 1
    paints, rates = [], []
    with (
        tempfile.TemporaryDirectory() as data,
        Service(Path(data), "--demo", "library") as service,
        sync_playwright() as playwright,
    ):
        service.wait_until_ready()
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        for _ in range(options.rounds):
            page = browser.new_page(viewport={"width": 1280, "height": 720})
            events = traced(browser, page, lambda page=page: page.goto(service.url, wait_until="networkidle"))
            paints.append(first_paint(events))
            transferred = page.evaluate(TRANSFERRED) / 1024
            page.goto(f"{service.url}/#scene=rows")
            many_rows(page, options.rows)
            rates.append(frames(traced(browser, page, lambda page=page: frames_a_second(page, SECONDS))))
            page.close()
        browser.close()
    table = Table(title=f"the page at 1280 × 720, medians of {options.rounds}")
    for column in ("transferred", "first paint", f"frames/s, {options.rows:,} rows"):
        table.add_column(column, justify="right")
    table.add_row(f"{transferred:,.0f} KiB", f"{np.median(paints):,.0f} ms", f"{np.median(rates):.0f}")
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
