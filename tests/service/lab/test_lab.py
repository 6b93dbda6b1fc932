"""One training at a time in a child process, and what is kept of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import numpy as np
import pytest

from service.lab import (
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
from service.lab import lab as module
from service.lab.lab import CHILD
from tests.running import children_of

SHORT = NetworkJob(Plan(TASKS["reverse"], "transformer", 0), 30, 2)


def collected(lab: Lab, job) -> list:
    async def run() -> list:
        return [told async for told in lab.train(job)]

    return asyncio.run(run())


@pytest.fixture(scope="module")
def trained() -> tuple[Lab, list]:
    lab = Lab()
    return lab, collected(lab, SHORT)


def test_a_child_tells_and_what_it_trained_is_kept(trained):
    lab, told = trained
    assert [each.name for each in told][:1] == ["begun"]
    last = told[-1]
    assert last.name == "trained"
    assert [model.id for model in lab.models] == [last.data["id"]]
    assert lab.models[0].parameters == told[0].data["parameters"]
    assert "numbers" not in last.data
    assert len(last.data["examples"]) == 12
    assert not lab.training


@pytest.mark.parametrize(
    "model", ["gru_attention", *(pytest.param(each, marks=pytest.mark.thorough) for each in ("transformer", "gru"))]
)
def test_what_is_decoded_is_what_the_network_writes(model):
    lab = Lab()
    collected(lab, NetworkJob(Plan(TASKS["numbers"], model, 3), 30, 1))
    kept = lab.models[0]
    decoded = asyncio.run(lab.decode(kept, "two hundred and three"))
    assert decoded.source == ["two", "hundred", "three"]
    m = len(decoded.tokens)
    assert decoded.probabilities.shape == (m,)
    assert (decoded.probabilities > 1 / len(kept.job.plan.task.written)).all()  # the largest of all, each time
    assert [each.shape for each in decoded.weights] == ([] if model == "gru" else [(1, m, 3)])
    assert [each.shape for each in decoded.source_weights] == ([(1, 3, 3)] if model == "transformer" else [])
    for weights in (*decoded.weights, *decoded.source_weights):
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)


@pytest.mark.thorough
def test_a_picture_and_a_text_are_not_taken_for_each_other(trained):
    lab, _ = trained
    with pytest.raises(UnreadableSource, match="a model for reverse reads a text"):
        asyncio.run(lab.decode(lab.models[0], [[0.0] * 16] * 16))
    collected(lab, NetworkJob(Plan(TASKS["pictures"], "transformer", 0), 30, 1))
    with pytest.raises(UnreadableSource, match="reads a picture, got a text"):
        asyncio.run(lab.decode(lab.models[0], "abc"))
    decoded = asyncio.run(lab.decode(lab.models[0], [[0.0] * 16] * 16))
    assert [each.shape for each in decoded.source_weights] == [(4, 16, 16)]
    assert [each.shape[-1] for each in decoded.weights] == [16]


@pytest.mark.thorough
def test_pairs_are_learned_and_no_model_is_kept():
    lab, eye = Lab(), np.eye(6, 8, dtype=np.float32)
    told = collected(lab, PairsJob(eye, eye, 30, 2, 0))
    assert [each.name for each in told] == ["begun", "step", "step", "trained"]
    assert told[0].data["held_out"] == [4]
    assert np.shape(told[-1].data["weights"]) == (6, 6)
    assert lab.models == []


def test_one_trains_at_a_time_and_who_goes_ends_it():
    async def run() -> None:
        lab = Lab()
        async with aclosing(lab.train(NetworkJob(Plan(TASKS["dates"], "gru", 0), 100, None))) as told:
            assert (await anext(told)).name == "begun"
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
    monkeypatch.setattr(module, "MOST_KEPT", 1)
    lab, (kept,) = Lab(), trained[0].models[-1:]
    for name in ("m-first", "m-second"):
        lab.keep(replace(kept, id=name))
    assert [model.id for model in lab.models] == ["m-second"]
    with pytest.raises(ModelNotTrained, match="there is no trained model 'm-first'"):
        lab.model("m-first")
    assert lab.model("m-second").job == SHORT


def test_a_child_that_dies_is_told(monkeypatch):
    monkeypatch.setattr(module, "CHILD", "service.no_such_module")
    with pytest.raises(TrainingFailed, match="ended without a model"):
        collected(Lab(), SHORT)


def test_a_child_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(module, "STARTING_SECONDS", 0.05)
    with pytest.raises(TrainingFailed, match="longer than its budget"):
        collected(Lab(), SHORT)
    assert children_of(module=CHILD) == []


def test_without_torch_nothing_is_trained(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(LibraryNeeded, match="wants torch"):
        collected(Lab(), SHORT)
