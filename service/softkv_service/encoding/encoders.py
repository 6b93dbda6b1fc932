"""The encoders of a service, by name. Each is loaded in a thread, at the start or by its first text."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Generic, Literal, NamedTuple, TypeVar

from softkv_service.encoding.background import Backgrounds
from softkv_service.encoding.encoder import Encoder, Late, LocalEncoder, TextModel
from softkv_service.encoding.errors import EncodingError
from softkv_service.encoding.models.network import Kind, Precision
from softkv_service.encoding.provider_counts import ProviderCounts
from softkv_service.encoding.queue import EmbeddingCache, EncodingQueue, Uploads
from softkv_service.encoding.reranker import Reranker
from softkv_service.logs import log

if TYPE_CHECKING:
    from softkv_service.encoding.words import WordModel

State = Literal["unloaded", "loading", "ready", "failed"]
PATIENCE_SECONDS = 30.0
"""The seconds for which a request waits for an encoder that is being loaded."""
CACHE_TEXTS_OF_WORDS, MAX_CHARACTERS_OF_WORDS = 8192, 2048
"""The texts whose words are kept, and how long these are: 7 KB for 26 words of width 128."""
RETRY_SECONDS = 5.0
"""After a provider failed at loading, the seconds until a request asks it again."""


class EncoderFacts(NamedTuple):
    """Facts about an encoder that has loaded; they stay when the encoder is unloaded.

    Attributes:
        kind: what computes it.
        dimension: the width of its vectors.
        precision: the number format of its arithmetic.
        temperature: the default temperature of its collections.
        backgrounds: the cosines of unrelated questions and texts.
        unit_length: whether its vectors have length one.
        asymmetry, late: see `Measurements`.
    """

    kind: Kind
    dimension: int
    precision: Precision
    temperature: float
    backgrounds: Backgrounds
    unit_length: bool
    asymmetry: float | None = None
    late: Late | None = None

    @classmethod
    def of(cls, encoder: Encoder) -> EncoderFacts:
        """Return the facts of a loaded encoder."""
        measured, temperature = encoder.measure(), encoder.temperature.value
        facts = encoder.kind, encoder.dimension, encoder.precision, temperature
        return cls(*facts, measured.backgrounds, measured.unit_length, measured.asymmetry, measured.late)

    @property
    def is_late(self) -> bool:
        """Whether late interaction is for it: its gain was measured, and softkv computes the vectors of the words."""
        return self.late is not None and self.kind == "core"


Model = TypeVar("Model", bound=TextModel)


class LoadingModel(ABC, Generic[Model]):
    """A model that is loaded in a thread while the service answers, with its queue.

    It is used from one event loop.

    Attributes:
        name: the name by which callers and collections choose it.
        model: the model behind the name; two encoders of one model have the same vectors.
        state: `unloaded` until a text needs it, or if its memory was released.
        failure: why it could not be loaded; None unless it failed.
        queue: the queue of its texts, while it is in memory; None before and after.

    Args:
        load: loads the model; blocks.
        lazy: whether it is loaded when a text needs it first, and not by `start`.
        remote: whether another service computes it; then a failure is temporary, and the next text tries again.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[], Model],
        *,
        model: str | None = None,
        lazy: bool = False,
        remote: bool = False,
    ) -> None:
        self.name = name
        self.model = name if model is None else model
        self.lazy = lazy
        self.remote = remote
        self.state: State = "unloaded" if lazy else "loading"
        self.failure: EncodingError | None = None
        self._load = load
        self.queue: EncodingQueue[Model] | None = None
        self._settled = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None
        self._failed_at = 0.0
        self._closed = False

    @property
    def encoder(self) -> Model | None:
        """The model, while it is in memory; None before and after."""
        return None if self.queue is None else self.queue.encoder

    @abstractmethod
    def prepare(self, model: Model) -> None:
        """Compute what must be known of the loaded model before it is used; this blocks."""

    async def start(self) -> None:
        """Load the model; return when it is ready or has failed."""
        await asyncio.shield(self.begin())

    def begin(self) -> asyncio.Task[None]:
        """Begin to load the encoder, unless that has begun, and return the task."""
        if self._loading is None:
            self.state, self.failure = "loading", None
            self._settled.clear()
            self._loading = asyncio.create_task(self._load_in_thread())
        return self._loading

    async def _load_in_thread(self) -> None:
        try:
            encoder = await asyncio.to_thread(self._load_and_prepare)
            if self._closed:
                return
            self.queue = EncodingQueue(encoder)
            self.queue.start()
            self.state = "ready"
            for note in encoder.notes:
                log.warning("encoder", encoder=encoder.name, note=note)
        except EncodingError as error:
            self.failure, self.state, self._failed_at = error, "failed", time.monotonic()
            log.error("encoder", encoder=self.name, failure=str(error))
        except Exception as error:
            self.failure, self.state = EncodingError(f"it failed unexpectedly ({type(error).__name__})"), "failed"
            raise
        finally:
            self._loading = None
            self._settled.set()

    def _load_and_prepare(self) -> Model:
        model = self._load()
        self.prepare(model)
        return model

    async def wait(self) -> None:
        """Wait without a time limit until the encoder is ready or has failed; load it if nothing did yet."""
        self._load_if_needed()
        await self._settled.wait()

    async def ready(self, patience: float = PATIENCE_SECONDS) -> EncodingQueue[Model] | None:
        """Load the encoder if it is not in memory, and wait at most `patience` seconds for its queue.

        Return None if the encoder is not ready by then.
        """
        if self.queue is not None:
            return self.queue
        self._load_if_needed()
        try:
            async with asyncio.timeout(patience):
                await self._settled.wait()
        except TimeoutError:
            return None
        return self.queue

    def _load_if_needed(self) -> None:
        """Begin to load an encoder that is not in memory. One that waits for `start` is left to it."""
        again = self.state == "failed" and self.remote and time.monotonic() - self._failed_at >= RETRY_SECONDS
        if (self.state == "unloaded" or again) and not self._closed:
            self.begin()

    def unload(self) -> bool:
        """Release the encoder's memory, which the next text loads again; return False if it was not loaded.

        Texts in its queue are still encoded. The memory is free as soon as no caller uses the queue.
        """
        if self.queue is None:
            return False
        self.queue, self.state = None, "unloaded"
        self._settled.clear()
        return True

    @property
    def waiting(self) -> int:
        """The number of texts that wait to be encoded."""
        return 0 if self.queue is None else self.queue.waiting

    def refuse(self) -> None:
        """Stop accepting texts, and fail those that wait."""
        self._closed = True
        if self.queue is not None:
            self.queue.refuse()

    async def close(self) -> None:
        """Refuse texts and release the encoder."""
        self._closed = True
        if self.queue is not None:
            await self.queue.close()


class LoadingEncoder(LoadingModel[Encoder]):
    """An encoder that is loaded while the service answers; see `LoadingModel`.

    Attributes:
        facts: facts about it; None until it has loaded once.
    """

    facts: EncoderFacts | None = None
    _words: EncodingQueue[WordModel] | None = None

    def words(self) -> EncodingQueue[WordModel] | None:
        """Return the queue that reads the words of texts, while the encoder is in memory.

        Return None before and after, if softkv's own Transformer does not compute it, and if the gain of late
        interaction with it is unmeasured.
        """
        from softkv_service.encoding.models.core_network import CoreNetwork
        from softkv_service.encoding.words import WordModel, read_projection

        encoder = self.encoder
        if not isinstance(encoder, LocalEncoder) or not isinstance(encoder.network, CoreNetwork) or self._closed:
            return None
        late = None if self.facts is None else self.facts.late
        if late is None:
            return None
        if self._words is None or self._words.encoder.encoder is not encoder:
            cache = EmbeddingCache(CACHE_TEXTS_OF_WORDS, MAX_CHARACTERS_OF_WORDS)
            words = WordModel(encoder, encoder.network, read_projection(late.projection))
            self._words = EncodingQueue(words, cache=cache)
            self._words.start()
        return self._words

    def unload(self) -> bool:
        """Release the encoder's memory, and the words of texts; see `LoadingModel.unload`."""
        self._words = None
        return super().unload()

    @property
    def waiting(self) -> int:
        """The number of texts that wait to be encoded, or for their words."""
        return super().waiting + (0 if self._words is None else self._words.waiting)

    def refuse(self) -> None:
        """Stop accepting texts, and fail those that wait."""
        super().refuse()
        if self._words is not None:
            self._words.refuse()

    async def close(self) -> None:
        """Refuse texts and release the encoder."""
        await super().close()
        if self._words is not None:
            await self._words.close()

    @property
    def kind(self) -> Kind | None:
        """The kind of its computation; None for a model of this machine that was never loaded."""
        return "remote" if self.remote else None if self.facts is None else self.facts.kind

    def prepare(self, model: Encoder) -> None:
        """Measure the encoder's vectors, so that no request has to wait for it; this blocks."""
        model.measure()
        self.facts = EncoderFacts.of(model)


class LoadingReranker(LoadingModel[Reranker]):
    """A reranker that is loaded when a pair needs it first; see `LoadingModel`."""

    def prepare(self, model: Reranker) -> None:
        """Do nothing: a reranker is ready when it is loaded."""


class Encoders:
    """The encoders of a service, by name; without any, the service stores and compares vectors only.

    Attributes:
        by_name: the encoders by name, in the order of the settings.
        rerankers: the rerankers of the service by name, in the order of the settings.
        wake_worker: is called when something was left to be encoded in the background.
        uploads: the uploads in progress.

    Args:
        encoders: all of them; their names differ.
        default: the name of the one that encodes texts for which no encoder is named; None for the first.
        rerankers: the rerankers; their names differ.
    """

    def __init__(
        self,
        encoders: Iterable[LoadingEncoder] = (),
        default: str | None = None,
        rerankers: Iterable[LoadingReranker] = (),
    ) -> None:
        self.rerankers = {reranker.name: reranker for reranker in rerankers}
        self.by_name = {encoder.name: encoder for encoder in encoders}
        self.wake_worker: Callable[[], object] = lambda: None
        self.uploads = Uploads()
        self._default = next(iter(self.by_name), None) if default is None else default

    def __iter__(self) -> Iterator[LoadingEncoder]:
        return iter(self.by_name.values())

    def __bool__(self) -> bool:
        return bool(self.by_name)

    @property
    def default(self) -> LoadingEncoder | None:
        """The encoder of texts for which none is named; None without encoders."""
        return None if self._default is None else self.by_name[self._default]

    @property
    def names(self) -> list[str]:
        """The names of the encoders, in the order of the settings."""
        return list(self.by_name)

    def find(self, name: str) -> LoadingEncoder | None:
        """Return the encoder of that name; None if there is none."""
        return self.by_name.get(name)

    async def start(self) -> None:
        """Load the encoders that do not wait for their first text; those of other services in the background."""
        for encoder in self:
            if encoder.remote and not encoder.lazy:
                encoder.begin()
        await asyncio.gather(*(encoder.start() for encoder in self._eager))

    @property
    def _eager(self) -> list[LoadingEncoder]:
        """The encoders without which the service is not ready: those of this machine that the start loads."""
        return [encoder for encoder in self if not (encoder.lazy or encoder.remote)]

    async def wait(self) -> None:
        """Wait without a time limit until the default encoder is ready or has failed."""
        if self.default is not None:
            await self.default.wait()

    def loading(self) -> list[str]:
        """Return the names of the encoders that the start still loads."""
        return [encoder.name for encoder in self._eager if encoder.state == "loading" and encoder.facts is None]

    def failures(self) -> list[str]:
        """Return a line for each encoder that the start could not load, with the reason."""
        return [f"encoder {encoder.name}: {encoder.failure}" for encoder in self._eager if encoder.state == "failed"]

    @property
    def waiting(self) -> int:
        """The number of texts that wait for an encoder or a reranker."""
        return sum(model.waiting for model in self._models)

    @property
    def _models(self) -> list[LoadingEncoder | LoadingReranker]:
        return [*self, *self.rerankers.values()]

    def provider_counts(self) -> dict[str, ProviderCounts]:
        """Return the counts of the provider of each encoder behind a URL that is loaded, by the encoder's name."""
        loaded = ((encoder.name, encoder.encoder) for encoder in self)
        return {name: encoder.counts for name, encoder in loaded if encoder is not None and encoder.counts is not None}

    def refuse(self) -> None:
        """Stop accepting texts, and fail those that wait."""
        for model in self._models:
            model.refuse()

    async def close(self) -> None:
        """Refuse texts and release the encoders and rerankers."""
        await asyncio.gather(*(model.close() for model in self._models))
