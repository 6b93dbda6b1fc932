"""The scan for one plain question: it answers as the scan for many does, and its weights are a softmax."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from softkv_attention.kernels import kernels, one_thread
from softkv_attention.lookup import (
    Background,
    Bias,
    Limits,
    Memory,
    Question,
    Rows,
    ScanWidth,
    SealedError,
    answer_in_one_scan,
    answers,
    one_scan,
    scan,
    seal,
    sealable_segments,
    sealed,
    unseal,
)
from softkv_attention.lookup.codes.quantisation import bound_norms, code_queries
from softkv_attention.lookup.few_rows import PRODUCTS as DIVISORS
from softkv_attention.lookup.one_scan import ScannableRows, is_plain
from softkv_attention.lookup.quantised import quantised_answers
from tests.attention.kernels.implementations import EVERY_IN_C
from tests.thorough import crossed

PRODUCTS = ["cosine", "dot", "scaled_dot"]
UNIT = {"cosine": 1.0, "dot": 20.0, "scaled_dot": 3.0}

pytestmark = pytest.mark.skipif(kernels().one_scan is None, reason="no library of kernels was built")


def memory_of(similarity, count, width, *, block_rows=131_072, copies=97):
    random = np.random.default_rng([count, width])
    centres = random.standard_normal((20, width))
    keys = (centres[random.integers(0, 20, count)] + random.standard_normal((count, width))).astype(np.float32)
    keys[5::copies] = keys[0]
    memory = Memory(similarity, limits=Limits(block_rows=block_rows, exact_max_components=-1))
    memory.publish(add=Rows(10 + np.arange(count), keys, keys))
    queries = centres + random.standard_normal(centres.shape)
    queries[0] = keys[0]
    return memory, keys, queries


def scan_together(view, question):
    """Answer a question in one scan with another, so that it is not answered by itself."""
    return quantised_answers(view, [question, question])[0]


def assert_equal(alone, together):
    for name in ("numbers", "parts", "similarities", "logits", "log_weight_of_other_parts"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(together, name))
    for name in ("matches", "complete", "best_similarity", "documents", "keys"):
        assert getattr(alone, name) == getattr(together, name), name
    # NumPy's exponentials are not those in C, in the last digits, where a threshold was raised.
    for name in ("weights", "heaviest", "null_weight"):
        np.testing.assert_allclose(getattr(alone, name), getattr(together, name), rtol=1e-13)
    assert alone.evidence.entropy == pytest.approx(together.evidence.entropy, rel=1e-12)
    assert alone.certificate.method == together.certificate.method
    # Sums over the components of one query are added in another order than those of several.
    assert alone.certificate.total_variation == pytest.approx(together.certificate.total_variation, rel=1e-6)
    assert (alone.heavy_rows is None) == (together.heavy_rows is None)
    if alone.heavy_rows is not None:
        np.testing.assert_array_equal(alone.heavy_rows.numbers, together.heavy_rows.numbers)


@crossed(
    {
        "similarity": PRODUCTS,
        "count": [1, 65, 3_000],
        "width": [3, 33],
        "temperature": [0.004, 0.05, 1.0, np.inf],
        "null": [None, Background(0.0, 0.2)],
        "block_rows": [1_024, 131_072],
    }
)
def test_a_question_alone_is_answered_as_beside_another(similarity, count, width, temperature, null, block_rows):
    memory, _, queries = memory_of(similarity, count, width, block_rows=block_rows)
    view = memory.view
    masks = [None, view.mask(np.arange(count) % 2 == 0), view.mask(np.arange(count) < 20)]
    rows = {id(mask): ScannableRows.of(view, mask) for mask in masks}
    with one_thread():
        for index, query in enumerate(queries[:6]):
            mask, top_k = masks[index % 3], (10, 0, 200)[index % 3]
            question = Question(query, temperature * UNIT[similarity], null, mask, top_k=top_k, output=False)
            alone = None if rows[id(mask)] is None else rows[id(mask)].answer(view, question)
            if alone is not None:
                assert_equal(alone, scan_together(view, question))
            else:
                assert count < 64 or question.temperature == np.inf, "a scan decides which rows are the best"


@pytest.mark.parametrize("similarity", PRODUCTS)
@pytest.mark.parametrize("count", [3_000, 60_000])
def test_weights_are_the_softmax_of_the_definition(oracle, similarity, count):
    memory, keys, queries = memory_of(similarity, count, 48, block_rows=32_768, copies=count // 30)
    for query in queries[:4]:
        question = Question(query, 0.1 * UNIT[similarity], 0.4, top_k=50, output=False)
        result = ScannableRows.of(memory.view, None).answer(memory.view, question)
        similarities = oracle(similarity, question.vector, keys)
        logits = np.append(similarities, 0.4) / question.temperature
        weights = np.exp(logits - logits.max())
        weights /= weights.sum()
        assert result.certificate.method == "quantised"
        error = result.certificate.total_variation + 1e-13
        order = result.numbers - 10
        assert np.abs(result.weights - weights[order]).sum() / 2 <= error
        assert result.null_weight == pytest.approx(weights[-1], abs=error)
        np.testing.assert_allclose(result.similarities, similarities[order], rtol=1e-12, atol=1e-12)
        assert result.similarities[-1] >= np.partition(similarities, -50)[-50] - 1e-12


@pytest.mark.parametrize("best_last", [False, True])
@pytest.mark.parametrize("copies", [2, 9, 900])
def test_a_full_list_raises_its_threshold(best_last, copies):
    memory, keys, queries = memory_of("cosine", 20_000, 24, copies=copies)
    for query in queries[:3]:
        # Too few of the sample pass to choose a threshold, so all are listed until the list is full.
        unit = keys / np.linalg.norm(keys, axis=1, keepdims=True)
        order = np.argsort(unit @ query) if best_last else np.argsort(-(unit @ query))
        ordered = Memory("cosine", limits=memory.view.limits)
        view = ordered.publish(add=Rows(np.arange(20_000), keys[order], keys[order]))
        passes = np.zeros(20_000, dtype=np.bool_)
        passes[np.random.default_rng(0).permutation(20_000)[:2_600]] = True
        passes[::64] = False
        question = Question(query, 0.05, 0.3, view.mask(passes), output=False)
        with one_thread():
            alone, together = (
                ScannableRows.of(view, question.mask).answer(view, question),
                scan_together(view, question),
            )
        # If half of the rows are copies of the best, only a wider scan decides which are among the best.
        assert copies == 2 or not (alone is None or together is None)
        if not (alone is None or together is None):
            assert_equal(alone, together)


def test_threads_find_the_same_rows():
    memory, _, queries = memory_of("cosine", 100_000, 16, block_rows=32_768, copies=3_000)
    rows = ScannableRows.of(memory.view, None)
    for query in queries:
        question = Question(query, 0.05, 0.3, output=False)
        together = rows.answer(memory.view, question)
        with one_thread():
            alone = rows.answer(memory.view, question)
        np.testing.assert_array_equal(alone.numbers, together.numbers)
        difference = np.abs(alone.weights - together.weights).sum() + abs(alone.null_weight - together.null_weight)
        assert difference / 2 <= alone.certificate.total_variation + together.certificate.total_variation


def test_an_answer_in_one_scan_is_that_of_answers():
    memory, _, queries = memory_of("cosine", 20_000, 24)
    with one_thread():
        for query in queries[:4]:
            question = Question(query, 0.05, 0.3, output=False)
            alone, (together,) = answer_in_one_scan(memory.view, question), answers(memory.view, [question])
            np.testing.assert_array_equal(alone.weights, together.weights)
            assert alone.certificate == together.certificate
            assert_equal(alone, together)


def test_questions_that_need_more_than_one_scan_have_no_answer_in_one():
    memory, _, queries = memory_of("cosine", 20_000, 24)
    view, query = memory.view, queries[0]
    for options in (
        {"output": True},
        {"top_p": 0.5},
        {"normaliser": "sparsemax"},
        {"exact": True},
        {"weigh_all": True},
    ):
        assert answer_in_one_scan(view, Question(query, 0.05, **{"output": False} | options)) is None
    few, _, _ = memory_of("cosine", 500, 24)
    exactly = Memory("cosine")
    exactly.publish(add=Rows(np.arange(500), few.view.segments[0].block.keys[:500], None))
    assert answer_in_one_scan(exactly.view, Question(query, 0.05, output=False)) is None


def test_a_scan_does_not_wait_for_threads_that_do_other_work():
    memory, _, queries = memory_of("cosine", 60_000, 24)
    question, free, begun = Question(queries[1], 0.05, 0.3, output=False), threading.Event(), threading.Barrier(3)
    with ThreadPoolExecutor(2) as others:
        rows = ScannableRows.of(memory.view, None)
        busy = [others.submit(lambda: (begun.wait(60), free.wait(60))) for _ in range(2)]
        begun.wait(60)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(one_scan, "pool", lambda: others)
            patched.setattr(scan, "workers", lambda: 3)
            answer = rows.answer(memory.view, question)
        assert not any(one.done() for one in busy)
        free.set()
    np.testing.assert_array_equal(answer.numbers, rows.answer(memory.view, question).numbers)


def test_removed_rows_have_no_weight():
    memory, _, queries = memory_of("cosine", 5_000, 16)
    view = memory.publish(remove=10 + np.arange(0, 5_000, 3))
    question = Question(queries[1], 0.05, output=False, top_k=1_000)
    result = ScannableRows.of(view, None).answer(view, question)
    assert not ((result.numbers - 10) % 3 == 0).any()
    assert result.keys == view.n == 3_333


def test_documents_with_several_keys_are_scanned_together():
    memory = Memory("cosine", limits=Limits(exact_max_components=-1))
    keys = np.random.default_rng(0).standard_normal((100, 8)).astype(np.float32)
    view = memory.publish(add=Rows(np.arange(100), keys, keys, np.arange(100) // 2 * 2))
    assert ScannableRows.of(view, None) is None
    assert answers(view, [Question(keys[4], 0.1, output=False)])[0].numbers[0] == 4


def test_a_damaged_key_is_in_no_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(sealed, "PIECE_BYTES", 64 * 40)
    memory, keys, _ = memory_of("dot", 4_096, 16, block_rows=4_096)
    memory.publish(add=Rows(np.arange(5_000, 5_003), keys[:3], keys[:3]))
    (first,) = sealable_segments(memory.view)
    path = tmp_path / "block"
    seal(path, memory.view, first, first.numbers)
    content = path.read_bytes()
    offset = content.index(keys[700:701].tobytes())
    path.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
    again = Memory("dot", limits=memory.view.limits)
    again.adopt([unseal(path).segment(np.ones(first.count, dtype=bool))])
    rows = ScannableRows.of(again.view, None)
    with pytest.raises(SealedError):
        rows.answer(again.view, Question(keys[700], 1.0, output=False))
    elsewhere = again.view.mask(10 + np.arange(600))
    far = ScannableRows.of(again.view, elsewhere).answer(
        again.view, Question(keys[3], 1.0, mask=elsewhere, output=False)
    )
    assert far.numbers[0] == 13


def test_a_view_is_freed_after_its_answers():
    memory, _, queries = memory_of("cosine", 300, 16)
    view, refs = memory.view, list[weakref.ref[object]]()
    for mask in (None, view.mask(np.arange(10, 200))):
        answers(view, [Question(queries[1], 0.1, mask=mask, output=False)])
        refs += [weakref.ref(ScannableRows.of(view, mask)), weakref.ref(view if mask is None else mask)]
    assert None not in [ref() for ref in refs]
    memory.publish(remove=np.array([10]))
    del view, mask
    gc.collect()
    assert [ref() for ref in refs] == [None] * 4


def test_rows_that_may_belong_to_the_head_are_looked_up_in_a_second_round(monkeypatch):
    """Forty rows closer together than their codes can tell: which ten are best shows only in float64."""
    _, keys, queries = memory_of("cosine", 3_000, 32)
    random = np.random.default_rng(5)
    keys[random.choice(len(keys), 40, replace=False)] = queries[1] + 1e-3 * random.standard_normal((40, 32))
    limits = Limits(exact_max_components=-1, scan_widths=(ScanWidth(12, 128),))
    view = Memory.of(keys, limits=limits).view
    monkeypatch.setattr(one_scan, "ERROR_MARGIN", 0.0)
    rows, looked_up = ScannableRows.of(view, None), list[int]()
    monkeypatch.setattr(rows, "_unread", True)
    monkeypatch.setattr(rows, "_check", lambda indices: looked_up.append(len(indices)))
    question = Question(queries[1], 1e-3, output=False)
    with one_thread():
        assert_equal(rows.answer(view, question), scan_together(view, question))
    assert len(looked_up) == 2
    assert sum(looked_up) >= 40


def test_a_question_with_more_than_weights_is_not_plain():
    memory, _, queries = memory_of("cosine", 300, 16)
    bias = Bias.of(memory.view, np.array([10]), np.array([0.5]))
    plain = Question(queries[0], 0.1, output=False)
    assert is_plain(plain)
    for options in (
        {"output": True},
        {"top_p": 0.5},
        {"max_error": 1e-3},
        {"bias": bias},
        {"normaliser": "sparsemax"},
        {"top_k": 2_000},
    ):
        assert not is_plain(Question(queries[0], 0.1, **{"output": False, **options}))
    assert not is_plain(Question(queries[0], 0.0, output=False))


@EVERY_IN_C
@pytest.mark.parametrize("similarity", PRODUCTS)
@pytest.mark.parametrize("width", [1, 3, 7, 8, 9, 127, 129, 384, 1000])
def test_the_code_of_one_query_has_the_digits_of_many(running, similarity, width):
    random, divisor = np.random.default_rng(width), DIVISORS[similarity]
    for vector in (
        random.standard_normal(width),
        random.standard_normal(width) * 1e-200,
        random.integers(-1, 2, width),
    ):
        vector = vector.astype(np.float64)
        if similarity == "cosine" and not (vector * vector).sum():
            continue
        query = running.one_scan.code(vector, 0.0 if divisor is None else divisor(width))
        codes = code_queries(similarity, vector[None], outputs=False, fine=True)
        packed = running.pack_queries(codes.codes, codes.scales.astype(np.float32), fine=True)
        read = query.code.queries
        assert (read.lines, read.count, read.lines_of_query) == (len(packed.planes), 1, packed.lines_of_query)
        assert (query.planes == packed.planes.ravel()).all()
        assert (query.code.offset, query.code.step) == (packed.offsets[0], packed.steps[0])
        assert (query.coded == codes.codes * codes.scales[:, None]).all()
        assert query.norm == codes.norms[0]
        assert bound_norms(codes.residuals)[0] == np.sqrt(query.squared_residual) * (1 + 1e-9)
