"""The words of texts, as the last layer of an encoder sees them, for late interaction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

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
"""The steps of a coordinate between 0 and 1 before the projection, whose sums are integers, exact in float64."""


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

    A word has the mean of the vectors of its pieces, of length one and projected. Its rarity is ln(1 + r), where r is
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
        self.projection = projection.astype(np.float64)
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
        tokens, read = tokenizer.read(texts, prompt), [tokenizer.read_words(text, prompt) for text in texts]
        tokens_read = self.tokens_read(tokens.total)
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        words = np.empty(len(texts), dtype=object)
        for batch in token_batches(tokens_read, BATCH_TOKENS):
            vectors[batch], of_tokens = self.network.embed_with_tokens([tokens.ids[i] for i in batch])
            for i, of_text in zip(batch.tolist(), of_tokens, strict=True):
                inner = of_text[tokenizer.before : len(of_text) - tokenizer.after]
                words[i] = join_pieces(texts[i], read[i], inner, tokenizer.first_piece, self.projection)
        truncated = tokens.total > tokens_read
        return Encoded(vectors, tokens.content, tokens.total, truncated, tokens.unknown, words=words)

    def find_spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the characters of each word of n texts of documents, in order, as `encode` does."""
        tokenizer, prompt = self.network.tokenizer, self.network.prompt("document")
        return [find_words(text, tokenizer.read_words(text, prompt))[1] for text in texts]

    def tokens_read(self, token_counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64 [n], how many tokens of each text the encoder reads."""
        return self.encoder.tokens_read(token_counts)


def join_pieces(
    text: str, run: Run, vectors: NDArray[np.float32], first_piece: int, projection: NDArray[np.float64]
) -> Words:
    """Return the words of a text.

    Args:
        text: the text.
        run: its p tokens.
        vectors: float32[p, d], their vectors.
        first_piece: the lowest id of a piece of text in the vocabulary.
        projection: float64[d, w], integers.
    """
    groups, spans = find_words(text, run)
    if not len(groups):
        return Words([], np.empty(0), np.empty((0, projection.shape[1]), np.int8))
    firsts, lasts = groups.T
    # The sums of all groups of tokens, also of those without a letter, up to the last word.
    begins = np.flatnonzero(run.begins_word | (np.arange(len(run.ids)) == 0))
    positions = np.searchsorted(begins, firsts)
    means = np.add.reduceat(vectors, begins, axis=0)[positions] / (lasts - firsts)[:, None]
    ranks = np.maximum.reduceat(run.ids, begins)[positions]
    rarity = np.log1p(np.maximum(ranks - first_piece, 0) + 1.0)
    return Words(spans, rarity / rarity.sum(), round_words(project(means, projection)))


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
    indices = [i for i, (start, end) in enumerate(spans) if any(map(str.isalnum, text[start:end]))][:MAX_WORDS]
    return np.array([firsts, lasts]).T[indices], [spans[i] for i in indices]


def project(vectors: NDArray[np.float64], projection: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return float32[n, w], the directions of vectors [n, d] in a projection [d, w] of integers.

    Sums of integers do not depend on their order, so a word has the same numbers beside any others.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions = np.rint(vectors / np.maximum(lengths, 1e-9) * STEPS)
    projected = np.empty((len(vectors), projection.shape[1]), dtype=np.float32)
    step = max(1, ALONE_PRODUCTS // projection.size)
    for start in range(0, len(vectors), step):
        projected[start : start + step] = directions[start : start + step] @ projection
    return projected
