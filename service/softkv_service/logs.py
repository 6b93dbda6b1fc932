"""Log lines: readable on a console, or one JSON object per line; all contain request ids."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Literal, TextIO

UNQUOTED = re.compile(r"[^\s=\"']+")  # printable values that need no quotes between other fields
Fields = dict[str, object]
_BOUND: ContextVar[Mapping[str, object]] = ContextVar("fields of each line of a call", default=MappingProxyType({}))
_SOFTKV_LOGGER = logging.getLogger("softkv")
_LEVELS = logging.getLevelNamesMapping()
_writing = threading.Lock()


class Log:
    """The log of the service. A line is an event with fields.

    Attributes:
        write: takes the level, the event and the fields of each line. Until `configure` sets it, lines go to the
            logger `softkv` of the program that runs the service.
    """

    def __init__(self, write: Callable[[str, str, Fields], None]) -> None:
        self.write = write

    def debug(self, event: str, **fields: object) -> None:
        """Log what helps to find a fault."""
        self.write("debug", event, fields)

    def info(self, event: str, **fields: object) -> None:
        """Log what happens in a sound service."""
        self.write("info", event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Log what may need an operator."""
        self.write("warning", event, fields)

    def error(self, event: str, **fields: object) -> None:
        """Log what needs an operator. `exc_info` is an error whose traceback belongs to the line."""
        self.write("error", event, fields)

    def exception(self, event: str, **fields: object) -> None:
        """Log an unexpected error with its traceback, within `except`."""
        self.write("error", event, fields | {"exc_info": sys.exception()})


def _pass_on(level: str, event: str, fields: Fields) -> None:
    """Give a line to the logger `softkv`, whose handlers and level are those of the program."""
    error = fields.pop("exc_info", None)
    number = _LEVELS[level.upper()]
    if _SOFTKV_LOGGER.isEnabledFor(number):
        text = " ".join((event, *_fields_as_text({**_BOUND.get(), **fields})))
        _SOFTKV_LOGGER.log(number, "%s", text, exc_info=error if isinstance(error, BaseException) else None)


log = Log(_pass_on)


@contextmanager
def bound_fields(**fields: object) -> Iterator[None]:
    """Add fields to each line of the block, also of its tasks and of calls in threads with its context."""
    token = _BOUND.set({**_BOUND.get(), **fields})
    try:
        yield
    finally:
        _BOUND.reset(token)


def configure(log_format: Literal["console", "json"], level: str = "info") -> None:
    """Send the log lines of the service and of the server to standard error, in one format.

    Lines of the service are written directly, since each request logs one; lines of libraries come through `logging`.

    Args:
        log_format: `console` for people, `json` for programs.
        level: the lowest level of the service's lines: debug, info, warning or error. Libraries log warnings at least.
    """
    lowest = _LEVELS[level.upper()]
    _SOFTKV_LOGGER.setLevel(lowest)
    render = render_json if log_format == "json" else render_escaped if sys.stderr.isatty() else render_plain

    def write(level: str, event: str, fields: Fields) -> None:
        if not _SOFTKV_LOGGER.isEnabledFor(_LEVELS[level.upper()]):  # a program may set this level
            return
        line = {**_BOUND.get(), **fields, **_head(level, event)}
        error = line.pop("exc_info", None)
        if isinstance(error, BaseException):
            line["exception"] = "".join(traceback.format_exception(error)).rstrip("\n")
        _write_line(render(line))

    log.write = write
    handler = _StandardError()
    handler.setFormatter(_Formatter(render))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(lowest, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(max(lowest, logging.INFO))
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


class _StandardError(logging.StreamHandler[TextIO]):
    """A log handler that writes to the current `sys.stderr`, which a progress bar may have replaced."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        pass


class _Formatter(logging.Formatter):
    """The form of lines that libraries log."""

    def __init__(self, render: Callable[[Fields], str]) -> None:
        super().__init__()
        self._render = render

    def format(self, record: logging.LogRecord) -> str:
        line = {**_BOUND.get(), **_head(record.levelname.lower(), record.getMessage())}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._render(line)


def _head(level: str, event: str) -> Fields:
    time = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return {"event": event, "level": level, "timestamp": f"{time}Z"}


def _write_line(line: str) -> None:
    """Write a line to standard error in one piece, also from several threads.

    Ignore a full disk, so that no request fails because of its log line.
    """
    with _writing, suppress(OSError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def render_json(line: Fields) -> str:
    """Render a line as a JSON object. A value that JSON does not have becomes its representation."""
    return json.dumps(line, default=repr)


def render_plain(line: Fields) -> str:
    """Render a line as text: its time, level, event, and its fields by their names."""
    error = line.pop("exception", None)
    text = f"{line.pop('timestamp')} [{line.pop('level'):<9}] {line.pop('event'):<30}"
    text = " ".join((text, *_fields_as_text(line))).rstrip()
    return text if error is None else f"{text}\n{error}"


def render_escaped(line: Fields) -> str:
    """Render a line for a terminal: unprintable characters of its fields would control it, such as U+202E."""
    return render_plain(
        {name: _escape(value) if isinstance(value, str) and name != "event" else value for name, value in line.items()}
    )


def _fields_as_text(fields: Mapping[str, object]) -> Iterator[str]:
    return (f"{name}={_quote(fields[name])}" for name in sorted(fields))


def _quote(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() and UNQUOTED.fullmatch(value) else repr(value)


def _escape(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
