"""The client, waited for or awaited: one service, its collections, and what it does without one."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Self

import httpx2

from softkv.answers.info import Readiness
from softkv.calls import arrays, asking, backups, service
from softkv.calls.place import Known, Place
from softkv.calls.teaching import lab, rooms
from softkv.collection import AsyncCollection, Collection
from softkv.errors import TimedOut, Unavailable
from softkv.methods import async_paged, awaited, blocking, paged
from softkv.retrying import Retrying
from softkv.sending import AsyncSender, Options, Sender, adjusted, http_options

if TYPE_CHECKING:
    from softkv.local import Host

_READY_SECONDS, _LOOK_SECONDS = 900.0, 0.1
_LATER = ("machine code", "first answers")  # what makes answers faster, and no others


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
        self._sender = Sender(http, Options(timeout, Retrying(retries)))
        self._at = Known()
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

        host, own = local.host(path, options)
        client = cls(local.URL, key=local.NO_KEY, transport=local.Transport(host), **own)
        client._host = host
        try:
            host.start()
            client.wait_until_ready(besides=_LATER)
        except BaseException:
            client.close()
            raise
        return client

    def collection(self, name: str) -> Collection:
        """A collection by its name; whether it is there is not asked.

        Raises:
            Invalid: no collection can be called so.
        """
        return Collection(self._sender, Place(name, self._at))

    collections = paged(service.collections)
    info = blocking(service.info)
    access = blocking(service.access)
    models = blocking(service.models)
    model = blocking(service.model)
    alive = blocking(service.alive)
    ready = blocking(service.ready)
    metrics = blocking(service.metrics)
    backup = blocking(backups.backup)

    encode = blocking(arrays.encode)
    trace = blocking(arrays.trace)
    attend = blocking(arrays.attend)
    embed = blocking(arrays.embed)
    compare = blocking(asking.compare_rows)

    open_room = blocking(rooms.open_room)
    room = blocking(rooms.room)
    close_room = blocking(rooms.close_room)
    put_room_row = blocking(rooms.put_row)
    remove_room_row = blocking(rooms.remove_row)
    remove_room_rows = blocking(rooms.remove_rows)
    ask_room = blocking(rooms.ask)
    guess = blocking(rooms.guess)
    reveal = blocking(rooms.reveal)
    hear_room = blocking(rooms.hear_room)

    train = blocking(lab.train)
    decode = blocking(lab.decode)
    lab = blocking(lab.lab)

    def wait_until_ready(self, seconds: float = _READY_SECONDS, *, besides: tuple[str, ...] = ()) -> Readiness:
        """Wait until everything is loaded.

        Args:
            seconds: how long at most.
            besides: what may load on, by how it begins.

        Raises:
            Unavailable: something could not be loaded, or is damaged.
            TimedOut: it still loads.
        """
        until = time.monotonic() + seconds
        while (wait := _waiting(found := self.ready(), until, besides)) > 0:
            time.sleep(wait)
        return found

    def with_options(self, *, timeout: float | None = None, retries: int | None = None) -> Self:
        """A client with other options over the same connections, which are closed with this one."""
        other = type(self).__new__(type(self))
        other._sender = self._sender.with_options(adjusted(self._sender.options, timeout, retries))
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
        self._sender = AsyncSender(http, Options(timeout, Retrying(retries)))
        self._at = Known()
        self._host: Host | None = None

    @classmethod
    def local(cls, path: str | os.PathLike[str] | None = None, **options: Any) -> Self:
        """The service in this process, as `Client.local`; it starts with `async with`."""
        from softkv import local

        host, own = local.host(path, options)
        client = cls(local.URL, key=local.NO_KEY, transport=local.AsyncTransport(host), **own)
        client._host = host
        return client

    def collection(self, name: str) -> AsyncCollection:
        """A collection by its name; whether it is there is not asked.

        Raises:
            Invalid: no collection can be called so.
        """
        return AsyncCollection(self._sender, Place(name, self._at))

    collections = async_paged(service.collections)
    info = awaited(service.info)
    access = awaited(service.access)
    models = awaited(service.models)
    model = awaited(service.model)
    alive = awaited(service.alive)
    ready = awaited(service.ready)
    metrics = awaited(service.metrics)
    backup = awaited(backups.backup)

    encode = awaited(arrays.encode)
    trace = awaited(arrays.trace)
    attend = awaited(arrays.attend)
    embed = awaited(arrays.embed)
    compare = awaited(asking.compare_rows)

    open_room = awaited(rooms.open_room)
    room = awaited(rooms.room)
    close_room = awaited(rooms.close_room)
    put_room_row = awaited(rooms.put_row)
    remove_room_row = awaited(rooms.remove_row)
    remove_room_rows = awaited(rooms.remove_rows)
    ask_room = awaited(rooms.ask)
    guess = awaited(rooms.guess)
    reveal = awaited(rooms.reveal)
    hear_room = awaited(rooms.hear_room)

    train = awaited(lab.train)
    decode = awaited(lab.decode)
    lab = awaited(lab.lab)

    async def wait_until_ready(self, seconds: float = _READY_SECONDS, *, besides: tuple[str, ...] = ()) -> Readiness:
        """Wait until everything is loaded; as `Client.wait_until_ready`."""
        until = time.monotonic() + seconds
        while (wait := _waiting(found := await self.ready(), until, besides)) > 0:
            await self._sender.pause(wait)
        return found

    def with_options(self, *, timeout: float | None = None, retries: int | None = None) -> Self:
        """A client with other options over the same connections, which are closed with this one."""
        other = type(self).__new__(type(self))
        other._sender = self._sender.with_options(adjusted(self._sender.options, timeout, retries))
        other._at, other._host = self._at, None
        return other

    async def close(self) -> None:
        """Close its connections; a service in this process ends."""
        await self._sender.http.aclose()

    async def __aenter__(self) -> Self:
        if self._host is not None:
            try:
                await self._host.begin()
                await self.wait_until_ready(besides=_LATER)
            except BaseException:
                await self.close()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._sender.http.base_url}>"


def _waiting(found: Readiness, until: float, besides: tuple[str, ...]) -> float:
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
    return _LOOK_SECONDS
