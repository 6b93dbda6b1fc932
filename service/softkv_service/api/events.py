"""Server-sent events: a response that sends events until its generator ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from functools import partial
from typing import Any, NamedTuple

import orjson
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from softkv_service.api.middleware.access import check_key_again
from softkv_service.api.middleware.requests import EVENT_STREAM
from softkv_service.api.problems.handlers import problem_response
from softkv_service.api.problems.table import CODES
from softkv_service.api.shutdown import Shutdown

HEARTBEAT_SECONDS = 15.0
"""Maximum silence: a comment is sent before a proxy times out."""

KEEP_ALIVE = b": ping\n\n"  # a comment, which clients ignore
UNBUFFERED = {"X-Accel-Buffering": "no"}


class Event(NamedTuple):
    """A server-sent event.

    Attributes:
        name: the type that a browser subscribes to.
        data: the content: anything that orjson can serialise, including NumPy arrays.
        id: the id that a reconnecting browser sends back in `Last-Event-ID`, or None.
    """

    name: str
    data: Any
    id: str | None = None

    def serialise(self) -> bytes:
        """Return the event as the bytes that are sent."""
        data = orjson.dumps(self.data, option=orjson.OPT_SERIALIZE_NUMPY)  # on one line, which a field is
        last = b"" if self.id is None else f"id: {self.id}\n".encode()
        return b"event: %s\ndata: %s\n%s\n" % (self.name.encode(), data, last)


def event_responses(example: str) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of a route's stream of events, as FastAPI's `responses`.

    Args:
        example: an example of the stream.
    """
    schema = {"type": "string", "description": "Server-sent events; the data of each is JSON."}
    return {200: {"content": {EVENT_STREAM: {"schema": schema, "example": example}}}}


class Events(StreamingResponse):
    """A response that sends each event when it arrives, and a comment after HEARTBEAT_SECONDS without an event.

    An error, a shutdown, or the end of the caller's key is sent as a last event `problem`, with the body of the
    corresponding error response.
    """

    media_type = EVENT_STREAM

    def __init__(self, events: AsyncGenerator[Event], request: Request) -> None:
        check_key = partial(check_key_again, request.scope)
        super().__init__(_event_bytes(events, request.app.state.shutdown, check_key), headers=UNBUFFERED)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events of the stream until it ends; an ASGI call.

        `softkv_service.api.admission.CancelOnDisconnect` handles a disconnect of the client.
        """
        await self.stream_response(send)


async def _event_bytes(
    events: AsyncGenerator[Event], shutdown: Shutdown, check_key: Callable[[], None]
) -> AsyncIterator[bytes]:
    pending: asyncio.Future[Event] | None = None
    try:
        while True:
            pending = asyncio.ensure_future(anext(events))
            while not pending.done():
                await shutdown.until_begun(asyncio.wait({pending}, timeout=HEARTBEAT_SECONDS))
                if not pending.done():
                    check_key()
                    yield KEEP_ALIVE
            event = pending.result()
            check_key()
            yield event.serialise()
    except StopAsyncIteration:
        return
    except tuple(CODES) as error:
        yield Event("problem", problem_response(error).problem).serialise()
    finally:
        if pending is not None and pending.cancel():
            await asyncio.wait({pending})
            if not pending.cancelled():  # it ended or failed meanwhile: mark its error as seen
                pending.exception()
        await events.aclose()
