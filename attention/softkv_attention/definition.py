"""The one definition of attention.

    s       = similarity(query, key)
    logits  = s / temperature + bias
    weights = normaliser(logits)
    output  = weights @ value

At low temperatures it is a lookup, which returns the best match alone. At high temperatures it is an average over all
values. Between the two, every value counts for as much as its key resembles the query.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar, overload

from softkv_attention.arrays import AnyArray, Array, array_namespace, attendable, blend
from softkv_attention.logits import compare, peak_logit
from softkv_attention.names import resolve
from softkv_attention.normalisers import NORMALISERS, Normaliser, log_sum_exp, softmax
from softkv_attention.similarity import Similarity

Result = TypeVar("Result")


class Attended(NamedTuple, Generic[Result]):
    """The result of attention, in the array library of its arguments.

    Attributes:
        output: [..., m, d_v], the weighted sum of the values.
        weights: [..., m, n], the weight of each key for each query. Together with the null weight, each row sums to
            one; without a null key, a row whose keys are all masked sums to zero.
        logits: [..., m, n], s/T + bias; −∞ for a masked key; at T = 0, 0 on ties and −∞ elsewhere.
        log_partition: [..., m], ln Σ exp(logit), including the null key's logit; without a null key, −∞ if all keys
            are masked. None unless the normaliser is softmax, because the others lack such a sum.
        null_weight: [..., m], the null key's weight; 0 without a null key.
    """

    output: Result
    weights: Result
    logits: Result
    log_partition: Result | None
    null_weight: Result


@overload
def attend(
    query: AnyArray,
    key: AnyArray,
    value: AnyArray,
    *,
    similarity: str | Similarity = "scaled_dot",
    temperature: float = 1.0,
    mask: Array | None = None,
    bias: Array | None = None,
    null: float | Array | None = None,
    normaliser: str | Normaliser = "softmax",
) -> Attended[AnyArray]: ...


@overload
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
) -> Attended[Array]: ...


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
) -> Attended[Array]:
    """Attend from every query over all keys; return the weights and the weighted sums of values.

    Leading dimensions are batched and broadcast. The computation is in float32 or wider. The output has the type of
    the arguments; integers count as the library's default float.

    Args:
        query: [..., m, d]
        key: [..., n, d]
        value: [..., n, d_v], finite.
        similarity: "cosine", "dot", "scaled_dot", "gaussian", or a function of query and key, such as
            `Bilinear` and `Additive`.
        temperature: 0 for the best match alone, from 1e-30 up for softer and softer weights, ∞ for the mean.
        mask: bool, broadcasts to [..., m, n]; True where a query may attend.
        bias: broadcasts to [..., m, n]; added to s/T. −∞ masks a key; all other entries are finite.
        null: the similarity of the null key, an additional key that means "none of these" and whose value is zero. A
            number, or an array that broadcasts to [..., m].
        normaliser: "softmax", "sparsemax", "entmax15", "one_hot", or a function of the logits. At T = 0
            they are all the same: keys that tie for the largest similarity share as softmax(bias).

    Raises:
        ShapeError: the shapes do not fit each other.
        ParameterError: a temperature, name or type is invalid; or a named similarity of NumPy's arrays overflows.

    Source: Vaswani et al. 2017 (arXiv 1706.03762); with a null key, Miller 2023, "Attention is off by one".
    """
    query, key, value, dtype = attendable(query, key, value)
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
        output=xp.astype(output, dtype, copy=False),
        weights=weights[..., :n],
        logits=logits.absolute[..., :n],
        log_partition=log_partition,
        null_weight=xp.sum(weights[..., n:], axis=-1),
    )
