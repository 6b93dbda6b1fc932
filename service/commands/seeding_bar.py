"""The bar that shows how far the demo collections are, while the service already answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from service.retrieval.documents import Seeding

_SECONDS = 0.25


async def show_seeding(seeding: Seeding) -> None:
    """Draw a bar a collection until all are loaded; a pipe gets the log's lines instead."""
    console = Console(stderr=True)
    if not console.is_terminal or not seeding.loading():
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        tasks = {name: bars.add_task(name, total=None) for name in seeding.progress}
        while seeding.loading():
            for name, progress in seeding.progress.items():
                bars.update(tasks[name], completed=progress.done, total=progress.total)
            await asyncio.sleep(_SECONDS)
