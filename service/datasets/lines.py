"""Documents from the .jsonl files of this folder, one a line, ready to be sent as they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any


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
