"""Sending rows while others are read: in threads for a blocking client, in tasks for an awaited one."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from softkv.answers.report import Report
from softkv.calls.batch import Batch, Outcome
from softkv.calls.upload import Upload
from softkv.errors import Error
from softkv.problems import flawed
from softkv.progress import told
from softkv.sending import AsyncSender, Sender

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

_AT_A_TURN = 64  # rows that are read before others of the event loop have their turn


def run(sender: Sender, upload: Upload) -> Report:
    """Send all rows → what became of them."""
    from concurrent.futures import ThreadPoolExecutor

    if not isinstance(upload.rows, Iterable):
        raise flawed("", "these rows are an asynchronous iterable, which only an AsyncClient goes through")
    under_way: deque[tuple[Batch, Future[Outcome]]] = deque()
    threads = ThreadPoolExecutor(2, thread_name_prefix="softkv-upload")
    with told(upload.progress, upload.total) as tell:

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
            _has_report(error, upload.report)
            raise
        except KeyboardInterrupt as error:
            _has_report(error, upload.report)
            raise
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
    return upload.report


async def run_awaited(sender: AsyncSender, upload: Upload) -> Report:
    """Send all rows, and let others go on meanwhile → what became of them."""
    import asyncio

    under_way: deque[tuple[Batch, asyncio.Task[Outcome]]] = deque()
    with told(upload.progress, upload.total) as tell:

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
            async with aclosing(_in_turns(upload.rows)) as rows:
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
            _has_report(error, upload.report)
            raise
        finally:
            for _, running in under_way:
                running.cancel()
    return upload.report


async def _in_turns(rows: Any) -> AsyncGenerator[Any, None]:
    """Rows of either kind of iterable; between them others have their turn."""
    import asyncio

    if not isinstance(rows, Iterable):
        async for row in rows:
            yield row
        return
    for at, row in enumerate(rows, start=1):
        yield row
        if at % _AT_A_TURN == 0:
            await asyncio.sleep(0)


def _has_report(error: BaseException, report: Report) -> None:
    """Say with an error how far the upload was."""
    if isinstance(error, Error):
        error.report = report
    else:
        error.add_note(f"it ended an upload of which this is known: {report!r}; resume= takes a Report of yours")
