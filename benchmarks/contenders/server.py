"""A server in a process of its own, and what the system says of it and of those that it started."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

SECONDS_TO_STOP = 60
NOT_ROOT = "nobody"  # the user for programs that refuse to run as root


class Server:
    """A command that serves until it is stopped."""

    def __init__(self, command: Sequence[str | Path], log: Path, user: str | None = None, **environment: str) -> None:
        self._command, self._log, self._user = command, log, user
        self._environment = os.environ | environment

    def __enter__(self) -> Server:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=self._environment, **as_user(self._user)
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(SECONDS_TO_STOP)

    @property
    def said(self) -> str:
        """The end of what it printed."""
        return self._log.read_text(errors="replace")[-2000:]


def as_user(name: str | None) -> dict[str, object]:
    """Return the arguments of `subprocess` to run a command as that user; None for the current user."""
    if name is None:
        return {}
    user = pwd.getpwnam(name)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def family(pid: int) -> list[int]:
    """The process and all that it started, and so on."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    pids = [pid]
    for parent in pids:
        pids += [child for child, of in parents.items() if of == parent]
    return pids


def memory(pid: int) -> float:
    """MiB that a process and those it started hold, what they share counted once (PSS)."""
    total = 0
    for process in family(pid):
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += int(next(line for line in lines if line.startswith("Pss:")).split()[1])
    return total / 1024


def processor_seconds(pid: int) -> float:
    """Return the processor seconds of a process and its children, of those that ended, too."""
    ticks = 0
    for process in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # utime and stime, and those of children that were waited for
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_until_idle(pid: int, seconds: float = 1800) -> float:
    """Until it does nothing any more behind the scenes: building an index, compiling → for how long it did.

    Raises:
        TimeoutError: it was still at work after that time.
    """
    started, before = time.monotonic(), processor_seconds(pid)
    while (waited := time.monotonic() - started) < seconds:
        time.sleep(1)
        now = processor_seconds(pid)
        if now - before < 0.05:
            return waited
        before = now
    raise TimeoutError(f"the server was still at work after {seconds:.0f} s")
