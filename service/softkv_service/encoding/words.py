"""The words of texts, as the last layer of an encoder sees them, for late interaction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from softkv_attention.late import I8, round_words
from softkv_service.encoding.encoder import BATCH_TOKENS, BatchLimits, LocalEncoder, ShortText, TextModel, token_batches
from softkv_service.encoding.texts import Encoded, Purpose, Words, check_texts
from softkv_service.encoding.tokens import Run, Span

if TYPE_CHECKING:
    from softkv_service.encoding.models.core_network import CoreNetwork

MAX_WORDS = 256
"""The words of a text that are compared: its first ones."""
WIDTH = 128
"""The numbers of a word."""
STEPS = 2**14
"""The steps of a coordinate between 0 and 1 before the projection, whose sums are integers, exact in float32."""

ALONE_PRODUCTS = 2**18
"""The products up to which OpenBLAS wakes no other threads. These would wait for the threads of the encoder."""


@cache
def read_projection(name: str) -> I8:
    """Return int8[d, 128], the projection of the words of an encoder, up to a factor.

    Its columns span the directions in which the words of `background.TOPICS` differ most; `tools.word_projection`
    makes it.
    """
    file = resources.files("softkv_service.encoding").joinpath("projections", f"{name}.npy")
    with file.open("rb") as stream:
        matrix: I8 = np.load(stream)
    return matrix


class WordModel(TextModel):
    """An encoder that also reads the words of texts, in the same pass; see `Words`.

    A word has the sum of the vectors of its pieces, of length one and projected. Its rarity is ln(1 + r), where r is
    the rank of its rarest piece in the vocabulary, which lists pieces from frequent to rare. It needs no statistics of
    a collection, so a word counts as much whatever else is stored, or hidden.

    Args:
        encoder: the encoder.
        network: its network.
        projection: int8[d, w], the projection of the words.
    """

    knows_tokens = True
    lanes = 1
    has_query_lane = False
    timeout_seconds = math.inf

    def __init__(self, encoder: LocalEncoder, network: CoreNetwork, projection: I8) -> None:
        self.encoder = encoder
        self.network = network
        self.projection = projection.astype(np.float32)
        self.name = encoder.name
        self.created = encoder.created
        self.dimension = encoder.dimension
        self.precision = encoder.precision
        self.kind = encoder.kind
        self.runs_on = encoder.runs_on
        self.max_tokens = encoder.max_tokens
        self.notes = []

    def batch_limits(self) -> BatchLimits:
        """Return the limits of the encoder's batches."""
        return self.encoder.batch_limits()

    def shorten(self, text: str, purpose: Purpose) -> Iterator[ShortText | None]:
        """Shorten a long text as the encoder does."""
        return self.encoder.shorten(text, purpose)

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Return what the encoder returns for n texts, in order, and the words of each.

        Raises:
            InvalidText: a text has a lone surrogate.
        """
        check_texts(texts)
        tokenizer, prompt = self.network.tokenizer, self.network.prompt(purpose)
        tokens, runs = tokenizer.read_with_words(texts, prompt)
        tokens_read = self.tokens_read(tokens.total)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        words = np.empty(len(texts), dtype=object)
        for batch in token_batches(tokens_read, BATCH_TOKENS):
            ids = [tokens.ids[i] for i in batch]
            vectors[batch], of_tokens = self.network.embed_with_tokens(ids)
            groups, spans = zip(*(find_words(texts[i], runs[i]) for i in batch), strict=True)
            pieces = Pieces.of(ids, of_tokens, [tokens_of_words + tokenizer.before for tokens_of_words in groups])
            joined = self._join(pieces, tokenizer.first_piece)
            for i, spans_of_words, (rarity, of_words) in zip(batch.tolist(), spans, joined, strict=True):
                words[i] = Words(spans_of_words, rarity, of_words)
        truncated = tokens.total > tokens_read
        return Encoded(vectors, tokens.content, tokens.total, truncated, tokens.unknown, words=words)

    def _join(self, pieces: Pieces, first_piece: int) -> Iterator[tuple[NDArray[np.float64], I8]]:
        """Yield rarity and vectors of the words of each text.

        Args:
            pieces: the pieces of the words of all texts.
            first_piece: the lowest id of a piece of text in the vocabulary.
        """
        vectors = round_words(project(pieces.sum_vectors(), self.projection))
        rarity = np.log1p(np.maximum(pieces.highest_ids() - first_piece, 0) + 1.0)
        stop = 0
        for count in pieces.counts:
            start, stop = stop, stop + count
            yield rarity[start:stop] / rarity[start:stop].sum(), vectors[start:stop]

    def find_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the characters of each word of n texts of documents, in order, as `encode` does."""
        tokenizer, prompt = self.network.tokenizer, self.network.prompt("document")
        return [find_words(text, tokenizer.read_words(text, prompt))[1] for text in texts]

    def tokens_read(self, token_counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64 [n], how many tokens of each text the encoder reads."""
        return self.encoder.tokens_read(token_counts)


@dataclass(frozen=True, eq=False)
class Pieces:
    """The pieces of the words of several texts.

    Attributes:
        ids: int64[t], the tokens of all texts.
        vectors: float32[t, d], their vectors.
        firsts, lasts: int64[n], the first piece of each word, and the one after its last.
        counts: the number of words of each text.
    """

    ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    firsts: NDArray[np.int64]
    lasts: NDArray[np.int64]
    counts: list[int]

    @classmethod
    def of(
        cls, ids: Sequence[NDArray[np.int64]], vectors: NDArray[np.float32], groups: Sequence[NDArray[np.int64]]
    ) -> Self:
        """Join texts.

        Args:
            ids: the tokens of each text.
            vectors: float32[t, d], the vectors of the tokens of all texts.
            groups: for each text, int64[n, 2], the first token of each word, and the one after its last.
        """
        starts = np.cumsum([0, *map(len, ids)])
        firsts, lasts = np.concatenate([one + start for one, start in zip(groups, starts, strict=False)]).T
        return cls(np.concatenate(ids), vectors, firsts, lasts, [*map(len, groups)])

    def sum_vectors(self) -> NDArray[np.float32]:
        """Return float32[n, d], the sum of the vectors of each word's pieces, added in order."""
        sums = self.vectors[self.firsts]
        for words, tokens in self._following():
            sums[words] += self.vectors[tokens]
        return sums

    def highest_ids(self) -> NDArray[np.int64]:
        """Return int64[n], the highest id of each word's pieces."""
        highest = self.ids[self.firsts]
        for words, tokens in self._following():
            highest[words] = np.maximum(highest[words], self.ids[tokens])
        return highest

    def _following(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield the words with a second piece and that piece, then those with a third, and so on."""
        words, offset = np.flatnonzero(self.lasts - self.firsts > 1), 1
        while len(words):
            yield words, self.firsts[words] + offset
            offset += 1
            words = words[self.lasts[words] - self.firsts[words] > offset]


def find_words(text: str, run: Run) -> tuple[NDArray[np.int64], list[Span]]:
    """Return int64[n, 2], the first token of each of the first words of a text and the one after its last; and its
    characters.
    """
    if not len(run.ids):
        return np.empty((0, 2), dtype=np.int64), []
    begins = run.begins_word.copy()
    begins[0] = True
    firsts = np.flatnonzero(begins)
    lasts = np.append(firsts[1:], len(run.ids))
    spans = list(zip(run.starts[firsts].tolist(), run.ends[lasts - 1].tolist(), strict=True))
    written = [text[start:end] for start, end in spans]
    indices = [i for i, word in enumerate(written) if word.isalnum() or any(map(str.isalnum, word))][:MAX_WORDS]
    return np.array([firsts, lasts]).T[indices], [spans[i] for i in indices]


def project(vectors: NDArray[np.float32], projection: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return float32[n, w], the directions of vectors [n, d] in a projection [d, w] of integers.

    Sums of integers below 2²⁴ are exact in float32, so a word has the same numbers beside any others. By the inequality
    of Cauchy and Schwarz, no partial sum is larger than `STEPS` times the length of a column of the projection.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = np.rint(vectors * (np.float32(STEPS) / np.maximum(lengths, np.float32(1e-9))))
    projected = np.empty((len(vectors), projection.shape[1]), dtype=np.float32)
    step = max(1, ALONE_PRODUCTS // projection.size)
    for start in range(0, len(vectors), step):
        np.matmul(directions[start : start + step], projection, out=projected[start : start + step])
    return projected
