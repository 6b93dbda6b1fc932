"""Log lines of the service as a test reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from softkv_service.logs import log


@contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """Collect the lines that are logged in the block, of all levels, in place of writing them."""
    lines: list[dict[str, Any]] = []
    write = log.write
    log.write = lambda level, event, fields: lines.append({"event": event, "log_level": level, **fields})
    try:
        yield lines
    finally:
        log.write = write
