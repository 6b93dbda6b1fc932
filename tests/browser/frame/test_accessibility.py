"""No finding of axe on any screen; the focus of the keyboard, and the texts of a screen reader."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import slide
from tests.thorough import thorough

VIEWS = [
    "#scene=library&lambda=0.2",
    "#scene=nothing&none=0.4",
    "#scene=filter",
    "#scene=rows&step=0",
    "#scene=rows&rows=[]",
    "#scene=guess",
    "#scene=values",
    "#scene=sure&labels=rwrwrwrwrw",
    "#scene=sure&labels=rw",
    "#scene=steps&step=7",
    "#scene=scores",
    "#scene=encoder&second=5.3&pair=the cat sleeps",
    "#scene=hopfield",
    "#scene=regression",
    "#scene=space",
    "#scene=million",
    "#scene=photo",
    "#scene=lowrank",
    "#scene=pairs",
    "#scene=learning",
    "#scene=vision",
]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SIZES = [((1024, 768), 1), (PROJECTOR, 0), ((1440, 900), 0), (PHONE, 0)]
LANGUAGES = ("en", "zh")
THEMES = ("light", "dark")
ACTIVE = "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
# Contrast is that of the last colours: no transition runs any more; what moves for ever has no last one.
SETTLED = """() => document.getAnimations().every(
    (moving) => moving.playState !== "running" || moving.effect.getComputedTiming().endTime === Infinity)"""
MOST_STOPS = 45


@pytest.fixture(scope="module")
def axe() -> Any:
    return pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    ).Axe()


@pytest.mark.parametrize("views", [VIEWS[0::3], thorough(VIEWS[1::3]), thorough(VIEWS[2::3])], ids=range(3))
@pytest.mark.parametrize("which", [0, thorough(1), thorough(2), thorough(3)])
def test_nothing_is_found_in_any_view(visit: Any, axe: Any, which: int, views: list[str]) -> None:
    """By night every two of view, size, language and theme meet. A landing sees a third of the views, in one size."""
    size, large = SIZES[which]
    opened = visit(f"lesson.html?lang={LANGUAGES[which % 2]}&theme={THEMES[which // 2]}", size)
    problems = [f"lesson: {text}" for text in violations(axe, opened.page)]
    for view in views:
        i = VIEWS.index(view)
        how = f"lang={LANGUAGES[(i + which) % 2]}&theme={THEMES[(i + which // 2) % 2]}&projector={large}"
        opened.page.goto("about:blank")
        opened.go(f"{view}&{how}")
        opened.page.wait_for_function(SETTLED)
        problems += [f"{view}&{how}: {text}" for text in violations(axe, opened.page)]
    assert problems == []


def violations(axe: Any, page: Any) -> list[str]:
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for one in axe.run(page, options=RULES).response["violations"]
        for node in one["nodes"][:3]
    ]


def test_reduced_motion_is_respected(visit: Any) -> None:
    page = visit("#scene=library", reduced_motion="reduce").page
    page.wait_for_selector("path.wire")
    durations = page.evaluate(
        "[...document.querySelectorAll('path.wire')].map((wire) => getComputedStyle(wire).transitionDuration)"
    )
    assert set(durations) == {"0s"}


def stops(page: Any) -> list[str]:
    """Return the elements at which Tab stops, once each."""
    seen: list[str] = []
    page.evaluate("document.activeElement.blur()")
    for _ in range(300):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(ACTIVE))
        if seen[-1] == "BODY" or (len(seen) > 1 and seen[-1] == seen[0]):
            break
    return seen


def test_nobody_is_walked_through_a_hundred_rows(visit: Any) -> None:
    page = visit("#scene=library").page
    page.wait_for_selector(".arithmetic tr.sum")
    seen = stops(page)
    assert len(seen) <= MOST_STOPS
    for name in ("question", "temperature", "source", "limit-average", "add-row", "table-add", "key"):
        assert name in seen


@pytest.mark.parametrize("rows", [".rows", ".all tbody"])
def test_the_arrows_go_from_row_to_row(visit: Any, rows: str) -> None:
    page = visit("#scene=library").page
    keys = page.locator(f"{rows} .key-text")
    keys.first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    focused = page.locator(f"{rows} .key-text:focus").input_value()
    assert focused == keys.nth(2).input_value()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.row, tr').querySelector('.key-text').value") == focused
    page.keyboard.press("ArrowUp")
    value = page.locator(f"{rows} .value-text:focus").input_value()
    assert value == page.locator(f"{rows} .value-text").nth(1).input_value()


@pytest.mark.parametrize("button", [".mask", ".remove"])
def test_what_was_pressed_keeps_the_focus(visit: Any, button: str) -> None:
    opened = visit("#scene=rows")
    page = opened.page
    page.locator(f".rows {button}").nth(1).focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(450)
    opened.settle()
    assert button[1:] in page.evaluate("document.activeElement.className")
    rows = page.locator(".rows .row:not(.rest, .none)").count()
    assert rows == (4 if button == ".remove" else 5)


@pytest.mark.parametrize("name", ["lang", "theme", "projector"])
def test_a_switch_of_the_bar_keeps_the_focus(visit: Any, name: str) -> None:
    opened = visit("#scene=library")
    page = opened.page
    page.evaluate("window.was = document.querySelector('#bar .tools')")
    page.focus(f"#toggle-{name}")
    page.keyboard.press("Enter")
    opened.settle()
    assert page.evaluate("document.activeElement.id") == f"toggle-{name}"
    assert page.evaluate("window.was === document.querySelector('#bar .tools')")
    page.keyboard.press("Enter")
    opened.settle()
    assert page.evaluate("document.activeElement.id") == f"toggle-{name}"


def test_a_new_scene_begins_at_its_title_and_is_told_once(visit: Any) -> None:
    opened = visit("#scene=library")
    page = opened.page
    assert page.evaluate("document.activeElement.tagName") == "BODY"
    page.evaluate("window.scrollTo(0, 400)")
    page.get_by_label("Next scene").click()
    opened.settle()
    assert page.evaluate("document.activeElement.tagName") == "H1"
    assert page.locator("h1").get_attribute("tabindex") == "-1"
    assert page.evaluate("window.scrollY") == 0
    title = page.locator("h1").inner_text()
    assert page.locator("#bar [role=status]").inner_text() == ""
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "choice"
    page.go_back()
    page.wait_for_function("document.querySelector('#scene').value === 'library'")
    opened.settle()
    assert page.evaluate("document.activeElement.tagName") == "H1"
    assert page.locator("h1").inner_text() != title


def test_whoever_walks_the_list_of_scenes_stays_in_it_and_hears_the_title(visit: Any) -> None:
    opened = visit("#scene=library")
    page = opened.page
    page.focus("#scene")
    chosen = "(picker) => { picker.value = 'share'; picker.dispatchEvent(new Event('change')); }"
    page.locator("#scene").evaluate(chosen)
    opened.settle()
    assert page.evaluate("document.activeElement.id") == "scene"
    status = page.locator("#bar [role=status]").text_content() or ""
    assert status.replace("\n", " ") == (page.locator("h1").text_content() or "").replace("\n", " ")


def test_one_step_of_the_slider_is_told_one_way(visit: Any) -> None:
    page = visit("#scene=library").page
    page.focus("#temperature")
    before = page.locator("#temperature").get_attribute("aria-valuetext")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(600)
    assert page.locator("#temperature").get_attribute("aria-valuetext") != before
    assert page.locator(".temperature output").get_attribute("aria-live") == "off"
    assert page.locator("#picture-words").get_attribute("aria-live") == "off"
    page.focus("#question")
    slide(page, 150)
    assert page.locator("#picture-words").get_attribute("aria-live") == "polite"
