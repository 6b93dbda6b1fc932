"""A service in this process: its application runs in a thread, and is called without a network."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # registers its shutdown on import; functions registered later run first
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, suppress
from typing import Any, Protocol
from weakref import WeakSet, finalize

import httpx2

from softkv.errors import Error
from softkv.problems import invalid_value

URL = "http://localhost"
_running_hosts: WeakSet[Host] = WeakSet()
_CLIENT_OPTIONS = ("timeout", "retries", "connections")
# Code in this process may read and write everything, and settings of a listening service do not apply.
ENTRY_POINTS = "softkv.local"
"""The group of entry points under which an installed service registers its `LocalService`."""
_LOCAL_SETTINGS = {"host": "127.0.0.1", "api_keys": (), "read_keys": (), "allow_anonymous": "write", "demo": ()}


class LocalService(Protocol):
    """The interface of a service that a program can run in its own process.

    The class is called with the settings, and raises ValueError if they are invalid.

    Attributes:
        app: the ASGI application.
        startup_errors: the exceptions of `lifespan` whose messages are for the caller.
    """

    app: Any
    startup_errors: tuple[type[Exception], ...]

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """Return the context in which the application can be called."""
        ...


class Host:
    """A service's application in a thread with its own event loop.

    Args:
        settings: the settings of the service.
        directory: a temporary data directory, deleted with the host; None for a permanent one.
    """

    def __init__(self, settings: Mapping[str, Any], directory: str | None) -> None:
        self._settings = settings
        self._removed = None if directory is None else finalize(self, _remove_directory, directory)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="softkv", daemon=True)
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended = asyncio.Event()
        self._closing = False
        self._under_way: set[concurrent.futures.Future[httpx2.Response]] = set()
        self._transport: httpx2.ASGITransport | None = None

    def start(self) -> None:
        """Open the store, and begin to answer calls.

        Raises:
            ImportError: the service is not installed.
            Invalid: the service rejects the settings.
            Error: the data directory cannot be used; the message gives the reason.
        """
        self._thread.start()
        if not _running_hosts:
            _call_before_threads_end(_stop_running_hosts)
        _running_hosts.add(self)
        self._started.result()

    async def start_async(self) -> None:
        """Open the store and begin to answer calls, as `start` does, without blocking the event loop."""
        await asyncio.to_thread(self.start)

    def stop(self) -> None:
        """Finish the running calls, stop the service and release the directory."""
        self._closing = True
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop is closed because the service has ended by itself
                self._loop.call_soon_threadsafe(self._ended.set)
            self._thread.join()
        _running_hosts.discard(self)
        if self._removed is not None:
            self._removed()

    def detach(self) -> None:
        """Give up this host in a forked process, where its thread does not run.

        Service and directory belong to the parent process.
        """
        self._closing = True
        if self._removed is not None:
            self._removed.detach()

    def submit(self, request: httpx2.Request) -> concurrent.futures.Future[httpx2.Response]:
        """Submit a request whose body has been read; return the future of its response."""
        if self._closing or not self._thread.is_alive():
            raise httpx2.ConnectError("this local service has ended, or has not begun: use its client within `with`")
        response = asyncio.run_coroutine_threadsafe(self._respond(request), self._loop)
        self._under_way.add(response)
        response.add_done_callback(self._under_way.discard)
        return response

    async def _respond(self, request: httpx2.Request) -> httpx2.Response:
        assert self._transport is not None
        response = await self._transport.handle_async_request(request)
        content = await response.aread()
        # `content` is decompressed already.
        compressed = ("content-encoding", "content-length") if "content-encoding" in response.headers else ()
        headers = [header for header in response.headers.multi_items() if header[0].lower() not in compressed]
        return httpx2.Response(response.status_code, headers=headers, content=content)

    def _run(self) -> None:
        failure: BaseException | None = None
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # passed on to the thread that waits in start()
            failure = error
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        if failure is not None and self._started.done():
            raise failure
        if failure is not None:
            self._started.set_exception(failure)

    async def _serve(self) -> None:
        service = create_service(self._settings)
        self._transport = httpx2.ASGITransport(service.app, raise_app_exceptions=False)
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(service.lifespan())
            except service.startup_errors as error:
                raise Error(str(error)) from error
            self._started.set_result(None)
            await self._ended.wait()
            while running := [asyncio.wrap_future(response) for response in list(self._under_way)]:
                await asyncio.wait(running)


class Transport(httpx2.BaseTransport):
    """An HTTP transport by which a blocking client calls a service in the same process."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request to the service, and return its response."""
        request.read()
        return self._host.submit(request).result()

    def close(self) -> None:
        """Stop the service."""
        self._host.stop()


class AsyncTransport(httpx2.AsyncBaseTransport):
    """An HTTP transport by which an asynchronous client calls a service in the same process."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request to the service, and return its response."""
        await request.aread()
        return await asyncio.wrap_future(self._host.submit(request))

    async def aclose(self) -> None:
        """Stop the service."""
        await asyncio.to_thread(self._host.stop)


def _remove_directory(directory: str) -> None:
    """Delete a temporary directory, unless it is gone already."""
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)


def _stop_running_hosts() -> None:
    """Stop all services that the program has not closed itself, when it ends."""
    for host in list(_running_hosts):
        host.stop()


def _abandon_running_hosts() -> None:
    """Give up all hosts in a newly forked process; the services stay with the parent process."""
    for host in list(_running_hosts):
        host.detach()
    _running_hosts.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_running_hosts)


def _call_before_threads_end(call: Callable[[], None]) -> None:
    """Register a function to be called at the end of the interpreter, while threads still accept work.

    Functions of `atexit` run later, when the service can no longer close its store. concurrent.futures registers its
    own shutdown with `threading` in the same way.
    """
    getattr(threading, "_register_atexit", atexit.register)(call)


def create_host(path: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> tuple[Host, dict[str, Any]]:
    """Return a host that is not started, and the options that belong to the client."""
    client_options = {name: option for name, option in options.items() if name in _CLIENT_OPTIONS}
    settings = {**_LOCAL_SETTINGS, **{name: option for name, option in options.items() if name not in _CLIENT_OPTIONS}}
    if settings.get("encoder", "") is None:
        settings["encoder"] = "none"
    directory = tempfile.mkdtemp(prefix="softkv-") if path is None else None
    settings["data_dir"] = path if directory is None else directory
    return Host(settings, directory), client_options


def create_service(settings: Mapping[str, Any]) -> LocalService:
    """Create the service. It logs warnings and errors, but no line per request.

    Raises:
        ImportError: the service is not installed.
        Invalid: the service rejects the settings.
    """
    with _preserve_logging():
        service_class = _load_service_class()
        try:
            return service_class(settings)
        except ValueError as error:
            raise invalid_value(
                "", f"the service does not take these settings: {_validation_summary(error)}"
            ) from error


def _load_service_class() -> Callable[[Mapping[str, Any]], LocalService]:
    """Return the class of the installed service, which its entry point names.

    Raises:
        ImportError: no service is installed.
    """
    from importlib.metadata import entry_points

    for entry_point in entry_points(group=ENTRY_POINTS):
        service_class: Callable[[Mapping[str, Any]], LocalService] = entry_point.load()
        return service_class
    raise ImportError(
        "The service is not installed here. In a checkout, run `make wheels`, then `pip install dist/*.whl`; or start "
        "one with `softkv serve` and use Client(url)."
    )


def _validation_summary(error: ValueError) -> str:
    """Return a settings error of pydantic as one line."""
    flaws: list[dict[str, Any]] = getattr(error, "errors", list)()
    lines = [f"{'.'.join(map(str, flaw['loc']))}: {flaw['msg'].removeprefix('Value error, ')}" for flaw in flaws]
    return "; ".join(lines) or str(error)


@contextmanager
def _preserve_logging() -> Iterator[None]:
    """Restore the program's logging after the block, because a service that starts reconfigures logging for the whole
    process.

    The handlers that the service installed move to the logger `softkv`, which then logs warnings and errors only.
    """
    root, softkv_log = logging.getLogger(), logging.getLogger("softkv")
    loggers = [root, *map(logging.getLogger, ("uvicorn", "uvicorn.error"))]
    saved = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    try:
        yield
    finally:
        if root.handlers != saved[0][1]:
            softkv_log.handlers[:], softkv_log.propagate = root.handlers[:], False
            softkv_log.setLevel(logging.WARNING)
        for logger, handlers, level, propagate in saved:
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)
