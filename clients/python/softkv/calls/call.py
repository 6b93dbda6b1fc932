"""A call as what it sends and how its answer is read, without the sending: a `Client` and an `AsyncClient` do that."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeAlias, TypeVar

from softkv.problems import foreign, refusal
from softkv.record import Record
from softkv.reply import Reply

T = TypeVar("T")
JSON_TYPE = "application/json"
NDJSON_TYPE = "application/x-ndjson"
# A question takes moments; a write is acknowledged when its texts are encoded and on disk.
QUESTION_SECONDS = 60.0
WRITE_SECONDS = 600.0


def new_id() -> str:
    """A name that no other request has."""
    return os.urandom(16).hex()


def nothing(_: Reply) -> None:
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
    timeout: float = QUESTION_SECONDS
    expected: tuple[int, ...] = ()
    take: Callable[[bytes], object] | None = None
    more: tuple[tuple[str, str], ...] = ()
    id: str = ""

    def _made(self) -> None:
        self.__dict__["id"] = self.id or new_id()

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
            raise refusal(reply)
        try:
            return self.parse(reply)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise foreign(reply) from error

    def __iter__(self) -> Plan[T]:
        """The call as a plan of one: `answer = yield from call` within a longer one."""
        answer: T = yield self
        return answer


# Calls that follow from each other's answers: yields each, is sent its result, and returns its own.
Plan: TypeAlias = Generator[Call[Any], Any, T]
