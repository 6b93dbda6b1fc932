"""Each piece of an array is held against its checksum once, before a row of it is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import sealed as pieces
from softkv_attention.lookup.sealed import PIECE_BYTES, CheckedPieces, SealedError, SealedOriginals, checksums
from tests.thorough import examples

PATH = Path("a.block")


@pytest.fixture
def read(monkeypatch):
    """Return the number of bytes read for each checked piece."""
    numbers, real = [], pieces.checksum

    def counted(content):
        numbers.append(len(content))
        return real(content)

    monkeypatch.setattr(pieces, "checksum", counted)
    return numbers


def vectors(n, width, seed=0):
    return np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)


@given(
    n=st.integers(0, 90),
    width=st.integers(1, 9),
    flips=st.lists(st.integers(0, 2**20), max_size=2),
    rows=st.lists(st.integers(0, 2**20), max_size=5),
    span=st.tuples(st.integers(0, 90), st.integers(0, 90)),
)
@settings(max_examples=examples(150), deadline=None)
def test_rows_are_refused_where_a_byte_of_their_piece_is_another_one(n, width, flips, rows, span):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE_BYTES", 128)
        rows_per_piece = max(1, 128 // (4 * width))
        array = vectors(n, width)
        expected = checksums(array)
        assert len(expected) == -(-n // rows_per_piece)
        wrong = set()
        for flip in flips if n else ():
            offset = flip % array.nbytes
            if offset not in wrong:
                array.reshape(-1).view(np.uint8)[offset] ^= 1 << flip % 8
                wrong.add(offset)
        wrong_pieces = {byte // (4 * width) // rows_per_piece for byte in wrong}
        checked = CheckedPieces(PATH, "keys", array, expected)
        picked = np.array([row % n for row in rows] if n else [], dtype=np.int64)
        row_slice = slice(min(*span, n), min(max(span), n))
        for picked_rows, expected_rows in ((picked, picked), (row_slice, np.arange(row_slice.start, row_slice.stop))):
            if wrong_pieces & set((expected_rows // rows_per_piece).tolist()):
                with pytest.raises(SealedError, match="keys"):
                    checked.check(picked_rows)
            else:
                checked.check(picked_rows)
        if wrong_pieces:
            with pytest.raises(SealedError):
                checked.check(slice(0, n))
        else:
            checked.check(slice(0, n))
        assert checked.done != bool(wrong_pieces)


def test_a_checked_piece_is_not_read_again(read):
    keys = vectors(5 * PIECE_BYTES // 256, 64)
    checked = CheckedPieces(PATH, "keys", keys, checksums(keys))
    read.clear()
    rows_per_piece = PIECE_BYTES // 256
    checked.check(np.array([rows_per_piece - 1, 3 * rows_per_piece, 0]))
    assert read == [PIECE_BYTES, PIECE_BYTES]
    checked.check(slice(0, 2 * rows_per_piece))
    assert read == [PIECE_BYTES] * 3
    checked.check(slice(0, 2 * rows_per_piece))
    checked.check(np.empty(0, dtype=np.int64))
    assert len(read) == 3
    assert not checked.done
    assert checked.check_next(1) == PIECE_BYTES
    assert checked.check_next(2**30) == PIECE_BYTES
    assert checked.done
    checked.check(slice(0, len(keys)))
    assert len(read) == 5


def test_rows_wider_than_a_piece_are_pieces_by_themselves():
    wide = vectors(3, PIECE_BYTES // 4 + 1)
    assert len(checksums(wide)) == 3
    expected = checksums(wide)
    wide[1, 0] += 1
    checked = CheckedPieces(PATH, "keys", wide, expected)
    checked.check(np.array([0, 2]))
    with pytest.raises(SealedError, match="is not what was written: keys 1 to 1") as caught:
        checked.check(np.array([1]))
    assert caught.value.path == PATH


def test_other_checksums_than_pieces_are_refused():
    keys = vectors(10, 4)
    with pytest.raises(SealedError, match="2 checksums of 1 pieces"):
        CheckedPieces(PATH, "keys", keys, np.zeros(2, dtype=np.uint64))


@pytest.mark.parametrize("originals", [False, True], ids=["keys alone", "values of their own"])
def test_keys_and_values_are_checked_apart_and_all_of_them_in_turn(originals, read):
    keys, values = vectors(3 * PIECE_BYTES // 64, 16), vectors(3 * PIECE_BYTES // 64, 8, seed=1)
    of_keys, of_values = (
        CheckedPieces(PATH, name, array, checksums(array)) for name, array in (("k", keys), ("v", values))
    )
    read.clear()
    both = SealedOriginals(of_keys, of_values if originals else None)
    both.check_values(slice(0, 1))
    both.check_keys(slice(0, 1))
    assert len(read) == 1 + originals
    steps = 0
    while not both.done:
        both.check_next(PIECE_BYTES)
        steps += 1
    assert len(read) == (5 if originals else 3)
    assert steps == (3 if originals else 2)
    both.check_next(PIECE_BYTES)
    assert len(read) == (5 if originals else 3)
