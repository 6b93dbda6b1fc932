"""Vectors of texts: an array, with what the model made of each text beside it. Imported with NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from softkv.wire import decode_array


class Encoded(np.ndarray[Any, np.dtype[np.float32]]):
    """float32 [n, d], a row a text; of a part of the array, or what is computed from it, the attributes are None.

    Attributes:
        model: that encoded the texts.
        token_counts: of each text as a whole, the model's special tokens included.
        truncated: for each text, whether the model reads less than that.
        unknown_tokens: for each text, how many tokens the model reads as one and the same.
        tokens: those that are read of each text, where they were asked for: `text`, `start`, `end`.
    """

    model: str | None
    token_counts: list[int] | None
    truncated: list[bool] | None
    unknown_tokens: list[int] | None
    tokens: list[list[Mapping[str, Any]]] | None

    def __array_finalize__(self, whole: Any) -> None:
        self.model = self.token_counts = self.truncated = self.unknown_tokens = self.tokens = None


def parse_encoded(contents: Sequence[Mapping[str, Any]]) -> Encoded:
    """The answers to a list of texts that was sent in parts → one array."""
    parts = [decode_array(each["embeddings"]).reshape(-1, each["dimension"]) for each in contents]
    array = np.concatenate(parts).view(Encoded)
    array.model = contents[0]["model"]
    array.token_counts = [count for each in contents for count in each["token_counts"]]
    array.truncated = [cut for each in contents for cut in each["truncated"]]
    array.unknown_tokens = [count for each in contents for count in each["unknown_tokens"]]
    if all("tokens" in each for each in contents):
        array.tokens = [tokens for each in contents for tokens in each["tokens"]]
    return array
