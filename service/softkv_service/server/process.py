"""The process of `softkv serve`: limits of file descriptors and heaps, and an exit by a deadline after a signal."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from softkv_service.logs import log
from softkv_service.settings import heaps_configured

MAX_DESCRIPTORS = 65_536
"""The most descriptors to ask for: some systems allow a billion, and some programs count up to their limit."""
DESCRIPTOR_ERRORS = (errno.EMFILE, errno.ENFILE)
SECONDS_BETWEEN_ERRORS = 10.0

SECONDS_BETWEEN_SIGNALS = 0.01

UNIX_FAMILY = getattr(socket, "AF_UNIX", None)  # Windows has none
"""The address family of Unix sockets, or None if the system has none."""

HEAPS = 2
ARENA_MAX = -8
"""`M_ARENA_MAX` of glibc's malloc.h."""

EXIT_SECONDS = 9.0  # less than the 10 s after which docker kills
SECONDS_AFTER_DRAINING = 4.0  # the minimum for the rest of the shutdown after a long drain
LAST_SECONDS = 0.5  # for threads, after everything that matters is closed


def raise_descriptor_limit() -> int:
    """Raise the soft limit of file descriptors to the hard limit, at most to `MAX_DESCRIPTORS`; return the limit.

    Windows does not limit sockets: return `MAX_DESCRIPTORS` there.
    """
    try:
        import resource
    except ModuleNotFoundError:
        return MAX_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    if limit > soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return max(soft, limit)


def limit_connections(requested: int, descriptors: int) -> int:
    """Return the limit of connections: at most half of the descriptors, as files and closing sockets need the rest."""
    if requested > descriptors // 2:
        log.warning("few file descriptors", descriptors=descriptors, connections=descriptors // 2, requested=requested)
    return max(1, min(requested, descriptors // 2))


def remove_unix_socket(listener: socket.socket) -> None:
    """Remove the file of a listening Unix socket; do nothing for other sockets and for a closed one.

    Call this before the socket is closed. Later, the file may be that of another process.
    """
    if listener.family == UNIX_FAMILY and listener.fileno() >= 0:
        Path(listener.getsockname()).unlink(missing_ok=True)


class LoopErrorHandler:
    """The exception handler of the event loop.

    Errors about missing file descriptors are logged as one short line every 10 seconds.
    """

    def __init__(self) -> None:
        self._logged = -SECONDS_BETWEEN_ERRORS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log an error, as `loop.set_exception_handler` requires."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in DESCRIPTOR_ERRORS):
            loop.default_exception_handler(context)
        elif time.monotonic() - self._logged >= SECONDS_BETWEEN_ERRORS:
            self._logged = time.monotonic()
            log.error("cannot accept connections", reason=str(error))


def limit_heaps() -> bool:
    """Limit the heaps of the C library to 2 unless MALLOC_ARENA_MAX is set; return whether that was done.

    glibc has eight heaps per core, and free memory of one heap is of no use to another. So memory grows as threads
    come and go, though nothing is kept. With two heaps it stays constant. Threads allocate rarely besides Python's
    own small objects, so they seldom wait for each other.
    """
    # Windows opens no library without a name.
    allocator = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if allocator is None or heaps_configured():
        return False
    return bool(allocator(ARENA_MAX, HEAPS))


def _send_signal(number: int) -> None:
    """Send a signal to the main thread of this process."""
    if hasattr(signal, "pthread_kill"):  # it also ends a wait of the main thread
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


class ExitDeadline:
    """A watchdog that ends the process by a deadline after a signal, even if its threads are still computing.

    The process may end at any moment of a write, so the database must be consistent on disk at all times.

    Args:
        drain_seconds: how long the service keeps serving after a signal other than Ctrl-C.
    """

    def __init__(self, drain_seconds: float) -> None:
        self.signal: int | None = None
        self._drain_seconds = drain_seconds
        self._was_dropped = False
        self._signalled = self._deadline = 0.0
        # Started while there is memory for a thread. A signal handler may put into this queue; it must not lock.
        self._deadlines: queue.SimpleQueue[float] = queue.SimpleQueue()
        threading.Thread(target=self._watch, name="exit-deadline", daemon=True).start()

    def record_signal(self, number: int) -> None:
        """Set the deadline at the first signal; end the process immediately at the second."""
        if self.signal is not None:
            os._exit(0)
        self.signal, self._signalled = number, time.monotonic()
        self._set(self._signalled + max(EXIT_SECONDS, self._drain_seconds + SECONDS_AFTER_DRAINING))

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal that arrives before the server starts or after it has stopped.

        Callbacks of weak references, such as those of the locks of imports, and some functions of compiled extensions
        drop exceptions. Python reports those to `sys.unraisablehook`, and the signal is sent again a moment later.
        """
        if self._was_dropped:
            self._was_dropped = False
        else:
            report = sys.unraisablehook
            sys.unraisablehook = partial(self._repeat, number, report)
            self.record_signal(number)
        raise KeyboardInterrupt

    def _repeat(self, number: int, report: Callable[[Any], object], dropped: Any) -> None:
        """Send the signal again if its exception was dropped; report any other dropped exception."""
        if issubclass(dropped.exc_type, KeyboardInterrupt):
            self._was_dropped = True
            threading.Timer(SECONDS_BETWEEN_SIGNALS, _send_signal, (number,)).start()
        else:
            report(dropped)

    def seconds_since_signal(self) -> float:
        """Return the seconds since the first signal."""
        return time.monotonic() - self._signalled

    def remaining(self) -> float:
        """Return the seconds until the process ends."""
        return self._deadline - time.monotonic()

    def shorten(self) -> None:
        """If a signal has arrived, move the deadline to half a second from now, because no client waits for the threads
        any more.
        """
        if self.signal is not None:
            self._set(time.monotonic() + LAST_SECONDS)

    def _set(self, deadline: float) -> None:
        self._deadline = deadline
        self._deadlines.put(deadline)

    def _watch(self) -> None:
        deadline = self._deadlines.get()
        while (remaining := deadline - time.monotonic()) > 0:
            try:
                deadline = self._deadlines.get(timeout=remaining)
            except queue.Empty:
                break
        os._exit(0)
