"""The demo collections: a name, settings, and the documents."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from service.datasets.characters import characters

if TYPE_CHECKING:
    from service.datasets.precomputed_vectors import PrecomputedVectors


def library() -> Iterator[dict[str, Any]]:
    """Subject cards of a small library, each leading to a book.

    The key is what the card says, in everyday words; the value is title and author. Years are those
    of first publication, customary estimates where the book is old (negative: before the common era);
    languages are the originals', as ISO 639 codes.
    """
    return _lines("library.jsonl")


def videos() -> Iterator[dict[str, Any]]:
    """Titles and descriptions of invented videos, each leading to one: title, channel and length."""
    return _lines("videos.jsonl")


def _lines(name: str) -> Iterator[dict[str, Any]]:
    with resources.files("service.datasets").joinpath(name).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


_ROOT = Path(__file__).parents[2]
_PRINT_DOCUMENTS = f"""
import runpy, sys
sys.path.insert(0, {str(_ROOT)!r})
runpy.run_module("service.datasets.public_documents", run_name="__main__")
"""


def standard_library() -> Iterator[dict[str, Any]]:
    """Everything public in the interpreter's standard library that has a docstring.

    The key is the qualified name and the docstring's first sentence; the value is the signature and
    the docstring, shortened; something with several names stands under the one that comes first
    (`builtins`, then shorter module paths). The order is that of the names.

    A fresh interpreter without site packages is asked, because installed packages replace parts of
    the library when they are imported (torch `inspect.getfile`, transformers methods of loggers):
    so the same Python always gives the same documents, and nothing is imported here.

    Raises subprocess.CalledProcessError where that interpreter fails; what it says goes to stderr.
    """
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PRINT_DOCUMENTS]
    printed = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    yield from map(json.loads, printed.splitlines())


@dataclass(frozen=True)
class Demo:
    """A demo collection.

    `settings` are fields of `PUT /v1/collections/{name}`. `documents()` starts afresh at each call
    and gives documents as `POST …/documents` takes them (id, key, value, metadata), always in the
    same order; nothing is read or made before the first one is asked for.
    """

    name: str
    title: str
    settings: dict[str, Any]
    documents: Callable[[], Iterator[dict[str, Any]]]

    def vectors(self, checksum: str | None) -> PrecomputedVectors:
        """The vectors of its texts that are known beforehand of the model with that checksum."""
        # Imported here, since the interpreter that `standard_library` asks has no NumPy.
        from service.datasets.precomputed_vectors import load_vectors

        return load_vectors(self.name, checksum)


DEMOS: dict[str, Demo] = {
    demo.name: demo
    for demo in (
        Demo("library", "A card catalogue: what a card says, and the book it leads to", {}, library),
        Demo("videos", "A video search: titles and descriptions, and the video", {}, videos),
        Demo("python", "The standard library: what a name does, and how it is called", {}, standard_library),
        # The encoder reads most characters as one unknown token, so their names stand for them.
        Demo("unicode", "Unicode: a character's name, and the character", {"value_from": "key"}, characters),
    )
}
