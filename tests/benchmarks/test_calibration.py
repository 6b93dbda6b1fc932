"""The benchmark of calibrations judges each on other questions, in the proportions of its labels."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibration import MIXES, Questions, group_error

KINDS = np.repeat([0, 1, 2], [40, 40, 150])


@pytest.mark.parametrize("mix", MIXES)
def test_labels_are_not_among_the_judged_questions(mix):
    labels, shares = MIXES[mix]
    questions = Questions("any", None, None, KINDS, None, None)  # type: ignore[arg-type]
    chosen, others, weights = questions.draw(labels, shares, 0)
    assert not {*chosen} & {*others}
    assert len(chosen) == (60 if mix == "110" else labels), "three quarters of forty questions with an answer"
    for kind, share in enumerate(shares):
        assert np.mean(KINDS[chosen] == kind) == pytest.approx(share, abs=0.02)
        assert weights[KINDS[others] == kind].sum() == pytest.approx(share)


def test_the_error_is_that_of_five_groups_of_equal_weight():
    confidence, right = np.linspace(0, 1, 100), np.arange(100) % 2 > 0
    groups = np.split(confidence - right, 5)
    expected = sum(abs(group.sum()) for group in groups) / 100
    assert group_error(confidence, right, np.full(100, 0.01)) == pytest.approx(expected)
