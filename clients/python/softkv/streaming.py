"""Going through an answer while it comes: from a thread for a blocking client, from a task for an awaited one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any, TypeVar

from softkv.calls.teaching.hearing import Stream
from softkv.sending import AsyncSender, Sender

T = TypeVar("T")


def run(sender: Sender, stream: Stream[T]) -> Generator[T, None, None]:
    """Each item as it comes; who stops going through them ends the call at the next event."""
    from queue import SimpleQueue
    from threading import Event, Thread

    told: SimpleQueue[Any] = SimpleQueue()
    enough = Event()

    def listen() -> None:
        try:
            sender.run(stream.hear(_to(told.put, stream, enough.is_set)))
        except Exception as error:
            told.put(error)
        finally:
            told.put(None)

    Thread(target=listen, name="softkv-stream", daemon=True).start()
    try:
        while (each := told.get()) is not None:
            if isinstance(each, Exception):
                raise each
            yield each
    finally:
        enough.set()


async def run_awaited(sender: AsyncSender, stream: Stream[T]) -> AsyncGenerator[T, None]:
    """Each item as it comes; who stops going through them ends the call."""
    import asyncio

    told: asyncio.Queue[Any] = asyncio.Queue()
    listening = asyncio.ensure_future(sender.run(stream.hear(_to(told.put_nowait, stream, lambda: False))))
    listening.add_done_callback(lambda _: told.put_nowait(None))
    try:
        while (each := await told.get()) is not None:
            yield each
        await listening
    finally:
        listening.cancel()


def _to(put: Callable[[Any], object], stream: Stream[T], enough: Callable[[], bool]) -> Callable[[str, Any], bool]:
    """Who is told of events, and hands on what they become."""

    def heard(name: str, data: Any) -> bool:
        put(stream.made(name, data))
        return enough()

    return heard
