"""Every temperature from one scan: a sweep is many answers, and `Auto` finds the one for a number of documents."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softkv_attention.lookup import Auto, Limits, Question, ScanWidth, answers, temperature_sweep
from softkv_attention.lookup.exact import exact_answers, exact_sweep
from softkv_attention.lookup.temperature_sweep import Tail, solve_temperatures, sweep_by_scan

LIMITS = Limits(max_tile_rows=1024, scan_widths=(ScanWidth(64, 128),))


@pytest.fixture
def in_pieces(in_pieces):
    """In small tiles, with short lists."""
    return partial(in_pieces, limits=LIMITS)


def histogram_of(similarities, bins):
    """float64[bins, 2], count and sum of similarities from 0 to 1."""
    bin_numbers = np.minimum((similarities * bins).astype(int), bins - 1)
    return np.stack(
        [np.bincount(bin_numbers, minlength=bins), np.bincount(bin_numbers, similarities, bins)], axis=1
    ).astype(float)


@settings(deadline=None)
@given(seed=st.integers(0, 99), n=st.integers(1, 500), bins=st.integers(1, 64))
def test_the_sums_of_a_tail_are_off_by_at_most_the_width_of_a_bin(seed, n, bins):
    similarities, temperatures = np.random.default_rng(seed).random(n), np.array([0.05, 0.3, 9.0, np.inf])
    sums = Tail(histogram_of(similarities, bins)).sums(temperatures)
    assert sums.sums.shape == (4, 1, 3)
    for (mass, _, square), temperature in zip(sums.sums[:, 0], temperatures, strict=True):
        terms = np.exp((similarities - sums.thresholds[0]) / temperature)
        off = 1 / bins / temperature + 1e-12  # of each logit, and so of the logarithm of their sum
        assert abs(np.log(mass / terms.sum())) <= off
        assert abs(np.log(square / (terms * terms).sum())) <= 2 * off


def test_a_tail_of_no_rows_adds_no_terms():
    sums = Tail(np.zeros((7, 2))).sums(np.array([0.1, 1.0]))
    assert (sums.thresholds.shape, sums.sums.shape) == ((0,), (2, 0, 3))


def test_a_quantised_sweep_is_many_answers(running, clusters, in_pieces):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values)
    temperatures = [0, 1e-4, 0.01, 0.05, 0.3, 2.0, np.inf]
    question = Question(queries[0], 1.0, null=0.4, mask=view.mask(np.arange(0, len(keys), 2)), top_k=7)
    result, exact = sweep_by_scan(view, question, temperatures), exact_sweep(view, question, temperatures)
    np.testing.assert_array_equal(result.numbers, exact.numbers)
    np.testing.assert_array_equal(result.similarities, exact.similarities)
    assert (result.documents, result.matches) == (exact.documents, exact.matches)
    for index, (mine, true) in enumerate(zip(result.evidence, exact.evidence, strict=True)):
        apart = (
            np.abs(result.weights[index] - exact.weights[index]).sum() + abs(mine.null_weight - true.null_weight)
        ) / 2
        assert apart <= result.certificates[index].total_variation
        stands, truly = result.verdicts[index], exact.verdicts[index]
        assert stands.stands == truly.stands or not stands.certain
        assert mine.log_partition == pytest.approx(true.log_partition, rel=1e-2, abs=1e-2)
        assert mine.effective_documents == pytest.approx(true.effective_documents, rel=2e-2)


def test_the_number_of_temperatures_does_not_change_an_answer(clusters, in_pieces, monkeypatch):
    keys, _, queries = clusters
    view, question = in_pieces("cosine", keys), Question(queries[0], 1.0, null=0.4, output=False)
    temperatures = [0.05, 0, 0.3, np.inf, 1e-30, 0, 2.0]
    together = sweep_by_scan(view, question, temperatures)
    monkeypatch.setattr(temperature_sweep, "BATCH_SIZE", 2)
    for sweep in (sweep_by_scan(view, question, temperatures), sweep_by_scan(view, question, temperatures[::-1])):
        order = slice(None) if sweep.evidence[0].temperature == 0.05 else slice(None, None, -1)
        assert [evidence.temperature for evidence in sweep.evidence[order]] == temperatures
        np.testing.assert_allclose(sweep.weights[order], together.weights, rtol=1e-9)
    assert sweep_by_scan(view, question, []).weights.shape == (0, len(together.numbers))


def test_a_histogram_answers_auto_unless_values_are_to_be_blended(running, clusters, in_pieces):
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values)
    with_values, without = solve_temperatures(
        view, [Question(queries[0], Auto(20), output=output) for output in (True, False)]
    )
    assert with_values.answer is None
    assert without.answer.temperature == without.temperature == pytest.approx(with_values.temperature, rel=1e-2)
    assert without.answer.effective_documents == pytest.approx(20, rel=1e-2)


def test_sweeps_that_a_histogram_cannot_decide_are_left_to_the_exact_path(running, clusters, in_pieces):
    keys, _, queries = clusters
    copies = in_pieces("cosine", np.ones_like(keys))
    assert solve_temperatures(copies, [Question(queries[0], Auto())]) == [None]
    assert sweep_by_scan(copies, Question(queries[0], 1.0), [0.1]) is None
    far = in_pieces("dot", keys * np.float32(1e19))
    assert solve_temperatures(far, [Question(queries[0] * 1e19, Auto())]) == [None]
    assert sweep_by_scan(far, Question(queries[0] * 1e19, 1.0), [0.1]) is None
    # An error that bins are too wide for is not promised, though the temperature is known.
    (result,) = solve_temperatures(
        in_pieces("cosine", keys), [Question(queries[0], Auto(500), output=False, max_error=1e-9)]
    )
    assert result.temperature > 0
    assert result.answer is None


def test_auto_reaches_its_effective_documents(running, clusters, in_pieces, agrees, monkeypatch):
    monkeypatch.setattr(running, "SCANS", True)  # NumPy too, which reads the originals if it is left to choose
    keys, values, queries = clusters
    view = in_pieces("cosine", keys, values, limits=replace(LIMITS, exact_max_components=0))
    questions = [Question(query, Auto(expected)) for query, expected in zip(queries, (8, 300, 2500), strict=False)]
    for question, actual in zip(questions, answers(view, questions), strict=True):
        assert actual.certificate.method == "quantised"
        exact = exact_answers(view, [replace(question, temperature=actual.temperature)])[0]
        assert exact.effective_documents == pytest.approx(question.temperature.effective_documents, rel=1e-2)
        assert actual.effective_documents == pytest.approx(question.temperature.effective_documents, rel=1e-2)
        without = answers(view, [replace(question, output=False, null=0.4)])[0]  # from the histogram alone
        agrees(view, replace(question, output=False, null=0.4, temperature=without.temperature), without)
