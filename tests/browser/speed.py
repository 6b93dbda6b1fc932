"""How soon the page draws and how smoothly it moves, by the browser's own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
FRAMES = """(seconds) => new Promise((done) => {
  const slider = document.querySelector('#temperature');
  const began = performance.now();
  let frames = 0;
  const step = (now) => {
    if (now - began > seconds * 1000) return done((frames * 1000) / (now - began));
    slider.value = String(Math.round(200 + 190 * Math.sin((now - began) / 300)));
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    frames += 1;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""


def first_paint(page: Page) -> float:
    """Milliseconds from the request for the page to its first text or picture."""
    return cast(float, page.evaluate(PAINT))


def frames_a_second(page: Page, seconds: float = 3.0) -> float:
    """Frames drawn a second while the temperature slider moves to and fro, once a frame."""
    return cast(float, page.evaluate(FRAMES, seconds))


def many_rows(page: Page, count: int = 1000) -> None:
    """Paste `count` rows, and wait for their weights."""
    page.click(".all summary")
    page.fill("#paste", "\n".join(f"number {i} of a thousand things | thing {i}" for i in range(count)))
    page.click("#use-paste")
    page.wait_for_function(
        "(count) => document.querySelectorAll('.all tbody tr').length === Math.min(40, count)",
        arg=count,
        timeout=120_000,
    )
    page.wait_for_selector("#checking[data-state=agreed]", timeout=120_000)
