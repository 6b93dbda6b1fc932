"""How much the rest weighs, by rows drawn of it: what is proven of a mean of draws, and how many are wanted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from attention.dtypes import F64
from attention.lookup.bounds.thin import ThinError
from attention.lookup.codes.thin import FOUR, TWO


@dataclass(frozen=True)
class Basis:
    """What stands behind a certificate.

    Attributes:
        name: "proven" or "measured".
        bits: of a component that are read.
        holds_with: the chance that a certificate holds, or the share of answers whose error it covered when measured.
        aim: the part of `total_variation` that is due to draws, as far as more draws make it smaller.
        partition: the same of the partition, relative to itself, which the evidence is made of.
        most: the largest `total_variation` that is answered with.
    """

    name: str
    bits: int
    holds_with: float
    aim: float
    partition: float
    most: float


CHANCE = 1e-9
"""That a proven certificate does not hold: a half is for the similarities of all rows, a half for the draws."""

PROVEN = Basis("proven", FOUR, 1 - CHANCE, 0.0019, 0.01, 0.005)
MEASURED = Basis("measured", TWO, 0.999, 0.0055, 0.015, 0.01)

DEVIATIONS = 4.0
"""Of the mean of all draws, in a certificate that is measured."""

FARTHEST = 4.0
"""In it no row that could be in the head is taken to be off by more than so many deviations of the usual spread."""

ROUNDING = 3e-5
"""What float32 can move a sum of terms by, of itself: 64 terms at a time, exponents from −87 on."""

HOTTEST_EXPONENT = 20.0
"""Where errors can move a logit by more than this, a row that was not drawn could outweigh all that were."""

LEAST_DRAWN, MOST_DRAWN = 512, 16_384

FAR = 0.03
"""What `Basis.partition` is where each row that is drawn is read from disk."""


def most_drawn(error: ThinError, temperature: float, basis: Basis) -> float:
    """How many draws are enough, whatever the rest weighs: where it is half, and the matches are the other half."""
    return draws_wanted(error, temperature, math.log(0.5), 0.5, basis)


def draws_wanted(
    error: ThinError, temperature: float, log_rest: float, shown: float, basis: Basis, *, far: bool = False
) -> float:
    """How many draws make the rest's weight as sure as is aimed at; 0 where none can.

    With the rest's weight w off by a part r, the partition is off by about w·r, and total variation is `shown` times
    that, see `thin_variation`. A bet of λ bounds the mean of m draws of variance V to about ln(2/δ)/(m·λ) + λ·V/2, see
    `bet_interval`.

    Args:
        far: whether rows are read from disk, see `FAR`.
    """
    if error.above + error.below > HOTTEST_EXPONENT * temperature:
        return 0.0
    variance, largest = _foreseen(error, temperature)
    partition = min(FAR if far else basis.partition, basis.aim / max(shown, 1e-9))
    relative = math.exp(min(math.log(partition) - log_rest, 300.0))
    if basis is PROVEN:
        wealth, bet = math.log(4 / CHANCE), 0.98 / max(largest - 1, 1e-9)
        wanted = 2 * wealth * variance / relative**2
        if relative > bet * variance:  # the best bet is not allowed
            wanted = wealth / (bet * (relative - bet * variance / 2))
    else:
        wanted = DEVIATIONS**2 * variance / relative**2
    return min(max(wanted, LEAST_DRAWN), MOST_DRAWN)


def mean_of(
    moved: F64, error: ThinError, temperature: float, basis: Basis, chance: float = CHANCE / 2
) -> tuple[Interval, F64]:
    """(the mean of exp((s − ŝ)/T), these float64[m]) of rows drawn, of which `moved` float64[m] are the exponents.

    Args:
        chance: that a proven interval does not hold it.
    """
    variance, largest = _foreseen(error, temperature)
    smallest, largest = math.exp(-error.below / temperature) * (1 - 1e-6), largest * (1 + 1e-6)
    # Where an exponent was too small for float32 it was taken for −87, and a factor may be smaller than errors make it:
    # of no weight that could be told.
    factors = np.maximum(np.exp(moved), smallest)
    if basis is PROVEN:
        return bet_interval(factors, smallest, largest, variance, chance), factors
    return clt_interval(factors, variance, DEVIATIONS), factors


def _foreseen(error: ThinError, temperature: float) -> tuple[float, float]:
    """(the variance, the largest) of exp((s − ŝ)/T), the variance as errors that are normal would have it."""
    return math.expm1((error.typical / temperature) ** 2), math.exp(error.above / temperature)


@dataclass(frozen=True)
class Interval:
    """Where a mean lies: what was found, and between what it is, but for a chance."""

    found: float
    low: float
    high: float

    def factors(self, least: float, most: float) -> tuple[float, float]:
        """Logarithms of what it may have to be multiplied by; its own is from `least` to `most` anyway."""
        middle = math.log(self.found)
        low, high = max(math.log(max(self.low, 1e-300)), least), min(math.log(self.high), most)
        return low - middle - ROUNDING, high - middle + ROUNDING


def bet_interval(found: F64, smallest: float, largest: float, variance: float, chance: float) -> Interval:
    """The mean of independent draws of one law from `smallest` to `largest`, but for a chance.

    Say the mean were μ. Who bets on X being larger, a part λ of what he has each time, has after m draws
    K(μ) = Π (1 + λ·(X − μ)); that is never negative where λ·(μ − smallest) ≤ 1, and 1 on average: so by Markov's
    inequality K(μ) ≥ 1/δ with a chance of δ at most. K falls in μ, so every mean below the one where K is 1/δ is given
    up. From above in the same way, with Π (1 − λ·(X − μ)), which is not negative where λ·(largest − μ) ≤ 1. Half of the
    chance is for either side. (Waudby-Smith and Ramdas, arXiv 2010.09686; here λ is fixed beforehand.)

    Any λ gives a bound; √(2·ln(1/δ)/(m·V)) is about the best where the variance V was foreseen rightly.

    Args:
        found: float64[m], what was drawn, m ≥ 1.
        smallest, largest: below and above 1, the least and the most that can be drawn.
        variance: as foreseen before anything was drawn.
        chance: δ for both sides.
    """
    count, mean, wealth = len(found), float(found.mean()), math.log(2 / chance)
    best = math.sqrt(2 * wealth / (count * max(variance, 1e-12)))
    up, down = min(best, 0.98 / max(largest - 1, 1e-9)), min(best, 0.98 / max(1 - smallest, 1e-9))
    # A mean is given up only where the bet against it is fair.
    high = max(_level(lambda mean: 1 + up * (mean - found), up, mean, wealth), largest - 1 / up)
    low = min(_level(lambda mean: 1 + down * (found - mean), -down, mean, wealth), smallest + 1 / down)
    return Interval(mean, min(max(low, smallest), mean), max(min(high, largest), mean))


def _level(capital: Callable[[float], F64], bet: float, mean: float, wealth: float) -> float:
    """A mean μ at which the logarithm of what was won, Σ ln capital(μ), is at least `wealth`, and little more.

    It is concave in μ, so that Newton's steps come from inside and never overshoot; each is made a little longer.
    """
    at = mean
    for _ in range(12):
        factors = capital(at)
        if factors.min() <= 0:
            return math.copysign(math.inf, bet)
        won = float(np.log(factors).sum())
        if won >= wealth:
            return at
        slope = float((abs(bet) / factors).sum())
        step = (wealth - won) / slope
        at += math.copysign(1.0005 * step + 1e-12, bet)
    return math.copysign(math.inf, bet)


def clt_interval(found: F64, variance: float, deviations: float) -> Interval:
    """The mean, and so many of its deviations to either side; of the variance found, or foreseen if that is more."""
    mean = float(found.mean())
    deviation = math.sqrt(max(float(found.var()), variance * mean * mean) / len(found))
    return Interval(mean, max(mean - deviations * deviation, 0.0), mean + deviations * deviation)


def thin_variation(log_rest: float, factors: tuple[float, float], shown: float) -> float:
    """Total variation over the matches, the null key and all others together, where what remains after a scan has some
    factor of the mass that was answered with.

    Let Ẑ be the partition of the answer, of which the rest's part is w, and Z = Ẑ·(1 + w·(factor − 1)) the true one.
    All that is shown is known exactly, so its weights are off by one factor, Ẑ/Z, and total variation is what they are
    off by together: shown·|Ẑ/Z − 1|, which is largest at either end.

    Args:
        log_rest: ln w.
        factors: the least and the largest there can be, as logarithms.
        shown: the weight of the matches and the null key, as answered.
    """
    more = [math.exp(min(log_rest + factor, 700.0)) - math.exp(log_rest) for factor in factors]
    return min(1.0, shown * max(abs(x) / (1 + x) for x in more)) if log_rest > -math.inf else 0.0
