"""Each piece of an array is held against its checksum once, before a row of it is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention.lookup.sealed import block_file as pieces
from attention.lookup.sealed.array_file import SealedError
from attention.lookup.sealed.block_file import PIECE_BYTES, CheckedPieces, SealedOriginals, checksums

PATH = Path("a.block")


@pytest.fixture
def read(monkeypatch):
    """The bytes that were read to be checked, one number for each piece."""
    found, real = [], pieces.checksum

    def counted(content):
        found.append(len(content))
        return real(content)

    monkeypatch.setattr(pieces, "checksum", counted)
    return found


def vectors(n, width, seed=0):
    return np.random.default_rng(seed).standard_normal((n, width)).astype(np.float32)


@given(
    n=st.integers(0, 90),
    width=st.integers(1, 9),
    flips=st.lists(st.integers(0, 2**20), max_size=2),
    rows=st.lists(st.integers(0, 2**20), max_size=5),
    span=st.tuples(st.integers(0, 90), st.integers(0, 90)),
)
@settings(max_examples=150, deadline=None)
def test_rows_are_refused_where_a_byte_of_their_piece_is_another_one(n, width, flips, rows, span):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE_BYTES", 128)
        each = max(1, 128 // (4 * width))
        found = vectors(n, width)
        expected = checksums(found)
        assert len(expected) == -(-n // each)
        wrong = set()
        for flip in flips if n else ():
            at = flip % found.nbytes
            if at not in wrong:
                found.reshape(-1).view(np.uint8)[at] ^= 1 << flip % 8
                wrong.add(at)
        wrong_pieces = {at // (4 * width) // each for at in wrong}
        some = CheckedPieces(PATH, "keys", found, expected)
        picked = np.array([row % n for row in rows] if n else [], dtype=np.int64)
        here = slice(min(*span, n), min(max(span), n))
        for asked, those in ((picked, picked), (here, np.arange(here.start, here.stop))):
            if wrong_pieces & set((those // each).tolist()):
                with pytest.raises(SealedError, match="keys"):
                    some.check(asked)
            else:
                some.check(asked)
        if wrong_pieces:
            with pytest.raises(SealedError):
                some.check(slice(0, n))
        else:
            some.check(slice(0, n))
        assert some.done != bool(wrong_pieces)


def test_what_was_checked_is_not_read_again(read):
    keys = vectors(5 * PIECE_BYTES // 256, 64)
    some = CheckedPieces(PATH, "keys", keys, checksums(keys))
    read.clear()
    each = PIECE_BYTES // 256
    some.check(np.array([each - 1, 3 * each, 0]))
    assert read == [PIECE_BYTES, PIECE_BYTES]
    some.check(slice(0, 2 * each))
    assert read == [PIECE_BYTES] * 3
    some.check(slice(0, 2 * each))
    some.check(np.empty(0, dtype=np.int64))
    assert len(read) == 3
    assert not some.done
    assert some.check_next(1) == PIECE_BYTES
    assert some.check_next(2**30) == PIECE_BYTES
    assert some.done
    some.check(slice(0, len(keys)))
    assert len(read) == 5


def test_rows_wider_than_a_piece_are_pieces_by_themselves():
    wide = vectors(3, PIECE_BYTES // 4 + 1)
    assert len(checksums(wide)) == 3
    expected = checksums(wide)
    wide[1, 0] += 1
    some = CheckedPieces(PATH, "keys", wide, expected)
    some.check(np.array([0, 2]))
    with pytest.raises(SealedError, match="is not what was written: keys 1 to 1") as caught:
        some.check(np.array([1]))
    assert caught.value.path == PATH


def test_other_checksums_than_pieces_are_refused():
    keys = vectors(10, 4)
    with pytest.raises(SealedError, match="2 checksums of 1 pieces"):
        CheckedPieces(PATH, "keys", keys, np.zeros(2, dtype=np.uint64))


@pytest.mark.parametrize("own", [False, True], ids=["keys alone", "values of their own"])
def test_keys_and_values_are_checked_apart_and_all_of_them_in_turn(own, read):
    keys, values = vectors(3 * PIECE_BYTES // 64, 16), vectors(3 * PIECE_BYTES // 64, 8, seed=1)
    of_keys, of_values = (
        CheckedPieces(PATH, name, each, checksums(each)) for name, each in (("k", keys), ("v", values))
    )
    read.clear()
    both = SealedOriginals(of_keys, of_values if own else None)
    both.check_values(slice(0, 1))
    both.check_keys(slice(0, 1))
    assert len(read) == 1 + own
    steps = 0
    while not both.done:
        both.check_next(PIECE_BYTES)
        steps += 1
    assert len(read) == (5 if own else 3)
    assert steps == (3 if own else 2)
    both.check_next(PIECE_BYTES)
    assert len(read) == (5 if own else 3)
