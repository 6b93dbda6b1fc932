"""The service's encoder from its first moment: loading in the background, then ready, or failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog

from service.encoding.encoder import Encoder
from service.encoding.errors import EncodingError
from service.encoding.queue.queue import EncodingQueue

log = structlog.get_logger("softkv")


class LoadingEncoder:
    """An encoder that loads off the event loop while the service already answers."""

    def __init__(self, name: str, load: Callable[[], Encoder]) -> None:
        self.name = name
        self.state: Literal["loading", "ready", "failed"] = "loading"
        self.failure: EncodingError | None = None
        self._load = load
        self._queue: EncodingQueue | None = None
        self._settled = asyncio.Event()

    @property
    def encoder(self) -> Encoder | None:
        """The encoder itself, once it is ready."""
        return None if self._queue is None else self._queue.encoder

    async def start(self) -> None:
        """Load; returns when the encoder is ready or has failed."""
        try:
            encoder = await asyncio.to_thread(self._loaded)
            self._queue = EncodingQueue(encoder)
            self._queue.start()
            self.state = "ready"
            for note in encoder.notes:
                log.warning("encoder", encoder=encoder.name, note=note)
        except EncodingError as error:
            self.failure, self.state = error, "failed"
            log.error("encoder", encoder=self.name, failure=str(error))
        finally:
            self._settled.set()

    def _loaded(self) -> Encoder:
        encoder = self._load()
        encoder.measure()  # here, so that no request does
        return encoder

    async def settled(self) -> None:
        """Wait until the encoder is ready or has failed, however long that takes."""
        await self._settled.wait()

    async def ready(self, patience: float = 30.0) -> EncodingQueue | None:
        """The queue, waited for at most `patience` seconds; None where it is not to be had."""
        try:
            await asyncio.wait_for(self._settled.wait(), patience)
        except TimeoutError:
            return None
        return self._queue

    @property
    def waiting(self) -> int:
        """How many texts wait to be encoded."""
        return 0 if self._queue is None else self._queue.waiting

    def refuse(self) -> None:
        """Take no text from now on, and give up those that wait."""
        if self._queue is not None:
            self._queue.refuse()

    async def close(self) -> None:
        """Refuse, and let the encoder go."""
        if self._queue is not None:
            await self._queue.close()
