"""A collection as a framework's store has it: made where it is not there yet, asked by waiting or by awaiting."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar

from softkv.answers.document import Document
from softkv.answers.info import CollectionInfo, Written
from softkv.calls import collections, writing
from softkv.calls.call import Call, Plan
from softkv.calls.paging import Paging
from softkv.calls.place import Known, Place
from softkv.calls.upload import OnConflict
from softkv.errors import NotFound, TooLarge
from softkv.integrations.connection import Connection
from softkv.methods import with_words_of
from softkv.problems import flawed

P = ParamSpec("P")
T = TypeVar("T")
At = TypeVar("At", bound="Source")
_AT_ONCE = 1000
_GONE = "collection_not_found"
_OF_A_COLLECTION = frozenset(
    {"similarity", "dimension", "value_dimension", "encoder", "value_from", "temperature", "null"}
)


class Source:
    """A collection, and the connection over which it is asked; nothing is sent before it is asked for something.

    Args:
        name: the collection's.
        connect: makes the connection, when it is first needed.
        settings: arguments of `Collection.create`: what the collection has, or is made with where it is not there.

    Raises:
        Invalid: no collection can be called so, or have such settings.
    """

    def __init__(self, name: str, connect: Callable[[], Connection], settings: Mapping[str, Any] | None = None) -> None:
        self.place = Place(name, Known())
        self.settings = dict(settings or {})
        if unknown := sorted(self.settings.keys() - _OF_A_COLLECTION):
            wanted = ", ".join(sorted(_OF_A_COLLECTION))
            raise flawed("", f"settings: a collection has {wanted}, not {', '.join(unknown)}")
        self._connect = connect
        self._info: CollectionInfo | None = None

    @cached_property
    def connection(self) -> Connection:
        """Its clients."""
        return self._connect()

    def run(self, plan: Call[T] | Plan[T]) -> T:
        """Wait for what a plan comes to."""
        return self.connection.client._sender.run(plan)

    async def run_awaited(self, plan: Call[T] | Plan[T]) -> T:
        """Await what a plan comes to."""
        return await self.connection.async_client._sender.run(plan)

    def info(self) -> Plan[CollectionInfo]:
        """The collection's settings, as they were when it was first asked; made where it was not there.

        Raises:
            Conflict: it is there and its settings are others.
        """
        if self._info is None:
            self._info = yield from self._there()
        return self._info

    def made_anew(self) -> Plan[None]:
        """Drop the collection with all that it holds, and make it again as `settings` say."""
        self._info = None
        try:
            yield from collections.drop(self.place)
        except NotFound as error:
            if error.code != _GONE:
                raise
        yield from self.info()

    def write(self, documents: Iterable[Document], on_conflict: OnConflict = "replace") -> Plan[Written]:
        """Write documents of distinct ids, a thousand at a time, or fewer where these are too large together."""
        yield from self.info()
        rows, written = list(documents), Written(0, [], [])
        for begin in range(0, len(rows), _AT_ONCE):
            part = yield from _in_parts(self.place, rows[begin : begin + _AT_ONCE], on_conflict)
            written = _sum(written, part)
        return written

    def _there(self) -> Plan[CollectionInfo]:
        if not self.settings:  # which a key that may only read can ask for
            try:
                return (yield from collections.info(self.place))
            except NotFound as error:
                if error.code != _GONE:
                    raise
        return (yield from collections.create(self.place, **self.settings, exist_ok=True))


def blocking(build: Callable[Concatenate[At, P], Plan[T]]) -> Callable[Concatenate[Any, P], T]:
    """The method of a store that waits for what a plan comes to, whose first argument is the store's `_source`."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> T:
        result: T = self._source.run(build(self._source, *given, **named))
        return result

    return with_words_of(build, method)


def awaited(build: Callable[Concatenate[At, P], Plan[T]]) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method of a store that awaits it."""

    async def method(self: Any, /, *given: P.args, **named: P.kwargs) -> T:
        result: T = await self._source.run_awaited(build(self._source, *given, **named))
        return result

    return with_words_of(build, method)


def gathered(paging: Paging[T]) -> Plan[list[T]]:
    """All items of a list that comes in pages."""
    items: list[T] = []
    cursor: str | None = None
    while True:
        page = yield from paging.ask(cursor, paging.at_once)
        items += page.items
        if (cursor := page.next_cursor) is None:
            return items


def _in_parts(place: Place, rows: Sequence[Document], on_conflict: OnConflict) -> Plan[Written]:
    """Written at once, or else in halves."""
    try:
        return (yield from writing.write(place, rows, on_conflict=on_conflict))
    except TooLarge:
        if len(rows) == 1:
            raise
    half = len(rows) // 2
    first = yield from _in_parts(place, rows[:half], on_conflict)
    return _sum(first, (yield from _in_parts(place, rows[half:], on_conflict)))


def _sum(left: Written, right: Written) -> Written:
    return Written(left.upserted + right.upserted, [*left.truncated, *right.truncated], [*left.skipped, *right.skipped])
