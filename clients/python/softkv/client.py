"""A collection, for both clients: the same words, waited for or awaited."""

from __future__ import annotations

import os
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar, cast

import httpx2

from softkv.answers.answer import Answer
from softkv.answers.info import Readiness
from softkv.calls import arrays, classroom, collections, documents, queries, service, writing
from softkv.calls.call import CollectionRef, ServiceCache
from softkv.errors import TimedOut, Unavailable
from softkv.methods import (
    Attend,
    async_method,
    async_page_method,
    async_stream_method,
    async_upload_method,
    sync_method,
    sync_page_method,
    sync_stream_method,
    sync_upload_method,
)
from softkv.retrying import RetryPolicy
from softkv.sending import AsyncSender, Sender, SendOptions, adjust_options, http_options

if TYPE_CHECKING:
    from softkv.local import Host


S = TypeVar("S", bound=Sender | AsyncSender)
_SyncAttend: TypeAlias = Attend[Answer, list[Answer]]
_AsyncAttend: TypeAlias = Attend[Coroutine[Any, Any, Answer], Coroutine[Any, Any, list[Answer]]]


class _CollectionBase(Generic[S]):
    def __init__(self, sender: S, place: CollectionRef) -> None:
        self._sender = sender
        self._at = place

    @property
    def name(self) -> str:
        """What it is called."""
        return self._at.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} at {self._sender.http.base_url}>"


class Collection(_CollectionBase[Sender]):
    """A collection by its name; nothing is sent before something is asked of it."""

    create = sync_method(collections.create)
    change = sync_method(collections.change)
    info = sync_method(collections.info)
    drop = sync_method(collections.drop)

    attend: _SyncAttend = cast("_SyncAttend", sync_method(queries.attend))
    attend_stream = sync_stream_method(queries.attend_stream)
    sweep = sync_method(queries.sweep)
    compare = sync_method(queries.compare)
    calibrate = sync_method(queries.calibrate)

    put = sync_method(documents.put)
    patch = sync_method(documents.patch)
    get = sync_method(documents.get)
    get_many = sync_method(documents.get_many)
    exists = sync_method(documents.exists)
    find = sync_page_method(documents.find)
    count = sync_method(documents.count)
    remove = sync_method(documents.remove)
    delete = sync_method(documents.delete)
    update = sync_method(documents.update)
    write = sync_method(writing.write)
    upsert = sync_upload_method(writing.upsert)

    fields = sync_method(collections.fields)
    values = sync_page_method(collections.values)


class AsyncCollection(_CollectionBase[AsyncSender]):
    """A collection by its name; nothing is sent before something is asked of it."""

    create = async_method(collections.create)
    change = async_method(collections.change)
    info = async_method(collections.info)
    drop = async_method(collections.drop)

    attend: _AsyncAttend = cast("_AsyncAttend", async_method(queries.attend))
    attend_stream = async_stream_method(queries.attend_stream)
    sweep = async_method(queries.sweep)
    compare = async_method(queries.compare)
    calibrate = async_method(queries.calibrate)

    put = async_method(documents.put)
    patch = async_method(documents.patch)
    get = async_method(documents.get)
    get_many = async_method(documents.get_many)
    exists = async_method(documents.exists)
    find = async_page_method(documents.find)
    count = async_method(documents.count)
    remove = async_method(documents.remove)
    delete = async_method(documents.delete)
    update = async_method(documents.update)
    write = async_method(writing.write)
    upsert = async_upload_method(writing.upsert)

    fields = async_method(collections.fields)
    values = async_page_method(collections.values)


_READY_TIMEOUT, _POLL_SECONDS = 900.0, 0.1
_OPTIONAL_COMPONENTS = ("machine code", "first answers")  # what makes answers faster, and no others


class Client:
    """A service, each call waited for; it may be shared among threads.

    Args:
        url: of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000.
        key: to call it with; left out, `SOFTKV_KEY`, or none.
        timeout: seconds without a sign of the service; left out, a minute for questions, ten for writes and
            `calibrate`.
        retries: how often a call is sent again at most, where that is safe.
        connections: how many there may be at once; further calls wait for one.
        transport: what sends requests in place of the network.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout: float | None = None,
        retries: int = 2,
        connections: int = 64,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        http = httpx2.Client(transport=transport, **http_options(url, key, connections))
        self._sender = Sender(http, SendOptions(timeout, RetryPolicy(retries)))
        self._at = ServiceCache()
        self._host: Host | None = None

    @classmethod
    def local(cls, path: str | os.PathLike[str] | None = None, **options: Any) -> Self:
        """The service in this process, with its data in a directory of yours; without one, in one that goes with it.

        Needs the distribution `softkv`. Nobody else has that directory until the client is closed.

        Args:
            path: the data directory.
            options: settings of the service by their names in lower case, as `encoder="none"`; and of this client.
        """
        from softkv import local

        host, own = local.create_host(path, options)
        client = cls(local.URL, key=local.NO_KEY, transport=local.Transport(host), **own)
        client._host = host
        try:
            host.start()
            client.wait_until_ready(besides=_OPTIONAL_COMPONENTS)
        except BaseException:
            client.close()
            raise
        return client

    def collection(self, name: str) -> Collection:
        """A collection by its name; whether it is there is not asked.

        Raises:
            Invalid: no collection can be called so.
        """
        return Collection(self._sender, CollectionRef(name, self._at))

    collections = sync_page_method(service.collections)
    info = sync_method(service.info)
    access = sync_method(service.access)
    models = sync_method(service.models)
    model = sync_method(service.model)
    alive = sync_method(service.alive)
    ready = sync_method(service.ready)
    metrics = sync_method(service.metrics)
    backup = sync_method(service.backup)

    encode = sync_method(arrays.encode)
    trace = sync_method(arrays.trace)
    attend = sync_method(arrays.attend)
    embed = sync_method(arrays.embed)
    compare = sync_method(queries.compare_rows)

    open_room = sync_method(classroom.open_room)
    room = sync_method(classroom.room)
    close_room = sync_method(classroom.close_room)
    put_room_row = sync_method(classroom.put_row)
    remove_room_row = sync_method(classroom.remove_row)
    remove_room_rows = sync_method(classroom.remove_rows)
    ask_room = sync_method(classroom.ask)
    guess = sync_method(classroom.guess)
    reveal = sync_method(classroom.reveal)
    hear_room = sync_method(classroom.hear_room)

    train = sync_method(classroom.train)
    decode = sync_method(classroom.decode)
    lab = sync_method(classroom.lab)

    def wait_until_ready(self, seconds: float = _READY_TIMEOUT, *, besides: tuple[str, ...] = ()) -> Readiness:
        """Wait until everything is loaded.

        Args:
            seconds: how long at most.
            besides: what may load on, by how it begins.

        Raises:
            Unavailable: something could not be loaded, or is damaged.
            TimedOut: it still loads.
        """
        until = time.monotonic() + seconds
        while (wait := _poll_delay(found := self.ready(), until, besides)) > 0:
            time.sleep(wait)
        return found

    def with_options(self, *, timeout: float | None = None, retries: int | None = None) -> Self:
        """A client with other options over the same connections, which are closed with this one."""
        other = type(self).__new__(type(self))
        other._sender = self._sender.with_options(adjust_options(self._sender.options, timeout, retries))
        other._at, other._host = self._at, self._host
        return other

    def close(self) -> None:
        """Close its connections; a service in this process ends."""
        self._sender.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._sender.http.base_url}>"


class AsyncClient:
    """A service, each call awaited; it may be shared among tasks of one event loop.

    Its arguments are those of `Client`; the transport is one that is awaited.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        timeout: float | None = None,
        retries: int = 2,
        connections: int = 64,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        http = httpx2.AsyncClient(transport=transport, **http_options(url, key, connections))
        self._sender = AsyncSender(http, SendOptions(timeout, RetryPolicy(retries)))
        self._at = ServiceCache()
        self._host: Host | None = None

    @classmethod
    def local(cls, path: str | os.PathLike[str] | None = None, **options: Any) -> Self:
        """The service in this process, as `Client.local`; it starts with `async with`."""
        from softkv import local

        host, own = local.create_host(path, options)
        client = cls(local.URL, key=local.NO_KEY, transport=local.AsyncTransport(host), **own)
        client._host = host
        return client

    def collection(self, name: str) -> AsyncCollection:
        """A collection by its name; whether it is there is not asked.

        Raises:
            Invalid: no collection can be called so.
        """
        return AsyncCollection(self._sender, CollectionRef(name, self._at))

    collections = async_page_method(service.collections)
    info = async_method(service.info)
    access = async_method(service.access)
    models = async_method(service.models)
    model = async_method(service.model)
    alive = async_method(service.alive)
    ready = async_method(service.ready)
    metrics = async_method(service.metrics)
    backup = async_method(service.backup)

    encode = async_method(arrays.encode)
    trace = async_method(arrays.trace)
    attend = async_method(arrays.attend)
    embed = async_method(arrays.embed)
    compare = async_method(queries.compare_rows)

    open_room = async_method(classroom.open_room)
    room = async_method(classroom.room)
    close_room = async_method(classroom.close_room)
    put_room_row = async_method(classroom.put_row)
    remove_room_row = async_method(classroom.remove_row)
    remove_room_rows = async_method(classroom.remove_rows)
    ask_room = async_method(classroom.ask)
    guess = async_method(classroom.guess)
    reveal = async_method(classroom.reveal)
    hear_room = async_method(classroom.hear_room)

    train = async_method(classroom.train)
    decode = async_method(classroom.decode)
    lab = async_method(classroom.lab)

    async def wait_until_ready(self, seconds: float = _READY_TIMEOUT, *, besides: tuple[str, ...] = ()) -> Readiness:
        """Wait until everything is loaded; as `Client.wait_until_ready`."""
        until = time.monotonic() + seconds
        while (wait := _poll_delay(found := await self.ready(), until, besides)) > 0:
            await self._sender.pause(wait)
        return found

    def with_options(self, *, timeout: float | None = None, retries: int | None = None) -> Self:
        """A client with other options over the same connections, which are closed with this one."""
        other = type(self).__new__(type(self))
        other._sender = self._sender.with_options(adjust_options(self._sender.options, timeout, retries))
        other._at, other._host = self._at, None
        return other

    async def close(self) -> None:
        """Close its connections; a service in this process ends."""
        await self._sender.http.aclose()

    async def __aenter__(self) -> Self:
        if self._host is not None:
            try:
                await self._host.begin()
                await self.wait_until_ready(besides=_OPTIONAL_COMPONENTS)
            except BaseException:
                await self.close()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._sender.http.base_url}>"


def _poll_delay(found: Readiness, until: float, besides: tuple[str, ...]) -> float:
    """Seconds to wait before looking again; 0 where there is nothing to wait for.

    Raises:
        Unavailable: something failed.
        TimedOut: it is too late.
    """
    if found.failed:
        raise Unavailable(f"the service does not get ready: {'; '.join(found.failed)}", status=503)
    loading = [each for each in found.loading if not each.startswith(besides)]
    if not loading:
        return 0.0
    if time.monotonic() > until:
        raise TimedOut(f"the service still loads {', '.join(loading)}: wait longer with seconds=")
    return _POLL_SECONDS
