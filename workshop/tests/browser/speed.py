"""How soon the page draws and how smoothly it moves, by the browser's own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from playwright.sync_api import Page

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


def frames_a_second(page: Page, seconds: float = 3.0) -> float:
    """Frames drawn a second while the temperature slider moves to and fro, once a frame."""
    return cast(float, page.evaluate(FRAMES, seconds))
