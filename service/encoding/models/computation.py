"""What computes a model of the core: torch, and the definition where there is no torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from attention.transformer import SentenceEncoder, mapped
from service.encoding.errors import LibraryMissing
from service.encoding.models.network import Precision
from service.encoding.models.torch_threads import use_threads

Compute = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""The tokens [t] of b texts, one after the other, and their lengths [b] → float32 [b, d]."""


def computation(model: SentenceEncoder, precision: Precision, threads: int | None) -> Compute:
    """The fastest there is.

    Raises:
        LibraryMissing: bfloat16 without torch.
    """
    try:
        use_threads(threads)
        from attention.transformer import Packed
    except ModuleNotFoundError as error:
        if precision != "float32":
            raise LibraryMissing(
                f"{precision} is computed by torch, which is not installed: say PRECISION=float32"
            ) from error
        return lambda tokens, lengths: by_definition(model, tokens, lengths)
    if precision == "float32":
        return Packed(model)
    import torch

    return Packed(mapped(lambda array: torch.from_numpy(array).bfloat16(), model))


def by_definition(model: SentenceEncoder, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """The same without any library, padded and slowly."""
    padded = np.zeros((len(lengths), lengths.max()), dtype=np.int64)
    padded[np.arange(lengths.max()) < lengths[:, None]] = tokens
    embeddings: NDArray[np.float32] = model(padded, lengths)
    return embeddings
