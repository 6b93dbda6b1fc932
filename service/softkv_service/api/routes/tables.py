"""The route of tables: a file of any format comes back as rows of JSON, read by the client's own reader."""

from __future__ import annotations

import asyncio
import json
import re
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from functools import cached_property, partial
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from softkv.table_options import TableOptions, name_options
from softkv_service.api.body import BYTES_PER_JSON_BYTE, media_type, refuse_encoded
from softkv_service.api.json import NDJSON, ndjson
from softkv_service.api.middleware.access import check_key_again
from softkv_service.api.problems.errors import ReaderMissing, UnsupportedMediaType
from softkv_service.api.problems.handlers import problem_response
from softkv_service.api.problems.table import ANY_CALL, CODES, MALFORMED, refusals
from softkv_service.api.received import ReceivedFiles
from softkv_service.api.routing import GuardedRoute, filters, reaches, requires, takes
from softkv_service.api.shutdown import Shutdown
from softkv_service.api.state import Running
from softkv_service.retrieval import InvalidContent
from softkv_service.scheduling import CALLER, FairSemaphore
from softkv_service.schemas.requests import query_parameter
from softkv_service.schemas.stream import TABLE_ANSWER, TABLE_BODY

FILE_TYPE = "application/octet-stream"
LEAST_MEMORY = 512 << 20
"""The memory of a process that reads a file of no length; each byte of a body adds that of its JSON."""
SECONDS = 600
"""The time of a process that reads a file, of the processor and of the clock; waiting for the client does not count."""
PART_BYTES = 256 * 1024
ADVICE = "load it with `softkv load`"
LONGEST_NAME = 200
"""The most bytes of a received file's name; a file system takes 255."""


class TableRoute(GuardedRoute):
    """The route class for a file as the body, which goes to the disk and not into memory."""

    reads_in_parts = True

    @cached_property
    def check_declared(self) -> Callable[[Headers], None]:
        """Refuses a body that is not declared as a file, or is compressed."""
        return require_file


def require_file(headers: Headers) -> None:
    """Raise UnsupportedMediaType if the body is not declared as a file, or is compressed."""
    refuse_encoded(headers)
    if media_type(headers) != FILE_TYPE:
        raise UnsupportedMediaType(
            f"this call takes a file as {FILE_TYPE}: set the header Content-Type, and send the bytes of the file as "
            "the body, not in a form"
        )


class TableResponse(StreamingResponse):
    """A streamed response of NDJSON.

    `softkv_service.api.admission.CancelOnDisconnect` handles a disconnect of the client.
    """

    media_type = NDJSON

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the lines until they end; an ASGI call."""
        async with aclosing(cast(AsyncGenerator[bytes], self.body_iterator)):
            await self.stream_response(send)


router = APIRouter(
    prefix="/v1/tables",
    tags=["documents"],
    route_class=TableRoute,
    dependencies=[requires("write"), takes("stream"), reaches("nothing"), filters("nothing")],
    responses=ANY_CALL
    | refusals(
        *MALFORMED,
        "body_too_large",
        "unsupported_media_type",
        "invalid_content",
        "forbidden",
        "host_refused",
        "library_missing",
        "storage_failed",
        "disk_full",
    ),
)


@router.post(
    "",
    status_code=200,
    response_class=TableResponse,
    openapi_extra={"requestBody": {"required": True, "content": {FILE_TYPE: TABLE_BODY}}},
    responses={200: {"content": {NDJSON: TABLE_ANSWER}}},
    response_description="A line about the table, a line for each row, and a last line with the counts.",
    summary="Read a file as rows",
)
@name_options(partial(query_parameter, TableOptions))
async def read_table(
    request: Request,
    running: Running,
    file: Annotated[
        str,
        Query(
            min_length=1,
            max_length=1000,
            description="The name of the file, whose ending selects the format.",
            examples=["books.csv"],
        ),
    ],
    **options: Any,
) -> Response:
    """Read a file of any format that `softkv load` knows, and return its rows. Nothing is stored.

    The body is the file. Columns and types of cells are those of `softkv load`: a column that is named as a field of a
    document is this field. A named column that is missing is a 422, which lists the columns. The file may be as long as
    a JSON body. It is read in a process of its own, with limits on its memory and time, which can open no other file
    where the system allows that, and deleted afterwards.
    """
    order = {
        "file": _safe_name(file),
        "reading": {"options": options, "needs": "rows"},
        "lines": None,
        "mark": None,
        "memory_bytes": LEAST_MEMORY + BYTES_PER_JSON_BYTE * running.max_body_bytes,
        "line_bytes": running.max_body_bytes,
        "seconds": SECONDS,
        "advice": ADVICE,
    }
    lines = _lines(order, request)
    first = await anext(lines)  # an error before the first line is the answer's status
    return TableResponse(_answer(first, lines, request))


def _safe_name(name: str) -> str:
    """Return a name as that of a file in any folder: its last part, with the endings that it has."""
    last = re.split(r"[/\\]", name)[-1].encode(errors="replace")
    end = last[-LONGEST_NAME:].decode(errors="ignore")  # a letter that is cut goes
    return re.sub(r"^[-.]+|[^\w .()+-]", "_", end) or "_"


async def _answer(first: bytes, lines: AsyncGenerator[bytes], request: Request) -> AsyncGenerator[bytes]:
    """Yield the lines of the answer, in parts; the last line may be a problem."""
    shutdown: Shutdown = request.app.state.shutdown
    async with aclosing(lines):
        yield first
        try:
            while part := await shutdown.until_begun(anext(lines, b"")):
                check_key_again(request.scope)
                yield part
        except tuple(CODES) as error:
            yield ndjson({"done": False, "problem": problem_response(error).problem})


async def _lines(order: Mapping[str, Any], request: Request) -> AsyncGenerator[bytes]:
    """Yield the lines that the process writes, some at a time.

    Raises:
        QueueFull: too many files are being received or read.
        InvalidContent: the file cannot be read.
        ReaderMissing: a package that reads the format is missing.
        DiskFull: the disk has no room for the file.
        StorageFailed: the service has no folder for the file.
    """
    await asyncio.to_thread(import_module, "softkv.tables")  # the first time takes long
    from softkv.tables import END, MESSAGE, why_ended

    received: ReceivedFiles = request.app.state.received
    turns: FairSemaphore = request.app.state.tables
    caller = CALLER.get()
    async with received.place(caller) as folder:
        await _receive(request, Path(folder, str(order["file"])))
        await turns.acquire(caller)
        try:
            async with _start_reader({**order, "folder": str(folder)}) as reader:
                assert reader.stdout is not None
                kind = b""
                while kind != END:
                    try:
                        async with asyncio.timeout(SECONDS):
                            kind, length, _ = MESSAGE.unpack(await reader.stdout.readexactly(MESSAGE.size))
                            lines = await reader.stdout.readexactly(min(length, order["line_bytes"] + PART_BYTES))
                    except (asyncio.IncompleteReadError, TimeoutError):
                        raise _unreadable(why_ended(order)) from None
                    if kind == END and "detail" in (end := json.loads(lines)):
                        if end["code"] == "library_missing":
                            raise ReaderMissing(end["detail"])
                        raise _unreadable(end["detail"])
                    if lines:
                        yield lines
        finally:
            turns.release(caller)


def _unreadable(detail: str) -> InvalidContent:
    return InvalidContent.at("", detail)


async def _receive(request: Request, path: Path) -> None:
    """Write the body of a request to a file."""
    size = 0
    with path.open("wb") as file:
        async for part in request.stream():
            size += len(part)
            await asyncio.to_thread(file.write, part)
    if not size:
        raise _unreadable("the body is empty: send the bytes of a file")


@asynccontextmanager
async def _start_reader(order: Mapping[str, Any]) -> AsyncIterator[Process]:
    """Start a process that reads the file of an order, and kill it when the block ends for any reason."""
    from softkv.tables import reader_command, reader_environment

    reader = await asyncio.create_subprocess_exec(
        *reader_command(), env=reader_environment(), stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=PART_BYTES
    )
    try:
        assert reader.stdin is not None
        reader.stdin.write(ndjson(dict(order)))
        with suppress(ConnectionError):  # it has ended already, and its lines say why
            await reader.stdin.drain()
        yield reader
    finally:
        with suppress(ProcessLookupError):
            reader.kill()
        await asyncio.shield(reader.wait())
