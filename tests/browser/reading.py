"""What the page shows, read back from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from playwright.sync_api import Page

WEIGHTS = """() => Object.fromEntries([...document.querySelectorAll('.all tbody tr')].map((row) =>
  [row.querySelector('td:nth-child(2) input').value, row.querySelector('.weight').textContent]))"""
OUTPUT = """() => [...document.querySelectorAll('.arithmetic tr.sum td.number')].map((cell) => cell.textContent)"""


def weights(page: Page) -> dict[str, str]:
    """Key → the share that the table of all rows shows, e.g. '76%'."""
    return cast(dict[str, str], page.evaluate(WEIGHTS))


def output(page: Page) -> list[str]:
    """The first components of the output, as written out."""
    return cast(list[str], page.evaluate(OUTPUT))


def checked(page: Page) -> float:
    """Wait for the comparison with the service; the largest difference it found."""
    page.wait_for_selector("#checking[data-state=agreed], #checking[data-state=apart]")
    return float(page.get_attribute("#checking", "data-difference") or "nan")


def share(text: str) -> float:
    """'5.2%' → 0.052."""
    return float(text.strip("<>%")) / 100


def sideways(page: Page) -> float:
    """How many pixels the page is wider than the screen."""
    return cast(float, page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def module(page: Page, path: str, use: str, argument: Any = None) -> Any:
    """Import one of the page's modules in the page, and use it: a function of the module and the argument."""
    return page.evaluate(f"async (given) => ({use})(await import('{path}'), given)", argument)
