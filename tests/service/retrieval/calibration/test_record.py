"""A calibration is read as it was written, and knows when a collection has outgrown it."""

from __future__ import annotations

import json

import pytest

from service.retrieval.calibration import Calibration, Curve, Variant

PLAIN = Variant(0.2, Curve(0.7, 0.3, 0.2, 0.1, -1.0), {0.5: -1.5, 0.9: -4.25})
WORDS = Variant(0.25, Curve(0.6, 0.2, 0.3, 0.0, -1.1), {0.5: -1.25})
KEPT = Calibration(1000, "all-MiniLM-L6-v2", 0.06, 0.1, 100, 90, PLAIN, WORDS, (0.05, "auto"))


def test_a_calibration_is_read_as_it_was_written():
    assert Calibration.read(KEPT.text()) == KEPT
    assert Calibration.read(None) is None


def test_one_of_another_version_is_as_none():
    assert Calibration.read(json.dumps(json.loads(KEPT.text()) | {"version": 3})) is None


def test_a_calibration_holds_for_its_fitted_shares_of_words():
    assert (KEPT.variant(0.0), KEPT.variant(0.1), KEPT.variant(0.15)) == (PLAIN, WORDS, None)


@pytest.mark.parametrize(
    ("documents", "encoder", "temperature", "outgrown"),
    [
        (1000, "all-MiniLM-L6-v2", 0.06, False),
        (2000, "all-MiniLM-L6-v2", 0.06, False),
        (2001, "all-MiniLM-L6-v2", 0.06, True),
        (499, "all-MiniLM-L6-v2", 0.06, True),
        (0, "all-MiniLM-L6-v2", 0.06, True),
        (1000, "another", 0.06, True),
        (1000, "all-MiniLM-L6-v2", 0.05, True),
    ],
)
def test_another_collection_has_outgrown_it(documents, encoder, temperature, outgrown):
    assert KEPT.outgrown(documents, encoder, temperature) is outgrown
