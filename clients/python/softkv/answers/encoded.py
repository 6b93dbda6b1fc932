"""Encoded texts as an array with attributes. They have their own module because it imports NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from softkv.wire import decode_array


class Encoded(np.ndarray[Any, np.dtype[np.float32]]):
    """An array float32 [n, d] with the vector of each text as a row.

    Slices and computed arrays have None for all attributes. An encoder behind a URL does not tell the tokens of a text:
    then `token_counts`, `truncated` and `unknown_tokens` are None.

    Attributes:
        model: the model that encoded the texts.
        token_counts: the number of tokens of each whole text, including the model's special tokens.
        truncated: for each text, whether the model read only its beginning.
        unknown_tokens: the number of tokens of each text that the model does not know.
        tokens: the tokens of each text, if requested: `text`, `start`, `end`.
    """

    model: str | None
    token_counts: list[int] | None
    truncated: list[bool] | None
    unknown_tokens: list[int] | None
    tokens: list[list[Mapping[str, Any]]] | None

    def __array_finalize__(self, source: Any) -> None:
        self.model = self.token_counts = self.truncated = self.unknown_tokens = self.tokens = None


def parse_encoded(contents: Sequence[Mapping[str, Any]]) -> Encoded:
    """Join the responses for the parts of a list of texts into one array."""
    parts = [decode_array(content["embeddings"]).reshape(-1, content["dimension"]) for content in contents]
    array = np.concatenate(parts).view(Encoded)
    array.model = contents[0]["model"]
    if all(content["token_counts"] is not None for content in contents):
        array.token_counts = [count for content in contents for count in content["token_counts"]]
        array.truncated = [is_truncated for content in contents for is_truncated in content["truncated"]]
        array.unknown_tokens = [count for content in contents for count in content["unknown_tokens"]]
    if all("tokens" in content for content in contents):
        array.tokens = [tokens for content in contents for tokens in content["tokens"]]
    return array
