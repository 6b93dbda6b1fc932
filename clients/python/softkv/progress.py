"""How far an upload is: told to a function, or drawn on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TypeAlias

from softkv.answers.report import Report

Told: TypeAlias = Callable[[Report], object]


@contextmanager
def told(progress: bool | Told, total: int | None) -> Iterator[Told]:
    """What to call with the report each time that it has grown.

    Args:
        progress: a function of the caller's; or whether to draw: with rich or tqdm where they are installed.
        total: how many rows there are, where that is known.
    """
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield lambda _: None
    elif find_spec("rich") is not None:
        with _with_rich(total) as tell:
            yield tell
    elif find_spec("tqdm") is not None:
        with _with_tqdm(total) as tell:
            yield tell
    else:
        with _on_a_line(total) as tell:
            yield tell


@contextmanager
def _with_rich(total: int | None) -> Iterator[Told]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("rows", total=total)
        yield lambda report: bar.update(task, completed=report.acknowledged)


@contextmanager
def _with_tqdm(total: int | None) -> Iterator[Told]:
    with import_module("tqdm").tqdm(total=total, unit=" rows") as bar:
        yield lambda report: bar.update(report.acknowledged - bar.n)


@contextmanager
def _on_a_line(total: int | None) -> Iterator[Told]:
    of = "" if total is None else f" of {total:,}"

    def tell(report: Report) -> None:
        sys.stderr.write(f"\r{report.acknowledged:,}{of} rows")
        sys.stderr.flush()

    try:
        yield tell
    finally:
        sys.stderr.write("\n")
