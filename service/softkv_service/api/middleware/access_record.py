"""The record of a call in the access log: what it changed, or that a key did not permit it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from softkv_service.api.access_log import AccessLog
from softkv_service.api.problems.errors import AccessLogUnwritable
from softkv_service.api.problems.handlers import READING, problem_response

MAX_IDS = 20
"""A line names its documents if there are at most this many, else it has only their count."""
MAX_CALL = 200
MAX_ADDRESS = 64
"""Characters of an address, which a proxy may pass on unchecked."""
DONE, REPLAYED, UNFINISHED = "done", "replayed", "unfinished"
BY_KEY = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
QUOTA = "quota_exceeded"
NOT_WRITTEN = (
    "the change was made, but its line could not be written to the access log ({reason}): further changes are refused "
    "until it can"
)


class Record:
    """The record of one call, from which its line in the access log is made.

    Attributes:
        is_change: whether the route, or what the body asks for, needs the level `write`.
        ids: the ids of the documents that the call is about, or None.
        count: how many documents it changed, or None.
        collection: the collection that the call is about, if its path does not name it.
        outcome: the outcome if it is not the answer's status that says it.
    """

    def __init__(self, scope: Scope, log: AccessLog) -> None:
        self.is_change = False
        self.ids: Sequence[str] | None = None
        self.count: int | None = None
        self.collection: str | None = None
        self.outcome: str | None = None
        self._scope = scope
        self._log = log
        self._written = False

    def begin_change(self) -> None:
        """Record that the call is a change; raise AccessLogUnwritable if its line could not be written.

        A method that only reads, as that of a backup, is recorded, and never refused.
        """
        self.is_change = True
        self.check()

    def check(self) -> None:
        """Raise AccessLogUnwritable if the line of a change could not be written now."""
        if self._scope["method"] not in READING:
            self._log.check()

    async def finish(self, status: int) -> None:
        """Write the line before the answer begins: of a change, or of a refusal by a key.

        Raises:
            AccessLogUnwritable: the change was made, and its line cannot be written.
        """
        if self._written:
            return
        code = self._scope["state"].get("refused")
        refused = status >= HTTPStatus.BAD_REQUEST
        if self.is_change or (refused and (status in BY_KEY or code == QUOTA)):
            await self.write(str(code or status) if refused else self.outcome or DONE)

    async def write(self, outcome: str) -> None:
        """Write a line with this outcome. A call that is answered in parts writes one for each.

        Raises:
            AccessLogUnwritable: the line is that of a change that was made, and cannot be written.
        """
        self._written = True
        made = outcome in (DONE, REPLAYED) and self._scope["method"] not in READING
        try:
            await asyncio.wrap_future(self._log.submit(self._line(outcome), durable=made))
        except OSError as error:
            if made:
                raise AccessLogUnwritable(NOT_WRITTEN.format(reason=error.strerror or error)) from None

    def abandon(self) -> None:
        """Queue the line of a change that gets no answer, because it failed or was cancelled."""
        if self.is_change and not self._written:
            self._log.submit(self._line(UNFINISHED), durable=True)

    def _line(self, outcome: str) -> dict[str, Any]:
        scope = self._scope
        client = scope.get("client")
        call, path = _call(scope)
        ids = [path["id"]] if "id" in path else self.ids
        about: dict[str, Any] = {}
        if ids is not None and len(ids) <= MAX_IDS:
            about["ids"] = list(ids)
        elif ids is not None:
            about["count"] = len(ids)
        if self.count is not None:
            about["count"] = self.count
        return {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "key": scope["state"].get("key"),
            "address": client[0][:MAX_ADDRESS] if client else None,
            "call": call,
            "collection": path.get("name", self.collection),
            **({"alias": path["alias"]} if "alias" in path else {}),
            **about,
            "request_id": scope["state"]["request_id"],
            "outcome": outcome,
        }


def _call(scope: Scope) -> tuple[str, dict[str, str]]:
    """Return the name of a call and the parameters in its path.

    A call that was refused before its route was known is compared with all routes. Without a route, its name is its
    method and path.
    """
    if (route := scope.get("route")) is not None and route.name:
        return route.name, scope.get("path_params", {})
    for context in iter_route_contexts(scope["app"].routes):
        if isinstance(context.original_route, APIRoute):
            match, child = context.original_route.matches(scope)
            if match is Match.FULL:
                return context.original_route.name, child["path_params"]
    return f"{scope['method']} {scope['path']}"[:MAX_CALL], {}


RECORD: ContextVar[Record | None] = ContextVar("access record", default=None)


def begin_change() -> None:
    """Record that the current call is a change, if the service has an access log.

    Raises:
        AccessLogUnwritable: the change's line could not be written.
    """
    if (record := RECORD.get()) is not None:
        record.begin_change()


def note(
    *,
    ids: Iterable[str] | None = None,
    count: int | None = None,
    collection: str | None = None,
    outcome: str | None = None,
) -> None:
    """Note facts about the current call for its line in the access log; those left out stay as they are."""
    if (record := RECORD.get()) is not None:
        record.ids = record.ids if ids is None else list(ids)
        record.count = record.count if count is None else count
        record.collection = collection or record.collection
        record.outcome = outcome or record.outcome


def check_part() -> None:
    """Raise AccessLogUnwritable if the next part of a change could not be recorded."""
    if (record := RECORD.get()) is not None:
        record.check()


async def record_part(outcome: str = DONE, ids: Sequence[str] = ()) -> None:
    """Write the line of one part of a change that is made in parts.

    Args:
        outcome: done, or the code of the refusal that ended the change.
        ids: the documents that the part changed.

    Raises:
        AccessLogUnwritable: the part was made, and its line cannot be written.
    """
    if (record := RECORD.get()) is not None:
        record.ids = ids
        await record.write(outcome)


class AccessRecordMiddleware:
    """A middleware that writes the record of a call to the access log before its answer begins."""

    def __init__(self, app: ASGIApp, *, log: AccessLog) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on with its record, and write that before the answer; an ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        record = Record(scope, self._log)
        replaced = False

        async def send_recorded(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start":
                try:
                    await record.finish(message["status"])
                except AccessLogUnwritable as error:
                    replaced = True
                    await problem_response(error)(scope, receive, send)
            if not replaced:
                await send(message)

        token = RECORD.set(record)
        try:
            await self._app(scope, receive, send_recorded)
        except BaseException:
            record.abandon()
            raise
        finally:
            RECORD.reset(token)
