"""Readers of the page's contents."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from service.api.routes.page import WEB

if TYPE_CHECKING:
    from playwright.sync_api import Page

WEIGHTS = """() => Object.fromEntries([...document.querySelectorAll('.all tbody tr')].map((row) =>
  [row.querySelector('.key-text').value, row.querySelector('.weight').textContent]))"""
LOGITS = WEIGHTS.replace(".weight", ".logit")
OUTPUT = """() => [...document.querySelectorAll('.arithmetic tr.sum td.number')].map((cell) => cell.textContent)"""


def weights(page: Page) -> dict[str, str]:
    """Return the share of each key in the table of all rows, e.g. '76%'."""
    return cast(dict[str, str], page.evaluate(WEIGHTS))


def logits(page: Page) -> dict[str, str]:
    """Return the logit of each key in the table of all rows, e.g. '9.17'."""
    return cast(dict[str, str], page.evaluate(LOGITS))


def output(page: Page) -> list[str]:
    """The first components of the output, as written out."""
    return cast(list[str], page.evaluate(OUTPUT))


def checked(page: Page) -> float:
    """Wait for the comparison with the service; the largest difference it found."""
    page.wait_for_selector("#checking[data-state=agreed], #checking[data-state=apart]")
    return float(page.get_attribute("#checking", "data-difference") or "nan")


def share(text: str) -> float:
    """Convert '5.2%' to 0.052."""
    return float(text.strip("<>%")) / 100


def sideways(page: Page) -> float:
    """Return by how many pixels the page is wider than the screen."""
    return cast(float, page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def module(page: Page, path: str, use: str, argument: Any = None) -> Any:
    """Import one of the page's modules in the page, and use it: a function of the module and the argument.

    `path` begins with /js/, as do others that `use` imports: where the files of this version are, the page knows. What
    is imported is a second copy: the page has its own in its script.
    """
    base = page.evaluate("new URL(document.documentElement.dataset.assets, document.baseURI).pathname").rstrip("/")
    use = use.replace("import('/js/", f"import('{base}/js/")
    return page.evaluate(f"async (given) => ({use})(await import('{base}{path}'), given)", argument)


def words(language: str, topic: str) -> dict[str, Any]:
    """Return the words of a topic, from their file."""
    path = WEB / "js" / "words" / language / f"{topic}.json"
    return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))


def topics() -> list[str]:
    """Return the topics whose words the document of the scenes brings along."""
    (named,) = re.findall(r'data-topics="([^"]*)"', (WEB / "scenes.html").read_text(encoding="utf-8"))
    return cast(str, named).split()


def same_names_in_both(topic: str) -> None:
    """The words of a topic have the same names, places and terms in English and in Chinese."""
    english, chinese = (words(language, topic) for language in ("en", "zh"))
    assert english.keys() == chinese.keys()
    for name, text in english.items():
        used = [set(re.findall(r"\{\w+\}|\[\w+\|", one)) for one in (text, chinese[name])]
        assert used[0] == used[1], name


def slide(page: Page, position: int) -> float:
    """Move the temperature slider to a position, 0 to 400, and wait for a frame; the temperature it has there."""
    moved = """(position) => new Promise((done) => {
        const slider = document.querySelector('#temperature');
        slider.value = String(position);
        slider.dispatchEvent(new Event('input', {bubbles: true}));
        requestAnimationFrame(() => requestAnimationFrame(done));
    })"""
    page.evaluate(moved, position)
    text = page.locator(".temperature output").inner_text()
    return 1e300 if text == "∞" else float(text)


def level(page: Page) -> float:
    """The null similarity that the picture shows."""
    (text,) = re.findall(r"s₀ = ([−\d.∞]+)", page.locator(".row.none .special").first.inner_text())
    return float(text.replace("−", "-").replace("∞", "inf"))
