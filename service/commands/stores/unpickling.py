"""Pickles of other programs, read without running anything that they say."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any

from service.commands.errors import CommandError


class Plain:
    """An object of a class that is not imported: what its pickle says of it."""

    said: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.said = state.get("__dict__", state)  # where pydantic keeps fields


def unpickled(content: bytes, allowed: Iterable[tuple[str, str]], where: str) -> Any:
    """What a pickle holds, of JSON's types; objects of the `allowed` classes (module, name) become `Plain`.

    A pickle can name any function to be called. Here each name leads to `Plain`, or to an error.

    Raises:
        CommandError: it holds something else, or is none.
    """
    try:
        return _Reader(content, frozenset(allowed)).load()
    except pickle.UnpicklingError as error:
        raise CommandError(f"{where} holds what this import does not read: {error}") from None
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, EOFError, OverflowError) as error:
        raise CommandError(f"{where} is damaged: {error}") from None


class _Reader(pickle.Unpickler):
    def __init__(self, content: bytes, allowed: frozenset[tuple[str, str]]) -> None:
        super().__init__(io.BytesIO(content))
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._allowed:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return Plain
