"""A call as what it sends and how its answer is read, without the sending: a `Client` and an `AsyncClient` do that."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import quote

from softkv.errors import Error
from softkv.problems import Reply, foreign_response_error, parse_refusal
from softkv.record import Record
from softkv.validation import require_collection_name

T = TypeVar("T")
JSON_TYPE = "application/json"
NDJSON_TYPE = "application/x-ndjson"
# A question takes moments; a write is acknowledged when its texts are encoded and on disk.
QUERY_TIMEOUT = 60.0
WRITE_TIMEOUT = 600.0


def new_request_id() -> str:
    """A name that no other request has."""
    return os.urandom(16).hex()


def ignore_content(_: Reply) -> None:
    """Reads an answer that says all by its status."""


class Call(Record, Generic[T]):
    """One request, and how its answer is read.

    Attributes:
        parse: makes the result of an answer that is a success.
        repeatable: whether it may be sent again where nobody knows what became of it.
        timeout: seconds without a sign of the service, unless the client was told otherwise.
        expected: statuses that are an answer and no refusal, besides those of success.
        take: where the content of a success goes, part by part as it comes; the reply that is read has none then. A
            ValueError of it is one of reading. Sent again, the call takes from the beginning, so only what was refused
            may be.
        more: further headers.
        id: names the request in the service's log, and a write so that it is done once however often it is sent.
    """

    method: str
    path: str
    parse: Callable[[Reply], T]
    query: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    content_type: str = JSON_TYPE
    once: bool = False
    repeatable: bool = True
    timeout: float = QUERY_TIMEOUT
    expected: tuple[int, ...] = ()
    take: Callable[[bytes], object] | None = None
    more: tuple[tuple[str, str], ...] = ()
    id: str = ""

    def _made(self) -> None:
        self.__dict__["id"] = self.id or new_request_id()

    @property
    def headers(self) -> dict[str, str]:
        """What it says in its head."""
        headers = {"X-Request-ID": self.id, **dict(self.more)}
        if self.content is not None:
            headers["Content-Type"] = self.content_type
        if self.once:
            headers["Idempotency-Key"] = self.id
        return headers

    def is_success(self, status: int) -> bool:
        """Whether a status is that of an answer."""
        return 200 <= status < 300 or status in self.expected

    def answer(self, reply: Reply) -> T:
        """The result, or the refusal raised."""
        if not self.is_success(reply.status):
            raise parse_refusal(reply)
        try:
            return self.parse(reply)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise foreign_response_error(reply) from error

    def __iter__(self) -> Plan[T]:
        """The call as a plan of one: `answer = yield from call` within a longer one."""
        answer: T = yield self
        return answer


# Calls that follow from each other's answers: yields each, is sent its result, and returns its own.
Plan: TypeAlias = Generator[Call[Any], Any, T]


class Page(Record, Generic[T]):
    """Some items, and where the next ones begin; None at the end."""

    items: list[T]
    next_cursor: str | None


class Paging(Record, Generic[T]):
    """A list of any length.

    Attributes:
        ask: (cursor, how many at most) → the call for that page.
        at_once: how many come at a time.
        count: the call that says how many there are; None where none says it.
    """

    ask: Callable[[str | None, int], Call[Page[T]]]
    at_once: int
    count: Call[int] | None = None


class ServiceCache:
    """What the service has said of itself so far.

    Attributes:
        limits: of `GET /v1`; None until they are needed.
        widths: of the keys of collections that have been answered.
    """

    def __init__(self) -> None:
        self.limits: Mapping[str, int] | None = None
        self.widths: dict[str, int] = {}


class CollectionRef(Record):
    """A collection by its name, and where its calls go.

    Raises:
        Invalid: no collection can have that name.
    """

    name: str
    known: ServiceCache

    def _made(self) -> None:
        require_collection_name(self.name)

    @property
    def path(self) -> str:
        """Where it is called."""
        return f"/v1/collections/{self.name}"

    @property
    def documents(self) -> str:
        """Where its documents are."""
        return f"{self.path}/documents"

    def document(self, document_id: str) -> str:
        """Where one of its documents is."""
        return f"{self.documents}/{quote(document_id, safe='')}"


EventHandler = Callable[[str, Any], object]
"""Is told the name and the data of each event; True is enough."""


class EventStream(Record, Generic[T]):
    """Events of one call, each read as it comes.

    Attributes:
        hear: makes the call of who is told of each event.
        made: what an event's name and data become; a refusal where that is what it says.
    """

    hear: Callable[[EventHandler], Plan[None]]
    made: Callable[[str, Any], T]


def listen(method: str, path: str, heard: EventHandler, content: bytes | None = None) -> Plan[None]:
    """Listen until the events end, or until it is enough; a service in this process tells all of them at the end."""
    take = _EventParser(heard).take
    call = Call(method, path, ignore_content, content=content, take=take, repeatable=False, timeout=WRITE_TIMEOUT)
    try:
        yield from call
    except _StopListening:
        return


class _StopListening(Error):
    """Whoever listened has heard enough."""


class _EventParser:
    def __init__(self, heard: EventHandler) -> None:
        self._heard = heard
        self._rest = b""

    def take(self, part: bytes) -> None:
        """Tell of every event that is whole now."""
        *whole, self._rest = (self._rest + part).split(b"\n\n")
        for event in whole:
            fields = dict(line.split(": ", 1) for line in event.decode().split("\n") if not line.startswith(":"))
            if "data" in fields and self._heard(fields["event"], json.loads(fields["data"])) is True:
                raise _StopListening("enough was heard")
