"""Asking a view: which path answers a question."""

from collections.abc import Sequence

from attention.errors import ParameterError
from attention.lookup.exact import exact_answers, exact_sweep
from attention.lookup.question import Auto, Question, check_temperature
from attention.lookup.results import Answer, Sweep
from attention.lookup.view import View


def answer(view: View, question: Question) -> Answer:
    """Attend over every row of the view that passes the question's mask.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask of another view.
    """
    return answers(view, [question])[0]


def answers(view: View, questions: Sequence[Question]) -> list[Answer]:
    """Answer many questions in one reading of the keys; each as `answer` would.

    Raises:
        ShapeError: a query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask of another view.
    """
    for question in questions:
        question.check(view)
    return exact_answers(view, questions)


def sweep(view: View, question: Question, temperatures: Sequence[float]) -> Sweep:
    """Answer one question at many temperatures from one reading of the keys.

    Args:
        question: softmax only, a number for its temperature, which is not used; no `top_p`.
        temperatures: each 0, or from 1e-30 to infinity.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a question or a temperature that a sweep is not for.
    """
    question.check(view)
    if question.normaliser != "softmax" or isinstance(question.temperature, Auto) or question.top_p is not None:
        raise ParameterError(
            "a sweep is softmax at given temperatures, without top_p: leave the others at their defaults"
        )
    for temperature in temperatures:
        check_temperature(temperature)
    return exact_sweep(view, question, temperatures)
