"""Training on torch learns, reports its progress and keeps to its budget; W_Q and W_K learn their pairs."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_workshop.lab.jobs import select_held_out
from softkv_workshop.lab.networks import Plan, build_network, decode
from softkv_workshop.lab.tasks import TASKS
from softkv_workshop.lab.training import (
    Budget,
    Evaluation,
    Snapshot,
    Step,
    TrainingResult,
    learn_projections,
    train,
    train_with_snapshots,
)


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def reports(task: str, model: str, budget: Budget, seed: int = 0) -> list[Step | Evaluation | TrainingResult]:
    return list(train(Plan(TASKS[task], model, seed), budget))


@pytest.mark.parametrize(
    "model",
    [
        "transformer",
        "gru_attention",
        *(pytest.param(name, marks=pytest.mark.thorough) for name in ("gru", "lstm", "lstm_attention")),
    ],
)
def test_equal_seeds_and_steps_learn_equally(model):
    first, again = (reports("copy", model, Budget(60, 3), seed=5)[-1] for _ in range(2))
    assert first.evaluation.lengths == again.evaluation.lengths
    assert first.evaluation.step == 3
    source = np.array([[1, 2, 3]])
    target = np.array([[0, 4]])
    np.testing.assert_array_equal(first.network(source, target), again.network(source, target))


@pytest.mark.thorough
def test_a_transformer_learns_to_copy_and_its_largest_weights_lie_where_it_copies_from():
    *steps, last = reports("copy", "transformer", Budget(60, 250))
    assert isinstance(last, TrainingResult)
    assert last.evaluation.accuracy > 0.8
    assert last.aligned_share > 0.5
    assert set(last.evaluation.lengths) == set(range(3, 15))
    losses = [step.loss for step in steps if isinstance(step, Step)]
    assert losses[-1] < losses[0] / 4
    assert len(last.examples) == 100


def test_snapshots_show_the_network_amid_its_training_and_change_nothing():
    plan, budget = Plan(TASKS["translation"], "transformer", 3), Budget(60, 4)
    reports = list(train_with_snapshots(plan, budget, (0, 2, 4)))
    snapshots = [report for report in reports if isinstance(report, Snapshot)]
    assert [snapshot.step for snapshot in snapshots] == [0, 2, 4]
    assert np.isnan(snapshots[0].loss)
    assert snapshots[0].seconds < snapshots[1].seconds < snapshots[2].seconds
    *_, last = train(plan, budget)
    source, target = np.array([[0, 8, 14]]), np.array([[0, 5]])
    logits = [network(source, target) for network in (*(s.network for s in snapshots), last.network)]
    np.testing.assert_array_equal(logits[0], build_network(plan)(source, target))
    assert not np.array_equal(logits[1], logits[2])
    np.testing.assert_array_equal(logits[2], logits[3])


@pytest.mark.thorough
def test_a_transformer_learns_to_translate_and_its_weights_cross():
    *_, last = reports("translation", "transformer", Budget(120, 400))
    assert last.evaluation.accuracy > 0.9
    assert last.aligned_share > 0.8
    decoded = decode(TASKS["translation"], last.network, "the old red car")
    assert decoded.text == "la vieille voiture rouge"
    noun, colour = decoded.weights[-1][0, 2:4].argmax(axis=-1)
    assert noun > colour


def test_training_ends_after_its_seconds():
    *_, last = reports("dates", "gru", Budget(2))
    assert isinstance(last, TrainingResult)
    assert last.aligned_share is None
    assert 1.5 < last.evaluation.seconds < 60


@pytest.mark.thorough
def test_pictures_are_learned_from():
    *_, last = reports("pictures", "transformer", Budget(60, 40))
    assert last.evaluation.lengths.keys() == {16}
    assert last.aligned_share is None


def test_pairs_become_a_diagonal_but_those_held_out():
    random = np.random.default_rng(0)
    query, key = (random.standard_normal((20, 64)).astype(np.float32) for _ in range(2))
    query, key = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in (query, key))
    first, *_, last = learn_projections(query, key, Budget(60))
    assert (first.step, last.step) == (0, 200)
    for report in (first, last):
        np.testing.assert_allclose(report.weights.sum(axis=1), 1, atol=1e-5)
    assert first.right < 0.5
    assert last.right > 0.7  # among all keys, those held out too
    assert last.loss < 0.05 < first.loss
    assert select_held_out(20).nonzero()[0].tolist() == [4, 9, 14, 19]
    assert last.right_held_out < 0.9  # nothing relates these pairs but chance


def test_a_common_projection_is_learned_for_held_out_pairs_too():
    """Each key is its query with its columns shifted by one: one pair of projections undoes that for all pairs."""
    random = np.random.default_rng(0)
    query = random.standard_normal((60, 16)).astype(np.float32)
    query /= np.linalg.norm(query, axis=1, keepdims=True)
    first, *_, last = learn_projections(query, np.roll(query, 1, axis=1), Budget(60, 400))
    assert first.right_held_out < 0.2
    assert last.right_held_out > 0.6


def test_two_pairs_have_none_held_out():
    *_, last = learn_projections(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), Budget(60, 3))
    assert last.step == 3
    assert np.isnan(last.right_held_out)
