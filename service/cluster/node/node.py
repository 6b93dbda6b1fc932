"""One node: replicas of shards in memory, which follow the store and answer from exactly the version asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Condition, Event, Semaphore, Thread
from typing import Any

import structlog

from attention.errors import AttentionError
from attention.lookup import SCANNING_CALLS, Mask, SealedError, View, of_bytes, respond, to_bytes
from attention.shared_memory import Array
from service.cluster.errors import ScanTimeout
from service.cluster.node.assignment import Assignment, Range
from service.cluster.node.collection_replicas import CollectionReplicas, CombinedShards
from service.cluster.node.maintenance import Maintenance, ReplicaFiles
from service.cluster.node.messages import GONE, STATUS_CALL, NodeReport, NodeRequest, Refusal, behind, failed, missing
from service.cluster.node.replica import Replica
from service.cluster.node.source import SourceStore, VersionCleared
from service.storage import CollectionMissing, Extent, StorageError, StoreClosed

log = structlog.get_logger("softkv")

LOOK_SECONDS = 0.2
"""Between two looks at the store, where nobody asks about a version that is not there yet."""
RETRY_SECONDS = 2.0
"""After a range could not be read."""
CLOSE_SECONDS = 10.0
"""A look may wait for the store for so long where the slot is closed."""
LOADERS = 2
"""Ranges that are read at the same time."""
SOON = 10_000
"""Row numbers of a range that is begun, up to which it is read at once and not in turn."""

Answered = tuple[Mapping[str, Any], Mapping[str, Array]]
Respond = Callable[[Sequence[View], Mask | None, View, Mapping[str, Any], Mapping[str, Array]], Answered]
Submit = Callable[[Callable[[], None]], object]


class Node:
    """What one slot holds; `start` has a thread go on looking, `answer` is for many threads.

    Args:
        name: the slot's, which nobody else has.
        node: the machine that it runs on.
        copies: how many slots hold each range.
        originals: a directory for float32 vectors; None keeps them in memory.
        sealed: a directory for files of the ranges, see `ReplicaFiles`; None for none.
        respond: answers a message from views, see `attention.lookup.respond`.
        clock: seconds, ascending.
        submit: has a range be read, or made ready for the next start, in another thread; None: in threads of its own.
    """

    def __init__(
        self,
        name: str,
        node: str,
        store: SourceStore,
        copies: int,
        originals: Path | None = None,
        *,
        sealed: Path | None = None,
        respond: Respond = respond,
        clock: Callable[[], float] = time.monotonic,
        submit: Submit | None = None,
    ) -> None:
        self.name, self.node = name, node
        self._store, self._originals = store, originals
        self._respond, self._clock = respond, clock
        self._files = ReplicaFiles(sealed, name)
        self._pools = [ThreadPoolExecutor(count, f"{what} {name}") for what, count in (("read", LOADERS), ("tidy", 1))]
        self._submit, later = [submit or partial(self._in_pool, pool) for pool in self._pools]
        self._tidying = Maintenance(self._files, self._held, self._discard, later, clock)
        self._arrangement = Assignment(name, node, store.nodes, copies)
        self._holdings: dict[int, CollectionReplicas] = {}
        self._coming: set[Range] = set()
        self._refused: dict[Range, tuple[float, str]] = {}  # until when they are not tried again, and why
        self._leaving = self._closed = self._looked = False
        self._trouble: str | None = None
        self._begun = self._ended = 0  # looks
        self._turns = ScanLimiter()
        self._thread: Thread | None = None
        self._changed = Condition()
        self._wake = Event()

    def start(self) -> None:
        """Look at the store from now on, in a thread, until `close`."""
        self._thread = Thread(target=self._run, name=f"slot {self.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more, once the look has ended that there may be; nobody is told."""
        self._closed = True
        self._tidying.close()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)

    def leave(self) -> None:
        """Have others take over what it holds, from the next look on; `left` says when they have."""
        self._leaving = True
        self._wake.set()

    @property
    def left(self) -> bool:
        """Whether it was to leave, and holds nothing any more."""
        return self._leaving and not self._coming and not any(each.ranges for each in list(self._holdings.values()))

    @property
    def report(self) -> NodeReport:
        """What it has now."""
        holdings = list(self._holdings.items())
        held = {number: list(each.ranges.values()) for number, each in holdings}
        return NodeReport(
            self.name,
            self.node,
            self._leaving,
            sum(map(len, held.values())),
            sum(each.rows for some in held.values() for each in some),
            len(self._coming | self._refused.keys()) if self._looked else 1,
            {number: min(each.versions.newest for each in some) for number, some in held.items() if some},
            self._trouble or next((why for _, why in list(self._refused.values())), None),
        )

    def answer(self, message: bytes) -> bytes:
        """What is said of the version, the ranges and the documents that a message names, or why nothing is.

        An answer says how many "seconds" it took here, without what it waited for its version and its turn. A refusal
        says one of these: "gone" (the version is not kept), "behind" (the version that was reached in time),
        "missing" (ranges), "failed" (why). The call "standing" is about the slot itself.
        """
        said, arrays = of_bytes(message)
        if said.get("call") == STATUS_CALL:
            return to_bytes(self.report.said(), {})
        try:
            question = NodeRequest.of(said)
            deadline = self._clock() + question.seconds
            found = self._awaited(question)
            if not isinstance(found, CombinedShards):
                return to_bytes(found, {})
            with self._turns.taken(said.get("call"), deadline - self._clock()):
                began, mask = self._clock(), None
                if question.condition is not None:
                    mask = found.mask(self._store, question.version, question.condition)
                told, given = self._respond(found.views, mask, found.view, said, arrays)
                return to_bytes({**told, "seconds": self._clock() - began}, given)
        except VersionCleared:
            return to_bytes(GONE, {})
        except SealedError as error:
            self._discard(error)
            return to_bytes(failed(error), {})
        except (StorageError, AttentionError, MemoryError, ScanTimeout) as error:
            return to_bytes(failed(f"{type(error).__name__}: {error}"), {})
        except Exception as error:  # an error of ours; perhaps another copy has an answer
            log.exception("a question failed in a slot", slot=self.name, call=said.get("call"))
            return to_bytes(failed(f"{type(error).__name__}: {error}"), {})

    def step(self) -> None:
        """Look at the store once: follow it, and hold what is to be held. For one thread."""
        self._begun += 1
        try:
            self._look()
            self._trouble, self._looked = None, True
        except StoreClosed:
            self._closed = True
        except (StorageError, MemoryError) as error:
            self._trouble = f"{type(error).__name__}: {error}"
        finally:
            with self._changed:
                self._ended = self._begun
                self._changed.notify_all()

    def _run(self) -> None:
        while not self._closed:
            self.step()
            self._wake.wait(LOOK_SECONDS)
            self._wake.clear()

    def _look(self) -> None:
        self._arrangement.beat(self._clock(), leaving=self._leaving)
        extents = self._store.extents()
        self._holdings = {number: each for number, each in self._holdings.items() if number in extents}
        for number, holding in self._holdings.items():
            changed = holding.follow(extents[number], self._clock)
            for held in changed:
                self._tidying.note((number, held.first_row))
            with self._changed:
                self._changed.notify_all()
        wanted = self._arrange(extents)
        self._tidying.begin(extents.keys(), wanted | self._ready() | self._coming)

    def _arrange(self, extents: Mapping[int, Extent]) -> set[Range]:
        """Take what is to be held, let go of what others have → what is to be held."""
        self._arrangement.look(self._clock(), at_once=self._leaving)
        now, wanted = self._clock(), set[Range]()
        if not self._leaving:
            wanted = self._arrangement.wanted(extents)
        self._refused = {each: told for each, told in self._refused.items() if told[0] > now and each in wanted}
        for number, first_row in sorted(wanted - self._ready() - self._coming - self._refused.keys()):
            self._take(number, first_row, soon=extents[number].next_row - first_row <= SOON)
        ready = self._ready()
        self._arrangement.tell(ready)
        for number, first_row in self._arrangement.give_up(ready - wanted):
            self._holdings[number].drop(first_row)
        return wanted

    def _ready(self) -> set[Range]:
        return {(number, first_row) for number, each in self._holdings.items() for first_row in each.ranges}

    def _take(self, number: int, first_row: int, *, soon: bool) -> None:
        """Read a range that is to be held here."""
        if number not in self._holdings:
            try:
                record, _ = self._store.extent(number)
            except CollectionMissing:
                return
            self._holdings[number] = CollectionReplicas(record, self._store, self._originals, self._files)
        holding = self._holdings[number]

        def read() -> None:
            try:
                holding.read(first_row)
            except CollectionMissing:
                pass
            except (StorageError, AttentionError, MemoryError) as error:
                why = f"{type(error).__name__}: {error}"
                log.error("a range cannot be read", collection=holding.record.name, first_row=first_row, reason=why)
                self._refused[number, first_row] = self._clock() + RETRY_SECONDS, why
            finally:
                self._coming.discard((number, first_row))
                self._tidying.note((number, first_row))
                self._wake.set()

        self._coming.add((number, first_row))
        if soon:
            read()
        else:
            self._submit(read)

    def _held(self, each: Range) -> Replica | None:
        number, first_row = each
        holding = self._holdings.get(number)
        return None if holding is None else holding.ranges.get(first_row)

    def _discard(self, error: SealedError) -> None:
        """A file is not what was written: whoever has rows in it reads them anew, from the next look on."""
        for holding in list(self._holdings.values()):
            holding.discard(error)
        self._wake.set()

    def _awaited(self, question: NodeRequest) -> CombinedShards | Refusal:
        """The views of a question, as soon as there are any and before its deadline; or why there are none."""
        deadline, asked = self._clock() + question.seconds, self._begun
        found, settled = self._found(question, asked)
        if settled:
            return found
        with self._changed:
            while True:
                found, settled = self._found(question, asked)
                left = deadline - self._clock()
                if settled or left <= 0:
                    return found
                self._wake.set()
                self._changed.wait(left)

    def _found(self, question: NodeRequest, asked: int) -> tuple[CombinedShards | Refusal, bool]:
        """The views of a question or why there are none, and whether waiting is of no use.

        Args:
            asked: how many looks had begun when it came.
        """
        number, first_rows = question.collection, question.ranges
        holding = self._holdings.get(number)
        held = {} if holding is None else holding.ranges
        absent = [first_row for first_row in first_rows if first_row not in held]
        if holding is None or absent:
            coming = any((number, first_row) in self._coming for first_row in absent)
            return missing(absent), self._ended > asked and not coming
        ranges = [held[first_row] for first_row in first_rows]
        if (reached := min((each.versions.newest for each in ranges), default=question.version)) < question.version:
            return behind(reached), False
        if trouble := next((each.trouble for each in ranges if each.trouble is not None), None):
            return failed(trouble), True
        composed = holding.composed(question.version, first_rows)
        return (GONE, True) if composed is None else (composed, True)

    def _in_pool(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        if not self._closed:
            pool.submit(work)


AT_ONCE = 2
"""Scans, each in as many threads as the slot has: one reads its rows while the other one begins, or ends."""


class ScanLimiter:
    """Who may read all rows now; for many threads."""

    def __init__(self) -> None:
        self._free = Semaphore(AT_ONCE)

    @contextmanager
    def taken(self, call: str | None, seconds: float) -> Iterator[None]:
        """A turn for a call, for as long as the block runs; calls that read a few rows need none.

        Args:
            seconds: how long its asker waits.

        Raises:
            ScanTimeout: it had none by then.
        """
        if call not in SCANNING_CALLS:
            yield
            return
        if not self._free.acquire(timeout=max(0.0, seconds)):
            raise ScanTimeout(f"it scanned for others for {seconds:.1f} s, and its asker waits no longer")
        try:
            yield
        finally:
            self._free.release()
