"""A bias: what each row of a view has of it, as documents were given it."""

from __future__ import annotations

import numpy as np
import pytest

from softkv_attention.errors import ParameterError
from softkv_attention.lookup import Bias, Memory, Rows
from softkv_attention.lookup.memory.tiles import PassingRows, all_rows

N, D = 3_001, 3
RANDOM = np.random.default_rng(3)


@pytest.fixture(scope="module")
def view():
    """Rows 10, 13, 16, … in four pieces, of which some were removed."""
    memory, numbers = Memory("dot"), 10 + 3 * np.arange(N)
    for piece in np.array_split(np.arange(N), 4):
        memory.publish(add=Rows(numbers[piece], RANDOM.standard_normal((len(piece), D))))
    return memory.publish(remove=numbers[::7])


def by_number(view, bias):
    passing = PassingRows(view, bias.mask, 100)
    numbers = passing.row_indices.numbers(np.arange(passing.n))
    return dict(zip(numbers.tolist(), bias.all_of(passing.row_indices).tolist(), strict=True))


@pytest.mark.parametrize("elsewhere", [0.0, -1.5, -np.inf])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_each_document_has_its_own_and_all_others_the_same(view, share, elsewhere):
    live = view.numbers()
    rows_chosen = RANDOM.permutation(live[RANDOM.random(len(live)) < share])
    addends = np.where(RANDOM.random(len(rows_chosen)) < 0.1, -np.inf, RANDOM.standard_normal(len(rows_chosen)))
    expected_addends = dict(zip(rows_chosen.tolist(), addends.tolist(), strict=True))
    bias = Bias.of(
        view, np.concatenate([rows_chosen, [11, 9_999_999, 10]]), np.concatenate([addends, [7.0, 7.0, 7.0]]), elsewhere
    )
    expected = {number: expected_addends.get(number, elsewhere) for number in live.tolist()}
    expected = {number: addend for number, addend in expected.items() if addend > -np.inf}
    assert by_number(view, bias) == expected
    assert (bias.mask is None) == (len(expected) == len(live))
    assert bias.mask is None or bias.mask.n == len(expected)
    assert bias.largest >= max((abs(addend) for addend in expected.values()), default=0.0)
    rows = all_rows(view)
    positions = RANDOM.integers(0, rows.tiles[-1].stop, 50)
    positions = positions[[int(number) in expected for number in rows.numbers(positions)]]
    assert bias.at(rows, positions).tolist() == [expected[int(number)] for number in rows.numbers(positions)]
    for segment in view.segments:
        scanned = bias.scan_addends(segment)
        assert scanned.dtype == np.float32
        assert np.isfinite(scanned).all()
        assert len(scanned) in (0, segment.count)
        for number, addend in zip(segment.numbers.tolist(), scanned.tolist(), strict=False):
            assert number not in expected or addend == np.float32(expected[number])


def test_further_addends_are_added_and_forbidden_documents_stay_so(view):
    live = view.numbers()
    chosen, more = live[RANDOM.random(len(live)) < 0.5], live[RANDOM.random(len(live)) < 0.01]
    addends = np.where(RANDOM.random(len(chosen)) < 0.1, -np.inf, RANDOM.standard_normal(len(chosen)))
    bias = Bias.of(view, chosen, addends)
    further = dict(zip(more.tolist(), RANDOM.standard_normal(len(more)).tolist(), strict=True))
    total = bias.add([*further, 9_999_999], [*further.values(), 7.0])
    before, after = by_number(view, bias), by_number(view, total)
    assert after == {number: addend + further.get(number, 0.0) for number, addend in before.items()}
    assert total.largest >= max(map(abs, after.values()))
    assert by_number(view, Bias.of(view, [], []).add(list(further), list(further.values()))) == {
        number: further.get(number, 0.0) for number in live.tolist()
    }
    with pytest.raises(ParameterError, match="must be finite"):
        bias.add(more[:1], [-np.inf])


def test_every_row_of_a_document_has_it():
    view = Memory.of(RANDOM.standard_normal((7, 2)), owners=np.array([0, 0, 2, 2, 2, 5, 6])).view
    bias = Bias.of(view, [2, 6, 3], [1.0, -np.inf, 9.0])  # 3 is a key of document 2, and none by itself
    assert by_number(view, bias) == {0: 0, 1: 0, 2: 1, 3: 1, 4: 1, 5: 0}


def test_nothing_can_be_biased_of_an_empty_view():
    bias = Bias.of(Memory("dot").view, [1], [2.0])
    assert (bias.addends, bias.mask, bias.largest) == ((), None, 0.0)
