"""Rerankers: cross-encoders that read a query and a document together, by name; and their pairs in a queue."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from softkv_service.encoding.encoder import ALONE_NOTE, BatchLimits, BatchSize, ShortText, TextModel
from softkv_service.encoding.texts import Encoded, Purpose, check_texts

if TYPE_CHECKING:
    from softkv_service.encoding.models.pair_network import PairNetwork


MAX_PAIR_QUERY = 10_000
"""Characters of a query that a reranker reads together with each document."""


def write_pair(query: str, document: str) -> str:
    """Return a pair as one text, which a queue of texts can order, batch and cache: the JSON of both."""
    return json.dumps([query, document], ensure_ascii=False)


ACTIVATIONS: Mapping[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "Identity": lambda logits: logits,
    "LogSigmoid": lambda logits: -np.logaddexp(0, -logits),
    "ReLU": lambda logits: np.maximum(logits, 0),
    "Sigmoid": lambda logits: 0.5 * (1 + np.tanh(0.5 * logits)),  # without overflow
    "Tanh": np.tanh,
}
"""The functions of logits that a score may have, by their names in torch.nn."""


class Reranker(TextModel):
    """A cross-encoder in the memory of this process. Its "texts" are pairs, as `write_pair` writes them.

    Attributes:
        network: computes the logits.
        activation: the name in torch.nn of the function that its maker applies to a logit; see `ACTIVATIONS`.
    """

    dimension = 1
    knows_tokens = True
    lanes = 1
    timeout_seconds = math.inf

    def __init__(self, name: str, network: PairNetwork, activation: str, *, created: int = 0) -> None:
        self.name = name
        self.network = network
        self.activation = activation
        self.created = created
        self.precision = network.precision
        self.kind = network.kind
        self.runs_on = network.runs_on
        self.max_tokens = network.max_tokens
        self.notes = [] if network.batched else [ALONE_NOTE]

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters in this process."""
        return self.network.memory_bytes

    def batch_limits(self) -> BatchLimits:
        """Return the limits of the batches in which a queue hands pairs to this model: a time on this machine."""
        return BatchSize()

    def shorten(self, text: str, purpose: Purpose) -> Iterator[ShortText | None]:
        """Shorten the texts of a pair to what the model reads of them."""
        from softkv_service.encoding.models.pair_network import Pair, cut_pair

        pair = yield from cut_pair(self.network.tokenizer, Pair(*json.loads(text)))
        yield ShortText(write_pair(*pair), None)

    def encode(self, texts: Sequence[str], purpose: Purpose) -> Encoded:
        """Return the logits of n ≥ 1 pairs, in order, as vectors of width 1.

        Args:
            texts: the pairs, from `write_pair`.
            purpose: not used.

        Raises:
            InvalidText: a pair has a lone surrogate.
        """
        from softkv_service.encoding.models.pair_network import Pair

        check_texts(texts)
        logits = self.network.logits([Pair(*json.loads(text)) for text in texts])
        nothing = np.zeros(len(texts), dtype=np.int64)
        columns = logits.token_counts, logits.truncated, nothing, logits.refused
        return Encoded(logits.values[:, None], nothing.astype(np.int8), *columns)
