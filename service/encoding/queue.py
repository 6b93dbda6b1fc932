"""The encoder's queue: the order of texts, their batches, and a cache of recent vectors."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

from service.encoding.encoder import Encoder
from service.encoding.errors import QueueClosed
from service.encoding.texts import Encoded, EncodedText, Purpose, check_texts
from service.request_trace import Wait, batch_stage
from service.scheduling import CALLER, FairQueue

BATCH_SECONDS = 0.1
"""The target duration of a batch; texts that arrive while it runs wait for it."""

FIRST_CHARACTERS, MIN_CHARACTERS, MAX_CHARACTERS = 1024, 256, 4096
"""Characters of the first batch, and their bounds; 4,096 are about 1,000 tokens and reach full speed."""


class BatchSize:
    """The number of characters of a batch that takes about `BATCH_SECONDS` on this machine under its current load.

    A batch that took longer makes the next one smaller at once. A full batch that took less makes the next one larger,
    at most twice as large. A batch that was not full is ignored, because most of its time may be a fixed cost.
    """

    def __init__(self) -> None:
        self.characters = FIRST_CHARACTERS

    def learn(self, characters: int, seconds: float) -> None:
        """Adjust the size to a batch of `characters` that took `seconds`."""
        target = int(characters * BATCH_SECONDS / max(seconds, 1e-6))
        if seconds > BATCH_SECONDS:
            self.characters = max(min(target, self.characters), MIN_CHARACTERS)
        elif characters >= self.characters:
            self.characters = min(max(target, self.characters), 2 * self.characters, MAX_CHARACTERS)


CACHE_TEXTS = 8192  # 12 MB of vectors at width 384, and at most as much again for the texts
MAX_CACHED_CHARACTERS = 1024

CacheKey = tuple[Purpose, str]


class EmbeddingCache:
    """A cache of the vectors of recent texts: at most `texts` texts of at most `text_characters` characters.

    Any thread may use it.

    The cache has two halves. New texts enter the first; a text moves to the second when a caller requests it again. So
    a bulk upload, in which no text comes twice, does not displace texts in use.
    """

    def __init__(self, texts: int = CACHE_TEXTS, text_characters: int = MAX_CACHED_CHARACTERS) -> None:
        self._capacity = texts // 2
        self._text_characters = text_characters
        self._recent: OrderedDict[CacheKey, EncodedText] = OrderedDict()
        self._in_use: OrderedDict[CacheKey, EncodedText] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._recent) + len(self._in_use)

    def find(self, texts: Iterable[str], purpose: Purpose) -> dict[str, EncodedText]:
        """Return those of these texts that are cached, with their vectors.

        The cache has two halves, for new texts and for texts in use. A text that is found moves to the half for texts
        in use.

        Args:
            texts: the texts to look for.
            purpose: whether they are queries or documents, which may have different vectors.
        """
        with self._lock:
            return {text: encoded for text in texts if (encoded := self._use((purpose, text))) is not None}

    def keep(self, encoded: Mapping[str, EncodedText], purpose: Purpose) -> None:
        """Cache texts that are short enough; the vectors are copied."""
        with self._lock:
            for text, row in encoded.items():
                key = (purpose, text)
                if len(text) <= self._text_characters and key not in self._in_use:
                    self._put(self._recent, key, row._replace(vector=row.vector.copy()))

    def _use(self, key: CacheKey) -> EncodedText | None:
        encoded = self._in_use.pop(key, None) or self._recent.pop(key, None)
        if encoded is not None:
            self._put(self._in_use, key, encoded)
        return encoded

    def _put(self, half: OrderedDict[CacheKey, EncodedText], key: CacheKey, encoded: EncodedText) -> None:
        half[key] = encoded
        half.move_to_end(key)
        while len(half) > self._capacity:
            half.popitem(last=False)


MAX_CACHED_REQUEST = 2048  # the keys and values of 1,000 rows; larger requests are uploads, not questions
SPECIAL_TOKEN_CHARACTERS = 8  # the cost of the two special tokens of a text, at four characters a token
# A stream queues one slice at a time: two would take turns, so the first would not be ready before the second.
SLICE_TEXTS = 64
CLOSING_SECONDS = 1.0
CLOSED = "texts are not encoded any more, as the service stops: ask again when it runs"


class Pending:
    """A request in the encoder's queue: the texts of one caller, and the part of the result that is ready."""

    def __init__(self, texts: Sequence[str], dimension: int, future: asyncio.Future[Encoded]) -> None:
        self.texts = texts
        self.future = future
        self.wait = Wait("encode")
        # Sorted by length, the shortest last, and taken from the end: texts of similar length share a batch.
        self.unencoded = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        self._missing = len(texts)
        self._result = Encoded.blank(len(texts), dimension)

    def receive(self, positions: list[int], encoded: Encoded, rows: slice) -> None:
        """Store the vectors of some of the request's texts. The last ones complete the request.

        Args:
            positions: the indices of these texts in the request.
            encoded: the result of a batch.
            rows: the rows of the batch that belong to these texts.
        """
        self._result.put(positions, encoded, rows)
        self._missing -= len(positions)
        if not self._missing and not self.future.done():
            self.future.set_result(self._result)

    def fail(self, error: Exception) -> None:
        """Fail the caller's call with an error; its waiting texts will not be encoded."""
        if not self.future.done():
            self.future.set_exception(error)


Batch = dict[Pending, list[int]]  # the positions of each request's texts that run together


class EncodingQueue:
    """A queue that feeds one encoder from one event loop; the encoder runs in a separate thread.

    - Texts that arrive while a batch runs form the next one; no text waits for a timer.
    - Queries go before documents, and documents of callers before those of the service itself, such as demo rows.
      Within each of the three, callers take turns text by text, and so do the requests of one caller.
      So a query or a single document never waits for a bulk upload, only for the batch that runs.
    - A cancelled request leaves the queue; a request that makes a batch fail fails alone.
    - A text that was encoded recently is answered immediately, from `cache`.
    - A batch has as many characters as the encoder recently completed in a tenth of a second.

    Args:
        clock: returns the time in seconds; it measures the duration of batches.
    """

    def __init__(self, encoder: Encoder, clock: Callable[[], float] = time.perf_counter) -> None:
        self.encoder = encoder
        self._clock = clock
        self._batch_size = BatchSize()
        self.cache = EmbeddingCache()
        self._queries: FairQueue[Pending] = FairQueue()
        self._documents: FairQueue[Pending] = FairQueue()
        self._own_documents: FairQueue[Pending] = FairQueue()  # which the service itself loads
        self._waiting: tuple[tuple[Purpose, FairQueue[Pending]], ...] = (
            ("query", self._queries),
            ("document", self._documents),
            ("document", self._own_documents),
        )
        self._thread: ThreadPoolExecutor | None = None
        self._open = False
        self._runner: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """The number of texts that wait for a batch."""
        waiting = (pending for _, queue in self._waiting for pending in queue)
        return sum(len(pending.unencoded) for pending in waiting if not pending.future.done())

    def start(self) -> None:
        """Start accepting texts."""
        if self._thread is None:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")
        self._open = True

    def refuse(self) -> None:
        """Stop accepting texts, and fail those that wait with QueueClosed."""
        self._open = False
        for _, waiting in self._waiting:
            for pending in waiting:
                pending.fail(QueueClosed(CLOSED))
            waiting.clear()

    async def close(self) -> None:
        """Refuse texts and release the thread; wait only briefly for the batch that runs."""
        self.refuse()
        if self._runner is not None:
            await asyncio.wait([self._runner], timeout=CLOSING_SECONDS)
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Encode n texts, in order, when their turn comes; cancelling the call removes them from the queue.

        Raises:
            InvalidText: a text has a lone surrogate.
            QueueClosed: the queue is not started, or closes.
        """
        if not self._open:
            raise QueueClosed(CLOSED)
        check_texts(texts)
        if not texts:
            return Encoded.blank(0, self.encoder.dimension)
        if len(texts) > MAX_CACHED_REQUEST:
            return await self._take_turns(texts, purpose)
        cached = self.cache.find(texts, purpose)
        if missing := [text for text in dict.fromkeys(texts) if text not in cached]:
            encoded = await self._take_turns(missing, purpose)
            encoded_texts = dict(zip(missing, encoded.texts(), strict=True))
            self.cache.keep(encoded_texts, purpose)
            cached |= encoded_texts
        return Encoded.of([cached[text] for text in texts])

    async def _take_turns(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        pending = Pending(texts, self.encoder.dimension, asyncio.get_running_loop().create_future())
        caller = CALLER.get()
        documents = self._documents if caller else self._own_documents
        (self._queries if purpose == "query" else documents).put(caller, pending)
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await pending.future

    async def _run(self) -> None:
        try:
            while True:
                for purpose, waiting in self._waiting:
                    if batch := _next_batch(waiting, self._batch_size.characters):
                        await self._encode(batch, purpose)
                        break  # queries that came meanwhile go first
                else:
                    return
        finally:
            self._runner = None

    async def _encode(self, batch: Batch, purpose: Purpose) -> None:
        texts = [pending.texts[i] for pending, positions in batch.items() for i in positions]
        start_time = self._clock()
        try:
            with batch_stage([pending.wait for pending in batch], len(texts)):
                encoded = await asyncio.get_running_loop().run_in_executor(
                    self._thread, self.encoder.encode, texts, purpose
                )
            self._batch_size.learn(sum(map(_size, texts)), self._clock() - start_time)
            tokens = int(self.encoder.tokens_read(encoded.token_counts).sum())
            next(iter(batch)).wait.trace.listener.record_tokens(tokens)
        except Exception as error:  # any error belongs to the callers of this batch
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
    """Return how many characters a text counts for in the size of a batch."""
    return len(text) + SPECIAL_TOKEN_CHARACTERS


def _next_batch(waiting: FairQueue[Pending], capacity: int) -> Batch:
    """Take texts from the waiting requests in turn until the batch is full, and drop finished requests.

    Args:
        waiting: the requests.
        capacity: the size of a full batch, in characters.
    """
    batch: Batch = {}
    while capacity > 0 and (turn := waiting.take()) is not None:
        caller, pending = turn
        if pending.future.done():
            continue
        position = pending.unencoded.pop()
        batch.setdefault(pending, []).append(position)
        capacity -= _size(pending.texts[position])
        if pending.unencoded:
            waiting.put(caller, pending)
    return batch


async def encode_stream(queue: EncodingQueue, texts: Sequence[str], purpose: Purpose) -> AsyncGenerator[Encoded]:
    """Encode n texts and yield their vectors slice by slice, in order; closing the generator cancels the rest.

    Raises:
        InvalidText: a text has a lone surrogate.
        QueueClosed: the queue closes before the last text.
    """
    for start in range(0, len(texts), SLICE_TEXTS):
        yield await queue.encode(texts[start : start + SLICE_TEXTS], purpose)
