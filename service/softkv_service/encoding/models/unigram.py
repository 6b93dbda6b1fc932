"""The pieces of a unigram tokeniser, in a sixth of the memory that the library tokenizers takes for them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from tokenizers import NormalizedString, PreTokenizedString
from tokenizers.models import WordLevel

WORDS, CHARACTERS = 1 << 14, 32
"""The number of words that are kept with their pieces, and the limit of their characters."""
SLICES = 32
"""The most slices that are taken of one string: each counts its characters from the start."""
PENALTY = 10.0
"""An unknown character has the lowest score less this number, in SentencePiece and in tokenizers."""


class Unigram:
    """A pre-tokeniser that cuts words into their likeliest pieces (Kudo 2018, arXiv 1804.10959, section 3.2).

    The library's model has a hash map for each letter of a trie, 285 MB for the 250,000 pieces of XLM-RoBERTa. Here
    pieces are words of a model without a trie, and each word of a text is cut before that model reads it.

    Attributes:
        model: the number of each piece.
    """

    def __init__(self, pieces: Sequence[Sequence[Any]], unknown: int) -> None:
        """Copy the pieces.

        Args:
            pieces: each piece with its score, the logarithm of its probability.
            unknown: the number of the piece for characters that are in no other one.
        """
        self.model = WordLevel({text: number for number, (text, _) in enumerate(pieces)}, unk_token=pieces[unknown][0])
        self._scores = array("d", [score for _, score in pieces])
        self._unknown = unknown
        self._unknown_score = min(self._scores) - PENALTY
        self._longest = array("H", bytes(2 * 0x110000))  # the length of the longest piece, by its first character
        for text, _ in pieces:
            first = ord(text[:1] or "\0")
            self._longest[first] = max(self._longest[first], len(text))
        self._cut_kept = lru_cache(WORDS)(self._cut)

    def pre_tokenize(self, text: PreTokenizedString) -> None:
        """Cut each word of a text."""
        text.split(self._split)

    def _split(self, _: int, word: NormalizedString) -> list[NormalizedString]:
        content = word.normalized
        return _slices(word, self._cut(content) if len(content) > CHARACTERS else self._cut_kept(content))

    def _cut(self, word: str) -> list[int]:
        """Return where the pieces of a word begin, and its end; unknown characters side by side are one piece."""
        n, find, scores = len(word), self.model.token_to_id, self._scores
        # For each end, the largest score of pieces up to it, and the start of the last one.
        best, begins, is_known = [0.0, *[float("-inf")] * n], [0] * (n + 1), [True] + [False] * n
        for start, character in enumerate(word):
            has_piece = False
            for end in range(start + 1, min(start + self._longest[ord(character)], n) + 1):
                if (piece := find(word[start:end])) is not None:
                    has_piece = has_piece or end == start + 1
                    if (score := scores[piece] + best[start]) > best[end]:
                        best[end], begins[end], is_known[end] = score, start, piece != self._unknown
            if not has_piece and (score := self._unknown_score + best[start]) > best[start + 1]:
                best[start + 1], begins[start + 1], is_known[start + 1] = score, start, False
        bounds, end = [n], n
        while end:
            start = begins[end]
            if is_known[start] or is_known[end]:
                bounds.append(start)
            end = start
        return bounds[::-1]


def _slices(word: Any, bounds: Sequence[int]) -> list[NormalizedString]:
    """Return the slices of a word between neighbouring bounds, which count from the same character as the first."""
    first, middle = bounds[0], len(bounds) // 2
    if len(bounds) <= SLICES:
        return [word[start - first : end - first] for start, end in pairwise(bounds)]
    half = bounds[middle] - first
    return _slices(word[:half], bounds[: middle + 1]) + _slices(word[half:], bounds[middle:])
