"""How far the weights can be from the true ones, in total variation: bounds with their proofs."""

from __future__ import annotations

import math

import numpy as np

from attention.dtypes import F64
from attention.lookup.bounds.similarities import UNIT_ROUNDOFF, Slack


def bound_rounding(slack: Slack, best: float, temperature: float, mean_gap: float, n: int) -> float:
    """Total variation of a softmax whose similarities are each off by at most `slack`, rounding included.

    With ŵ ∝ w·exp(ε_i) and |ε_i| ≤ ε, the worst case moves mass between a set with +ε and the rest with −ε:
    total variation ≤ tanh(ε/2). Here ε is the slack at the best similarity, over T. On top of it what
    grows with a logit's distance x from the largest: 3u·|x| for computing it, 2u for its exponential, and
    the relative slack. For such ε_i, w_i = ŵ_i·exp(−ε_i)/E with E the mean of exp(−ε_i) under ŵ, so Σ|w −
    ŵ| ≤ 2a/(1 − a) with a the mean of exp(ε_i) − 1, which is linear in the mean of |x|, `mean_gap`, as far as
    an exponential does not vanish. NumPy sums in pairs over runs of 128 in 8 lanes, so a sum of n terms is
    off by at most (24 + log₂ n)·u relative. A null key that weighs as much as n keys has ln n in its logit, which
    moves its weight by no more than log₂ n·u.

    Args:
        slack: a bound on a similarity's error.
        best: the largest computed similarity.
        temperature: above 0.
        mean_gap: the weighted mean distance of a logit from the largest.
        n: how many documents.
    """
    shift = math.tanh(slack.at(best) / temperature / 2)
    drift = 1.001 * ((3 * UNIT_ROUNDOFF + slack.relative) * mean_gap + 8 * UNIT_ROUNDOFF)
    sums = (32 + 2 * math.log2(n + 1)) * UNIT_ROUNDOFF
    return min(1.0, shift + (drift / (1 - drift) if drift < 0.5 else 1.0) + sums)


def bound_separated(similarities: F64, null: float | None, slack: Slack, temperature: float, *, alike: bool) -> float:
    """Total variation where one document, or copies of one, stands out: sharp where `bound_rounding` has
    nothing to say.

    A tie of t copies of one vector has one true similarity; a document that is behind by g in computed
    similarities is behind by at least g·(1 − relative) − 2·slack in true ones. So the mass outside the
    tie, relative to one copy, is at most R = Σ exp(−(g·(1 − relative) − 2·slack)/T) truly and as computed,
    and the total variation is at most R/t. A null key has no error of its own; where it is the largest, R
    is the documents' mass relative to it. T = 0 is the limit: whoever may be level counts in full.

    Args:
        similarities: float64[n], n ≥ 1.
        null: the null key's similarity, or None.
        slack: a bound on a similarity's error.
        temperature: 0 or more.
        alike: whether all documents that tie for the best are copies of one vector.
    """
    best = float(similarities.max())
    room = slack.at(best)
    closer = 1 - slack.relative
    if null is not None and null > best:
        return min(1.0, _mass((similarities - null) * closer + room, temperature) + UNIT_ROUNDOFF)
    if not alike:
        return 1.0
    ties = similarities == best
    count = int(np.count_nonzero(ties))
    rest = _mass((similarities[~ties] - best) * closer + 2 * room, temperature)
    if null is not None:
        rest += _mass(np.array([null - best + room]), temperature)
    return min(1.0, rest / count + count * UNIT_ROUNDOFF)


def bound_ties(similarities: F64, null: float | None, slack: Slack, *, alike: bool) -> float:
    """Total variation at temperature 0 where what ties for the best shares as softmax(bias).

    Where copies of one vector tie, and nobody else may be level with them, they truly do: what is left is the rounding
    of a softmax of their biases, as in `bound_rounding`. There Σŵ|x| ≤ 1 + ln n. Elsewhere a bias can carry all of the
    weight to whoever ties in truth.

    Args:
        similarities, null, slack, alike: as in `bound_separated`.
    """
    count = int(np.count_nonzero(similarities == similarities.max()))
    # One rival adds 1/count to that bound, rounding no more than count·u.
    if bound_separated(similarities, null, slack, 0.0, alike=alike) > 0.5 / count:
        return 1.0
    return min(1.0, (64 + 8 * math.log2(count + 1)) * UNIT_ROUNDOFF)


def bound_bias_rounding(biases: F64) -> float:
    """What the rounding of biases moves among copies of one vector that tie, in total variation.

    A bias is a sum of addends that is rounded once, so off by u·|b|: copies whose biases are equal may truly differ by
    twice that. Logits that are each off by ε at most have softmax weights that are off by ε in total variation at most,
    and of one alone by nothing.

    Args:
        biases: float64[m] of those that tie, m ≥ 1.
    """
    return 2 * UNIT_ROUNDOFF * float(np.abs(biases).max()) if len(biases) > 1 else 0.0


def bound_sparse(similarities: F64, null: float | None, slack: Slack, temperature: float, support: float) -> float:
    """Total variation of sparsemax (support 1) and entmax15 (support 2) under such errors.

    Both are max(z − τ, 0)^support of the logits or their halves, where τ rises with every z, and by no more than the
    most that any z rises. So for logits off by ε, z − τ is off by 2ε (sparsemax) or ε (entmax15), the weights by 2ε or
    by ε·(2·√w + ε), and only the m keys within support + 2ε of the largest can have any: half the sum is at most m·ε,
    or, with Σ√w ≤ √m, ε·√m + m·ε²/2. The threshold's own arithmetic, sums of m terms, is counted as m²·u.

    Args:
        similarities: float64[n], n ≥ 1.
        null: the null key's similarity, or None.
        slack: a bound on a similarity's error.
        temperature: above 0.
        support: how far below the largest logit a weight can be above zero.
    """
    everything = similarities if null is None else np.append(similarities, null)
    best = float(everything.max())
    error = slack.at(best) / temperature + support * (slack.relative + 4 * UNIT_ROUNDOFF)
    near = int(np.count_nonzero((everything - best) / temperature >= -(support + 2 * error)))
    if near == 1:
        return UNIT_ROUNDOFF
    arithmetic = (16.0 + near) * near * UNIT_ROUNDOFF
    if support == 1:
        return min(1.0, near * error + arithmetic)
    return float(min(1.0, error * np.sqrt(near) + near * error * error / 2 + arithmetic))


def bound_tail(error: float, temperature: float, log_tail: float, tail_gap: float, mean_error: float = np.inf) -> float:
    """Total variation where the similarities of a tail are known to within `error` only, and the rest is exact.

    Let ŵ be the weights as computed, m = `tail` their sum over the tail, and w_i = ŵ_i·Y_i/E[Y] the true ones, with
    Y_i = exp(ε_i), |ε_i| ≤ b = error/T in the tail and Y_i = 1 elsewhere; E is the mean under ŵ. Then the total
    variation is E|Y − E[Y]| / (2·E[Y]) ≤ E|Y − 1| / E[Y], and E[Y] ≥ 1 − m·(1 − exp(−b)). For E|Y − 1| there are two
    bounds: m·(exp(b) − 1), and, as |Y − 1| ≤ |ε|·(exp(b) − 1)/b, the same with the mean of |ε| over the tail for b;
    by Cauchy–Schwarz Σŵ|ε| ≤ √(Σŵ²)·√(Σε²) = `mean_error`. And no ε within ±b can do more than tanh(b/2).

    Rounding in float32 comes on top: a logit x below the threshold is off by 2⁻²²·|x|, its exponential by 4·10⁻⁷, and a
    sum of 64 terms by 2⁻¹⁸ of itself, so a tail term by 5·10⁻⁶ + 2⁻²²·|x|.

    Args:
        error: a bound on the error of a similarity of the tail.
        temperature: above 0.
        log_tail: the logarithm of the tail's weight.
        tail_gap: Σŵ|x| over the tail.
        mean_error: a bound on Σŵ|ε| over the tail, if there is a better one than tail·b.
    """
    b = error / temperature
    tail = math.exp(log_tail)
    rounding = 5e-6 * tail + 2.0**-22 * tail_gap
    # m·(exp(b) − 1) < exp(ln m + b), which neither overflows nor vanishes too early.
    grown = math.exp(min(log_tail + b, 1.0)) if b > 1 else moved_weight(b, tail, mean_error)
    left = 1 + tail * math.expm1(-b)
    return min(1.0, math.tanh(b / 2), grown / left if left > 0 else 1.0) + rounding


def bound_counted(tail_bound: float) -> float:
    """Total variation where some rows of a tail are counted at their exact similarity, beside an estimated partition.

    Let e be the true masses of all rows and ê the computed ones, N the null key's, Z = Σe + N and Ẑ = Σê + N. Answered
    are the documents of a set A of rows as Σe/Ẑ over each one's rows, the null key as N/Ẑ, and all else together as the
    rest. M is Σe over A, R that over the other rows, so that Z = M + N + R; with Y of `bound_tail`, Z/Ẑ = E[Y].

    Where M + N ≤ Ẑ, the rest is what is left to one. Each document and the null key are off by the same factor, and the
    rest by as much the other way: total variation is (M + N)·|1/Ẑ − 1/Z|. By M + N ≤ Z that is at most
    |Z − Ẑ|/Ẑ ≤ Σ|e − ê|/Ẑ = E|Y − 1|; and as M + N is no more than either of Z and Ẑ, at most
    1 − min(Z, Ẑ)/max(Z, Ẑ) ≤ 1 − exp(−b).

    Where M + N > Ẑ, the documents are scaled down to 1 − N/Ẑ together, and the rest is nothing. Now Ẑ < M + N ≤ Z. The
    null key has (1/Ẑ − 1/Z)·N more than it should, the rest R/Z less, and the documents are all off one way: so total
    variation is one of these two. The first is at most 1 − Ẑ/Z by N ≤ Ẑ, and so is the second, (Z − M − N)/Z; and
    1 − Ẑ/Z is at most both 1 − exp(−b) and (Z − Ẑ)/Ẑ ≤ E|Y − 1|.

    `bound_tail` is at least E|Y − 1| or tanh(b/2), whichever it took, and 1 − exp(−b) ≤ 2·tanh(b/2): so twice that
    bound covers it, rounding in float32 included, which is part of Y.

    Args:
        tail_bound: what `bound_tail` says of the rows, were none of them counted anew.
    """
    return 2 * tail_bound


def largest_slope(b: float) -> float:
    """The largest |exp(ε) − 1| / |ε| for |ε| ≤ b."""
    return math.expm1(b) / b if b > 0 else 1.0


def moved_weight(b: float, tail: float, mean_error: float) -> float:
    """Σŵ|exp(ε) − 1| over a tail, at most."""
    return min(tail * math.expm1(b), mean_error * largest_slope(b))


def _mass(gaps: F64, temperature: float) -> float:
    """Σ exp(gap/T); at T = 0 the number of gaps that are not below zero."""
    if temperature == 0:
        return float(np.count_nonzero(gaps >= 0))
    return float(np.exp(np.minimum(gaps / temperature, 700.0)).sum())
