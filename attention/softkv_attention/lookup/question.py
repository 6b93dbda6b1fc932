"""Questions to a view: one query, its temperature, mask and bias, and the size of the answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from softkv_attention.arrays import F64, norm, reals
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.forked import cached_property
from softkv_attention.logits import check_temperature
from softkv_attention.lookup.memory.bias import AnyBias
from softkv_attention.lookup.memory.view import AnyMask, AnyView
from softkv_attention.lookup.softmax.distribution import SUPPORT, null_logit
from softkv_attention.lookup.softmax.evidence import Background, NullKey
from softkv_attention.normalisers import NORMALISERS

TOP_K = 10
TOP_K_WITH_TOP_P = 1000

SHORTEST, LONGEST = 1e-100, 1e100
"""The lengths between which a query's squares, and its products with keys in float32, stay well within float64."""
LARGEST_SIMILARITY = 1e270
"""Over the smallest temperature, it is still within float64."""
LONGEST_KEY = 1e45
"""No key of float32 is longer: its components are at most 3.4e38, and there are fewer than 1e12."""


@dataclass(frozen=True)
class Auto:
    """A temperature to be solved for, such that the answer has a given number of effective keys, exp(entropy).

    If each document has one key, effective keys are effective documents. A target above half of the keys that pass the
    mask counts as that half. If at least as many keys tie for the best, the temperature is 0. Keys are counted because
    their entropy rises with the temperature, so that some temperature has the target. The entropy of documents with
    several keys need not rise.

    Args:
        effective_documents: the target number, at least 1.

    Raises:
        ParameterError: a target below 1.
    """

    effective_documents: float = 8.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.effective_documents) and self.effective_documents >= 1):
            raise ParameterError(
                f"effective_documents must be a number of at least 1, got {self.effective_documents!r}"
            )


@dataclass(frozen=True, eq=False)
class Question:
    """One query, and the options of its answer.

    Args:
        query: float[d], finite; not zero where the similarity is cosine.
        temperature: 0, or from 1e-30 to infinity; or `Auto`.
        null: the similarity of the null key, which means "none of these"; or the background (the distribution of
            unrelated similarities) from which it follows; None for no null key.
        mask: which documents may be attended to; None for all. It must be made for the view that is queried.
        normaliser: softmax, sparsemax, entmax15 or one_hot.
        top_k: how many documents the answer lists, apart from further ties; None for 10, or for at most 1,000 with
            `top_p`.
        top_p: the answer lists the fewest documents that have this share of the weight, above 0 and at most 1; None to
            list `top_k`.
        output: whether to compute the output Σ weight·value.
        max_error: the largest allowed error: total variation of the weights, and the output's error relative to the
            largest ‖value‖. None for the default precision.
        bias: a number added to the logits of each document, −∞ to forbid it; None for nothing. It must be made for the
            view that is queried. The null key has none.
        weigh_all: whether the answer has the weight of every document.
        exact: whether all is computed in float64, however many rows pass the mask. Then no number of the answer follows
            from a row that does not pass, while the bounds of a scan follow from all rows of a block. Of more than a
            million rows in other processes, it is as if this were false.

    Attributes:
        vector: the query as float64[d].
        cap: the largest number of documents that the answer lists, apart from further ties with the last one.

    Raises:
        ShapeError: the query is not a vector.
        ParameterError: a number is out of its range, a name is unknown, or `Auto` or `top_p` does not apply.
    """

    query: NDArray[np.floating]
    temperature: float | Auto
    null: float | Background | None = None
    mask: AnyMask | None = None
    normaliser: str = "softmax"
    top_k: int | None = None
    top_p: float | None = None
    output: bool = True
    max_error: float | None = None
    bias: AnyBias | None = None
    weigh_all: bool = False
    exact: bool = False
    vector: F64 = field(init=False, repr=False, compare=False)
    cap: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        query = _vector(self.query)
        if not np.isfinite(query).all():
            raise ParameterError("query must be finite: it holds NaN or infinity")
        object.__setattr__(self, "query", query)
        object.__setattr__(self, "vector", query)
        if self.normaliser not in NORMALISERS:
            raise ParameterError(f"normaliser must be one of {', '.join(NORMALISERS)}, got {self.normaliser!r}")
        if isinstance(self.temperature, Auto):
            if self.normaliser != "softmax":
                raise ParameterError(
                    f'temperature "auto" is for softmax only, got {self.normaliser}: give a number, or use softmax'
                )
            if self.bias is not None:
                raise ParameterError(
                    'temperature "auto" is not for a question with a bias, whose weights need not spread as it rises: '
                    "give a number"
                )
        else:
            object.__setattr__(self, "temperature", check_temperature(self.temperature))
        if not (self.null is None or isinstance(self.null, Background) or _is_finite(self.null)):
            named = ": what a name stands for over HTTP is a Background here" if isinstance(self.null, str) else ""
            raise ParameterError(
                f"null must be a finite similarity, a Background, or None for no null key; got {self.null!r}{named}"
            )
        if not (self.null is None or isinstance(self.null, Background)):
            object.__setattr__(self, "null", float(self.null))
        if self.top_k is not None and not (isinstance(self.top_k, int | np.integer) and self.top_k >= 0):
            raise ParameterError(f"top_k must be a whole number, 0 or more, got {self.top_k!r}")
        default = TOP_K if self.top_p is None else TOP_K_WITH_TOP_P
        object.__setattr__(self, "cap", default if self.top_k is None else self.top_k)
        if self.top_p is not None and not (_is_finite(self.top_p) and 0 < self.top_p <= 1):
            raise ParameterError(f"top_p must be above 0 and at most 1, got {self.top_p!r}")
        if self.max_error is not None and not (_is_finite(self.max_error) and self.max_error > 0):
            raise ParameterError(f"max_error must be a finite number above 0, got {self.max_error!r}")
        if self.bias is not None and not isinstance(self.bias, AnyBias):
            raise ParameterError(
                f"bias must be a Bias, got {type(self.bias).__name__}: make it with Bias.of(view, numbers, addends)"
            )

    @property
    def weighs_all(self) -> bool:
        """Whether every row that passes the mask has a weight above 0, as with softmax above temperature 0."""
        return self.normaliser == "softmax" and self.temperature != 0

    @cached_property
    def support(self) -> float:
        """The largest distance below the best similarity at which a row can have weight; 0 for softmax and one_hot.

        It is the width of the support of sparsemax or entmax15 in logits, times the temperature.
        """
        if self.normaliser not in SUPPORT:
            return 0.0
        assert not isinstance(self.temperature, Auto)
        return SUPPORT[self.normaliser] * self.temperature * (1 + 1e-6)

    def head_size(self, passing: int) -> int:
        """Return how many of the best rows or documents must be known to build the answer, at least one.

        Args:
            passing: how many rows or documents pass the mask.
        """
        return max(1, min(self.cap, passing))

    def null_key(self, temperature: float, keys: int) -> NullKey | None:
        """Return the null key (the key "none of these") at a temperature; None if the question has none.

        If the null key follows from a background of similarities, its similarity depends on the temperature and the
        number of keys. Under a normaliser other than softmax, it is the one for temperature 0.

        Args:
            temperature: 0 or more.
            keys: how many keys pass the mask.
        """
        if isinstance(self.null, Background):
            return self.null.null_key(temperature if self.normaliser == "softmax" else 0.0, keys)
        return None if self.null is None else NullKey(self.null)

    def in_logits(self, keys: int, peak: float = 0.0) -> Question:
        """Return the same question about logits s/T + bias − peak/T instead of similarities s, at temperature 1.

        The question's temperature T must be above 0.

        Args:
            keys: how many rows pass the mask.
            peak: the similarity that logits are relative to.
        """
        assert not isinstance(self.temperature, Auto)
        null = null_logit(self.null_key(self.temperature, keys), self.temperature, peak)
        return replace(self, temperature=1.0, null=null, bias=None)

    def put_to(self, view: AnyView) -> Question:
        """Return the question as the view computes it: under cosine, a query of an extreme length is scaled.

        Raises:
            ShapeError: the query has another width than the keys.
            ParameterError: a zero query under cosine, similarities may leave float64, or a mask or a bias is of another
                view.
        """
        if view.dimension is not None and self.query.size != view.dimension:
            raise ShapeError(
                f"query has width {self.query.size}, the keys have width {view.dimension}: "
                "encode both with the same model"
            )
        size = math.sqrt(np.vdot(self.vector, self.vector))  # but for the last digits, which depend on the BLAS
        if not SHORTEST < size < LONGEST:
            size = norm(self.vector)
        if view.similarity == "cosine" and not size:
            raise ParameterError("the query is a zero vector, for which cosine is not defined: send another one")
        if self.mask is not None and getattr(self.mask, "view", None) is not view:
            if not isinstance(self.mask, AnyMask):
                raise ParameterError(
                    f"mask must be a Mask, got {type(self.mask).__name__}: make it with view.mask, which takes numbers "
                    "or booleans"
                )
            raise ParameterError("the mask belongs to another view: make it with this view's mask(numbers)")
        if self.bias is not None and self.bias.view is not view:
            raise ParameterError("the bias belongs to another view: make it with Bias.of(view, numbers, addends)")
        if SHORTEST < size < LONGEST:
            return self
        if view.similarity == "cosine":  # by a power of two, which rounds nothing
            _, exponent = np.frexp(np.abs(self.query).max())
            return replace(self, query=np.ldexp(self.query, -exponent))
        key = LONGEST_KEY if self.exact else view.facts.key_norm
        if size > LONGEST and (size + key if view.similarity == "gaussian" else key) > LARGEST_SIMILARITY / size:
            raise ParameterError(
                f"similarities must be at most {LARGEST_SIMILARITY:g}, the query of length {size:.1e} may have larger "
                "ones: scale query and keys down, or use cosine"
            )
        return self


def _vector(query: object) -> F64:
    """Return the caller's query as float64[d].

    Raises:
        ShapeError: the query is not one vector.
        ParameterError: the query does not hold real numbers, or needs a gradient.
    """
    vector = reals("query", query)
    if vector.ndim != 1:
        raise ShapeError(
            f"query must be one vector, got shape {vector.shape}: ask about several with "
            "answers(memory, [Question(query, temperature) for query in queries])"
        )
    return vector


def _is_finite(value: object) -> bool:
    """Return whether a value is a finite real number, and not a boolean."""
    if type(value) is float:
        return math.isfinite(value)
    try:
        return not isinstance(value, bool | complex | np.complexfloating) and bool(np.isfinite(value))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        return False


def group_by_mask(questions: Sequence[Question]) -> list[tuple[AnyMask | None, list[int]]]:
    """Return each distinct mask with the indices of the questions that have it."""
    groups: dict[int, list[int]] = {}
    for index, question in enumerate(questions):
        groups.setdefault(id(question.mask), []).append(index)
    return [(questions[group[0]].mask, group) for group in groups.values()]


def group_by_logits(questions: Sequence[Question]) -> list[list[int]]:
    """Return groups of question indices, such that one scan of 8-bit codes can answer the questions of a group.

    The questions of a group share the mask and the bias, and with a bias also the temperature.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, question in enumerate(questions):
        biased = () if question.bias is None else (id(question.bias), question.temperature)
        groups.setdefault((id(question.mask), *biased), []).append(index)
    return list(groups.values())


def mask_forbidden(questions: Sequence[Question]) -> list[Question]:
    """Return the questions with masks that also exclude the documents whose bias is −∞.

    Questions that share mask and bias share the new mask.
    """
    masks: dict[tuple[int, int], AnyMask | None] = {}
    masked = []
    for question in questions:
        bias = question.bias
        if bias is not None and bias.mask is not None:
            pair = id(question.mask), id(bias)
            if pair not in masks:
                masks[pair] = bias.restrict(question.mask)
            question = replace(question, mask=masks[pair])
        masked.append(question)
    return masked
