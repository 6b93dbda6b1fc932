"""Questions: what they refuse, and which of them share a scan."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from softkv_attention import attend as plain_attend
from softkv_attention.errors import AttentionError, ParameterError, ShapeError
from softkv_attention.lookup import Auto, Bias, Memory, Question, Rows, answer, answers, attend, sweep
from softkv_attention.lookup.question import group_by_logits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": -1.0}, "from 1e-30 to infinity"),
        ({"temperature": np.nan}, "from 1e-30 to infinity"),
        ({"temperature": 1e-31}, "0 is the limit"),
        ({"null": np.inf}, "finite similarity"),
        ({"normaliser": "argmax"}, "must be one of"),
        ({"top_k": -1}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_p": 1.1}, "top_p"),
        ({"max_error": 0.0}, "max_error"),
        ({"query": np.array([np.nan])}, "finite"),
    ],
)
def test_bad_questions_are_refused(arguments, message):
    with pytest.raises(ParameterError, match=message):
        Question(**{"query": np.ones(3), "temperature": 1.0, **arguments})


def test_questions_that_do_not_fit_the_view_are_refused(filled):
    view = filled("cosine", np.eye(3))
    with pytest.raises(ShapeError, match="query has width 4, the keys have width 3"):
        answer(view, Question(np.ones(4), 1.0))
    with pytest.raises(ShapeError, match="one vector"):
        Question(np.ones((2, 3)), 1.0)
    with pytest.raises(ParameterError, match="zero vector"):
        answer(view, Question(np.zeros(3), 1.0))
    with pytest.raises(ParameterError, match="another view"):
        answer(view, Question(np.ones(3), 1.0, mask=filled("cosine", np.eye(3)).mask(np.array([100]))))


def test_auto_is_refused_where_it_means_nothing():
    with pytest.raises(ParameterError, match="at least 1"):
        Auto(0.5)
    with pytest.raises(ParameterError, match="at least 1"):
        Auto(np.inf)
    with pytest.raises(ParameterError, match="softmax only"):
        Question(np.ones(3), Auto(), normaliser="one_hot")


def test_a_view_without_rows_takes_a_query_of_any_width():
    for width in (1, 7):
        Question(np.ones(width), 1.0).put_to(Memory("dot").view)


def test_questions_of_one_bias_and_temperature_share_a_scan():
    view = Memory.of(np.eye(3)).view
    odd, one, other = view.mask(np.array([1])), Bias.of(view, [1], [2.0]), Bias.of(view, [1], [2.0])
    questions = [
        Question(np.ones(3), temperature, mask=mask, bias=bias)
        for temperature, mask, bias in (
            (1.0, None, None),
            (2.0, None, one),
            (2.0, None, None),
            (1.0, None, one),
            (2.0, odd, one),
            (2.0, None, other),
            (2.0, None, one),
        )
    ]
    assert list(group_by_logits(questions)) == [[0, 2], [1, 6], [3], [4], [5]]


def test_auto_is_not_for_a_bias():
    bias = Bias.of(Memory.of(np.eye(3)).view, [1], [2.0])
    with pytest.raises(ParameterError, match="not for a question with a bias"):
        Question(np.ones(3), Auto(), bias=bias)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (
            lambda memory: attend(np.ones((1, 2, 3)), memory, temperature=1.0),
            r"one vector, got shape \(1, 2, 3\): .*answers\(",
        ),
        (lambda memory: attend("cats", memory, temperature=1.0), "query must hold real numbers, got text"),
        (lambda memory: attend(torch.ones(3, requires_grad=True), memory, temperature=1.0), r"send query.detach\(\)"),
        (
            lambda memory: attend(np.ones(3), memory, temperature=1.0, null="auto"),
            "got 'auto': .* is a Background here",
        ),
        (lambda memory: attend(np.ones(3), memory, temperature=1.0, null=False), "None for no null key; got False"),
        (lambda memory: attend(np.ones(3), memory, temperature=1.0, mask=[0, 1]), "mask must be a Mask or booleans"),
        (lambda memory: attend(np.ones(3), memory, temperature=1.0, mask=[True]), "one for each of 3 documents"),
        (lambda memory: attend(np.ones(3), np.eye(3), temperature=1.0), r"got ndarray: Memory.of\(keys\) makes"),
        (lambda memory: answers(memory, [np.ones(3)]), r"Question\(query, temperature\)"),
        (lambda memory: answers(memory, Question(np.ones(3), 1.0)), "expected a list of Questions"),
        (
            lambda memory: answers(memory, [Question(np.ones(3), 1.0, mask=np.ones(3, bool))]),
            "mask must be a Mask, got",
        ),
        (lambda memory: attend(np.ones(3), memory, temperature=1.0, bias=[0.0] * 3), "bias must be a Bias, got list"),
        (lambda memory: attend(np.ones(3), memory, temperature=1.0, top_k=2.5), "top_k must be a whole number"),
        (lambda memory: attend(np.ones(3), memory, temperature=1.0, top_k="2"), "top_k must be a whole number"),
        (lambda memory: attend(np.ones(3), memory, temperature=1.0, top_p="1"), "top_p must be above 0"),
        (lambda memory: attend(np.ones(3), memory, temperature=1.0, max_error="1"), "max_error must be a finite"),
        (lambda _: Memory.of([[1, 2], [3]]), "keys must have rows of one length"),
        (lambda _: Memory.of("cats"), "keys must hold real numbers, got text"),
        (lambda _: Memory.of(None), r"keys must have one row .* got shape \(\)"),
        (lambda _: Memory.of(np.eye(3), [["a"]] * 3), "values must hold real numbers"),
        (lambda _: Memory.of(torch.ones(3, 2, requires_grad=True)), r"send keys.detach\(\)"),
        (lambda memory: Memory(np.eye(3)), "similarity must be one of .*, got a ndarray: use Memory.of"),
    ],
)
def test_an_invalid_question_is_refused_with_a_sentence(ask, words):
    with pytest.raises(AttentionError, match=words):
        ask(Memory.of(np.eye(3)))


DOORS = {
    "keys": lambda memory, numbers: Memory.of(numbers),
    "values": lambda memory, numbers: Memory.of(np.eye(3), numbers),
    "query": lambda memory, numbers: attend(numbers, memory, temperature=1.0),
    "addends": lambda memory, numbers: Bias.of(memory.view, np.arange(3), numbers),
    "numbers": lambda memory, numbers: Bias.of(memory.view, numbers, np.zeros(3)),
    "question": lambda memory, numbers: sweep(memory, numbers, [1.0]),
    "temperatures": lambda memory, numbers: sweep(memory, np.ones(3), numbers),
    "mask": lambda memory, numbers: attend(np.ones(3), memory, temperature=1.0, mask=numbers),
    "numbers|mask": lambda memory, numbers: memory.view.mask(numbers),
    "remove": lambda memory, numbers: memory.publish(remove=numbers),
    "null": lambda memory, numbers: plain_attend(np.eye(3), np.eye(3), np.eye(3), null=numbers),
    "bias": lambda memory, numbers: plain_attend(np.eye(3), np.eye(3), np.eye(3), bias=numbers),
    "a bias": lambda memory, numbers: Bias.of(memory.view, np.arange(3), np.zeros(3), numbers[0][0]),
    "null must be a finite": lambda memory, numbers: Question(np.ones(3), 1.0, numbers[0][0]),
}
NOT_REAL = [np.full((3, 3), 1 + 2j), [[1 + 2j] * 3] * 3, np.array([["cats"] * 3] * 3), [["cats"], ["dogs", "bark"]]]


@pytest.mark.parametrize("numbers", NOT_REAL, ids=["complex", "list of complex", "texts", "ragged"])
@pytest.mark.parametrize("name", DOORS)
def test_complex_and_ragged_numbers_and_texts_are_refused_by_name(name, numbers):
    with pytest.raises(AttentionError, match=f"^({name})"):
        DOORS[name](Memory.of(np.eye(3)), numbers)


def test_a_memory_answers_like_its_view():
    memory = Memory.of([[1, 0], [0, 1]])
    question = Question([1, 0], 0.5)
    (result,), swept = answers(memory, [question]), sweep(memory, question, [0.5])
    assert result.numbers.tolist() == answer(memory, question).numbers.tolist() == swept.numbers.tolist() == [0, 1]
    assert repr(memory) == "<Memory 2 keys of width 2, cosine>"
    assert repr(result) == "<Answer 2 of 2 documents, null 0.000>"


@pytest.mark.parametrize("owners", [None, np.array([10, 10, 12, 13])])
def test_booleans_let_documents_be_attended_to_in_the_order_of_their_numbers(owners):
    memory = Memory("dot")
    memory.publish(add=Rows(np.arange(10, 14), np.eye(4), owners=owners))
    view = memory.publish(remove=np.array([12]))
    flags = [True, False, True] if owners is None else [True, False]
    answer = attend(np.ones(4), memory, temperature=1.0, mask=flags)
    assert sorted(answer.numbers.tolist()) == ([10, 13] if owners is None else [10])
    assert view.mask(np.array(flags)).n == 2


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_tensors_of_each_type_are_taken_as_they_are_rounded(kind):
    random = np.random.default_rng(0)
    keys, query = (torch.tensor(random.standard_normal(shape)).to(kind) for shape in ((20, 4), (4,)))
    mine = attend(query, Memory.of(keys.T.contiguous().T), temperature=0.5)
    wide = attend(query.double().numpy(), Memory.of(keys.double().numpy()), temperature=0.5)
    np.testing.assert_array_equal(mine.output, wide.output)
