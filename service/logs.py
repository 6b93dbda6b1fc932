"""Log lines: readable on a console, or one JSON object a line; request ids in all of them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Literal, TextIO

import structlog
from structlog.typing import Processor

SECONDS_BETWEEN = 2.0


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what standard error is now: a progress bar puts itself in its place."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        pass


def progress(work: str) -> Callable[[int, int], None]:
    """What tells the log how far long work is, every few seconds."""
    reported = time.monotonic()

    def report(done: int, of: int) -> None:
        nonlocal reported
        if done == of or time.monotonic() - reported > SECONDS_BETWEEN:
            reported = time.monotonic()
            structlog.get_logger("softkv").info(work, done=done, of=of)

    return report


def configure(log_format: Literal["console", "json"]) -> None:
    """Send the service's and the server's log lines to standard error, in one form."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if log_format == "json":
        last: list[Processor] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        last = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = _StandardError()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("softkv", "uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
