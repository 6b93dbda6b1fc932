"""File descriptors: as many as the system lets a process have, and what is done when there are none."""

from __future__ import annotations

import asyncio
import errno
import resource
import time
from typing import Any

import structlog

log = structlog.get_logger("softkv")

MOST = 65_536
"""More than this is not asked for: some systems allow a billion, and programs count up to their limit."""
NONE_LEFT = (errno.EMFILE, errno.ENFILE)
SAID_EVERY_SECONDS = 10.0


def raised() -> int:
    """Let this process have as many as its hard limit says → how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if wanted > soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def connections(wanted: int, descriptors: int) -> int:
    """How many connections there may be: half of the descriptors are for files, and for what is about to close."""
    if wanted > descriptors // 2:
        log.warning("few file descriptors", descriptors=descriptors, connections=descriptors // 2, wanted=wanted)
    return max(1, min(wanted, descriptors // 2))


class Complaints:
    """What an event loop cannot give to anybody: said as ever, but for a lack of descriptors, which is said shortly."""

    def __init__(self) -> None:
        self._said = -SAID_EVERY_SECONDS

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """As `loop.set_exception_handler` wants it."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in NONE_LEFT):
            loop.default_exception_handler(context)
        elif time.monotonic() - self._said >= SAID_EVERY_SECONDS:
            self._said = time.monotonic()
            log.error("connections are not accepted", reason=str(error))
