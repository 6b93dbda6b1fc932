"""The core of softkv: attention as a function of arrays.

    from softkv_attention import attend

    attended = attend(query, key, value, temperature=0.05, null=0.3)
    attended.output, attended.weights, attended.null_weight

Results are arrays of the library of the arguments: NumPy, or torch, with gradients and on its device. This package
does not depend on HTTP, text or a database. Start reading in `definition.py`.

The names of similarities and normalisers are the keys of SIMILARITIES and NORMALISERS. `check_temperature` defines
the valid temperatures for all of softkv. `partial`, `merge` and `filtered` are for users of the library: softkv itself
does not call them.
"""

from __future__ import annotations

from softkv_attention.definition import Attended, attend
from softkv_attention.errors import AttentionError, ParameterError, ShapeError
from softkv_attention.heads import Heads, HeadsSteps, LowRank
from softkv_attention.hopfield import Recalled, energy, recall
from softkv_attention.logits import SMALLEST_TEMPERATURE, check_temperature
from softkv_attention.masks import causal, filtered, padding
from softkv_attention.normalisers import NORMALISERS, Normaliser, entmax15, one_hot, softmax, sparsemax
from softkv_attention.partials import Partial, merge, partial
from softkv_attention.similarity import SIMILARITIES, Additive, Bilinear, Similarity, cosine, dot, gaussian, scaled_dot

__all__ = [
    "NORMALISERS",
    "SIMILARITIES",
    "SMALLEST_TEMPERATURE",
    "Additive",
    "Attended",
    "AttentionError",
    "Bilinear",
    "Heads",
    "HeadsSteps",
    "LowRank",
    "Normaliser",
    "ParameterError",
    "Partial",
    "Recalled",
    "ShapeError",
    "Similarity",
    "attend",
    "causal",
    "check_temperature",
    "cosine",
    "dot",
    "energy",
    "entmax15",
    "filtered",
    "gaussian",
    "merge",
    "one_hot",
    "padding",
    "partial",
    "recall",
    "scaled_dot",
    "softmax",
    "sparsemax",
]
