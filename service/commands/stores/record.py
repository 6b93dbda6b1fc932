"""What is common to what other databases hold: an id, vectors and fields, on their way to a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from service.commands.errors import CommandError
from service.commands.files.source import Entry, write_document
from service.commands.files.vectors import write_vector


@dataclass(frozen=True)
class Wanted:
    """Which collection is to be read, and what becomes of its fields.

    Attributes:
        collection: what it is called there.
        key: the field that is the key text; None where the database knows one itself, or there is none.
        value: the field that is the value.
        vector: which vector, where a point has several by name.
        similarity: the one that was chosen; None for what fits the database's distance.
    """

    collection: str
    key: str | None = None
    value: str | None = None
    vector: str | None = None
    similarity: str | None = None

    def entry(
        self, number: int, name: Any, fields: Mapping[str, Any], vector: Any = None, text: str | None = None
    ) -> Entry:
        """A record as a document: its fields are metadata, but for those that are its key text and its value."""
        metadata = dict(fields)
        document: dict[str, Any] = {"id": str(name)}
        key = metadata.pop(self.key, None) if self.key else text
        if key is not None:
            document["key"] = key
        if self.value is not None and self.value in metadata:
            document["value"] = metadata.pop(self.value)
        return Entry(number, write_document(document | {"metadata": metadata} | _keys(vector)))


def chosen(wanted: str, names: Sequence[str], where: str) -> str:
    """The collection that is wanted.

    Raises:
        CommandError: it is not among these.
    """
    if wanted in names:
        return wanted
    there = f"its collections are {', '.join(names)}" if names else "it has none"
    raise CommandError(f"{where} has no collection {wanted!r}, {there}: name one with --source")


def settings_of(distance: str, similarities: Mapping[str, str], wanted: Wanted, where: str) -> dict[str, Any]:
    """The settings with which documents are ordered as by a database's own distance.

    Raises:
        CommandError: there are none, and no similarity was chosen.
    """
    found = wanted.similarity or similarities.get(distance.lower())
    if found is None:
        raise CommandError(
            f"{where} compares by {distance}, for which there is no similarity that orders documents alike: "
            "choose one with --similarity"
        )
    return {"encoder": None, "similarity": found}


def _keys(vector: Any) -> dict[str, Any]:
    """One vector, or several; none where there is none."""
    if vector is None or (isinstance(vector, Iterable) and not len(vector)):  # type: ignore[arg-type]
        return {}
    try:
        array = np.asarray(vector, dtype=np.float32)
    except (TypeError, ValueError):
        return {"key_vector": vector}  # which is refused, by its number
    return {"key_vector": write_vector(array)} if array.ndim == 1 else {"key_vectors": [*map(write_vector, array)]}
