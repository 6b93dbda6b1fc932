"""The version of this client, as its pyproject.toml says it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from contextlib import closing
from functools import cache, lru_cache
from typing import Any, TypeVar

import httpx2

from softkv import sending
from softkv.calls.call import Call, EventStream, Plan
from softkv.errors import Error, TimedOut, Unreachable
from softkv.problems import Reply, foreign_response_error, invalid_value
from softkv.record import Record
from softkv.retrying import RetryPolicy

VERSION = "0.1.0"

DEFAULT_URL = "http://127.0.0.1:8000"


def service_url(environment: Mapping[str, str] = os.environ) -> str:
    """The address of the service."""
    return environment.get("SOFTKV_URL") or DEFAULT_URL


def service_key(environment: Mapping[str, str] = os.environ) -> str | None:
    """The key to call it with, None for none."""
    return environment.get("SOFTKV_KEY") or None


T = TypeVar("T")
CONNECT_TIMEOUT = 5.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
# A request that never left: it may be sent again, whatever it asks.
_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class SendOptions(Record):
    """How calls are sent.

    Attributes:
        timeout: seconds without a sign of the service; None for what each call allows by itself.
    """

    timeout: float | None = None
    retrying: RetryPolicy = RetryPolicy()

    def limits(self, call: Call[Any]) -> httpx2.Timeout:
        """How long a call may take; for a place in the pool it waits as long as it must."""
        return _timeouts(call.timeout if self.timeout is None else self.timeout)


@cache
def _timeouts(seconds: float) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT), pool=None)


class Sender:
    """Sends calls and waits for them."""

    def __init__(self, http: httpx2.Client, options: SendOptions, sleep: Callable[[float], None] = time.sleep) -> None:
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
                with connection_errors(call, self.http.base_url):
                    reply = self._received(call)
                return call.answer(reply)
            except Error as error:
                if (seconds := self.options.retrying.wait(call, error, tried)) is None:
                    raise
            self._sleep(seconds)

    def _received(self, call: Call[Any]) -> Reply:
        request = _build_request(self.http, call, self.options)
        if call.take is None:
            return _to_reply(self.http.send(request))
        with closing(self.http.send(request, stream=True)) as response:
            if call.is_success(response.status_code):
                for part in response.iter_bytes():
                    _write_chunk(call, part, response)
                return _to_reply(response, b"")
            response.read()
            return _to_reply(response)

    def with_options(self, options: SendOptions) -> Sender:
        """Another sender over the same connections."""
        return Sender(self.http, options, self._sleep)


class AsyncSender:
    """Sends calls and awaits them."""

    def __init__(
        self,
        http: httpx2.AsyncClient,
        options: SendOptions,
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
                with connection_errors(call, self.http.base_url):
                    reply = await self._received(call)
                return call.answer(reply)
            except Error as error:
                if (seconds := self.options.retrying.wait(call, error, tried)) is None:
                    raise
            await self.pause(seconds)

    async def _received(self, call: Call[Any]) -> Reply:
        request = _build_request(self.http, call, self.options)
        if call.take is None:
            return _to_reply(await self.http.send(request))
        response = await self.http.send(request, stream=True)
        try:
            if call.is_success(response.status_code):
                async for part in response.aiter_bytes():
                    _write_chunk(call, part, response)
                return _to_reply(response, b"")
            await response.aread()
            return _to_reply(response)
        finally:
            await response.aclose()

    def with_options(self, options: SendOptions) -> AsyncSender:
        """Another sender over the same connections."""
        return AsyncSender(self.http, options, self._sleep)

    async def pause(self, seconds: float) -> None:
        """Wait, and let others go on."""
        if self._sleep is not None:
            await self._sleep(seconds)
            return
        import asyncio  # which a blocking client does without

        await asyncio.sleep(seconds)


class connection_errors:  # noqa: N801  # a context manager, called like the functions of contextlib
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


def adjust_options(options: SendOptions, timeout: float | None, retries: int | None) -> SendOptions:
    """Options with some of them changed."""
    if timeout is not None:
        options = options.replaced(timeout=timeout)
    return options if retries is None else options.replaced(retrying=options.retrying.replaced(retries=retries))


def http_options(url: str | None, key: str | None, connections: int) -> dict[str, Any]:
    """What both of httpx2's clients are made with; an address and a key that were not given are the environment's.

    Raises:
        Invalid: that is no address.
    """
    url, key = url or sending.service_url(), key or sending.service_key()
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL as error:
        raise invalid_value("", f"{url!r} is not a URL ({error}): give one such as http://127.0.0.1:8000") from None
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise invalid_value("", f"{url!r} is not an http address: give one such as http://127.0.0.1:8000")
    if parsed.path.rstrip("/").endswith("/v1"):
        raise invalid_value("", f"{url!r} ends in /v1, which the client adds to each call: leave it out")
    if key and not (key.isascii() and key.isprintable()):
        raise invalid_value(
            "", "the key has a line break, or another character that no header takes: see where it comes from"
        )
    return {
        "base_url": parsed,
        "headers": {"User-Agent": f"softkv-client/{VERSION}"} | ({"Authorization": f"Bearer {key}"} if key else {}),
        "limits": httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        # A proxy of the environment cannot reach this machine's own loopback address.
        "trust_env": parsed.host not in _LOOPBACK,
        # So nothing there is encrypted, and certificates, which take most of a client's making, are not read.
        "verify": parsed.scheme == "https" or parsed.host not in _LOOPBACK,
    }


def _build_request(http: httpx2.Client | httpx2.AsyncClient, call: Call[Any], options: SendOptions) -> httpx2.Request:
    if http.is_closed:
        raise Unreachable("this client is closed: make another, or ask within its `with`")
    return http.build_request(
        call.method,
        _request_url(str(http.base_url), call.path),
        params=call.query or None,
        content=call.content,
        headers=call.headers,
        timeout=options.limits(call),
    )


@lru_cache(1024)  # to take an address to pieces takes longer than all else that is done here
def _request_url(url: str, path: str) -> httpx2.URL:
    return httpx2.URL(url.rstrip("/") + path)


def _to_reply(response: httpx2.Response, content: bytes | None = None) -> Reply:
    return Reply(response.status_code, response.headers, response.content if content is None else content, response.url)


def _write_chunk(call: Call[Any], part: bytes, response: httpx2.Response) -> None:
    """Hand a part of an answer to who reads it."""
    assert call.take is not None
    try:
        call.take(part)
    except (ValueError, KeyError, TypeError) as error:
        raise foreign_response_error(_to_reply(response, b"")) from error


def run_stream(sender: Sender, stream: EventStream[T]) -> Generator[T, None, None]:
    """Each item as it comes; who stops going through them ends the call at the next event."""
    from queue import SimpleQueue
    from threading import Event, Thread

    told: SimpleQueue[Any] = SimpleQueue()
    enough = Event()

    def listen() -> None:
        try:
            sender.run(stream.hear(_event_handler(told.put, stream, enough.is_set)))
        except Exception as error:
            told.put(error)
        finally:
            told.put(None)

    Thread(target=listen, name="softkv-stream", daemon=True).start()
    try:
        while (each := told.get()) is not None:
            if isinstance(each, Exception):
                raise each
            yield each
    finally:
        enough.set()


async def run_stream_async(sender: AsyncSender, stream: EventStream[T]) -> AsyncGenerator[T, None]:
    """Each item as it comes; who stops going through them ends the call."""
    import asyncio

    told: asyncio.Queue[Any] = asyncio.Queue()
    listening = asyncio.ensure_future(sender.run(stream.hear(_event_handler(told.put_nowait, stream, lambda: False))))
    listening.add_done_callback(lambda _: told.put_nowait(None))
    try:
        while (each := await told.get()) is not None:
            yield each
        await listening
    finally:
        listening.cancel()


def _event_handler(
    put: Callable[[Any], object], stream: EventStream[T], enough: Callable[[], bool]
) -> Callable[[str, Any], bool]:
    """Who is told of events, and hands on what they become."""

    def heard(name: str, data: Any) -> bool:
        put(stream.made(name, data))
        return enough()

    return heard
