"""axe finds no serious issue in any view, in either language or theme."""

from __future__ import annotations

from typing import Any

import pytest

VIEWS = [
    "#scene=library",
    "#scene=nothing&none=0.4",
    "#scene=rows&step=0",
    "#scene=guess",
    "#scene=values",
    "#scene=steps&step=7",
    "#scene=encoder",
    "#scene=hopfield",
    "#scene=regression",
    "#scene=lowrank",
]


@pytest.fixture(scope="module")
def axe() -> Any:
    return pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    ).Axe()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_serious_issue_in_any_view(visit: Any, axe: Any, language: str, theme: str) -> None:
    opened = visit(f"#scene=library&lang={language}&theme={theme}")
    found: list[str] = []
    for view in VIEWS:
        opened.page.goto("about:blank")
        opened.go(f"{view}&lang={language}&theme={theme}")
        opened.page.wait_for_timeout(300)
        found += [f"{view}: {text}" for text in serious(axe, opened.page)]
    assert found == []


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_serious_issue_in_the_lesson_plan(visit: Any, axe: Any, language: str) -> None:
    assert serious(axe, visit(f"lesson.html?lang={language}").page) == []


def serious(axe: Any, page: Any) -> list[str]:
    violations = axe.run(page).response["violations"]
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for one in violations
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


def test_reduced_motion_is_respected(visit: Any) -> None:
    page = visit("#scene=library", reduced_motion="reduce").page
    page.wait_for_selector("path.wire")
    durations = page.evaluate(
        "[...document.querySelectorAll('path.wire')].map((wire) => getComputedStyle(wire).transitionDuration)"
    )
    assert set(durations) == {"0s"}
