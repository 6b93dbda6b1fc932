"""Parallel steps beside recurrent steps: the states wait for one another, the links of attention do not."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import module, sideways
from tools.page import WORKSHOP
from workshop.tests.browser.story.conftest import Read

STEPS = "/story/parts/steps.js"
WORDS = ["The", "dog", "chased", "the", "cat"]
N = len(WORDS)
TEXTS = json.loads((WORKSHOP / "story" / "parts" / "steps.json").read_text(encoding="utf-8"))
# Put into the page alone; what it says has its plural chosen here.
MOUNT = """async ({parallelSteps}, {words, texts, reduced}) => {
  const say = (name, places = {}) => texts[name]
    .replace(/\\{(\\w+)\\|([^|}]*)\\|((?:[^{}]|\\{\\w+\\})*)\\}/g, (_, count, one, other) => places[count] === 1 ? one : other)
    .replace(/\\{(\\w+)\\}/g, (_, name) => places[name]);
  window.steps = parallelSteps({words, say, reduced});
  document.querySelector('main').replaceChildren(window.steps.element);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""  # noqa: E501
SEEN = """() => [document.querySelectorAll('.state.lit').length,
  [...document.querySelectorAll('.arrow')].filter((one) => one.getAttribute('opacity') === '1').length,
  [...document.querySelectorAll('.link')].filter((one) => one.getAttribute('opacity') === '1').length,
  document.querySelectorAll('.output.lit').length,
  ...[...document.querySelectorAll('.count')].map((one) => one.textContent)]"""
PLAYED = f"""async () => {{ const seen = {SEEN}; const all = []; let over = false;
  const watch = () => {{ all.push(seen()); if (!over) requestAnimationFrame(watch); }};
  watch();
  const whole = await window.steps.play();
  over = true;
  return [whole, [...all, seen()]]; }}"""


def mount(page: Any, language: str = "en", *, reduced: bool = False) -> None:
    module(page, STEPS, MOUNT, {"words": WORDS, "texts": TEXTS[language], "reduced": reduced})


def test_states_come_one_after_another_and_links_all_at_once(read: Read) -> None:
    page = read(moving=True)
    mount(page)
    whole, seen = page.evaluate(PLAYED)
    assert whole
    states, arrows, links, outputs, later, once = map(list, zip(*seen, strict=True))
    assert sorted(set(states)) == list(range(N + 1))
    assert (np.diff(states) >= 0).all()
    assert max(arrows) == N - 1
    assert set(links) == {0, N * N}
    assert set(outputs) == {0, N}
    # All of attention is there when the first state is; the last state needs a step for each word.
    assert states[outputs.index(N)] == 1
    assert (later[-1], once[-1]) == (f"{N} steps", "1 step")
    assert later[states.index(N) - 1] == f"{N - 1} steps"


def test_parallel_steps_stand_still_at_their_end_with_reduced_motion(read: Read) -> None:
    page = read()
    mount(page, reduced=True)
    assert page.evaluate(SEEN) == [N, N - 1, N * N, N, f"{N} steps", "1 step"]
    assert not page.locator(".steps-beside button").is_visible()
    assert f"{N * N} links" in (page.get_attribute(".parallel-steps", "aria-label") or "")


@pytest.mark.parametrize(("size", "language"), [(PROJECTOR, "en"), (PHONE, "zh")])
def test_each_moment_can_be_drawn_and_nothing_overlaps(read: Read, size: tuple[int, int], language: str) -> None:
    page = read("", size)
    mount(page, language)
    page.evaluate("window.steps.film(0.5)")
    lit, *_, later, once = page.evaluate(SEEN)
    assert lit == 2
    assert [re.sub(r"\D", "", text) for text in (later, once)] == ["2", "1"]
    boxes = page.evaluate(
        """() => [...document.querySelectorAll('.parallel-steps text')].map((one) => {
          const {left, right, top, bottom} = one.getBoundingClientRect(); return [left, right, top, bottom]; })"""
    )
    for i, (left, right, top, bottom) in enumerate(boxes):
        assert not any(left < r and le < right and top < b and t < bottom for le, r, t, b in boxes[:i])
    assert sideways(page) <= 0
    assert set(TEXTS["en"]) == set(TEXTS["zh"])
