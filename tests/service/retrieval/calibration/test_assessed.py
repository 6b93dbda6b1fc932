"""What is told of a fit is of questions that it has not seen, and does not depend on chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from service.retrieval.calibration import assess
from service.retrieval.calibration.figures import calibration_error, label_losses, log_losses
from service.retrieval.calibration.fitted import FOLDS, Fit, Outcomes, folds_of
from service.retrieval.calibration.fitting import fitted_temperature
from tests.service.retrieval.calibration.making import drawn

PROFILES = drawn(400, 7)
ORDER = np.random.default_rng(0).permutation(400)


def test_both_kinds_are_dealt_out_evenly_and_the_same_however_they_come():
    folds = folds_of(ORDER, PROFILES.present)
    for kind in (PROFILES.present, ~PROFILES.present):
        assert np.bincount(folds[kind]).tolist() == [40] * FOLDS
    mixed = np.random.default_rng(1).permutation(400)
    assert (folds_of(ORDER[mixed], PROFILES.present[mixed]) == folds[mixed]).all()


def test_each_question_is_judged_by_a_fit_to_the_others():
    found = assess(PROFILES, ORDER, -math.inf)
    folds = folds_of(ORDER, PROFILES.present)
    losses, unlikely = np.empty(400), np.empty(400)
    for fold in range(FOLDS):
        others, held = PROFILES.of(folds != fold), PROFILES.of(folds == fold)
        fit = Fit.of(others, (0, fitted_temperature(others)))
        said = fit.held(held, 0.9)
        losses[folds == fold], unlikely[folds == fold] = log_losses(said), label_losses(said)
    assert found.after.log_loss.value == pytest.approx(losses.mean())
    assert found.after.log_loss.error == pytest.approx(losses.std(ddof=1) / 20)
    served = Outcomes.served(PROFILES, -math.inf, 0.9)
    assert found.surer.value == pytest.approx((log_losses(served) - losses).mean())
    assert found.gained.value == pytest.approx((label_losses(served) - unlikely).mean())
    assert label_losses(served)[~PROFILES.present] == pytest.approx(-math.log(1e-6))
    assert found.gains
    assert found.after.ece.value < found.before.ece.value
    assert found.after.coverage.value == pytest.approx(0.9, abs=0.06)
    assert found == assess(PROFILES, ORDER, -math.inf)


def test_words_are_taken_where_they_gain():
    with_words = assess(drawn(200, 8, words=True), ORDER[:200], 0.0)
    assert with_words.words is not None
    assert with_words.after_words is not None
    assert with_words.after_words.mrr.value >= with_words.after.mrr.value
    assert assess(PROFILES, ORDER, 0.0).words is None


def test_a_fit_to_what_is_calibrated_already_gains_nothing():
    # As served the weights are the chances that the right ones were drawn by, and the null key's is a half.
    profiles = drawn(120, 9, own=0.06)
    fit = Fit.of(profiles, (0, profiles.served))
    assert not assess(profiles, ORDER[:120], fit.log_count).gains


def test_the_calibration_error_is_that_of_bins_of_equal_size():
    random = np.random.default_rng(3)
    confidence = random.random(95)
    right = random.random(95) < confidence**2
    pairs = sorted(zip(confidence, right, strict=True))
    total, start = 0.0, 0
    for i in range(10):
        size = 10 if i < 5 else 9
        each = pairs[start : start + size]
        total += abs(sum(c for c, _ in each) - sum(r for _, r in each))
        start += size
    assert calibration_error(confidence, right) == pytest.approx(total / 95)
