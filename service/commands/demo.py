"""`softkv demo`: load the demo collections into a running service; what is already there is left alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.errors import Misused
from service.commands.options import ApiKey, AsJSON, Url
from service.networks import DEFAULT_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, TaskID

    from service.datasets import Demo
    from softkv import Collection

# About a second of encoding: often enough for a bar, seldom enough for the round trips not to count.
_BATCH = 64


def demo(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAMES]...",
            help="Which: library, videos, python, unicode. All of them if none is named.",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Load demo collections into the running service.

    softkv demo library python
    """
    from service.commands.console import messages, output, progress, write_json
    from service.commands.remote.connection import connected
    from service.datasets import DEMOS

    unknown = [name for name in names or () if name not in DEMOS]
    if unknown:
        raise Misused(f"there is no demo collection {', '.join(unknown)}: choose from {', '.join(DEMOS)}")
    done: list[dict[str, Any]] = []
    with connected(url, api_key) as client, progress(messages()) as bar:
        for name in dict.fromkeys(names or DEMOS):
            report = partial(_show, bar, bar.add_task(name, total=None))
            counts = _load(DEMOS[name], client.collection(name), report)
            done.append({"name": name} | counts)
    if as_json:
        write_json(done)
        return
    console = output()
    for counts in done:
        what = f"{counts['loaded']:,} loaded now" if counts["loaded"] else "complete already"
        console.print(f"{counts['name']}: {counts['documents']:,} documents, {what}")


def _show(bar: Progress, task: TaskID, written: int, total: int) -> None:
    bar.update(task, completed=written, total=total)


def _load(demo: Demo, collection: Collection, report: Callable[[int, int], None]) -> dict[str, int]:
    """Write the documents that the collection lacks; `report` hears how many of how many are there."""
    from service.commands.remote.upload import present

    collection.create(**demo.settings, exist_ok=True)
    documents = list(demo.documents())
    loaded = 0
    for start in range(0, len(documents), _BATCH):
        batch = documents[start : start + _BATCH]
        there = present(collection, (document["id"] for document in batch))
        missing = [document for document in batch if document["id"] not in there]
        if missing:
            collection.write(missing)
            loaded += len(missing)
        report(start + len(batch), len(documents))
    return {"documents": len(documents), "loaded": loaded}
