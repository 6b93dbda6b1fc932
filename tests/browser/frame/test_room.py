"""A room in use: a presenter and a phone in browsers, thirty listeners, and a restart of the service in the middle."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.browser.conftest import PHONE
from tests.browser.frame.test_accessibility import violations
from tests.browser.reading import same_names_in_both, sideways
from tests.browser.written import percent
from tests.service.commands.conftest import Serving, serving
from tests.service.server.stopping import BUSY
from tests.waiting import until

LISTENERS, UPDATES = 30, 20
WITHIN_SECONDS = 1.0
SAID = {
    "en": {
        "one": "✓ One row stands out.",
        "several": "◐ Several rows share it: here they are.",
        "none": "○ Nothing here about that.",
    },
    "zh": {"one": "✓ 一行脱颖而出。", "several": "◐ 几行分享权重，列在这里。", "none": "○ 这里没有相关内容。"},
}
ENCODER = ("--encoder", "all-MiniLM-L6-v2", "--allow-anonymous", "read")


class Class(threading.Thread):
    """Thirty listeners, and when each of them heard of each row; it ends when all have heard the last event."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.heard: list[dict[str, float]] = [{} for _ in range(LISTENERS)]
        self.last = [""] * LISTENERS
        self._url = urlsplit(url)
        self.start()

    def run(self) -> None:
        async def all_of_them() -> None:
            await asyncio.gather(*(self._listen(i) for i in range(LISTENERS)))

        asyncio.run(all_of_them())

    async def _listen(self, i: int) -> None:
        """Listen without a library, so that this process has time for all listeners."""
        reader, writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        writer.write(f"GET {self._url.path} HTTP/1.1\r\nHost: {self._url.netloc}\r\nConnection: close\r\n\r\n".encode())
        async for sent in reader:
            line = sent.decode().strip()
            if line.startswith("event: "):
                self.last[i] = line.removeprefix("event: ")
            elif line.startswith("data: ") and self.last[i] in ("room", "row"):
                self.heard[i][json.loads(line.removeprefix("data: ")).get("id", "room")] = time.monotonic()
        writer.close()


@pytest.fixture
def axe() -> Any:
    return pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed"
    ).Axe()


@pytest.fixture
def started(tmp_path: Path, chromium: Any) -> Iterator[Any]:
    """Yield a function that starts the service, each time on the same port."""
    with ExitStack() as stack:
        port = "0"

        def start() -> Serving:
            nonlocal port
            running = stack.enter_context(serving(tmp_path, *ENCODER, "--port", port))
            port = running.url.rpartition(":")[2]
            until(
                lambda: httpx.get(f"{running.url}/readyz", timeout=60).status_code == 200,
                300,
                lambda: "it does not get ready",
            )
            return running

        yield start


def send(page: Any, name: str, **fields: str) -> None:
    for field, words in fields.items():
        page.fill(f"#{field.replace('_', '-')}", words)
    page.click(f"#send-{name}")
    page.wait_for_selector(f"#send-{name}:not([disabled]) + [role=status]:not(:empty)")


def test_a_class_plays_and_the_service_is_restarted_in_the_middle(started: Any, visit: Any, axe: Any) -> None:
    running = started()
    presenting = visit("room?projector=1", (1024, 768), running.url)
    projector = presenting.page
    assert violations(axe, projector) == []
    projector.click("#open")
    code = projector.locator("#letters").inner_text()
    joined = visit(f"room?code={code}&lang=zh", PHONE, running.url)
    phone = joined.page
    room = f"{running.url}/v1/rooms/{code}"
    listening = Class(f"{room}/events")
    until(lambda: all(listening.heard), 120, lambda: "not all listen")

    sent: dict[str, float] = {}
    with httpx.Client(timeout=60) as client:
        for i in range(UPDATES):
            sent[f"row-{i}"] = time.monotonic()
            client.put(f"{room}/rows/row-{i}", json={"key": f"a thing of number {i}", "value": "of no use"})
            time.sleep(0.1)
        until(
            lambda: all(sent.keys() <= heard.keys() for heard in listening.heard),
            120,
            lambda: "not all hear of all rows",
        )
        delays = sorted(heard[row] - time for heard in listening.heard for row, time in sent.items())
        assert len(delays) == LISTENERS * UPDATES
        assert delays[int(0.95 * len(delays))] <= WITHIN_SECONDS + BUSY, delays[-10:]

        send(phone, "row", row_key="cats", row_value="<b>They purr</b>")
        projector.locator(".memory .key", has_text="cats").wait_for()
        assert projector.locator(".memory b").count() == 0
        assert projector.locator(".memory li").count() == phone.locator(".memory li").count() == UPDATES + 1
        send(phone, "question", own_query="a kitten")
        projector.click(".chips button")
        phone.locator(".choice", has_text="cats").click()
        projector.locator(".guesses", has_text="1").wait_for()
        assert violations(axe, projector) + violations(axe, phone) == []
        assert max(sideways(projector), sideways(phone)) <= 0
        assert projector.locator(".bars").count() == phone.locator(".bars").count() == 0

        projector.click("#reveal")
        phone.wait_for_selector(".bars")
        rows = client.get(room).json()["rows"]
        compared = client.post(f"{running.url}/v1/compare", json={"query": "a kitten", "rows": rows}).json()
        best = compared["attention"]["matches"][0]
        assert best["key"] == "cats"
        for page in (projector, phone):
            assert page.locator(".won .weight").inner_text() == percent(best["weight"])
        verdict = compared["attention"]["evidence"]["verdict"]
        assert projector.locator(".verdict").inner_text() == SAID["en"][verdict]
        assert phone.locator(".verdict").inner_text() == SAID["zh"][verdict]
        assert phone.locator("#mine").inner_text() == "你猜对了。 你的行赢了。"
        assert violations(axe, projector) + violations(axe, phone) == []

    projector.context.set_offline(True)
    running.process.send_signal(signal.SIGTERM)
    stopped = time.monotonic()
    listening.join(60)
    assert time.monotonic() - stopped < 3 + BUSY
    assert set(listening.last) == {"problem"}
    phone.locator("#notice .notice").wait_for()
    running.process.wait(60)
    started()
    phone.locator("#notice", has_text="这个房间已经结束").wait_for()
    projector.context.set_offline(False)
    projector.locator("#notice", has_text=f"open again with its {UPDATES + 1} rows").wait_for()
    phone.wait_for_selector("#notice:empty", state="attached")
    assert projector.locator("#letters").inner_text() == code
    assert projector.locator(".memory li").count() == phone.locator(".memory li").count() == UPDATES + 1
    projector.click("#close")
    projector.click("#close")
    projector.wait_for_selector("#open")
    phone.locator("#notice", has_text="这个房间已经结束").wait_for()
    for one in (presenting, joined):  # a browser logs its unanswered requests, and the closed room
        one.errors[:] = [
            error for error in one.errors if "ERR_" not in error and "404" not in error and "503" not in error
        ]


def test_a_room_says_the_same_in_both_languages() -> None:
    same_names_in_both("room")
