"""Every press of the lesson on a projector: nothing lies under the bar, no text is small, no text is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.running import RunningService
from tests.thorough import thorough
from workshop.tests.browser.story.conftest import ANSWERED, Read
from workshop.tests.browser.story.conftest import read as read
from workshop.tests.browser.story.test_clicker import STEPS

if TYPE_CHECKING:
    from playwright.sync_api import Page

# What a class sees of a step: each text with its box, its size and whether its element cuts it.
TEXTS = """([selectors, isWhole]) => {
  const isClipped = (owner) =>
    owner.scrollWidth > owner.clientWidth + 1 && getComputedStyle(owner).overflowX === 'hidden';
  const bar = document.querySelector('.lesson-bar').getBoundingClientRect();
  const top = document.querySelector('header.bar').getBoundingClientRect().bottom;
  const texts = [];
  for (const element of document.querySelectorAll(selectors)) {
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const owner = node.parentElement;
      if (!node.textContent.trim() || owner.closest('title, .unseen, option')) continue;
      if (!owner.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      const box = range.getBoundingClientRect();
      if (!box.width || !box.height) continue;
      texts.push({
        text: node.textContent.trim().slice(0, 60),
        size: parseFloat(getComputedStyle(owner).fontSize),
        isUnder: !owner.closest('.lesson-bar') && box.bottom > bar.top + 1,
        isAbove: isWhole && !owner.closest('.lesson-bar, header.bar') && box.top < top - 1,
        isCut: box.right > innerWidth + 1 || box.left < -1 || isClipped(owner),
      });
    }
  }
  return texts;
}"""
SIZES = {"1024 large": ((1024, 768), True, 22), "1024": ((1024, 768), False, 14), "1280": ((1280, 720), False, 14)}


def flaws(page: Page, selectors: str, least: float, *, whole: bool = True) -> list[str]:
    """Return what is wrong with the texts of elements: under a bar, too small, or cut."""
    found: list[dict[str, Any]] = page.evaluate(TEXTS, [selectors, whole])
    assert found, selectors
    return [
        f"{flaw}: {text['text']!r} ({text['size']:.1f} px)"
        for text in found
        for flaw, is_flaw in (
            ("under the bar", text["isUnder"]),
            ("above the screen", text["isAbove"]),
            ("cut", text["isCut"]),
            ("small", text["size"] < least - 0.05),
        )
        if is_flaw
    ]


def settle(page: Page) -> None:
    """Wait until nothing moves or scrolls."""
    page.wait_for_function(
        """() => new Promise((done) => {
          let before = '';
          let same = 0;
          const look = () => {
            const boxes = [...document.querySelectorAll('.screen, .slide, .doing')];
            const now = [scrollY, ...boxes.map((one) => one.getBoundingClientRect().height)].join();
            same = now === before ? same + 1 : 0;
            before = now;
            if (same > 8 && document.getAnimations().every((one) => one.playState !== 'running')) done(true);
            else requestAnimationFrame(look);
          };
          look();
        })"""
    )


def walk(page: Page, least: float, seen: Any = lambda page, i: None) -> dict[str, list[str]]:
    """Press through the lesson, and return the flaws of each step that has some."""
    wrong = {}
    for i, (_, step) in enumerate(STEPS):
        if step.get("room"):
            page.evaluate(f"sessionStorage.setItem('softkv-lesson', '{i + 1},{{}}'.replace('{{}}', Date.now()))")
            page.reload()
            page.wait_for_function(ANSWERED)
        elif i and not STEPS[i - 1][1].get("room"):
            page.keyboard.press("PageDown")
        if not step.get("room"):
            page.wait_for_function(
                f"() => document.querySelector('.lesson-bar .place')?.textContent === '{i + 1} / {len(STEPS)}'"
            )
            settle(page)
            screen = f"#{step.get('chapter')} .screen:nth-child({step.get('screen', 1)} of .screen)"
            hood = f"{screen} .hood[open] .inside" if step.get("hood") else None
            shown = ".slide" if step.get("slide") else hood or f"{screen} :is(header, .doing)"
            seen(page, i)
            panels = page.locator(".hood[open] .inside").count()
            assert panels == bool(step.get("hood")), step["shows"]
            if complaints := flaws(page, f"{shown}, .lesson-bar", least):
                wrong[f"{i + 1} {step['shows']['en']}"] = complaints
    return wrong


@pytest.mark.parametrize("name", ["1024 large", thorough("1024"), thorough("1280")])
@pytest.mark.parametrize("language", ["en", thorough("zh")])
def test_each_press_shows_all_of_its_step(read: Read, name: str, language: str) -> None:
    size, is_large, least = SIZES[name]
    page = read(f"?lesson#hard-and-soft&lang={language}{'&large=1' if is_large else ''}", size)
    page.wait_for_selector(".lesson-bar")
    assert walk(page, least) == {}


ROOM = ".door, .way-in, .asking, #shown > :not(figure), .lesson-bar"


@pytest.mark.parametrize("name", ["1024 large", thorough("1280")])
def test_the_room_of_a_lesson_is_readable(read: Read, site: RunningService, name: str) -> None:
    size, is_large, least = SIZES[name]
    page = read("?lesson", size)
    page.goto(f"{site.url}/room?lesson{'&projector=1' if is_large else ''}")
    page.wait_for_selector("#open")
    page.wait_for_selector(".lesson-bar")
    assert flaws(page, ROOM, least) == []
    page.keyboard.press("PageDown")
    code = page.locator("#letters").inner_text()
    assert flaws(page, ROOM, least) == []
    secret = {"X-Room-Secret": page.evaluate("JSON.parse(sessionStorage.getItem('softkv-room')).secret")}
    with site.client() as client:
        for i in range(30):
            client.put(f"/v1/rooms/{code}/rows/{i}", json={"key": f"thing {i}"}, headers=secret)
        client.post(f"/v1/rooms/{code}/questions", json={"query": "a kitten"}, headers=secret)
        page.wait_for_selector("#reveal")
        assert flaws(page, ROOM, least) == []
        page.keyboard.press("PageDown")
        for temperature in (0, 0.05, 1e300):
            shown = {"number": 1, "shown_temperature": temperature}
            client.patch(f"/v1/rooms/{code}", json={"question": shown}, headers=secret)
            page.wait_for_selector("#checking[data-state=agreed]", state="attached")
            assert flaws(page, ROOM, least) == []
    page.keyboard.press("PageDown")
    page.wait_for_url("**/?lesson*")
    assert page.evaluate("document.documentElement.dataset.projector") == ("on" if is_large else "off")
    page.wait_for_selector(".lesson-bar")
