"""Confidences of the matches of one answer, beside each other."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_service.retrieval.calibration import Curve
from softkv_service.retrieval.calibration.fit import Variant
from softkv_service.retrieval.verdict import ConfidenceModel


@pytest.mark.parametrize("offset", [-6.0, -2.0, 0.0, 2.0, 6.0])
@pytest.mark.parametrize("level", [-1.0, 0.0])
def test_no_match_has_more_than_a_heavier_one_and_all_together_have_one(offset: float, level: float) -> None:
    logs = np.array([0.0, -0.01, -0.2, -3.0])
    variant = Variant(level, Curve(1.0, 1.0, offset, 0.0, 0.0), 0.5, ())
    model = ConfidenceModel(variant, 0.05, None, labels=50, source="labels", partition=float(np.logaddexp.reduce(logs)))
    confidences = model.of_matches(logs, 4)
    assert confidences == sorted(confidences, reverse=True)
    assert min(confidences) > 0
    assert sum(confidences) <= 1
