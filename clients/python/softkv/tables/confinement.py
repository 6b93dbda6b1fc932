"""Limits on a process that reads the file of a stranger: on its memory, its time, and what it may ask of the system."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import pack
from typing import NamedTuple

NICENESS = 5

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same system calls on every processor
_NO_NEW_PRIVILEGES = 38
_READ_FILE, _READ_DIRECTORY = 4, 8
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # the number of rights over files by version of Landlock, 16 since the fifth
_THREADS = Path("/proc/self/task")
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")


class Processor(NamedTuple):
    """A processor, as a filter of system calls knows it.

    Attributes:
        audit: its number in the architecture of a call.
        seccomp: the number of the call that sets a filter.
        refused: the numbers of the calls that the filter refuses.
        own: the numbers of prlimit64 and tgkill, which the filter allows about this process alone.
        foreign: the number from which on calls are of another convention, which are refused; None without one.
    """

    audit: int
    seccomp: int
    refused: tuple[int, ...]
    own: tuple[int, int]
    foreign: int | None = None


# These have the same numbers on every processor: pidfd_getfd, io_uring_*, fchmodat2, setxattrat, removexattrat,
# file_setattr and pidfd_send_signal. io_uring is among them, because a filter does not see its operations.
_REFUSED_EVERYWHERE = (438, 425, 426, 427, 452, 463, 466, 469, 424)
_PROCESSORS = {
    "x86_64": Processor(
        audit=0xC000003E,
        seccomp=317,
        refused=(
            *_REFUSED_EVERYWHERE,
            *(41, 42, 53),  # socket, connect, socketpair, which could send to any other socket of datagrams
            *(90, 91, 268),  # chmod, fchmod, fchmodat
            *(92, 93, 94, 260),  # chown, fchown, lchown, fchownat
            *(132, 235, 261, 280),  # utime, utimes, futimesat, utimensat
            *(188, 189, 190, 197, 198, 199),  # setxattr and removexattr, also of links and of open files
            *(101, 310, 311),  # ptrace, process_vm_readv, process_vm_writev
            *(141, 142, 144, 203, 251, 314),  # setpriority, sched_set*, ioprio_set
            *(62, 129, 200, 297),  # kill, rt_sigqueueinfo, tkill, rt_tgsigqueueinfo
            *(29, 30, 31, 64, 65, 66, 67, 68, 69, 70, 71, 220),  # memory, semaphores and messages of System V
            *(240, 241),  # mq_open, mq_unlink
            *(248, 249, 250),  # add_key, request_key, keyctl
        ),
        own=(302, 234),
        foreign=0x40000000,  # x32
    ),
    "aarch64": Processor(
        audit=0xC00000B7,
        seccomp=277,
        refused=(
            *_REFUSED_EVERYWHERE,
            *(198, 203, 199),  # socket, connect, socketpair
            *(52, 53),  # fchmod, fchmodat
            *(54, 55),  # fchownat, fchown
            88,  # utimensat
            *(5, 6, 7, 14, 15, 16),  # setxattr and removexattr, also of links and of open files
            *(117, 270, 271),  # ptrace, process_vm_readv, process_vm_writev
            *(140, 118, 119, 122, 30, 274),  # setpriority, sched_set*, ioprio_set
            *(129, 138, 130, 240),  # kill, rt_sigqueueinfo, tkill, rt_tgsigqueueinfo
            *range(186, 198),  # memory, semaphores and messages of System V
            *(180, 181),  # mq_open, mq_unlink
            *(217, 218, 219),  # add_key, request_key, keyctl
        ),
        own=(261, 131),
    ),
}
_SET_FILTER, _HAS_ACTION = 1, 2
_ALL_THREADS = 1
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_LOAD, _IF_EQUAL, _IF_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # where a filter finds them


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


def require_one_thread() -> None:
    """Raise OSError if this process has other threads than this one, which Landlock would not confine."""
    if _THREADS.is_dir() and (count := len(list(_THREADS.iterdir()))) > 1:
        raise OSError(errno.EBUSY, f"it has {count} threads before it is confined, of a library or of a debugger")


def open_only(paths: Iterable[Path], *, folders: Iterable[Path] = (), listed: Path | None = None) -> None:
    """Let this thread, and those that it starts, read these files and the system's libraries alone.

    Do nothing if the system lacks Landlock.

    Args:
        paths: the files.
        folders: folders of libraries, beside those where Python and its packages are.
        listed: a folder, of which they may read the names of its files.

    Raises:
        OSError: the system has Landlock and refuses it, or this process has other threads.
    """
    version = landlock_version()
    if version < 1:
        return
    require_one_thread()
    libc = ctypes.CDLL(None, use_errno=True)
    # All rights over files; from version 4 on over TCP; from version 6 on over other processes' sockets and signals.
    handled = pack("=QQQ", (1 << _RIGHTS.get(version, 16)) - 1, 3, 3)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    packages = (path for path in sys.path if path.endswith("-packages"))
    shown = [] if listed is None else [listed]
    for path in (*paths, *folders, *shown, *map(Path, (*_LIBRARIES, sysconfig.get_path("stdlib"), *packages))):
        with suppress(OSError):  # it is not there, which the reader says
            target = os.open(path, os.O_PATH)
            allowed = (0 if path is listed else _READ_FILE) | (_READ_DIRECTORY if path.is_dir() else 0)
            libc.syscall(_ADD_RULE, ruleset, 1, pack("=Qi", allowed, target), 0)
            os.close(target)
    libc.prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    if libc.syscall(_RESTRICT_SELF, ruleset, 0):
        raise OSError(ctypes.get_errno(), "Landlock refuses to confine this process")
    os.close(ruleset)


def filters_calls() -> bool:
    """Return whether this system filters the calls of a process, by seccomp and on a processor that is known here."""
    processor = _processor()
    if processor is None:
        return False
    action = ctypes.c_uint32(_REFUSE & 0xFFFF0000)
    return bool(ctypes.CDLL(None).syscall(processor.seccomp, _HAS_ACTION, 0, ctypes.byref(action)) == 0)


def refuse_calls() -> None:
    """Refuse this process, in all its threads, sockets, connections, and changes of what files and processes are.

    These are the modes, owners, times and attributes of files, and the limits and priorities of processes. It may
    neither read nor signal another process, nor use the keys, memory and semaphores of this user.

    Do nothing if the system lacks filters of calls.

    Raises:
        OSError: the system has such filters and refuses this one.
    """
    processor = _processor()
    if processor is None or not filters_calls():
        return
    program = ctypes.create_string_buffer(_write_filter(processor))
    instructions = len(program.raw) // 8
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_NO_NEW_PRIVILEGES, *map(ctypes.c_ulong, (1, 0, 0, 0)))
    described = pack("@HP", instructions, ctypes.addressof(program))
    if libc.syscall(processor.seccomp, _SET_FILTER, _ALL_THREADS, described):
        raise OSError(ctypes.get_errno(), "seccomp refuses to confine this process")


def _processor() -> Processor | None:
    """Return the processor that runs this process by its own convention of calls; None for one that is not known."""
    is_wide = sys.platform == "linux" and sys.maxsize > 2**32
    return _PROCESSORS.get(platform.machine()) if is_wide else None


def _write_filter(processor: Processor) -> bytes:
    """Return the program of a filter, in the instructions of the kernel: eight bytes each."""
    refused, (limits, signals) = processor.refused, processor.own
    # Each jump skips this number of instructions: past those that follow it, or to one of the two results.
    foreign = () if processor.foreign is None else ((_IF_LEAST, len(refused) + 7, 0, processor.foreign),)
    of_this_process = (
        (_IF_EQUAL, 0, 2, limits),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, len(refused) + 3, len(refused) + 4, 0),
        (_IF_EQUAL, 0, 2, signals),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_IF_EQUAL, len(refused), len(refused) + 1, os.getpid()),
    )
    instructions = (
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, processor.audit),
        (_RETURN, 0, 0, _KILL),  # the numbers of another architecture mean other calls
        (_LOAD, 0, 0, _NUMBER),
        *foreign,
        *of_this_process,
        *((_IF_EQUAL, len(refused) - index, 0, number) for index, number in enumerate(refused)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    )
    return b"".join(pack("=HBBI", *instruction) for instruction in instructions)
