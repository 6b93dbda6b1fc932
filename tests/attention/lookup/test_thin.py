"""Thin scans against the exact path: heads to the bit, weights within what the certificate says, whatever is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attention import ParameterError
from attention.kernels import engine
from attention.lookup import Background, Bias, Memory, Question, Rows, answering, attend, thin
from attention.lookup.bounds import draws
from attention.lookup.bounds.draws import CHANCE, MEASURED, PROVEN
from attention.lookup.exact import exact_answers
from attention.lookup.memory import compaction, memory, segments
from attention.lookup.thin import thin_answers, thin_first
from tests.thorough import thorough

SEED = bytes(range(32))
BASES = pytest.mark.parametrize("basis", [PROVEN, MEASURED], ids=["proven", "measured"])


@pytest.fixture(scope="module")
def keys():
    """float32[40013, 128] around 400 centres."""
    random = np.random.default_rng(11)
    centres = random.standard_normal((400, 128))
    return (centres[random.integers(0, 400, 40013)] + random.standard_normal((40013, 128))).astype(np.float32)


@pytest.fixture(scope="module")
def asked(keys):
    random = np.random.default_rng(12)
    return [keys[row] + random.standard_normal(128) for row in random.integers(0, len(keys), 12)]


def memory_of(keys, similarity="cosine", pieces=3, seed=SEED):
    written = Memory(similarity, thin_seed=seed)
    for rows in np.array_split(np.arange(len(keys)), pieces):
        written.publish(add=Rows(rows, keys[rows]))
    return written


@pytest.fixture(scope="module")
def view(keys):
    return memory_of(keys).view


def apart(found, view, question):
    """Total variation between an answer and the exact one, over its documents, the rest and the null key."""
    exact = exact_answers(view, [replace(question, top_k=view.n)])[0]
    place = {int(number): index for index, number in enumerate(exact.numbers)}
    true = exact.weights[[place[int(number)] for number in found.numbers]]
    rest = abs(true.sum() + exact.null_weight - found.weights.sum() - found.null_weight)
    return (np.abs(true - found.weights).sum() + abs(exact.null_weight - found.null_weight) + rest) / 2


def agrees(found, view, question):
    """The head to the bit, weights within the certificate, the evidence about right."""
    head = exact_answers(view, [question])[0]
    np.testing.assert_array_equal(found.numbers, head.numbers)
    np.testing.assert_array_equal(found.similarities, head.similarities)
    assert found.matches == head.matches
    assert (found.documents, found.best_similarity) == (head.documents, head.best_similarity)
    assert found.certificate.method == "thin"
    assert apart(found, view, question) <= found.certificate.total_variation
    assert found.entropy == pytest.approx(head.entropy, abs=0.15)
    if head.log_partition is not None:
        assert found.log_partition == pytest.approx(head.log_partition, abs=0.03)


@BASES
@pytest.mark.parametrize("temperature", [np.inf, 1.0, *map(thorough, (0.2, 0.02, 1e-3)), 0.1, 1e-20, 0.0])
@pytest.mark.parametrize("null", [None, 0.4, Background(0.0, 0.14)], ids=["no null", "null", "background"])
def test_answers_are_within_their_certificates(running, view, asked, basis, temperature, null):
    questions = [Question(query, temperature, null, output=False) for query in asked[:3]]
    answers = thin_answers(view, questions, basis)
    told = [(question, found) for question, found in zip(questions, answers, strict=True) if found is not None]
    assert len(told) >= 2 or (basis is MEASURED and 0 < temperature < 0.1)
    for question, found in told:
        agrees(found, view, question)
        assert found.certificate.total_variation <= basis.most
        assert (found.certificate.basis, found.certificate.holds_with) == (basis.name, basis.holds_with)


@pytest.mark.parametrize("normaliser", ["sparsemax", "entmax15", "one_hot"])
@pytest.mark.parametrize("temperature", [0.2, 0.01, 0.0])
def test_what_only_a_head_has_weight_in_is_exact(view, asked, normaliser, temperature):
    questions = [Question(query, temperature, 0.1, normaliser=normaliser, output=False) for query in asked[:4]]
    told = 0
    for question, found in zip(questions, thin_answers(view, questions, PROVEN), strict=True):
        if found is not None:
            told += 1
            agrees(found, view, question)
            assert found.certificate.total_variation < 1e-9
    assert told or (normaliser != "one_hot" and temperature == 0.2)


@pytest.mark.parametrize("similarity", ["dot", "scaled_dot"])
def test_products_are_scanned_too(keys, asked, similarity):
    view = memory_of(keys, similarity).view
    scale = 256.0 if similarity == "dot" else 256.0 / 128**0.5
    for query in asked[:3]:
        question = Question(query, 0.1 * scale, output=False)
        (found,) = thin_answers(view, [question], PROVEN)
        assert found is not None
        agrees(found, view, question)


def test_rows_that_are_masked_or_removed_have_no_part(keys, asked):
    written = memory_of(keys)
    written.publish(remove=np.arange(0, len(keys), 3))
    view = written.view
    mask = view.mask(np.arange(0, len(keys), 2))
    for question in (Question(asked[0], 0.1, output=False), Question(asked[1], 0.1, mask=mask, output=False)):
        (found,) = thin_answers(view, [question], PROVEN)
        assert found is not None
        agrees(found, view, question)


def test_compaction_keeps_the_codes(keys, asked, monkeypatch):
    for module in (compaction, memory, segments):
        monkeypatch.setattr(module, "BLOCK_ROWS", 16_384)
    written = memory_of(keys)
    assert len(written.view.segments) == 3
    written.publish(remove=np.arange(2_000, 12_000))
    assert written.compact()
    question = Question(asked[0], 0.1, output=False)
    (found,) = thin_answers(written.view, [question], PROVEN)
    assert found is not None
    agrees(found, written.view, question)


def test_ties_with_the_last_match_are_all_there(keys, asked):
    twice = np.concatenate([keys, keys])
    view = memory_of(twice).view
    question = Question(asked[0], 0.1, top_k=5, output=False)
    (found,) = thin_answers(view, [question], PROVEN)
    assert found is not None
    assert len(found.numbers) == 6
    agrees(found, view, question)


def test_top_p_is_the_smallest_head(view, asked):
    question = Question(asked[0], 0.05, top_k=40, top_p=0.2, output=False)
    (found,) = thin_answers(view, [question], PROVEN)
    assert found is not None
    agrees(found, view, question)


def test_one_question_has_one_answer_however_many_workers_there_are(view, asked, monkeypatch):
    question = Question(asked[0], 0.1, output=False)
    answers = []
    for count in (1, 2, 5):
        monkeypatch.setattr("attention.lookup.scan.thin.workers", lambda count=count: count)
        answers += thin_answers(view, [question], PROVEN)
    answers += thin_answers(view, [Question(asked[1], 0.2, output=False), question], PROVEN)[1:]
    for other in answers[1:]:
        np.testing.assert_allclose(other.weights, answers[0].weights, rtol=1e-12)
        assert other.certificate.total_variation == pytest.approx(answers[0].certificate.total_variation, rel=1e-9)


def test_another_seed_draws_other_rows(keys, asked):
    question = Question(asked[0], 0.1, output=False)
    one, other = (thin_answers(memory_of(keys, seed=seed).view, [question], PROVEN)[0] for seed in (SEED, bytes(32)))
    assert one.weights[0] != other.weights[0]
    assert abs(one.weights.sum() - other.weights.sum()) <= 2 * PROVEN.most


def test_an_error_that_is_asked_for_is_kept_or_left_to_others(view, asked):
    for most, told in ((0.004, True), (1e-5, False)):
        (found,) = thin_answers(view, [Question(asked[0], 0.1, max_error=most, output=False)], PROVEN)
        assert (found is not None) == told


@pytest.mark.parametrize(
    "changes",
    [{"output": True, "temperature": 1.0}, {"top_k": 5000}, {"temperature": np.inf, "normaliser": "one_hot"}],
    ids=["hot output", "many matches", "all tie"],
)
def test_what_it_is_not_for_is_left_to_others(view, asked, changes):
    question = replace(Question(asked[0], 0.1, output=False), **changes)
    assert thin_answers(view, [question], PROVEN) == [None]


def test_a_question_with_a_bias_is_left_to_others(view, asked):
    question = Question(asked[0], 0.1, bias=Bias.of(view, [3, 4], [1.0, -2.0]), output=False)
    assert thin_first(view, [question]) == [None]
    assert thin_answers(view, [question], PROVEN) == [None]


def test_documents_of_several_keys_and_rows_without_thin_codes_are_left_to_others(keys, asked):
    owners = np.arange(len(keys)) // 2 * 2
    several = Memory.of(keys, owners=owners, thin_seed=SEED).view
    plain, gaussian = Memory.of(keys).view, Memory.of(keys, similarity="gaussian", thin_seed=SEED).view
    for view in (several, plain, gaussian):
        assert thin_answers(view, [Question(asked[0], 0.1, output=False)], PROVEN) == [None]
    assert plain.thin is gaussian.thin is None


def test_few_questions_over_many_rows_are_answered_so(view, asked, monkeypatch):
    question = Question(asked[0], 0.1, output=False)
    assert thin_first(view, [question]) == [None]
    monkeypatch.setattr(thin, "THIN_CELLS", 0)
    assert thin_first(view, [question]) == [None]
    assert thin_first(view, [replace(question, temperature=0.0)]) != [None]
    monkeypatch.setattr(thin, "DRAWN_CELLS", 0)
    monkeypatch.setattr(answering, "SMALL_CELLS", 0)
    proven, measured = (
        answering.answers(view, [replace(question, basis=basis)])[0].certificate for basis in ("proven", "measured")
    )
    assert (proven.method, proven.basis, measured.method, measured.basis) == ("thin", "proven", "thin", "measured")
    assert proven.total_variation < measured.total_variation
    between = (proven.total_variation + measured.total_variation) / 2
    (found,) = answering.answers(view, [replace(question, basis="measured", max_error=between)])
    assert found.certificate == proven
    together = answering.answers(view, [question] * (thin.TOGETHER + 1))
    assert {each.certificate.method for each in together} == {"quantised"}
    assert attend(asked[0], view, temperature=0.1, output=False, basis="measured").certificate.basis == "measured"


def test_a_proven_one_holds_with_a_chance_and_8_bits_with_certainty(view, asked):
    (found,) = thin_answers(view, [Question(asked[0], 0.1, output=False)], PROVEN)
    assert found.certificate.holds_with == 1 - CHANCE
    (exact,) = exact_answers(view, [Question(asked[0], 0.1, output=False)])
    assert (exact.certificate.basis, exact.certificate.holds_with) == ("proven", 1.0)


@pytest.mark.parametrize("temperature", [0.1, 0.06])
def test_where_it_may_fail_more_often_it_holds_as_often_as_it_says_and_errs_to_neither_side(
    keys, view, temperature, monkeypatch
):
    for module in (thin, draws):
        monkeypatch.setattr(module, "CHANCE", 0.2)
    random = np.random.default_rng(13)
    questions = [
        Question(keys[row] + random.standard_normal(128), temperature, output=False)
        for row in random.integers(0, len(keys), 80)
    ]
    told = [(q, found) for q in questions if (found := thin_answers(view, [q], PROVEN)[0]) is not None]
    assert len(told) >= 70
    assert sum(apart(found, view, q) <= found.certificate.total_variation for q, found in told) >= 0.8 * len(told)
    off = np.array([found.log_partition - exact_answers(view, [q])[0].log_partition for q, found in told])
    assert abs(off.mean()) < 4.5 * off.std() / np.sqrt(len(off))


def test_a_basis_that_means_nothing_is_refused(asked):
    with pytest.raises(ParameterError, match="basis must be one of proven, measured, got 'guessed'"):
        Question(asked[0], 0.1, basis="guessed")


def test_a_seed_of_another_length_is_refused():
    with pytest.raises(ParameterError, match="thin_seed must be 32 bytes"):
        Memory("dot", thin_seed=b"no")


def test_both_kernels_answer_alike(view, asked):
    question = Question(asked[0], np.inf, output=False)
    answers = []
    for kind in (engine.in_numpy, engine.machine_code()):
        engine.choose(kind)
        answers += thin_answers(view, [question], PROVEN)
        engine.choose(None)
    np.testing.assert_allclose(answers[0].weights, answers[1].weights, rtol=1e-6)
