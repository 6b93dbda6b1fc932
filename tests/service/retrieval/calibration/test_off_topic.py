"""Made off-topic questions bound the null key; questions that a collection may answer are not among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from softkv_service.retrieval.calibration import Metric, OffTopic, evaluate
from tests.service.retrieval.calibration.making import drawn

PROFILES = drawn(60, 7)
MADE = drawn(100, 8)
PARTITION = MADE.log_partition[:, 0, MADE.own_index]
HEAVY = np.full(100, 1e3)
LIGHT = np.full(60, -np.inf)


def test_questions_about_the_collection_are_left_out():
    about = np.arange(100) < 15
    shifted = MADE.log_partition + np.where(about, 10.0, 0.0)[:, None, None]
    made = replace(MADE, log_partition=shifted)
    auto = np.full(100, PARTITION.max() + 1)
    chosen = OffTopic.choose(made, HEAVY, auto, made.own_index)
    assert chosen is not None
    assert len(chosen.served) >= 84
    assert chosen.profiles.log_partition[:, 0, made.own_index].max() <= PARTITION.max()
    assert OffTopic.choose(made, HEAVY, np.full(100, -np.inf), made.own_index) is None


def test_a_fit_refuses_all_but_one():
    loose = evaluate(PROFILES, np.arange(60), LIGHT).plain.predict(MADE).none
    off_topic = OffTopic(MADE, np.full(100, -np.inf))
    evaluation = evaluate(PROFILES, np.arange(60), LIGHT, off_topic=off_topic)
    assert loose.mean() < 0.9
    assert np.count_nonzero(evaluation.plain.predict(MADE).none) >= 99
    assert evaluation.plain.variant.none_from == 0.5
    assert evaluation.before.off_topic_none.value == 0
    assert 0.9 < evaluation.after.off_topic_none.value < 1


def test_off_topic_questions_that_a_fit_refuses_anyway_change_nothing():
    quiet = replace(MADE, log_partition=MADE.log_partition - 100)
    fits = [evaluate(PROFILES, np.arange(60), LIGHT, off_topic=made) for made in (None, OffTopic(quiet, HEAVY))]
    assert fits[0].plain == fits[1].plain
    assert fits[0].after.off_topic_none == Metric(None, None)
    assert fits[1].after.off_topic_none == Metric(1.0, 0.0)
