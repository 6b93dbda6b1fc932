"""Late interaction: hard attention among the words of a question and of a document.

Each word of the question looks for the word of the document that is most similar to it, as in ColBERT (Khattab and
Zaharia 2020, arXiv 2004.12832). The mean of these similarities, weighted by the rarity of the words, is added to the
document's logit. Only a question's best documents are compared in this way, and the mass that they have together is
kept: they share it again, so that every other document and the null key keep their weights.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from softkv_attention.arrays import F32, F64, I64

I8: TypeAlias = npt.NDArray[np.int8]

LARGEST = 127
MARGIN = 1e-9
"""The least differences of the logits of documents that are held above the best one that was not read."""


class BestWords(NamedTuple):
    """For each of m words the most similar word of a document: its index int64[m], and their cosine float64[m]."""

    indices: I64
    cosines: F64


def round_words(vectors: F32) -> I8:
    """Round the vectors [n, d] of words to integers of 8 bits; the direction of each stays, its length does not."""
    largest = np.abs(vectors).max(axis=-1, keepdims=True, initial=0)
    return np.rint(vectors / np.where(largest > 0, largest, 1) * LARGEST).astype(np.int8)


def find_best_words(question: I8, document: I8) -> BestWords:
    """Find for each word of a question, int8[m, d], the most similar word of a document, int8[n, d] with n ≥ 1.

    The products are exact in float32 up to a width of 1,040, so the cosines are the same on every processor.
    """
    products = question.astype(np.float32) @ document.astype(np.float32).T
    cosines = products / np.maximum(np.outer(_lengths(question), _lengths(document)), 1)
    indices = cosines.argmax(axis=-1)
    return BestWords(indices, cosines[np.arange(len(indices)), indices])


def _lengths(words: I8) -> F64:
    lengths: F64 = np.sqrt((words.astype(np.int32) ** 2).sum(axis=-1, dtype=np.int64))
    return lengths


def share_again(logits: F64, targets: F64, least: float = -math.inf) -> F64:
    """Let k documents share their mass again: Σ exp(new logits) = Σ exp(logits).

    Args:
        logits: float64[k], their logits; finite, and none below `least`.
        targets: float64[k], their new logits up to a constant.
        least: the logit of the best document beside them. None of them falls below it: those that would are held
            just above it, in the order of their targets, and the others share the rest.

    Returns:
        float64[k], the new logits.
    """
    peak = float(logits.max())
    step = min(MARGIN, (float(logits.min()) - least) / (len(logits) + 1))
    floors = np.full(len(logits), -math.inf)
    if math.isfinite(least):
        floors[np.argsort(targets, kind="stable")] = least - peak + step * np.arange(1, len(logits) + 1)
    total, is_held = float(np.exp(logits - peak).sum()), np.zeros(len(logits), dtype=np.bool_)
    best = int(targets.argmax())
    while True:
        free = targets[~is_held]
        highest = float(free.max())
        rest = total - float(np.exp(floors[is_held]).sum())
        shift = math.log(rest) - highest - math.log(float(np.exp(free - highest).sum()))
        falls = ~is_held & (targets + shift < floors)
        falls[best] = False
        if not falls.any():
            return np.where(is_held, floors, targets + shift) + peak
        is_held |= falls
