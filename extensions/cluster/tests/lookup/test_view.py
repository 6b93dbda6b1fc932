"""A view whose rows others hold: what it says of them, and what passes a condition."""

from __future__ import annotations

import json

import numpy as np
import pytest

from extensions.cluster.tests.lookup.hosts import afar
from softkv_attention.errors import ParameterError
from softkv_attention.lookup import Memory, Question, Rows, answers, attend

RANDOM = np.random.default_rng(6)
KEYS = RANDOM.standard_normal((600, 8)).astype(np.float32)
VALUES = RANDOM.standard_normal((600, 3)).astype(np.float32)


def views(parts=3):
    views_of_parts = []
    for rows in np.array_split(np.arange(len(KEYS)), parts):
        memory = Memory("cosine")
        views_of_parts.append(memory.publish(add=Rows(rows, KEYS[rows], VALUES[rows])))
    return views_of_parts


def test_a_remote_view_has_the_statistics_of_one_local_view():
    whole, remote = Memory.of(KEYS, VALUES).view, afar(views(), sampled=True)
    assert (remote.n, remote.documents, remote.dimension, remote.value_dimension) == (600, 600, 8, 3)
    assert remote.facts.key_norm == whole.facts.key_norm
    np.testing.assert_allclose(remote.value_residuals.total, whole.value_residuals.total, atol=1e-12)
    assert not remote.bare


def test_a_condition_passes_the_rows_that_its_holders_select():
    result = afar(views(), sampled=False)
    passing = RANDOM.choice(600, 200, replace=False)
    mask = result.where(json.dumps(passing.tolist()))
    whole = Memory.of(KEYS, VALUES).view
    expected = whole.mask(passing)
    assert (mask.n, mask.documents, mask.scanned >= mask.n) == (200, 200, True)
    np.testing.assert_allclose(mask.value_residuals.total, expected.value_residuals.total, atol=1e-12)


def test_no_mask_is_made_of_numbers_and_none_of_another_view_is_taken():
    one, other = (afar(views(), sampled=False) for _ in range(2))
    with pytest.raises(ParameterError, match=r"Use view\.where\(condition\)"):
        attend(KEYS[0], one, temperature=0.1, mask=np.ones(600, dtype=np.bool_))
    with pytest.raises(ParameterError, match="another view"):
        answers(other, [Question(KEYS[0], 0.1, mask=one.where("[1]"))])
