"""A collection whose documents have several keys answers what one of single keys does, added up."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

from softkv_attention import attend
from softkv_attention.lookup import Background, Memory, Question, Rows, answers, sweep
from tests.thorough import crossed

RNG = np.random.default_rng(7)
SIZES = np.concatenate([RNG.integers(1, 6, 40), [67, 1, 1, 2]])
N, M, D, D_V = int(SIZES.sum()), 5, 11, 13
KEYS, VALUES = RNG.normal(size=(N, D)).astype(np.float32), RNG.normal(size=(N, D_V)).astype(np.float32)
KEYS[30:34], KEYS[N - 4] = KEYS[20:24], KEYS[N - 3]  # copies, in documents of their own and of others
FIRST = np.cumsum([0, *SIZES[:-1]])
OWNERS = np.repeat(FIRST, SIZES)
QUERIES = RNG.normal(size=(M, D))
NORMALISERS = ["softmax", "sparsemax", "entmax15", "one_hot"]


def written(similarity, owners):
    """Return a view of four writes, with removed documents of several keys between them."""
    memory = Memory(similarity)
    for part in np.split(np.arange(N), FIRST[[9, 20, 40]]):
        memory.publish(add=Rows(part, KEYS[part], VALUES[part], None if owners is None else owners[part]))
        gone = 1000 + part
        memory.publish(add=Rows(gone, KEYS[part] + 1, VALUES[part], np.full(len(part), gone[0])))
        memory.publish(remove=gone[:1])
    return memory.view


@pytest.fixture(params=["cosine", "dot", "scaled_dot", "gaussian"])
def views(request):
    return written(request.param, OWNERS), written(request.param, None)


def summed(owners, answer):
    """{document: (weight, similarity, part)} of an answer that names every row."""
    documents = {}
    for number, similarity, weight in sorted(
        zip(answer.numbers.tolist(), answer.similarities, answer.weights, strict=True)
    ):
        entry = documents.setdefault(int(owners[number]), [0.0, -np.inf, None])
        entry[0] += weight
        if similarity > entry[1]:
            entry[1:] = similarity, number
    return documents


@crossed(
    {
        "normaliser": NORMALISERS,
        "temperature": [0, 1e-30, 0.05, 1, 1e6, np.inf],
        "null": [None, 0.3, Background(0.0, 0.2)],
    }
)
def test_weights_are_sums_and_all_else_is_the_same(views, normaliser, temperature, null):
    grouped, alone = views
    documents = np.sort(RNG.choice(FIRST, 35, replace=False))
    masks = grouped.mask(documents), alone.mask(np.flatnonzero(np.isin(OWNERS, documents)))
    assert (masks[0].n, masks[0].documents) == (masks[1].n, 35)
    options = {"temperature": temperature, "null": null, "normaliser": normaliser, "top_k": N}
    results = answers(grouped, [Question(query, mask=masks[0], **options) for query in QUERIES])
    plain = answers(alone, [Question(query, mask=masks[1], **options) for query in QUERIES])
    for mine, other in zip(results, plain, strict=True):
        assert mine.evidence == other.evidence
        np.testing.assert_array_equal(mine.output, other.output)
        assert mine.certificate == other.certificate
        assert (mine.documents, mine.keys, other.documents, other.keys) == (35, masks[0].n, masks[0].n, masks[0].n)
        assert mine.best_similarity == other.best_similarity
        expected = summed(OWNERS, other)
        assert set(mine.numbers.tolist()) == set(expected) == set(documents.tolist())
        for position, number in enumerate(mine.numbers.tolist()):
            weight, similarity, part = expected[number]
            assert mine.weights[position] == pytest.approx(weight, rel=1e-12, abs=1e-300)
            assert (mine.similarities[position], mine.parts[position]) == (similarity, part)
            assert mine.logits[position] == other.logits[other.numbers == part][0]
            # At 1e-30 logits are so large that nothing of a sum is left in their difference.
            if mine.weights[position] > 1e-300 and normaliser == "softmax" and temperature != 1e-30:
                log_weight = mine.logits[position] - mine.log_partition + mine.log_weight_of_other_parts[position]
                assert log_weight == pytest.approx(math.log(weight), rel=1e-9, abs=1e-9)
        order = list(zip(mine.weights.tolist(), mine.similarities.tolist(), strict=True))
        assert order == sorted(order, reverse=True)
        assert normaliser == "softmax" or not mine.log_weight_of_other_parts.any()
        np.testing.assert_array_equal(other.parts, other.numbers)
        assert not other.log_weight_of_other_parts.any()


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("temperature", [0, 0.05, 1, np.inf])
def test_weights_match_attend(views, normaliser, temperature):
    grouped, _ = views
    results = answers(grouped, [Question(query, temperature, 0.3, normaliser=normaliser, top_k=N) for query in QUERIES])
    want = attend(
        QUERIES,
        KEYS.astype(np.float64),
        VALUES.astype(np.float64),
        similarity=grouped.similarity,
        temperature=temperature,
        null=0.3,
        normaliser=normaliser,
    )
    for row, answer in enumerate(results):
        weights = np.zeros(N)
        weights[answer.numbers] = answer.weights
        np.testing.assert_allclose(weights[FIRST], np.add.reduceat(want.weights[row], FIRST), atol=1e-9)
        assert not np.delete(weights, FIRST).any()
        assert answer.weights.sum() + answer.null_weight == pytest.approx(1, abs=1e-12)


def test_copies_of_a_document_tie_and_the_first_of_equal_keys_speaks():
    keys = RNG.normal(size=(7, D)).astype(np.float32)
    keys[2] = keys[0]
    copies = np.concatenate([keys, RNG.normal(size=(50, D)), keys, keys[:1]])
    owners = np.concatenate([np.full(7, 0), np.arange(7, 57), np.full(7, 57), [64]])
    view = Memory.of(copies, owners=owners).view
    (answer,) = answers(view, [Question(keys[0], 0.3, top_k=1)])
    assert (answer.matches, answer.numbers.tolist(), answer.parts.tolist()) == (1, [0, 57], [0, 57])
    assert answer.weights[0] == answer.weights[1]
    (cold,) = answers(view, [Question(keys[0], 0, top_k=3)])
    assert cold.numbers.tolist() == [0, 57, 64]
    np.testing.assert_allclose(cold.weights, [0.4, 0.4, 0.2])
    np.testing.assert_allclose(cold.log_weight_of_other_parts, [np.log(2), np.log(2), 0])


def test_a_sweep_has_the_documents_of_the_best_keys(views):
    grouped, _ = views
    temperatures = [0, 0.05, 1.0, np.inf]
    for query in QUERIES:
        swept = sweep(grouped, Question(query, 1.0, 0.3, top_k=6), temperatures)
        assert (np.diff(swept.similarities) <= 0).all()
        (everything,) = answers(grouped, [Question(query, 1.0, top_k=N)])
        best = np.sort(everything.similarities)[::-1][5]
        assert set(swept.numbers) == set(everything.numbers[everything.similarities >= best])
        for position, temperature in enumerate(temperatures):
            (alone,) = answers(grouped, [Question(query, temperature, 0.3, top_k=N)])
            index_of = {number: index for index, number in enumerate(alone.numbers.tolist())}
            rows = [index_of[number] for number in swept.numbers.tolist()]
            np.testing.assert_array_equal(swept.weights[position], alone.weights[rows])
            np.testing.assert_array_equal(swept.parts, alone.parts[rows])
            assert asdict(swept.evidence[position]) == pytest.approx(asdict(alone.evidence), rel=1e-12)
        assert (swept.documents, swept.keys) == (len(SIZES), N)
