"""The benchmark of verdicts: its collections hold what they say, and it counts what is decided rightly."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.asking import Asking, Said, Vectors, collections
from benchmarks.labelled import Labels
from benchmarks.verdict import NULLS, VerdictResults, missed, results_by_null
from service.encoding import load_encoder

THINGS = {
    "cat": "a small animal that purrs",
    "violin": "an instrument with four strings and a bow",
    "bread": "what a baker makes of flour",
    "anchor": "it keeps a ship in its place",
    "umbrella": "it keeps the rain off your head",
    "dentist": "somebody who looks after teeth",
    "volcano": "a mountain that spits fire",
    "library": "a house where books are lent",
    "glacier": "a river of ice",
    "tailor": "somebody who sews suits",
}
LABELS = Labels({name: name for name in THINGS}, {said: (name,) for name, said in THINGS.items()})


@pytest.fixture(scope="module")
def vectors():
    return Vectors(load_encoder("all-MiniLM-L6-v2"))


def test_answers_are_there_for_half_of_the_questions():
    made = list(collections(LABELS, 6, 6))
    assert len(made) == 2
    for one in made:
        assert len(one.keys) == 6
        assert len(one.present) == len(one.absent) == 3
        assert all(one.keys.keys() >= set(answers) for _, answers in one.present)
        assert not any(one.keys.keys() & set(LABELS.right[question]) for question in one.absent)
    assert made[0] != made[1]
    assert made == list(collections(LABELS, 6, 6))


def test_a_set_that_is_too_small_makes_no_collection():
    assert list(collections(LABELS, 8, 10)) == []


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


def test_the_verdicts_match_the_service(vectors):
    asking = Asking({name: name for name in THINGS}, vectors)
    assert asking.own.short
    verdicts = asking.ask(["what purrs and catches mice?", "zorp"], "auto")
    assert verdicts.first[0] == "cat"
    assert verdicts.verdicts.tolist() == ["one", "none"]
    logits = asking.null_logits(["what purrs and catches mice?", "zorp"])
    assert logits[1] > logits[0]


def said(verdicts, nulls, cosines):
    verdicts = np.array(verdicts)
    return Said(verdicts, np.array(["x"] * len(verdicts)), np.array(cosines), np.array(nulls), 1 - np.array(nulls))


def test_right_is_one_for_a_right_match_and_not_one_for_all_else():
    present = said(["one", "several", "one", "none"], [0.1, 0.2, 0.1, 0.7], [0.9, 0.8, 0.7, 0.2])
    absent = said(["one", "several", "none", "none"], [0.1, 0.2, 0.6, 0.9], [0.6, 0.5, 0.1, 0.1])
    strings = [said(["one", "none"], [0.1, 0.9], [0.5, 0.1]), said(["none", "none"], [0.8, 0.9], [0.2, 0.1])]
    one = VerdictResults(present, np.array([True, True, False, False]), absent, absent, strings)
    assert one.by_verdict == pytest.approx((2 / 4 + 3 / 4) / 2)
    assert one.by_answered == pytest.approx((3 / 4 + 2 / 4) / 2)
    assert one.by_cosine == (1.0, 0.7)
    assert one.strings == (1, 1)
    assert len(missed("fish", 300, one)) == 2
    assert len(missed("fish", 3000, one)) == 2
