"""The curve finds the chances that outcomes were drawn with."""

from __future__ import annotations

import numpy as np
import pytest

from service.retrieval.calibration import Curve, weight_logits
from service.retrieval.calibration.confidence import FLATTEST


@pytest.mark.parametrize("curve", [Curve(1.0, 1.0, 0.0), Curve(0.7, 0.2, -0.8), Curve(1.5, 0.5, 1.0)])
def test_it_finds_the_curve_that_outcomes_were_drawn_by(curve):
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, 20_000)
    right = random.random(20_000) < curve(logits)
    found = Curve.fitted(logits, right)
    assert (found.slope, found.slope_above, found.offset) == pytest.approx(
        (curve.slope, curve.slope_above, curve.offset), abs=0.12
    )
    np.testing.assert_allclose(found(logits), curve(logits), atol=0.02)


@pytest.mark.parametrize("right", [np.zeros(60, bool), np.ones(60, bool), np.arange(60) < 30])
def test_more_weight_is_never_less_confidence(right):
    found = Curve.fitted(np.linspace(-40, 40, 60), right)
    assert min(found.slope, found.slope_above) >= FLATTEST
    chances = found(np.linspace(-50, 50, 999))
    assert (np.diff(chances) >= 0).all()
    assert np.isfinite(chances).all()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_where_all_weights_are_alike_it_is_the_share_that_is_right(share):
    # As in a collection of one document: no slope says anything, and the steps to it are long.
    found = Curve.fitted(np.full(200, 40.0), np.arange(200) < 200 * share)
    assert float(found(np.array([40.0]))[0]) == pytest.approx(share, abs=0.02)


def test_the_logit_of_a_weight_is_exact_at_both_ends():
    gaps = np.array([0.0, -1e-12, -np.log(2), -30.0, -1e4])
    found = weight_logits(gaps, np.zeros(5))
    assert found.tolist() == pytest.approx([40.0, np.log(1 / 1e-12), 0.0, -30.0, -40.0], rel=1e-6, abs=1e-9)
