"""What every row has to say, against NumPy in float64: after writes and removals, of parts, and of rows elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from attention.errors import ParameterError, ShapeError
from attention.lookup import Memory, Parted, Rows, similarities_of
from tests.attention.lookup.parts.afar.holders import afar

D = 5


def written(similarity, seed=3):
    """Memories of documents of one to four keys, some of them removed: rows 0, 2, 4, … in one and the others in two.

    Returns:
        The views, and by the row's number its document's and its key.
    """
    random = np.random.default_rng(seed)
    there = {}
    memories = [Memory(similarity) for _ in range(3)]
    first = 0
    for step in range(30):
        owners = np.repeat(np.cumsum(sizes := random.integers(1, 5, 8)) - sizes, sizes) + first
        numbers = first + np.arange(len(owners))
        keys = random.standard_normal((len(numbers), D)).astype(np.float32)
        memories[step % 3].publish(add=Rows(numbers, keys, keys[:, :2].copy(), owners))
        there |= {int(n): (int(o), k) for n, o, k in zip(numbers, owners, keys, strict=True)}
        first = int(numbers[-1]) + 1
        if step % 3 == 2:
            gone = random.choice(np.unique(owners), 3, replace=False)
            memories[step % 3].publish(remove=gone)
            there = {n: row for n, row in there.items() if row[0] not in gone}
    return [memory.view for memory in memories], there


def ways(views):
    return {"parts": Parted.of(views), "elsewhere": afar(views, sampled=True)}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("way", ["parts", "elsewhere"])
@pytest.mark.parametrize("similarity", ["cosine", "dot", "scaled_dot", "gaussian"])
def test_all_similarities_of_rows_that_pass(oracle, similarity, way, masked):
    views, there = written(similarity)
    view = ways(views)[way]
    documents = sorted({owner for owner, _ in there.values()})
    picked = documents[::3] if masked else documents
    mask = view.mask(np.array(picked)) if masked else None
    queries = np.random.default_rng(1).standard_normal((3, D))
    numbers, owners, found = similarities_of(view, queries, mask)
    wanted = [n for n, (owner, _) in sorted(there.items()) if owner in picked]
    order = np.argsort(numbers)
    assert numbers[order].tolist() == wanted
    assert owners[order].tolist() == [there[n][0] for n in wanted]
    keys = [there[n][1] for n in wanted]
    for query, similarities in zip(queries, found, strict=True):
        np.testing.assert_allclose(similarities[order], oracle(similarity, query, keys), rtol=1e-12, atol=1e-13)


def test_nothing_has_none_and_what_does_not_fit_is_refused():
    empty = Memory("cosine").view
    numbers, owners, found = similarities_of(empty, np.ones((2, D)))
    assert (len(numbers), len(owners), found.shape) == (0, 0, (2, 0))
    view = Memory.of(np.eye(D, dtype=np.float32)).view
    with pytest.raises(ShapeError, match="query has width 4"):
        similarities_of(view, np.ones((1, 4)))
    with pytest.raises(ParameterError, match="zero vector"):
        similarities_of(view, np.zeros((1, D)))
