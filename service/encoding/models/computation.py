"""What computes a model of the core: machine code; until that is there the definition; torch where there is none.

The definition answers a question in some 20 ms, where torch takes two seconds of a processor to be imported, and is
hardly faster on the small batches that a queue makes while something stands in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from attention.kernels import encodes
from attention.transformer import Compiled, SentenceEncoder, compiles, unfit_precision
from service.encoding.errors import ModelUnusable
from service.encoding.models.network import Precision
from service.encoding.models.torch_threads import use_threads

LIKE = 0.8
"""How much of a sequence is text at least where it is padded."""

Compute = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""The tokens [t] of b texts, one after the other, and their lengths [b] → float32 [b, d]."""


class Computation:
    """The fastest there is at the moment; any thread may call it.

    What stands in for machine code computes in float32, whatever the precision is: more exactly than was asked for.

    Args:
        model: with arrays of NumPy.
        precision: of the machine code.
        threads: at most so many work on one batch; None for all cores.

    Raises:
        ModelUnusable: bfloat16 of a model that there is no machine code for, or where it is slower than float32.
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
        if self._compiles and (reason := unfit_precision(precision)) is not None:
            raise ModelUnusable(f"{reason}: say PRECISION=float32")
        self._lock = Lock()
        self._settled: Compute | None = None

    def __call__(self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        """The tokens [t] of b texts, one after the other, and their lengths [b] → float32 [b, d]."""
        compute = self._settled or self._now()
        return compute(tokens, lengths)

    def _now(self) -> Compute:
        with self._lock:
            if self._settled is None:
                if not self._compiles:
                    self._settled = _without_machine_code(self._model, self._threads)
                elif encodes():
                    self._settled = Compiled(self._model, self._precision, threads=self._threads)
            return self._settled or partial(by_definition, self._model)


def _without_machine_code(model: SentenceEncoder, threads: int | None) -> Compute:
    try:
        use_threads(threads)
        from attention.transformer import Packed
    except ModuleNotFoundError:
        return partial(by_definition, model)
    return Packed(model)


def by_definition(model: SentenceEncoder, tokens: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """The same without any library, slowly: neighbours of like length are padded to the first of them."""
    ends, embeddings, start = np.cumsum(lengths), list[NDArray[np.float32]](), 0
    while start < len(lengths):
        longest = lengths[start]
        unlike = (lengths[start:] > longest) | (lengths[start:] < LIKE * longest)
        stop = start + int(unlike.argmax()) if unlike.any() else len(lengths)
        padded = np.zeros((stop - start, longest), dtype=np.int64)
        padded[np.arange(longest) < lengths[start:stop, None]] = tokens[ends[start] - longest : ends[stop - 1]]
        embeddings.append(model(padded, lengths[start:stop]))
        start = stop
    return np.concatenate(embeddings)
