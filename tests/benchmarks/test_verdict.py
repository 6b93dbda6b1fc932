"""The benchmark of verdicts: every null key is tried on collections that lack half of the answers."""

from __future__ import annotations

import pytest

from benchmarks.asking import Vectors
from benchmarks.labelled import Labels
from benchmarks.verdict import NULLS, results_by_null
from service.encoding import load_encoder

THINGS = {
    "cat": "a small animal that purrs", "violin": "an instrument with four strings and a bow",
    "bread": "what a baker makes of flour", "anchor": "it keeps a ship in its place",
    "umbrella": "it keeps the rain off your head", "dentist": "somebody who looks after teeth",
    "volcano": "a mountain that spits fire", "library": "a house where books are lent", "glacier": "a river of ice",
    "tailor": "somebody who sews suits",
}  # fmt: skip
LABELS = Labels({name: name for name in THINGS}, {said: (name,) for name, said in THINGS.items()})


@pytest.fixture(scope="module")
def vectors():
    return Vectors(load_encoder("all-MiniLM-L6-v2"))


def test_every_null_key_is_tried_on_every_collection(vectors):
    result = results_by_null(LABELS, 6, 6, ["what is the capital of France"], ["zorp", "xyzzy"], vectors)
    assert list(result) == list(NULLS)
    for one in result.values():
        assert len(one.present.verdicts) == len(one.right) == len(one.absent.verdicts) == 6
        assert [len(verdicts.verdicts) for verdicts in one.meaningless] == [2, 2]
    auto = result["auto"]
    assert auto.right.mean() >= 0.8
    assert auto.by_verdict > auto.by_answered
    assert auto.by_cosine[0] >= auto.by_verdict - 0.25
