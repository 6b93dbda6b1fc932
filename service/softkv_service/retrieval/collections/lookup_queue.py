"""The queue of one collection's lookups: their order, their batches, and one version of the collection for each."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from softkv_attention.errors import AttentionError
from softkv_attention.kernels import one_thread
from softkv_attention.lookup import Answer, AnyView, Question, View, answer_in_one_scan, answers
from softkv_service.logs import log
from softkv_service.request_trace import LookupPath, Wait, batch_stage, end_waits, time_stage
from softkv_service.retrieval.collections.snapshot import (
    SHARED,
    CallerGone,
    CostlyFilter,
    Evaluation,
    MaskError,
    Snapshot,
)
from softkv_service.retrieval.errors import InvalidContent, RetrievalError, SnapshotGone
from softkv_service.scheduling import CALLER, CORES, FairQueue, FairThreads
from softkv_service.storage.errors import DocumentDamaged, StorageError

LOOKUPS = FairThreads("lookups", min(32, CORES + 2))
"""Threads that answer the queries of all collections; each collection scans one batch and finishes another at a time.
"""
COSTLY_FILTERS = FairThreads("filters", 3)
"""Threads that answer lookups with a costly filter, each in a batch of its own, so that no other lookup waits."""
LONG_ANSWERS = FairThreads("answers", 2)
"""Threads that finish answers that read many documents, so that no other batch waits for them."""


LIGHT_COMPONENTS = 2**22
"""The most components of keys (rows times width times questions) that a light batch reads: a millisecond or less. A
hand-over to a thread and back takes a third of that, and longer while the threads have other work.
"""
SCANNED = 16
"""The event loop reads this many times LIGHT_COMPONENTS for a question that comes alone, if one scan in C answers it.
That takes some four milliseconds on two cores. Questions that come together share a scan in a thread.
"""
FEW = 4
"""The least limit of a light batch while more questions wait: a thread reads the keys once for many."""
LIGHT_QUESTIONS, LIGHT_DOCUMENTS = 16, 256  # of a light batch, each of which takes about a hundredth of a millisecond
MAX_BATCH_QUESTIONS = 256  # a longer scan would delay its queries more than a batch of their own
MAX_BATCH_DOCUMENTS = 4096  # documents read for one batch
MAX_RETRIES = 2
"""The number of retries of a batch on a newer snapshot, after its own was dropped."""

SHORTEST_SECONDS, STEP, STEPS = 1e-4, 1.2, 80
"""Durations are counted in steps of a fifth, from 0.1 ms to three minutes."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Planned(Protocol[T_co]):
    """A plan in one version of the collection: its questions for the scan, and what follows from their answers."""

    @property
    def questions(self) -> Sequence[Question]:
        """The questions."""

    def finish(self, answers: list[Answer], /) -> T_co:
        """Turn the answers to the questions into the caller's result; this may read more from the collection."""


Plan: TypeAlias = Callable[[Snapshot], Planned[T]]
"""The questions of a caller, for any version of the collection. They are built once for the snapshot of its batch."""


@dataclass(frozen=True, eq=False)
class PlannedReading(Generic[T]):
    """A plan that has no questions for the scan, but reads the snapshot of the batch."""

    read: Callable[[Snapshot], T]
    snapshot: Snapshot
    questions: Sequence[Question] = ()

    def finish(self, _: list[Answer]) -> T:
        """Return what is read."""
        return self.read(self.snapshot)


@dataclass(frozen=True, eq=False)
class PendingLookup:
    """A plan of one caller that waits for a scan of the keys.

    If the batch fails because of another caller, the plan is built again for a newer snapshot.

    Attributes:
        plan: builds the questions for the batch's scan, from its version of the collection.
        size: the number of questions that the lookup counts for in a batch.
        read: the number of documents that the lookup may read.
        lookup_only: whether the plan does little besides its lookup.
    """

    plan: Plan[Any]
    size: int
    read: int
    lookup_only: bool
    future: asyncio.Future[Any]
    caller: str = field(default_factory=CALLER.get)
    wait: Wait = field(default_factory=lambda: Wait("scan"))

    def settle(self, outcome: Any) -> None:
        """Give the caller the result or the error, if the caller still waits."""
        if self.future.done():
            return
        if isinstance(outcome, AttentionError):
            outcome = InvalidContent.at("", str(outcome))
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


@dataclass(frozen=True, eq=False)
class Unanswered:
    """A batch that the event loop leaves to a thread.

    Attributes:
        path: the thread that answers it, and why.
        snapshot, answers: the answers to its questions, if they are known, and the snapshot that they are of.
    """

    path: LookupPath
    snapshot: Snapshot | None = None
    answers: Sequence[Answer] = ()

    def holds(self, snapshot: Snapshot) -> bool:
        """Return whether the known answers are those of another snapshot, too."""
        of = self.snapshot
        return of is not None and snapshot.view is of.view and snapshot.state == of.state


Outcomes = list[Any]
"""A result or an error for each lookup of a batch."""


@dataclass(frozen=True, eq=False)
class ScannedBatch:
    """A batch of lookups whose scan of the keys is done, with the tasks that remain for each lookup.

    The snapshot (the collection at one version) stays open for these tasks.
    """

    work: Sequence[Callable[[], Any]]
    snapshot: ExitStack

    def finish(self) -> Outcomes:
        """Run the remaining tasks, and close the snapshot."""
        with self.snapshot:
            return [task() for task in self.work]


class QuestionTimes:
    """The number of questions to a collection, and the times that their calls took.

    One thread, that of the event loop, adds to it; any thread may read.
    """

    def __init__(self) -> None:
        self.questions = 0
        self._calls: list[int] = []  # by the step of their duration; empty before the first call

    def add(self, seconds: float, questions: int) -> None:
        """Count a call that was answered in this time, with this number of questions."""
        self.questions += questions
        if not self._calls:
            self._calls = [0] * STEPS
        step = math.ceil(math.log(max(seconds, SHORTEST_SECONDS) / SHORTEST_SECONDS, STEP))
        self._calls[min(step, STEPS - 1)] += 1

    @staticmethod
    def p99(times: Iterable[QuestionTimes]) -> float | None:
        """Return the seconds in which 99 of 100 calls were answered, rounded up by a fifth; None without any."""
        counted = [one._calls for one in times if one._calls]
        calls = [sum(column) for column in zip(*counted, strict=True)]
        if not calls:
            return None
        enough, within = 0.99 * sum(calls), 0
        for step, count in enumerate(calls):
            within += count
            if within >= enough:
                return SHORTEST_SECONDS * STEP**step
        raise AssertionError("all calls are within the last step")


class LookupQueue:
    """A queue that feeds the scans of one collection from one event loop; they run in other threads.

    - Queries that arrive during a scan form the next batch; no query waits for a timer.
    - Callers take turns, lookup by lookup.
    - A cancelled lookup leaves the queue.
    - A lookup that makes a batch fail fails alone.
    - A batch uses one version of the collection, taken when it begins: after every write that was acknowledged before
      any of its queries arrived.
    - It has two stages, each in a thread: a batch is scanned while the documents of the previous batch are read.
      A lookup that reads many documents has threads of its own, and so has one with a costly filter.
    - A light batch is answered by the event loop itself: it reads few keys, and all that it needs is in memory. So is a
      question that comes alone and that one scan answers: the way to a thread and back takes as long as half a scan.
      Its keys may lie in files that the system has in memory.

    Args:
        snapshot: opens a snapshot of the collection.
        memory_snapshot: returns a snapshot of what is in memory, without waiting; None if that is not possible.
        damaged: learns of damaged documents.
        name: the name of the collection.

    Attributes:
        times: the number of questions that were answered, and the times of their calls.
        light_components: the most components of keys that a light batch reads.
    """

    def __init__(
        self,
        snapshot: Callable[[], AbstractContextManager[Snapshot]],
        memory_snapshot: Callable[[], Snapshot | None],
        damaged: Callable[[DocumentDamaged], object],
        name: str = "",
    ) -> None:
        self.times = QuestionTimes()
        self.light_components = LIGHT_COMPONENTS
        self._name = name
        self._snapshot = snapshot
        self._memory_snapshot = memory_snapshot
        self._damaged = damaged
        self._waiting: FairQueue[PendingLookup] = FairQueue()
        self._runner: asyncio.Task[None] | None = None
        self._finishing: asyncio.Task[None] | None = None
        self._long = set[asyncio.Task[None]]()
        self._alone = True  # whether the last lookup came alone, and its turn of the event loop has ended
        self._quiet = True  # whether no other came in the turn after a scan by the event loop, either

    @property
    def waiting(self) -> int:
        """The number of questions that wait for a scan."""
        return sum(pending.size for pending in list(self._waiting) if not pending.future.done())

    async def ask(
        self,
        plan: Plan[T],
        size: int,
        read: int = 0,
        count: int = 1,
        *,
        lookup_only: bool = False,
    ) -> T:
        """Ask the questions of a plan in the next batch, and return the result that follows from their answers.

        A worker thread builds and finishes the plan, or the event loop if it is light.

        Args:
            plan: builds the questions for the snapshot of the batch, which is the collection at one version.
            size: the number of questions that the call counts for in a batch.
            read: the number of documents that finishing may read.
            count: the number of questions that the caller asked.
            lookup_only: whether the plan does little besides its lookup, so that it is light if that reads few keys.

        Raises:
            RetrievalError: raised by the plan, or the questions cannot be answered.
        """
        began = time.perf_counter()
        pending = PendingLookup(plan, size, read, lookup_only, asyncio.get_running_loop().create_future())
        snapshot = self._snapshot_for_one(pending)
        unanswered = None if snapshot is None else self._answer_light([pending], snapshot)
        if unanswered is not None:
            self._runner = asyncio.create_task(self._run(([pending], unanswered)))
        elif snapshot is None:
            self._waiting.put(pending.caller, pending)
            # Nothing awaits since the put: the runner cannot have ended meanwhile.
            if self._runner is None:
                self._runner = asyncio.create_task(self._run())
        result: T = await pending.future
        self.times.add(time.perf_counter() - began, count)
        return result

    async def read(self, reading: Callable[[Snapshot], T], size: int, read: int = 0) -> T:
        """Return what a function reads of the next batch's snapshot, without a question for its scan; see `ask`."""
        return await self.ask(partial(PlannedReading, reading), size, read)

    @property
    def _unfinished(self) -> asyncio.Task[None] | None:
        """The task that finishes a batch now; None if there is none."""
        return None if self._finishing is None or self._finishing.done() else self._finishing

    def _snapshot_for_one(self, pending: PendingLookup) -> Snapshot | None:
        """Return the snapshot with which a light lookup is answered at once; None if it has to wait for a batch.

        A lookup that comes alone does not wait, as when one caller asks one question after another. Of several lookups
        in one turn of the event loop, only the first is answered at once. After a batch of several, every lookup waits
        for a batch until one comes alone: a batch takes much less time than its lookups alone.
        """
        if not (self._alone and pending.lookup_only) or (self._runner or self._unfinished) is not None:
            return None
        snapshot = self._memory_snapshot()
        view, loop = _local_view(snapshot), asyncio.get_running_loop()
        if self._choose_path([pending], view) != "loop":
            if not (self._quiet and self._is_scanned_at_once(pending, view)):
                return None
            self._begin_scan_at_once()
        self._alone = False
        loop.call_soon(self._end_turn)
        return snapshot

    def _end_turn(self) -> None:
        self._alone = self._runner is None

    def _begin_scan_at_once(self) -> None:
        # Lookups that come during the scan are read in the next turn. They wait until its end, to share a scan.
        self._quiet, loop = False, asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._end_quiet_turn)

    def _end_quiet_turn(self) -> None:
        self._quiet = True

    def _light_questions(self, view: View | None) -> int:
        """Return the most questions of a light batch to a view in memory; 0 if a single one reads too many keys."""
        if view is None:
            return 0
        return min(LIGHT_QUESTIONS, self.light_components // max(1, _components(view)))

    def _is_scanned_at_once(self, pending: PendingLookup, view: View | None) -> bool:
        """Return whether the event loop scans the keys for a light lookup of one question that comes alone.

        After a start, the keys of large collections lie in sealed files, which the system mostly has in memory.
        """
        if view is None or view.facts.several or self._choose_path([pending], view) not in ("bounds", "keys"):
            return False
        light = pending.lookup_only and pending.size == 1 and pending.read <= LIGHT_DOCUMENTS
        return light and _components(view) <= SCANNED * self.light_components and view.scan_in_memory()

    def _choose_path(self, batch: Sequence[PendingLookup], view: View | None) -> LookupPath:
        """Return the path of a batch: "loop" if it is light."""
        size, read = sum(pending.size for pending in batch), sum(pending.read for pending in batch)
        if read > LIGHT_DOCUMENTS or not all(pending.lookup_only for pending in batch):
            return "bounds"
        if view is None:
            return "store"
        if view.facts.several or not view.in_memory:
            return "keys"
        return "loop" if size <= self._light_questions(view) else "bounds"

    def _answer_light(self, batch: Sequence[PendingLookup], snapshot: Snapshot) -> Unanswered | None:
        """Answer a light batch in this thread, that of the event loop, and return None; else what is known by then."""
        view, began = snapshot.view, time.perf_counter()
        unanswered = Unanswered("refused")
        try:
            plans = [pending.plan(snapshot) for pending in batch]
            questions = [one for planned in plans for one in planned.questions]
            all_answers = list[Answer]()
            in_files = isinstance(view, View) and not view.in_memory
            if questions and not in_files and _components(view) <= self.light_components:
                with one_thread():
                    all_answers = answers(view, questions)
            elif questions:  # of a lookup that came alone
                scans = [answer_in_one_scan(view, question) for question in questions]
                all_answers = [scan for scan in scans if scan is not None]
                if len(all_answers) < len(questions):
                    return Unanswered("bounds")
            scanned, remaining = time.perf_counter(), iter(all_answers)
            unanswered = Unanswered("loop and thread", snapshot, all_answers)
            outcomes = [planned.finish(list(islice(remaining, len(planned.questions)))) for planned in plans]
        except (AttentionError, MaskError, RetrievalError, StorageError):
            return unanswered  # something is not in memory, or a lookup fails: a thread finds out which one, and why
        except Exception:
            log.exception("a light lookup failed unexpectedly, a thread tries again")
            return Unanswered("refused")
        finished, listener, waits = time.perf_counter(), batch[0].wait.trace.listener, [one.wait for one in batch]
        for wait in waits:
            wait.trace.documents = view.documents
        end_waits(waits, began, (("scan", began, scanned), ("finish", scanned, finished)))
        listener.record_stage("scan", scanned - began, len(all_answers))
        listener.record_stage("finish", finished - scanned, len(all_answers))
        for answer in all_answers:
            listener.record_answer(answer.certificate.method, answer.certificate.total_variation)
        listener.record_lookups("loop", len(batch))
        self._settle(batch, outcomes)
        return None

    async def _run(self, begun: tuple[Sequence[PendingLookup], Unanswered] | None = None) -> None:
        """Answer all waiting lookups.

        Args:
            begun: a batch that is answered before them, with what the event loop knows of its answers.
        """
        first = begun is None
        try:
            if begun is not None:
                await self._answer_in_threads(*begun)
            while self._waiting:
                # Many threads would slow each other down: questions to a small collection are answered a few at a time.
                snapshot = self._memory_snapshot()
                view = _local_view(snapshot)
                few = self._light_questions(view)
                batch = self._next_batch(few if few >= FEW else MAX_BATCH_QUESTIONS)
                if not batch:
                    break
                self._alone = len(batch) == 1
                path = self._choose_path(batch, view)
                if path == "loop" and (unfinished := self._unfinished) is not None:
                    await unfinished  # its callers came first, and light batches would hold up its thread
                    snapshot = self._memory_snapshot()
                    path = self._choose_path(batch, _local_view(snapshot))
                # If no other lookup came in its turn. After a batch, the answers of that would wait for the scan.
                elif (
                    first and len(batch) == 1 and self._unfinished is None and self._is_scanned_at_once(batch[0], view)
                ):
                    self._begin_scan_at_once()
                    path = "loop"
                first, unanswered = False, Unanswered(path)
                if path == "loop" and snapshot is not None:
                    answered = self._answer_light(batch, snapshot)
                    if answered is None:
                        await asyncio.sleep(0)  # lets the answers be sent, and others arrive
                        continue
                    unanswered = answered
                await self._answer_in_threads(batch, unanswered)
        finally:
            self._runner = None

    async def _answer_in_threads(self, batch: Sequence[PendingLookup], unanswered: Unanswered) -> None:
        """Scan a batch; return when the next one may be scanned, which is before this one is finished."""
        batch[0].wait.trace.listener.record_lookups(unanswered.path, len(batch))
        scanned = await self._scan_batch(batch, unanswered)
        if _is_long(batch) and not isinstance(scanned, list):
            # A long batch has threads of its own, so the next batch does not wait for it.
            finishing = asyncio.create_task(self._finish(batch, scanned))
            self._long.add(finishing)
            finishing.add_done_callback(self._long.discard)
            return
        # One batch is finished while one is scanned, and no more, so snapshots do not pile up.
        if self._finishing is not None:
            await self._finishing
        if isinstance(scanned, list):
            self._settle(batch, scanned)
        else:
            self._finishing = asyncio.create_task(self._finish(batch, scanned))

    async def _finish(self, batch: Sequence[PendingLookup], scanned: ScannedBatch) -> None:
        """Finish each lookup of a scanned batch and give the caller its result, while the next batch is scanned."""
        self._settle(batch, await self._finish_batch(batch, scanned))

    def _settle(self, batch: Sequence[PendingLookup], outcomes: Outcomes) -> None:
        for pending, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, CostlyFilter):
                alone = asyncio.create_task(self._answer_alone(pending))
                self._long.add(alone)
                alone.add_done_callback(self._long.discard)
            else:
                pending.settle(outcome)

    async def _answer_alone(self, pending: PendingLookup) -> None:
        """Answer a lookup with a costly filter in a batch of its own, until its caller goes."""
        work = COSTLY_FILTERS.submit(partial(self._scan_alone, pending), pending.caller)
        pending.future.add_done_callback(lambda _: work.cancel())
        try:
            (outcome,) = await asyncio.wrap_future(work)
        except (asyncio.CancelledError, CallerGone):
            pending.future.cancel()
            return
        except Exception as error:
            outcome = error
        pending.settle(outcome)

    def _scan_alone(self, pending: PendingLookup) -> Outcomes:
        scanned = self._scan([pending], Evaluation(gone=pending.future.done))
        return scanned if isinstance(scanned, list) else scanned.finish()

    def _next_batch(self, limit: int = MAX_BATCH_QUESTIONS) -> list[PendingLookup]:
        """Take the next batch, fairly among callers; a lookup that reads many documents is a batch of its own.

        Args:
            limit: the most questions, if all plans of the batch are `lookup_only`.
        """
        batch, size, read = list[PendingLookup](), 0, 0
        while (head := self._waiting.next()) is not None:
            _, pending = head
            if not pending.lookup_only:
                limit = MAX_BATCH_QUESTIONS  # a thread answers them
            size, read = size + pending.size, read + pending.read
            # The first lookup is taken whatever its size, so that one that is too large alone is still answered.
            if batch and not pending.future.done() and (size > limit or read > MAX_BATCH_DOCUMENTS):
                break
            self._waiting.take()
            if pending.future.done():
                # The caller has gone: the lookup leaves the queue and does not count.
                size, read = size - pending.size, read - pending.read
            else:
                batch.append(pending)
        return batch

    async def _scan_batch(
        self, batch: Sequence[PendingLookup], unanswered: Unanswered | None = None
    ) -> ScannedBatch | Outcomes:
        """Scan the keys once for a batch; return the scanned batch, or a result or an error for each lookup."""
        try:
            return await asyncio.wrap_future(
                LOOKUPS.submit(partial(self._scan, batch, unanswered=unanswered), self._name)
            )
        except (RetrievalError, StorageError) as error:  # from the collection or the file: fails all lookups
            return [error] * len(batch)
        except Exception as error:  # from one of the lookups
            return await self._retry_alone(batch, error)

    async def _finish_batch(self, batch: Sequence[PendingLookup], scanned: ScannedBatch | Outcomes) -> Outcomes:
        if isinstance(scanned, list):
            return scanned
        try:
            threads = LONG_ANSWERS if _is_long(batch) else LOOKUPS
            return await asyncio.wrap_future(threads.submit(scanned.finish, self._name))
        except Exception as error:
            return await self._retry_alone(batch, error)

    async def _retry_alone(self, batch: Sequence[PendingLookup], error: Exception) -> Outcomes:
        """Retry each lookup of a failed batch alone, so that only the one at fault fails."""
        if len(batch) == 1:
            return [error]
        # The error does not say whose it is. Alone, each lookup gets its own error or result.
        return [outcome for one in batch for outcome in await self._finish_batch([one], await self._scan_batch([one]))]

    def _scan(
        self, batch: Sequence[PendingLookup], evaluation: Evaluation = SHARED, unanswered: Unanswered | None = None
    ) -> ScannedBatch | Outcomes:
        for _ in range(MAX_RETRIES):
            with suppress(SnapshotGone):
                return self._scan_once(batch, evaluation, unanswered)
        return self._scan_once(batch, evaluation, unanswered)

    def _scan_once(
        self, batch: Sequence[PendingLookup], evaluation: Evaluation, unanswered: Unanswered | None
    ) -> ScannedBatch | Outcomes:
        with ExitStack() as stack:
            snapshot = replace(stack.enter_context(self._snapshot()), evaluation=evaluation)
            plans = [self._run_guarded(pending.plan, snapshot) for pending in batch]
            all_questions = [
                one for planned in plans if not isinstance(planned, Exception) for one in planned.questions
            ]
            with batch_stage([pending.wait for pending in batch], len(all_questions)):
                if (
                    unanswered is not None
                    and unanswered.holds(snapshot)
                    and len(unanswered.answers) == len(all_questions)
                ):
                    all_answers = list(unanswered.answers)
                else:
                    all_answers = answers(snapshot.view, all_questions)
            listener = batch[0].wait.trace.listener
            for answer in all_answers:
                listener.record_answer(answer.certificate.method, answer.certificate.total_variation)
            for pending in batch:
                pending.wait.trace.documents = snapshot.view.documents
            # Answers come in the order of questions, so each lookup takes the next ones.
            remaining = iter(all_answers)
            work = [
                partial(_return_outcome, planned)
                if isinstance(planned, Exception)
                else partial(
                    self._run_guarded,
                    _finish_plan,
                    pending,
                    planned,
                    list(islice(remaining, len(planned.questions))),
                )
                for pending, planned in zip(batch, plans, strict=True)
            ]
            # The snapshot now belongs to the batch. An error before this line closes it.
            scanned = ScannedBatch(work, stack.pop_all())
        # If nothing else waits, finish in this thread and save the switch to another one.
        return scanned if self._waiting or _is_long(batch) else scanned.finish()

    def _run_guarded(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of the work, or the error that it raised: the batch's other lookups may still succeed."""
        try:
            return work(*arguments)
        except SnapshotGone:  # affects all lookups: the batch takes a newer snapshot
            raise
        except (AttentionError, RetrievalError, StorageError, CostlyFilter) as error:
            if isinstance(error, DocumentDamaged):
                self._damaged(error)
            return error


def _local_view(snapshot: Snapshot | None) -> View | None:
    """Return the view of a snapshot; None without one, or if other processes hold its rows."""
    return snapshot.view if snapshot is not None and isinstance(snapshot.view, View) else None


def _components(view: AnyView) -> int:
    """Return the number of components of all keys."""
    return view.n * (view.dimension or 1)


def _finish_plan(pending: PendingLookup, planned: Planned[T], batch_answers: list[Answer]) -> T:
    with time_stage("finish", pending.wait.trace):
        return planned.finish(batch_answers)


def _is_long(batch: Sequence[PendingLookup]) -> bool:
    return sum(pending.read for pending in batch) > MAX_BATCH_DOCUMENTS


def _return_outcome(outcome: T) -> T:
    return outcome
