"""A lesson by clicker: Page Down follows the plan, with its clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.thorough import thorough
from tools.page import WORKSHOP
from workshop.tests.browser.story.conftest import Read, weights
from workshop.tests.browser.story.test_screens import CHAPTERS

if TYPE_CHECKING:
    from playwright.sync_api import Page

PLAN = json.loads((WORKSHOP / "lesson" / "plan.json").read_text())
STEPS = [(part, step) for part in PLAN["parts"] for step in part["steps"]]
MOST_PRESSES = 40


def place(page: Page) -> str:
    return page.locator(".lesson-bar .place").inner_text()


@pytest.mark.thorough
def test_the_clicker_walks_the_whole_plan(read: Read) -> None:
    page = read("?lesson=1")
    bar = page.locator(".lesson-bar").bounding_box()
    assert bar
    assert bar["y"] + bar["height"] == page.evaluate("innerHeight")
    presses = 0
    is_shown = False  # back from the room, the step after it is there without another press
    for i, (part, step) in enumerate(STEPS[1:], 2):
        if not is_shown:
            page.keyboard.press("PageDown")
            presses += 1
        is_shown = False
        if step.get("room"):
            page.wait_for_url("**/room?lesson*")
            page.wait_for_selector("#open")
            page.wait_for_selector(".lesson-bar")
            page.keyboard.press("PageDown")
            page.wait_for_selector("#letters")
            page.keyboard.press("PageDown")
            presses += 2
            page.wait_for_url("**/?lesson*")
            is_shown = True
            continue
        page.wait_for_function(
            f"() => document.querySelector('.lesson-bar .place')?.textContent === '{i} / {len(STEPS)}'"
        )
        assert part["en"] in page.locator(".lesson-bar strong").inner_text()
        assert page.locator("html").evaluate("(root) => root.hasAttribute('data-slide')") is ("slide" in step)
        if "slide" in step:
            assert page.locator(".slide").inner_text()
            assert not page.locator("#story").is_visible()
            continue
        chapter = 1 + CHAPTERS.index(step["chapter"])
        number = 1 + part["steps"].index(step)
        said = page.locator(".lesson-bar .step").text_content()
        assert said == f"Chapter {chapter}, step {number} of {len(part['steps'])}"
        screen = page.locator(f"#{step['chapter']} .screen").nth(step.get("screen", 1) - 1)
        page.wait_for_function("(it) => it.getBoundingClientRect().top < innerHeight / 2", arg=screen.element_handle())
        if step.get("guess"):
            verdict = screen.locator(".prediction .verdict").inner_text()
            assert verdict
            assert "{" not in verdict
    assert presses <= MOST_PRESSES


def test_a_step_shows_a_state_and_the_one_before_again(read: Read) -> None:
    page = read("?lesson=1")
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    assert max(weights(page, "#hard-and-soft")) == 1
    page.keyboard.press("PageUp")
    assert max(weights(page, "#hard-and-soft")) < 0.5
    assert place(page) == f"2 / {len(STEPS)}"


def test_a_step_ends_the_motion_of_the_one_before(read: Read) -> None:
    page = read("?lesson=1", moving=True)
    for _ in range(3):
        page.keyboard.press("PageDown")
    expect(page.locator("#hard-and-soft .prediction .is-right")).to_be_visible()
    page.keyboard.press("PageDown")
    page.wait_for_timeout(2600)  # the reveal would move so long
    expect(page.locator("#hard-and-soft .query-text").first).to_contain_text("calm")
    assert max(weights(page, "#hard-and-soft")) > 0.2


GUESSES = [i for i, (_, step) in enumerate(STEPS) if step.get("guess")]


@pytest.mark.parametrize("at", [GUESSES[0], *map(thorough, GUESSES[1:-1]), GUESSES[-1]])
def test_back_takes_a_guess_back(read: Read, at: int) -> None:
    _, step = STEPS[at]
    page = read("?lesson=1")
    page.evaluate(f"sessionStorage.setItem('softkv-lesson', '{at - 1},{1}')")
    page.reload()
    prediction = page.locator(f"#{step['chapter']} .screen").nth(step.get("screen", 1) - 1).locator(".prediction")
    verdict = prediction.locator(".verdict")
    for _ in range(2):
        page.keyboard.press("PageDown")
        expect(verdict).not_to_be_empty()
        page.keyboard.press("PageUp")
        expect(verdict).to_be_empty()
        assert prediction.locator("button").first.is_enabled()
    page.wait_for_function("() => !window.location.hash.includes('g=')")


def test_a_part_of_the_lesson_has_the_name_of_its_chapter(read: Read) -> None:
    for language in ("en", "zh"):
        page = read(f"#row-to-word&lang={language}")
        page.wait_for_selector("#row-to-word h2")
        dots = page.locator(".rail a").evaluate_all("(dots) => dots.map((dot) => dot.title)")
        headings = page.locator(".chapter").evaluate_all(
            "(all) => all.map((one) => one.querySelector('h1, h2').textContent.replaceAll('\u2060', ''))"
        )
        assert dots == [f"{i} {heading}" for i, heading in enumerate(headings, 1)]
        named = {
            step["chapter"]: part[language] for part in PLAN["parts"] for step in part["steps"] if step.get("guess")
        }
        assert all(headings[CHAPTERS.index(chapter)] == name for chapter, name in named.items())


def test_the_clock_begins_with_the_first_press_and_goes_on_after_a_reload(read: Read) -> None:
    page = read("?lesson=1")
    clock = page.locator(".lesson-bar .clock")
    assert clock.inner_text() == "0:00"
    page.keyboard.press("PageDown")
    for minutes, is_late in ((5, False), (14, True)):
        page.evaluate(f"sessionStorage.setItem('softkv-lesson', `1,${{Date.now() - {minutes} * 60_000}}`)")
        page.reload()
        clock.wait_for()
        assert clock.inner_text().startswith(f"{minutes}:")
        assert ("late" in (clock.get_attribute("class") or "")) is is_late


def test_a_field_keeps_its_keys(read: Read) -> None:
    page = read("?lesson=1")
    page.keyboard.press("PageDown")
    page.locator("#hard-and-soft textarea").first.focus()
    page.keyboard.press("PageDown")
    assert place(page) == f"2 / {len(STEPS)}"


def test_the_three_questions_stand_without_a_picture_that_answers_them(read: Read) -> None:
    page = read("?lesson=1")
    page.wait_for_selector(".slide")
    assert page.locator(".slide ol > li").count() == 3
    assert page.locator("svg:visible").count() == 0
    assert page.locator(".slide .right").count() == 0
    for _ in range(2):
        page.evaluate(f"sessionStorage.setItem('softkv-lesson', '{len(STEPS) - 3},1')")
        page.reload()
        page.wait_for_selector(".slide")
        assert page.locator(".slide .right").count() == 0
    page.keyboard.press("PageDown")
    assert page.locator(".slide .right").count() == 3


def test_each_press_has_words_for_the_teacher() -> None:
    for _, step in STEPS:
        for language, most in (("en", 320), ("zh", 160)):
            assert 0 < len(step["say"][language]) <= most, step["say"][language]
            assert 0 < len(step["shows"][language]) <= 24, step["shows"]
