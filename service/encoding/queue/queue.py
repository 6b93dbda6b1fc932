"""Whose texts are encoded next: one model, many who wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from service.encoding.encoded import Encoded
from service.encoding.encoder import Encoder
from service.encoding.errors import QueueClosed
from service.encoding.queue.batch_size import BatchSize
from service.encoding.queue.cache import EmbeddingCache
from service.encoding.texts import Purpose, check_texts
from service.request_trace import Wait, batch_stage
from service.scheduling import CALLER, FairQueue

CACHED_TEXTS = 2048  # the keys and values of 1,000 rows; larger requests are uploads, not questions
TEXT_CHARACTERS = 8  # what the two special tokens of a text cost, at four characters a token
# Of a stream, at a time: two slices would take turns in the queue, and the first be no sooner ready than the second.
SLICE_TEXTS = 64
CLOSING_SECONDS = 1.0
CLOSED = "texts are not encoded any more, as the service stops: ask again when it runs"


class Pending:
    """One caller's texts, and as much of the answer as there is."""

    def __init__(self, texts: Sequence[str], dimension: int, future: asyncio.Future[Encoded]) -> None:
        self.texts = texts
        self.future = future
        self.wait = Wait("encode")
        # Shortest last, and taken from the end: texts of like length meet in a batch and need no padding.
        self.unencoded = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        self._missing = len(texts)
        self._answer = Encoded.blank(len(texts), dimension)

    def receive(self, positions: list[int], encoded: Encoded, rows: slice) -> None:
        """Take a part of the answer; the last one completes it."""
        self._answer.put(positions, encoded, rows)
        self._missing -= len(positions)
        if not self._missing and not self.future.done():
            self.future.set_result(self._answer)

    def fail(self, error: Exception) -> None:
        """Give the caller the error instead; what still waits of the request will not run."""
        if not self.future.done():
            self.future.set_exception(error)


Batch = dict[Pending, list[int]]  # which of whose texts run together


class EncodingQueue:
    """Feeds one encoder from one event loop; the encoder runs in one thread of its own.

    - The texts that arrive while a batch runs form the next one; nothing waits for a timer.
    - Queries go before documents, and of one kind the callers take turns text by text, and so do each one's
      requests: neither a question nor a single document waits for a bulk upload, only for the batch that runs.
    - A cancelled request leaves; a request that makes a batch fail fails alone.
    - A text that was encoded lately is answered at once, from `cache`.
    - A batch is as large as the encoder was done with in a tenth of a second lately: nobody waits longer for one.

    Args:
        clock: the seconds that batches are timed by.
    """

    def __init__(self, encoder: Encoder, clock: Callable[[], float] = time.perf_counter) -> None:
        self.encoder = encoder
        self._clock = clock
        self._batch_size = BatchSize()
        self.cache = EmbeddingCache()
        self._waiting: dict[Purpose, FairQueue[Pending]] = {"query": FairQueue(), "document": FairQueue()}
        self._thread: ThreadPoolExecutor | None = None
        self._open = False
        self._runner: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """How many texts wait for a batch."""
        waiting = (pending for queue in self._waiting.values() for pending in queue)
        return sum(len(pending.unencoded) for pending in waiting if not pending.future.done())

    def start(self) -> None:
        """Take texts from now on."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")
        self._open = True

    def refuse(self) -> None:
        """Take no text from now on, and give up those that wait: who asked for them hears QueueClosed."""
        self._open = False
        for waiting in self._waiting.values():
            for pending in waiting:
                pending.fail(QueueClosed(CLOSED))
            waiting.clear()

    async def close(self) -> None:
        """Refuse, and let the thread go; the batch that runs ends, and is waited for no longer than a moment."""
        self.refuse()
        if self._runner is not None:
            await asyncio.wait([self._runner], timeout=CLOSING_SECONDS)
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Encode n texts, in order, when their turn comes; cancelling gives the turn away.

        Raises:
            InvalidText: a text has a lone surrogate.
            QueueClosed: the queue is not started, or closes.
        """
        if not self._open:
            raise QueueClosed(CLOSED)
        check_texts(texts)
        if not texts:
            return Encoded.blank(0, self.encoder.dimension)
        if len(texts) > CACHED_TEXTS:
            return await self._take_turns(texts, purpose)
        known = self.cache.find(texts, purpose)
        if missing := [text for text in dict.fromkeys(texts) if text not in known]:
            encoded = await self._take_turns(missing, purpose)
            made = dict(zip(missing, encoded.texts(), strict=True))
            self.cache.keep(made, purpose)
            known |= made
        return Encoded.of([known[text] for text in texts])

    async def _take_turns(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        pending = Pending(texts, self.encoder.dimension, asyncio.get_running_loop().create_future())
        self._waiting[purpose].put(CALLER.get(), pending)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await pending.future

    async def _run(self) -> None:
        try:
            while True:
                for purpose, waiting in self._waiting.items():
                    if batch := _next_batch(waiting, self._batch_size.characters):
                        await self._encode(batch, purpose)
                        break  # queries that came meanwhile go first
                else:
                    return
        finally:
            self._runner = None

    async def _encode(self, batch: Batch, purpose: Purpose) -> None:
        texts = [pending.texts[i] for pending, positions in batch.items() for i in positions]
        begun = self._clock()
        try:
            with batch_stage([pending.wait for pending in batch], len(texts)):
                encoded = await asyncio.get_running_loop().run_in_executor(
                    self._thread, self.encoder.encode, texts, purpose
                )
            self._batch_size.learn(sum(map(_size, texts)), self._clock() - begun)
            tokens = int(self.encoder.tokens_read(encoded.token_counts).sum())
            next(iter(batch)).wait.trace.listener.record_tokens(tokens)
        except Exception as error:  # whatever it is, it belongs to those who wait for it
            if len(batch) == 1:
                next(iter(batch)).fail(error)
                return
            for pending, positions in batch.items():
                await self._encode({pending: positions}, purpose)
            return
        start = 0
        for pending, positions in batch.items():
            rows = slice(start, start + len(positions))
            pending.receive(positions, encoded, rows)
            start = rows.stop


def _size(text: str) -> int:
    """The characters that a text counts for in a batch."""
    return len(text) + TEXT_CHARACTERS


def _next_batch(waiting: FairQueue[Pending], capacity: int) -> Batch:
    """Take texts from the requests in turn until the batch is full; requests that are over drop out."""
    batch: Batch = {}
    while capacity > 0 and (taken := waiting.take()) is not None:
        caller, pending = taken
        if pending.future.done():
            continue
        position = pending.unencoded.pop()
        batch.setdefault(pending, []).append(position)
        capacity -= _size(pending.texts[position])
        if pending.unencoded:
            waiting.put(caller, pending)
    return batch


async def encode_stream(queue: EncodingQueue, texts: Sequence[str], purpose: Purpose) -> AsyncGenerator[Encoded]:
    """Encode n texts and yield them slice by slice, in order; closing the generator gives the rest up.

    Raises:
        InvalidText: a text has a lone surrogate.
        QueueClosed: the queue closes before the last text.
    """
    for start in range(0, len(texts), SLICE_TEXTS):
        yield await queue.encode(texts[start : start + SLICE_TEXTS], purpose)
