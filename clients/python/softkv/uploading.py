"""Uploads: batches of rows are sent while the next rows are read, in threads or tasks, and the progress is shown."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

from softkv.answers.documents import Report
from softkv.calls.writing import Batch, BatchResult, Upload
from softkv.errors import Error
from softkv.problems import invalid_value, warn_caller
from softkv.sending import AsyncSender, Sender

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future


ProgressCallback: TypeAlias = Callable[[Report], object]


@contextmanager
def progress_callback(progress: bool | ProgressCallback | None, total: int | None) -> Iterator[ProgressCallback]:
    """Yield a function that is called with the report after each batch.

    Args:
        progress: the caller's function, or whether to draw a bar. It is drawn with rich or tqdm if one is installed.
        total: the number of rows, or None if it is unknown.
    """
    if not progress:
        yield lambda _: None
    elif not isinstance(progress, bool):
        yield progress
    elif find_spec("rich") is not None:
        with _rich_bar(total) as update:
            yield update
    elif find_spec("tqdm") is not None:
        with _tqdm_bar(total) as update:
            yield update
    else:
        with _text_line(total) as update:
            yield update


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

    def update(report: Report) -> None:
        sys.stderr.write(f"\r{report.acknowledged:,}{of} rows")
        sys.stderr.flush()

    try:
        yield update
    finally:
        sys.stderr.write("\n")


SECONDS_BEFORE_NOTICE = 10.0


class SlowNotice:
    """The line about an upload that takes more than ten seconds: how far it is, and its rate.

    It is written on a terminal or in a notebook, unless the caller passed `progress`. If no row is acknowledged after
    ten seconds, a second line follows when the first ones are. A last line counts the values that wait at the end.
    """

    def __init__(self, upload: Upload, clock: Callable[[], float]) -> None:
        self._upload = upload
        self._clock = clock
        self._start = clock()
        self._first = upload.report.acknowledged
        self._rows, self._seconds = 0, 0.0  # acknowledged by this upload, and when
        self._begun = self._rated = False
        self._is_shown = upload.progress is None and _is_watched()

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the line is due, at least 0; None if there is nothing to write."""
        if not self._is_shown or self._rated or (self._begun and not self._rows):
            return None
        return max(0.0, self._start + SECONDS_BEFORE_NOTICE - self._clock())

    def acknowledge(self) -> None:
        """Note the rows that are acknowledged now, and when."""
        self._rows = self._upload.report.acknowledged - self._first
        self._seconds = self._clock() - self._start

    def write(self) -> None:
        """Write the line."""
        report, total, passed = self._upload.report, self._upload.total, self._clock() - self._start
        of = "" if total is None else f" of {total:,}"
        line = f"softkv: {report.acknowledged:,}{of} rows after {passed:.0f} s"
        if self._rows:
            rate = self._rows / max(self._seconds, 1e-3)
            line += f", {rate:,.0f} rows/s" if rate >= 10 else f", {rate:.2g} rows/s"
            if total is not None:
                left = (total - report.acknowledged) / rate - (passed - self._seconds)
                line += f", about {_duration(left)} left"
        _write_line(line)
        self._begun, self._rated = True, self._rows > 0

    def end(self) -> None:
        """Write how many values wait, if the upload was slow."""
        if self._begun and (waiting := self._upload.report.values_waiting):
            _write_line(f"softkv: all rows are found; {waiting:,} values are still to be encoded")


def _write_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _is_watched() -> bool:
    """Return whether a person reads standard error: it is a terminal, or the output of a notebook's cell."""
    with suppress(AttributeError, ValueError):  # a program without standard error, or that closed it
        return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")
    return False


def _duration(seconds: float) -> str:
    """Return a time in seconds, minutes or hours."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return f"{max(seconds, 1):.0f} s"


_ROWS_PER_TURN = 64  # rows that are read before other tasks of the event loop run


def run_upload(sender: Sender, upload: Upload, clock: Callable[[], float] = time.monotonic) -> Report:
    """Upload all rows; return the report.

    Args:
        sender: sends the batches.
        upload: the rows.
        clock: returns the time in seconds, by which an upload is slow.

    Raises:
        Error: the upload ended early; the error's `report` says how far it got.
    """
    from concurrent.futures import Future, ThreadPoolExecutor, wait

    if not isinstance(upload.rows, Iterable):
        raise invalid_value("", "these rows are an asynchronous iterable, which only an AsyncClient goes through")
    active: deque[tuple[Batch, Future[BatchResult]]] = deque()
    can_start_threads, notice = _can_start_threads(), SlowNotice(upload, clock)
    threads = ThreadPoolExecutor(2, thread_name_prefix="softkv-upload")
    with progress_callback(upload.progress, upload.total) as update:

        def settle() -> None:
            batch, running = active.popleft()
            if (seconds := notice.seconds_left) is not None and not wait([running], seconds).done:
                notice.write()
            upload.acknowledge(batch, running.result())
            notice.acknowledge()
            update(upload.report)

        def send(batch: Batch) -> None:
            while upload.must_wait(batch, [active_batch for active_batch, _ in active]):
                settle()
            if can_start_threads:
                active.append((batch, threads.submit(lambda: sender.run(upload.send(batch)))))
                return
            sent: Future[BatchResult] = Future()
            sent.set_result(sender.run(upload.send(batch)))
            active.append((batch, sent))

        try:
            sender.run(upload.prepare())
            for row in upload.rows:
                if (full_batch := upload.add(row)) is not None:
                    send(full_batch)
            if (last_batch := upload.finish()) is not None:
                send(last_batch)
            while active:
                settle()
            sender.run(upload.count_waiting())
            notice.end()
        except Exception as error:
            for batch, running in active:
                if running.exception() is None and upload.is_next(batch):
                    upload.acknowledge(batch, running.result())
            _attach_report(error, upload.report)
            raise
        except KeyboardInterrupt as error:
            _attach_report(error, upload.report)
            raise
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
    _warn_of_lost(upload)
    return upload.report


def _can_start_threads() -> bool:
    """Return whether threads start here; in Pyodide they do not, and one batch is sent after the other."""
    from threading import Thread

    thread = Thread(target=lambda: None)
    try:
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True


async def run_upload_async(sender: AsyncSender, upload: Upload, clock: Callable[[], float] = time.monotonic) -> Report:
    """Upload all rows without blocking the event loop; return the report.

    Args:
        sender: sends the batches.
        upload: the rows.
        clock: returns the time in seconds, by which an upload is slow.

    Raises:
        Error: the upload ended early; the error's `report` says how far it got.
    """
    import asyncio

    active: deque[tuple[Batch, asyncio.Task[BatchResult]]] = deque()
    notice = SlowNotice(upload, clock)
    with progress_callback(upload.progress, upload.total) as update:

        async def settle() -> None:
            batch, running = active[0]
            if (seconds := notice.seconds_left) is not None and not (await asyncio.wait([running], timeout=seconds))[0]:
                notice.write()
            result = await running
            active.popleft()
            upload.acknowledge(batch, result)
            notice.acknowledge()
            update(upload.report)

        async def send(batch: Batch) -> None:
            while upload.must_wait(batch, [active_batch for active_batch, _ in active]):
                await settle()
            active.append((batch, asyncio.create_task(sender.run(upload.send(batch)))))

        try:
            await sender.run(upload.prepare())
            async with aclosing(_iterate_cooperatively(upload.rows)) as rows:
                async for row in rows:
                    if (full_batch := upload.add(row)) is not None:
                        await send(full_batch)
            if (last_batch := upload.finish()) is not None:
                await send(last_batch)
            while active:
                await settle()
            await sender.run(upload.count_waiting())
            notice.end()
        except Exception as error:
            await asyncio.wait([running for _, running in active]) if active else None
            for batch, running in active:
                if running.exception() is None and upload.is_next(batch):
                    upload.acknowledge(batch, running.result())
            _attach_report(error, upload.report)
            raise
        finally:
            for _, running in active:
                running.cancel()
    _warn_of_lost(upload)
    return upload.report


async def _iterate_cooperatively(rows: Any) -> AsyncGenerator[Any, None]:
    """Yield the rows of an iterable or an asynchronous iterable, and let other tasks run after every 64 rows."""
    import asyncio

    if not isinstance(rows, Iterable):
        async for row in rows:
            yield row
        return
    for count, row in enumerate(rows, start=1):
        yield row
        if count % _ROWS_PER_TURN == 0:
            await asyncio.sleep(0)


def _warn_of_lost(upload: Upload) -> None:
    """Warn that rows were refused or had expired, unless the caller follows the upload."""
    report = upload.report
    if report.expired and not upload.is_followed:
        warn_caller(
            f"{report.expired:,} of {report.rows:,} rows had expired before they were sent, so their documents are "
            "absent: a number in `expires` counts seconds since 1970"
        )
    if report.refused and not upload.is_followed:
        first = report.refused[0]
        position = f"row {first.row}" if first.line is None else f"line {first.line:,} of the file"
        were = "was" if len(report.refused) == 1 else "were"
        warn_caller(
            f"{len(report.refused):,} of {report.rows:,} rows {were} refused, the first is {position}: "
            f"{first.detail}. `refused` of the report has them all; raise_for_refused() makes this an error"
        )


def _attach_report(error: BaseException, report: Report) -> None:
    """Attach the report to the error that ended the upload."""
    if isinstance(error, Error):
        error.report = report
    else:
        error.add_note(f"The upload ended early: {report!r}. Pass its Report as resume= to continue.")
