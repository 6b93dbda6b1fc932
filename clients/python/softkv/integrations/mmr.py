"""Maximal marginal relevance: of many matches some that are relevant and unlike each other.

Carbonell and Goldstein, The use of MMR, diversity-based reranking for reordering documents and producing summaries,
SIGIR 1998.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from softkv.problems import flawed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from softkv.answers.match import Match


def marginally_relevant(query: ArrayLike, keys: Sequence[ArrayLike], k: int, relevance: float) -> list[int]:
    """Choose one key after another, each time the one with most of what follows, where r is the relevance.

        r · cos(query, key) − (1 − r) · max cos(key, chosen)

    Args:
        query: [d].
        keys: [n, d].
        k: how many to choose at most.
        relevance: from 0, which looks only at how unlike the others a key is, to 1, which does not look at that.

    Returns:
        The places of the chosen, in their order; the first of those that tie.

    Raises:
        Invalid: `relevance` is not between 0 and 1.
    """
    if not 0 <= relevance <= 1:
        raise flawed("", f"wanted a number from 0 to 1 that weighs relevance against diversity, got {relevance!r}")
    if not len(keys):
        return []
    rows = _unit(np.asarray(keys, dtype=np.float64))
    to_query = rows @ _unit(np.asarray(query, dtype=np.float64))
    to_chosen = np.full(len(rows), -np.inf)
    chosen: list[int] = []
    while len(chosen) < min(k, len(rows)):
        scores = to_query if not chosen else relevance * to_query - (1 - relevance) * to_chosen
        best = int(np.argmax(np.where(np.isin(np.arange(len(rows)), chosen), -np.inf, scores)))
        chosen.append(best)
        to_chosen = np.maximum(to_chosen, rows @ rows[best])
    return chosen


def key_of(match: Match) -> Any:
    """The key of a match that `include=["key_vector"]` brought along; of several, the one that spoke."""
    if match.key_vectors is None:
        return match.key_vector
    return match.key_vectors[match.part.index if match.part is not None else 0]


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row at length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: NDArray[np.float64] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return unit
