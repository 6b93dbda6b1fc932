"""The opening scene's arrival: the time of its first answer and of the steps before, by the browser's clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

LATENCY_MS, BYTES_A_SECOND = 400, 50_000
CAME = """() => {
  const [answered] = performance.getEntriesByName('answered');
  const [page] = performance.getEntriesByType('navigation');
  const came = [page, ...performance.getEntriesByType('resource')].map((entry) =>
    [new URL(entry.name).pathname, entry.startTime, entry.responseEnd, Math.max(0, entry.transferSize - 300)]);
  return {answered: answered.startTime, came};
}"""


@dataclass(frozen=True)
class Arrival:
    """The page's first answer.

    Attributes:
        milliseconds: from the request for the page until it is drawn.
        before: path → bytes of all that had come by then.
        after: the same of what came later.
    """

    milliseconds: float
    before: dict[str, int]
    after: dict[str, int]

    @property
    def transferred(self) -> int:
        """Bytes before the first answer, but for fonts."""
        return sum(size for path, size in self.before.items() if not path.endswith(".woff2"))


def slowly(context: BrowserContext, page: Page) -> None:
    """From now on, delay each answer by 400 ms, and limit all of them together to 50 kB/s."""
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    rates = {"downloadThroughput": BYTES_A_SECOND, "uploadThroughput": BYTES_A_SECOND}
    session.send("Network.emulateNetworkConditions", {"offline": False, "latency": LATENCY_MS, **rates})


def arrival(page: Page, url: str) -> Arrival:
    """Open the page, and wait for its first answer and the fonts after it."""
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => performance.getEntriesByName('answered').length", timeout=240_000)
    page.wait_for_function(
        "() => document.fonts.status === 'loaded' && [...document.fonts].some((f) => f.status === 'loaded')"
    )
    entries: dict[str, Any] = page.evaluate(CAME)
    before = {path: size for path, _, end, size in entries["came"] if end <= entries["answered"]}
    after = {path: size for path, _, end, size in entries["came"] if end > entries["answered"]}
    return Arrival(entries["answered"], before, after)
