"""axe finds nothing, by WCAG 2.2 AA and its best practices, on any screen, in either language or theme."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import PHONE, PROJECTOR

VIEWS = [
    "#scene=library",
    "#scene=nothing&none=0.4",
    "#scene=filter",
    "#scene=rows&step=0",
    "#scene=rows&rows=[]",
    "#scene=guess",
    "#scene=values",
    "#scene=steps&step=7",
    "#scene=encoder",
    "#scene=hopfield",
    "#scene=regression",
    "#scene=lowrank",
]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# Every two of size, language and theme meet.
SCREENS = [
    ((1024, 768), True, "en", "light"),
    ((1024, 768), True, "zh", "dark"),
    (PROJECTOR, False, "zh", "light"),
    (PROJECTOR, False, "en", "dark"),
    ((1440, 900), False, "en", "light"),
    ((1440, 900), False, "zh", "dark"),
    (PHONE, False, "zh", "light"),
    (PHONE, False, "en", "dark"),
]


@pytest.fixture(scope="module")
def axe() -> Any:
    return pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    ).Axe()


@pytest.mark.parametrize(("size", "large", "language", "theme"), SCREENS)
def test_nothing_is_found_in_any_view(
    visit: Any, axe: Any, size: tuple[int, int], large: bool, language: str, theme: str
) -> None:
    how = f"lang={language}&theme={theme}&projector={int(large)}"
    opened = visit(f"lesson.html?{how}", size)
    found = [f"lesson: {text}" for text in violations(axe, opened.page)]
    for view in VIEWS:
        opened.page.goto("about:blank")
        opened.go(f"{view}&{how}")
        opened.page.wait_for_timeout(500)
        found += [f"{view}: {text}" for text in violations(axe, opened.page)]
    assert found == []


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
