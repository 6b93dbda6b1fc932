"""Server-sent events: an answer that goes on for as long as there is something to tell, and whoever listens hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, NamedTuple

import orjson
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.types import Receive, Scope, Send

from service.api.middleware.shutdown import Shutdown
from service.api.problems.handlers import problem_response
from service.api.problems.table import CODES

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0
"""Silence that a proxy would take for the end is not longer than that."""

UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Event(NamedTuple):
    """Something to tell.

    Attributes:
        name: what a browser listens for.
        data: what can be written as JSON, NumPy's arrays among it.
        id: what a browser that comes back names as the last it heard, in `Last-Event-ID`; None for none.
        last: nothing comes after it, not even that the service stops.
    """

    name: str
    data: Any
    id: str | None = None
    last: bool = False

    def serialise(self) -> bytes:
        """As it is sent."""
        data = orjson.dumps(self.data, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        return format_sse_event(data_str=data, event=self.name, id=self.id)


def described(example: str) -> dict[int | str, dict[str, Any]]:
    """What a route's `responses` say of an answer of events."""
    schema = {"type": "string", "description": "Server-sent events; the data of each is JSON."}
    return {200: {"content": {MEDIA_TYPE: {"schema": schema, "example": example}}}}


class Events(StreamingResponse):
    """Sends events as they come, and a comment when none has for a while.

    What goes wrong on the way is a last event, `problem`, with what an answer of that status would have held; so is
    that the service stops.
    """

    media_type = MEDIA_TYPE

    def __init__(self, events: AsyncGenerator[Event], draining: Shutdown) -> None:
        super().__init__(_written(events, draining), headers=UNBUFFERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call; a caller who hangs up is noticed where places are given back (`service.api.admission`)."""
        await self.stream_response(send)


async def _written(events: AsyncGenerator[Event], draining: Shutdown) -> AsyncIterator[bytes]:
    coming: asyncio.Future[Event] | None = None
    try:
        while True:
            coming = asyncio.ensure_future(anext(events))
            while not coming.done():
                await draining.until_begun(asyncio.wait({coming}, timeout=HEARTBEAT_SECONDS))
                if not coming.done():
                    yield KEEPALIVE_COMMENT
            told = coming.result()
            yield told.serialise()
            if told.last:
                return
    except StopAsyncIteration:
        return
    except tuple(CODES) as error:
        yield Event("problem", problem_response(error).problem).serialise()
    finally:
        if coming is not None and coming.cancel():
            await asyncio.wait({coming})
            if not coming.cancelled():  # it came to its end, or failed, just then
                coming.exception()
        await events.aclose()
