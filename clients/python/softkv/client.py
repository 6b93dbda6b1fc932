"""`Client` and `AsyncClient`, and their collections."""

from __future__ import annotations

import os
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

import httpx2

from softkv.answers.answer import Answer
from softkv.answers.service import Readiness
from softkv.calls import arrays, collections, documents, feedback, queries, service, writing
from softkv.calls.call import CollectionRef, RetryPolicy, ServiceCache
from softkv.errors import TimedOut, Unavailable
from softkv.methods import AttendMethod, Method, Methods, S, call_method, page_method, upload_method
from softkv.sending import AsyncSender, Connections, Sender, SendOptions, adjust_options, http_options, running_loop

if TYPE_CHECKING:
    from softkv.local import Lease


_Attend: TypeAlias = AttendMethod[Answer, list[Answer]]
_AsyncAttend: TypeAlias = AttendMethod[Coroutine[Any, Any, Answer], Coroutine[Any, Any, list[Answer]]]


class _CollectionMethods(Methods[S]):
    """The name of a collection, the connection to its service, and the methods of both clients."""

    _target: CollectionRef

    def __init__(self, sender: S, reference: CollectionRef) -> None:
        self._sender = sender
        self._target = reference

    @property
    def name(self) -> str:
        """The collection's name."""
        return self._target.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} at {self._sender.connections.url}>"

    create = call_method(collections.create)
    change = call_method(collections.change)
    info = call_method(collections.info)
    drop = call_method(collections.drop)
    re_encode = call_method(collections.re_encode)
    cancel_re_encoding = call_method(collections.cancel_re_encoding)
    put_projection = call_method(collections.put_projection)
    projection = call_method(collections.projection)

    attend = cast("Method[_Attend, _AsyncAttend]", call_method(queries.attend))
    sweep = call_method(queries.sweep)
    compare = call_method(queries.compare)
    calibrate = call_method(queries.calibrate)
    give_feedback = call_method(feedback.give_feedback)
    delete_feedback = call_method(feedback.delete_feedback)
    feedback = page_method(feedback.feedback)

    put = call_method(documents.put)
    patch = call_method(documents.patch)
    get = call_method(documents.get)
    get_many = call_method(documents.get_many)
    exists = call_method(documents.exists)
    find = page_method(documents.find)
    count = call_method(documents.count)
    remove = call_method(documents.remove)
    delete = call_method(documents.delete)
    update = call_method(documents.update)
    write = call_method(writing.write)
    upsert = upload_method(writing.upsert)

    fields = call_method(collections.fields)
    values = page_method(collections.values)


class _ClientMethods(Methods[S]):
    """The connection to a service, and the methods of both clients."""

    _target: ServiceCache

    collections = page_method(service.collections)
    aliases = page_method(service.aliases)
    alias = call_method(service.alias)
    put_alias = call_method(service.put_alias)
    remove_alias = call_method(service.remove_alias)
    info = call_method(service.info)
    access = call_method(service.access)
    models = call_method(service.models)
    model = call_method(service.model)
    encoders = call_method(service.encoders)
    rerankers = call_method(service.rerankers)
    unload_encoder = call_method(service.unload_encoder)
    alive = call_method(service.alive)
    ready = call_method(service.ready)
    metrics = call_method(service.metrics)
    slow_requests = call_method(service.slow_requests)
    backup = call_method(service.backup)

    encode = call_method(arrays.encode)
    rerank = call_method(arrays.rerank)
    score = call_method(arrays.score)
    trace = call_method(arrays.trace)
    attend = call_method(arrays.attend)
    embed = call_method(arrays.embed)
    compare = call_method(queries.compare_rows)


class Collection(_CollectionMethods[Sender], sender=Sender):
    """A collection of documents, by name. Creating the object sends nothing.

    Example:
        >>> library = client.collection("library")
        >>> library.attend("pets that purr").best
    """


class AsyncCollection(_CollectionMethods[AsyncSender], sender=AsyncSender):
    """A collection of documents, by name, with awaited methods. Creating the object sends nothing.

    Example:
        >>> library = client.collection("library")
        >>> (await library.attend("pets that purr")).best
    """


_READY_TIMEOUT, _POLL_SECONDS = 900.0, 0.1
_OPTIONAL_COMPONENTS = ("first answers",)  # which only make answers faster


class Client(_ClientMethods[Sender], sender=Sender):
    """A blocking client of one service. Threads may share it, and a forked process opens its own connections.

    Args:
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        timeout: seconds without a byte from the service. If left out: one minute for queries, ten for writes and
            `calibrate`.
        retries: the largest number of repetitions of a call, where repeating is safe.
        connections: the largest number of connections; further calls wait.
        transport: an HTTP transport that sends the requests in place of the network, in this process only.

    Raises:
        Invalid: the URL or the key is invalid.

    Example:
        >>> with Client("http://127.0.0.1:8000") as client:
        ...     print(client.collection("library").attend("pets that purr").best)
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
        pool = Connections(httpx2.Client, http_options(url, key, connections), transport)
        self._sender = Sender(pool, SendOptions(timeout, RetryPolicy(retries)))
        self._target = ServiceCache()
        self._lease: Lease | None = None

    @classmethod
    def local(
        cls,
        directory: str | os.PathLike[str] | None = None,
        *,
        store: str | None = None,
        encoder: str | None = "all-MiniLM-L6-v2",
        **options: Any,
    ) -> Self:
        """Start a service in this process, and return its client.

        It needs the distribution `softkv`. No other process can use the data directory until the client is closed.
        Clients of the same directory in one program share a service, which stops with the last of them.

        No variable `SOFTKV_…` is read. A relative path begins at the working directory of this call.

        Args:
            directory: the data directory; a temporary one, deleted on close, if left out.
            store: a PostgreSQL database that has the collections, instead of the directory.
            encoder: the name or path of the model that encodes texts; None for vectors only.
            options: further settings of the service in lower case, as `max_queue=30`, and `timeout`, `retries` and
                `connections` of the client.

        Returns:
            A client whose service is ready.

        Raises:
            ImportError: the service is not installed.
            Invalid: a setting is unknown or invalid, or this program runs a service on the directory with another value
                of it.
            Error: the data directory cannot be used.

        Example:
            >>> with Client.local() as client:
            ...     client.collection("library").create()
        """
        from softkv import local

        lease, client_options = local.create_lease(directory, options | {"store": store, "encoder": encoder})
        client = cls(local.URL, key="", transport=local.Transport(lease), **client_options)
        client._lease = lease
        try:
            lease.open()
            client.wait_until_ready(besides=_OPTIONAL_COMPONENTS)
        except BaseException:
            client.close()
            raise
        return client

    def collection(self, name: str) -> Collection:
        """Return a collection by name, without checking that it exists.

        Args:
            name: the name of the collection.

        Returns:
            A `Collection`.

        Raises:
            Invalid: the name is not a valid collection name.

        Example:
            >>> client.collection("library").info().documents
        """
        return Collection(self._sender, CollectionRef(name, self._target))

    def wait_until_ready(self, seconds: float = _READY_TIMEOUT, *, besides: tuple[str, ...] = ()) -> Readiness:
        """Wait until everything is loaded.

        Args:
            seconds: the longest wait.
            besides: prefixes of components that may still be loading on return.

        Returns:
            The last `Readiness`.

        Raises:
            Unavailable: a component failed to load or is damaged.
            TimedOut: a component is still loading, or the service is stopping.

        Example:
            >>> client.wait_until_ready(60)
        """
        deadline = time.monotonic() + seconds
        while (wait := _poll_delay(readiness := self.ready(), deadline, besides)) > 0:
            time.sleep(wait)
        return readiness

    def with_options(self, *, timeout: float | None = None, retries: int | None = None) -> Self:
        """Return a client with other options that shares this client's connections.

        Closing this client closes the other one, too.

        Args:
            timeout: seconds without a byte from the service; unchanged if left out.
            retries: the largest number of repetitions of a call; unchanged if left out.

        Returns:
            A new client.

        Example:
            >>> client.with_options(timeout=5, retries=0).collection("library").attend("pets that purr")
        """
        other = type(self).__new__(type(self))
        other._sender = self._sender.with_options(adjust_options(self._sender.options, timeout, retries))
        other._target, other._lease = self._target, self._lease
        return other

    def close(self) -> None:
        """Close the connections, and stop a local service that no other client uses.

        Example:
            >>> client.close()
        """
        if (http := self._sender.connections.close()) is not None:
            http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client of {self._sender.connections.url}>"


class AsyncClient(_ClientMethods[AsyncSender], sender=AsyncSender):
    """An asynchronous client of one service. Tasks may share it; each event loop opens its own connections.

    The arguments are those of `Client`; `transport` must be asynchronous, and its connections are those of one loop.

    Example:
        >>> async with AsyncClient() as client:
        ...     print((await client.collection("library").attend("pets that purr")).best)
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
        pool = Connections(httpx2.AsyncClient, http_options(url, key, connections), transport, running_loop)
        self._sender = AsyncSender(pool, SendOptions(timeout, RetryPolicy(retries)))
        self._target = ServiceCache()
        self._lease: Lease | None = None

    @classmethod
    def local(
        cls,
        directory: str | os.PathLike[str] | None = None,
        *,
        store: str | None = None,
        encoder: str | None = "all-MiniLM-L6-v2",
        **options: Any,
    ) -> Self:
        """Return a client of a service that runs in this process. `async with` starts the service.

        Args:
            directory: the data directory; a temporary one, deleted on close, if left out.
            store: a PostgreSQL database that has the collections, instead of the directory.
            encoder: the name or path of the model that encodes texts; None for vectors only.
            options: settings of the service and options of the client, as for `Client.local`.

        Returns:
            A client whose service starts with `async with`.

        Example:
            >>> async with AsyncClient.local() as client:
            ...     await client.collection("library").create()
        """
        from softkv import local

        lease, client_options = local.create_lease(directory, options | {"store": store, "encoder": encoder})
        client = cls(local.URL, key="", transport=local.AsyncTransport(lease), **client_options)
        client._lease = lease
        return client

    def collection(self, name: str) -> AsyncCollection:
        """Return a collection by name, without checking that it exists.

        Args:
            name: the name of the collection.

        Returns:
            An `AsyncCollection`.

        Raises:
            Invalid: the name is not a valid collection name.

        Example:
            >>> (await client.collection("library").info()).documents
        """
        return AsyncCollection(self._sender, CollectionRef(name, self._target))

    async def wait_until_ready(self, seconds: float = _READY_TIMEOUT, *, besides: tuple[str, ...] = ()) -> Readiness:
        """Wait until everything is loaded.

        Args:
            seconds: the longest wait.
            besides: prefixes of components that may still be loading on return.

        Returns:
            The last `Readiness`.

        Raises:
            Unavailable: a component failed to load or is damaged.
            TimedOut: a component is still loading, or the service is stopping.

        Example:
            >>> await client.wait_until_ready(60)
        """
        deadline = time.monotonic() + seconds
        while (wait := _poll_delay(readiness := await self.ready(), deadline, besides)) > 0:
            await self._sender.pause(wait)
        return readiness

    def with_options(self, *, timeout: float | None = None, retries: int | None = None) -> Self:
        """Return a client with other options that shares this client's connections.

        Closing this client closes the other one, too.

        Args:
            timeout: seconds without a byte from the service; unchanged if left out.
            retries: the largest number of repetitions of a call; unchanged if left out.

        Returns:
            A new client.

        Example:
            >>> client.with_options(timeout=5, retries=0)
        """
        other = type(self).__new__(type(self))
        other._sender = self._sender.with_options(adjust_options(self._sender.options, timeout, retries))
        other._target, other._lease = self._target, None
        return other

    async def close(self) -> None:
        """Close the connections, and stop a local service that no other client uses.

        Example:
            >>> await client.close()
        """
        if (http := self._sender.connections.close()) is not None:
            await http.aclose()

    async def __aenter__(self) -> Self:
        if self._lease is not None:
            try:
                await self._lease.open_async()
                await self.wait_until_ready(besides=_OPTIONAL_COMPONENTS)
            except BaseException:
                await self.close()
                raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncClient of {self._sender.connections.url}>"


def _poll_delay(readiness: Readiness, deadline: float, besides: tuple[str, ...]) -> float:
    """Return the seconds until the next poll, or 0 if everything is loaded and the service is not stopping.

    Raises:
        Unavailable: a component failed to load.
        TimedOut: the deadline has passed.
    """
    if readiness.failed:
        raise Unavailable(f"the service does not get ready: {'; '.join(readiness.failed)}", status=503)
    loading = [component for component in readiness.loading if not component.startswith(besides)]
    stopping = readiness.status == "draining"
    if not (loading or stopping):
        return 0.0
    if time.monotonic() > deadline:
        state = "is stopping" if stopping else f"still loads {', '.join(loading)}"
        raise TimedOut(f"the service {state}: wait longer with seconds=")
    return _POLL_SECONDS
