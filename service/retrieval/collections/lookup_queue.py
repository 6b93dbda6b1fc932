"""Who is answered next: what is asked of one collection while a scan runs forms the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from attention.errors import AttentionError
from attention.lookup import Answer, Question, answers
from service.request_trace import Wait, batch_stage
from service.retrieval.collections.snapshot import Snapshot
from service.retrieval.errors import InvalidContent, RetrievalError, SnapshotGone
from service.scheduling import CALLER, CORES, FairQueue, FairThreads
from service.storage import DocumentDamaged, StorageError

LOOKUPS = FairThreads("lookups", min(32, CORES + 2))
"""Where all collections' questions are answered: two at a time of each, one batch scanned and one finished."""
LONG_ANSWERS = FairThreads("answers", 2)
"""Where those are finished for which many documents are read: no other batch waits for them."""

MAX_BATCH_QUESTIONS = 256  # of one batch: what waits longer than such a scan would be better off in its own
MAX_BATCH_DOCUMENTS = 4096  # documents of one batch
MAX_RETRIES = 2
"""How often a batch is made again on a newer snapshot, where its own went while it was asked."""

T = TypeVar("T")
Questions = Callable[[Snapshot], list[Question]]


@dataclass(frozen=True, eq=False)
class PendingLookup:
    """One caller's questions, and what becomes of their answers; where someone else's failed, both are made again.

    Attributes:
        questions: those that the batch's scan is to answer, made on its version of the collection.
        finish: takes their answers; what is not answered by that scan asks the snapshot here.
        size: how many questions it counts for.
        read: how many documents it may read.
    """

    questions: Questions
    finish: Callable[[Snapshot, list[Answer]], Any]
    size: int
    read: int
    future: asyncio.Future[Any]
    wait: Wait = field(default_factory=lambda: Wait("scan"))

    @property
    def finishing(self) -> Callable[[Snapshot, list[Answer]], Any]:
        """To finish, with the time that it takes on the caller's trace."""
        return self.wait.timed("finish", self.finish)

    def settle(self, outcome: Any) -> None:
        """Give the caller, if it still waits, what came of it: a result, or the error in this room's words."""
        if self.future.done():
            return
        if isinstance(outcome, AttentionError):
            outcome = InvalidContent.at("", str(outcome))
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


Outcomes = list[Any]
"""For each of a batch its result, or the error that belongs to it."""


@dataclass(frozen=True, eq=False)
class ScannedBatch:
    """A batch whose keys are read: what is left to do for each, and what has to stay open until then."""

    work: Sequence[Callable[[], Any]]
    snapshot: ExitStack

    def finish(self) -> Outcomes:
        """Do it, and let go of the snapshot."""
        with self.snapshot:
            return [each() for each in self.work]


class LookupQueue:
    """Feeds the scans of one collection; work-conserving, without a timer, off the event loop.

    Two stages, each in a thread: a batch is scanned while the documents of the one before are read.

    A batch has one version of the collection, taken when it begins: after every write that was acknowledged
    before any of its questions arrived. A cancelled question leaves; one that fails, fails alone.
    """

    def __init__(
        self,
        snapshot: Callable[[], AbstractContextManager[Snapshot]],
        damaged: Callable[[DocumentDamaged], object],
        name: str = "",
    ) -> None:
        self._name = name
        self._snapshot = snapshot
        self._damaged = damaged
        self._waiting: FairQueue[PendingLookup] = FairQueue()
        self._runner: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[None] | None = None
        self._long = set[asyncio.Task[None]]()

    @property
    def waiting(self) -> int:
        """How many questions wait for a scan."""
        return sum(pending.size for pending in list(self._waiting) if not pending.future.done())

    async def ask(
        self, questions: Questions, finish: Callable[[Snapshot, list[Answer]], T], size: int, read: int = 0
    ) -> T:
        """What `finish` makes of the answers to the questions, see `PendingLookup`; both are called in a worker thread.

        Raises:
            RetrievalError: from either of them, or as the questions cannot be answered.
        """
        pending = PendingLookup(questions, finish, size, read, asyncio.get_running_loop().create_future())
        self._waiting.put(CALLER.get(), pending)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        result: T = await pending.future
        return result

    async def _run(self) -> None:
        try:
            while batch := self._next_batch():
                scanned = await self._scanned(batch)
                if _is_long(batch) and not isinstance(scanned, list):
                    finishing = asyncio.create_task(self._finish(batch, scanned))
                    self._long.add(finishing)
                    finishing.add_done_callback(self._long.discard)
                    continue
                if self._finishing is not None:
                    await self._finishing
                if isinstance(scanned, list):
                    _settle(batch, scanned)
                else:
                    self._finishing = asyncio.create_task(self._finish(batch, scanned))
        finally:
            self._runner = None

    async def _finish(self, batch: Sequence[PendingLookup], scanned: ScannedBatch) -> None:
        """Give each its outcome, once there is one; meanwhile the next batch is scanned."""
        _settle(batch, await self._finished(batch, scanned))

    def _next_batch(self) -> list[PendingLookup]:
        """Callers take turns; what reads many documents is a batch of its own."""
        batch, size, read = list[PendingLookup](), 0, 0
        while (found := self._waiting.next()) is not None:
            _, pending = found
            size, read = size + pending.size, read + pending.read
            if batch and not pending.future.done() and (size > MAX_BATCH_QUESTIONS or read > MAX_BATCH_DOCUMENTS):
                break
            self._waiting.take()
            if pending.future.done():
                size, read = size - pending.size, read - pending.read
            else:
                batch.append(pending)
        return batch

    async def _scanned(self, batch: Sequence[PendingLookup]) -> ScannedBatch | Outcomes:
        """The batch's answers; or, of each, its result or the error that belongs to it."""
        try:
            return await asyncio.wrap_future(LOOKUPS.submit(partial(self._scan, batch), self._name))
        except (RetrievalError, StorageError) as error:  # the collection's, or the file's: everyone's
            return [error] * len(batch)
        except Exception as error:  # someone's, whatever it is
            return await self._alone(batch, error)

    async def _finished(self, batch: Sequence[PendingLookup], scanned: ScannedBatch | Outcomes) -> Outcomes:
        if isinstance(scanned, list):
            return scanned
        try:
            threads = LONG_ANSWERS if _is_long(batch) else LOOKUPS
            return await asyncio.wrap_future(threads.submit(scanned.finish, self._name))
        except Exception as error:
            return await self._alone(batch, error)

    async def _alone(self, batch: Sequence[PendingLookup], error: Exception) -> Outcomes:
        """An error that is one's of a batch: each is asked again, alone, and so finds out whose."""
        if len(batch) == 1:
            return [error]
        return [outcome for one in batch for outcome in await self._finished([one], await self._scanned([one]))]

    def _scan(self, batch: Sequence[PendingLookup]) -> ScannedBatch | Outcomes:
        for _ in range(MAX_RETRIES):
            with suppress(SnapshotGone):
                return self._scan_once(batch)
        return self._scan_once(batch)

    def _scan_once(self, batch: Sequence[PendingLookup]) -> ScannedBatch | Outcomes:
        with ExitStack() as stack:
            snapshot = stack.enter_context(self._snapshot())
            asked = [self._guarded(pending.questions, snapshot) for pending in batch]
            wanted = [question for questions in asked if isinstance(questions, list) for question in questions]
            with batch_stage([pending.wait for pending in batch], len(wanted)):
                answered = answers(snapshot.view, wanted)
            _tell(batch, snapshot, answered)
            found = iter(answered)
            work = [
                partial(self._guarded, pending.finishing, snapshot, list(islice(found, len(questions))))
                if isinstance(questions, list)
                else partial(_return_outcome, questions)
                for pending, questions in zip(batch, asked, strict=True)
            ]
            scanned = ScannedBatch(work, stack.pop_all())
        # Who waits for no other batch is spared the way through another thread.
        return scanned if self._waiting or _is_long(batch) else scanned.finish()

    def _guarded(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """What the work gives, or the error that belongs to who asked for it: the others may have their answers."""
        try:
            return work(*arguments)
        except SnapshotGone:  # everyone's: the batch takes a newer one
            raise
        except (AttentionError, RetrievalError, StorageError) as error:
            if isinstance(error, DocumentDamaged):
                self._damaged(error)
            return error


def _tell(batch: Sequence[PendingLookup], snapshot: Snapshot, answered: Sequence[Answer]) -> None:
    """Whoever follows these requests how large the collection is, and what the certificates are."""
    for pending in batch:
        pending.wait.trace.documents = snapshot.view.documents
    for answer in answered:
        batch[0].wait.trace.listener.record_answer(answer.certificate.method, answer.certificate.total_variation)


def _settle(batch: Sequence[PendingLookup], outcomes: Outcomes) -> None:
    for pending, outcome in zip(batch, outcomes, strict=True):
        pending.settle(outcome)


def _is_long(batch: Sequence[PendingLookup]) -> bool:
    return sum(pending.read for pending in batch) > MAX_BATCH_DOCUMENTS


def _return_outcome(outcome: T) -> T:
    return outcome
