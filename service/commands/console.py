"""What the commands print with: tables and bars for people, JSON for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

_EIGHTHS = " ▏▎▍▌▋▊▉"


def output() -> Console:
    """The console for results, on standard output."""
    return _console(stderr=False)


def messages() -> Console:
    """The console for bars and remarks, on standard error, so that results can be piped."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=False)
    if console.options.ascii_only:
        # A terminal that cannot write a document's characters shows "?", it does not end the command.
        stream = sys.stderr if stderr else sys.stdout
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    return console


def write_json(answer: Any) -> None:
    """One JSON value on standard output, in UTF-8 whatever the locale says."""
    typer.echo(orjson.dumps(answer, option=orjson.OPT_INDENT_2))


def progress(console: Console) -> Progress:
    """A bar with a count and the time that remains; silent where nobody looks at a terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def weight_bar(weight: float, width: int, *, ascii_only: bool) -> str:
    """A weight in [0, 1] as a bar of `width` characters, to an eighth of one where the terminal can."""
    weight = min(max(weight, 0.0), 1.0)
    if ascii_only:
        return ("#" * round(weight * width)).ljust(width)
    full, eighths = divmod(round(weight * width * 8), 8)
    return ("█" * full + (_EIGHTHS[eighths] if eighths else "")).ljust(width)


def one_line(value: Any) -> str:
    """A document's field as one line; control characters, which could drive the terminal, become spaces."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in _BIDI else c for c in text)
    return " ".join(shown.split())


# Overrides of the writing direction: they would reorder the rest of the line.
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
