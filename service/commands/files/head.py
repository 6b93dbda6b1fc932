"""The first line of an exported collection: its settings, so that a file is a collection by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.commands.console import messages
from service.commands.errors import CommandError
from service.commands.files.source import Entry, write_document

VERSION = 1
_MARK = "softkv_export"
_SETTINGS = ("similarity", "dimension", "value_dimension", "encoder", "value_from", "temperature", "null")


@dataclass(frozen=True)
class Head:
    """The collection that documents are of: its name, and its settings as `create` takes them."""

    name: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, info: Any) -> Head:
        """The head of a collection of which the client says this much."""
        said = {name: getattr(info, name) for name in _SETTINGS}
        if said["null"] == "calibrated":  # which a new collection cannot be: it gets its defaults
            said |= {"null": None, "temperature": None}
        # What is not known yet is left out; no encoder is a setting.
        return cls(info.name, {name: each for name, each in said.items() if each is not None or name == "encoder"})

    def line(self) -> bytes:
        """Its line of NDJSON."""
        return write_document({_MARK: VERSION, "collection": self.name, "settings": dict(self.settings)})


def read_head(entry: Entry) -> Head | None:
    """The head that this line is; None where it is a document, or anything else.

    Raises:
        CommandError: a later version wrote it.
    """
    said = entry.document
    if said is None or _MARK not in said or "id" in said:
        return None
    name, settings = said.get("collection"), said.get("settings")
    if said[_MARK] != VERSION or not isinstance(name, str) or not isinstance(settings, dict):
        raise CommandError(
            f"the file begins as an export of version {said[_MARK]}, and this softkv reads version {VERSION}: "
            "read it with the version that wrote it, or leave out its first line"
        )
    if "basis" in settings:
        messages().print("low-bit codes were removed from softkv: the collection's basis is left out")
    return Head(name, {name: each for name, each in settings.items() if name in _SETTINGS})
