"""An encoder that a provider computes, behind an OpenAI-compatible URL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from softkv_attention.lookup import Background
from softkv_service.encoding.background import Backgrounds
from softkv_service.encoding.encoder import Encoder, FixedLimits, Measurements
from softkv_service.encoding.errors import InvalidTokens, TextRefused, TokensUnknown
from softkv_service.encoding.models.network import Kind, Precision, RunsOn
from softkv_service.encoding.provider_counts import ProviderCounts
from softkv_service.encoding.remote.background_loop import PROVIDERS
from softkv_service.encoding.remote.settings import RemoteSettings
from softkv_service.encoding.temperature import Similarity, Temperature
from softkv_service.encoding.texts import Encoded, Purpose, check_texts
from softkv_service.encoding.tokens import Content, Span, Token


class RemoteEncoder(Encoder):
    """An encoder that a provider computes; any thread may call it, and every call blocks.

    The provider tells the number of tokens of a whole batch only. So the tokens of a text are unknown, and the provider
    may have truncated it without a word.

    Args:
        settings: the provider and how to call it.
        measurements: the width of the vectors and the result of `measure`, if they are known beforehand. Otherwise the
            provider is asked when they are needed first.
    """

    kind: Kind = "remote"
    created = 0
    precision: Precision = "float32"
    runs_on: RunsOn = "provider"
    max_tokens = None
    batched = True
    similarity: Similarity = "cosine"
    checksum = None
    knows_tokens = False

    def __init__(self, settings: RemoteSettings, measurements: tuple[int, Measurements] | None = None) -> None:
        super().__init__(None if measurements is None else measurements[1])
        self.name = settings.name
        self.notes: list[str] = []
        self.lanes = settings.concurrency
        self.timeout_seconds = settings.timeout_seconds
        self._settings = settings
        self._prefixes: dict[Purpose, str] = {"query": settings.query_prefix, "document": settings.document_prefix}
        from softkv_service.encoding.remote.provider import Provider  # it imports a client of HTTP

        self._provider = Provider(settings, None if measurements is None else measurements[0])

    @property
    def dimension(self) -> int:  # type: ignore[override]  # a provider's is known after its first answer
        """The width of a vector.

        Raises:
            ProviderUnavailable: it is not known yet, and the provider cannot be asked.
        """
        if self._provider.dimension is None:
            self.encode(["width"], "document")
        assert self._provider.dimension is not None
        return self._provider.dimension

    @property
    def counts(self) -> ProviderCounts:
        """Counts of the calls to the provider, for metrics."""
        return self._provider.counts

    def batch_limits(self) -> FixedLimits:
        """Return the limits of a call to the provider."""
        prefix = max(self._prefixes.values(), key=len)
        return FixedLimits(self._settings.batch_texts, self._settings.batch_tokens, prefix)

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Encode n texts, in order, in as many calls as they need.

        Raises:
            InvalidText: a text has a lone surrogate.
            TextRefused: the provider refuses some texts.
            ProviderUnavailable: the provider cannot be reached, or fails, or refuses every text, or its answer is
                invalid.
        """
        check_texts(texts)
        encoded = PROVIDERS.submit(self._encode(texts, purpose, self.timeout_seconds)).result()
        if encoded.refused:
            raise TextRefused(encoded.refused)
        return encoded

    def submit(
        self, texts: Sequence[str], purpose: Purpose, threads: ThreadPoolExecutor, seconds: float
    ) -> Future[Encoded]:
        """Begin to encode n texts, and return the future result; cancelling it closes the connection.

        The result names the texts that the provider refuses.
        """
        return PROVIDERS.submit(self._encode(texts, purpose, seconds))

    async def _encode(self, texts: Sequence[str], purpose: Purpose, seconds: float) -> Encoded:
        prefix = self._prefixes[purpose]
        batches = _cut([prefix + text for text in texts], self.batch_limits())
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._provider.embed(batch, seconds, purpose)) for batch in batches]
        except ExceptionGroup as errors:
            raise _first(errors) from None
        vectors = np.concatenate([task.result().vectors for task in tasks]) if tasks else self._no_vectors()
        refused, start = dict[int, str](), 0
        for task in tasks:
            refused |= {start + i: reason for i, reason in task.result().refused.items()}
            start += len(task.result().vectors)
        content = np.asarray([read_content(text) for text in texts], dtype=np.int8)
        return Encoded(vectors, content, refused=refused)

    def _no_vectors(self) -> NDArray[np.float32]:
        return np.zeros((0, self._provider.dimension or 0), dtype=np.float32)

    def tokens(self, texts: Sequence[str], purpose: Purpose) -> list[list[Token]]:
        """Raise TokensUnknown: the provider does not tell the tokens of a text."""
        self._refuse("no tokens can be returned")

    def room(self, tokens: int, purpose: Purpose) -> int:
        """Raise TokensUnknown: the provider does not tell the tokens of a text."""
        self._refuse("its tokens cannot be counted")

    def windows(
        self, texts: Sequence[str], tokens: int, overlap: int, max_parts: int, purpose: Purpose
    ) -> list[list[Span]]:
        """Raise TokensUnknown: the provider does not tell the tokens of a text."""
        self._refuse("no text can be split by its tokens")

    def decode(self, ids: Sequence[int]) -> str:
        """Raise InvalidTokens: the provider does not tell what its tokens mean."""
        raise InvalidTokens(
            f"Encoder {self.name!r} is behind a URL, and takes texts only. Send the text itself (LangChain: "
            "check_embedding_ctx_length=False).",
            None,
        )

    def _refuse(self, consequence: str) -> NoReturn:
        raise TokensUnknown(
            f"Encoder {self.name!r} is behind a URL, which does not tell the tokens of a text, so {consequence}. "
            "Name an encoder of this machine."
        )


def _cut(texts: Sequence[str], limits: FixedLimits) -> list[list[str]]:
    """Cut n texts into batches, in order."""
    batches = list[list[str]]()
    size = 0
    for text in texts:
        size += (added := limits.size_of(text))
        if not batches or len(batches[-1]) == limits.texts or size > limits.size:
            batches.append([])
            size = added
        batches[-1].append(text)
    return batches


def _first(errors: BaseExceptionGroup[Exception]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def read_content(text: str) -> Content:
    """Return the kind of a text's content by its characters, since the tokens of the model are unknown."""
    if any(character.isalnum() for character in text):
        return Content.WORDS
    return Content.SIGNS if text.strip() else Content.NOTHING


class KeptMeasurements(Protocol):
    """A record of what was measured: the model, and the result in JSON."""

    @property
    def model(self) -> str:
        """The model and settings that it was measured of."""

    @property
    def measurements(self) -> str:
        """The result, in JSON."""


class MeasurementStore(Protocol):
    """The part of a store that keeps what was measured of encoders."""

    def encoder_measurements(self, encoder: str, /) -> KeptMeasurements | None:
        """Return what was measured of an encoder; None if nothing was."""

    def keep_encoder_measurements(self, encoder: str, model: str, measurements: str, /) -> None:
        """Keep what was measured of an encoder."""


def load_remote(settings: RemoteSettings, store: MeasurementStore) -> RemoteEncoder:
    """Return an encoder behind a URL that is measured; blocks.

    The provider is asked only if the store has no measurements of this model with these settings.

    Raises:
        ProviderUnavailable: the provider cannot be measured.
        InvalidText: the provider refuses one of the texts on which it is measured.
    """
    stored = store.encoder_measurements(settings.name)
    if stored is not None and stored.model == settings.measurement_key:
        return RemoteEncoder(settings, read_measurements(stored.measurements))
    encoder = RemoteEncoder(settings)
    measured = encoder.measure()
    store.keep_encoder_measurements(
        settings.name, settings.measurement_key, write_measurements(encoder.dimension, measured)
    )
    return encoder


def write_measurements(dimension: int, measured: Measurements) -> str:
    """Return the width of an encoder's vectors and what was measured of it, in JSON."""
    return json.dumps(
        {
            "dimension": dimension,
            "backgrounds": {name: asdict(background) for name, background in measured.backgrounds._asdict().items()},
            "unit_length": measured.unit_length,
            "temperatures": {name: asdict(temperature) for name, temperature in measured.temperatures.items()},
        }
    )


def read_measurements(text: str) -> tuple[int, Measurements]:
    """Read what `write_measurements` wrote."""
    content: dict[str, Any] = json.loads(text)
    backgrounds = {name: Background(**values) for name, values in content["backgrounds"].items()}
    temperatures: Any = {name: Temperature(**values) for name, values in content["temperatures"].items()}
    return content["dimension"], Measurements(Backgrounds(**backgrounds), content["unit_length"], temperatures)
