"""Compared networks have equal numbers of parameters, and a child's events restore them."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.transformer import arrays
from softkv_workshop.lab import NotLearnable
from softkv_workshop.lab.jobs import NetworkJob, PairsJob, TrainingEvent, pack_parameters, parse_job, restore_network
from softkv_workshop.lab.networks import MODELS, Plan, build_network, count_parameters, is_learned
from softkv_workshop.lab.tasks import TASKS, TextTask


@pytest.mark.parametrize("task", [task for task in TASKS.values() if isinstance(task, TextTask)], ids=lambda t: t.name)
@pytest.mark.parametrize("model", MODELS)
def test_each_has_as_many_parameters_as_the_transformer(task, model):
    count, expected = (count_parameters(build_network(Plan(task, name, 0))) for name in (model, "transformer"))
    assert abs(count / expected - 1) < 0.02


def test_a_plan_determines_its_network_and_another_seed_changes_it():
    first, same, different = [dict(arrays(build_network(Plan(TASKS["dates"], "gru", seed)))) for seed in (1, 1, 2)]
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not any(np.array_equal(first[name], different[name]) for name in first)


def test_learned_parameters_are_restored():
    plan, other = (Plan(TASKS["copy"], "lstm_attention", seed) for seed in (1, 2))
    event = TrainingEvent("trained", {"numbers": pack_parameters(build_network(plan))})
    restored = restore_network(other, TrainingEvent.parse(event.line()).data["numbers"])
    for (name, expected), (_, array) in zip(arrays(build_network(plan)), arrays(restored), strict=True):
        np.testing.assert_array_equal(array, expected)
        assert is_learned(name)


def test_positions_are_not_learned():
    names = [
        name for name, _ in arrays(build_network(Plan(TASKS["pictures"], "transformer", 0))) if not is_learned(name)
    ]
    assert names == ["source.positions.table", "target.positions.table"]


def test_recurrent_networks_do_not_take_pictures():
    with pytest.raises(NotLearnable, match="gru reads one token after the other, and pictures have none"):
        Plan(TASKS["pictures"], "gru", 0)


def test_jobs_are_read_as_they_were_written():
    job = NetworkJob(Plan(TASKS["dates"], "gru", 7), 2.5, None)
    assert parse_job(job.line()) == job
    pairs = PairsJob(np.eye(3, dtype=np.float32), np.ones((3, 3), np.float32), 2, 9, 1)
    parsed = parse_job(pairs.line())
    assert isinstance(parsed, PairsJob)
    np.testing.assert_array_equal(parsed.query, pairs.query)
    np.testing.assert_array_equal(parsed.key, pairs.key)
    assert (parsed.seconds, parsed.steps, parsed.seed) == (2, 9, 1)
