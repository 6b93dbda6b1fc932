"""How far an upload is: told to a function, or drawn on standard error."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

from softkv.answers.writes import Report
from softkv.calls.writing import Batch, BatchResult, Upload
from softkv.errors import Error
from softkv.problems import invalid_value
from softkv.sending import AsyncSender, Sender

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future


ProgressCallback: TypeAlias = Callable[[Report], object]


@contextmanager
def progress_callback(progress: bool | ProgressCallback, total: int | None) -> Iterator[ProgressCallback]:
    """What to call with the report each time that it has grown.

    Args:
        progress: a function of the caller's; or whether to draw: with rich or tqdm where they are installed.
        total: how many rows there are, where that is known.
    """
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield lambda _: None
    elif find_spec("rich") is not None:
        with _rich_bar(total) as tell:
            yield tell
    elif find_spec("tqdm") is not None:
        with _tqdm_bar(total) as tell:
            yield tell
    else:
        with _text_line(total) as tell:
            yield tell


@contextmanager
def _rich_bar(total: int | None) -> Iterator[ProgressCallback]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("rows", total=total)
        yield lambda report: bar.update(task, completed=report.acknowledged)


@contextmanager
def _tqdm_bar(total: int | None) -> Iterator[ProgressCallback]:
    with import_module("tqdm").tqdm(total=total, unit=" rows") as bar:
        yield lambda report: bar.update(report.acknowledged - bar.n)


@contextmanager
def _text_line(total: int | None) -> Iterator[ProgressCallback]:
    of = "" if total is None else f" of {total:,}"

    def tell(report: Report) -> None:
        sys.stderr.write(f"\r{report.acknowledged:,}{of} rows")
        sys.stderr.flush()

    try:
        yield tell
    finally:
        sys.stderr.write("\n")


_ROWS_PER_TURN = 64  # rows that are read before others of the event loop have their turn


def run_upload(sender: Sender, upload: Upload) -> Report:
    """Send all rows → what became of them."""
    from concurrent.futures import ThreadPoolExecutor

    if not isinstance(upload.rows, Iterable):
        raise invalid_value("", "these rows are an asynchronous iterable, which only an AsyncClient goes through")
    under_way: deque[tuple[Batch, Future[BatchResult]]] = deque()
    threads = ThreadPoolExecutor(2, thread_name_prefix="softkv-upload")
    with progress_callback(upload.progress, upload.total) as tell:

        def settle() -> None:
            batch, running = under_way.popleft()
            upload.acknowledge(batch, running.result())
            tell(upload.report)

        def send(batch: Batch) -> None:
            while upload.has_to_wait(batch, [each for each, _ in under_way]):
                settle()
            under_way.append((batch, threads.submit(lambda: sender.run(upload.send(batch)))))

        try:
            sender.run(upload.begin())
            for row in upload.rows:
                if (full := upload.add(row)) is not None:
                    send(full)
            if (last := upload.rest()) is not None:
                send(last)
            while under_way:
                settle()
        except Exception as error:
            for batch, running in under_way:
                if running.exception() is None and upload.is_next(batch):
                    upload.acknowledge(batch, running.result())
            _attach_report(error, upload.report)
            raise
        except KeyboardInterrupt as error:
            _attach_report(error, upload.report)
            raise
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
    return upload.report


async def run_upload_async(sender: AsyncSender, upload: Upload) -> Report:
    """Send all rows, and let others go on meanwhile → what became of them."""
    import asyncio

    under_way: deque[tuple[Batch, asyncio.Task[BatchResult]]] = deque()
    with progress_callback(upload.progress, upload.total) as tell:

        async def settle() -> None:
            batch, running = under_way[0]
            done = await running
            under_way.popleft()
            upload.acknowledge(batch, done)
            tell(upload.report)

        async def send(batch: Batch) -> None:
            while upload.has_to_wait(batch, [each for each, _ in under_way]):
                await settle()
            under_way.append((batch, asyncio.create_task(sender.run(upload.send(batch)))))

        try:
            await sender.run(upload.begin())
            async with aclosing(_iterate_cooperatively(upload.rows)) as rows:
                async for row in rows:
                    if (full := upload.add(row)) is not None:
                        await send(full)
            if (last := upload.rest()) is not None:
                await send(last)
            while under_way:
                await settle()
        except Exception as error:
            await asyncio.wait([running for _, running in under_way]) if under_way else None
            for batch, running in under_way:
                if running.exception() is None and upload.is_next(batch):
                    upload.acknowledge(batch, running.result())
            _attach_report(error, upload.report)
            raise
        finally:
            for _, running in under_way:
                running.cancel()
    return upload.report


async def _iterate_cooperatively(rows: Any) -> AsyncGenerator[Any, None]:
    """Rows of either kind of iterable; between them others have their turn."""
    import asyncio

    if not isinstance(rows, Iterable):
        async for row in rows:
            yield row
        return
    for at, row in enumerate(rows, start=1):
        yield row
        if at % _ROWS_PER_TURN == 0:
            await asyncio.sleep(0)


def _attach_report(error: BaseException, report: Report) -> None:
    """Say with an error how far the upload was."""
    if isinstance(error, Error):
        error.report = report
    else:
        error.add_note(f"it ended an upload of which this is known: {report!r}; resume= takes a Report of yours")
