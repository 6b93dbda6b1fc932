"""The figures of a fit are for questions that it has not seen, and do not depend on chance."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from service.retrieval.calibration import Curve, Gain, PreviousWeighting, evaluate
from service.retrieval.calibration.evaluation import Metric, calibration_error, label_losses, log_losses
from service.retrieval.calibration.fit import FOLDS, Fit, Outcomes, assign_folds, fit_temperature
from service.retrieval.labels.calibrate import _explain_no_gain
from tests.service.retrieval.calibration.making import drawn

PROFILES = drawn(400, 7)
ORDER = np.random.default_rng(0).permutation(400)


def test_both_kinds_are_dealt_out_evenly_and_the_same_however_they_come():
    folds = assign_folds(ORDER, PROFILES.present)
    for kind in (PROFILES.present, ~PROFILES.present):
        assert np.bincount(folds[kind]).tolist() == [40] * FOLDS
    mixed = np.random.default_rng(1).permutation(400)
    assert (assign_folds(ORDER[mixed], PROFILES.present[mixed]) == folds[mixed]).all()


def test_each_question_is_judged_by_a_fit_to_the_others():
    evaluation = evaluate(PROFILES, ORDER, -math.inf)
    folds = assign_folds(ORDER, PROFILES.present)
    losses, unlikely = np.empty(400), np.empty(400)
    for fold in range(FOLDS):
        training, held_out = PROFILES.of(folds != fold), PROFILES.of(folds == fold)
        fit = Fit.of(training, (0, fit_temperature(training)), few=False)
        outcomes = fit.predict(held_out, 0.9)
        losses[folds == fold], unlikely[folds == fold] = log_losses(outcomes), label_losses(outcomes)
    assert evaluation.after.log_loss.value == pytest.approx(losses.mean())
    assert evaluation.after.log_loss.error == pytest.approx(losses.std(ddof=1) / 20)
    served = Outcomes.current(PROFILES, -math.inf, 0.9)
    assert evaluation.gain.log_loss.value == pytest.approx((log_losses(served) - losses).mean())
    assert evaluation.gain.label_loss.value == pytest.approx((label_losses(served) - unlikely).mean())
    assert label_losses(served)[~PROFILES.present] == pytest.approx(-math.log(1e-6))
    assert evaluation.gains
    assert evaluation.after.ece.value < evaluation.before.ece.value
    assert evaluation.after.coverage.value == pytest.approx(0.9, abs=0.06)
    assert evaluation == evaluate(PROFILES, ORDER, -math.inf)


def test_words_are_taken_where_they_gain():
    with_words = evaluate(drawn(200, 8, words=True), ORDER[:200], 0.0)
    assert with_words.words is not None
    assert with_words.after_words is not None
    assert with_words.after_words.mrr.value >= with_words.after.mrr.value
    assert evaluate(PROFILES, ORDER, 0.0).words is None


def test_a_fit_to_a_calibrated_collection_gains_nothing():
    # The current weights are the chances by which the right ones were drawn, and the null key's is a half.
    profiles = drawn(120, 9, own=0.06)
    fit = Fit.of(profiles, (0, profiles.own_index), few=False)
    assert not evaluate(profiles, ORDER[:120], fit.log_count).gains


def test_the_figures_before_a_fit_are_those_of_the_stored_calibration():
    stored = Fit.of(PROFILES, (0, PROFILES.own_index), few=False)
    evaluation = evaluate(PROFILES, ORDER, stored.log_count, stored.variant)
    outcomes = stored.predict(PROFILES, 0.9)
    assert evaluation.before.log_loss.value == pytest.approx(log_losses(outcomes).mean())
    assert evaluation.before.coverage.value == pytest.approx(outcomes.covered[PROFILES.present].mean())


@pytest.mark.parametrize(
    ("gained", "surer", "is_better"),
    [
        ((0.48, 0.18), (-0.081, 0.036), True),
        ((0.1, 0.11), (-0.01, 0.02), False),
        ((-0.1, 0.06), (0.05, 0.02), True),
        ((-0.13, 0.06), (0.05, 0.02), False),
    ],
)
def test_likelier_labels_count_whatever_confidences_became(gained, surer, is_better):
    changed = replace(evaluate(PROFILES, ORDER, 0.0), gain=Gain(Metric(*gained), Metric(*surer)))
    assert changed.gains is is_better
    if not is_better:
        reason = _explain_no_gain(changed)
        assert reason.startswith(f"label_loss {'rose' if gained[0] < 0 else 'fell'} by {abs(gained[0]):.4f}")
        assert "wanted label_loss to fall by more than its standard error, or log_loss by more than its own" in reason
        assert "label_loss not to rise by more than twice its own" in reason


def test_a_fit_that_gains_only_on_a_bad_calibration_is_not_worth_storing():
    truth = Fit.of(PROFILES, (0, fit_temperature(PROFILES)), few=False)
    temperature = float(PROFILES.temperatures[truth.cell[1]])
    bad = replace(truth.variant, curve=Curve(0.2, 0.05, 0.0, 0.0, -3.0))
    for logit, gains in ((truth.log_count, False), (-math.inf, True)):
        previous = PreviousWeighting(temperature, np.full(400, logit))
        evaluation = evaluate(PROFILES, ORDER, truth.log_count, bad, previous=previous)
        assert evaluation.gain.suffices
        assert evaluation.gains is gains
        if not gains:
            assert "beside the collection without any calibration" in _explain_no_gain(evaluation)


def test_a_curve_from_few_labels_has_two_parameters():
    for n, few in ((98, True), (100, False)):
        curve = evaluate(drawn(n, 4), np.arange(n), 0.0).plain.variant.curve
        alike = curve.slope == curve.slope_above and curve.lead_slope == curve.lead_slope_above == 0
        assert alike is few


def test_the_calibration_error_is_that_of_bins_of_equal_size_in_any_order_of_ties():
    random = np.random.default_rng(3)
    confidence = random.random(95)
    right = random.random(95) < confidence**2
    pairs = np.array(sorted(zip(confidence, right, strict=True)))
    total = sum(abs(np.subtract(*part.sum(axis=0))) for part in np.array_split(pairs, 10))
    assert calibration_error(confidence, right) == pytest.approx(total / 95)
    ties, half = np.full(100, 0.5), np.arange(100) < 50
    assert calibration_error(ties, half) == calibration_error(ties, half[::-1]) == 0


def test_refusals_are_counted_with_and_without_an_answer():
    for null_logit, share in ((1e3, 1.0), (-np.inf, 0.0)):
        before = evaluate(PROFILES, ORDER, null_logit).before
        assert (before.none_right.value, before.none_wrong.value) == (share, share)
    after = evaluate(PROFILES, ORDER, 0.0).after
    assert after.none_right.pair[0] > after.none_wrong.pair[0]
