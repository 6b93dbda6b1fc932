"""What is asked and what was gathered go through a message unchanged."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from attention.lookup.parts.gathered import Gathered, Wanted
from attention.lookup.parts.processes.asked import Asked, facts_of, heard, told
from attention.lookup.parts.processes.messages import packed, unpacked
from attention.lookup.parts.whole import Whole


def same(one, other):
    for each in fields(one):
        mine, theirs = getattr(one, each.name), getattr(other, each.name)
        assert isinstance(theirs, type(mine)), each.name
        if is_dataclass(mine):
            same(mine, theirs)
        else:
            np.testing.assert_array_equal(mine, theirs, err_msg=each.name)


@pytest.mark.parametrize("temperatures", [None, np.array([0.1, 0.0, 1e-30, 5.0])])
def test_a_question_comes_back(queries, temperatures):
    open_everywhere = np.full(4, -np.inf, dtype=np.float32)
    errors = np.full((4, 3), np.inf)
    wanted = Wanted(queries, [1, 2, 3, 2**40], listed=512, most=2_048, temperatures=temperatures, outputs=True)
    asked = Asked(wanted, open_everywhere, errors, key_norm=1.5)
    same(asked, Asked.of(*unpacked(packed(*asked.message()))))


@pytest.mark.parametrize("temperatures", [None, np.array([0.1, 0.0, 1e-30, 5.0])])
def test_what_was_gathered_comes_back(memory_of, queries, temperatures):
    outputs = temperatures is not None
    wanted = Wanted(queries, [1, 2, 3, 40], listed=512, most=128, temperatures=temperatures, outputs=outputs)
    found = Whole(memory_of().view, None).gather(wanted)
    assert (found.histogram is None) == outputs
    same(found, heard(Gathered, *unpacked(packed(*told(found)))))


def test_a_scan_knows_no_more_of_its_part_than_it_needs():
    facts = facts_of("dot", 7, 3, 2.5)
    assert (facts.n, facts.documents, facts.several, facts.key_norm, facts.value_dimension) == (7, 7, False, 2.5, 3)
    assert facts.value_spread is None
