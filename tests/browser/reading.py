"""Readers of the page's contents."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from softkv_service.api.parts import find_parts
from softkv_service.api.routes.page import Assets, folders
from tools.page import WORKSHOP, library

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"label-content-name-mismatch": {"enabled": True}},
}
# Contrast is that of the last colours: no transition runs any more; what moves for ever has no last one.
SETTLED = """() => document.getAnimations().every(
    (moving) => moving.playState !== "running" || moving.effect.getComputedTiming().endTime === Infinity)"""


def share(text: str) -> float:
    """Convert '5.2%' to 0.052."""
    return float(text.strip("<>%")) / 100


def number(text: str) -> float:
    """Convert '−0.25' to -0.25."""
    return float(text.replace("−", "-"))


def sideways(page: Page) -> float:
    """Return by how many pixels the page is wider than the screen."""
    return cast(float, page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def module(page: Page, path: str, use: str, argument: Any = None) -> Any:
    """Import one of the page's modules in the page, and use it: a function of the module and the argument.

    `path` is absolute in the folder of the page, or of the workshop's, whose modules are bundled for it. The import is
    a second copy: the page has its own in its script.
    """
    if (WORKSHOP / path[1:]).exists():
        return page.evaluate(f"(argument) => {{ {library(path[1:], 'it')}; return ({use})(it, argument); }}", argument)
    base = page.evaluate("new URL(document.documentElement.dataset.assets, document.baseURI).pathname").rstrip("/")
    return page.evaluate(f"async (argument) => ({use})(await import('{base}{path}'), argument)", argument)


def words(path: str) -> dict[str, dict[str, Any]]:
    """Return the words of a part of the page by language; the path is in a folder of the page."""
    return cast(dict[str, dict[str, Any]], json.loads(Assets(*folders(find_parts())).text(path)))


def slide(page: Page, position: int) -> None:
    """Move the temperature slider to a position, 0 to 400, and wait for a frame."""
    moved = """(position) => new Promise((done) => {
        const slider = document.querySelector('#temperature');
        slider.value = String(position);
        slider.dispatchEvent(new Event('input', {bubbles: true}));
        requestAnimationFrame(() => requestAnimationFrame(done));
    })"""
    page.evaluate(moved, position)


def same_names_in_both(texts: dict[str, dict[str, Any]]) -> None:
    """Check that words have the same names, places and terms in English and in Chinese."""
    english, chinese = texts["en"], texts["zh"]
    assert english.keys() == chinese.keys()
    for name, text in english.items():
        used = [set(re.findall(r"\{(\w+)|\[(\w+)\|", one)) for one in (text, chinese[name])]
        assert used[0] == used[1], name


def violations(axe: Any, page: Any) -> list[str]:
    """Return what axe finds in a page: its rule, the element and what to do."""
    return [
        f"{one['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for one in axe.run(page, options=RULES).response["violations"]
        for node in one["nodes"][:3]
    ]
