"""The way to the service of an object that is asked both by whoever waits and by whoever awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from softkv.answers.documents import Document
from softkv.answers.info import CollectionInfo, Written
from softkv.calls import collections, writing
from softkv.calls.call import Call, CollectionRef, Paging, Plan, ServiceCache
from softkv.calls.writing import OnConflict
from softkv.client import AsyncClient, Client
from softkv.errors import NotFound, TooLarge
from softkv.local import AsyncTransport, Transport
from softkv.methods import copy_signature
from softkv.problems import invalid_value
from softkv.sending import http_options


class Connection:
    """A blocking client, and an awaited one for each event loop, of one service.

    Args:
        url: of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000.
        key: to call it with; left out, `SOFTKV_KEY`, or none.
        client: in place of both; whoever made it closes it.
        async_client: the same, awaited, which then serves every event loop; left out, there is one for each, of the
            same service and with the same key.

    Raises:
        Invalid: that is no address.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
    ) -> None:
        self._client, self._async_client = client, async_client
        given = async_client if client is None else client
        if given is None:
            options = http_options(url, key, connections=1)
            self._way = _credentials(options["base_url"], options["headers"])
        else:
            self._way = _credentials(given._sender.http.base_url, given._sender.http.headers)
        self._given = given
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncClient] = WeakKeyDictionary()

    @property
    def url(self) -> str:
        """Where the service is."""
        return str(self._way["url"]).rstrip("/")

    @property
    def client(self) -> Client:
        """The blocking client."""
        if self._client is None:
            host = None if self._given is None else self._given._host
            transport = None if host is None else Transport(host)
            self._client = Client(**self._way, transport=transport, **self._options())
        return self._client

    @property
    def async_client(self) -> AsyncClient:
        """The awaited client of the event loop that runs; a connection is of no use to another loop."""
        if self._async_client is not None:
            return self._async_client
        loop = asyncio.get_running_loop()
        if loop not in self._of_loops:
            host = None if self._given is None else self._given._host
            transport = None if host is None else AsyncTransport(host)
            self._of_loops[loop] = AsyncClient(**self._way, transport=transport, **self._options())
        return self._of_loops[loop]

    def _options(self) -> dict[str, Any]:
        """How calls are sent by the client that was given."""
        if self._given is None:
            return {}
        options = self._given._sender.options
        return {"timeout": options.timeout, "retries": options.retrying.retries}

    def __repr__(self) -> str:
        return f"<Connection to {self.url}>"


def _credentials(url: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """The address and the key of a client."""
    return {"url": str(url), "key": headers.get("Authorization", "").removeprefix("Bearer ") or None}


P = ParamSpec("P")
T = TypeVar("T")
SourceT = TypeVar("SourceT", bound="CollectionSource")
_BATCH_ROWS = 1000
_COLLECTION_NOT_FOUND = "collection_not_found"
_COLLECTION_SETTINGS = frozenset(
    {"similarity", "dimension", "value_dimension", "encoder", "value_from", "temperature", "null"}
)


class CollectionSource:
    """A collection, and the connection over which it is asked; nothing is sent before it is asked for something.

    Args:
        name: the collection's.
        connect: makes the connection, when it is first needed.
        settings: arguments of `Collection.create`: what the collection has, or is made with where it is not there.

    Raises:
        Invalid: no collection can be called so, or have such settings.
    """

    def __init__(self, name: str, connect: Callable[[], Connection], settings: Mapping[str, Any] | None = None) -> None:
        self.place = CollectionRef(name, ServiceCache())
        self.settings = dict(settings or {})
        if unknown := sorted(self.settings.keys() - _COLLECTION_SETTINGS):
            wanted = ", ".join(sorted(_COLLECTION_SETTINGS))
            raise invalid_value("", f"settings: a collection has {wanted}, not {', '.join(unknown)}")
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
            if error.code != _COLLECTION_NOT_FOUND:
                raise
        yield from self.info()

    def write(self, documents: Iterable[Document], on_conflict: OnConflict = "replace") -> Plan[Written]:
        """Write documents of distinct ids, a thousand at a time, or fewer where these are too large together."""
        yield from self.info()
        rows, written = list(documents), Written(0, [], [])
        for begin in range(0, len(rows), _BATCH_ROWS):
            part = yield from _write_in_parts(self.place, rows[begin : begin + _BATCH_ROWS], on_conflict)
            written = _add_written(written, part)
        return written

    def _there(self) -> Plan[CollectionInfo]:
        if not self.settings:  # which a key that may only read can ask for
            try:
                return (yield from collections.info(self.place))
            except NotFound as error:
                if error.code != _COLLECTION_NOT_FOUND:
                    raise
        return (yield from collections.create(self.place, **self.settings, exist_ok=True))


def sync_store_method(build: Callable[Concatenate[SourceT, P], Plan[T]]) -> Callable[Concatenate[Any, P], T]:
    """The method of a store that waits for what a plan comes to, whose first argument is the store's `_source`."""

    def method(self: Any, /, *given: P.args, **named: P.kwargs) -> T:
        result: T = self._source.run(build(self._source, *given, **named))
        return result

    return copy_signature(build, method)


def async_store_method(
    build: Callable[Concatenate[SourceT, P], Plan[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """The method of a store that awaits it."""

    async def method(self: Any, /, *given: P.args, **named: P.kwargs) -> T:
        result: T = await self._source.run_awaited(build(self._source, *given, **named))
        return result

    return copy_signature(build, method)


def collect_pages(paging: Paging[T]) -> Plan[list[T]]:
    """All items of a list that comes in pages."""
    items: list[T] = []
    cursor: str | None = None
    while True:
        page = yield from paging.ask(cursor, paging.at_once)
        items += page.items
        if (cursor := page.next_cursor) is None:
            return items


def _write_in_parts(place: CollectionRef, rows: Sequence[Document], on_conflict: OnConflict) -> Plan[Written]:
    """Written at once, or else in halves."""
    try:
        return (yield from writing.write(place, rows, on_conflict=on_conflict))
    except TooLarge:
        if len(rows) == 1:
            raise
    half = len(rows) // 2
    first = yield from _write_in_parts(place, rows[:half], on_conflict)
    return _add_written(first, (yield from _write_in_parts(place, rows[half:], on_conflict)))


def _add_written(left: Written, right: Written) -> Written:
    return Written(left.upserted + right.upserted, [*left.truncated, *right.truncated], [*left.skipped, *right.skipped])
