"""The lab trains one model at a time in a child process, and keeps its network."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import numpy as np
import pytest

from softkv_workshop.lab import (
    TASKS,
    Lab,
    LabBusy,
    LibraryNeeded,
    ModelNotTrained,
    NetworkJob,
    PairsJob,
    Plan,
    TrainingFailed,
    UnreadableSource,
)
from softkv_workshop.lab import lab as module
from softkv_workshop.lab.lab import CHILD
from tests.running import children_of

SHORT = NetworkJob(Plan(TASKS["reverse"], "transformer", 0), 30, 2)


def train(lab: Lab, job) -> list:
    async def run() -> list:
        return [event async for event in lab.train(job)]

    return asyncio.run(run())


@pytest.fixture(scope="module")
def trained() -> tuple[Lab, list]:
    lab = Lab()
    return lab, train(lab, SHORT)


def test_a_child_sends_events_and_its_network_is_kept(trained):
    lab, events = trained
    assert events[0].name == "begun"
    last = events[-1]
    assert last.name == "trained"
    assert [model.id for model in lab.models] == [last.data["id"]]
    assert lab.models[0].parameters == events[0].data["parameters"]
    assert "numbers" not in last.data
    assert len(last.data["examples"]) == 12
    assert not lab.training


@pytest.mark.parametrize(
    "model", ["gru_attention", *(pytest.param(name, marks=pytest.mark.thorough) for name in ("transformer", "gru"))]
)
def test_decoded_tokens_match_the_output_of_the_network(model):
    lab = Lab()
    train(lab, NetworkJob(Plan(TASKS["numbers"], model, 3), 30, 1))
    trained_model = lab.models[0]
    decoded = asyncio.run(lab.decode(trained_model, "two hundred and three"))
    assert decoded.source == ["two", "hundred", "three"]
    m = len(decoded.tokens)
    assert decoded.probabilities.shape == (m,)
    n_tokens = len(trained_model.job.plan.task.vocabulary)
    assert (decoded.probabilities > 1 / n_tokens).all()  # each is the largest of all tokens
    assert [weights.shape for weights in decoded.weights] == ([] if model == "gru" else [(1, m, 3)])
    assert [weights.shape for weights in decoded.source_weights] == ([(1, 3, 3)] if model == "transformer" else [])
    for weights in (*decoded.weights, *decoded.source_weights):
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.thorough
def test_a_picture_and_a_text_are_not_taken_for_each_other(trained):
    lab, _ = trained
    with pytest.raises(UnreadableSource, match="a model for reverse reads a text"):
        asyncio.run(lab.decode(lab.models[0], [[0.0] * 16] * 16))
    train(lab, NetworkJob(Plan(TASKS["pictures"], "transformer", 0), 30, 1))
    with pytest.raises(UnreadableSource, match="reads a picture, got a text"):
        asyncio.run(lab.decode(lab.models[0], "abc"))
    decoded = asyncio.run(lab.decode(lab.models[0], [[0.0] * 16] * 16))
    assert [weights.shape for weights in decoded.source_weights] == [(4, 16, 16)]
    assert [weights.shape[-1] for weights in decoded.weights] == [16]


@pytest.mark.thorough
def test_pairs_are_learned_and_no_model_is_kept():
    lab, eye = Lab(), np.eye(6, 8, dtype=np.float32)
    events = train(lab, PairsJob(eye, eye, 30, 2, 0))
    assert [event.name for event in events] == ["begun", "step", "step", "trained"]
    assert events[0].data["held_out"] == [4]
    assert np.shape(events[-1].data["weights"]) == (6, 6)
    assert lab.models == []


def test_one_trains_at_a_time_and_a_caller_that_leaves_ends_it():
    async def run() -> None:
        lab = Lab()
        async with aclosing(lab.train(NetworkJob(Plan(TASKS["dates"], "gru", 0), 100, None))) as events:
            assert (await anext(events)).name == "begun"
            assert lab.training
            assert len(children_of(module=CHILD)) == 1
            with pytest.raises(LabBusy, match="one is at a time"):
                await lab.check()
            with pytest.raises(LabBusy):
                await anext(lab.train(SHORT))
            assert lab.training
        assert not lab.training
        assert children_of(module=CHILD) == []
        await lab.check()

    asyncio.run(run())


def test_the_last_few_are_kept(trained, monkeypatch):
    monkeypatch.setattr(module, "MAX_MODELS", 1)
    lab, (model,) = Lab(), trained[0].models[-1:]
    for name in ("m-first", "m-second"):
        lab.keep(replace(model, id=name))
    assert [model.id for model in lab.models] == ["m-second"]
    with pytest.raises(ModelNotTrained, match="there is no trained model 'm-first'"):
        lab.model("m-first")
    assert lab.model("m-second").job == SHORT


def test_a_child_that_dies_is_reported(monkeypatch):
    monkeypatch.setattr(module, "CHILD", "service.no_such_module")
    with pytest.raises(TrainingFailed, match="ended without a model"):
        train(Lab(), SHORT)


def test_a_child_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(module, "STARTING_SECONDS", 0.05)
    with pytest.raises(TrainingFailed, match="longer than its budget"):
        train(Lab(), SHORT)
    assert children_of(module=CHILD) == []


def test_without_torch_nothing_is_trained(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(LibraryNeeded, match=r"needs torch 2\.6 or later.* has no torch.*make run LAB=1"):
        train(Lab(), SHORT)
