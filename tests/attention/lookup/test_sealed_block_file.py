"""A block that was sealed answers as it did before."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.lookup import (
    Limits,
    Memory,
    Question,
    Rows,
    SealedError,
    answer,
    seal,
    sealable_segments,
    sealed,
    unseal,
)
from softkv_attention.lookup.memory import compaction
from softkv_attention.lookup.memory.blocks import BlockFormat
from softkv_attention.lookup.memory.tiles import Tile

N = 9_500
LIMITS = Limits(block_rows=4096)
RANDOM = np.random.default_rng(0)
KEYS = RANDOM.standard_normal((N, 128)).astype(np.float32)
NARROW = np.ascontiguousarray(KEYS[:, :16])
VALUES = RANDOM.standard_normal((N, 10)).astype(np.float32)


def filled(similarity, *, own=False, several=False, keys=KEYS):
    memory = Memory(similarity, limits=LIMITS)
    owners = np.arange(N) // 3 * 3 if several else None
    memory.publish(add=Rows(np.arange(N), keys, VALUES if own else None, owners))
    return memory


@pytest.mark.parametrize(
    ("similarity", "own_values", "several", "min_file_bytes"),
    [("cosine", False, True, 0), ("dot", True, False, 0), ("dot", True, False, 2**24)],
    ids=["three keys a document", "values of their own", "in memory"],
)
def test_a_sealed_block_answers_as_before(tmp_path, running, similarity, own_values, several, min_file_bytes):
    memory = filled(similarity, own=own_values, several=several)
    before = memory.view
    results = []
    for position, segment in enumerate(sealable_segments(before)):
        seal(tmp_path / f"{position}.block", before, segment, segment.numbers * 7)
        results.append(unseal(tmp_path / f"{position}.block", min_file_bytes))
        np.testing.assert_array_equal(results[-1].ties, segment.numbers * 7)
        np.testing.assert_array_equal(results[-1].owners, segment.owners)
        assert results[-1].similarity == similarity
    assert [memory_view.count for memory_view in results] == [4096] * 2
    again = Memory(similarity, limits=LIMITS)
    again.adopt([memory_view.segment(np.ones(memory_view.count, dtype=bool)) for memory_view in results])
    rest = before.segments[-1]
    again.publish(add=Rows.without_checks(rest.numbers, rest.keys, rest.values if own_values else None, rest.owners))
    after = again.view
    assert after.in_memory == (min_file_bytes > 0)
    assert (after.n, after.documents, after.facts.several) == (before.n, before.documents, several)
    np.testing.assert_array_equal(after.grams.total, before.grams.total)
    assert after.facts.value_spread.around_mean == before.facts.value_spread.around_mean
    for temperature in (0.02, 0.05) if similarity == "cosine" else (0.5, 2.0):
        one, other = (
            answer(memory_view, Question(KEYS[5] + 1, temperature, top_k=9)) for memory_view in (before, after)
        )
        np.testing.assert_array_equal(one.numbers, other.numbers)
        # The assignment of rows to cores varies, and with it the order of sums.
        for name in ("weights", "output"):
            np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-6, atol=1e-6)
        assert one.certificate.total_variation == pytest.approx(other.certificate.total_variation, rel=1e-6)
        assert one.certificate.method == ("quantised" if running.SCANS else "exact")
    after = again.publish(
        add=Rows(np.arange(N, N + 3), KEYS[:3], VALUES[:3] if own_values else None), remove=np.arange(0, 99, 3)
    )
    before = memory.publish(
        add=Rows(np.arange(N, N + 3), KEYS[:3], VALUES[:3] if own_values else None), remove=np.arange(0, 99, 3)
    )
    one, other = (answer(memory_view, Question(KEYS[5] + 1, 0.5, top_k=9)) for memory_view in (before, after))
    np.testing.assert_allclose(one.output, other.output, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["keys", "values"])
def test_a_wrong_original_is_in_no_answer_and_no_copy(tmp_path, monkeypatch, name):
    """Whatever reads it; what does not read it is answered."""
    monkeypatch.setattr(sealed, "PIECE_BYTES", 64 * 40)  # 40 keys, or 64 values
    memory = filled("dot", own=True, keys=NARROW)
    (first, second) = sealable_segments(memory.view)
    path = tmp_path / "a"
    seal(path, memory.view, first, first.numbers)
    content = path.read_bytes()
    offset = content.index((NARROW if name == "keys" else VALUES)[700:701].tobytes())
    path.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
    segment = unseal(path).segment(np.ones(first.count, dtype=bool))
    layout = BlockFormat("dot", limits=LIMITS)
    whole = slice(0, segment.count)
    wrong_rows = np.array([3, 700])
    wrong = [
        lambda: getattr(segment, name),
        lambda: getattr(Tile(segment, wrong_rows, 0, 2), name)(),
        lambda: getattr(Tile(segment, whole, 0, 4096), f"load_{name}")(),
        lambda: segment.block.reallocate(segment.count, 5000, layout),
        lambda: segment.block.with_codes(segment.count, layout),
        lambda: seal(tmp_path / "b", memory.view, segment, segment.numbers),
        lambda: compaction._merge([segment, second], layout),
    ]
    for reads in wrong:
        with pytest.raises(SealedError, match=name) as caught:
            reads()
        assert caught.value.path == path
    np.testing.assert_array_equal(Tile(segment, np.array([3, 500]), 0, 2).keys(), NARROW[[3, 500]])
    np.testing.assert_array_equal(Tile(segment, slice(300, 330), 0, 30).values(), VALUES[300:330])
    again = Memory("dot", limits=LIMITS)
    again.adopt([segment])
    for temperature, top_k in ((0.0, 5), (0.5, 9), (1e9, 3)):
        near, far = (
            Question(NARROW[700], temperature, top_k=top_k, mask=again.view.mask(rows))
            for rows in (np.arange(690, 710), np.arange(50))
        )
        # A small block is read as a whole.
        with pytest.raises(SealedError):
            answer(again.view, near)
        assert np.isin(answer(again.view, far).numbers, np.arange(50)).all()
    again.publish(remove=np.arange(690, 710))
    with pytest.raises(SealedError):
        again.view.value_residuals if name == "values" else getattr(again.view.segments[0], name)


def test_rows_that_were_removed_since_do_not_live(tmp_path):
    memory = filled("dot", keys=NARROW)
    (first, *_) = sealable_segments(memory.view)
    seal(tmp_path / "a", memory.view, first, first.numbers)
    live = np.arange(first.count) % 5 > 0
    segment = unseal(tmp_path / "a").segment(live)
    assert segment.n == live.sum()
    np.testing.assert_array_equal(segment.live, live)


def test_growing_blocks_and_uncoded_ones_are_not_sealed():
    memory = Memory("dot", limits=LIMITS)
    memory.publish(add=Rows(np.arange(4000), NARROW[:4000]))
    assert sealable_segments(memory.view) == []
    memory.publish(add=Rows(np.arange(4000, 5000), NARROW[4000:5000]))
    assert sealable_segments(memory.view) == [memory.view.segments[0]]
    assert sealable_segments(Memory.of(NARROW[:5000], similarity="gaussian", limits=LIMITS).view) == []


def test_a_large_block_that_rows_stand_behind_is_sealed_as_far_as_it_goes(tmp_path):
    memory = filled("cosine", keys=NARROW)
    memory.publish(remove=np.arange(0, 1500))
    assert memory.compact()
    (first, *_) = sealable_segments(memory.view)
    assert first.count == 4096 - 1500
    seal(tmp_path / "a", memory.view, first, first.numbers)
    result = unseal(tmp_path / "a")
    assert result.block.capacity == result.count == first.count
    again = Memory("cosine", limits=LIMITS)
    again.adopt([result.segment(np.ones(result.count, dtype=bool))])
    view = again.publish(add=Rows(np.arange(N, N + 10), NARROW[:10]))
    assert answer(view, Question(NARROW[3], 0.0, top_k=1)).numbers.tolist() == [N + 3]


def test_a_block_that_grows_while_it_is_written_gives_the_rows_of_its_segment(tmp_path, monkeypatch):
    """The codes of a new row lie among those of the last rows."""
    rows = 1301
    memory = Memory("dot", limits=LIMITS, expected=4000)
    memory.publish(add=Rows(np.arange(rows), NARROW[:rows], VALUES[:rows]))
    view = memory.view
    (segment,) = sealable_segments(view, complete=True)
    assert segment.count == rows < segment.block.capacity
    real = sealed._head

    def grow(*arguments):
        memory.publish(add=Rows(np.arange(rows, rows + 5), NARROW[rows : rows + 5], VALUES[rows : rows + 5]))
        assert memory.view.segments[0].block is segment.block
        return real(*arguments)

    monkeypatch.setattr(sealed, "_head", grow)
    assert seal(tmp_path / "a", view, segment, segment.numbers + 1)
    result = unseal(tmp_path / "a")
    assert result.count == rows
    restored = Memory("dot", limits=LIMITS)
    restored.adopt([result.segment(np.ones(rows, dtype=bool))])
    after = restored.publish(add=Rows(np.arange(rows, rows + 5), NARROW[rows : rows + 5], VALUES[rows : rows + 5]))
    assert after.segments[0].block.capacity > rows + 5
    np.testing.assert_allclose(after.grams.total, memory.view.grams.total)
    question = Question(NARROW[5] + 1, 0.5, top_k=9)
    one, other = (answer(memory_view, question) for memory_view in (memory.view, after))
    np.testing.assert_array_equal(one.numbers, other.numbers)
    np.testing.assert_allclose(one.output, other.output, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shown", [False, True], ids=["a write that is not shown yet", "a newer view"])
def test_a_block_with_more_rows_than_the_segment_is_not_written(tmp_path, shown):
    memory = Memory("dot", limits=LIMITS, expected=4000)
    memory.publish(add=Rows(np.arange(1000), NARROW[:1000]))
    view = memory.view
    (segment,) = sealable_segments(view, complete=True)
    staged = memory.stage(add=Rows(np.arange(1000, 1001), NARROW[1000:1001]))
    if shown:
        memory.show(staged)
    assert not seal(tmp_path / "a", view, segment, segment.numbers)
    assert not list(tmp_path.iterdir())
    assert sealable_segments(view, complete=True) == []
