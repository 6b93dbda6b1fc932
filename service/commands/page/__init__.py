"""`softkv page export DIR`: the page as files for any static host, with the answers to a few hundred questions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.networks import DEFAULT_URL
from softkv.commands.command_line import ApiKey, AsJSON, Command, CommandError, CommandGroup, Url

if TYPE_CHECKING:
    from service.commands.page.recording import Memory
    from softkv import Client

DOCUMENTS = {
    "index.html": "story.html",
    **{name: name for name in ("scenes.html", "lesson.html", "worksheet.html")},
}
"""The documents of the page by the names of their files."""
QUESTIONS = Path(__file__).with_name("questions.txt")
_PAGE = 500

page = typer.Typer(cls=CommandGroup, no_args_is_help=True, help="Export the page as files for any web host.")


@page.callback()
def _page() -> None:
    """Export the page as files for any web host."""


@page.command(cls=Command)
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The directory for the files; created if missing.")],
    questions: Annotated[
        Path,
        typer.Option(
            help="A file of questions, one per line, which are asked besides the keys.",
            show_default="those of softkv",
            exists=True,
            dir_okay=False,
        ),
    ] = QUESTIONS,
    url: Url = DEFAULT_URL,
    api_key: ApiKey = None,
    as_json: AsJSON = False,
) -> None:
    """Export the page as files, with recorded answers in place of a service.

    The running service must have the demo collections library and videos. It
    is asked about them, and about the rows of the scenes.

    softkv page export public
    """
    from service.api.routes.page import WEB, Assets
    from service.commands.page.bundle import bundle, fonts
    from service.commands.page.recording import Recording
    from softkv.commands.console import messages, output, progress, write_json
    from softkv.commands.remote import connect

    assets = Assets(WEB)
    with connect(url, api_key) as client, progress(messages()) as bar:
        memories = _memories(client, assets.text("js/scenes.js"), questions.read_text(encoding="utf-8"))
        total = sum(len(memory.questions) for memory in memories)
        task = bar.add_task("questions", total=total)
        recording = Recording(client, lambda: bar.advance(task))
        for memory in memories:
            recording.ask(memory)
        exported = recording.content()
    files = {
        name: bundle(assets, document, exported if document == "scenes.html" else None).encode()
        for name, document in DOCUMENTS.items()
    }
    files |= {f"assets/{path}": content for path, content in fonts(assets).items()}
    _write(folder, files)
    size, count = sum(map(len, files.values())), len(exported["query"]["texts"])
    if as_json:
        write_json({"folder": str(folder), "files": len(files), "bytes": size, "questions": count})
        return
    output().print(f"{folder}: {len(files)} files, {size / 1e6:.1f} MB, answers to {count} questions")


def _memories(client: Client, scenes: str, questions: str) -> list[Memory]:
    """Return what the exported page can be asked about: the collections and the rows of the scenes, each with its
    questions.
    """
    from service.commands.page.recording import COLLECTIONS, Memory, find_filters, find_memories

    texts = [line for line in questions.splitlines() if line.strip()]
    memories = []
    for name in COLLECTIONS:
        documents = client.collection(name).find(include=["key", "value", "metadata"], page=_PAGE)
        rows = [{"id": document.id, **document.fields} for page in documents.pages() for document in page]
        # The key of each row is a question too, so that SQL finds something.
        memories.append(Memory(name, rows, [*texts, *(row["key"] for row in rows)], find_filters(scenes)))
    in_scenes = find_memories(scenes)
    return memories + [Memory(None, memory.rows, [*memory.questions, *texts]) for memory in in_scenes]


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Write all files into a folder. Each gets its final name only when it is complete.

    Raises:
        CommandError: the folder cannot be written.
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
