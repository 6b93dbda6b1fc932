"""Many texts, answered in their order while the later ones still wait."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from service.encoding.encoded import Encoded
from service.encoding.queue import EncodingQueue
from service.encoding.texts import Purpose

SLICE_TEXTS = 64
SLICES_AHEAD = 2  # the encoder has the next slice while the last one is on its way to the caller


async def encode_stream(queue: EncodingQueue, texts: Sequence[str], purpose: Purpose) -> AsyncIterator[Encoded]:
    """Encode n texts and yield them slice by slice, in order; closing the iterator gives the rest up.

    Raises:
        TextError: a text has a lone surrogate.
        QueueClosedError: the queue closes before the last text.
    """
    under_way = deque[asyncio.Task[Encoded]]()
    try:
        for start in range(0, len(texts), SLICE_TEXTS):
            under_way.append(asyncio.create_task(queue.encode(texts[start : start + SLICE_TEXTS], purpose)))
            if len(under_way) > SLICES_AHEAD:
                yield await under_way.popleft()
        while under_way:
            yield await under_way.popleft()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
