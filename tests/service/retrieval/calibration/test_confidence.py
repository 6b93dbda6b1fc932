"""The curve finds the chances that outcomes were drawn with."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_service.retrieval.calibration import Curve, weight_logits
from softkv_service.retrieval.calibration.confidence import PRIOR_MEAN


@pytest.mark.parametrize(
    "curve", [Curve(1.0, 1.0, 0.0, 0.0, 0.0), Curve(0.7, 0.2, 0.5, 0.1, -0.8), Curve(1.5, 0.5, 0.2, 1.2, 1.0)]
)
def test_a_fit_recovers_the_curve_that_made_the_outcomes(curve):
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, 20_000)
    leads = 0.5 * logits + random.normal(0, 3, 20_000)
    right = random.random(20_000) < curve(logits, leads)
    fitted = Curve.fit(logits, leads, right)
    assert [*vars(fitted).values()] == pytest.approx([*vars(curve).values()], abs=0.12)
    np.testing.assert_allclose(fitted(logits, leads), curve(logits, leads), atol=0.08)
    # The values on the curves are those of their definition.
    x, z = logits[7], leads[7]
    points = fitted.slope * min(x, 0) + fitted.slope_above * max(x, 0) + fitted.offset
    points += fitted.lead_slope * min(z, 0) + fitted.lead_slope_above * max(z, 0)
    assert fitted(logits, leads)[7] == pytest.approx(1 / (1 + np.exp(-points)), rel=1e-12)


def test_few_labels_stay_near_the_prior_and_promise_less():
    random = np.random.default_rng(1)
    logits, leads = random.normal(0, 3, (2, 30))
    right = np.arange(30) % 2 > 0
    curve = Curve.fit(np.where(right, 6.0, -6.0), leads, right)
    assert curve.slope == pytest.approx(PRIOR_MEAN[0], abs=0.6), "a fit without a prior has no end"
    assert curve(np.array([40.0]), np.array([40.0]))[0] == curve.most == 16 / 17
    errors = [
        (curve(logits, leads) - true(logits, leads)).mean()
        for true in [Curve(0.9, 0.9, 0.2, 0.2, -0.5)]
        for curve in [
            Curve.fit(logits, leads, np.random.default_rng(seed).random(30) < true(logits, leads)) for seed in range(60)
        ]
    ]
    assert np.mean(errors) < 0, "few labels are answered with caution"
    assert np.mean(errors) > -0.08


@pytest.mark.parametrize("scores", [0.0, 1.0])
def test_a_reranker_is_one_more_slope(scores):
    random = np.random.default_rng(5)
    logits, leads, said = random.normal(0, 2, (3, 4000))
    true = Curve(0.5, 0.5, 0.2, 0.2, -0.3, scores)
    right = random.random(4000) < true(logits, leads, said)
    assert Curve.fit(logits, leads, right, said).score_slope == pytest.approx(scores, abs=0.12)
    assert Curve.fit(logits, leads, right).score_slope == 0


@pytest.mark.parametrize("right", [np.zeros(60, bool), np.ones(60, bool), np.arange(60) < 30])
def test_more_weight_and_more_lead_are_never_less_confidence(right):
    logits, leads = np.linspace(-40, 40, 60), np.random.default_rng(1).normal(0, 50, 60)
    for curve in (Curve.fit(logits, leads, right), Curve.fit(-logits, logits, right)):
        assert min(curve.slope, curve.slope_above, curve.lead_slope, curve.lead_slope_above) >= 0
        many, still = np.linspace(-50, 50, 999), np.full(999, -1.0)
        for chances in (curve(many, still), curve(still, many)):
            assert (np.diff(chances) >= 0).all()
            assert np.isfinite(chances).all()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_equal_weights_get_the_share_of_right_answers(share):
    # As in a collection of one document: every slope fits equally well, and the steps to it are long.
    curve = Curve.fit(np.full(200, 40.0), np.full(200, 3.0), np.arange(200) < 200 * share)
    assert float(curve(np.array([40.0]), np.array([3.0]))[0]) == pytest.approx(share, abs=0.02)


def test_equal_weights_are_ranked_by_their_lead():
    # As in a collection of one document, whose weight is 1 for every question.
    leads = np.random.default_rng(2).normal(0, 6, 200)
    curve = Curve.fit(np.full(200, 40.0), leads, leads > 0)
    chances = curve(np.full(2, 40.0), np.array([-10.0, 10.0]))
    assert chances[0] < 0.05
    assert chances[1] > 0.95


def test_the_logit_of_a_weight_is_exact_at_both_ends():
    gaps = np.array([0.0, -1e-12, -np.log(2), -30.0, -1e4])
    logits = weight_logits(gaps, np.zeros(5))
    assert logits.tolist() == pytest.approx([40.0, np.log(1 / 1e-12), 0.0, -30.0, -40.0], rel=1e-6, abs=1e-9)
