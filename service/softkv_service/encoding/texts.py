"""Texts to encode, and encoded texts: their vectors, token counts and content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from softkv_attention.late import I8
from softkv_service.encoding.errors import InvalidText

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


class Words(NamedTuple):
    """The n words of a text, those without a letter or a digit left out.

    Attributes:
        spans: the characters of each word.
        rarity: float64[n], how much each counts among the words of a question; they sum to 1.
        vectors: int8[n, 128], their directions, in a projection of their encoder.
    """

    spans: list[tuple[int, int]]
    rarity: NDArray[np.float64]
    vectors: I8


class EncodedText(NamedTuple):
    """The vector of one text, and facts about its tokens: one row of each array of an `Encoded`."""

    vector: NDArray[np.float32]  # [d]
    token_count: int | None
    truncated: bool | None
    unknown_tokens: int | None
    content: int
    words: Words | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The vectors of n texts, and facts about their tokens.

    An encoder behind a URL does not tell the tokens of each text: then three of the arrays are None.

    Attributes:
        vectors: float32 [n, d], of unit length if the model normalises.
        content: int8 [n], the `Content` of each text without the prompt, as far as the model reads it.
        token_counts: int64 [n], the tokens of the whole text, prompt and special tokens included.
        truncated: bool [n], whether the model read fewer tokens.
        unknown_tokens: int64 [n], the tokens that the vocabulary lacks, all read as the same token.
        refused: why a provider or a reranker refuses a text, by its index; its vector is zero.
        words: object [n], the `Words` of each text if a model of words encoded them, else None.
    """

    vectors: NDArray[np.float32]
    content: NDArray[np.int8]
    token_counts: NDArray[np.int64] | None = None
    truncated: NDArray[np.bool_] | None = None
    unknown_tokens: NDArray[np.int64] | None = None
    refused: dict[int, str] = field(default_factory=dict)
    words: NDArray[np.object_] | None = None

    @classmethod
    def blank(cls, n: int, dimension: int, *, with_tokens: bool) -> Self:
        """Return an empty result for n texts, to be filled with `put`.

        Args:
            n: the number of texts.
            dimension: the width of a vector.
            with_tokens: whether the tokens of each text are known.
        """
        vectors, content = np.zeros((n, dimension), dtype=np.float32), np.zeros(n, dtype=np.int8)
        if not with_tokens:
            return cls(vectors, content)
        counts = np.zeros(n, dtype=np.int64)
        return cls(vectors, content, counts, np.zeros(n, dtype=np.bool_), counts.copy())

    def blank_for(self, n: int) -> Self:
        """Return an empty result for n texts, to be filled with rows of this one and others of its encoder."""
        blank = self.blank(n, self.vectors.shape[1], with_tokens=self.token_counts is not None)
        return blank if self.words is None else replace(blank, words=np.empty(n, dtype=object))

    @classmethod
    def of(cls, texts: Sequence[EncodedText]) -> Self:
        """Combine n texts, at least one, that were encoded separately."""
        vectors, *columns, words = zip(*texts, strict=True)
        names = ("token_counts", "truncated", "unknown_tokens", "content")
        arrays: dict[str, Any] = {
            name: np.asarray(column) for name, column in zip(names, columns, strict=True) if column[0] is not None
        }
        if words[0] is not None:
            arrays["words"] = _objects(words)
        return cls(np.stack(vectors), arrays.pop("content").astype(np.int8), **arrays)

    def texts(self) -> list[EncodedText]:
        """Return an `EncodedText` for each text; their vectors are views of rows of `vectors`."""
        unknown = [None] * len(self.vectors)
        columns = self.token_counts, self.truncated, self.unknown_tokens, self.content, self.words
        lists = (unknown if column is None else column.tolist() for column in columns)
        return [EncodedText(*row) for row in zip(self.vectors, *lists, strict=True)]

    def read_words(self) -> list[Words]:
        """Return the words of each text, which a model of words encoded."""
        assert self.words is not None
        words: list[Words] = self.words.tolist()
        return words

    def put(self, positions: Sequence[int], part: Self, rows: slice) -> None:
        """Copy rows of another result into this one.

        Args:
            positions: the indices in this result.
            part: the other result.
            rows: the rows of it to copy.
        """
        for name in ("vectors", "content", "token_counts", "truncated", "unknown_tokens", "words"):
            column = getattr(self, name)
            if column is not None:
                column[positions] = getattr(part, name)[rows]
        for row, position in enumerate(positions, rows.start):
            if row in part.refused:
                self.refused[position] = part.refused[row]


def _objects(values: Sequence[object]) -> NDArray[np.object_]:
    """Return the values as an array of objects, which NumPy would else take apart."""
    array = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        array[i] = value
    return array
