"""Log lines: readable on a console, or one JSON object per line; all contain request ids."""

from __future__ import annotations

import logging
import re
import sys
import threading
from contextlib import suppress
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

UNQUOTED = re.compile(r"[^\s=\"']+")  # printable values that need no quotes between other fields


class _StandardError(logging.StreamHandler[TextIO]):
    """A log handler that writes to the current `sys.stderr`, which a progress bar may have replaced."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        pass


class _LineLogger:
    """A logger to standard error that writes each line in one piece, also from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def msg(self, line: str) -> None:
        """Write a log line, which contains its fields already, to standard error.

        Ignore a full disk, so that no request fails because of its log line.
        """
        with self._lock, suppress(OSError):
            sys.stderr.write(line + "\n")
            sys.stderr.flush()

    log = debug = info = warn = warning = exception = error = critical = fatal = msg


_LINE_LOGGER = _LineLogger()
_SOFTKV_LOGGER = logging.getLogger("softkv")
_LEVELS = logging.getLevelNamesMapping()
_PROCESSORS: list[Processor] = []  # shared with loggers that cached it earlier


def drop_below_level(_: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Drop log lines below the level of the logger `softkv`.

    A program that runs the service in its own process may set this level.
    """
    if not _SOFTKV_LOGGER.isEnabledFor(_LEVELS.get(method.upper(), logging.INFO)):
        raise structlog.DropEvent
    return event


def render_plain(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Render a log line as structlog's console renderer does without colours, in a fifth of the time.

    Speed matters since each request logs a line.
    """
    trace = event.pop("exception", None)
    line = f"{event.pop('timestamp')} [{event.pop('level'):<9}] {event.pop('event'):<30}"
    fields = (f"{name}={_quote(event[name])}" for name in sorted(event))
    line = " ".join((line, *fields)).rstrip()
    return line if trace is None else f"{line}\n{trace}"


def _quote(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() and UNQUOTED.fullmatch(value) else repr(value)


def escape(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Escape unprintable characters in all fields but the event, because some of them control the terminal, such as
    U+202E.
    """
    return {
        name: _escape(value) if isinstance(value, str) and name != "event" else value for name, value in event.items()
    }


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def configure(log_format: Literal["console", "json"], level: str = "info") -> None:
    """Send the log lines of the service and of the server to standard error, in one format.

    Lines of the service are written directly, since each request logs one; lines of libraries come through `logging`.

    Args:
        log_format: `console` for people, `json` for programs.
        level: the lowest level of the service's lines: debug, info, warning or error. Libraries log warnings at least.
    """
    lowest = _LEVELS[level.upper()]
    _SOFTKV_LOGGER.setLevel(lowest)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor] = [structlog.processors.format_exc_info]
    if log_format == "json":
        last.append(structlog.processors.JSONRenderer())
    elif sys.stderr.isatty():
        last = [escape, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    else:
        last.append(render_plain)
    _PROCESSORS[:] = [drop_below_level, *shared, *last]
    structlog.configure(
        processors=_PROCESSORS,
        logger_factory=lambda *_: _LINE_LOGGER,
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
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
    root.setLevel(max(lowest, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(max(lowest, logging.INFO))
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
