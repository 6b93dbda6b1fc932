"""The service in this process: the same application, called without a network, in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # which asks to be called as the interpreter ends: after what asks later
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any
from weakref import WeakSet, finalize

import httpx2

from softkv.errors import Error
from softkv.problems import invalid_value

URL = "http://localhost"
NO_KEY = "local"  # so that a key for another service is not sent to this one, which wants none
_running_hosts: WeakSet[Host] = WeakSet()
_CLIENT_OPTIONS = ("timeout", "retries", "connections")
# Whoever is in this process is no stranger to it; and the settings of a service that listens say nothing here.
_LOCAL_SETTINGS = {"host": "127.0.0.1", "api_keys": (), "read_keys": (), "allow_anonymous": "write", "demo": ()}


class Host:
    """A service's application in a thread with an event loop of its own.

    Args:
        settings: of the service.
        directory: a temporary one, deleted with it.
    """

    def __init__(self, settings: Mapping[str, Any], directory: str | None) -> None:
        self._settings = settings
        self._removed = None if directory is None else finalize(self, _remove_directory, directory)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._live, name="softkv", daemon=True)
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended = asyncio.Event()
        self._closing = False
        self._under_way: set[concurrent.futures.Future[httpx2.Response]] = set()
        self._transport: httpx2.ASGITransport | None = None

    def start(self) -> None:
        """Open the store, and take calls.

        Raises:
            ImportError: the service is not installed.
            Invalid: it does not take these settings.
            Error: the data directory cannot be used; the error says why.
        """
        self._thread.start()
        if not _running_hosts:
            _call_before_threads_end(_stop_running_hosts)
        _running_hosts.add(self)
        self._started.result()

    async def begin(self) -> None:
        """Start, and let others go on meanwhile."""
        await asyncio.to_thread(self.start)

    def stop(self) -> None:
        """Finish what is under way, and give the directory back."""
        self._closing = True
        if self._thread.is_alive():
            with suppress(RuntimeError):  # its loop is closed: it has ended by itself
                self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()
        _running_hosts.discard(self)
        if self._removed is not None:
            self._removed()

    def leave(self) -> None:
        """In a process that was forked, and has no thread of it: service and directory are the other one's."""
        self._closing = True
        if self._removed is not None:
            self._removed.detach()

    def answer(self, request: httpx2.Request) -> concurrent.futures.Future[httpx2.Response]:
        """A request that has been read → what the application answers it."""
        if self._closing or not self._thread.is_alive():
            raise httpx2.ConnectError("this local service has ended, or has not begun: use its client within `with`")
        answered = asyncio.run_coroutine_threadsafe(self._answer(request), self._loop)
        self._under_way.add(answered)
        answered.add_done_callback(self._under_way.discard)
        return answered

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        assert self._transport is not None
        response = await self._transport.handle_async_request(request)
        content = await response.aread()
        # Read, it is what it was before it was compressed.
        compressed = ("content-encoding", "content-length") if "content-encoding" in response.headers else ()
        headers = [each for each in response.headers.multi_items() if each[0].lower() not in compressed]
        return httpx2.Response(response.status_code, headers=headers, content=content)

    def _live(self) -> None:
        failure: BaseException | None = None
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # whoever waits for the start has to hear of it
            failure = error
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        if failure is not None and self._started.done():
            raise failure
        if failure is not None:
            self._started.set_exception(failure)

    async def _serve(self) -> None:
        app = create_application(self._settings)
        from service.storage import StorageError

        self._transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        async with AsyncExitStack() as living:
            try:
                await living.enter_async_context(app.router.lifespan_context(app))
            except StorageError as error:
                raise Error(str(error)) from error
            self._started.set_result(None)
            await self._ended.wait()
            while under_way := [asyncio.wrap_future(each) for each in list(self._under_way)]:
                await asyncio.wait(under_way)


class Transport(httpx2.BaseTransport):
    """The way of a blocking client to a service in its process."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request."""
        request.read()
        return self._host.answer(request).result()

    def close(self) -> None:
        """End the service."""
        self._host.stop()


class AsyncTransport(httpx2.AsyncBaseTransport):
    """The way of an awaited client to a service in its process."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request."""
        await request.aread()
        return await asyncio.wrap_future(self._host.answer(request))

    async def aclose(self) -> None:
        """End the service."""
        await asyncio.to_thread(self._host.stop)


def _remove_directory(directory: str) -> None:
    """Delete a temporary directory, which somebody may have tidied away already."""
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)


def _stop_running_hosts() -> None:
    """Stop what a program has not closed before it ends."""
    for each in list(_running_hosts):
        each.stop()


def _abandon_running_hosts() -> None:
    """After a fork, in the new process."""
    for each in list(_running_hosts):
        each.leave()
    _running_hosts.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_running_hosts)


def _call_before_threads_end(call: Callable[[], None]) -> None:
    """Have this called as the interpreter ends, while threads can still be given work.

    What `atexit` calls comes after that, when the service can no longer close its store; concurrent.futures, which
    ends then, asks `threading` in the same way.
    """
    getattr(threading, "_register_atexit", atexit.register)(call)


def create_host(path: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> tuple[Host, dict[str, Any]]:
    """A service to start, and what of the options is its client's."""
    own = {name: each for name, each in options.items() if name in _CLIENT_OPTIONS}
    settings = {**_LOCAL_SETTINGS, **{name: each for name, each in options.items() if name not in _CLIENT_OPTIONS}}
    if settings.get("encoder", "") is None:
        settings["encoder"] = "none"
    directory = tempfile.mkdtemp(prefix="softkv-") if path is None else None
    settings["data_dir"] = path if directory is None else directory
    return Host(settings, directory), own


def create_application(settings: Mapping[str, Any]) -> Any:
    """The service, quiet: warnings on standard error, and no line for each request.

    Raises:
        ImportError: it is not installed.
    """
    try:
        with _preserve_logging():
            from service.app import create_app
            from service.settings import Settings

            try:
                return create_app(Settings(**settings))
            except ValueError as error:
                raise invalid_value(
                    "", f"the service does not take these settings: {_validation_summary(error)}"
                ) from error
    except ModuleNotFoundError as error:
        if error.name != "service":
            raise
        raise ImportError(
            "the service is not installed here: pip install 'softkv-client[server]', or start one elsewhere with "
            "`softkv serve` and say Client(url)"
        ) from error


def _validation_summary(error: ValueError) -> str:
    """What is wrong with settings, as pydantic says it, in a line."""
    flaws: list[dict[str, Any]] = getattr(error, "errors", list)()
    told = [f"{'.'.join(map(str, each['loc']))}: {each['msg'].removeprefix('Value error, ')}" for each in flaws]
    return "; ".join(told) or str(error)


@contextmanager
def _preserve_logging() -> Iterator[None]:
    """Keep the program's own logging as it is: the service, which is used to a process for itself, sets it up anew.

    What it has set up for all of the process becomes that of its own log, from warnings on.
    """
    root, own = logging.getLogger(), logging.getLogger("softkv")
    others = [root, *map(logging.getLogger, ("uvicorn", "uvicorn.error"))]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in others]
    try:
        yield
    finally:
        if root.handlers != before[0][1]:
            own.handlers[:], own.propagate = root.handlers[:], False
            own.setLevel(logging.WARNING)
        for each, handlers, level, propagate in before:
            each.handlers[:], each.propagate = handlers, propagate
            each.setLevel(level)
