"""The limit of the memory of this process: that of the machine, or of its control groups."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path, PurePosixPath

GROUPS = Path("/sys/fs/cgroup")
OF_PROCESS = Path("/proc/self/cgroup")


def memory_limit(groups: Path = GROUPS, of_process: Path = OF_PROCESS) -> int:
    """Return the bytes that this process may take at most.

    Args:
        groups: where the control groups are mounted, of version 2 or 1.
        of_process: the file in which Linux names those of this process.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else sys.maxsize]
    with suppress(OSError):
        for line in of_process.read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            root, file = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
            # A container sees its own group as the root, whatever its name outside.
            for group in {PurePosixPath("/"), PurePosixPath(name), *PurePosixPath(name).parents}:
                with suppress(OSError, ValueError):  # no such file, or "max"
                    limits.append(int((root / group.relative_to("/") / file).read_text()))
    return min(limits)
