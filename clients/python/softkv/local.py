"""A service in this process: its application runs in a thread, and is called without a network."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures.thread  # registers its shutdown on import; functions registered later run first
import gc
import os
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakSet, finalize

import httpx2

from softkv.errors import Error
from softkv.problems import invalid_value

URL = "http://localhost"
DEFAULT_ENCODER = "all-MiniLM-L6-v2"
_CLIENT_OPTIONS = ("timeout", "retries", "connections")
ENTRY_POINTS = "softkv.local"
"""The group of entry points under which an installed service registers its `LocalService`."""
NO_THREAD = (
    "no thread starts here, as in Pyodide, and a local service runs in one: start `softkv serve` elsewhere, and use "
    "AsyncClient(url)"
)
# Code in this process may read and write everything.
_LOCAL_SETTINGS = {"allow_anonymous": "write"}


class LocalService(Protocol):
    """The interface of a service that a program can run in its own process.

    The class is called with the settings, and raises ValueError if they are invalid. It reads no other settings.

    Attributes:
        app: the ASGI application. It is made at the first access.
        directory: the data directory, an absolute path.
        startup_errors: the exceptions of `lifespan` whose messages are for the caller.
    """

    app: Any
    directory: Path
    startup_errors: tuple[type[Exception], ...]

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """Return the context in which the application can be called."""
        ...

    def differences(self, other: Any) -> list[str]:
        """Return the names of the settings that differ from those of another service of this class."""
        ...


class Host:
    """A service's application in a thread with its own event loop. It ends when its last lease has ended.

    Args:
        service: the service.
        directory: the data directory, by which `_hosts` has this host; None for a temporary one.
        temporary: a directory to delete when the service has ended, or None.

    Attributes:
        leases: the number of leases that use this host.
        ending: whether the last lease has ended, so that no other may begin.
        dropped: a token for each lease that was garbage collected and is still counted in `leases`.
    """

    def __init__(self, service: LocalService, directory: str | None, temporary: str | None) -> None:
        self.service = service
        self._removal = None if temporary is None else finalize(self, _remove_directory, temporary)
        self.leases = 0
        self.ending = False
        self.dropped: deque[None] = deque()
        self._directory = directory
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="softkv", daemon=True)
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ended = asyncio.Event()
        self._under_way: set[concurrent.futures.Future[httpx2.Response]] = set()
        self._transport: httpx2.ASGITransport | None = None

    def add_lease(self) -> None:
        """Count one more lease, and start the thread unless it runs. The caller has `_lock`.

        Raises:
            Error: no thread starts here.
        """
        if self._thread.ident is None:
            try:
                self._thread.start()
            except RuntimeError as error:
                self._loop.close()
                if self._directory is not None:
                    del _hosts[self._directory]
                raise Error(NO_THREAD) from error
            if not _running_hosts:
                _call_before_threads_end(_stop_running_hosts)
            _running_hosts.add(self)
        self.leases += 1

    def wait_until_started(self) -> None:
        """Wait until the store is open, and calls are answered; raise the error that has prevented it."""
        self._started.result()

    def count_leases(self, ended: int = 0) -> int:
        """Return the number of leases after `ended` of them, and those that were dropped, have ended.

        Without any, the service ends. The caller has `_lock`.
        """
        self.leases -= ended
        while self.dropped:
            self.dropped.popleft()
            self.leases -= 1
        if self.leases == 0:
            self.end()
        return self.leases

    def end(self) -> None:
        """Let the service end after the running calls, without waiting for it."""
        self.ending = True
        with suppress(RuntimeError):  # the loop is closed because the service has ended by itself
            self._loop.call_soon_threadsafe(self._ended.set)

    def wait_until_ended(self) -> None:
        """Wait until the service has released its directory."""
        if self._thread.ident is not None:
            self._thread.join()

    def detach(self) -> None:
        """Give up this host in a forked process, where its thread does not run."""
        if self._removal is not None:
            self._removal.detach()

    def drop_lease(self) -> None:
        """End a lease that was garbage collected. This may run within any code of any thread, so it takes no lock."""
        self.dropped.append(None)
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_count_dropped_leases, self)

    def submit(self, request: httpx2.Request) -> concurrent.futures.Future[httpx2.Response]:
        """Submit a request whose body has been read; return the future of its response."""
        if self.ending or not self._thread.is_alive():
            raise httpx2.ConnectError("this local service has ended")
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
        except BaseException as error:  # passed on to the thread that waits in wait_until_started()
            failure = error
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
        with _lock:
            self.ending = True
            _running_hosts.discard(self)
            if self._directory is not None and _hosts.get(self._directory) is self:
                del _hosts[self._directory]
        if self._removal is not None:
            self._removal()
        if failure is not None and self._started.done():
            raise failure
        if failure is not None:
            self._started.set_exception(failure)

    async def _serve(self) -> None:
        with _collection_paused():
            self._transport = httpx2.ASGITransport(self.service.app, raise_app_exceptions=False)
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.service.lifespan())
            except self.service.startup_errors as error:
                raise Error(str(error)) from error
            self._started.set_result(None)
            await self._ended.wait()
            while running := [asyncio.wrap_future(response) for response in list(self._under_way)]:
                await asyncio.wait(running)


_lock = threading.Lock()
"""The lock on `_hosts`, `_running_hosts`, and the counts of leases."""
_hosts: dict[str, Host] = {}
"""The running services of permanent directories, by the directory without symbolic links."""
_running_hosts: WeakSet[Host] = WeakSet()


class Lease:
    """The use of a local service by a client, and by the clients that share its connections.

    Leases of the same directory use the same service. It ends with the last of them.

    Args:
        service: the service to run, unless one runs on its directory.
        temporary: whether the directory is deleted when the service has ended.
    """

    def __init__(self, service: LocalService, *, temporary: bool) -> None:
        self._service = service
        self._directory = str(service.directory)
        # Until the service starts, which then deletes it itself.
        self._removal = finalize(self, _remove_directory, self._directory) if temporary else None
        self._host: Host | None = None
        self._drop: finalize[[], Lease] | None = None
        self._forked = False
        _leases.add(self)

    def open(self) -> None:
        """Begin to use the service of the directory, and start it if it does not run.

        Raises:
            Invalid: this program runs a service on the directory with other settings.
            ImportError: the service is not installed.
            Error: the data directory cannot be used; the message gives the reason.
        """
        if self._host is not None:
            return
        host = self._host = self._take_host()
        self._drop = finalize(self, host.drop_lease)
        self._drop.atexit = False
        try:
            host.wait_until_started()
        except BaseException:
            self.close()
            raise

    async def open_async(self) -> None:
        """Begin to use the service as `open` does, without blocking the event loop."""
        try:
            opening = asyncio.get_running_loop().run_in_executor(None, self.open)
        except RuntimeError as error:
            raise Error(NO_THREAD) from error
        await opening

    def close(self) -> None:
        """End this use. After the last one, finish the running calls, stop the service and release the directory."""
        if self._forked:
            return
        if self._drop is not None and self._drop.detach() and self._host is not None:
            with _lock:
                is_last = self._host.count_leases(ended=1) == 0
            if is_last:
                self._host.wait_until_ended()
        elif self._removal is not None:
            self._removal()

    async def close_async(self) -> None:
        """End this use as `close` does, without blocking the event loop; at once if it has not begun."""
        if self._host is None:
            self.close()
        else:
            await asyncio.to_thread(self.close)

    def detach(self) -> None:
        """Give up this lease in a forked process. Service and directory belong to the parent process."""
        self._forked = True
        if self._removal is not None:
            self._removal.detach()
        if self._drop is not None:
            self._drop.detach()

    def submit(self, request: httpx2.Request) -> concurrent.futures.Future[httpx2.Response]:
        """Submit a request whose body has been read; return the future of its response."""
        if self._forked or self._host is None or self._drop is None or not self._drop.alive:
            raise httpx2.ConnectError("this local service has ended, or has not begun: use its client within `with`")
        return self._host.submit(request)

    def _take_host(self) -> Host:
        """Return the host of the directory, which has one more lease now."""
        if self._removal is not None:
            self._removal.detach()
            temporary = Host(self._service, None, self._directory)
            with _lock:
                temporary.add_lease()
            return temporary
        directory = os.path.realpath(self._directory)
        while True:
            with _lock:
                host = _hosts.get(directory)
                if host is not None and not host.ending:
                    host.count_leases()
                if host is None:
                    host = _hosts[directory] = Host(self._service, directory, None)
                elif not host.ending and (names := self._service.differences(host.service)):
                    raise invalid_value(
                        "",
                        f"this program has {self._directory} open with another value of {', '.join(names)}: give the "
                        "same, or close the other client first",
                    )
                if not host.ending:
                    host.add_lease()
                    return host
            host.wait_until_ended()


_leases: WeakSet[Lease] = WeakSet()


class Transport(httpx2.BaseTransport):
    """An HTTP transport by which a blocking client calls a service in the same process."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request to the service, and return its response."""
        request.read()
        return self._lease.submit(request).result()

    def close(self) -> None:
        """End the use of the service."""
        self._lease.close()


class AsyncTransport(httpx2.AsyncBaseTransport):
    """An HTTP transport by which an asynchronous client calls a service in the same process."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request to the service, and return its response."""
        await request.aread()
        return await asyncio.wrap_future(self._lease.submit(request))

    async def aclose(self) -> None:
        """End the use of the service."""
        await self._lease.close_async()


def _count_dropped_leases(host: Host) -> None:
    with _lock:
        if not host.ending:
            host.count_leases()


def _remove_directory(directory: str) -> None:
    """Delete a temporary directory, unless it is gone already."""
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)


def _stop_running_hosts() -> None:
    """Stop all services that the program has not closed itself, when it ends."""
    with _lock:
        hosts = list(_running_hosts)
        for host in hosts:
            host.end()
    for host in hosts:
        host.wait_until_ended()


def _abandon_running_hosts() -> None:
    """Give up all leases in a newly forked process; the services stay with the parent process."""
    global _lock
    _lock = threading.Lock()  # another thread of the parent process may hold the old one
    for lease in list(_leases):
        lease.detach()
    for host in list(_running_hosts):
        host.detach()
    _leases.clear()
    _running_hosts.clear()
    _hosts.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_running_hosts)


def _call_before_threads_end(call: Callable[[], None]) -> None:
    """Register a function to be called at the end of the interpreter, while threads still accept work.

    Functions of `atexit` run later, when the service can no longer close its store. concurrent.futures registers its
    own shutdown with `threading` in the same way.
    """
    getattr(threading, "_register_atexit", atexit.register)(call)


def create_lease(directory: str | os.PathLike[str] | None, options: Mapping[str, Any]) -> tuple[Lease, dict[str, Any]]:
    """Return a lease that is not open, and the options that belong to the client.

    All paths are absolute from now on: those that are relative begin at the working directory of this moment.

    Raises:
        ImportError: the service is not installed.
        Invalid: the service rejects the settings.
    """
    client_options = {name: option for name, option in options.items() if name in _CLIENT_OPTIONS}
    settings = {**_LOCAL_SETTINGS, **{name: option for name, option in options.items() if name not in _CLIENT_OPTIONS}}
    if settings["encoder"] is None:
        settings["encoder"] = "none"
    elif "encoders" in settings and settings["encoder"] == DEFAULT_ENCODER:
        del settings["encoder"]
    with _collection_paused():
        service_class = _load_service_class()
    settings["data_dir"] = tempfile.mkdtemp(prefix="softkv-") if directory is None else directory
    try:
        service = service_class(settings)
    except ValueError as error:
        if directory is None:
            os.rmdir(settings["data_dir"])
        raise invalid_value("", f"the service does not take these settings: {_validation_summary(error)}") from error
    return Lease(service, temporary=directory is None), client_options


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Pause garbage collection while modules are imported: they leave little to free, and collections scan them all."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:  # else `unfreeze` would take back what the program has frozen
            # All objects join the oldest generation, so that the next collection does not scan them.
            gc.freeze()
            gc.unfreeze()
        gc.enable()


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
