"""Asking a view: which path answers a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attention.errors import ParameterError
from attention.kernels import kernels, pin_kernels
from attention.logits import check_temperature
from attention.lookup.answer import Answer, Sweep
from attention.lookup.exact import exact_answers, exact_sweep
from attention.lookup.memory.bias import Bias
from attention.lookup.memory.memory import Memory
from attention.lookup.memory.view import Mask, View
from attention.lookup.quantised import quantised_answers
from attention.lookup.question import Auto, Question, without_forbidden
from attention.lookup.shards.parted import Parted
from attention.lookup.softmax.null_key import Background
from attention.lookup.temperature_sweep import quantised_sweep, solved

SMALL_CELLS = 2_816 * 384
"""So many components among the rows that pass are read in float64 in the time that a scan takes for its own steps, for
one question; for several together it is a third as many, but who asks beside it does not change a question's path."""

SCANNED = 24
"""Reading one row in float64 takes about as long as scanning so many."""

PRECISE, PATIENCE = 1e-4, 4
"""A scan seldom proves less than this; where that is asked for, so many times as many rows are read in float64."""


def attend(
    query: NDArray[np.floating],
    memory: Memory | View | Sequence[View],
    *,
    temperature: float | Auto,
    null: float | Background | None = None,
    mask: Mask | NDArray[np.bool_] | None = None,
    bias: Bias | None = None,
    normaliser: str = "softmax",
    top_k: int | None = None,
    top_p: float | None = None,
    output: bool = True,
    max_error: float | None = None,
) -> Answer:
    """Attend with one query over every row of a memory: softmax(similarity(query, keys) / temperature) · values.

    Args:
        query: float[d].
        memory: a memory, whose current view is asked, a view, or views that are parts of one, see `Parted`.
        mask: as in `Question`; or bool[n], one for each document in the order of their numbers.
        temperature, null, normaliser, top_k, top_p, output, max_error, bias: as in `Question`.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a number out of its range, a zero query under cosine, or a mask or a bias of another view.
    """
    view = _view_of(memory)
    if mask is not None and not isinstance(mask, Mask):
        flags = np.asarray(mask)
        if flags.dtype != np.bool_:
            raise ParameterError(f"mask must be a Mask or booleans, got {flags.dtype}: view.mask(numbers) makes one")
        mask = view.mask(flags)
    return answer(view, Question(query, temperature, null, mask, normaliser, top_k, top_p, output, max_error, bias))


def _view_of(asked: Memory | View | Sequence[View]) -> View:
    """What is asked, as one view.

    Raises:
        ParameterError: it is none of these.
    """
    if isinstance(asked, Memory):
        return asked.view
    if isinstance(asked, View):
        return asked
    if isinstance(asked, Sequence) and all(isinstance(part, View) for part in asked):
        return Parted.of(asked)
    raise ParameterError(
        f"expected a Memory, a View, or several views that are parts of one, got {type(asked).__name__}: "
        "Memory.of(keys) makes a memory of an array"
    )


def answer(view: Memory | View | Sequence[View], question: Question) -> Answer:
    """Attend over every row of the view that passes the question's mask.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask or a bias of another view.
    """
    return answers(view, [question])[0]


def answers(parts: Memory | View | Sequence[View], questions: Sequence[Question]) -> list[Answer]:
    """Answer many questions in one reading of the keys; each as `answer` would.

    Args:
        parts: a memory, whose current view is asked; a view; or several whose answers become one: what `Parted.of`
            makes of them, which masks are made with.

    Raises:
        ShapeError: a query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask or a bias of another view.
    """
    view = _view_of(parts)
    if not (isinstance(questions, Sequence) and all(isinstance(question, Question) for question in questions)):
        raise ParameterError("expected a list of Questions: a query becomes one with Question(query, temperature)")
    for question in questions:
        question.check(view)
    with pin_kernels():
        return _answers(view, without_forbidden(questions))


def _answers(view: View, questions: Sequence[Question]) -> list[Answer]:
    found: list[Answer | None] = [None] * len(questions)
    large = [index for index, question in enumerate(questions) if not _is_small(view, question)]
    for index, answer in zip(large, _scanned(view, [questions[i] for i in large]), strict=True):
        found[index] = answer
    rest = [index for index, answer in enumerate(found) if answer is None]
    for index, answer in zip(rest, exact_answers(view, [questions[i] for i in rest]), strict=True):
        found[index] = answer
    return [answer for answer in found if answer is not None]


def _scanned(view: View, questions: Sequence[Question]) -> list[Answer | None]:
    """Answer each question by its codes; None where the exact path has to."""
    found: list[Answer | None] = [None] * len(questions)
    auto = [index for index, question in enumerate(questions) if isinstance(question.temperature, Auto)]
    asked = list(questions)
    for index, one in zip(auto, solved(view, [questions[i] for i in auto]), strict=True):
        if one is not None:
            found[index] = one.answer
            asked[index] = replace(questions[index], temperature=one.temperature)
    scanned = [index for index, answer in enumerate(found) if answer is None]
    for index, answer in zip(scanned, quantised_answers(view, [asked[i] for i in scanned]), strict=True):
        found[index] = answer
    return found


def sweep(view: Memory | View, question: Question, temperatures: Sequence[float]) -> Sweep:
    """Answer one question at many temperatures from one reading of the keys.

    Args:
        question: softmax only, a number for its temperature, which is not used; no `top_p`. Where it has a bias every
            row is read in float64, for no one scan knows the logits of each temperature.
        temperatures: each 0, or from 1e-30 to infinity.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a question or a temperature that a sweep is not for.
    """
    view = _view_of(view)
    question.check(view)
    if question.normaliser != "softmax" or isinstance(question.temperature, Auto) or question.top_p is not None:
        raise ParameterError("a sweep is softmax at given temperatures, without top_p: leave the others as they are")
    for temperature in temperatures:
        check_temperature(temperature)
    (question,) = without_forbidden([question])
    with pin_kernels():
        exact = question.bias is not None or view.bare or _is_small(view, question)
        found = None if exact else quantised_sweep(view, question, temperatures)
        return exact_sweep(view, question, temperatures) if found is None else found


def _is_small(view: View, question: Question) -> bool:
    """Whether reading the originals of the rows that pass takes no longer than scanning them and what is beside them.

    Also if some are not kept in codes, and the question has a bias or `Auto`, or documents have several keys: see
    `UncodedShard`; and while there is no machine code to scan with. Else it follows from the view, the mask and the
    question alone: an answer takes the same path whatever is asked beside it, and a sweep takes that of `attend`.
    """
    if view.bare:
        plain = question.bias is None and not isinstance(question.temperature, Auto) and not view.facts.several
        if not plain:
            return True
    elif not kernels().SCANS and not view.beyond_memory:
        return True
    passing, beside = view.n, 0
    if question.mask is not None:
        passing, beside = question.mask.n, question.mask.scanned - question.mask.n
    width = view.dimension or 1
    most = SMALL_CELLS + beside * width / SCANNED
    if question.max_error is not None and question.max_error < PRECISE:
        most *= PATIENCE
    return passing * width <= most
