"""`softkv page export DIR`: the page for any static host, with the answers to some hundred questions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.errors import CommandError
from service.commands.options import ApiKey, AsJSON, Url
from service.networks import DEFAULT_URL

if TYPE_CHECKING:
    from service.commands.page.memories import Memory
    from softkv import Client

DOCUMENTS = ("index.html", "lesson.html", "worksheet.html")
QUESTIONS = Path(__file__).with_name("questions.txt")
_PAGE = 500

page = typer.Typer(no_args_is_help=True, help="The page as files that any host can serve.")


@page.callback()
def _page() -> None:
    """The page as files that any host can serve."""


@page.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the files go; made if it is not there.")],
    questions: Annotated[
        Path,
        typer.Option(help="What can be asked, besides the keys: a question a line.", exists=True, dir_okay=False),
    ] = QUESTIONS,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Write the page with answers that need no service.

    They are those of the collections library and videos, which a running
    service must have, and of the rows that scenes bring along.

    softkv page export public
    """
    from service.api.routes.page import WEB, Assets
    from service.commands.console import messages, output, progress, write_json
    from service.commands.page.bundle import bundled, fonts
    from service.commands.page.recording import Recording
    from service.commands.remote.connection import connected

    assets = Assets(WEB)
    with connected(url, api_key) as client, progress(messages()) as bar:
        memories = _memories(client, assets.text("js/scenes.js"), questions.read_text(encoding="utf-8"))
        total = sum(len(memory.questions) for memory in memories)
        task = bar.add_task("questions", total=total)
        recording = Recording(client, lambda: bar.advance(task))
        for memory in memories:
            recording.ask(memory)
        exported = recording.content()
    files = {name: bundled(assets, name, exported if name == "index.html" else None).encode() for name in DOCUMENTS}
    files |= {f"fonts/{path}": content for path, content in fonts(assets).items()}
    _write(folder, files)
    size, asked = sum(map(len, files.values())), len(exported["query"]["texts"])
    if as_json:
        write_json({"folder": str(folder), "files": len(files), "bytes": size, "questions": asked})
        return
    output().print(f"{folder}: {len(files)} files, {size / 1e6:.1f} MB, answers to {asked} questions")


def _memories(client: Client, scenes: str, questions: str) -> list[Memory]:
    """The collections and the scenes' own rows, each with what it is asked."""
    from service.commands.page.memories import COLLECTIONS, Memory, filters_in, written_in

    asked = [line for line in questions.splitlines() if line.strip()]
    found = []
    for name in COLLECTIONS:
        documents = client.collection(name).find(include=["key", "value", "metadata"], page=_PAGE)
        rows = [{"id": one.id, **one.fields} for page in documents.pages() for one in page]
        # What a row says itself can be asked too: that is what SQL finds.
        found.append(Memory(name, rows, [*asked, *(row["key"] for row in rows)], filters_in(scenes)))
    own = written_in(scenes)
    return found + [Memory(None, each.rows, [*each.questions, *asked]) for each in own]


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """All files, each under its name when it is complete.

    Raises:
        CommandError: there is no writing there.
    """
    try:
        for name, content in files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f"{target.name}.part")
            partial.write_bytes(content)
            os.replace(partial, target)
    except OSError as error:
        raise CommandError(f"{folder} cannot be written ({error.strerror}): choose another folder") from None
