"""The part of values that their codes leave out, summed over the rows that pass or the others, whichever are fewer."""

from __future__ import annotations

import numpy as np
import pytest

from attention.lookup import Memory, Rows
from attention.lookup.codes.quantisation import quantise
from attention.lookup.memory import statistics as residuals

N = 900
RANDOM = np.random.default_rng(3)
KEYS = RANDOM.standard_normal((N, 6)).astype(np.float32)
VALUES = RANDOM.standard_normal((N, 5)).astype(np.float32)
LEFT = quantise(VALUES)[2]


def gathered(values=VALUES):
    memory = Memory("cosine")
    for part in np.array_split(np.arange(N), 3):
        memory.publish(add=Rows(part, KEYS[part], None if values is None else values[part]))
    return memory


@pytest.mark.parametrize("passing", [np.arange(0, N, 5), np.arange(7, N), np.array([0]), np.arange(N)])
def test_a_mask_knows_those_of_the_rows_that_pass(running, passing):
    view = gathered().view
    residuals = view.mask(passing).value_residuals
    assert residuals.count == len(passing)
    np.testing.assert_allclose(residuals.total, LEFT[passing].sum(axis=0), rtol=1e-9, atol=1e-12)
    assert view.value_residuals.count == N
    np.testing.assert_allclose(view.value_residuals.total, LEFT.sum(axis=0), rtol=1e-9, atol=1e-12)


def test_the_fewer_rows_are_read(monkeypatch):
    read = []
    reading = residuals.sum_row_residuals
    monkeypatch.setattr(
        residuals, "sum_row_residuals", lambda values, rows: read.append(len(rows)) or reading(values, rows)
    )
    view = gathered().view
    for passing, n_others in ((np.arange(200), 200), (np.arange(200, N), 200), (np.arange(N), 0)):
        read.clear()
        mask = view.mask(passing)
        assert mask.value_residuals is mask.value_residuals
        assert sum(read) == n_others


def test_removed_rows_are_taken_off_and_rows_written_since_do_no_harm(running):
    memory = gathered(None)
    before = memory.view
    removed = np.arange(0, N, 9)
    view = memory.publish(remove=removed)
    lives = np.setdiff1d(np.arange(N), removed)
    left = quantise(KEYS)[2]
    np.testing.assert_allclose(view.value_residuals.total, left[lives].sum(axis=0), rtol=1e-9, atol=1e-12)
    memory.publish(add=Rows(np.arange(N, N + 50), KEYS[:50]))
    mask = before.mask(np.arange(10, N))
    actual = mask.value_residuals
    expected = left[10:].sum(axis=0) + (left[:50].sum(axis=0) if actual.count > N - 10 else 0)
    np.testing.assert_allclose(actual.total, expected, rtol=1e-9, atol=1e-12)


def test_a_removed_row_is_read_once_whoever_asks(monkeypatch):
    read, reading = [], residuals.sum_row_residuals
    monkeypatch.setattr(
        residuals, "sum_row_residuals", lambda values, rows: read.append(len(rows)) or reading(values, rows)
    )
    memory = gathered(None)
    left, gone, views = quantise(KEYS)[2], np.empty(0, np.int64), []
    for removed in (np.arange(0, N, 9), np.array([1]), np.array([2, 3, 400]), np.array([N - 1])):
        gone = np.union1d(gone, removed)
        views.append((memory.publish(remove=removed), np.setdiff1d(np.arange(N), gone)))
    for view, lives in (*views[:3], views[1], *views[2:]):  # one of them from before the last one that was asked of
        read.clear()
        np.testing.assert_allclose(view.value_residuals.total, left[lives].sum(axis=0), rtol=1e-9, atol=1e-12)
    assert sum(read) == 1
    memory.publish(add=Rows(np.arange(N, N + 50), KEYS[:50]))
    read.clear()
    view = memory.publish(remove=np.array([N + 3]))
    lives = np.setdiff1d(np.arange(N), gone)
    expected = left[lives].sum(axis=0) + left[:50].sum(axis=0) - left[3]
    np.testing.assert_allclose(view.value_residuals.total, expected, rtol=1e-9, atol=1e-12)
    assert sum(read) == 1


def test_many_rows_are_summed_in_every_core(running, monkeypatch):
    monkeypatch.setattr(residuals, "ROWS_PER_TASK", 7)
    rows = RANDOM.permutation(N)[:100]
    np.testing.assert_allclose(residuals.sum_row_residuals(VALUES, rows), LEFT[rows].sum(axis=0), rtol=1e-9, atol=1e-12)
