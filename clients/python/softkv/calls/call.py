"""A request as data: what is sent, how the response is read, and whether and when it is sent again.

Nothing is sent here: `Client` and `AsyncClient` do that.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Generic, Self, TypeAlias, TypeVar
from urllib.parse import quote

from softkv.errors import Error, Refused, TimedOut, Unreachable
from softkv.problems import Reply, foreign_response_error, invalid_value_at, parse_refusal
from softkv.record import Record
from softkv.validation import require_collection_name

T = TypeVar("T")
JSON_TYPE = "application/json"
NDJSON_TYPE = "application/x-ndjson"
# Seconds. A query takes moments; a write is acknowledged after its texts are encoded and on disk.
QUERY_TIMEOUT = 60.0
WRITE_TIMEOUT = 600.0


_FAMILY = os.urandom(8).hex()
_UNCACHED = ("Cache-Control", "no-cache")


def new_request_id() -> str:
    """Return a new random request id. Ids of this process and of processes forked from it have the same beginning."""
    return _FAMILY + os.urandom(12).hex()


def ignore_content(reply: Reply) -> None:
    """Return None, for calls whose only result is the status, and which the service answers without content.

    Raises:
        ValueError: there is content, so another program answered.
    """
    if reply.content:
        raise ValueError


class Call(Record, Generic[T]):
    """One request, and the parser of its response.

    Attributes:
        parse: converts a successful reply to the result.
        idempotent: whether the request has an idempotency key, so that a repeated one changes nothing.
        repeatable: whether the request may be sent again if it is unknown whether the service processed it.
        timeout: seconds without a byte from the service, unless the client sets its own.
        expected: statuses besides 2xx that are results, not errors.
        on_chunk: receives the chunks of a successful response as they arrive; the parsed reply is then empty. A
            ValueError from it counts as an unreadable response. A repeated call starts from the first byte, so only
            refused ones may be repeated.
        extra_headers: additional headers.
        id: the request id in the service's log, and the idempotency key if `idempotent` is set.
    """

    method: str
    path: str
    parse: Callable[[Reply], T]
    query: tuple[tuple[str, str], ...] = ()
    content: bytes | None = None
    content_type: str = JSON_TYPE
    idempotent: bool = False
    repeatable: bool = True
    timeout: float = QUERY_TIMEOUT
    expected: tuple[int, ...] = ()
    on_chunk: Callable[[bytes], object] | None = None
    extra_headers: tuple[tuple[str, str], ...] = ()
    id: str = ""

    def _post_init(self) -> None:
        """Assign a random request id if the caller set none."""
        self.__dict__["id"] = self.id or new_request_id()

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        headers = {"X-Request-ID": self.id, **dict(self.extra_headers)}
        if self.content is not None:
            headers["Content-Type"] = self.content_type
        if self.idempotent:
            headers["Idempotency-Key"] = self.id
        return headers

    def bypass_caches(self) -> Self:
        """Return this call for sending it again: no cache may answer it."""
        return self.copy_with(extra_headers=tuple(dict((*self.extra_headers, _UNCACHED)).items()))

    def require_own_response(self, headers: Mapping[str, str]) -> None:
        """Check that a response belongs to this call.

        A proxy may remove the request id or replace it by its own. So another id shows that a response is of another
        request only if that was one of this process, or of one related by a fork, or if the response has an age.

        Raises:
            Unreachable: a cache sent the response to another request; the call may be repeated.
            Error: it did so again, or responses were mixed up.
        """
        response_id, age = headers.get("x-request-id", self.id), headers.get("age", "")
        if response_id == self.id:
            return
        is_related = response_id.startswith(_FAMILY)
        if age.isdecimal() and (is_related or int(age) > 0):
            raise (Error if _UNCACHED in self.extra_headers else Unreachable)(
                f"a cache answered with the response to another request ({response_id}), which is {age} seconds old: "
                "let it keep no answer that has Cache-Control: no-store, or call the service directly",
                request_id=self.id,
            )
        if is_related:
            raise Error(
                f"the response to another request ({response_id}) arrived on this connection: two processes share it, "
                "or a proxy mixed up responses. Make the client after the fork. The request may have been processed",
                request_id=self.id,
            )

    def is_success(self, status: int) -> bool:
        """Return whether a status is a result, not an error."""
        return 200 <= status < 300 or status in self.expected

    def answer(self, reply: Reply) -> T:
        """Parse the reply to this call, and return the result.

        Raises:
            Refused: the service refused the request, or the response is not softkv's.
        """
        if not self.is_success(reply.status):
            raise parse_refusal(reply)
        try:
            return self.parse(reply)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise foreign_response_error(reply) from error

    def __iter__(self) -> Plan[T]:
        """Run the call as a plan of one step, so that a longer plan can use `yield from call`."""
        answer: T = yield self
        return answer


# Several calls, each built from earlier results: yields a call, receives its result, returns the final result.
Plan: TypeAlias = Generator[Call[Any], Any, T]


class Page(Record, Generic[T]):
    """One page of a list, the cursor of the next page, and warnings about the filter.

    The cursor of the last page is None.
    """

    items: list[T]
    next_cursor: str | None
    warnings: Sequence[str] = ()


class Paging(Record, Generic[T]):
    """The calls that fetch a list in pages.

    Attributes:
        ask: builds the call for a page from its cursor and the largest number of items.
        page_size: the number of items per page.
        count: the call that returns the number of items, or None if the service has no such call.
    """

    ask: Callable[[str | None, int], Call[Page[T]]]
    page_size: int
    count: Call[int] | None = None

    def _post_init(self) -> None:
        """Check that a page has items: the service takes 0 for a page without any, which would end the list."""
        if self.page_size == 0:
            raise invalid_value_at("/limit", "wanted a number from 1 on, got 0")


class ServiceCache:
    """A cache of facts about the service that the client has already fetched.

    Attributes:
        limits: the limits of `GET /v1`, by name; None until one is needed.
        widths: the width of the keys, by the collection's name.
    """

    def __init__(self) -> None:
        self.limits: Mapping[str, int] | None = None
        self.widths: dict[str, int] = {}


class CollectionRef(Record):
    """The name of a collection, the paths of its calls and the client's cache.

    Raises:
        Invalid: the name is not a valid collection name.
    """

    name: str
    cache: ServiceCache

    def _post_init(self) -> None:
        """Check that the name is a valid collection name."""
        require_collection_name(self.name)

    @property
    def path(self) -> str:
        """The URL path of the collection."""
        return f"/v1/collections/{self.name}"

    @property
    def documents(self) -> str:
        """The URL path of the collection's documents."""
        return f"{self.path}/documents"

    def document(self, document_id: str) -> str:
        """Return the URL path of one document."""
        return f"{self.documents}/{quote(document_id, safe='')}"


_FIRST_DELAY, _MAX_DELAY = 0.25, 8.0


def _draw() -> float:
    return random.random()  # `random.random` itself is pickled with its state, and its copies draw the same numbers


class RetryPolicy(Record):
    """A rule for whether and when a failed call is sent again.

    A refusal that the service marks as temporary changed nothing, so any call is repeated. If the connection failed, a
    call is repeated only if it is idempotent or was not sent. A call that ran out of time is not repeated, because the
    timeout was its limit.

    Attributes:
        retries: the largest number of repetitions.
        max_delay: the longest wait in seconds. If the service asks for a longer one, its refusal is raised with
            `retry_after`.
        jitter: a random number from 0 to 1, so that many clients do not retry at the same moment.
    """

    retries: int = 2
    max_delay: float = 60.0
    jitter: Callable[[], float] = _draw

    def delay(self, call: Call[Any], error: Error, attempts: int) -> float | None:
        """Return the seconds to wait before the call is repeated; None if the error must be raised.

        Args:
            attempts: the number of attempts so far.
        """
        if attempts > self.retries or not _is_retryable(call, error):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= self.max_delay else None
        seconds: float = min(_FIRST_DELAY * 2 ** (attempts - 1), _MAX_DELAY)
        return seconds * (0.5 + 0.5 * self.jitter())


def _is_retryable(call: Call[Any], error: Error) -> bool:
    """Return whether a call may be repeated after this error."""
    if isinstance(error, Refused):
        return error.again and (call.repeatable or error.code is not None)
    if isinstance(error, Unreachable) and not error.sent:
        return True
    return call.repeatable and isinstance(error, Unreachable) and not isinstance(error, TimedOut)
