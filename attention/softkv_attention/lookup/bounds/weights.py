"""Bounds on the total variation between the computed weights and the true ones, with their proofs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from softkv_attention.arrays import F64
from softkv_attention.kernels import Totals
from softkv_attention.lookup.bounds.similarities import UNIT_ROUNDOFF, QuantisationError, Slack
from softkv_attention.lookup.softmax.distribution import SUPPORT, Distribution
from softkv_attention.lookup.softmax.mixture import Mixture

TIGHT = 1e-6
"""A bound of at most this needs no second, sharper one."""


def total_variation(
    distribution: Distribution | Mixture,
    normaliser: str,
    similarities: F64,
    best: float,
    slack: Slack,
    documents: int,
    alike: Callable[[], bool],
) -> float:
    """Bound the total variation between true and computed weights that rounding in float64 causes.

    The bound takes every row's similarity as computed in float64; `tail_variation` bounds what 8-bit codes add.

    Args:
        distribution: the computed weights.
        normaliser: softmax, sparsemax, entmax15 or one_hot.
        similarities: float64[n], of the rows with a float64 similarity; the best of all rows is among them.
        best: the largest similarity; unused if n is 0.
        slack: a bound on the errors of the similarities.
        documents: the number of rows that pass the mask.
        alike: returns whether all rows that tie for the best are copies of one vector; called only if it matters.
    """
    if not similarities.size:
        return 0.0
    temperature, null = distribution.evidence.temperature, distribution.evidence.null_similarity
    # At T = 0 and for one_hot only the best rows have weight: the question is whether they are truly the best.
    cold = temperature == 0 or normaliser == "one_hot"
    if normaliser in SUPPORT and not cold:
        return bound_sparse(similarities, null, slack, temperature, SUPPORT[normaliser])
    bound = 1.0 if cold else bound_rounding(slack, best, temperature, distribution.mean_gap, documents)
    # The second bound calls `alike`, which may read rows, so a first bound that is tight is enough.
    if bound > TIGHT:
        separated = bound_separated(similarities, null, slack, 0.0 if cold else temperature, alike=alike())
        bound = min(bound, separated)
    return bound


def bound_rounding(slack: Slack, best: float, temperature: float, mean_gap: float, n: int) -> float:
    """Bound the total variation that rounding causes in a softmax whose similarities are off by at most `slack`.

    The bound includes the rounding of the softmax itself. u is 2⁻⁵³.

    With true weights w, computed weights ŵ ∝ w·exp(ε_i) and |ε_i| ≤ ε, the worst case moves mass between a set with +ε
    and the rest with −ε. So the total variation is at most tanh(ε/2). Here ε is the slack at the best similarity, over
    T.

    Other errors grow with a logit's distance x from the largest: 3u·|x| for computing it, 2u for its exponential, and
    the relative slack. For such ε_i, w_i = ŵ_i·exp(−ε_i)/E with E the mean of exp(−ε_i) under ŵ. So Σ|w − ŵ| ≤ 2a/(1 −
    a), with a the mean of exp(ε_i) − 1. Unless an exponential vanishes, a is linear in the mean of |x|, `mean_gap`.

    NumPy sums in pairs over runs of 128 in 8 lanes, so the relative error of a sum of n terms is at most (24 + log₂
    n)·u. C compensates each addition, so its error is smaller. A null key that weighs as much as n keys has ln n in its
    logit, which moves its weight by at most log₂ n·u.

    Args:
        slack: a bound on a similarity's error.
        best: the largest computed similarity.
        temperature: T, above 0.
        mean_gap: the weighted mean distance of a logit from the largest.
        n: the number of rows.
    """
    shift = math.tanh(slack.at(best) / temperature / 2)
    # 1.001 pays for a, the mean of exp(ε) − 1, being linear in ε only to first order.
    drift = 1.001 * ((3 * UNIT_ROUNDOFF + slack.relative) * mean_gap + 8 * UNIT_ROUNDOFF)
    # 24 + log₂ n for the sum over the keys, log₂ n for the ln n of the null key, and 8 to spare.
    sums = (32 + 2 * math.log2(n + 1)) * UNIT_ROUNDOFF
    # Half of Σ|w − ŵ| ≤ 2a/(1 − a). If a is not clearly below 1, that proves nothing.
    return min(1.0, shift + (drift / (1 - drift) if drift < 0.5 else 1.0) + sums)


def bound_separated(similarities: F64, null: float | None, slack: Slack, temperature: float, *, alike: bool) -> float:
    """Bound the total variation if one document, or several copies of one, is far ahead of all others.

    This bound is sharp at low temperatures, at which `bound_rounding` is useless. A tie of t copies of one vector has
    one true similarity. If a document is behind by g in computed similarities, it is behind by at least g·(1 −
    relative) − 2·slack in true ones. So the mass outside the tie, relative to one copy, is at most R = Σ exp(−(g·(1 −
    relative) − 2·slack)/T), truly and as computed, and the total variation is at most R/t.

    The null key's similarity has no error. If it is the largest, R is the documents' mass relative to it. T = 0 is the
    limit: every document that may truly tie counts in full.

    Args:
        similarities: float64[n], n ≥ 1, as computed.
        null: the similarity of the null key ("none of these"), or None.
        slack: a bound on a similarity's error.
        temperature: T, 0 or more.
        alike: whether all documents that tie for the best are copies of one vector.
    """
    best = float(similarities.max())
    error = slack.at(best)
    # A gap of computed similarities shrinks by this factor before it is surely a true one.
    closer = 1 - slack.relative
    # The null key has no error, so a gap to it is off by one slack. A gap between two documents is off by two.
    if null is not None and null > best:
        return min(1.0, _mass((similarities - null) * closer + error, temperature) + UNIT_ROUNDOFF)
    # Different vectors that tie as computed may truly differ, and at T = 0 one of them then has all the weight.
    if not alike:
        return 1.0
    ties = similarities == best
    count = int(np.count_nonzero(ties))
    rest = _mass((similarities[~ties] - best) * closer + 2 * error, temperature)
    if null is not None:
        rest += _mass(np.array([null - best + error]), temperature)
    # R/t of the docstring, and the rounding of 1/count in each of the shares.
    return min(1.0, rest / count + count * UNIT_ROUNDOFF)


def bound_ties(similarities: F64, null: float | None, slack: Slack, *, alike: bool) -> float:
    """Bound the total variation at temperature 0 with a bias, where rows that tie for the best share as softmax(bias).

    Suppose that only copies of one vector tie, and that no other document may truly tie with them. Then the true
    similarities tie as well, and the only error is the rounding of a softmax of their biases, as in `bound_rounding`,
    with Σŵ|x| ≤ 1 + ln n. In all other cases the bound is 1, because a bias can give all of the weight to a document
    that only truly ties.

    Args:
        similarities: float64[n], n ≥ 1, as computed.
        null: the similarity of the null key ("none of these"), or None.
        slack: a bound on a similarity's error.
        alike: whether all rows that tie for the best are copies of one vector.
    """
    count = int(np.count_nonzero(similarities == similarities.max()))
    # One rival adds 1/count to that bound, rounding no more than count·u.
    if bound_separated(similarities, null, slack, 0.0, alike=alike) > 0.5 / count:
        return 1.0
    return min(1.0, (64 + 8 * math.log2(count + 1)) * UNIT_ROUNDOFF)


def bound_bias_rounding(biases: F64) -> float:
    """Bound the total variation among tied copies of one vector that comes from the rounding of biases.

    At temperature 0, rows that tie share the weight as softmax(bias). A bias b is a sum of numbers that is rounded
    once, so its error is u·|b|. Two copies with equal computed biases may truly differ by twice that. If every logit
    has an error of at most ε, softmax has a total variation of at most ε. For a single copy it is 0.

    Args:
        biases: float64[m] of the copies that tie, m ≥ 1.
    """
    return 2 * UNIT_ROUNDOFF * float(np.abs(biases).max()) if len(biases) > 1 else 0.0


@np.errstate(over="ignore")  # a null key may lie infinitely many temperatures from every row
def bound_sparse(similarities: F64, null: float | None, slack: Slack, temperature: float, support: float) -> float:
    """Bound the total variation that errors of similarities cause in sparsemax (support 1) or entmax15 (support 2).

    Both normalisers are max(z − τ, 0)^support of the logits z or their halves. τ grows with every z, by at most the
    largest growth of any z. So for logits off by ε, z − τ is off by 2ε (sparsemax) or ε (entmax15), and the weights by
    2ε or ε·(2·√w + ε). Only the m keys within support + 2ε of the largest can have weight. So half the sum is at most
    m·ε for sparsemax, and for entmax15, with Σ√w ≤ √m, ε·√m + m·ε²/2. The arithmetic for τ itself, sums of m terms, is
    counted as m²·u.

    Args:
        similarities: float64[n], n ≥ 1.
        null: the similarity of the null key ("none of these"), or None.
        slack: a bound on a similarity's error.
        temperature: T, above 0.
        support: how far below the largest logit a key can still have weight.
    """
    with_null = similarities if null is None else np.append(similarities, null)
    best = float(with_null.max())
    # Logits that matter lie within `support` of the largest, so a relative error is at most that share of it.
    error = slack.at(best) / temperature + support * (slack.relative + 4 * UNIT_ROUNDOFF)
    near = int(np.count_nonzero((with_null - best) / temperature >= -(support + 2 * error)))
    # A single key in reach has all the weight, truly and as computed.
    if near == 1:
        return UNIT_ROUNDOFF
    arithmetic = (16.0 + near) * near * UNIT_ROUNDOFF
    if support == 1:
        return min(1.0, near * error + arithmetic)
    return float(min(1.0, error * np.sqrt(near) + near * error * error / 2 + arithmetic))


def bound_tail(error: float, temperature: float, log_tail: float, tail_gap: float, mean_error: float = np.inf) -> float:
    """Bound the total variation if similarities of the tail are off by at most `error`, and all others are exact.

    The tail is the set of rows whose similarities come from 8-bit codes. |x| is a logit's distance from the largest
    one.

    Let ŵ be the computed weights and m = `tail` their sum over the tail. Let w_i = ŵ_i·Y_i/E[Y] be the true weights,
    with Y_i = exp(ε_i), |ε_i| ≤ b = error/T in the tail, and Y_i = 1 elsewhere. E is the mean under ŵ. Then the total
    variation is E|Y − E[Y]| / (2·E[Y]) ≤ E|Y − 1| / E[Y], and E[Y] ≥ 1 − m·(1 − exp(−b)).

    For E|Y − 1| there are two bounds. One is m·(exp(b) − 1). The other follows from |Y − 1| ≤ |ε|·(exp(b) − 1)/b: it is
    Σŵ|ε|·(exp(b) − 1)/b over the tail, and by Cauchy–Schwarz Σŵ|ε| ≤ √(Σŵ²)·√(Σε²) = `mean_error`. Moreover, errors ε
    within ±b never cause more than tanh(b/2).

    Rounding in float32 is added. A logit x below the threshold is off by 2⁻²²·|x|, its exponential by 4·10⁻⁷, and a sum
    of 64 terms by 2⁻¹⁸ of itself. So a tail term is off by 5·10⁻⁶ + 2⁻²²·|x|.

    Args:
        error: a bound on the error of a similarity of the tail.
        temperature: T, above 0.
        log_tail: the logarithm of the tail's weight m.
        tail_gap: Σŵ|x| over the tail.
        mean_error: a bound on Σŵ|ε| over the tail, if a better one than tail·b is known.
    """
    b = error / temperature
    tail = math.exp(log_tail)
    rounding = 5e-6 * tail + 2.0**-22 * tail_gap
    # m·(exp(b) − 1) < exp(ln m + b), which neither overflows nor vanishes too early.
    moved_mass = math.exp(min(log_tail + b, 1.0)) if b > 1 else bound_moved_mass(b, tail, mean_error)
    # E[Y] is smallest if every error of the tail is −b.
    least_mean = 1 + tail * math.expm1(-b)
    return min(1.0, math.tanh(b / 2), moved_mass / least_mean if least_mean > 0 else 1.0) + rounding


def bound_exact_documents(tail_bound: float) -> float:
    """Bound the total variation if documents' masses Σ exp(logit) are exact, but the sum over all rows is an estimate.

    The bound is twice the argument, for which this is the proof. Documents may have several rows. All rows of the
    documents in an answer are read in float64; the tail are the rows that were only scanned as 8-bit codes. Let e be
    the true masses of all rows and ê the computed ones, N the null key's mass, Z = Σe + N and Ẑ = Σê + N. The answer
    has the documents of a set A of rows. Each document has the weight Σe/Ẑ over its rows, and the null key N/Ẑ. All
    other rows together are the rest. M is Σe over A, and R is Σe over the other rows, so Z = M + N + R. With Y of
    `bound_tail`, Z/Ẑ = E[Y].

    If M + N ≤ Ẑ, the rest gets one minus all other weights. Each document and the null key are off by the same factor,
    and the rest by as much the other way. So the total variation is (M + N)·|1/Ẑ − 1/Z|. By M + N ≤ Z that is at most
    |Z − Ẑ|/Ẑ ≤ Σ|e − ê|/Ẑ = E|Y − 1|. And as M + N is at most both Z and Ẑ, it is at most 1 − min(Z, Ẑ)/max(Z, Ẑ) ≤ 1 −
    exp(−b).

    If M + N > Ẑ, the documents are scaled down to 1 − N/Ẑ together, and the rest is 0. Now Ẑ < M + N ≤ Z. The null key
    has (1/Ẑ − 1/Z)·N too much, the rest R/Z too little, and the documents are all off in one direction. So the total
    variation is one of these two. The first is at most 1 − Ẑ/Z by N ≤ Ẑ, and so is the second, (Z − M − N)/Z. And 1 −
    Ẑ/Z is at most both 1 − exp(−b) and (Z − Ẑ)/Ẑ ≤ E|Y − 1|.

    `bound_tail` returns at least E|Y − 1| or at least tanh(b/2), and 1 − exp(−b) ≤ 2·tanh(b/2). So twice that bound
    covers the total variation, rounding in float32 included, which is part of Y.

    Args:
        tail_bound: the result of `bound_tail`, if the rows of these documents count as part of the tail.
    """
    return 2 * tail_bound


def largest_slope(b: float) -> float:
    """Return the largest |exp(ε) − 1| / |ε| over all ε with |ε| ≤ b."""
    # (exp(ε) − 1)/ε grows with ε, so its largest value is at b. expm1 keeps the digits of a small b.
    return math.expm1(b) / b if b > 0 else 1.0


def bound_moved_mass(b: float, tail: float, mean_error: float) -> float:
    """Bound Σŵ|exp(ε) − 1| over the tail (rows with errors ε of their logits), if |ε| ≤ b and Σŵ|ε| ≤ `mean_error`.

    Args:
        b: a bound on each |ε|.
        tail: Σŵ over the tail.
        mean_error: a bound on Σŵ|ε| over the tail.
    """
    return min(tail * math.expm1(b), mean_error * largest_slope(b))


@np.errstate(over="ignore")  # a null key may lie infinitely many temperatures from every row
def _mass(gaps: F64, temperature: float) -> float:
    """Return Σ exp(gap/T); at T = 0, the number of gaps that are not below zero.

    Args:
        gaps: float64[n], differences of similarities from a reference.
        temperature: T, 0 or more.
    """
    if temperature == 0:
        return float(np.count_nonzero(gaps >= 0))
    # exp overflows above 709. A mass of e⁷⁰⁰ already makes every bound 1.
    return float(np.exp(np.minimum(gaps / temperature, 700.0)).sum())


def tail_variation(mixture: Mixture, error: QuantisationError) -> float:
    """Bound the total variation of the weights that 8-bit codes cause in the tail (the rows that were only scanned).

    By the triangle inequality, the bound on the whole error is this plus the bound for rounding, `total_variation`.

    Args:
        mixture: the computed weights.
        error: bounds on the errors of the tail's similarities.
    """
    return bound_quantisation(mixture, mixture.evidence.temperature, error)


def bound_quantisation(tail_totals: Mixture | Totals, temperature: float, error: QuantisationError) -> float:
    """Bound the total variation of the weights that 8-bit codes cause in the tail (the rows that were only scanned).

    Args:
        tail_totals: the weight of the tail, and sums over it.
        temperature: T, above 0.
        error: bounds on the errors of the tail's similarities.
    """
    if tail_totals.log_tail == -math.inf:
        return 0.0
    mean = error.mean(tail_totals.tail, tail_totals.tail_square)
    mean_error = mean / temperature if math.isfinite(mean) else math.inf
    return bound_tail(error.largest, temperature, tail_totals.log_tail, tail_totals.tail_gap, mean_error)


def least_variation(mixture: Mixture, error: QuantisationError, keys: int, rows: int) -> float:
    """Estimate the smallest error bound that a scan of 8-bit codes can reach if it looks up `rows` rows in float64.

    The bound is `tail_variation`, on the total variation of the weights. If even the estimate is too large, no such
    scan suffices. A row in the tail (the rows that are not looked up) weighs at most as much as a row at the threshold,
    from which rows are listed. And errors matter least if all rows that stay in the tail have the same weight.

    Args:
        mixture: the weights after a scan that looked up fewer rows.
        error: bounds on the errors of similarities that were only scanned.
        keys: the number of rows that pass the mask.
        rows: the number of rows that may be looked up.
    """
    # A row below the threshold weighs at most the factor: exp((s − threshold)/T) is at most 1.
    tail = mixture.tail - float(mixture.candidates.sum()) - rows * float(mixture.factors.max(initial=0.0))
    if tail <= 0:
        return 0.0
    # Among all tails with this weight, an even one has the smallest Σŵ², and so the smallest bound.
    uniform = replace(mixture, tail=tail, log_tail=math.log(tail), tail_gap=0.0, tail_square=tail * tail / keys)
    return tail_variation(uniform, error)
