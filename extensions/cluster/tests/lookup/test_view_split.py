"""Rows that others hold, each asked by messages of bytes: their answer is that of one view."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extensions.cluster.tests.lookup.hosts import afar
from tests.properties import test_lookup_parts as parts
from tests.properties.test_lookup_parts import FEW, SPLITS, Split, check_temperatures
from tests.thorough import examples


class Elsewhere(Split):
    """The same rows as one view, and on holders."""

    def __init__(self, seed, rows, split, similarity, several, sampled):
        super().__init__(seed, rows, split, similarity, several)
        views = [self.view(similarity, np.flatnonzero(self.whose == part)) for part in range(split)]
        self.many = afar(views, sampled=sampled)

    def question(self, filtered):
        options, allowed, _ = super().question(filtered)
        return options, allowed, None


CASES = {**{name: some for name, some in SPLITS.items() if name != "parts"}, "split": SPLITS["parts"]}


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(**CASES, sampled=st.booleans())
def test_any_split_among_holders_answers_as_one_view_does(seed, rows, split, similarity, several, sampled):
    elsewhere = Elsewhere(seed, rows, split, similarity, several, sampled)
    if elsewhere.many is not None:
        parts.check(elsewhere)
        check_temperatures(elsewhere)


@pytest.mark.thorough
def test_ten_thousand_questions_to_holders_are_within_their_certificates():
    looser = []

    @settings(max_examples=1250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(**CASES, sampled=st.booleans())
    def any_split(**given_split):
        elsewhere = Elsewhere(**given_split)
        if elsewhere.many is not None:
            looser.extend(parts.check(elsewhere, questions=8))

    any_split()
    assert looser
    assert np.mean(looser) <= FEW
