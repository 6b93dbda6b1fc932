"""Many texts, answered in their order while the later ones still wait."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from service.encoding.encoded import Encoded
from service.encoding.queue.queue import EncodingQueue
from service.encoding.texts import Purpose

# One slice at a time: two would take turns in the queue, and the first be no sooner ready than the second.
SLICE_TEXTS = 64


async def encode_stream(queue: EncodingQueue, texts: Sequence[str], purpose: Purpose) -> AsyncGenerator[Encoded]:
    """Encode n texts and yield them slice by slice, in order; closing the generator gives the rest up.

    Raises:
        TextError: a text has a lone surrogate.
        QueueClosedError: the queue closes before the last text.
    """
    for start in range(0, len(texts), SLICE_TEXTS):
        yield await queue.encode(texts[start : start + SLICE_TEXTS], purpose)
