"""The size of batches on machines of any speed; the seconds are invented."""

from __future__ import annotations

import pytest

from softkv_service.encoding.encoder import BATCH_SECONDS, FIRST_CHARACTERS, MAX_CHARACTERS, MIN_CHARACTERS, BatchSize


def settled(characters_a_second, limits=None, batches=20):
    """Return the batch size after full batches on a machine of this speed."""
    limits = limits or BatchSize()
    for _ in range(batches):
        limits.learn(limits.size, limits.size / characters_a_second)
    return limits


@pytest.mark.parametrize(
    ("characters_a_second", "expected"),
    [(1e9, MAX_CHARACTERS), (81_920, MAX_CHARACTERS), (20_000, 2000), (4_000, 400), (10, MIN_CHARACTERS)],
)
def test_full_batches_approach_a_tenth_of_a_second(characters_a_second, expected):
    assert settled(characters_a_second).size == pytest.approx(expected, abs=1)


def test_a_batch_that_took_too_long_makes_the_next_one_smaller_at_once():
    limits = settled(1e6)
    limits.learn(MAX_CHARACTERS, 4 * BATCH_SECONDS)
    assert limits.size == MAX_CHARACTERS // 4


def test_a_fast_batch_at_most_doubles_the_size():
    limits = BatchSize()
    limits.learn(FIRST_CHARACTERS, 1e-9)
    assert limits.size == 2 * FIRST_CHARACTERS


def test_a_fast_partial_batch_changes_nothing():
    limits = settled(20_000)
    limits.learn(20, 0.05)  # 400 characters a second, most of it what any batch takes
    assert limits.size == pytest.approx(2000, abs=1)
    limits.learn(20, 0.3)
    assert limits.size == MIN_CHARACTERS


def test_a_long_text_alone_never_makes_batches_larger_where_it_took_too_long():
    limits = settled(4_000)
    limits.learn(100_000, 2 * BATCH_SECONDS)
    assert limits.size == pytest.approx(400, abs=1)
