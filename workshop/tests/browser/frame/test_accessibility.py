"""No finding of axe on any screen."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.conftest import PHONE, PROJECTOR
from tests.browser.reading import SETTLED, violations
from tests.thorough import thorough

VIEWS = [
    "deeper#zoom",
    "deeper#pictures",
    "deeper#networks&task=reverse",
    "deeper#four",
    "deeper#certificate",
    "deeper#regression&t=0",
    "deeper#similarities",
]
SIZES = [((1024, 768), 1), (PROJECTOR, 0), ((1440, 900), 0), (PHONE, 0)]
LANGUAGES = ("en", "zh")
THEMES = ("light", "dark")


@pytest.mark.parametrize("which", [0, *map(thorough, (1, 2, 3))])
@pytest.mark.parametrize("views", [VIEWS[0::3], *map(thorough, (VIEWS[1::3], VIEWS[2::3]))], ids=range(3))
def test_nothing_is_found_in_any_view(visit: Any, axe: Any, which: int, views: list[str]) -> None:
    """By night every two of view, size, language and theme meet. A landing sees a third of the views, in one size."""
    size, large = SIZES[which]
    opened = visit(f"lesson.html?lang={LANGUAGES[which % 2]}&theme={THEMES[which // 2]}", size, reduced_motion="reduce")
    problems = [f"lesson: {text}" for text in violations(axe, opened.page)]
    for view in views:
        i = VIEWS.index(view)
        look = f"lang={LANGUAGES[(i + which) % 2]}&theme={THEMES[(i + which // 2) % 2]}&large={large}"
        opened.page.goto("about:blank")
        opened.go(f"{view}&{look}")
        opened.page.wait_for_function(SETTLED)
        problems += [f"{view}&{look}: {text}" for text in violations(axe, opened.page)]
    assert problems == []
