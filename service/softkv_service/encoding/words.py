"""The words of texts, as the last layer of an encoder sees them, for late interaction."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from softkv_attention.late import round_words
from softkv_service.encoding.encoder import BATCH_TOKENS, BatchLimits, LocalEncoder, ShortText, TextModel, token_batches
from softkv_service.encoding.texts import Encoded, Purpose, Words, check_texts
from softkv_service.encoding.tokens import Run

if TYPE_CHECKING:
    from softkv_service.encoding.models.core_network import CoreNetwork

MAX_WORDS = 256
"""The words of a text that are compared: its first ones."""


class WordModel(TextModel):
    """An encoder that also reads the words of texts, in the same pass; see `Words`.

    A word has the mean of the vectors of its pieces. Its rarity is ln(1 + r), where r is the rank of its rarest piece
    in the vocabulary, which lists pieces from frequent to rare. It needs no statistics of a collection, so a word
    counts as much whatever else is stored, or hidden.
    """

    knows_tokens = True
    lanes = 1
    has_query_lane = False
    timeout_seconds = math.inf

    def __init__(self, encoder: LocalEncoder, network: CoreNetwork) -> None:
        self.encoder = encoder
        self.network = network
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
                words[i] = join_pieces(texts[i], read[i], inner, tokenizer.first_piece)
        truncated = tokens.total > tokens_read
        return Encoded(vectors, tokens.content, tokens.total, truncated, tokens.unknown, words=words)

    def tokens_read(self, token_counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return int64 [n], how many tokens of each text the encoder reads."""
        return self.encoder.tokens_read(token_counts)


def join_pieces(text: str, run: Run, vectors: NDArray[np.float32], first_piece: int) -> Words:
    """Return the words of a text.

    Args:
        text: the text.
        run: its p tokens.
        vectors: float32[p, d], their vectors.
        first_piece: the lowest id of a piece of text in the vocabulary.
    """
    begins = run.begins_word.copy()
    begins[:1] = True
    firsts = np.flatnonzero(begins)
    lasts = np.append(firsts[1:], len(run.ids))
    spans = zip(run.starts[firsts].tolist(), run.ends[lasts - 1].tolist(), strict=True)
    kept = [i for i, (start, end) in enumerate(spans) if any(map(str.isalnum, text[start:end]))][:MAX_WORDS]
    if not kept:
        return Words([], np.empty(0), np.empty((0, vectors.shape[1]), np.int8))
    means = np.add.reduceat(vectors, firsts, axis=0)[kept] / (lasts - firsts)[kept, None]
    rarity = np.log1p(np.maximum(np.maximum.reduceat(run.ids, firsts)[kept] - first_piece, 0) + 1.0)
    return Words(
        [(int(run.starts[firsts[i]]), int(run.ends[lasts[i] - 1])) for i in kept],
        rarity / rarity.sum(),
        round_words(means.astype(np.float32)),
    )
