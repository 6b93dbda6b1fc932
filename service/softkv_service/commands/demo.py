"""`softkv demo`: load the demo collections into a running service; existing documents stay as they are."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softkv.commands.command_line import ApiKey, AsJSON, Misused, Url
from softkv_service.addresses import DEFAULT_URL

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, TaskID

    from softkv import Collection
    from softkv_service.datasets import Demo

# About a second of encoding: short enough for a progress bar, long enough that round trips do not matter.
_BATCH = 64


def demo(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAMES]...",
            help="library, videos, python, unicode, or library-zh in Chinese.",
            show_default="all but library-zh",
        ),
    ] = None,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Load demo collections into the running service.

    Documents that the service has already are not sent again.

    softkv demo library python
    """
    from softkv.commands.console import messages, output, progress, write_json
    from softkv.commands.remote import connect
    from softkv_service.datasets import DEMOS, ENGLISH

    unknown = [name for name in names or () if name not in DEMOS]
    if unknown:
        raise Misused(f"unknown demo collection {', '.join(unknown)}: choose from {', '.join(DEMOS)}")
    done: list[dict[str, Any]] = []
    with connect(url, api_key) as client, progress(messages()) as bar:
        for name in dict.fromkeys(names or ENGLISH):
            counts = _load(DEMOS[name], client.collection(name), partial(_show, bar, bar.add_task(name, total=None)))
            done.append({"name": name} | counts)
    if as_json:
        write_json(done)
        return
    console = output()
    for counts in done:
        state = f"{counts['loaded']:,} loaded now" if counts["loaded"] else "complete already"
        console.print(f"{counts['name']}: {counts['documents']:,} documents, {state}")


def _show(bar: Progress, task: TaskID, written: int, total: int) -> None:
    bar.update(task, completed=written, total=total)


def _load(demo: Demo, collection: Collection, report: Callable[[int, int], None]) -> dict[str, int]:
    """Write the documents that the collection lacks; call `report` with the number done and the total."""
    from softkv import NotFound
    from softkv.commands.remote import existing_ids

    settings = dict(demo.settings)
    with suppress(NotFound):
        collection.info()
        settings.pop("late", None)  # which callers may have changed
    collection.create(**settings, exist_ok=True)
    documents = list(demo.documents())
    loaded = 0
    for start in range(0, len(documents), _BATCH):
        batch = documents[start : start + _BATCH]
        present = existing_ids(collection, (document["id"] for document in batch))
        missing = [document for document in batch if document["id"] not in present]
        if missing:
            collection.write(missing)
            loaded += len(missing)
        report(start + len(batch), len(documents))
    return {"documents": len(documents), "loaded": loaded}
