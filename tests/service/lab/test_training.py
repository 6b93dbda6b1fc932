"""Training on torch: it learns, it tells where it stands, it keeps to its budget; W_Q and W_K find their pairs."""

from __future__ import annotations

import numpy as np
import pytest

from service.lab import training as module
from service.lab.jobs import held_out
from service.lab.networks import Plan
from service.lab.tasks import TASKS
from service.lab.training import Budget, Step, Trained, learn_projections, training


@pytest.fixture(autouse=True)
def one_thread():
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def told(task: str, model: str, budget: Budget, seed: int = 0) -> list[Step | module.Tested | Trained]:
    return list(training(Plan(TASKS[task], model, seed), budget))


@pytest.mark.parametrize(
    "model",
    [
        "transformer",
        "gru_attention",
        *(pytest.param(each, marks=pytest.mark.thorough) for each in ("gru", "lstm", "lstm_attention")),
    ],
)
def test_the_same_seed_and_steps_learn_the_same(model):
    first, again = (told("copy", model, Budget(60, 3), seed=5)[-1] for _ in range(2))
    assert first.tested.lengths == again.tested.lengths
    assert first.tested.step == 3
    source = np.array([[1, 2, 3]])
    given = np.array([[0, 4]])
    np.testing.assert_array_equal(first.network(source, given), again.network(source, given))


@pytest.mark.thorough
def test_a_transformer_learns_to_copy_and_its_largest_weights_lie_where_it_copies_from():
    *steps, last = told("copy", "transformer", Budget(60, 250))
    assert isinstance(last, Trained)
    assert last.tested.accuracy > 0.8
    assert last.aligned > 0.5
    assert set(last.tested.lengths) == set(range(3, 15))
    losses = [step.loss for step in steps if isinstance(step, Step)]
    assert losses[-1] < losses[0] / 4
    assert len(last.examples) == 100


def test_it_ends_when_its_seconds_are_spent():
    *_, last = told("dates", "gru", Budget(2))
    assert isinstance(last, Trained)
    assert last.aligned is None
    assert 1.5 < last.tested.seconds < 60


@pytest.mark.thorough
def test_pictures_are_learned_from():
    *_, last = told("pictures", "transformer", Budget(60, 40))
    assert last.tested.lengths.keys() == {16}
    assert last.aligned is None


def test_pairs_become_a_diagonal_but_those_held_out():
    random = np.random.default_rng(0)
    query, key = (random.standard_normal((20, 64)).astype(np.float32) for _ in range(2))
    query, key = (each / np.linalg.norm(each, axis=1, keepdims=True) for each in (query, key))
    first, *_, last = learn_projections(query, key, Budget(60))
    assert (first.step, last.step) == (0, 200)
    for each in (first, last):
        np.testing.assert_allclose(each.weights.sum(axis=1), 1, atol=1e-5)
    assert first.right < 0.5
    assert last.right > 0.7  # among all keys, those held out too
    assert last.loss < 0.05 < first.loss
    assert held_out(20).nonzero()[0].tolist() == [4, 9, 14, 19]
    assert last.right_held_out < 0.9  # nothing relates these pairs but chance


def test_what_pairs_have_in_common_is_learned_for_those_held_out_too():
    """Keys are their queries turned in space: one pair of projections undoes it, for all."""
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
