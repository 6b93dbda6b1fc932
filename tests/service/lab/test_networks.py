"""Networks that are compared have as many parameters as each other, and come back from what is told of them."""

from __future__ import annotations

import numpy as np
import pytest

from attention.transformer import arrays
from service.lab import NotLearnable
from service.lab.jobs import NetworkJob, PairsJob, Told, job, numbers, restored
from service.lab.networks import MODELS, Plan, learned, network, parameters
from service.lab.tasks import TASKS, TextTask


@pytest.mark.parametrize("task", [task for task in TASKS.values() if isinstance(task, TextTask)], ids=lambda t: t.name)
@pytest.mark.parametrize("model", MODELS)
def test_each_has_as_many_parameters_as_the_transformer(task, model):
    count, wanted = (parameters(network(Plan(task, each, 0))) for each in (model, "transformer"))
    assert abs(count / wanted - 1) < 0.02


def test_the_same_plan_is_the_same_network_and_another_seed_is_not():
    of = [dict(arrays(network(Plan(TASKS["dates"], "gru", seed)))) for seed in (1, 1, 2)]
    assert all(np.array_equal(of[0][name], of[1][name]) for name in of[0])
    assert not any(np.array_equal(of[0][name], of[2][name]) for name in of[0])


def test_what_was_learned_is_restored():
    plan, other = (Plan(TASKS["copy"], "lstm_attention", seed) for seed in (1, 2))
    told = Told("trained", {"numbers": numbers(network(plan))})
    back = restored(other, Told.of(told.line()).data["numbers"])
    for (name, wanted), (_, array) in zip(arrays(network(plan)), arrays(back), strict=True):
        np.testing.assert_array_equal(array, wanted)
        assert learned(name)


def test_positions_are_not_learned():
    names = [name for name, _ in arrays(network(Plan(TASKS["pictures"], "transformer", 0))) if not learned(name)]
    assert names == ["source.positions.table", "target.positions.table"]


def test_pictures_are_no_sequence_for_recurrent_networks():
    with pytest.raises(NotLearnable, match="gru reads one token after the other, and pictures have none"):
        Plan(TASKS["pictures"], "gru", 0)


def test_jobs_are_read_as_they_were_written():
    sent = NetworkJob(Plan(TASKS["dates"], "gru", 7), 2.5, None)
    assert job(sent.line()) == sent
    pairs = PairsJob(np.eye(3, dtype=np.float32), np.ones((3, 3), np.float32), 2, 9, 1)
    back = job(pairs.line())
    assert isinstance(back, PairsJob)
    np.testing.assert_array_equal(back.query, pairs.query)
    np.testing.assert_array_equal(back.key, pairs.key)
    assert (back.seconds, back.steps, back.seed) == (2, 9, 1)
