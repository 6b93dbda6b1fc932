"""What the page weighs, and how soon and how smoothly it draws."""

from __future__ import annotations

from typing import Any

from tests.browser.reading import checked

MOST_BYTES = 350 * 1024


def test_at_most_350_kilobytes_are_transferred(visit: Any) -> None:
    opened = visit("#scene=library&lang=zh")
    entries = opened.page.evaluate(
        "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
        ".filter((entry) => !entry.name.includes('/v1/')).map((entry) => [entry.name, entry.transferSize])"
    )
    assert len(entries) > 20
    assert sum(size for _, size in entries) <= MOST_BYTES, sorted(entries, key=lambda entry: -entry[1])[:10]


def test_a_thousand_rows_follow_the_slider(visit: Any) -> None:
    """No frame rate is asserted, machines differ; but a thousand rows must move at all, and stay right."""
    opened = visit("#scene=rows")
    page = opened.page
    page.click(".all summary")
    page.fill("#paste", "\n".join(f"number {i} of a thousand things | thing {i}" for i in range(1000)))
    page.click("#use-paste")
    page.wait_for_timeout(600)
    page.wait_for_selector("[aria-busy=true]", state="detached", timeout=90_000)
    page.wait_for_selector("#checking[data-state=agreed]", timeout=90_000)
    assert checked(page) < 1e-9
    assert "1,000" in page.locator(".all h2").inner_text()
