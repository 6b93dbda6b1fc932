"""Work in the background: what a kind of it is, how its texts are encoded, and how often things happen.

`worker.py` has the one worker of a service. `backfill.py` and `re_encoding.py` have the kinds of its work.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from softkv_service.encoding import Encoded, Encoders, EncodingQueue, TextModel, TextRefused
from softkv_service.logs import log
from softkv_service.retrieval.collections import Catalogue
from softkv_service.retrieval.errors import RetrievalError
from softkv_service.storage import LEASE_SECONDS, Reader, Writer
from softkv_service.storage.records import Vector

Model = TypeVar("Model", bound=TextModel)
T = TypeVar("T")

INTERVAL_SECONDS = LEASE_SECONDS / 3
"""Interval at which the worker looks for work, and renews its leases, unless it is woken."""
SHOW_SECONDS = 3.0
"""The shortest interval at which values of a collection are shown: that copies a block of keys."""
PAUSE_SECONDS = 0.02
"""The pause after a transaction, in which others write."""
LONGEST_PAUSE_SECONDS = 30.0
"""Work that fails waits a second, then twice as long each time, up to this."""
PATIENCE_SECONDS = 10.0
"""For so long the texts of a transaction wait behind all questions and uploads. Then they take turns with uploads."""
LOOK_SECONDS = 0.1
"""The shortest interval at which the worker looks for work: many writes may wake it at once."""
SLICE_SECONDS = 0.03
"""About how long a slice takes, and so a question may wait for it."""
LONG_SLICE_SECONDS = 0.3
"""About how long it takes if the encoder computes questions beside it."""
MIN_SLICE, LONG_SLICE, MAX_SLICE = 8, 32, 256
"""The texts of a slice: the least, the least if questions are computed beside it, which fill a batch, and the most."""


class WorkOver(RetrievalError):
    """The work has ended: its job or its collection is gone, or another process has taken it over."""


class Kind(ABC):
    """A kind of work on collections, which are known by their numbers.

    Attributes:
        name: says in logs what waits.
        leased: whether one process alone may do such work on a collection at a time.
        catalogue: the collections of the service.
        slices: the way of its texts through the encoders.
    """

    name: str
    leased = True

    def __init__(self, catalogue: Catalogue, slices: Slices, owner: str) -> None:
        self.catalogue, self.slices, self._owner = catalogue, slices, owner

    @abstractmethod
    def find(self, reader: Reader) -> Mapping[int, str | None]:
        """Return the collections that need such work, each with the encoder that it needs, if it needs one; blocks."""

    @abstractmethod
    def batches(self, number: int) -> AsyncGenerator[None]:
        """Do the work on a collection, and yield after each transaction, so that other work gets its turn.

        Raises:
            WorkOver: there is no more to do for this process.
        """

    def is_final(self, error: Exception) -> bool:
        """Return whether an error comes again however often the work is tried."""
        return False

    async def pause(self, number: int, reason: str, seconds: float) -> None:
        """Record that the work is tried again after some seconds."""
        log.warning(f"{self.name} pauses", collection=number, reason=reason, seconds=seconds)

    async def fail(self, number: int, reason: str) -> None:
        """Record that the work is given up, if it can be."""
        log.error(f"{self.name} failed", collection=number, reason=reason)

    def lease(self, writer: Writer, number: int) -> None:
        """Keep the lease of a collection, in the transaction of a batch; raise WorkOver if another process has it."""
        if not writer.lease(number, self._owner):
            raise WorkOver


class Slices:
    """The way of the worker's texts through the encoders: in slices, behind the texts of callers, but not for ever.

    A slice takes about SLICE_SECONDS, since a question may wait for it. Texts of callers go before it in the queue. The
    texts of one transaction that have waited for their patience take turns with uploads, until all are encoded.

    Args:
        encoders: the encoders, which know the uploads in progress.
        patience_seconds: see PATIENCE_SECONDS.
    """

    def __init__(self, encoders: Encoders, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._encoders, self._patience = encoders, patience_seconds
        self._sizes = WeakKeyDictionary[EncodingQueue[Any], int]()

    async def encode(
        self,
        queue: EncodingQueue[Model],
        texts: Sequence[str],
        read: Callable[[Encoded], Sequence[T]],
        *,
        uploads: Sequence[EncodingQueue[Any]] = (),
        patience: float | None = None,
    ) -> tuple[dict[str, T], dict[str, str]]:
        """Return the results of an encoder by text, and the reasons for its refusals by text.

        Args:
            queue: the queue of the encoder.
            texts: the texts of one transaction.
            read: returns what was made of each text of a slice.
            uploads: the queues whose uploads are waited for, also between two of their requests.
            patience: for how many seconds they wait behind uploads; None for the usual time.
        """
        turn_at = time.monotonic() + (self._patience if patience is None else patience)
        aim, least = _limits(queue.encoder)
        made, refused, left = dict[str, T](), dict[str, str](), list(texts)
        while left:
            if uploads:
                await self._wait_for_uploads(uploads, turn_at)
            size = self._sizes.get(queue, least)
            batch, began = left[:size], time.perf_counter()
            try:
                encoded = await queue.encode(batch, "document", turn_at=turn_at)
            except TextRefused as error:  # the others of the slice are in the queue's cache now
                refused |= {batch[i]: reason for i, reason in error.messages.items()}
                left = [text for text in left if text not in refused]
                continue
            seconds = time.perf_counter() - began
            if seconds > 2 * aim:
                self._sizes[queue] = max(least, size // 2)
            elif seconds < aim:
                self._sizes[queue] = min(MAX_SLICE, 2 * size)
            made |= dict(zip(batch, read(encoded), strict=True))
            left = left[size:]
        return made, refused

    async def _wait_for_uploads(self, queues: Sequence[EncodingQueue[Any]], turn_at: float) -> None:
        """Wait while an upload puts texts into these queues. One that waits for its client is not waited for.

        Args:
            queues: the queues.
            turn_at: the time from which nothing is waited for.
        """
        uploads = self._encoders.uploads
        while (left := turn_at - time.monotonic()) > 0:
            seconds = min(queue.seconds_since_upload for queue in queues)
            if seconds and not (uploads.expected and seconds < uploads.gap_seconds):
                break
            await uploads.wait_for_end(min(left, uploads.gap_seconds / 4))


def _limits(encoder: TextModel) -> tuple[float, int]:
    """Return about how many seconds a slice of an encoder takes, and the least texts that it has."""
    if encoder.kind == "remote":  # which computes many texts at once, elsewhere
        return LONG_SLICE_SECONDS, MAX_SLICE
    if encoder.has_query_lane:
        return LONG_SLICE_SECONDS, LONG_SLICE
    return SLICE_SECONDS, MIN_SLICE


def vectors_of(encoded: Encoded) -> list[Vector]:
    """Return float32[d], the vector of each text."""
    return list(encoded.vectors)
