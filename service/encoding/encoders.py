"""The encoders of a service, by name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from service.encoding.loading import LoadingEncoder
from service.encoding.provider_counts import ProviderCounts


class Encoders:
    """The encoders of a service, by name; without any, the service stores and compares vectors only.

    Args:
        encoders: all of them; their names differ.
        default: the name of the one that encodes texts for which no encoder is named; None for the first.
    """

    def __init__(self, encoders: Iterable[LoadingEncoder] = (), default: str | None = None) -> None:
        self._by_name = {encoder.name: encoder for encoder in encoders}
        self._default = next(iter(self._by_name), None) if default is None else default

    def __iter__(self) -> Iterator[LoadingEncoder]:
        return iter(self._by_name.values())

    def __bool__(self) -> bool:
        return bool(self._by_name)

    @property
    def default(self) -> LoadingEncoder | None:
        """The encoder of texts for which none is named; None without encoders."""
        return None if self._default is None else self._by_name[self._default]

    @property
    def names(self) -> list[str]:
        """The names of the encoders, in the order of the settings."""
        return list(self._by_name)

    def find(self, name: str) -> LoadingEncoder | None:
        """Return the encoder of that name; None if there is none."""
        return self._by_name.get(name)

    def find_for(self, name: str, model: str | None) -> LoadingEncoder | None:
        """Return the encoder whose vectors a collection has; None if there is none.

        It may have another name now, as long as its model is the same.

        Args:
            name: the encoder's name when the collection was made.
            model: the model behind that name then; None if it was not recorded: then it is the name.
        """
        named = self._by_name.get(name)
        if named is not None and model in (None, named.model):
            return named
        return next((encoder for encoder in self if encoder.model == (model or name)), None)

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
        """The number of texts that wait to be encoded."""
        return sum(encoder.waiting for encoder in self)

    def provider_counts(self) -> dict[str, ProviderCounts]:
        """Return the counts of the provider of each encoder behind a URL that is loaded, by the encoder's name."""
        loaded = ((encoder.name, encoder.encoder) for encoder in self)
        return {name: encoder.counts for name, encoder in loaded if encoder is not None and encoder.counts is not None}

    def refuse(self) -> None:
        """Stop accepting texts, and fail those that wait."""
        for encoder in self:
            encoder.refuse()

    async def close(self) -> None:
        """Refuse texts and release the encoders."""
        await asyncio.gather(*(encoder.close() for encoder in self))
