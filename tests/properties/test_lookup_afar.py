"""Rows that others hold, each asked by messages of bytes: their answer is that of one view."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attention.lookup import (
    Afar,
    SampleKeys,
    View,
    each_of,
    facts_heard,
    of_bytes,
    respond,
    to_bytes,
)
from attention.lookup.memory.facts import Facts
from tests.properties import test_lookup_parts as parts
from tests.properties.test_lookup_parts import FEW, SPLITS, Split, check_temperatures

small_blocks_and_short_lists = parts.small_blocks_and_short_lists


class Holder:
    """Holds some rows: a message of bytes in, one out. A condition is a list of numbers."""

    def __init__(self, views):
        self.views = views
        first = views[0]
        segments = tuple(segment for view in views for segment in view.segments)
        self.view = View(first.similarity, segments, first.dimension, first.value_dimension)
        self.numbers = np.concatenate([segment.numbers for segment in segments])
        self.calls = []

    def answer(self, message):
        said, arrays = of_bytes(message)
        self.calls.append(said["call"])
        condition = said.get("condition")
        mask = None if condition is None else self.view.mask(np.array(json.loads(condition), dtype=np.int64))
        return to_bytes(*respond(self.views, mask, self.view, said, arrays))


class InHand:
    """All rows in the hands of holders."""

    def __init__(self, holders):
        self.holders = holders

    def every(self, message):
        return [of_bytes(holder.answer(to_bytes(*message))) for holder in self.holders]

    def those(self, numbers, message):
        found = []
        for holder in self.holders:
            at = np.flatnonzero(np.isin(numbers, holder.numbers))
            if len(at):
                found.append((at, of_bytes(holder.answer(to_bytes(*message(at))))))
        return found


@dataclass(frozen=True, eq=False)
class ByNumbers(Afar):
    """A view whose masks can be made of numbers, for its holders understand these as a condition."""

    def mask(self, numbers):
        return self.where(json.dumps(np.asarray(numbers).tolist()))


def afar(views, *, sampled):
    """The views as one whose rows lie elsewhere."""
    views = [view for view in views if view.segments]
    if not views:
        return None
    random = np.random.default_rng(len(views))
    edges = np.unique(random.integers(1, len(views) + 1, 2)) if len(views) > 1 else np.array([1])
    groups = [group.tolist() for group in np.split(np.arange(len(views)), edges) if len(group)]
    holders = [Holder([views[i] for i in group]) for group in groups]
    hands = InHand(holders)
    told = [
        (facts_heard(said["facts"], arrays), said)
        for reply in hands.every(({"call": "facts"}, {}))
        for said, arrays in each_of(*reply)
    ]
    first = views[0]
    facts = Facts.joined(first.similarity, first.value_dimension, [facts for facts, _ in told])
    keys = [arrays["keys"] for _, arrays in hands.every(({"call": "sample", "stride": 2}, {}))]
    return ByNumbers(
        first.similarity,
        (),
        first.dimension,
        first.value_dimension,
        holders=hands,
        told=facts,
        coded=all(said["coded"] for _, said in told),
        sample=SampleKeys(first.similarity, np.concatenate(keys)) if sampled else None,
    )


class Elsewhere(Split):
    """The same rows as one view, and with holders."""

    def __init__(self, seed, rows, split, similarity, several, sampled):
        super().__init__(seed, rows, split, similarity, several)
        views = [self.view(similarity, np.flatnonzero(self.whose == part)) for part in range(split)]
        self.many = afar(views, sampled=sampled)

    def question(self, filtered):
        asked, allowed, _ = super().question(filtered)
        return asked, allowed, None


CASES = {**{name: some for name, some in SPLITS.items() if name != "parts"}, "split": SPLITS["parts"]}


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
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
