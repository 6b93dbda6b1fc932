"""The demo collections: a name, its settings, and where its documents come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.datasets.characters import characters
from service.datasets.lines import library, videos
from service.datasets.standard_library import standard_library

if TYPE_CHECKING:
    from service.datasets.known_vectors import KnownVectors


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

    def vectors(self, checksum: str | None) -> KnownVectors:
        """The vectors of its texts that are known beforehand of the model with that checksum."""
        # Imported here, since the interpreter that `standard_library` asks has no NumPy.
        from service.datasets.known_vectors import known_vectors

        return known_vectors(self.name, checksum)


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
