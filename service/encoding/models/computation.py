"""What computes a model of the core: machine code; until that is there torch, or the definition without torch."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from attention.kernels import encodes
from attention.transformer import Compiled, SentenceEncoder, compiles
from service.encoding.errors import ModelUnusable
from service.encoding.models.network import Precision
from service.encoding.models.torch_threads import use_threads

LOADING_SECONDS = 10.0
"""How long a first text waits for machine code that is kept and only has to be loaded, which takes a second or two."""

Compute = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""The tokens [t] of b texts, one after the other, and their lengths [b] → float32 [b, d]."""


class Computation:
    """The fastest there is at the moment; any thread may call it.

    What stands in computes in float32, whatever the precision is: more exactly than was asked for.

    Args:
        model: with arrays of NumPy.
        precision: of the machine code.
        threads: at most so many work on one batch; None for all cores.

    Raises:
        ModelUnusable: bfloat16 of a model that there is no machine code for.
    """

    def __init__(self, model: SentenceEncoder, precision: Precision, threads: int | None) -> None:
        self._model = model
        self._precision = precision
        self._threads = threads
        self._compiles = compiles(model)
        if precision != "float32" and not self._compiles:
            raise ModelUnusable(
                f"{precision} was asked for, and this model is computed in float32 alone: softkv's machine code, which "
                "has both, is for layers that normalise last and heads whose width is a multiple of 32, where numba is "
                "installed: say PRECISION=float32"
            )
        self._lock = Lock()
        self._compiled: Compute | None = None
        self._standing_in: Compute | None = None

    def __call__(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """The tokens [t] of b texts, one after the other, and their lengths [b] → float32 [b, d]."""
        compute = self._compiled or self._now()
        return compute(tokens, lengths)

    def _now(self) -> Compute:
        with self._lock:
            if self._compiled is None and self._compiles and encodes(LOADING_SECONDS):
                self._compiled = Compiled(self._model, self._precision, threads=self._threads)
                self._standing_in = None
            if self._compiled is not None:
                return self._compiled
            if self._standing_in is None:
                self._standing_in = _stand_in(self._model, self._threads)
            return self._standing_in


def _stand_in(model: SentenceEncoder, threads: int | None) -> Compute:
    try:
        use_threads(threads)
        from attention.transformer import Packed
    except ModuleNotFoundError:
        return lambda tokens, lengths: by_definition(model, tokens, lengths)
    return Packed(model)


def by_definition(model: SentenceEncoder, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """The same without any library, padded and slowly."""
    padded = np.zeros((len(lengths), lengths.max()), dtype=np.int64)
    padded[np.arange(lengths.max()) < lengths[:, None]] = tokens
    embeddings: NDArray[np.float32] = model(padded, lengths)
    return embeddings
