"""However rows are split into parts, their answer is that of one part, and float64's lies within its certificate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import (
    Auto,
    Background,
    Bias,
    Limits,
    Memory,
    Question,
    Rows,
    ScanWidth,
    View,
    answers,
    estimate,
    quantised,
    sweep,
)
from softkv_attention.lookup.question import mask_forbidden
from tests.thorough import examples

LOOSER, FEW = 1.1, 0.01
"""So many times the bound of one part at most, but for a share of few: samples differ, so other rows are looked up."""

SPLITS = {
    "seed": st.integers(0, 2**32 - 1),
    "rows": st.one_of(st.integers(1, 60), st.integers(300, 1500)),
    "parts": st.integers(1, 7),
    "similarity": st.sampled_from(["cosine", "dot", "scaled_dot", "gaussian"]),
    "several": st.booleans(),
}


LIMITS = Limits(
    block_rows=512,
    exact_max_components=0,
    min_rows_per_candidate=16,
    max_tile_rows=1024,
    scan_widths=(ScanWidth(16, 128), ScanWidth(512, 1024)),
)
"""Small blocks, and scans with short lists, also for few rows."""


class Split:
    """Rows, as one view and as the parts of another; some rows are copies of others, some were removed."""

    def __init__(self, seed, rows, parts, similarity, several):
        self.random = random = np.random.default_rng(seed)
        width = int(random.integers(1, 24))
        self.keys = (random.standard_normal((5, width))[random.integers(0, 5, rows)]).astype(np.float32)
        self.keys += (random.choice([0.05, 0.4]) * random.standard_normal((rows, width))).astype(np.float32)
        self.copies = random.integers(0, rows, 1 + rows // 10)
        self.keys[self.copies] = self.keys[random.choice(self.copies[:4], len(self.copies))]
        self.values = None
        if random.random() < 0.7:
            self.values = (random.standard_normal((rows, 7)) + random.choice([0, 2])).astype(np.float32)
        self.owners = np.arange(rows)
        if several:
            self.owners = np.maximum.accumulate(np.where(random.random(rows) < 0.4, np.arange(rows), 0))
        chances = random.dirichlet(np.full(parts, random.choice([0.2, 5.0])))
        whose = random.choice(parts, rows, p=chances)[self.owners]
        self.gone = np.unique(self.owners[random.random(rows) < random.choice([0, 0.1])])
        self.one = self.view(similarity, np.arange(rows))
        bare = random.random(parts) < random.choice([0, 0.3])  # some without codes
        views = [self.view(similarity, np.flatnonzero(whose == part), codes_later=bare[part]) for part in range(parts)]
        self.many = View.merged(views)
        self.live = ~np.isin(self.owners, self.gone)
        self.whose = whose

    def view(self, similarity, rows, **how):
        memory = Memory(similarity, limits=LIMITS, **how)
        half = np.searchsorted(rows, self.owners[rows[len(rows) // 2]]) if len(rows) else 0
        for part in (rows[:half], rows[half:]):
            values = None if self.values is None else self.values[part]
            memory.publish(add=Rows(part, self.keys[part], values, self.owners[part]))
        return memory.publish(remove=self.gone)

    def question(self, filtered):
        """Return (options of a question for any view, numbers that pass or None, addends or None)."""
        random, rows = self.random, len(self.keys)
        near = self.keys[random.choice(self.copies) if random.random() < 0.4 else random.integers(0, rows)]
        near = near.astype(np.float64)
        query = near + random.choice([0, 0.5]) * random.standard_normal(near.shape)
        size = 1.0 if self.one.similarity == "cosine" else float(np.linalg.norm(query)) + 0.1
        warmth = random.choice([0, 1e-30, 0.01, 0.05, 0.2, 1, 1e6, np.inf])
        options = {
            "query": query,
            "temperature": float(warmth) if warmth == 1e-30 else float(size * warmth),
            "normaliser": str(random.choice(["softmax", "softmax", "softmax", "sparsemax", "entmax15", "one_hot"])),
            "null": [None, 0.3 * size, Background(0.0, 0.1 * size)][random.integers(0, 3)],
            "top_k": [None, 1, 40, rows][random.integers(0, 4)],
            "top_p": [None, None, 0.9][random.integers(0, 3)],
            "max_error": [None, None, 1e-3][random.integers(0, 3)],
            "output": bool(random.random() < 0.5),
        }
        allowed = None
        if filtered:
            share = random.choice([0.0, 0.02, 0.3, 0.9])
            allowed = np.flatnonzero(random.random(rows) < share)
            if random.random() < 0.3:  # of one part alone
                allowed = np.flatnonzero(self.whose == random.integers(0, self.whose.max() + 1))
        biased = None
        if random.random() < 0.2 and warmth != 1e-30:  # addends are lost in logits of 1e30, and the certificate says 1
            biased_rows = np.flatnonzero(random.random(rows) < 0.5)
            biased = biased_rows, random.choice([-np.inf, -2.0, 0.0, 1.0], len(biased_rows), p=[0.1, 0.3, 0.3, 0.3])
        return options, allowed, biased


def asked_of(view, options, allowed, biased):
    mask = None if allowed is None else view.mask(allowed)
    return Question(**options, mask=mask, bias=None if biased is None else Bias.of(view, *biased))


def true_of(split, options, allowed, biased):
    """Return (documents, weights of each, null weight, output) in extended precision; None if nothing passes."""
    keys, query = split.keys.astype(np.longdouble), options["query"].astype(np.longdouble)
    products = keys @ query
    similarities = {
        "dot": products,
        "scaled_dot": products / np.sqrt(np.longdouble(len(query))),
        "gaussian": -((keys - query) ** 2).sum(axis=1) / 2,
    }.get(split.one.similarity)
    if similarities is None:
        similarities = products / np.sqrt((keys * keys).sum(axis=1)) / np.sqrt(query @ query)
    passes, addends = split.live.copy(), np.zeros(len(keys))
    if allowed is not None:
        passes &= np.isin(split.owners, allowed)
    if biased is not None:
        documents, bias_given = biased
        for document, addend in zip(documents, bias_given, strict=True):
            addends[split.owners == document] = addend
        passes &= addends > -np.inf
    rows = np.flatnonzero(passes)
    temperature, n = np.longdouble(options["temperature"]), len(rows)
    null = options["null"]
    level, count = null, 0.0
    if isinstance(null, Background):
        key = null.null_key(options["temperature"], n)
        level, count = key.similarity, key.log_count
    logits = similarities[rows] / temperature + addends[rows]
    if level is not None:
        logits = np.append(logits, np.longdouble(level) / temperature + count)
    masses = np.exp(logits - logits.max())
    weights = masses / masses.sum()
    null_weight = 0.0 if level is None else float(weights[-1])
    values = (split.keys if split.values is None else split.values)[rows].astype(np.longdouble)
    output = weights[: len(rows)] @ values
    documents, index = np.unique(split.owners[rows], return_inverse=True)
    sums = np.zeros(len(documents), dtype=np.longdouble)
    np.add.at(sums, index, weights[: len(rows)])
    return dict(zip(documents.tolist(), sums.tolist(), strict=True)), null_weight, output


def apart(result, weights, null_weight, whole):
    """Return the total variation over the answer's documents, the null key and all others together."""
    own_weights = np.array([weights[number] for number in result.numbers.tolist()])
    rest = abs((whole - own_weights.sum() - null_weight) - (1 - result.weights.sum() - result.null_weight))
    return (np.abs(own_weights - result.weights).sum() + abs(result.null_weight - null_weight) + rest) / 2


def same_head(actual, expected, top_p):
    """Compare the head to the bit; if `top_p` cuts it, only the common part, because weights differ within bounds."""
    size = min(len(actual.numbers), len(expected.numbers)) if top_p else None
    np.testing.assert_array_equal(actual.numbers[:size], expected.numbers[:size])
    np.testing.assert_array_equal(actual.parts[:size], expected.parts[:size])
    np.testing.assert_array_equal(actual.similarities[:size], expected.similarities[:size])
    if not top_p:
        assert (actual.matches, actual.complete) == (expected.matches, expected.complete)
    assert (actual.documents, actual.keys) == (expected.documents, expected.keys)
    assert actual.best_similarity == expected.best_similarity


def estimate_alone(view, options, allowed, biased):
    """Return the estimate of one scan of the first width; an answer may use a wider one if its head is undecided."""
    (question,) = mask_forbidden([asked_of(view, options, allowed, biased)])
    part = quantised.shard_of(view, question)
    return estimate.estimate_weights(part, [quantised.scan_question(part, question)], LIMITS.scan_widths[0])[0]


def check(split, questions=4):
    """Compare answers of both views; return for each scanned question whether its bound is too loose."""
    looser = []
    options = [split.question(filtered=index % 2 == 1) for index in range(questions)]
    one, many = (answers(view, [asked_of(view, *chosen) for chosen in options]) for view in (split.one, split.many))
    for option, expected, actual in zip(options, one, many, strict=True):
        first_option = option[0]
        same_head(actual, expected, first_option["top_p"])
        bound, other = actual.certificate.total_variation, expected.certificate.total_variation
        size = min(len(actual.numbers), len(expected.numbers))
        apart_here = np.abs(actual.weights[:size] - expected.weights[:size]).sum() / 2
        assert apart_here <= bound + other + 1e-15
        assert abs(actual.null_weight - expected.null_weight) <= bound + other + 1e-15
        if actual.certificate.method == expected.certificate.method == "quantised":
            of_one, of_many = (estimate_alone(view, *option) for view in (split.one, split.many))
            if of_one is not None and of_many is not None:
                looser.append(of_many.total_variation > LOOSER * of_one.total_variation + 1e-12)
        if first_option["max_error"] is not None and actual.certificate.method == "quantised":
            assert bound <= first_option["max_error"]
        if first_option["output"] and actual.keys:
            together = actual.certificate.output_error + expected.certificate.output_error
            assert np.linalg.norm(actual.output - expected.output) <= together
        if first_option["normaliser"] == "softmax" and first_option["temperature"] > 1e-20 and actual.keys:
            weights, null_weight, output = true_of(split, *option)
            assert apart(actual, weights, null_weight, 1.0) <= bound + 1e-15
            if first_option["output"]:
                assert np.linalg.norm((actual.output - output).astype(np.float64)) <= actual.certificate.output_error
    return looser


def check_temperatures(split):
    """Check every temperature of one scan, and the one that `Auto` finds."""
    options, allowed, _ = split.question(filtered=True)
    plain = {"query": options["query"], "null": options["null"], "top_k": 5, "output": False}
    size = float(np.linalg.norm(options["query"])) + 0.1
    temperatures = [0, 1e-30, 0.05 * size, size, np.inf]
    one, many = (
        sweep(view, Question(**plain, temperature=1.0, mask=view.mask(allowed)), temperatures)
        for view in (split.one, split.many)
    )
    np.testing.assert_array_equal(many.numbers, one.numbers)
    np.testing.assert_array_equal(many.similarities, one.similarities)
    for position in range(len(temperatures)):
        bounds = many.certificates[position].total_variation + one.certificates[position].total_variation
        assert np.abs(many.weights[position] - one.weights[position]).sum() / 2 <= bounds + 1e-15
    results = [
        answers(view, [Question(options["query"], Auto(4.0), mask=view.mask(allowed))])[0]
        for view in (split.one, split.many)
    ]
    np.testing.assert_array_equal(results[0].numbers, results[1].numbers)
    assert results[1].temperature == pytest.approx(results[0].temperature, rel=0.02, abs=1e-12)


@settings(max_examples=examples(40), deadline=None, suppress_health_check=list(HealthCheck))
@given(**SPLITS)
def test_any_split_answers_as_one_part_does(seed, rows, parts, similarity, several):
    split = Split(seed, rows, parts, similarity, several)
    check(split)
    check_temperatures(split)


@pytest.mark.thorough
def test_ten_thousand_questions_to_any_split_are_within_their_certificates():
    looser = []

    @settings(max_examples=1250, deadline=None, suppress_health_check=list(HealthCheck))
    @given(**SPLITS)
    def any_split(**given_split):
        looser.extend(check(Split(**given_split), questions=8))

    any_split()
    assert looser
    assert np.mean(looser) <= FEW
