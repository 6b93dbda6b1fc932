"""Sending calls: the one place where a blocking client and an awaited one differ."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from functools import cache, lru_cache
from typing import Any, TypeVar

import httpx2

from softkv import settings
from softkv.calls.call import Call, Plan
from softkv.errors import Error, TimedOut, Unreachable
from softkv.problems import flawed, foreign
from softkv.record import Record
from softkv.reply import Reply
from softkv.retrying import Retrying
from softkv.version import VERSION

T = TypeVar("T")
CONNECT_SECONDS = 5.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# A request that never left: it may be sent again, whatever it asks.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class Options(Record):
    """How calls are sent.

    Attributes:
        timeout: seconds without a sign of the service; None for what each call allows by itself.
    """

    timeout: float | None = None
    retrying: Retrying = Retrying()

    def limits(self, call: Call[Any]) -> httpx2.Timeout:
        """How long a call may take; for a place in the pool it waits as long as it must."""
        return _limits(call.timeout if self.timeout is None else self.timeout)


@cache
def _limits(seconds: float) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS), pool=None)


class Sender:
    """Sends calls and waits for them."""

    def __init__(self, http: httpx2.Client, options: Options, sleep: Callable[[float], None] = time.sleep) -> None:
        self.http = http
        self.options = options
        self._sleep = sleep

    def run(self, steps: Call[T] | Plan[T]) -> T:
        """Send a call, or those of a plan one after another → the result."""
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
        tried = 0
        while True:
            tried += 1
            try:
                with failures(call, self.http.base_url):
                    reply = self._received(call)
                return call.answer(reply)
            except Error as error:
                if (seconds := self.options.retrying.wait(call, error, tried)) is None:
                    raise
            self._sleep(seconds)

    def _received(self, call: Call[Any]) -> Reply:
        request = _request(self.http, call, self.options)
        if call.take is None:
            return _reply(self.http.send(request))
        with closing(self.http.send(request, stream=True)) as response:
            if call.is_success(response.status_code):
                for part in response.iter_bytes():
                    _take(call, part, response)
                return _reply(response, b"")
            response.read()
            return _reply(response)

    def with_options(self, options: Options) -> Sender:
        """Another sender over the same connections."""
        return Sender(self.http, options, self._sleep)


class AsyncSender:
    """Sends calls and awaits them."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        options: Options,
        sleep: Callable[[float], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self.http = http
        self.options = options
        self._sleep = sleep

    async def run(self, steps: Call[T] | Plan[T]) -> T:
        """Send a call, or those of a plan one after another → the result."""
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
        tried = 0
        while True:
            tried += 1
            try:
                with failures(call, self.http.base_url):
                    reply = await self._received(call)
                return call.answer(reply)
            except Error as error:
                if (seconds := self.options.retrying.wait(call, error, tried)) is None:
                    raise
            await self.pause(seconds)

    async def _received(self, call: Call[Any]) -> Reply:
        request = _request(self.http, call, self.options)
        if call.take is None:
            return _reply(await self.http.send(request))
        response = await self.http.send(request, stream=True)
        try:
            if call.is_success(response.status_code):
                async for part in response.aiter_bytes():
                    _take(call, part, response)
                return _reply(response, b"")
            await response.aread()
            return _reply(response)
        finally:
            await response.aclose()

    def with_options(self, options: Options) -> AsyncSender:
        """Another sender over the same connections."""
        return AsyncSender(self.http, options, self._sleep)

    async def pause(self, seconds: float) -> None:
        """Wait, and let others go on."""
        if self._sleep is not None:
            await self._sleep(seconds)
            return
        import asyncio  # which a blocking client does without

        await asyncio.sleep(seconds)


class failures:  # noqa: N801  # a context manager, called like the functions of contextlib
    """Turns a connection's failures into errors of ours."""

    def __init__(self, call: Call[Any], url: httpx2.URL) -> None:
        self._call = call
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if not isinstance(error, httpx2.TransportError):
            return
        reason = str(error) or type(error).__name__
        if isinstance(error, httpx2.TimeoutException) and not isinstance(error, _NOT_SENT):
            failed: Unreachable = TimedOut(
                f"{self._url} did not answer in time ({reason}): allow more with timeout=, or ask for less at once",
                request_id=self._call.id,
            )
        else:
            late = isinstance(error, httpx2.TimeoutException)
            failed = (TimedOut if late else Unreachable)(
                f"no service answers at {self._url} ({reason}): start one with `softkv serve`, or give its address as "
                "url= or in SOFTKV_URL",
                request_id=self._call.id,
            )
        failed.sent = not isinstance(error, _NOT_SENT)
        raise failed from error


def adjusted(options: Options, timeout: float | None, retries: int | None) -> Options:
    """Options with some of them changed."""
    if timeout is not None:
        options = options.replaced(timeout=timeout)
    return options if retries is None else options.replaced(retrying=options.retrying.replaced(retries=retries))


def http_options(url: str | None, key: str | None, connections: int) -> dict[str, Any]:
    """What both of httpx2's clients are made with; an address and a key that were not given are the environment's.

    Raises:
        Invalid: that is no address.
    """
    url, key = url or settings.service_url(), key or settings.service_key()
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise flawed("", f"{url!r} is not a URL ({error}): give one such as http://127.0.0.1:8000") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise flawed("", f"{url!r} is not an http address: give one such as http://127.0.0.1:8000")
    if parsed.path.rstrip("/").endswith("/v1"):
        raise flawed("", f"{url!r} ends in /v1, which the client adds to each call: leave it out")
    if key and not (key.isascii() and key.isprintable()):
        raise flawed("", "the key has a line break, or another character that no header takes: see where it comes from")
    return {
        "base_url": parsed,
        "headers": {"User-Agent": f"softkv-client/{VERSION}"} | ({"Authorization": f"Bearer {key}"} if key else {}),
        "limits": httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        # A proxy of the environment cannot reach this machine's own loopback address.
        "trust_env": parsed.host not in _LOOPBACK,
        # So nothing there is encrypted, and certificates, which take most of a client's making, are not read.
        "verify": parsed.scheme == "https" or parsed.host not in _LOOPBACK,
    }


def _request(http: httpx2.Client | httpx2.AsyncClient, call: Call[Any], options: Options) -> httpx2.Request:
    if http.is_closed:
        raise Unreachable("this client is closed: make another, or ask within its `with`")
    return http.build_request(
        call.method,
        _address(str(http.base_url), call.path),
        params=call.query or None,
        content=call.content,
        headers=call.headers,
        timeout=options.limits(call),
    )


@lru_cache(1024)  # to take an address to pieces takes longer than all else that is done here
def _address(url: str, path: str) -> httpx2.URL:
    return httpx2.URL(url.rstrip("/") + path)


def _reply(response: httpx2.Response, content: bytes | None = None) -> Reply:
    return Reply(response.status_code, response.headers, response.content if content is None else content, response.url)


def _take(call: Call[Any], part: bytes, response: httpx2.Response) -> None:
    """Hand a part of an answer to who reads it."""
    assert call.take is not None
    try:
        call.take(part)
    except (ValueError, KeyError, TypeError) as error:
        raise foreign(_reply(response, b"")) from error
