"""The one definition of attention.

    s       = similarity(query, key)
    logits  = s / temperature + bias
    weights = normaliser(logits)
    output  = weights @ value

Cold, it is a lookup: the best match alone. Hot, it is an average over all there is. Between the two,
every value counts for as much as its key resembles the query.
"""

from __future__ import annotations

from typing import NamedTuple

from array_api_compat import array_namespace

from attention.arrays import Array, attendable, blend
from attention.logits import compare, peak_logit
from attention.names import resolve
from attention.normalisers import NORMALISERS, Normaliser, log_sum_exp, softmax
from attention.similarity import Similarity


class Attended(NamedTuple):
    """What attention gives, in the library of its arguments.

    Attributes:
        output: [..., m, d_v] the weighted sum of the values.
        weights: [..., m, n] how much each query rests on each key; with the null weight, each row sums
            to one, or to zero where every key is masked and there is no null key.
        logits: [..., m, n] s/T + bias; −∞ for a masked key; at T = 0, 0 on ties and −∞ elsewhere.
        log_partition: [..., m] ln Σ exp(logit), the null key's included; −∞ where there is nothing to
            attend to. None for a normaliser that has no such sum, which is every one but softmax.
        null_weight: [..., m] the null key's share; 0 without one.
    """

    output: Array
    weights: Array
    logits: Array
    log_partition: Array | None
    null_weight: Array


def attend(
    query: Array,
    key: Array,
    value: Array,
    *,
    similarity: str | Similarity = "scaled_dot",
    temperature: float = 1.0,
    mask: Array | None = None,
    bias: Array | None = None,
    null: float | Array | None = None,
    normaliser: str | Normaliser = "softmax",
) -> Attended:
    """Attend from every query over all keys: weights, and the values they blend.

    Leading dimensions are batched and broadcast. The work is done in float32 at least; the output comes
    back in the type of the arguments, integers counting as the library's default float.

    Args:
        query: [..., m, d]
        key: [..., n, d]
        value: [..., n, d_v], finite.
        similarity: "cosine", "dot", "scaled_dot", "gaussian", or a function of query and key, such as
            `Bilinear` and `Additive`.
        temperature: 0 for the best match alone, from 1e-30 for ever softer weights, ∞ for the mean.
        mask: bool, broadcasts to [..., m, n]; True where a query may attend.
        bias: broadcasts to [..., m, n]; is added to s/T. −∞ masks; otherwise finite.
        null: the similarity of one more key, whose value is zero: "none of these". A number, or an array
            that broadcasts to [..., m].
        normaliser: "softmax", "sparsemax", "entmax15", "one_hot", or a function of the logits. At T = 0
            they are all the same: keys that tie for the largest similarity share as softmax(bias).

    Raises:
        ShapeError: shapes that do not fit.
        ParameterError: a temperature, name or type that cannot be.

    Source: Vaswani et al. 2017 (arXiv 1706.03762); with a null key, Miller 2023, "Attention is off by one".
    """
    query, key, value, given = attendable(query, key, value)
    normalise = resolve("normaliser", normaliser, NORMALISERS, "a function of the logits")
    n = key.shape[-2]

    logits = compare(query, key, similarity, temperature, mask, bias, null)  # [..., m, n], a null key last
    weights = normalise(logits.relative) if temperature > 0 else softmax(logits.relative)
    output = blend(weights[..., :n], value)  # [..., m, d_v]; the null key's value is zero

    log_partition = None
    if normalise is softmax:
        log_partition = (log_sum_exp(logits.relative) + peak_logit(logits.peak, temperature))[..., 0]

    xp = array_namespace(output)
    return Attended(
        output=xp.astype(output, given, copy=False),
        weights=weights[..., :n],
        logits=logits.absolute[..., :n],
        log_partition=log_partition,
        null_weight=xp.sum(weights[..., n:], axis=-1),
    )
