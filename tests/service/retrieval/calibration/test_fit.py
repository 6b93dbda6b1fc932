"""The fit finds the parameters that drew the labels, and nothing near them is likelier."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_service.retrieval.calibration.fit import NULL_DEVIATION, fit_full_text, fit_null, fit_temperature
from tests.service.retrieval.calibration.making import KEYS, drawn


@pytest.mark.parametrize("temperature", [0.03, 0.12])
def test_the_temperature_that_the_right_ones_were_drawn_at_is_found(temperature):
    profiles = drawn(800, 1, temperature=temperature)
    fitted = profiles.temperatures[fit_temperature(profiles)]
    assert fitted == pytest.approx(temperature, rel=0.2)


def test_the_null_key_is_at_the_top_of_the_likelihood():
    profiles = drawn(200, 2)
    cell = (0, fit_temperature(profiles))
    null = fit_null(profiles, cell)
    middle = np.median(profiles.log_partition[:, *cell])

    def likelihood(log_count: float) -> float:
        rows = zip(profiles.present, profiles.log_partition[:, *cell], profiles.right[:, *cell], strict=True)
        whole = -((log_count - middle) ** 2) / (2 * NULL_DEVIATION**2)
        for present, partition, right in rows:
            whole += (right if present else log_count) - np.log(np.exp(partition) + np.exp(log_count))
        return float(whole)

    assert null.likelihood == pytest.approx(likelihood(null.log_count), rel=1e-9)
    for step in (-0.01, 0.01):
        assert likelihood(null.log_count) > likelihood(null.log_count + step)
    # n keys of the level weigh as much.
    temperature = profiles.temperatures[cell[1]]
    assert np.log(KEYS) + null.level(profiles) / temperature == pytest.approx(null.log_count)


@pytest.mark.parametrize(("words", "least", "expected_share"), [(True, 0.1, 0.2), (False, 0.0, 0.0)])
def test_words_count_where_they_drew_the_right_one(words, least, expected_share):
    profiles = drawn(240, 4, words=words)
    share = profiles.words[fit_full_text(profiles, fit_temperature(profiles))]
    assert least <= share <= expected_share


def test_labels_of_one_easy_kind_do_not_run_away():
    profiles = drawn(50, 5)
    profiles = profiles.of(np.flatnonzero(profiles.present))
    assert np.isfinite(fit_null(profiles, (0, profiles.own_index)).log_count)
