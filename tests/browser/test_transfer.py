"""What the page weighs, and how soon and how smoothly it draws."""

from __future__ import annotations

from typing import Any

from tests.browser.reading import checked
from tests.browser.speed import first_paint, frames_a_second, many_rows

MOST_BYTES = 350 * 1024
# Far below what is aimed at (50): a shared machine without a graphics card must not fail for being slow.
FEWEST_FRAMES = 10


def test_at_most_350_kilobytes_are_transferred(visit: Any) -> None:
    opened = visit("#scene=library&lang=zh")
    entries = opened.page.evaluate(
        "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
        ".filter((entry) => !entry.name.includes('/v1/')).map((entry) => [entry.name, entry.transferSize])"
    )
    assert len(entries) > 20
    assert sum(size for _, size in entries) <= MOST_BYTES, sorted(entries, key=lambda entry: -entry[1])[:10]


def test_a_thousand_rows_follow_the_slider(visit: Any) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    assert first_paint(page) > 0
    many_rows(page)
    assert checked(page) < 1e-9
    assert "1,000" in page.locator(".all h2").inner_text()
    frames = frames_a_second(page, 2.0)
    assert frames > FEWEST_FRAMES
    assert page.locator(".drawn .total").inner_text() == "Σ = 1.000"
