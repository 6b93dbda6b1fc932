"""The limits of arrays in a request, and the fields that go together."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from softkv_attention import ShapeError, attend
from softkv_attention.heads import Heads
from softkv_service.retrieval import InvalidContent, TooLarge
from softkv_service.retrieval.queries import Arrays, attend_over_arrays
from softkv_service.retrieval.queries import arrays as module

ROWS = np.ones((6, 2))
COLUMN = np.ones((6, 1))
EYES = {name: np.eye(1) for name in ("W_Q", "W_K", "W_V", "W_O")} | {"n_heads": 1}


@pytest.mark.parametrize(
    ("arrays", "numbers"),
    [
        (Arrays(ROWS, ROWS, ROWS), 36),
        (Arrays(np.ones((5, 1, 6, 2)), np.ones((7, 6, 2)), ROWS), 5 * 7 * 36),
        (Arrays(ROWS, ROWS, ROWS, hopfield_steps=2), 3 * 36),
        (Arrays(ROWS, ROWS, ROWS, projections=dict.fromkeys(EYES, np.ones((2, 4))) | {"n_heads": 4}), 4 * 36),
        (Arrays(COLUMN, COLUMN, COLUMN, mask=np.ones((8, 1, 1), bool)), 8 * 36),
        (Arrays(COLUMN, COLUMN, COLUMN, bias=np.ones((8, 1, 1))), 8 * 36),
        (Arrays(COLUMN, COLUMN, COLUMN, mask=np.ones((8, 1, 1), bool), projections=EYES), 8 * 36),
        (Arrays(COLUMN, COLUMN[:1], np.ones((1, 50))), 6 * 50),
        (Arrays(COLUMN, COLUMN, COLUMN, projections=EYES | {"W_Q": np.ones((1, 50)), "W_K": np.ones((1, 50))}), 6 * 50),
        (Arrays(COLUMN, COLUMN, COLUMN, projections=EYES | {"W_O": np.ones((1, 50))}), 6 * 50),
        (Arrays(COLUMN, np.ones((6, 50)), COLUMN, similarity="bilinear", parameters={"W": np.ones((1, 50))}), 6 * 50),
        (Arrays(np.ones((1, 50)), np.ones((1, 50)), np.ones((1, 50)), hopfield_steps=3), 4 * 50),
        (
            Arrays(
                ROWS,
                ROWS,
                ROWS,
                similarity="additive",
                parameters={"W_q": np.ones((3, 2)), "W_k": np.ones((3, 2)), "v": np.ones(3)},
            ),
            3 * 36,
        ),
    ],
    ids=[
        *("pairs", "broadcast", "steps", "heads", "mask", "bias", "mask of heads", "output", "projected", "joined"),
        *("bilinear", "states", "additive"),
    ],
)
def test_everything_that_is_computed_counts(monkeypatch, arrays, numbers):
    monkeypatch.setattr(module, "MAX_LOGITS", numbers - 1)
    with pytest.raises(TooLarge, match=f"asks for {numbers} numbers, the service computes {numbers - 1}"):
        attend_over_arrays(arrays)


def test_differences_of_a_gaussian_have_a_limit_of_their_own():
    few, many = np.ones((20, 401)), np.ones((200, 401))
    attend_over_arrays(Arrays(few, few, few, similarity="gaussian", intermediates=False))
    with pytest.raises(TooLarge, match="asks for 16040000 numbers, the service computes 16000000"):
        attend_over_arrays(Arrays(many, many, many, similarity="gaussian"))


CHANCE = np.random.default_rng(3)
LARGE = 700  # queries and keys: more logits than are computed at a time


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mask": CHANCE.random((LARGE, LARGE)) < 0.5, "bias": CHANCE.normal(size=LARGE), "null": 0.3},
        {"mask": CHANCE.random((3, 1, LARGE)) < 0.5, "normaliser": "sparsemax", "temperature": 0.5},
        {"bias": CHANCE.normal(size=(2, LARGE, 1)), "normaliser": "entmax15"},
    ],
    ids=["plain", "null", "mask", "bias"],
)
def test_attention_in_parts_is_attention(options):
    query, key, value = (CHANCE.normal(size=(LARGE, width)) for width in (4, 4, 3))
    got = attend_over_arrays(Arrays(query, key, value, **options)).attended
    for name, numbers in attend(query, key, value, **options)._asdict().items():
        if numbers is None:
            assert getattr(got, name) is None
        else:
            np.testing.assert_allclose(getattr(got, name), numbers, rtol=1e-10, atol=1e-12, err_msg=name)


def test_attention_in_parts_of_a_batch_and_of_heads_is_attention():
    query, key, value = (CHANCE.normal(size=(800, rows, 4)) for rows in (2, 300, 300))
    mask = CHANCE.random((800, 1, 300)) < 0.5
    got = attend_over_arrays(Arrays(query, key, value, mask=mask)).attended
    np.testing.assert_allclose(got.output, attend(query, key, value, mask=mask).output, rtol=1e-10, atol=1e-12)
    x, matrices = CHANCE.normal(size=(500, 6)), {name: CHANCE.normal(size=(6, 6)) for name in EYES if name != "n_heads"}
    mask = CHANCE.random((500, 500)) < 0.5
    heads = attend_over_arrays(Arrays(x, x, x, mask=mask, projections=matrices | {"n_heads": 2}))
    np.testing.assert_allclose(heads.output, Heads(**matrices, n_heads=2)(x, x, x, mask), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(699, LARGE), (LARGE, 699), (2, 1, 699)])
def test_a_large_mask_that_does_not_fit_is_refused(shape):
    rows = np.ones((LARGE, 1))
    with pytest.raises(ShapeError, match="mask must broadcast"):
        attend_over_arrays(Arrays(rows, rows, rows, mask=np.ones(shape, bool)))


def test_memory_beside_the_logits_and_the_weights_is_that_of_a_part():
    rows = CHANCE.normal(size=(2000, 1))
    tracemalloc.start()
    try:
        attend_over_arrays(Arrays(rows, rows, rows, intermediates=False))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * (2 * module.MAX_LOGITS + 8 * module.PART_LOGITS)


@pytest.mark.parametrize(
    ("arrays", "pointer"),
    [
        (Arrays(ROWS[0], ROWS, ROWS), "/query"),
        (Arrays(ROWS, np.ones((2, 6, 2)), np.ones((3, 6, 2))), ""),
        (Arrays(ROWS, ROWS, ROWS, similarity="bilinear"), "/parameters"),
        (Arrays(ROWS, ROWS, ROWS, parameters={"W": ROWS}), "/parameters"),
        (Arrays(ROWS, ROWS, 2 * ROWS, hopfield_steps=1), "/value"),
        (Arrays(ROWS, ROWS, ROWS, hopfield_steps=1, null=0.5), "/null"),
        (Arrays(ROWS, ROWS, ROWS, hopfield_steps=1, normaliser="sparsemax"), "/normaliser"),
    ],
)
def test_mismatched_arrays_are_refused_with_a_pointer(arrays, pointer):
    with pytest.raises(InvalidContent) as refused:
        attend_over_arrays(arrays)
    assert [flaw.pointer for flaw in refused.value.flaws] == [pointer]
