"""The route of backups: all data as one stream, from which `softkv restore` makes the same store again."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager

from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from softkv_service.api.problems.errors import QueueFull
from softkv_service.api.problems.table import ANY_CALL, STORED, refusals
from softkv_service.api.routing import GuardedRoute, filters, reaches, requires, takes
from softkv_service.api.shutdown import Shutdown
from softkv_service.api.state import Running
from softkv_service.storage import Backup, Store, backup

MEDIA_TYPE = "application/vnd.softkv.backup"


class BackupAnswer(Response):
    """A response that makes a backup and sends it. Only one is made at a time: each needs as much disk as all data."""

    media_type = MEDIA_TYPE

    def __init__(self, store: Store, turn: asyncio.Lock, shutdown: Shutdown) -> None:
        super().__init__()
        self._store = store
        self._turn = turn
        self._draining = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make the backup and send it; an ASGI call."""
        if self._turn.locked():
            raise QueueFull("another backup is being made, one is made at a time: try again when it is done")
        async with self._turn:
            making = backup(self._store)
            snapshot = await self._draining.until_late(_enter(making))
            try:
                await self._send(snapshot, send)
            finally:
                making.__exit__(None, None, None)

    async def _send(self, snapshot: Backup, send: Send) -> None:
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Content-Length": str(snapshot.size),
            "Content-Disposition": f'attachment; filename="{snapshot.header.made.replace(":", "")}.softkv"',
        }
        raw = [(name.lower().encode(), text.encode()) for name, text in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        parts = snapshot.chunks()
        while part := await asyncio.to_thread(next, parts, b""):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _enter(making: AbstractContextManager[Backup]) -> Backup:
    """Return a backup when it is made. If the request is cancelled meanwhile, the backup is removed once it is made.

    Args:
        making: makes the backup on entry and removes it on exit.
    """
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
    dependencies=[requires("write"), takes("stream"), reaches("everything"), filters("whole")],
    responses=ANY_CALL | refusals("forbidden", "host_refused", "disk_full", "backup_elsewhere", *STORED),
)


@router.get(
    "",
    status_code=200,
    response_class=BackupAnswer,
    responses={200: {"content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
    response_description="A line of JSON with format, schema, time, length and SHA-256; then the database.",
    summary="Back up all data",
)
async def get_backup(request: Request, running: Running) -> Response:
    """Return all collections as they are at one instant, while reads and writes go on.

    `softkv restore` restores it. The backup needs as much space in the data directory as the data. Only one is made at
    a time. It contains every text: protect it as you protect the data.
    """
    return BackupAnswer(running.catalogue.store, request.app.state.backup, request.app.state.shutdown)
