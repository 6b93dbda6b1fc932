"""The demo collections: their names, settings and documents."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softkv_service.datasets.characters import characters

if TYPE_CHECKING:
    from softkv_service.datasets.precomputed_vectors import PrecomputedVectors


def _lines(name: str) -> Iterator[dict[str, Any]]:
    """Yield the documents of the file with this name.

    - `library` has subject cards of a small library, each leading to a book, and `library-zh` others in Chinese. The
      key is the text of the card, in everyday words; the value is title and author. Years are those of first
      publication, customary estimates for old books (negative: before the common era). Languages are those of the
      originals, as ISO 639 codes.
    - `videos` has invented videos. The key is title and description; the value is title, channel and length.
    """
    with resources.files("softkv_service.datasets").joinpath(f"{name}.jsonl").open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


_ROOT = Path(__file__).parents[2]
_PRINT_DOCUMENTS = f"""
import runpy, sys
sys.path.insert(0, {str(_ROOT)!r})
runpy.run_module("softkv_service.datasets.public_documents", run_name="__main__")
"""


def standard_library() -> Iterator[dict[str, Any]]:
    """Yield every public name in the interpreter's standard library that has a docstring.

    The key is the qualified name and the first sentence of the docstring. The value is the signature and the docstring,
    shortened. Of several names for one object, the first counts (`builtins`, then shorter module paths). The documents
    are in the order of the names.

    A fresh interpreter without site packages makes the documents, because installed packages replace parts of the
    library when they are imported (torch `inspect.getfile`, transformers methods of loggers). So the same Python always
    gives the same documents, and this process imports nothing.

    Raises:
        subprocess.CalledProcessError: that interpreter failed; its errors go to stderr.
    """
    command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _PRINT_DOCUMENTS]
    printed = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    yield from map(json.loads, printed.splitlines())


@dataclass(frozen=True)
class Demo:
    """A demo collection: its settings and the source of its documents.

    Attributes:
        settings: fields of `PUT /v1/collections/{name}`. `late` is false: the page, the class and the documentation
            explain the weights of these collections by similarities alone.
        documents: returns a new iterator at each call. It yields documents for `POST …/documents` (id, key, value,
            metadata), always in the same order, and reads or makes nothing before the first one.
        language: that of its texts. Collections in another language than English are loaded by name alone.
    """

    name: str
    title: str
    settings: dict[str, Any]
    documents: Callable[[], Iterator[dict[str, Any]]]
    language: str = "en"

    def vectors(self, checksum: str | None) -> PrecomputedVectors:
        """Return the precomputed vectors of the demo's texts that the model with this checksum made."""
        # Imported here, since the interpreter that `standard_library` starts has no NumPy.
        from softkv_service.datasets.precomputed_vectors import load_vectors

        return load_vectors(self.name, checksum)


PLAIN: dict[str, Any] = {"late": False}
DEMOS: dict[str, Demo] = {
    demo.name: demo
    for demo in (
        Demo(
            "library", "A card catalogue: what a card says, and the book it leads to", PLAIN, partial(_lines, "library")
        ),
        Demo("videos", "A video search: titles and descriptions, and the video", PLAIN, partial(_lines, "videos")),
        Demo("python", "The standard library: what a name does, and how it is called", PLAIN, standard_library),
        # The encoder reads most characters as one unknown token, so their names stand for them.
        Demo("unicode", "Unicode: a character's name, and the character", {**PLAIN, "value_from": "key"}, characters),
        Demo("library-zh", "书库：卡片上的主题，和它引向的书", PLAIN, partial(_lines, "library-zh"), "zh"),
    )
}
ENGLISH = [name for name, demo in DEMOS.items() if demo.language == "en"]
"""The demo collections that the default model reads."""
