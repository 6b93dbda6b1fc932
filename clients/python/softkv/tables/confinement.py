"""Limits on a process that reads the file of a stranger: on its memory and time, and on the files that it may open."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import pack

NICENESS = 5

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same system calls on every processor
_NO_NEW_PRIVILEGES = 38
_READ_FILE, _READ_DIRECTORY = 4, 8
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # the number of rights over files by version of Landlock, 16 since the fifth
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")


def limit(memory_bytes: int | None, seconds: int | None) -> None:
    """Limit the memory that this process may write, and its time, of the processor and of the clock.

    Windows has no such limits, and None stands for no limit.
    """
    try:
        import resource
    except ModuleNotFoundError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    if seconds is not None:
        os.nice(NICENESS)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        signal.setitimer(signal.ITIMER_REAL, seconds)  # its signal ends the process, wherever that waits


@contextmanager
def clock_stopped() -> Iterator[None]:
    """Within the block, no time of the clock passes for `limit`."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    rest, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.setitimer(signal.ITIMER_REAL, rest)


def landlock_version() -> int:
    """Return the version of Landlock, by which Linux confines a process to files; 0 or less without it."""
    if sys.platform != "linux":
        return 0
    return int(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1))


def open_only(paths: Iterable[Path], listed: Path | None = None) -> None:
    """Let this thread, and those that it starts, read these files and the system's libraries alone.

    `listed` is a folder, of which they may read the names of its files.

    Do nothing if the system lacks Landlock.

    Raises:
        OSError: the system has Landlock and refuses it.
    """
    version = landlock_version()
    if version < 1:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    # All rights over files; from version 4 on over TCP; from version 6 on over other processes' sockets and signals.
    handled = pack("=QQQ", (1 << _RIGHTS.get(version, 16)) - 1, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    packages = (path for path in sys.path if path.endswith("-packages"))
    folders = [] if listed is None else [listed]
    for path in (*paths, *folders, *map(Path, (*_LIBRARIES, sysconfig.get_path("stdlib"), *packages))):
        with suppress(OSError):  # it is not there, which the reader says
            target = os.open(path, os.O_PATH)
            allowed = (0 if path is listed else _READ_FILE) | (_READ_DIRECTORY if path.is_dir() else 0)
            libc.syscall(_ADD_RULE, ruleset, 1, pack("=Qi", allowed, target), 0)
            os.close(target)
    libc.prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    if libc.syscall(_RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "Landlock refuses to confine this process")
    os.close(ruleset)
