"""Texts to encode, and encoded texts: their vectors, token counts and content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from service.encoding.errors import InvalidText

Purpose = Literal["query", "document"]
"""The purpose of a text: some models use different prompts for a question and a passage."""

PURPOSES: tuple[Purpose, ...] = ("query", "document")


def check_texts(texts: Sequence[str]) -> None:
    """Raise unless every tokeniser can read the texts: any Unicode text is valid, including the empty one.

    Raises:
        InvalidText: a text has a lone surrogate (half of a character, which UTF-8 cannot hold), or an element is not a
            text; the error has its position in the list.
    """
    if isinstance(texts, str):
        raise InvalidText("wanted a list of texts, got one text: put it in a list", None)
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InvalidText(f"texts[{position}] is of type {type(text).__name__}: wanted a text", position)
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidText(
                f"texts[{position}] has a lone surrogate (U+{ord(text[error.start]):04X}) at character "
                f"{error.start}: it is half of a character, send the whole one or leave it out",
                position,
            ) from error


class EncodedText(NamedTuple):
    """The vector of one text, and facts about its tokens: one row of each array of an `Encoded`."""

    vector: NDArray[np.float32]  # [d]
    token_count: int
    truncated: bool
    unknown_tokens: int
    content: int


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The vectors of n texts, and facts about their tokens.

    Attributes:
        vectors: float32 [n, d], of unit length if the model normalises.
        token_counts: int64 [n], the tokens of the whole text, prompt and special tokens included.
        truncated: bool [n], whether the model read fewer tokens.
        unknown_tokens: int64 [n], the tokens that the vocabulary lacks, all read as the same token.
        content: int8 [n], the `Content` of each text without the prompt, as far as the model reads it.
    """

    vectors: NDArray[np.float32]
    token_counts: NDArray[np.int64]
    truncated: NDArray[np.bool_]
    unknown_tokens: NDArray[np.int64]
    content: NDArray[np.int8]

    @classmethod
    def blank(cls, n: int, dimension: int) -> Self:
        """Return an empty result for n texts, to be filled with `put`."""
        counts = np.zeros(n, dtype=np.int64)
        vectors = np.zeros((n, dimension), dtype=np.float32)
        return cls(vectors, counts, np.zeros(n, dtype=np.bool_), counts.copy(), np.zeros(n, dtype=np.int8))

    @classmethod
    def of(cls, texts: Sequence[EncodedText]) -> Self:
        """Combine n texts, at least one, that were encoded separately."""
        vectors, counts, truncated, unknown, content = zip(*texts, strict=True)
        return cls(
            np.stack(vectors),
            np.asarray(counts, dtype=np.int64),
            np.asarray(truncated, dtype=np.bool_),
            np.asarray(unknown, dtype=np.int64),
            np.asarray(content, dtype=np.int8),
        )

    def texts(self) -> list[EncodedText]:
        """Return an `EncodedText` for each text; their vectors are views of rows of `vectors`."""
        columns = self.token_counts, self.truncated, self.unknown_tokens, self.content
        return [EncodedText(*row) for row in zip(self.vectors, *(column.tolist() for column in columns), strict=True)]

    def put(self, positions: Sequence[int], part: Self, rows: slice) -> None:
        """Copy rows of another result into this one.

        Args:
            positions: the indices in this result.
            part: the other result.
            rows: the rows of it to copy.
        """
        self.vectors[positions] = part.vectors[rows]
        self.token_counts[positions] = part.token_counts[rows]
        self.truncated[positions] = part.truncated[rows]
        self.unknown_tokens[positions] = part.unknown_tokens[rows]
        self.content[positions] = part.content[rows]
