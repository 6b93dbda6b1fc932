"""What a demo collection is: a name, its settings, and where its documents come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any


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
