"""The heads of a Transformer for one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from traitlets import Bytes, Dict, Int, TraitError, Unicode, validate

from softkv_widget.page import PageWidget

if TYPE_CHECKING:
    from softkv import Trace
    from softkv_attention.transformer import TracedLayer

MOST_TOKENS = 64
"""Each token has a line of the picture, and a thread to each other."""


class Heads(PageWidget):
    """The attention of each head of a Transformer for one text, with a map of all heads to drag over.

    Attributes:
        layer, head: the head that is shown, as indices of the trace from 0. The picture's text counts from 1.
        word: the token whose threads are shown, from 0.

    Args:
        trace: a `Trace` of `softkv.Client.trace`; a list of `TracedLayer`, as `softkv_attention.transformer.trace`
            returns it, for one set of heads; or weights float[layers, heads, n, n], in which row i has the weights of
            token i.
        tokens: the n tokens as texts, at most 64; those of a `Trace` if left out.

    Raises:
        ValueError: the weights are not [layers, heads, n, n], or their tokens are missing or too many.

    Example:
        >>> Heads(client.trace("The dog chased the cat"))
    """

    _view = Unicode("heads").tag(sync=True)
    _trace = Dict().tag(sync=True)
    _weights = Bytes().tag(sync=True)
    layer = Int(0).tag(sync=True)
    head = Int(0).tag(sync=True)
    word = Int(0).tag(sync=True)

    def __init__(self, trace: Trace | Sequence[TracedLayer] | ArrayLike, tokens: Sequence[str] | None = None) -> None:
        weights, layers, heads, texts = _read(trace)
        names = texts if tokens is None else list(tokens)
        if weights.ndim != 4 or weights.shape[2] != weights.shape[3] or 0 in weights.shape:
            raise ValueError(f"trace must have weights [layers, heads, n, n], got {list(weights.shape)}")
        count = weights.shape[2]
        if names is None:
            raise ValueError(f"tokens are missing: pass the texts of the {count} tokens, as in Heads(weights, tokens)")
        if len(names) != count:
            raise ValueError(f"tokens must have one text for each of {count} rows of the weights, got {len(names)}")
        if count > MOST_TOKENS:
            raise ValueError(f"expected at most {MOST_TOKENS} tokens, got {count}: trace a shorter text")
        self._shape = weights.shape
        super().__init__(
            _trace={"tokens": [str(name) for name in names], "layers": layers, "heads": heads},
            _weights=weights.tobytes(),
        )

    @validate("layer", "head", "word")
    def _valid_index(self, proposal: Any) -> int:
        """Return a proposed index, if the trace has it."""
        name = proposal["trait"].name
        length = self._shape[("layer", "head", "word").index(name)]
        if not 0 <= proposal["value"] < length:
            raise TraitError(f"{name} must lie from 0 to {length - 1}, got {proposal['value']}")
        return int(proposal["value"])


def _read(trace: Any) -> tuple[np.ndarray[Any, np.dtype[np.float32]], list[int], list[int], list[str] | None]:
    """Return the weights of a trace, the numbers of its layers and heads in the model, and its tokens or None."""
    if hasattr(trace, "attention"):
        texts = [token.text for token in trace.tokens]
        return np.asarray(trace.attention, dtype=np.float32), list(trace.layers), list(trace.heads), texts
    if isinstance(trace, Sequence) and all(hasattr(layer, "weights") for layer in trace) and trace:
        weights = np.stack([np.asarray(layer.weights, dtype=np.float32) for layer in trace])
        return weights, [layer.layer for layer in trace], list(trace[0].heads), None
    weights = np.asarray(trace, dtype=np.float32)
    layers, heads = (list(range(length)) for length in (*weights.shape, 0, 0)[:2])
    return weights, layers, heads, None
