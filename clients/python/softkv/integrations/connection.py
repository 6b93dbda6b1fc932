"""The connection to a service and the collection that a framework's store uses, both blocking and asynchronous."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from softkv.answers.documents import Document, Refusal
from softkv.answers.info import CollectionInfo, Written
from softkv.calls import collections, writing
from softkv.calls.call import Call, CollectionRef, Paging, Plan, ServiceCache
from softkv.calls.writing import OnConflict
from softkv.client import AsyncClient, Client
from softkv.errors import Flaw, Invalid, NotFound, Refused, TooLarge
from softkv.local import AsyncTransport, Transport
from softkv.methods import copy_signature
from softkv.problems import COLLECTION_NOT_FOUND, invalid_value
from softkv.sending import http_options


class Connection:
    """A blocking and an asynchronous client of one service.

    Args:
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        client: an open client, used in place of `url` and `key`; the caller closes it.
        async_client: an open client. If left out, one of the same service with the same key is made.

    Raises:
        Invalid: the URL is invalid.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
    ) -> None:
        self._client, self._async_client = client, async_client
        template = async_client if client is None else client
        if template is None:
            options = http_options(url, key, connections=1)
            self._way = _credentials(options["base_url"], options["headers"])
        else:
            self._way = _credentials(template._sender.connections.url, template._sender.connections.headers)
        self._given = template

    @property
    def url(self) -> str:
        """The URL of the service."""
        return str(self._way["url"]).rstrip("/")

    @property
    def client(self) -> Client:
        """The blocking client of the service."""
        if self._client is None:
            lease = None if self._given is None else self._given._lease
            transport = None if lease is None else Transport(lease)
            self._client = Client(**self._way, transport=transport, **self._options())
        return self._client

    @property
    def async_client(self) -> AsyncClient:
        """The asynchronous client of the service."""
        if self._async_client is None:
            lease = None if self._given is None else self._given._lease
            transport = None if lease is None else AsyncTransport(lease)
            self._async_client = AsyncClient(**self._way, transport=transport, **self._options())
        return self._async_client

    def _options(self) -> dict[str, Any]:
        """Return the timeout and retries of the client that was passed in, for further clients."""
        if self._given is None:
            return {}
        options = self._given._sender.options
        return {"timeout": options.timeout, "retries": options.retry_policy.retries}

    def __repr__(self) -> str:
        return f"<Connection to {self.url}>"


def _credentials(url: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    """Return the URL and the API key of a client; the key is "" for a client without one."""
    return {"url": str(url), "key": headers.get("Authorization", "").removeprefix("Bearer ")}


P = ParamSpec("P")
T = TypeVar("T")
SourceT = TypeVar("SourceT", bound="CollectionSource")
RefusedT = TypeVar("RefusedT", bound=Refused)
_BATCH_ROWS = 1000
_COLLECTION_SETTINGS = frozenset(
    {
        *("similarity", "dimension", "value_dimension", "encoder", "value_from", "temperature", "null"),
        *("defaults", "expire_after", "late"),
    }
)


class CollectionSource:
    """A collection and the connection to it. Nothing is sent before the first call.

    Args:
        name: the name of the collection.
        connect: opens the connection when it is first needed.
        settings: arguments of `Collection.create`, required of the collection or used to create it.

    Raises:
        Invalid: the name or a setting is invalid.
    """

    def __init__(self, name: str, connect: Callable[[], Connection], settings: Mapping[str, Any] | None = None) -> None:
        self.place = CollectionRef(name, ServiceCache())
        self.settings = dict(settings or {})
        if unknown := sorted(self.settings.keys() - _COLLECTION_SETTINGS):
            allowed = ", ".join(sorted(_COLLECTION_SETTINGS))
            raise invalid_value("", f"settings: a collection has {allowed}, not {', '.join(unknown)}")
        self._connect = connect
        self._connection: Connection | None = None
        self._info: CollectionInfo | None = None

    @property
    def connection(self) -> Connection:
        """The connection to the service; it is opened at first use."""
        if self._connection is None:  # without a lock, which a forked process may find locked for ever
            self._connection = self._connect()
        return self._connection

    def run(self, plan: Call[T] | Plan[T]) -> T:
        """Run a plan (a sequence of calls) with the blocking client; return its result."""
        return self.connection.client._sender.run(plan)

    async def run_async(self, plan: Call[T] | Plan[T]) -> T:
        """Run a plan (a sequence of calls) with the asynchronous client; return its result."""
        return await self.connection.async_client._sender.run(plan)

    def info(self) -> Plan[CollectionInfo]:
        """Return the collection's settings at the first call; create the collection if it does not exist.

        Raises:
            Conflict: the collection exists with other settings.
        """
        if self._info is None:
            self._info = yield from self._get_or_create()
        return self._info

    def recreate(self) -> Plan[None]:
        """Drop the collection with its documents, and create it again with `settings`."""
        self._info = None
        try:
            yield from collections.drop(self.place)
        except NotFound as error:
            if error.code != COLLECTION_NOT_FOUND:
                raise
        yield from self.info()

    def write(
        self, documents: Iterable[Document | Mapping[str, Any]], on_conflict: OnConflict = "replace"
    ) -> Plan[Written]:
        """Write documents with distinct ids in batches of 1,000, or fewer if a batch is too large.

        Raises:
            Invalid: a document is invalid, so none of its batch is written. The message and `errors` name it.
            TooLarge: a document is too large, likewise.
        """
        yield from self.info()
        rows, written = list(documents), Written(0, [], [])
        for begin in range(0, len(rows), _BATCH_ROWS):
            batch_result = yield from self._write_in_parts(rows[begin : begin + _BATCH_ROWS], on_conflict)
            written = _add_written(written, batch_result)
        return written

    def describe(self, row: Document | Mapping[str, Any]) -> str:
        """Return what an error calls a document."""
        return f"document {row.id if isinstance(row, Document) else row.get('id')!r}"

    def _write_in_parts(self, rows: Sequence[Document | Mapping[str, Any]], on_conflict: OnConflict) -> Plan[Written]:
        """Write documents in one request, or in halves if they are too large."""
        try:
            return (yield from writing.write(self.place, rows, on_conflict=on_conflict))
        except Invalid as error:
            raise _name_documents(error, list(map(self.describe, rows))) from None
        except TooLarge as error:
            if len(rows) == 1:
                detail = f"{self.describe(rows[0])} was refused: {error.detail}"
                raise copy_error(error, TooLarge, detail) from None
        half = len(rows) // 2
        first = yield from self._write_in_parts(rows[:half], on_conflict)
        return _add_written(first, (yield from self._write_in_parts(rows[half:], on_conflict)))

    def _get_or_create(self) -> Plan[CollectionInfo]:
        if not self.settings:  # a read-only key suffices for this
            try:
                return (yield from collections.info(self.place))
            except NotFound as error:
                if error.code != COLLECTION_NOT_FOUND:
                    raise
        return (yield from collections.create(self.place, **self.settings, exist_ok=True))


def sync_store_method(build: Callable[Concatenate[SourceT, P], Plan[T]]) -> Callable[Concatenate[Any, P], T]:
    """Build a store's method from a function that returns a plan (a sequence of calls).

    The function's first argument is the store's `_source`.
    """

    def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._source.run(build(self._source, *args, **kwargs))
        return result

    return copy_signature(build, method)


def async_store_method(
    build: Callable[Concatenate[SourceT, P], Plan[T]],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Build a store's coroutine method from a function that returns a plan, as `sync_store_method` does."""

    async def method(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = await self._source.run_async(build(self._source, *args, **kwargs))
        return result

    return copy_signature(build, method)


def collect_pages(paging: Paging[T]) -> Plan[list[T]]:
    """Return all items of a list that is fetched in pages."""
    items: list[T] = []
    cursor: str | None = None
    while True:
        page = yield from paging.ask(cursor, paging.page_size)
        items += page.items
        if (cursor := page.next_cursor) is None:
            return items


_ROW_POINTER = re.compile(r"/documents/(\d+)(.*)", re.DOTALL)


def _name_documents(error: Invalid, names: Sequence[str]) -> Invalid:
    """Return the error of a refused batch, of which each flaw names its document.

    Args:
        names: what an error calls each document of the batch.
    """
    flaws = []
    for flaw in error.errors:
        if (match := _ROW_POINTER.fullmatch(flaw.pointer)) is None:
            return error  # a flaw of the request
        index = int(match[1])
        refusal = Refusal.of(index, None, [Flaw(match[2], flaw.detail)])
        flaws.append(Flaw(flaw.pointer, f"{names[index]} was refused: {refusal.detail}"))
    return copy_error(error, Invalid, flaws[0].detail, flaws) if flaws else error


def copy_error(
    error: Refused, kind: type[RefusedT], detail: str | None = None, flaws: Sequence[Flaw] | None = None
) -> RefusedT:
    """Return an error as one of another class, or with another message; what is left out stays."""
    copy = kind(
        error.detail if detail is None else detail,
        code=error.code,
        errors=error.errors if flaws is None else flaws,
        status=error.status,
        request_id=error.request_id,
        retry_after=error.retry_after,
    )
    copy.report = error.report
    return copy


def _add_written(left: Written, right: Written) -> Written:
    truncated = None if left.truncated is None or right.truncated is None else [*left.truncated, *right.truncated]
    return Written(left.upserted + right.upserted, truncated, [*left.skipped, *right.skipped])
