"""Everything that is stored, as one stream out of which `softkv restore` makes the same again."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from service.api.middleware.shutdown import Shutdown
from service.api.problems.errors import QueueFull
from service.api.problems.table import ANY_CALL, STORED, refusals
from service.api.routing import GuardedRoute, reaches, requires, takes
from service.api.state import Running
from service.storage import Backup, Store, backup

MEDIA_TYPE = "application/vnd.softkv.backup"


class BackupAnswer(Response):
    """Makes the backup and sends it; one at a time, for each takes as much room on the disk as all that is stored."""

    media_type = MEDIA_TYPE

    def __init__(self, store: Store, turn: asyncio.Lock, draining: Shutdown) -> None:
        super().__init__()
        self._store = store
        self._turn = turn
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI call."""
        if self._turn.locked():
            raise QueueFull("another backup is being made, one is made at a time: try again when it is done")
        async with self._turn:
            making = backup(self._store)
            made = await self._draining.until_late(_entered(making))
            try:
                await self._send(made, send)
            finally:
                making.__exit__(None, None, None)

    async def _send(self, made: Backup, send: Send) -> None:
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(made.size),
            "Content-Disposition": f'attachment; filename="{made.header.made.replace(":", "")}.softkv"',
        }
        raw = [(name.lower().encode(), each.encode()) for name, each in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        parts = made.chunks()
        while part := await asyncio.to_thread(next, parts, b""):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _entered(making: AbstractContextManager[Backup]) -> Backup:
    """Wait until it is made; where nobody wants it any more, it is removed as soon as it is."""
    entering = asyncio.ensure_future(asyncio.to_thread(making.__enter__))
    try:
        return await asyncio.shield(entering)
    except asyncio.CancelledError:
        entering.add_done_callback(lambda done: done.exception() or making.__exit__(None, None, None))
        raise


router = APIRouter(
    prefix="/v1/backup",
    tags=["service"],
    route_class=GuardedRoute,
    dependencies=[requires("write"), takes("stream"), reaches("everything")],
    responses=ANY_CALL | refusals("forbidden", "host_refused", "disk_full", "backup_elsewhere", *STORED),
)


@router.get(
    "",
    status_code=200,
    response_class=BackupAnswer,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
    response_description="A line of JSON with format, schema, time, length and SHA-256; then the database.",
    summary="A consistent copy of everything",
)
async def get_backup(request: Request, running: Running) -> Response:
    """All collections as they are at one instant, while reads and writes go on; `softkv restore` takes it.

    It takes as much room in the data directory as what is stored, and one is made at a time. It holds every text:
    keep it as you keep the data.
    """
    return BackupAnswer(running.catalogue.store, request.app.state.backup, request.app.state.shutdown)
