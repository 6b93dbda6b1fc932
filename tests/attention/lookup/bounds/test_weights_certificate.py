"""The limit that `max_error` puts on a certificate."""

from __future__ import annotations

import pytest

from softkv_attention.lookup import Certificate


@pytest.mark.parametrize(
    ("total_variation", "output_error", "value_norm", "error"),
    [(0.2, None, 1.0, 0.2), (0.2, 0.1, 1.0, 0.2), (0.2, 0.6, 2.0, 0.3), (0.0, 0.0, 0.0, 0.0)],
)
def test_the_error_of_the_output_is_relative_to_the_largest_value(total_variation, output_error, value_norm, error):
    assert Certificate("exact", total_variation, output_error).error(value_norm) == pytest.approx(error)


def test_values_of_no_length_have_no_relative_error_to_hide_behind():
    assert Certificate("exact", 0.0, 1e-12).error(0.0) > 1e200
