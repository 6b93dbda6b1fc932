"""Log lines: readable on a console, or one JSON object a line; request ids in all of them."""

from __future__ import annotations

import logging
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

SECONDS_BETWEEN = 2.0
PLAIN = re.compile(r"[^\s=\"']+")  # what needs no quotes to be told from what stands beside it, where all is printable


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


class _Lines:
    """A logger of whole lines to standard error, each in one piece whoever writes at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def msg(self, line: str) -> None:
        """Write a line; what it says beside the text was rendered into it.

        Where there is no room for it, nobody is refused for that.
        """
        with self._lock, suppress(OSError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    log = debug = info = warn = warning = exception = error = critical = fatal = msg


_LINES = _Lines()
_OWN = logging.getLogger("softkv")
_LEVELS = logging.getLevelNamesMapping()
_PROCESSORS: list[Processor] = []  # of loggers that were used before, too


def wanted(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Leave out lines below the level of the logger `softkv`: a program around the service may not want them all."""
    if not _OWN.isEnabledFor(_LEVELS.get(method.upper(), logging.INFO)):
        raise structlog.DropEvent
    return event


def plain(_: WrappedLogger, __: str, event: EventDict) -> str:
    """A line as structlog's console has it, without its colours: a fifth of its time, which every request takes."""
    trace = event.pop("exception", None)
    line = f"{event.pop('timestamp')} [{event.pop('level'):<9}] {event.pop('event'):<30}"
    said = (f"{name}={_quoted(event[name])}" for name in sorted(event))
    line = " ".join((line, *said)).rstrip()
    return line if trace is None else f"{line}\n{trace}"


def _quoted(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() and PLAIN.fullmatch(value) else repr(value)


def escaped(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape unprintable characters in all fields but the event; a terminal would obey some, such as U+202E."""
    return {name: _visible(each) if isinstance(each, str) and name != "event" else each for name, each in event.items()}


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def configure(log_format: Literal["console", "json"]) -> None:
    """Send the service's and the server's log lines to standard error, in one form.

    The service's own go there straight, for there is one with every request; others come through `logging`.
    """
    _OWN.setLevel(logging.INFO)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [structlog.processors.format_exc_info]
    if log_format == "json":
        last.append(structlog.processors.JSONRenderer())
    elif sys.stderr.isatty():
        last = [escaped, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        last.append(plain)
    _PROCESSORS[:] = [wanted, *shared, *last]
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=lambda *_: _LINES,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
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
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
