"""Sending of calls over HTTP, blocking or asynchronous. Only in this module the two clients differ."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache, lru_cache, partial
from importlib.util import find_spec
from typing import Any, Generic, TypeVar

import httpx2

from softkv import settings
from softkv.calls.call import Call, Plan, RetryPolicy
from softkv.errors import Error, TimedOut, Unreachable
from softkv.problems import Reply, foreign_response_error, invalid_value, proxy_advice
from softkv.record import Record

T = TypeVar("T")
HttpT = TypeVar("HttpT", httpx2.Client, httpx2.AsyncClient)
CONNECT_TIMEOUT = 5.0
# The request was not sent, so any call may be repeated.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class SendOptions(Record):
    """Options for sending calls: the timeout and the retry policy.

    Attributes:
        timeout: seconds without a byte from the service; None for the default of each call.
        retry_policy: whether and when a failed call is repeated.
    """

    timeout: float | None = None
    retry_policy: RetryPolicy = RetryPolicy()

    def limits(self, call: Call[Any]) -> httpx2.Timeout:
        """Return the timeouts of a call; waiting for a free connection is not limited."""
        return _timeouts(call.timeout if self.timeout is None else self.timeout)


@cache
def _timeouts(seconds: float) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT), pool=None)


def no_loop() -> None:
    """Return None: a blocking client needs no event loop."""


class Connections(Generic[HttpT]):
    """The HTTP clients of one client: one in each process and, if asynchronous, one in each event loop.

    If two processes used one socket, each would read parts of the other's responses. A socket of an event loop cannot
    be used in another one. A pickle holds the address, the key and the options; its copy opens its own connections.

    Args:
        open_http: makes an HTTP client from `options` and `transport`.
        options: what `http_options` returns.
        transport: sends the requests in place of the network, for this process and any event loop; None for the
            network.
        running_loop: returns the running event loop, or None.
    """

    def __init__(
        self,
        open_http: Callable[..., HttpT],
        options: Mapping[str, Any],
        transport: httpx2.BaseTransport | httpx2.AsyncBaseTransport | None,
        running_loop: Callable[[], Any] = no_loop,
    ) -> None:
        self.url: httpx2.URL = options["base_url"]
        self.headers: Mapping[str, str] = options["headers"]
        self._arguments: tuple[Any, ...] = open_http, options, None, running_loop
        self._running_loop = running_loop
        self._is_closed = False
        is_proxied = transport is None and not settings.is_this_machine(self.url.host)
        self._proxy = settings.proxy_of(self.url.scheme, self.url.host) if is_proxied else ""
        _check_proxy(self.proxy, str(self.url))
        self._open: Callable[[], HttpT] = partial(_open, open_http, self._proxy, transport, options)
        # The connections of a parent process stay unused here: closing them might end its TLS sessions.
        self._clients: dict[tuple[int, Any], HttpT] = {}
        self._only = None if transport is None else (os.getpid(), None)
        if self._only is not None:
            self._clients[self._only] = self._open()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._only is not None:
            raise TypeError(
                "the local service or the transport of this client belongs to this process: make a client where you "
                "need it, such as Client(url) of a service that `softkv serve` started"
            )
        return type(self), self._arguments

    @property
    def proxy(self) -> str:
        """The environment's proxy to the service without its password; empty without one."""
        begin, separator, address = self._proxy.rpartition("://")
        return f"{begin}{separator}{address.rpartition('@')[2]}"

    @property
    def http(self) -> HttpT:
        """The HTTP client of this process and the running event loop.

        Raises:
            Unreachable: the client is closed, or its transport belongs to the parent process.
        """
        if self._is_closed:
            raise Unreachable("this client is closed: make another, or ask within its `with`")
        key = self._key()
        if (http := self._clients.get(key)) is not None:
            return http
        if self._only is not None:
            raise Unreachable(
                "the local service or the transport of this client belongs to the process that forked this one: make "
                "a client in this process"
            )
        for process, loop in list(self._clients):
            if loop is not None and loop.is_closed():
                self._clients.pop((process, loop), None)
        return self._clients.setdefault(key, self._open())

    def close(self) -> HttpT | None:
        """Refuse further calls; return the HTTP client that the caller has to close."""
        self._is_closed = True
        http = self._clients.pop(self._key(), None)
        self._clients.clear()
        return http

    def _key(self) -> tuple[int, Any]:
        return os.getpid(), None if self._only is not None else self._running_loop()


def running_loop() -> Any:
    """Return the running event loop of asyncio, or None."""
    import asyncio  # not needed by a blocking client

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Sender:
    """A sender that blocks until each call is answered."""

    def __init__(
        self,
        connections: Connections[httpx2.Client],
        options: SendOptions,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.connections = connections
        self.options = options
        self._sleep = sleep

    def run(self, steps: Call[T] | Plan[T]) -> T:
        """Send a call, or the calls of a plan one after another; return the result.

        Raises:
            Error: a call failed, and the plan did not handle it.
        """
        plan = iter(steps)
        try:
            call = next(plan)
            while True:
                try:
                    answer = self._send(call)
                except Error as error:
                    call = plan.throw(error)
                else:
                    call = plan.send(answer)
        except StopIteration as ended:
            result: T = ended.value
            return result

    def _send(self, call: Call[Any]) -> Any:
        """Send a call, and repeat it as the retry policy says."""
        http, attempts = self.connections.http, 0
        while True:
            attempts += 1
            try:
                with connection_errors(call, http.base_url, self.connections.proxy):
                    reply = self._receive(http, call)
                return call.answer(reply)
            except Error as error:
                if (seconds := self.options.retry_policy.delay(call, error, attempts)) is None:
                    raise
            call = call.bypass_caches()
            self._sleep(seconds)

    def _receive(self, http: httpx2.Client, call: Call[Any]) -> Reply:
        """Send a request once and read its response."""
        with closing(http.send(_build_request(http, call, self.options), stream=True)) as response:
            call.require_own_response(response.headers)
            if call.on_chunk is None or not call.is_success(response.status_code):
                return self._reply(response, response.read())
            with _foreign_content(self._reply(response, b"")):
                for chunk in response.iter_bytes():
                    call.on_chunk(chunk)
            return self._reply(response, b"")

    def _reply(self, response: httpx2.Response, content: bytes) -> Reply:
        return _to_reply(response, content, self.connections.proxy)

    def with_options(self, options: SendOptions) -> Sender:
        """Return a sender with other options over the same connections."""
        return Sender(self.connections, options, self._sleep)


class AsyncSender:
    """A sender that awaits the answer of each call."""

    def __init__(
        self,
        connections: Connections[httpx2.AsyncClient],
        options: SendOptions,
        sleep: Callable[[float], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self.connections = connections
        self.options = options
        self._sleep = sleep

    async def run(self, steps: Call[T] | Plan[T]) -> T:
        """Send a call, or the calls of a plan one after another; return the result.

        Raises:
            Error: a call failed, and the plan did not handle it.
        """
        plan = iter(steps)
        try:
            call = next(plan)
            while True:
                try:
                    answer = await self._send(call)
                except Error as error:
                    call = plan.throw(error)
                else:
                    call = plan.send(answer)
        except StopIteration as ended:
            result: T = ended.value
            return result

    async def _send(self, call: Call[Any]) -> Any:
        """Send a call, and repeat it as the retry policy says."""
        http, attempts = self.connections.http, 0
        while True:
            attempts += 1
            try:
                with connection_errors(call, http.base_url, self.connections.proxy):
                    reply = await self._receive(http, call)
                return call.answer(reply)
            except Error as error:
                if (seconds := self.options.retry_policy.delay(call, error, attempts)) is None:
                    raise
            call = call.bypass_caches()
            await self.pause(seconds)

    async def _receive(self, http: httpx2.AsyncClient, call: Call[Any]) -> Reply:
        """Send a request once and read its response."""
        response = await http.send(_build_request(http, call, self.options), stream=True)
        try:
            call.require_own_response(response.headers)
            if call.on_chunk is None or not call.is_success(response.status_code):
                return self._reply(response, await response.aread())
            with _foreign_content(self._reply(response, b"")):
                async for chunk in response.aiter_bytes():
                    call.on_chunk(chunk)
            return self._reply(response, b"")
        finally:
            await response.aclose()

    def _reply(self, response: httpx2.Response, content: bytes) -> Reply:
        return _to_reply(response, content, self.connections.proxy)

    def with_options(self, options: SendOptions) -> AsyncSender:
        """Return a sender with other options over the same connections."""
        return AsyncSender(self.connections, options, self._sleep)

    async def pause(self, seconds: float) -> None:
        """Sleep without blocking the event loop."""
        if self._sleep is not None:
            await self._sleep(seconds)
            return
        import asyncio  # not needed by a blocking client

        await asyncio.sleep(seconds)


class connection_errors:  # noqa: N801  # a context manager, called like the functions of contextlib
    """A context manager that converts connection errors in its block to `Unreachable` and `TimedOut`."""

    def __init__(self, call: Call[Any], url: httpx2.URL, proxy: str = "") -> None:
        self._call = call
        self._url = url
        self._proxy = proxy

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if not isinstance(error, httpx2.TransportError):
            return
        reason = str(error) or type(error).__name__
        url = self._url.copy_with(userinfo=b"")  # without a password
        route = f". The way leads through {proxy_advice(self._proxy, str(url))}" if self._proxy else ""
        if isinstance(error, httpx2.TimeoutException) and not isinstance(error, _NOT_SENT):
            unreachable: Unreachable = TimedOut(
                f"{url} did not answer in time ({reason}): allow more with timeout=, or ask for less at once{route}",
                request_id=self._call.id,
            )
        else:
            is_timeout = isinstance(error, httpx2.TimeoutException)
            unreachable = (TimedOut if is_timeout else Unreachable)(
                f"no service answers at {url} ({reason}): start one with `softkv serve`, or give its address as "
                f"url= or in SOFTKV_URL{route}",
                request_id=self._call.id,
            )
        unreachable.sent = not isinstance(error, _NOT_SENT)
        raise unreachable from error


def adjust_options(options: SendOptions, timeout: float | None, retries: int | None) -> SendOptions:
    """Return a copy of the options with another timeout or number of retries; None keeps the old one."""
    if timeout is not None:
        options = options.copy_with(timeout=timeout)
    return (
        options if retries is None else options.copy_with(retry_policy=options.retry_policy.copy_with(retries=retries))
    )


def http_options(url: str | None, key: str | None, connections: int) -> dict[str, Any]:
    """Return the arguments of httpx2's clients.

    A URL or key that is None is read from the environment. An empty key means that no key is sent.

    Raises:
        Invalid: the URL or the key is invalid.
    """
    url = settings.service_url() if url is None else url
    key = settings.service_key() if key is None else key
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise invalid_value("", f"{url!r} is not a URL ({error}): give one such as http://127.0.0.1:8000") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise invalid_value("", f"{url!r} is not an http address: give one such as http://127.0.0.1:8000")
    if parsed.path.rstrip("/").endswith("/v1"):
        raise invalid_value("", f"{url!r} ends in /v1, which the client adds to each call: leave it out")
    if key and parsed.userinfo:
        raise invalid_value(
            "", f"the URL of {parsed.host} has a user, which would be sent in place of the key: leave one of them out"
        )
    if key and not (key.isascii() and key.isprintable()):
        raise invalid_value(
            "", "the key has a line break, or another character that no header takes: see where it comes from"
        )
    return {
        "base_url": parsed,
        "headers": {"User-Agent": f"softkv-client/{settings.VERSION}"}
        | ({"Authorization": f"Bearer {key}"} if key else {}),
        "limits": httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        # Plain HTTP to loopback needs no certificates. Loading them takes most of a client's construction time.
        "verify": parsed.scheme == "https" or not settings.is_this_machine(parsed.host),
    }


def _open(
    open_http: Callable[..., HttpT],
    proxy: str,
    transport: httpx2.BaseTransport | httpx2.AsyncBaseTransport | None,
    options: Mapping[str, Any],
) -> HttpT:
    """Open an HTTP client, whose proxy is chosen here: httpx2 opens all of the environment, used or not."""
    if sys.platform == "emscripten":  # a browser opens the connections, and its transport warns of options for them
        fitting = {name: option for name, option in options.items() if name not in ("limits", "verify")}
        return open_http(**fitting, transport=transport, trust_env=False)
    verify = httpx2.create_ssl_context() if options["verify"] and transport is None else options["verify"]
    return open_http(**{**options, "verify": verify}, transport=transport, proxy=proxy or None, trust_env=False)


def _check_proxy(proxy: str, url: str) -> None:
    """Raise Invalid if the environment names a proxy that cannot be used."""
    scheme = proxy.partition("://")[0]
    if proxy and not (scheme in ("http", "https") or (scheme in ("socks5", "socks5h") and find_spec("socksio"))):
        raise invalid_value("", f"wanted a proxy with http:// or https://, got {proxy_advice(proxy, url)}")


def _build_request(http: httpx2.Client | httpx2.AsyncClient, call: Call[Any], options: SendOptions) -> httpx2.Request:
    return http.build_request(
        call.method,
        _request_url(str(http.base_url), call.path),
        params=call.query or None,
        content=call.content,
        headers=call.headers,
        timeout=options.limits(call),
    )


@lru_cache(1024)  # parsing a URL takes longer than the rest of building a request
def _request_url(url: str, path: str) -> httpx2.URL:
    return httpx2.URL(url.rstrip("/") + path)


def _to_reply(response: httpx2.Response, content: bytes, proxy: str) -> Reply:
    return Reply(response.status_code, response.headers, content, response.url, proxy)


@contextmanager
def _foreign_content(reply: Reply) -> Iterator[None]:
    """Convert the errors of content that cannot be read to `Refused`, because then the response is not softkv's."""
    try:
        yield
    except (ValueError, KeyError, TypeError) as error:
        raise foreign_response_error(reply) from error
