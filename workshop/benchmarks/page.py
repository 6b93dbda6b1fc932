"""The workshop page: how soon a browser draws its first answer, the cost of that, how smoothly it moves; and a class.

    python -m workshop.benchmarks.page [--rounds 3] [--learners 30] [--pasted 10]
                              [--only opening|story|moving|class|room]

The story, and the pictures that go deeper, are timed from the request for the page to their first answer, drawn, in a
browser without a cache and in one with it; on loopback, and with 400 ms of latency at 50 kB/s. For the story's opening,
a drag of its knob and the zoom from a row to a word, the main thread's processor time in each frame is taken with the
processor slowed down four times. A class pastes new rows, all at the same moment: each learner's page compares them,
and encodes their values. A class joins a room, all at the same moment, and each learner sends a row. First paint and
frames come from the browser's own tracing. It needs chromium on PATH.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.table import Table

from benchmarks.running import Service
from workshop.tests.browser.arriving import Arrival, arrival, slowly
from workshop.tests.browser.speed import frames_a_second

CATEGORIES = [
    "toplevel",
    "devtools.timeline",
    "disabled-by-default-devtools.timeline.frame",
    "loading",
    "blink.user_timing",
]
FLAGS = ["--no-sandbox", "--disable-background-networking"]
SIZE: Any = {"width": 1280, "height": 720}
SECONDS = 3.0
PATHS = {"story": "", "deeper": "deeper"}
SLOWER = 4
MOVES = 60  # of the pointer, from one end to the other
OPENING_SECONDS = 17  # what the opening takes, and a little
NOUNS = ("river", "teacher", "engine", "violin", "winter", "recipe", "castle", "planet", "garden", "doctor", "letter")
ADJECTIVES = (
    "old",
    "blue",
    "quiet",
    "broken",
    "huge",
    "sweet",
    "wooden",
    "clever",
    "frozen",
    "empty",
    "golden",
    "tired",
)
VERBS = ("repairs", "paints", "forgets", "measures", "borrows", "teaches", "carries", "invents", "follows", "answers")


def traced(browser: Browser, page: Page, work: Any) -> list[dict[str, Any]]:
    """The browser's trace of what `work` makes the page do."""
    browser.start_tracing(page=page, categories=CATEGORIES)
    work()
    events: list[dict[str, Any]] = json.loads(browser.stop_tracing())["traceEvents"]
    return events


def first_paint(events: list[dict[str, Any]]) -> float:
    """Milliseconds from navigation to the first content painted."""
    painted = next(event for event in events if event["name"] == "firstContentfulPaint")
    started = [e["ts"] for e in events if e["name"] == "navigationStart" and e["ts"] < painted["ts"]]
    return (painted["ts"] - max(started)) / 1e3


def frames(events: list[dict[str, Any]]) -> float:
    """Frames drawn a second, from the first to the last."""
    drawn = sorted(event["ts"] for event in events if event["name"] == "DrawFrame")
    return (len(drawn) - 1) / ((drawn[-1] - drawn[0]) / 1e6)


def opening(browser: Browser, url: str, rounds: int) -> Table:
    """The first answers of the story and of the index of pictures, as they arrive over each line."""
    found: dict[tuple[str, str, str], list[Arrival]] = {}
    for _ in range(rounds):
        for line in ("loopback", "400 ms, 50 kB/s"):
            context = browser.new_context(viewport=SIZE)
            page = context.new_page()
            if line != "loopback":
                slowly(context, page)
            for name, visit in product(PATHS, ("first", "second")):
                found.setdefault((name, line, visit), []).append(arrival(page, f"{url}/{PATHS[name]}"))
                page.goto("about:blank")
            context.close()
    table = Table(title=f"the page until its first answer is drawn, medians of {rounds}")
    for column in ("page", "line", "visit", "answer drawn", "slowest", "requests", "transferred before"):
        table.add_column(column, justify="right")
    for (name, line, visit), arrivals in found.items():
        times = [arrival.milliseconds / 1e3 for arrival in arrivals]
        requests = np.median([len(arrival.before) for arrival in arrivals])
        size = np.median([arrival.transferred for arrival in arrivals]) / 1e3
        table.add_row(
            name, line, visit, f"{np.median(times):.2f} s", f"{max(times):.2f} s", f"{requests:.0f}", f"{size:.1f} kB"
        )
    return table


def working(events: list[dict[str, Any]]) -> list[float]:
    """Milliseconds of processor time that the page's main thread worked in each frame."""
    tasks = [e for e in events if e["name"] in ("RunTask", "ThreadControllerImpl::RunTask") and "tdur" in e]
    begins = [e for e in events if e["name"] == "BeginMainThreadFrame"]
    thread = Counter((e["pid"], e["tid"]) for e in begins).most_common(1)[0][0]
    starts = np.array(sorted(e["ts"] for e in begins if (e["pid"], e["tid"]) == thread))
    spent = np.zeros(len(starts))
    for task in tasks:
        if (task["pid"], task["tid"]) == thread and task["ts"] >= starts[0]:
            spent[np.searchsorted(starts, task["ts"], side="right") - 1] += task["tdur"] / 1e3
    return [float(one) for one in spent]


def drag(page: Page) -> None:
    """Drag the knob of the opening from end to end, and back.

    The browser's own protocol moves the pointer: playwright's mouse runs scripts of its own in the page at each move.
    """
    handle = page.locator("#hard-and-soft .handle").first.bounding_box()
    assert handle
    x, y = handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2
    session = page.context.new_cdp_session(page)

    def pointer(kind: str, at: float, buttons: int) -> None:
        event = {"type": kind, "x": x, "y": at, "button": "left", "buttons": buttons, "clickCount": 1}
        session.send("Input.dispatchMouseEvent", event)

    pointer("mousePressed", y, 1)
    for start, end in pairwise((y, y - 200, y + 90, y - 200, y)):
        for at in np.linspace(start, end, MOVES + 1)[1:]:
            pointer("mouseMoved", float(at), 1)
    pointer("mouseReleased", y, 0)


def replay_opening(page: Page) -> None:
    """Play the opening from its beginning to its end."""
    page.locator("#hard-and-soft .again").first.dispatch_event("click")
    page.wait_for_timeout(OPENING_SECONDS * 1e3)


def zoom(page: Page) -> None:
    """Move the last chapter's camera from a row to a word, once a frame."""
    page.evaluate(
        """() => new Promise((done) => {
          const knob = document.querySelector('#zoom');
          let i = 0;
          const step = () => {
            if (i > 200) return done();
            knob.value = String((5 * i++) / 200);
            knob.dispatchEvent(new Event('input', {bubbles: true}));
            requestAnimationFrame(step);
          };
          step();
        })"""
    )


def story(browser: Browser, url: str, rounds: int) -> Table:
    """The main thread's work a frame: while the opening plays, while its knob is dragged, and from a row to a word."""
    spent: dict[str, list[float]] = {"opening": [], "drag of the knob": [], "from a row to a word": []}
    for _ in range(rounds):
        page = browser.new_page(viewport=SIZE)
        page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        page.goto(url)
        page.wait_for_function("() => performance.getEntriesByName('answered').length")
        page.wait_for_function("() => document.fonts.status === 'loaded'")
        spent["opening"] += working(traced(browser, page, lambda page=page: replay_opening(page)))
        spent["drag of the knob"] += working(traced(browser, page, lambda page=page: drag(page)))
        page.goto(f"{url}/#row-to-word")
        page.wait_for_selector("#row-to-word [data-level=word] text", state="attached")
        spent["from a row to a word"] += working(traced(browser, page, lambda page=page: zoom(page)))
        page.close()
    table = Table(title=f"the story's main thread at 1280 × 720, {SLOWER}× slower, {rounds} rounds, ms a frame")
    for column in ("while", "frames", "median", "95 of 100 below", "longest"):
        table.add_column(column, justify="right")
    for name, times in spent.items():
        middle, high, longest = np.percentile(times, [50, 95, 100])
        table.add_row(name, f"{len(times):,}", f"{middle:.1f}", f"{high:.1f}", f"{longest:.1f}")
    return table


def moving(browser: Browser, url: str, rounds: int) -> Table:
    """The first paint of a picture, and frames a second while its slider moves."""
    paints, rates, address = [], [], f"{url}/deeper#regression"
    for _ in range(rounds):
        page = browser.new_page(viewport=SIZE)
        events = traced(browser, page, lambda page=page: page.goto(address, wait_until="networkidle"))
        paints.append(first_paint(events))
        rates.append(frames(traced(browser, page, lambda page=page: frames_a_second(page, SECONDS))))
        page.close()
    table = Table(title=f"the page at 1280 × 720, medians of {rounds}")
    for column in ("first paint", "frames/s"):
        table.add_column(column, justify="right")
    table.add_row(f"{np.median(paints):,.0f} ms", f"{np.median(rates):.0f}")
    return table


def new_texts(seed: int) -> Iterator[str]:
    """Short sentences as learners write them, none twice; others from another seed, but for a few."""
    combinations = list(product(ADJECTIVES, NOUNS, VERBS, ADJECTIVES, NOUNS))
    for i in np.random.default_rng(seed).permutation(len(combinations)):
        one, subject, verb, other, thing = combinations[i]
        yield f"the {one} {subject} {verb} a {other} {thing}"


async def pasted(client: httpx.AsyncClient, texts: Callable[[], str], rows: int) -> tuple[float, float]:
    """One learner's paste → seconds until the comparison is there, and until the values' vectors are."""
    sent = [{"id": f"row-{i}", "key": texts(), "value": texts()} for i in range(rows)]
    body = {"query": texts(), "temperature": 0.05, "null": "auto", "rows": sent, "top_k": 1000}
    began = time.perf_counter()
    (await client.post("/v1/compare", json=body)).raise_for_status()
    compared = time.perf_counter() - began
    values = {"texts": [row["value"] for row in sent], "purpose": "document"}
    (await client.post("/v1/encode", json=values)).raise_for_status()
    return compared, time.perf_counter() - began


async def together(url: str, learners: int, rows: int, texts: Callable[[], str]) -> list[tuple[float, float]]:
    """All learners at the same moment, each over a connection of its own that is open already."""
    limits = httpx.Limits(max_connections=learners, max_keepalive_connections=learners)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120, trust_env=False) as client:
        await asyncio.gather(*(client.get("/livez") for _ in range(learners)))
        return await asyncio.gather(*(pasted(client, texts, rows) for _ in range(learners)))


def classroom(url: str, learners: int, rows: int, rounds: int) -> Table:
    """A class that pastes rows at once; and one learner's two rows while another has pasted a hundred."""
    source = new_texts(time.time_ns() % 2**32)
    rounds_of = [asyncio.run(together(url, learners, rows, source.__next__)) for _ in range(rounds)]
    table = Table(title=f"{learners} learners paste {rows} new rows each at once, {rounds} rounds, seconds")
    for column in ("until", "median", "slowest of a round, median", "slowest of all"):
        table.add_column(column, justify="right")
    for position, until in enumerate(("compared", "values encoded, too")):
        times = np.array([[duration[position] for duration in one] for one in rounds_of])
        slowest = times.max(axis=1)
        table.add_row(until, f"{np.median(times):.2f}", f"{np.median(slowest):.2f}", f"{slowest.max():.2f}")
    alone, beside = asyncio.run(held_up(url, source.__next__, rounds))
    table.caption = f"two new rows of one learner: {alone:.2f} s, and {beside:.2f} s behind another's hundred"
    return table


async def joined(url: str, learners: int) -> tuple[float, float]:
    """All learners join a room at once → seconds until the last is in, and until all know the rows of all."""
    limits = httpx.Limits(max_connections=2 * learners + 1)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=120, trust_env=False) as client:
        room = (await client.post("/v1/rooms", json={})).raise_for_status().json()
        path = f"/v1/rooms/{room['code']}"
        began = time.perf_counter()

        async def learner(i: int) -> tuple[float, float]:
            known: set[str] = set()
            entered = 0.0
            async with client.stream("GET", f"{path}/events") as events:
                async for line in events.aiter_lines():
                    if not line.startswith("data: "):
                        continue
                    data = json.loads(line.removeprefix("data: "))
                    if "rows" in data:
                        entered = time.perf_counter() - began
                        known |= {row["id"] for row in data["rows"]}
                        (await client.put(f"{path}/rows/{i}", json={"key": f"thing {i}"})).raise_for_status()
                    elif "key" in data:
                        known.add(data["id"])
                    if len(known) == learners:
                        break
            return entered, time.perf_counter() - began

        times = np.array(await asyncio.gather(*(learner(i) for i in range(learners))))
        await client.delete(path, headers={"X-Room-Secret": room["secret"]})
    return float(times[:, 0].max()), float(times[:, 1].max())


def room(url: str, learners: int, rounds: int) -> Table:
    """A class that joins a room at once."""
    times = np.array([asyncio.run(joined(url, learners)) for _ in range(rounds)])
    table = Table(title=f"{learners} learners join a room at once and send a row each, {rounds} rounds, seconds")
    for column in ("until", "median of the last", "slowest of all"):
        table.add_column(column, justify="right")
    for name, seconds in zip(("each is in the room", "each knows the rows of all"), times.T, strict=True):
        table.add_row(name, f"{np.median(seconds):.2f}", f"{seconds.max():.2f}")
    return table


async def held_up(url: str, texts: Callable[[], str], rounds: int) -> tuple[float, float]:
    """Medians of seconds that two rows take, alone and just after a hundred rows of somebody else."""
    alone, beside = [], []
    async with httpx.AsyncClient(base_url=url, timeout=120, trust_env=False) as client:
        for _ in range(rounds):
            alone.append((await pasted(client, texts, 2))[0])
            hundred = asyncio.create_task(pasted(client, texts, 100))
            await asyncio.sleep(0.02)
            beside.append((await pasted(client, texts, 2))[0])
            await hundred
    return float(np.median(alone)), float(np.median(beside))


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--learners", type=int, default=30)
    parser.add_argument("--pasted", type=int, default=10)
    parser.add_argument("--only", choices=("opening", "story", "moving", "class", "room"))
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if chromium is None:
        print("there is no chromium on PATH: install it, or leave this benchmark out", file=sys.stderr)
        return 1
    console = Console()
    with tempfile.TemporaryDirectory() as data, Service(Path(data), "--demo", "library") as service:
        service.wait_until_ready()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            if options.only in (None, "opening"):
                console.print(opening(browser, service.url, options.rounds))
            if options.only in (None, "story"):
                console.print(story(browser, service.url, options.rounds))
            if options.only in (None, "moving"):
                console.print(moving(browser, service.url, options.rounds))
            browser.close()
        if options.only in (None, "class"):
            console.print(classroom(service.url, options.learners, options.pasted, options.rounds))
        if options.only in (None, "room"):
            console.print(room(service.url, options.learners, options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
