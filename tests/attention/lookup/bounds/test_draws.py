"""A mean of draws: how often its interval holds, how wide it is, and what that makes of the rest's weight."""

from __future__ import annotations

import math

import numpy as np
import pytest

from attention.lookup.bounds.draws import (
    CHANCE,
    LEAST_DRAWN,
    MEASURED,
    PROVEN,
    bet_interval,
    clt_interval,
    draws_wanted,
    mean_of,
    most_drawn,
    thin_variation,
)
from attention.lookup.bounds.thin import ThinError


@pytest.mark.parametrize("deviation", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("count", [64, 1000])
def test_it_holds_as_often_as_it_says(deviation, count):
    random = np.random.default_rng(0)
    far = 4 * deviation
    outside = 0
    for _ in range(400):
        found = np.exp(np.clip(deviation * random.standard_normal(count), -far, far))
        mean = bet_interval(found, math.exp(-far), math.exp(far), math.expm1(deviation**2), 0.05)
        outside += not mean.low <= math.exp(deviation**2 / 2) <= mean.high
    assert outside <= 0.05 * 400


def test_it_holds_for_a_law_that_was_foreseen_wrongly():
    random = np.random.default_rng(1)
    outside = 0
    for _ in range(400):
        found = np.where(random.random(300) < 0.02, 5.0, 0.9)
        mean = bet_interval(found, 0.2, 5.0, 0.01, 0.05)
        outside += not mean.low <= 0.02 * 5 + 0.98 * 0.9 <= mean.high
    assert outside <= 0.05 * 400


def test_it_is_nearly_as_narrow_as_normal_numbers_allow():
    found = np.exp(0.1 * np.random.default_rng(2).standard_normal(8000))
    mean = bet_interval(found, 0.5, 2.0, math.expm1(0.01), CHANCE / 2)
    normal = math.sqrt(2 * math.log(4 / CHANCE) * 0.01 / 8000)
    assert mean.low < mean.found < mean.high
    assert mean.high - mean.found < 1.3 * normal
    assert mean.found - mean.low < 1.3 * normal


def test_what_could_not_be_drawn_is_not_in_it():
    found = np.full(3, 1.0)
    mean = bet_interval(found, 0.9, 1.1, 0.01, 1e-9)
    assert (mean.low, mean.high) == (0.9, 1.1)


def test_a_measured_one_is_so_many_deviations_of_its_mean():
    found = np.array([0.5, 1.5] * 50)
    mean = clt_interval(found, 0.0, 3.0)
    assert (mean.low, mean.found, mean.high) == pytest.approx((0.85, 1.0, 1.15))
    assert clt_interval(np.ones(100), 0.04, 3.0).high == pytest.approx(1.06)


@pytest.mark.parametrize("basis", [PROVEN, MEASURED])
@pytest.mark.parametrize(("typical", "temperature"), [(0.0054, 0.1), (0.0054, 0.05), (0.0206, 0.1), (0.0206, 0.05)])
def test_as_many_are_wanted_as_reach_what_is_aimed_at(basis, typical, temperature):
    error = ThinError(9 * typical, 12 * typical, typical)
    wanted = most_drawn(error, temperature, basis)
    random = np.random.default_rng(3)
    moved = np.clip(random.standard_normal(int(wanted)) * typical, -4 * typical, 4 * typical) / temperature
    mean, factors = mean_of(moved, error, temperature, basis)
    assert mean.found == pytest.approx(factors.mean())
    variation = thin_variation(math.log(0.5), mean.factors(-3.0, 3.0), 0.5)
    assert variation < 1.3 * basis.aim or wanted == 16_384


def test_no_number_of_draws_helps_where_errors_are_far_above_the_temperature():
    assert most_drawn(ThinError(0.05, 0.07, 0.005), 0.005, PROVEN) == 0


def test_a_rest_or_matches_of_little_weight_want_fewer():
    error = ThinError(0.05, 0.07, 0.0054)
    wanted = [
        draws_wanted(error, 0.05, math.log(rest), shown, PROVEN)
        for rest, shown in ((0.5, 0.5), (0.5, 0.2), (0.5, 0.01), (0.05, 0.01), (1e-300, 0.01))
    ]
    assert wanted == sorted(wanted, reverse=True)
    assert wanted[0] > 2 * wanted[2] > 2 * wanted[-1] > 0


def test_rows_on_disk_are_drawn_for_the_certificate_and_fewer_for_the_partition():
    error = ThinError(0.04, 0.04, 0.0055)
    most_of_it, matches = (0.99, 0.01), (0.5, 0.5)
    for (rest, shown), fewer in ((most_of_it, True), (matches, False)):
        near, far = (draws_wanted(error, 0.05, math.log(rest), shown, PROVEN, far=far) for far in (False, True))
        assert LEAST_DRAWN <= far <= near
        assert (far < near / 4) == fewer


@pytest.mark.parametrize("weight", [1e-30, 1e-6, 0.3, 0.999999])
@pytest.mark.parametrize("factors", [(-0.3, 0.2), (-1e-4, 1e-4), (-5.0, 9.0)])
@pytest.mark.parametrize("share", [1.0, 0.1])
def test_what_is_shown_is_off_as_the_partition_is(weight, factors, share):
    shown = share * (1 - weight)
    partitions = 1 - weight + weight * np.exp(np.linspace(*factors, 51))
    off = np.abs(shown / partitions - shown).max()
    variation = thin_variation(math.log(weight), factors, shown)
    assert variation == pytest.approx(off, rel=1e-6, abs=1e-15)


def test_a_rest_of_no_weight_moves_nothing_and_one_that_errors_may_blow_up_all():
    assert thin_variation(-math.inf, (-1.0, 1.0), 1.0) == 0.0
    assert thin_variation(-100.0, (-1e9, 1e9), 0.5) == 0.5
