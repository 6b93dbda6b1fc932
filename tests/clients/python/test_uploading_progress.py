"""Progress of an upload, drawn with the installed libraries, and the line about a slow one."""

from __future__ import annotations

import asyncio
import importlib.util
import io
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

import httpx2
import pytest

from softkv import AsyncClient, Client, Report
from softkv.calls.writing import upsert
from softkv.uploading import SlowNotice, progress_callback, run_upload, run_upload_async
from softkv_service.retrieval.documents.backfill import MissingValues
from tests.running import RunningService


def acknowledged(many: int) -> Report:
    report = Report()
    report.rows = report.acknowledged = many
    return report


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Hides distributions."""

    def hide(*names: str) -> None:
        find_spec = importlib.util.find_spec
        monkeypatch.setattr("softkv.uploading.find_spec", lambda name: None if name in names else find_spec(name))

    return hide


@pytest.mark.parametrize("missing", [(), ("rich",), ("rich", "tqdm")])
@pytest.mark.parametrize("total", [2500, None])
def test_progress_is_drawn_on_standard_error(capfd, without, missing, total):
    without(*missing)
    with progress_callback(True, total) as tell:
        tell(acknowledged(1000))
        tell(acknowledged(2500))
    drawn = capfd.readouterr()
    assert drawn.out == ""
    assert "2500" in drawn.err.replace(",", "")


def test_a_function_hears_of_every_batch(made):
    heard = []
    report = made(encoder=None).upsert(
        ({"id": str(number)} for number in range(2500)), progress=lambda report: heard.append(report.acknowledged)
    )
    assert heard == [1000, 2000, 2500]
    assert report.upserted == 2500
    assert "softkv.uploading" in sys.modules


class Terminal(io.StringIO):
    """Standard error as a terminal, with the lines of the client alone; it calls a function for each."""

    def __init__(self, heard: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self.heard = heard

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not text.startswith("softkv: "):
            return len(text)
        self.heard()
        return super().write(text)


class Notebook(io.StringIO):
    """Standard error as the output of a notebook's cell, which is no terminal."""

    __module__ = "ipykernel.iostream"


class Held(httpx2.HTTPTransport):
    """Sends writes of documents, from the given one on, when a line was written."""

    def __init__(self, free: int, line: threading.Semaphore) -> None:
        super().__init__()
        self.free, self.line = free, line

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.free -= 1
            assert self.free >= 0 or self.line.acquire(timeout=60)
        return super().handle_request(request)


class HeldAsync(httpx2.AsyncHTTPTransport):
    """As `Held`, in an event loop."""

    def __init__(self, free: int, line: asyncio.Semaphore) -> None:
        super().__init__()
        self.free, self.line = free, line

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            self.free -= 1
            if self.free < 0:
                await asyncio.wait_for(self.line.acquire(), 60)
        return await super().handle_async_request(request)


def passages(**fields: str) -> Iterator[dict[str, str]]:
    """Ten rows, of which the first four are a batch."""
    return ({"id": str(number), "key": f"{number} {'purring ' * 550}", **fields} for number in range(10))


def lines(
    service: RunningService, monkeypatch: Any, is_async: bool, seconds: list[float], free: int, settings: Any, **of: str
) -> str:
    """Upload ten rows at these times of the clock; return what a terminal shows, without which `free` batches go on."""
    clock = chain(seconds, repeat(seconds[-1])).__next__
    with Client(service.url) as plain:
        plain.collection("slow").create(**settings)
        rows, keep = list(passages(**of)), {"on_conflict": "replace"}
        if is_async:

            async def upload() -> str:
                line = asyncio.Semaphore(0)
                monkeypatch.setattr(sys, "stderr", terminal := Terminal(line.release))
                async with AsyncClient(service.url, transport=HeldAsync(free, line)) as client:
                    slow = client.collection("slow")
                    report = await run_upload_async(slow._sender, upsert(slow._target, rows, **keep), clock)
                assert report.upserted == 10
                return terminal.getvalue()

            shown = asyncio.run(upload())
        else:
            line = threading.Semaphore(0)
            monkeypatch.setattr(sys, "stderr", terminal := Terminal(line.release))
            with Client(service.url, transport=Held(free, line)) as client:
                slow = client.collection("slow")
                assert run_upload(slow._sender, upsert(slow._target, rows, **keep), clock).upserted == 10
            shown = terminal.getvalue()
        plain.collection("slow").drop()
    return shown


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("value_from", ["value", "key"])
def test_after_ten_seconds_a_terminal_shows_the_rate_and_at_the_end_the_values_that_wait(
    service, monkeypatch, is_async, value_from
):
    monkeypatch.setattr(MissingValues, "find", lambda *_: {})
    settings = {"value_from": value_from}
    value = f"a cat {uuid.uuid4()}"  # the vector of a text that was encoded before is stored at once
    shown = lines(service, monkeypatch, is_async, [0, 0, 8, 12, 12, 13], 1, settings, value=value)
    rate, *end = shown.splitlines()
    assert rate == "softkv: 4 of 10 rows after 12 s, 0.5 rows/s, about 8 s left"
    assert end == ["softkv: all rows are found; 10 values are still to be encoded"] * (value_from == "value")


@pytest.mark.parametrize("is_async", [False, True])
def test_before_the_first_rows_are_acknowledged_the_line_has_no_rate(service, monkeypatch, is_async):
    shown = lines(service, monkeypatch, is_async, [0, 11, 11, 12, 13, 13], 0, {})
    first, second = shown.splitlines()
    assert first == "softkv: 0 of 10 rows after 11 s"
    assert second == "softkv: 4 of 10 rows after 13 s, 0.33 rows/s, about 17 s left"


@pytest.mark.parametrize(
    ("progress", "terminal", "due"),
    [
        (None, Terminal(), 0),
        (None, Notebook(), 0),
        (False, Terminal(), None),
        (True, Terminal(), None),
        (print, Terminal(), None),
        (None, io.StringIO(), None),
        (None, None, None),
    ],
)
def test_the_line_is_for_a_terminal_and_without_a_chosen_progress(monkeypatch, progress, terminal, due):
    monkeypatch.setattr(sys, "stderr", terminal)
    with Client() as client:
        upload = upsert(client.collection("slow")._target, passages(), progress=progress)
    assert SlowNotice(upload, iter([0.0, 20.0]).__next__).seconds_left == due


def test_texts_are_sent_in_parts_that_grow_and_an_id_that_comes_again_is_refused(made):
    heard = []
    rows = [{"id": str(number % 30), "key": "purring " * 550} for number in range(32)]
    report = made(value_from="key").upsert(rows, progress=lambda report: heard.append(report.acknowledged))
    assert heard == [4, 12, 27, 32]
    assert [refused.row for refused in report.refused] == [30, 31]
