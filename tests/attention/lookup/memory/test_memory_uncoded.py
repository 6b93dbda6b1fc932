"""Rows that are answered from their originals before they have codes."""

from __future__ import annotations

import gc
import time
from threading import Thread

import numpy as np
import pytest

from softkv_attention.lookup import Limits, Memory, Question, Rows, answers

WIDTH, N = 64, 30_000
LIMITS = Limits(block_rows=8192, exact_max_components=0)
RANDOM = np.random.default_rng(8)
KEYS = RANDOM.standard_normal((N, WIDTH)).astype(np.float32)
VALUES = RANDOM.standard_normal((N, 3)).astype(np.float32) + 1  # an average that is not short is made of codes
QUESTION = Question(KEYS[7] + 0.5, 0.3, top_k=5)


def part(start, stop):
    return Rows(np.arange(start, stop), KEYS[start:stop], VALUES[start:stop])


def bare(stop=N, **settings):
    memory = Memory("cosine", codes_later=True, limits=LIMITS, **settings)
    memory.publish(add=part(0, stop))
    return memory


def at_once(**settings):
    memory = Memory("cosine", limits=LIMITS, **settings)
    memory.publish(add=part(0, N))
    return memory


def same(actual, expected):
    """Compare codes to the last bit, and answers."""
    assert [s.count for s in actual.segments] == [s.count for s in expected.segments]
    for one, other in zip(actual.segments, expected.segments, strict=True):
        everywhere = np.arange(one.count)
        np.testing.assert_array_equal(one.block.codes.at(everywhere, WIDTH), other.block.codes.at(everywhere, WIDTH))
        for name in ("codes", "value_codes"):
            mine, theirs = getattr(one.block, name), getattr(other.block, name)
            np.testing.assert_array_equal(mine.scales[: one.count], theirs.scales[: one.count])
            np.testing.assert_array_equal(mine.residuals[: one.count], theirs.residuals[: one.count])
        np.testing.assert_allclose(one.block.codes.grams, other.block.codes.grams, atol=1e-5)
        assert one.block.value_codes.moments.count == other.block.value_codes.moments.count
    (mine,), (theirs,) = answers(actual, [QUESTION]), answers(expected, [QUESTION])
    assert mine.certificate.method == theirs.certificate.method == "quantised"
    np.testing.assert_array_equal(mine.numbers, theirs.numbers)
    np.testing.assert_allclose(mine.weights, theirs.weights, rtol=1e-9)
    np.testing.assert_allclose(mine.output, theirs.output, rtol=1e-6)


def test_before_they_have_codes_answers_are_exact():
    (answer,) = answers(bare().view, [QUESTION])
    assert answer.certificate.method == "exact"
    (expected,) = answers(at_once().view, [QUESTION])
    assert answer.numbers[0] == expected.numbers[0]
    assert abs(answer.weights - expected.weights).sum() <= 2 * expected.certificate.total_variation


def test_codes_made_later_equal_those_made_with_the_rows():
    memory = bare()
    memory.code()
    same(memory.view, at_once().view)
    after = memory.view
    memory.code()  # there is nothing left to do
    assert memory.view is after


def test_rows_that_are_written_after_have_codes_at_once():
    memory = bare(20_000)
    memory.code()
    memory.publish(add=part(20_000, N))
    same(memory.view, at_once().view)


@pytest.mark.parametrize("first", [20_000, 24_576, 100])
def test_a_write_that_was_staged_before_and_is_shown_after_loses_no_codes(first):
    memory = bare(first)
    staged = memory.stage(add=part(first, N))
    memory.code()
    memory.show(staged)
    if any(segment.block.bare for segment in memory.view.segments):
        memory.code()  # blocks that the write began by itself
    same(memory.view, at_once().view)


def test_rows_removed_while_codes_are_made_stay_removed():
    memory = bare()
    staged = memory.stage(remove=np.arange(100))
    memory.code()
    memory.show(staged)
    assert memory.view.n == N - 100
    assert memory.view.numbers()[0] == 100
    assert not any(segment.block.bare for segment in memory.view.segments)


def test_a_writer_goes_on_meanwhile():
    memory = bare(8192)
    coding = Thread(target=memory.code)
    coding.start()
    for start in range(8192, N, 500):
        memory.publish(add=part(start, min(start + 500, N)))
    coding.join()
    memory.code()
    assert memory.view.n == N
    (actual,), (expected,) = answers(memory.view, [QUESTION]), answers(at_once().view, [QUESTION])
    np.testing.assert_allclose(actual.weights, expected.weights, rtol=1e-9)


def test_blocks_without_codes_are_not_kept_alive():
    memory = bare()
    memory.code()
    deadline = time.monotonic() + 60
    while len(memory._coded):  # a thread that wrote codes lets go of its block a moment after it is done
        assert time.monotonic() < deadline
        gc.collect()


def small(**settings):
    """A memory that has no codes before it needs a block with room for 256 rows."""
    return Memory("cosine", limits=LIMITS, codes_from=256 * WIDTH, **settings)


def test_a_small_memory_gets_codes_when_it_outgrows_its_block():
    memory = small()
    for start in range(0, 128, 16):
        memory.publish(add=part(start, start + 16))
        memory.code()  # there is nothing to do yet
        assert memory.view.bare
    memory.publish(add=part(128, 9000))
    assert not memory.view.bare
    whole = Memory("cosine", limits=LIMITS)
    whole.publish(add=part(0, 128))
    whole.publish(add=part(128, 9000))
    same(memory.view, whole.view)


def test_a_second_block_gives_codes_to_the_first():
    memory = small()
    memory.publish(add=Rows(np.arange(10), KEYS[:10]))
    assert memory.view.bare
    # The values of these rows are not their keys, so they need another block.
    memory.publish(add=Rows(np.arange(10, 30), KEYS[10:30], KEYS[10:30] + 1))
    assert len(memory.view.segments) == 2
    assert not memory.view.bare
