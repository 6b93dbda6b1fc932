"""Attention over parts of the keys, and the merge of the results to attention over all keys.

Tiles of one array, chunks of a stream and shards on other machines are the same thing: disjoint sets of keys. The
result of each part is again like a key, with a similarity, a bias and a value. So attention over the partial results
merges them. This holds for softmax only.

This module is for users of softkv as a library: softkv itself does not call it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from softkv_attention.arrays import Array, array_namespace, attendable, blend, largest, namespace
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.logits import at_temperature, compare, peak_logit
from softkv_attention.normalisers import at_least_one, exponentials
from softkv_attention.similarity import Similarity


class Partial(NamedTuple):
    """The result of attention over a part of the keys.

    All arrays but the output are float64, whatever the type of the keys.

    The largest logit is stored in two parts, from the similarity and from the bias. At a small T their sum would lose
    the bias, which decides among keys that tie.

    Attributes:
        output: [..., m, d_v], the weighted mean of these keys' values; zero if all keys are masked.
        mass: [..., m], Σ exp(logit − largest logit), at least 1; 0 if all keys are masked.
        similarity: [..., m], the largest similarity, relative to which logits are stored.
        offset: [..., m], the largest logit minus similarity/T; −∞ if all keys are masked.
        temperature: the temperature, which all parts share.
    """

    output: Array
    mass: Array
    similarity: Array
    offset: Array
    temperature: float

    @property
    def peak(self) -> Array:
        """[..., m], the largest logit, or at T = 0 the largest similarity; −∞ if all keys are masked."""
        if self.temperature > 0:
            return peak_logit(self.similarity, self.temperature) + self.offset
        xp = array_namespace(self.similarity)
        return xp.where(self.offset > -math.inf, self.similarity, -math.inf)

    @property
    def log_sum_exp(self) -> Array:
        """[..., m], ln Σ exp(logit), or at T = 0 ln Σ exp(bias) over the keys that tie.

        After a merge of all parts, it is the log-partition.
        """
        xp = array_namespace(self.mass)
        count = xp.log(at_least_one(self.mass))
        return peak_logit(self.similarity, self.temperature) + self.offset + count


def partial(
    query: Array,
    key: Array,
    value: Array,
    *,
    similarity: str | Similarity = "scaled_dot",
    temperature: float = 1.0,
    mask: Array | None = None,
    bias: Array | None = None,
    null: float | Array | None = None,
) -> Partial:
    """Attend over one part of the keys.

    Arguments, shapes and errors are those of `attend`; mask and bias are for these keys alone. A part without keys, n =
    0, is the identity of `merge`. Pass the null key to exactly one of the parts.
    """
    query, key, value, _ = attendable(query, key, value)
    xp, n = array_namespace(key), key.shape[-2]

    logits = compare(query, key, similarity, temperature, mask, bias, null)
    terms, total = exponentials(logits.relative)  # [..., m, n], a null key last; [..., m, 1]
    return Partial(
        output=blend((terms / total)[..., :n], value),
        mass=xp.sum(terms, axis=-1, dtype=xp.float64),
        similarity=xp.astype(logits.peak, xp.float64)[..., 0],
        offset=xp.astype(largest(logits.relative), xp.float64)[..., 0],
        temperature=float(temperature),
    )


def merge(*parts: Partial) -> Partial:
    """Return the attention over all keys of the parts. The order and grouping of the parts do not matter.

    Args:
        parts: at least one part, over disjoint keys, for the same queries and temperature.

    Raises:
        ParameterError: parts are missing, or have different temperatures.
        ShapeError: parts have different shapes.
    """
    temperatures = {part.temperature for part in parts}
    if len(temperatures) != 1:
        raise ParameterError(
            f"merge needs parts of one temperature, got {sorted(temperatures)}: attend over each at the same"
        )
    shapes = {tuple(part.output.shape) for part in parts}
    if len(shapes) != 1:
        raise ShapeError(f"merge needs parts of one shape, got {sorted(shapes)}: they must share queries and d_v")
    xp = namespace(**{f"part_{i}": part.output for i, part in enumerate(parts)})
    temperature = parts[0].temperature

    # Each part is treated as a key: [..., m, parts].
    similarity = xp.stack([part.similarity for part in parts], axis=-1)
    offset = xp.stack([part.offset for part in parts], axis=-1)
    mass = xp.stack([part.mass for part in parts], axis=-1)
    output = xp.stack([part.output for part in parts], axis=-1)  # [..., m, d_v, parts]

    logits = at_temperature(similarity, temperature, offset)
    terms, _ = exponentials(logits.relative)
    terms = terms * mass
    total = xp.sum(terms, axis=-1)  # [..., m]
    shares = terms / xp.where(total > 0, total, 1.0)[..., None]
    return Partial(
        output=xp.astype(xp.sum(shares[..., None, :] * output, axis=-1), output.dtype, copy=False),
        mass=total,
        similarity=logits.peak[..., 0],
        offset=largest(logits.relative)[..., 0],
        temperature=temperature,
    )
