"""The judge: does one document stand out, do several share the weight, or does none match the query?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stands = Literal["one", "several", "none"]

HALF = 0.5
"""A share of all weight. A null key with at least this much means "none"; a document with more stands out."""


@dataclass(frozen=True)
class Verdict:
    """The statement that one document stands out, several share the weight, or none matches the query.

    Attributes:
        stands: "one", "several" or "none"; see `judge`.
        certain: whether the true weights give the same verdict, if the bound on their total variation holds.
    """

    stands: Stands
    certain: bool


@dataclass(frozen=True)
class Shares:
    """The shares of an answer's weight that a verdict follows from.

    Attributes:
        null: the weight of the null key ("none of these"); None without one.
        heaviest: the weight of the heaviest document; 0 if no document passes the mask.
        documents: the number of documents that pass the mask.
        error: a bound on the total variation between these weights and the true ones. The true weight of any set of
            documents differs from the computed one by at most this.
        at_most: the largest weight that a document can have; None if that is `heaviest`.
    """

    null: float | None
    heaviest: float
    documents: int
    error: float
    at_most: float | None = None


@dataclass(frozen=True)
class GroupShare:
    """The weight of the heaviest group of documents, which counts as one document, and a bound on its error."""

    weight: float
    error: float


@dataclass(frozen=True)
class FirstConfidence:
    """The probability that the first match is right, beside the one that was asked for.

    Attributes:
        required: the confidence from which the first match stands out.
        computed: the confidence by the computed weights.
        bounds: the confidences at the ends of what the true weights can be.
    """

    required: float
    computed: float
    bounds: tuple[float, float]


@dataclass(frozen=True)
class Policy:
    """What a verdict depends on beside the weights.

    Attributes:
        none_from: the null weight from which the verdict is "none", at least ½.
        is_readable: whether the query says anything that its encoder knows. If not, no document stands out.
        confidence: if given, a document stands out by its confidence, and not by its weight.
        group: if given, this group of documents stands out if it has more than half of all weight.
    """

    none_from: float = HALF
    is_readable: bool = True
    confidence: FirstConfidence | None = None
    group: GroupShare | None = None


BY_WEIGHT = Policy()
"""The verdict follows from the weights alone."""


def judge(shares: Shares, policy: Policy = BY_WEIGHT) -> Verdict:
    """Return the verdict of computed weights, and whether the true weights must give the same one.

    It is "none" if the null key ("none of these") has at least `none_from`, or if no document passes. It is "one" if a
    document has more than half of all weight, and "several" otherwise. The policy can put a confidence or a group of
    documents in place of that document.
    """
    null, error = shares.null or 0.0, shares.error
    if not shares.documents:
        return Verdict("none", error == 0 or null - error >= HALF)
    if null >= policy.none_from:
        return Verdict("none", null - error >= policy.none_from)
    never_none, never_half = (shares.null is None or null + error < share for share in (policy.none_from, HALF))
    if not policy.is_readable:
        return Verdict("several", never_half)
    if policy.confidence is not None:
        required, stands = policy.confidence.required, policy.confidence.computed >= policy.confidence.required
        agrees = all((bound >= required) == stands for bound in policy.confidence.bounds)
        return Verdict("one" if stands else "several", agrees and never_none)
    if null < HALF and shares.heaviest > HALF:
        return Verdict("one", shares.heaviest - error > HALF)
    if policy.group is not None and policy.group.weight + policy.group.error > HALF:
        stands = policy.group.weight > HALF
        return Verdict("one" if stands else "several", stands and policy.group.weight - policy.group.error > HALF)
    if null >= HALF:  # no document can have more than half
        return Verdict("several", never_none)
    # "several" is certain if neither the null key nor any one document can truly have half.
    return Verdict("several", never_half and max(shares.heaviest, shares.at_most or 0.0) + error <= HALF)
