"""Near copies: documents that share the weight because they say nearly the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from softkv_attention.lookup import HALF, HeavyRows, Verdict
from softkv_service.storage.errors import DocumentDamaged

Array = np.ndarray[Any, Any]

COPY_COSINE = 0.95
"""From this cosine on, two keys are copies: if one answers a question, so does the other."""

FEW_DOCUMENTS = 16
"""The keys of this many documents are read first. They usually decide, and each key takes time to read."""


def share_alike(
    similarity: str,
    verdict: Verdict,
    heavy_rows: HeavyRows | None,
    read_keys: Callable[[Array], Array],
    *,
    is_readable: bool,
) -> bool:
    """Return whether the documents that share the weight of an answer say nearly the same.

    They do if the heaviest one and its copies hold more than half of all weight. The result is false for other verdicts
    than "several", if the model knows no word of the question, and if a key is damaged in the store.

    Args:
        similarity: the name of the collection's similarity.
        verdict: the verdict of the answer.
        heavy_rows: the heaviest keys of the answer; None if they cannot share half of the weight.
        read_keys: returns the keys float32[n, d] with the row numbers int64[n].
        is_readable: whether the model knows a word of the question.
    """
    if verdict.stands != "several" or heavy_rows is None or not is_readable:
        return False
    try:
        return _share_as_copies(similarity, heavy_rows, read_keys)
    except DocumentDamaged:  # reported to callers that read the document
        return False


def _share_as_copies(similarity: str, heavy_rows: HeavyRows, read_keys: Callable[[Array], Array]) -> bool:
    """Return whether the heaviest document and its copies have more than half of all weight together.

    A document is a copy if its heaviest key is a copy of that of the heaviest document. If several documents tie for
    the heaviest, one with enough copies is sufficient. Weights of keys that are not among the heavy ones do not count.
    """
    # The first row of a document is its heaviest.
    _, first_rows, index = np.unique(heavy_rows.documents, return_index=True, return_inverse=True)
    weights = np.bincount(index, heavy_rows.weights)
    order = np.argsort(-weights, kind="stable")
    rows, weights = heavy_rows.numbers[first_rows[order]], weights[order]
    ties = int(np.count_nonzero(weights == weights[0]))
    for count in (FEW_DOCUMENTS, len(rows)):
        keys = read_keys(rows[:count])
        largest = max(weights[:count][_are_copies(similarity, keys, key)].sum() for key in keys[:ties])
        if largest > HALF or largest + weights[count:].sum() <= HALF:
            break
    return bool(largest > HALF)


def _are_copies(similarity: str, keys: Array, key: Array) -> Array:
    """Return bool[n], whether each of some keys is a copy of another key.

    For gaussian, which compares distances, a cosine says nothing, so only equal keys are copies. A zero key has none.

    Args:
        similarity: the name of the collection's similarity.
        keys: float32[n, d].
        key: float32[d].
    """
    if similarity == "gaussian":
        return np.asarray((keys == key).all(axis=1))
    keys, key = keys.astype(np.float64), key.astype(np.float64)
    lengths = np.linalg.norm(keys, axis=1) * np.linalg.norm(key)
    return np.asarray((lengths > 0) & (keys @ key >= COPY_COSINE * lengths))
