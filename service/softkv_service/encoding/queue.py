"""The queue of one encoder's texts: their order, their batches, and a cache of recent vectors."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, Generic

from typing_extensions import TypeVar

from softkv_service.encoding.encoder import BatchLimits, Encoder, ShortText, TextModel
from softkv_service.encoding.errors import EncodingError, ProviderUnavailable, QueueClosed, QueueOverfull, TextRefused
from softkv_service.encoding.texts import Encoded, EncodedText, Purpose, check_texts
from softkv_service.encoding.tokens import READ_AT_ONCE
from softkv_service.request_trace import Wait, batch_stage
from softkv_service.scheduling import CALLER, TEXTS, FairQueue

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
        # Guards both halves: a text is in at most one of them, and neither is above its capacity.
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
                    # A row of a batch would keep the array of the whole batch alive.
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
# A stream queues one slice at a time: two would take turns, so the first would not be ready before the second.
SLICE_TEXTS = 64
MOST_ADDED_TOKENS = 64
"""A token has at least one character of ASCII, and a model adds fewer than these to a text, with its prompt."""
MAX_WAITING_TEXTS = 131_072
"""The maximum number of waiting texts; a request beyond it is refused. If no text waits, a request may have more."""
CLOSING_SECONDS = 1.0
THE_SERVICE = "the service"
"""The caller in whose name documents of the service take turns with those of callers."""
CLOSED = "texts are not encoded any more, as the service stops: ask again when it runs"


class Pending:
    """A request in the encoder's queue: the texts of one caller, and the part of the result that is ready."""

    def __init__(
        self, texts: Sequence[str], sizes: Sequence[int], future: asyncio.Future[Encoded], turn_at: float = math.inf
    ) -> None:
        self.texts = texts
        self.sizes = sizes
        self.future = future
        self.turn_at = turn_at
        self.wait = Wait("encode")
        self.began = time.monotonic()
        # Sorted by length, the shortest last, and taken from the end: texts of similar length share a batch.
        self.unencoded = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        self._missing = len(texts)
        self._result: Encoded | None = None  # of the size of all texts, from the first batch on

    def receive(self, positions: list[int], encoded: Encoded, rows: slice) -> None:
        """Store the vectors of some of the request's texts. The last ones complete the request.

        Args:
            positions: the indices of these texts in the request.
            encoded: the result of a batch.
            rows: the rows of the batch that belong to these texts.
        """
        if positions == [*range(len(self.texts))] and len(encoded.vectors) == len(positions):
            self._result = encoded  # a batch of this request alone
        else:
            if self._result is None:
                self._result = encoded.blank_for(len(self.texts))
            self._result.put(positions, encoded, rows)
        self._missing -= len(positions)
        if not self._missing and not self.future.done():
            self.future.set_result(self._result)

    def fail(self, error: Exception) -> None:
        """Fail the caller's call with an error; its waiting texts will not be encoded."""
        if not self.future.done():
            self.future.set_exception(error)


Model = TypeVar("Model", bound=TextModel, default=Encoder)
Batch = dict[Pending, list[int]]  # the positions of each request's texts that run together


class EncodingQueue(Generic[Model]):
    """A queue that feeds one encoder or reranker from one event loop; it runs in other threads, or at a provider.

    - Texts that arrive while all lanes run a batch form the next ones; no text waits for a timer.
    - Queries go before documents, and documents of callers before those of the service itself, such as demo rows.
      Within each of the three, callers take turns text by text, and so do the requests of one caller. The service's may
      say when they have waited long enough: from then on, they are those of one more caller.
      So a query or a single document never waits for a bulk upload, only for a batch that runs. A query does not wait
      for a batch of documents either, if the encoder has a lane for queries: it is computed beside that batch.
    - A cancelled request leaves the queue, and a batch that only cancelled requests wait for is cancelled.
    - A request that makes a batch fail fails alone. If a provider is unavailable, all requests of the batch fail, and
      those that have waited as long as the provider may take fail with it. So the queue does not grow meanwhile.
    - A text that was encoded recently is answered immediately, from `cache`.
    - A batch has the size that the encoder's limits set, see `Encoder.batch_limits`.
    - A long text is shortened to what the encoder reads before it enters the queue, slice by slice in other threads. So
      no text waits for it, and it ends when its call is cancelled.

    Args:
        clock: returns the time in seconds; it measures the duration of batches.
        max_waiting: the most texts that may wait.
        cache: the cache of recent texts; None for one of the usual size.
    """

    def __init__(
        self,
        encoder: Model,
        clock: Callable[[], float] = time.perf_counter,
        max_waiting: int = MAX_WAITING_TEXTS,
        cache: EmbeddingCache | None = None,
    ) -> None:
        self.encoder = encoder
        self._clock = clock
        self._max_waiting = max_waiting
        self._limits = encoder.batch_limits()
        self.cache = EmbeddingCache() if cache is None else cache
        self._queries: FairQueue[Pending] = FairQueue()
        self._documents: FairQueue[Pending] = FairQueue()
        self._own_documents: FairQueue[Pending] = FairQueue()  # which the service itself loads
        self._next_turn = math.inf  # the first `turn_at` among these, or that of one that left the queue
        # In order of precedence: a lane takes from the first that has texts.
        self._waiting: tuple[tuple[Purpose, FairQueue[Pending]], ...] = (
            ("query", self._queries),
            ("document", self._documents),
            ("document", self._own_documents),
        )
        self._threads: ThreadPoolExecutor | None = None
        self._open = False
        self._lanes = set[asyncio.Task[None]]()
        self._query_lane: asyncio.Task[None] | None = None
        self._running: Purpose | None = None  # the purpose of the batch that began last
        self._uploading, self._uploaded = 0, -math.inf  # calls with documents of callers; when the last one ended
        self._failing_since: float | None = None  # the start of the first batch of those that failed without a success

    @property
    def waiting(self) -> int:
        """The number of texts that wait for a batch."""
        waiting = (pending for _, queue in self._waiting for pending in queue)
        return sum(len(pending.unencoded) for pending in waiting if not pending.future.done())

    def start(self) -> None:
        """Start accepting texts."""
        if self._threads is None:
            lanes = self.encoder.lanes + self.encoder.has_query_lane
            self._threads = ThreadPoolExecutor(max_workers=lanes, thread_name_prefix="encoder")
        self._open = True

    def refuse(self) -> None:
        """Stop accepting texts, and fail those that wait with QueueClosed."""
        self._open = False
        for _, waiting in self._waiting:
            for pending in waiting:
                pending.fail(QueueClosed(CLOSED))
            waiting.clear()

    async def close(self) -> None:
        """Refuse texts and release the threads; wait only briefly for batches that run."""
        self.refuse()
        if lanes := [*self._lanes, *([self._query_lane] if self._query_lane else ())]:
            await asyncio.wait(lanes, timeout=CLOSING_SECONDS)
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    async def encode(self, texts: Sequence[str], purpose: Purpose, *, turn_at: float = math.inf) -> Encoded:
        """Encode n texts, in order, and return arrays of them all; see `encode_each`."""
        encoded = await self.encode_each(texts, purpose, turn_at=turn_at)
        if not encoded:
            return Encoded.blank(0, self.encoder.dimension, with_tokens=self.encoder.knows_tokens)
        return Encoded.of(encoded)

    async def encode_each(
        self, texts: Sequence[str], purpose: Purpose, *, turn_at: float = math.inf
    ) -> list[EncodedText]:
        """Encode n texts, in order, when their turn comes; cancelling the call removes them from the queue.

        Args:
            texts: the texts.
            purpose: whether they are queries or documents.
            turn_at: the time, of `time.monotonic`, from which documents of the service take turns with those of
                callers; until then they come after them.

        Raises:
            InvalidText: a text has a lone surrogate.
            TextRefused: the model or its provider refuses some texts. The others were encoded, and stay in the cache.
            ProviderUnavailable: the encoder's provider does not answer, or refuses every text.
            QueueOverfull: too many texts wait.
            QueueClosed: the queue is not started, or closes.
        """
        if not self._open:
            raise QueueClosed(CLOSED)
        check_texts(texts)
        short = {i: await self._shorten(text, purpose) for i, text in enumerate(texts) if len(text) > READ_AT_ONCE}
        shortened = [short[i].text if i in short else text for i, text in enumerate(texts)]
        encoded = await self._look_up(shortened, purpose, turn_at)
        for i, (_, counts) in short.items():
            if counts is not None and encoded[i].token_count is not None:
                encoded[i] = encoded[i]._replace(token_count=counts[0], unknown_tokens=counts[1])
        return encoded

    async def find_truncated(self, texts: Sequence[str], purpose: Purpose) -> set[str] | None:
        """Return those of these texts of which the model reads only a part, without encoding any.

        Return None if the model does not tell tokens.

        Raises:
            InvalidText: a text has a lone surrogate.
        """
        check_texts(texts)
        if not self.encoder.knows_tokens:
            return None
        if (limit := self.encoder.max_tokens) is None:
            return set()
        truncated, unsure = set[str](), list[str]()
        for text in texts:
            if len(text) > READ_AT_ONCE:
                _, counts = await self._shorten(text, purpose)
                truncated |= {text} if counts is not None and counts[0] > limit else set()
            elif not (text.isascii() and len(text) <= limit - MOST_ADDED_TOKENS):
                unsure.append(text)
        for start in range(0, len(unsure), SLICE_TEXTS):
            batch = unsure[start : start + SLICE_TEXTS]
            counts_of_batch = await TEXTS.run(self.encoder.count_tokens, batch, purpose)
            truncated |= {text for text, count in zip(batch, counts_of_batch.tolist(), strict=True) if count > limit}
        return truncated

    async def _shorten(self, text: str, purpose: Purpose) -> ShortText:
        steps = self.encoder.shorten(text, purpose)
        while (short := await TEXTS.run(next, steps)) is None:
            pass
        return short

    async def _look_up(self, texts: Sequence[str], purpose: Purpose, turn_at: float) -> list[EncodedText]:
        if len(texts) > MAX_CACHED_REQUEST:
            encoded = await self._take_turns(texts, purpose, turn_at)
            if encoded.refused:
                raise TextRefused(encoded.refused)
            return encoded.texts()
        cached = self.cache.find(texts, purpose)
        if missing := [text for text in dict.fromkeys(texts) if text not in cached]:
            encoded = await self._take_turns(missing, purpose, turn_at)
            # From this call, not from the cache, which may have dropped them already.
            encoded_texts = dict(zip(missing, encoded.texts(), strict=True))
            refused = {missing[i]: reason for i, reason in encoded.refused.items()}
            for text in refused:
                del encoded_texts[text]
            self.cache.keep(encoded_texts, purpose)
            if refused:
                raise TextRefused({i: refused[text] for i, text in enumerate(texts) if text in refused})
            cached |= encoded_texts
        return [cached[text] for text in texts]

    async def _take_turns(self, texts: Sequence[str], purpose: Purpose, turn_at: float) -> Encoded:
        waiting = self.waiting if self._lanes else 0  # a lane runs as long as texts wait
        if waiting and waiting + len(texts) > self._max_waiting:
            raise QueueOverfull(
                f"{waiting} texts wait for encoder {self.encoder.name!r}, which takes {self._max_waiting} at most. "
                "Try again in a moment, and send fewer at once."
            )
        sizes = list(map(self._limits.size_of, texts))
        pending = Pending(texts, sizes, asyncio.get_running_loop().create_future(), turn_at)
        caller = CALLER.get()
        if caller and purpose == "document":
            self._uploading += 1
            pending.future.add_done_callback(self._note_upload)
        documents = self._documents if caller else self._own_documents
        (self._queries if purpose == "query" else documents).put(caller, pending)
        self._next_turn = min(self._next_turn, turn_at)
        self._start_lane()
        return await pending.future

    def _note_upload(self, _: object) -> None:
        self._uploading -= 1
        self._uploaded = time.monotonic()

    @property
    def seconds_since_upload(self) -> float:
        """The time since the last document of a caller was encoded; 0 while one waits, infinity if none ever came."""
        return 0.0 if self._uploading else time.monotonic() - self._uploaded

    def _start_lane(self) -> None:
        """Start another lane if one is free."""
        if len(self._lanes) < self.encoder.lanes:
            # A lane is a task of the event loop, and nothing here awaits: the set of lanes needs no lock.
            lane = asyncio.create_task(self._run())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        elif self.encoder.has_query_lane and self._running == "document" and self._query_lane is None:
            self._query_lane = asyncio.create_task(self._run_queries())

    async def _run_queries(self) -> None:
        # A batch beside another takes longer than alone, so its time says nothing about the size of batches.
        while (turn := _next_batch(self._waiting[:1], self._limits)) is not None:
            await self._encode(turn[1], "query", learns=False)
        self._query_lane = None

    async def _run(self) -> None:
        lane: Any = asyncio.current_task()
        # After each batch, queries that came meanwhile go first.
        while (turn := self._next_batch()) is not None:
            purpose, batch = turn
            if len(self._lanes) < self.encoder.lanes and any(len(waiting) for _, waiting in self._waiting):
                self._start_lane()
            self._running = purpose
            await self._encode(batch, purpose)
        # A text that comes from now on starts a lane of its own.
        self._lanes.discard(lane)

    def _next_batch(self) -> tuple[Purpose, Batch] | None:
        """Return the next batch of any texts; see the function of this name."""
        if self._next_turn <= (now := time.monotonic()):
            of_service = list(self._own_documents)
            self._own_documents.clear()
            for pending in of_service:
                if pending.turn_at <= now:
                    self._documents.put(THE_SERVICE, pending)
                else:
                    self._own_documents.put("", pending)
            self._next_turn = min((pending.turn_at for pending in self._own_documents), default=math.inf)
        return _next_batch(self._waiting, self._limits)

    async def _encode(self, batch: Batch, purpose: Purpose, *, learns: bool = True) -> None:
        texts = [pending.texts[i] for pending, positions in batch.items() for i in positions]
        size = sum(pending.sizes[i] for pending, positions in batch.items() for i in positions)
        # `began` is compared with the requests' times, so it is of their clock.
        start_time, began, limit = self._clock(), time.monotonic(), self._seconds(batch)
        assert self._threads is not None
        tokens = None
        try:
            with batch_stage([pending.wait for pending in batch], len(texts)):
                encoded = await _wait_for(self.encoder.submit(texts, purpose, self._threads, limit), batch)
                if learns:
                    self._limits.learn(size, self._clock() - start_time)
                if encoded.token_counts is not None:
                    tokens = int(self.encoder.tokens_read(encoded.token_counts).sum())
            if tokens is not None:
                next(iter(batch)).wait.trace.listener.record_tokens(tokens)
            self._failing_since = None
        except BatchAbandoned:
            return
        except Exception as error:  # any error belongs to the callers of this batch
            unavailable = error if isinstance(error, ProviderUnavailable) else None
            # An unavailable provider would fail every request alone, too. Otherwise one request may be at fault, so
            # each runs alone.
            if len(batch) == 1 or (unavailable is not None and not unavailable.may_be_a_text):
                for pending in batch:
                    pending.fail(error)
                if unavailable is not None:
                    self._fail_waiting(began, unavailable)
                return
            for pending, positions in batch.items():
                await self._encode({pending: positions}, purpose, learns=learns)
            return
        # The batch has the texts of each request side by side, in the order of `texts`.
        start = 0
        for pending, positions in batch.items():
            rows = slice(start, start + len(positions))
            pending.receive(positions, encoded, rows)
            start = rows.stop

    def _fail_waiting(self, began: float, error: ProviderUnavailable) -> None:
        """Fail the requests that have waited in vain for as long as a batch may take.

        Args:
            began: the time at which the batch began that has failed.
            error: its error.
        """
        # A success resets it. Until then all failures count as one outage.
        if self._failing_since is None:
            self._failing_since = began
        for _, waiting in self._waiting:
            for pending in waiting:
                if self._in_vain(pending) >= self.encoder.timeout_seconds:
                    pending.fail(error)

    def _in_vain(self, pending: Pending) -> float:
        """Return for how many seconds a request has waited while batches failed and none succeeded."""
        return 0.0 if self._failing_since is None else time.monotonic() - max(pending.began, self._failing_since)

    def _seconds(self, batch: Batch) -> float:
        """Return the time limit of a batch: the encoder's, less the time that its requests have waited in vain.

        The limit is not below a quarter of the encoder's, so that one bad text does not fail those behind it.
        """
        limit = self.encoder.timeout_seconds
        return max(limit / 4, limit - max(map(self._in_vain, batch)))


class BatchAbandoned(EncodingError):
    """All callers that waited for a batch went away, so it was cancelled."""


async def _wait_for(work: Future[Encoded], batch: Batch) -> Encoded:
    """Wait for the result of a batch; cancel it, if that is possible, when no caller waits for it any more.

    Raises:
        BatchAbandoned: the work was cancelled.
    """

    def cancel_if_abandoned(_: object) -> None:
        if all(pending.future.done() for pending in batch):
            work.cancel()

    for pending in batch:
        pending.future.add_done_callback(cancel_if_abandoned)
    try:
        return await asyncio.wrap_future(work)
    except asyncio.CancelledError:
        lane = asyncio.current_task()
        # Either this lane was cancelled, as when the event loop ends, or the work. Only the first ends the lane.
        if lane is not None and lane.cancelling():
            raise
        raise BatchAbandoned from None
    finally:
        for pending in batch:
            pending.future.remove_done_callback(cancel_if_abandoned)


GAP_SECONDS = 0.25
"""The most seconds between two uploads of a series."""


class Uploads:
    """The uploads in progress, from their first byte to their last answer. What they leave is encoded after them.

    An upload that began soon after another had ended is one of a series. Then the next one is awaited for as long.
    Uploads are counted from one event loop.

    Attributes:
        running: the number of uploads in progress.

    Args:
        gap_seconds: see GAP_SECONDS.
    """

    def __init__(self, gap_seconds: float = GAP_SECONDS) -> None:
        self.gap_seconds = gap_seconds
        self.running, self._ended = 0, -math.inf
        self._is_series = False
        self._ends = asyncio.Event()

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count an upload as in progress while the block runs."""
        if not self.running:
            self._is_series = time.monotonic() - self._ended < self.gap_seconds
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            if not self.running:
                self._ended = time.monotonic()
                self._ends.set()

    @property
    def expected(self) -> bool:
        """Whether texts may come soon: an upload is in progress, or the next one of a series is awaited."""
        return bool(self.running) or (self._is_series and time.monotonic() - self._ended < self.gap_seconds)

    async def wait_for_end(self, seconds: float) -> None:
        """Return when the last upload in progress ends, or after some seconds."""
        self._ends.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ends.wait()


def _next_batch(
    queues: Sequence[tuple[Purpose, FairQueue[Pending]]], limits: BatchLimits
) -> tuple[Purpose, Batch] | None:
    """Take texts from the waiting requests in turn until the batch is full, and drop finished requests.

    Return the batch and its purpose; None if no text waits.

    Args:
        queues: the waiting requests, in order of precedence; a batch is of one queue.
        limits: the limits of the batch.
    """
    for purpose, waiting in queues:
        batch: Batch = {}
        texts = size = 0
        while (turn := waiting.next()) is not None:
            _, pending = turn
            # The first text is taken whatever its size. A cancelled request is taken out below, even if its next text
            # would not fit.
            next_size = size + (1 if limits.may_exceed else pending.sizes[pending.unencoded[-1]])
            if texts and not pending.future.done() and (texts == limits.texts or next_size > limits.size):
                break
            caller, pending = waiting.take() or turn
            if pending.future.done():
                continue
            # The shortest text that is left, see `Pending`.
            position = pending.unencoded.pop()
            batch.setdefault(pending, []).append(position)
            texts, size = texts + 1, size + pending.sizes[position]
            if pending.unencoded:
                # At the end of the round: callers take turns text by text, and so do requests of one caller.
                waiting.put(caller, pending)
        if batch:
            return purpose, batch
    return None


async def encode_stream(queue: EncodingQueue, texts: Sequence[str], purpose: Purpose) -> AsyncGenerator[Encoded]:
    """Encode n texts and yield their vectors slice by slice, in order; closing the generator cancels the rest.

    Raises:
        InvalidText: a text has a lone surrogate.
        TextRefused: the encoder's provider refuses some texts of a slice.
        QueueClosed: the queue closes before the last text.
    """
    for start in range(0, len(texts), SLICE_TEXTS):
        try:
            encoded = await queue.encode(texts[start : start + SLICE_TEXTS], purpose)
        except TextRefused as error:
            raise TextRefused({start + i: reason for i, reason in error.messages.items()}) from None
        yield encoded
