"""Thin codes alone: every kind of question against the exact path, in memory and in files, whatever is written."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from attention.lookup import (
    Auto,
    Background,
    Bias,
    Memory,
    Question,
    Rows,
    answer,
    answering,
    answers,
    sweep,
    thin_only,
)
from attention.lookup.bounds import draws
from attention.lookup.bounds.draws import MEASURED, PROVEN
from attention.lookup.exact import exact_answers, exact_sweep
from attention.lookup.memory import compaction, originals, segments, view
from attention.lookup.memory import memory as memory_module
from attention.lookup.thin import thin_answers

SEED = bytes(range(32))
N, WIDTH = 20_011, 96


@pytest.fixture(scope="module")
def keys():
    """float32[20011, 96] around 200 centres."""
    random = np.random.default_rng(11)
    centres = random.standard_normal((200, WIDTH))
    return (centres[random.integers(0, 200, N)] + random.standard_normal((N, WIDTH))).astype(np.float32)


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(14).standard_normal((N, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def asked(keys):
    random = np.random.default_rng(12)
    return [keys[row] + random.standard_normal(WIDTH) for row in random.integers(0, N, 5)]


@pytest.fixture(autouse=True)
def scanned(monkeypatch):
    """However few rows there are; in blocks of 8,192, all of them in files where there is a directory."""
    monkeypatch.setattr(answering, "SMALL_CELLS", 0)
    monkeypatch.setattr(originals, "SMALLEST_FILE", 1)
    for module in (compaction, memory_module, segments):
        monkeypatch.setattr(module, "BLOCK_ROWS", 8_192)


@pytest.fixture(params=["memory", "files", "files beyond memory"])
def directory(request, tmp_path, monkeypatch):
    if request.param == "files beyond memory":
        monkeypatch.setattr(view, "HELD", 0.0)
    return None if request.param == "memory" else tmp_path


def memory_of(keys, values=None, similarity="cosine", directory=None, pieces=3, owners=None):
    written = Memory(similarity, directory, thin_seed=SEED, thin_only=True)
    for rows in np.array_split(np.arange(len(keys)), pieces):
        own = None if values is None else values[rows]
        written.publish(add=Rows(rows, keys[rows], own, None if owners is None else owners[rows]))
    return written


def agrees(found, view, question):
    """The head to the bit, weights and output within the certificate, the evidence about right."""
    asked_for = replace(question, temperature=found.temperature)
    head, everything = exact_answers(view, [asked_for, replace(asked_for, top_k=view.n, top_p=None, output=False)])
    np.testing.assert_array_equal(found.numbers, head.numbers)
    np.testing.assert_array_equal(found.similarities, head.similarities)
    assert (found.matches, found.complete) == (head.matches, head.complete)
    assert (found.documents, found.best_similarity) == (head.documents, head.best_similarity)
    place = {int(number): index for index, number in enumerate(everything.numbers)}
    true = everything.weights[[place[int(number)] for number in found.numbers]]
    rest = abs(true.sum() + everything.null_weight - found.weights.sum() - found.null_weight)
    apart = (np.abs(true - found.weights).sum() + abs(everything.null_weight - found.null_weight) + rest) / 2
    assert apart <= found.certificate.total_variation + 1e-15
    assert found.entropy == pytest.approx(head.entropy, abs=0.15)
    if question.output:
        assert np.linalg.norm(found.output - head.output) <= found.certificate.output_error
    else:
        assert found.output is None


@pytest.mark.parametrize("temperature", [np.inf, 1.0, 0.1, 0.02, 1e-20, 0.0])
@pytest.mark.parametrize("null", [None, Background(0.0, 0.14)], ids=["no null", "background"])
def test_answers_are_within_their_certificates(running, keys, asked, temperature, null):
    view = memory_of(keys).view
    questions = [Question(query, temperature, null, output=False) for query in asked]
    found = answers(view, questions)
    for question, each in zip(questions, found, strict=True):
        agrees(each, view, question)
    methods = [each.certificate.method for each in found]  # many together: no bytes would be faster
    assert methods.count("thin") >= len(asked) - 1


QUESTIONS = {
    "plain": {},
    "cold": {"temperature": 0.0},
    "output": {"output": True},
    "sparsemax": {"normaliser": "sparsemax"},
    "entmax15 with output": {"normaliser": "entmax15", "output": True},
    "one hot": {"normaliser": "one_hot"},
    "one hot, all tie": {"normaliser": "one_hot", "temperature": np.inf},
    "top p": {"top_k": 40, "top_p": 0.2},
    "no matches": {"top_k": 0},
    "many matches": {"top_k": 3_000},
    "auto": {"temperature": Auto(20)},
    "auto with output": {"temperature": Auto(20), "output": True},
    "precise": {"max_error": 1e-9},
    "measured": {"basis": "measured"},
}


@pytest.mark.parametrize("changes", QUESTIONS.values(), ids=QUESTIONS)
def test_every_kind_of_question_is_answered(keys, values, asked, directory, changes):
    for own in (None, values):
        written = memory_of(keys, own, directory=directory)
        written.publish(remove=np.arange(5, N, 7))
        view = written.view
        for mask in (None, view.mask(np.arange(0, N, 2)), view.mask(np.arange(100))):
            question = replace(Question(asked[0], 0.1, 0.3, output=False, mask=mask), **changes)
            agrees(answer(view, question), view, question)


def test_what_thin_codes_answer_is_not_answered_by_the_originals(keys, asked, directory):
    view = memory_of(keys, directory=directory).view
    kinds = ({}, {"temperature": 0.0}, {"normaliser": "one_hot"}, {"basis": "measured"})
    found = answers(view, [replace(Question(asked[0], 0.1, output=False), **kind) for kind in kinds])
    # From disk, the originals that fewer bits want would take longer than more bits.
    fewer = "proven" if view.beyond_memory else "measured"
    bases = ["proven", "proven", "proven", fewer]
    assert [(each.certificate.method, each.certificate.basis) for each in found] == [("thin", each) for each in bases]


@pytest.mark.parametrize("similarity", ["dot", "scaled_dot"])
def test_products_are_kept_so_too(keys, asked, similarity):
    view = memory_of(keys, similarity=similarity).view
    scale = 192.0 if similarity == "dot" else 192.0 / WIDTH**0.5
    question = Question(asked[0], 0.1 * scale, output=False)
    found = answer(view, question)
    assert found.certificate.method == "thin"
    agrees(found, view, question)


def test_a_bias_is_added_to_similarities_of_the_originals(keys, asked):
    view = memory_of(keys).view
    bias = Bias.of(view, [3, 4, 5], [1.0, -2.0, -np.inf])
    question = Question(asked[0], 0.1, bias=bias)
    found = answer(view, question)
    expected = exact_answers(view, [replace(question, mask=bias.mask)])[0]
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    np.testing.assert_array_equal(found.weights, expected.weights)


def test_documents_of_several_keys_weigh_what_these_do_together(keys, asked):
    view = memory_of(keys, owners=np.arange(N) // 2 * 2, pieces=1).view
    question = Question(asked[0], 0.1)
    found, expected = answer(view, question), exact_answers(view, [question])[0]
    np.testing.assert_array_equal(found.numbers, expected.numbers)
    np.testing.assert_array_equal(found.weights, expected.weights)
    assert found.documents == (N + 1) // 2


def test_a_sweep_reads_the_originals(keys, asked, directory):
    view = memory_of(keys, directory=directory).view
    question, temperatures = Question(asked[0], 0.1, 0.3), [0.0, 0.05, 1.0]
    found, expected = sweep(view, question, temperatures), exact_sweep(view, question, temperatures)
    np.testing.assert_array_equal(found.weights, expected.weights)
    assert {each.method for each in found.certificates} == {"exact"}


def test_a_wider_certificate_answers_where_the_question_allows_it(keys, asked, monkeypatch):
    for name in ("LEAST_DRAWN", "MOST_DRAWN"):
        monkeypatch.setattr(draws, name, 200)
    view = memory_of(keys).view
    for query in asked[:4]:
        question = Question(query, 0.08, output=False)
        assert thin_answers(view, [question], PROVEN) == [None]
        wide = answer(view, question)
        agrees(wide, view, question)
        assert wide.certificate.method == "thin"
        assert PROVEN.most < wide.certificate.total_variation <= thin_only.WIDEST
        for most, method in ((wide.certificate.total_variation, "thin"), (PROVEN.most, "exact")):
            found = answer(view, replace(question, max_error=most))
            assert (found.certificate.method, found.certificate.total_variation <= most) == (method, True)


def test_a_certificate_that_says_too_little_is_none(keys, asked, monkeypatch):
    view = memory_of(keys).view
    question = Question(asked[0], 0.1, output=False)
    monkeypatch.setattr(thin_only, "WAYS", ((PROVEN, 1_024, 1e-9),))
    assert thin_only.thin_alone(view, [question]) == [None]
    assert answer(view, question).certificate.method == "exact"


def test_no_question_is_tried_twice_for_a_better_draw(keys, asked, monkeypatch):
    view = memory_of(keys).view
    question = Question(asked[0], 0.1, max_error=1e-6, output=False)
    tried = []

    def counting(view, questions, basis, **how):
        tried.append(how["listed"])
        return thin_answers(view, questions, basis, **how)

    monkeypatch.setattr(thin_only, "thin_answers", counting)
    monkeypatch.setattr(thin_only, "WAYS", ((PROVEN, 1_024, 0.5), (PROVEN, 2_048, 0.5)))
    assert thin_only.thin_alone(view, [question]) == [None]
    assert tried == [1_024]


def test_more_rows_are_listed_where_few_do_not_decide_a_head(keys, asked, monkeypatch):
    view = memory_of(keys).view
    questions = [Question(query, 0.0, top_k=100, output=False) for query in asked]
    few, many = (PROVEN, 16, 0.5), (PROVEN, 4_000, 0.5)
    monkeypatch.setattr("attention.lookup.thin_only.LISTED", 16)
    monkeypatch.setattr(thin_only, "WAYS", (few,))
    undecided = [index for index, each in enumerate(thin_only.thin_alone(view, questions)) if each is None]
    assert undecided
    monkeypatch.setattr(thin_only, "WAYS", (few, many))
    found = thin_only.thin_alone(view, questions)
    for index in undecided:
        assert found[index] is not None
        agrees(found[index], view, questions[index])
    # They are few only of many.
    mask = view.mask(np.arange(15_999))
    assert thin_only.thin_alone(view, [replace(questions[undecided[0]], mask=mask)])[0] is None


def test_a_question_gets_fewer_bits_only_where_it_allows_them(keys, asked):
    view = memory_of(keys).view
    found = answers(view, [Question(asked[0], 0.2, output=False, basis=basis) for basis in ("proven", "measured")])
    assert [each.certificate.holds_with for each in found] == [PROVEN.holds_with, MEASURED.holds_with]


def test_it_grows_from_few_rows_to_many_and_through_removals_and_compaction(
    keys, values, asked, directory, monkeypatch
):
    monkeypatch.setattr(answering, "SMALL_CELLS", 1_000 * WIDTH)
    written = Memory("cosine", directory, thin_seed=SEED, thin_only=True)
    question = Question(asked[0], 0.1, output=False)
    methods, start = [], 0
    for stop in (1, 50, 1_000, 4_000, 4_100, 9_000, 17_000, N):
        written.publish(add=Rows(np.arange(start, stop), keys[start:stop], values[start:stop]))
        start = stop
        found = answer(written.view, question)
        agrees(found, written.view, question)
        methods.append(found.certificate.method)
    assert methods[:3] == ["exact"] * 3
    assert methods[-3:] == ["thin"] * 3
    before = written.view
    written.publish(remove=np.arange(1_000, 12_000))
    found = answer(written.view, question)
    assert written.compact()
    assert written.view.n == N - 11_000
    for seen in (written.view, before):
        assert seen.thin_only
        agrees(answer(seen, question), seen, question)
    agrees(found, written.view, question)
    np.testing.assert_array_equal(written.view.segments[0].values[:999], values[:999])


def test_few_rows_are_read_in_float64_and_fewer_where_they_lie_on_disk(keys, asked, tmp_path, monkeypatch):
    monkeypatch.setattr(answering, "SMALL_CELLS", 1_000 * WIDTH)
    view_of = {}
    for name, held in (("held", 1e9), ("beyond", 0.0)):
        monkeypatch.setattr(view, "HELD", held)
        view_of[name] = memory_of(keys, directory=tmp_path).view
        assert view_of[name].beyond_memory == (name == "beyond")
    for name, most in (("held", 1_000 * answering.ALONE), ("beyond", 1_000)):
        for count, method in ((most, "exact"), (most + 300, "thin")):
            question = Question(asked[0], 0.0, mask=view_of[name].mask(np.arange(count)), output=False, top_k=1)
            assert answer(view_of[name], question).certificate.method == method, (name, count)


def test_the_same_answer_from_files_and_from_memory(keys, asked, tmp_path, monkeypatch):
    questions = [Question(query, temperature, output=False) for query in asked[:3] for temperature in (0.1, 0.0)]
    found = [answers(memory_of(keys, directory=place).view, questions) for place in (None, tmp_path)]
    monkeypatch.setattr(view, "HELD", 0.0)
    found.append(answers(memory_of(keys, directory=tmp_path).view, questions))
    for one, filed, beyond in zip(*found, strict=True):
        for other in (filed, beyond):
            np.testing.assert_array_equal(one.numbers, other.numbers)
            np.testing.assert_array_equal(one.similarities, other.similarities)
        np.testing.assert_allclose(filed.weights, one.weights, rtol=1e-12)
        # From disk fewer draws are looked up.
        apart = np.abs(beyond.weights - one.weights).sum() / 2
        assert apart <= beyond.certificate.total_variation + one.certificate.total_variation
