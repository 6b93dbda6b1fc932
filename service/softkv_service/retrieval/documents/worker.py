"""The one worker of a service: values and words that rows lack, moves to other encoders, and what these leave.

It looks every few seconds for work in the store, or when it is woken. So work goes on after a kill, with the batch that
was lost. Where several processes share a store, one of them has the lease of a collection's work and renews it; when it
dies, another one takes the work over.

The work of each encoder is a lane. In a lane, all collections and kinds take turns, a transaction each: none starves,
and a long move does not keep values of other collections waiting. A lane holds up no other one, for example when a
provider is slow. `Slices` says when texts are encoded, beside the questions and uploads of callers.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from softkv_service.encoding import EncodingError, QueueClosed
from softkv_service.logs import log
from softkv_service.retrieval.collections import Catalogue
from softkv_service.retrieval.documents.backfill import MissingValues, MissingWords
from softkv_service.retrieval.documents.re_encoding import Leftovers, Moves
from softkv_service.retrieval.documents.work import (
    INTERVAL_SECONDS,
    LONGEST_PAUSE_SECONDS,
    LOOK_SECONDS,
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    SHOW_SECONDS,
    Kind,
    Slices,
    WorkOver,
)
from softkv_service.retrieval.errors import RetrievalError
from softkv_service.scheduling import CALLER, READS, WRITES
from softkv_service.storage.errors import CollectionMissing, StorageError, StoreClosed

Work = tuple[Kind, int]
"""A kind of work, and the number of a collection."""
PASSING = (EncodingError, RetrievalError, StorageError, MemoryError, TimeoutError)
"""Errors that may pass."""


class Worker:
    """The work of a service in the background, on all its collections.

    Args:
        catalogue: the collections of the service.
        interval_seconds, patience_seconds: see the constants of `work.py`.
        grace_seconds: for how long a replaced collection stays readable; None for the usual time.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
        grace_seconds: float | None = None,
    ) -> None:
        self._catalogue, self._interval, self._owner = catalogue, interval_seconds, secrets.token_hex(8)
        shared = catalogue, Slices(catalogue.encoders, patience_seconds), self._owner
        self._kinds = (MissingValues(*shared), MissingWords(*shared), Moves(*shared), Leftovers(*shared, grace_seconds))
        self._awake = asyncio.Event()
        self._lanes: dict[str | None, dict[Work, AsyncGenerator[None]]] = {}  # by encoder; None without one
        self._tasks: dict[str | None, asyncio.Task[None]] = {}
        self._pauses: dict[Work, tuple[float, float]] = {}  # how many seconds, and until when
        self._shown: dict[int, float] = {}  # by collection, when its values were shown last

    def wake(self) -> None:
        """Look for work now."""
        self._awake.set()

    async def run(self) -> None:
        """Work until this is cancelled, or the store is closed."""
        CALLER.set("")  # after the work of every caller
        self._catalogue.encoders.wake_worker = self.wake
        try:
            while True:
                self._awake.clear()
                await self._look()
                await asyncio.sleep(LOOK_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await self._awake.wait()
        except StoreClosed:
            pass
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def finish(self) -> None:
        """Do the work that there is now to its end, or to an error."""
        CALLER.set("")
        await self._look()
        while self._tasks:
            await asyncio.gather(*self._tasks.values())
        await READS.run(self._show, 0.0)

    async def _look(self) -> None:
        """Put work into lanes, renew leases, and show values.

        Raises:
            StoreClosed: the store was closed.
        """
        try:
            await self._catalogue.refresh()
            encoders = await READS.run(self._find)
            leased = await WRITES.run(self._lease, sorted({number for kind, number in encoders if kind.leased}))
            await READS.run(self._show, SHOW_SECONDS)
        except (StorageError, RetrievalError) as error:  # such as a database that restarts
            if isinstance(error, StoreClosed):
                raise
            log.warning("work in the background waits", reason=str(error))
            return
        now = time.monotonic()
        self._pauses = {work: pause for work, pause in self._pauses.items() if work in encoders}
        running = {work for lane in self._lanes.values() for work in lane}
        for work, encoder in encoders.items():
            kind, number = work
            if work in running or (kind.leased and number not in leased) or self._pauses.get(work, (0, 0))[1] > now:
                continue
            self._lanes.setdefault(encoder, {})[work] = kind.batches(number)
            if encoder not in self._tasks:
                self._tasks[encoder] = asyncio.create_task(self._run_lane(encoder))

    def _find(self) -> dict[Work, str | None]:
        """Return all work that there is, with the encoder that it needs."""
        with self._catalogue.store.reading() as reader:
            return {(kind, number): name for kind in self._kinds for number, name in kind.find(reader).items()}

    def _lease(self, numbers: Sequence[int]) -> set[int]:
        """Take or renew the leases of these collections; return those that this process has."""
        if not numbers:
            return set()
        with self._catalogue.store.writing(deletes=True) as writer:
            return {number for number in numbers if writer.lease(number, self._owner)}

    def _show(self, interval: float) -> None:
        """Show values that were stored, by this process or another one.

        Args:
            interval: leave out collections whose values were shown less than this number of seconds ago.
        """
        now, collections = time.monotonic(), self._catalogue.collections()
        numbers = {one.record.id for one in collections}
        self._shown = {number: when for number, when in self._shown.items() if number in numbers}
        for collection in collections:
            if now - self._shown.get(collection.record.id, -interval) < interval:
                continue
            try:
                if collection.show_values():
                    self._shown[collection.record.id] = now
            except (RetrievalError, StorageError, MemoryError) as error:
                if isinstance(error, StoreClosed):
                    raise
                if not isinstance(error, CollectionMissing):
                    log.warning("values are not shown for now", collection=collection.name, reason=str(error))

    async def _run_lane(self, encoder: str | None) -> None:
        """Do the work that needs an encoder, a transaction of each in turn, until there is none."""
        lane = self._lanes[encoder]
        try:
            while lane:
                for work in list(lane):
                    if not await self._step(work, lane[work]):
                        del lane[work]
                    await asyncio.sleep(PAUSE_SECONDS)
        finally:
            del self._lanes[encoder], self._tasks[encoder]
            for batches in lane.values():
                await batches.aclose()

    async def _step(self, work: Work, batches: AsyncGenerator[None]) -> bool:
        """Do the next batch of some work; return whether there may be more."""
        kind, number = work
        try:
            await anext(batches)
        except StopAsyncIteration:
            self.wake()  # show its values, delete what it has left
        except (WorkOver, CollectionMissing, StoreClosed):
            pass
        except Exception as error:
            is_known = isinstance(error, PASSING)
            if not is_known:
                log.exception(f"{kind.name} failed unexpectedly")
            last, _ = self._pauses.get(work, (0.5, 0.0))
            seconds = min(2 * last, LONGEST_PAUSE_SECONDS)
            self._pauses[work] = seconds, time.monotonic() + seconds
            asyncio.get_running_loop().call_later(seconds, self.wake)
            with suppress(StorageError, RetrievalError):  # the state in the store stays as it was
                if kind.is_final(error) or not is_known:
                    await kind.fail(number, _describe(error))
                else:
                    await kind.pause(number, _describe(error), seconds)
        else:
            self._pauses.pop(work, None)
            return True
        return False


def _describe(error: Exception) -> str:
    """Return why work has stopped, for a person."""
    if not isinstance(error, PASSING):
        return f"it failed unexpectedly ({type(error).__name__})"
    if isinstance(error, QueueClosed):
        return "its encoder is not running"
    if isinstance(error, MemoryError):
        return "the service has too little memory"
    return str(error) or "a step took too long"
