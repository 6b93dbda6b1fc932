"""Asking a view: which path answers a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from attention.errors import ParameterError
from attention.kernels import held
from attention.logits import checked_temperature
from attention.lookup.answer import Answer, Sweep
from attention.lookup.exact import exact_answers, exact_sweep
from attention.lookup.memory.memory import Memory
from attention.lookup.memory.view import Mask, View
from attention.lookup.quantised import quantised_answers
from attention.lookup.question import Auto, Question, by_mask
from attention.lookup.softmax.null import Background
from attention.lookup.sweeping import quantised_sweep, solved

SMALL_CELLS = 4_096 * 384
"""About so many components among the rows that pass are read in float64 while a scan's own steps are taken; for each of
many questions that are asked together a quarter of that."""

SCANNED_CELLS = 40_000 * 384
"""So many components of all rows are scanned in as much time again."""

TEMPERATURES = 8
"""So many temperatures of a sweep take as long, over the rows that are read in float64, as another question."""

PRECISE, PATIENCE = 1e-4, 4
"""A scan seldom proves less than this; where that is asked for, so many times as many rows are read in float64."""


def attend(
    query: NDArray[np.floating],
    memory: Memory | View,
    *,
    temperature: float | Auto,
    null: float | Background | None = None,
    mask: Mask | None = None,
    normaliser: str = "softmax",
    top_k: int | None = None,
    top_p: float | None = None,
    output: bool = True,
    max_error: float | None = None,
) -> Answer:
    """Attend with one query over every row of a memory: softmax(similarity(query, keys) / temperature) · values.

    Args:
        query: float[d].
        memory: a memory, whose current view is asked, or a view.
        temperature, null, mask, normaliser, top_k, top_p, output, max_error: as in `Question`.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a number out of its range, a zero query under cosine, or a mask of another view.
    """
    view = memory.view if isinstance(memory, Memory) else memory
    return answer(view, Question(query, temperature, null, mask, normaliser, top_k, top_p, output, max_error))


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
    with held():
        return _answers(view, questions)


def _answers(view: View, questions: Sequence[Question]) -> list[Answer]:
    found: list[Answer | None] = [None] * len(questions)
    large = [
        index
        for mask, group in by_mask(questions)
        for index in group
        if not _is_small(view, mask, len(group), questions[index].max_error)
    ]
    large.sort()
    auto = [index for index in large if isinstance(questions[index].temperature, Auto)]
    asked = {index: questions[index] for index in large}
    for index, one in zip(auto, solved(view, [questions[i] for i in auto]), strict=True):
        if one is not None:
            found[index] = one.answer
            asked[index] = replace(questions[index], temperature=one.temperature)
    scanned = [index for index in large if found[index] is None]
    for index, answer in zip(scanned, quantised_answers(view, [asked[i] for i in scanned]), strict=True):
        found[index] = answer
    rest = [index for index, answer in enumerate(found) if answer is None]
    for index, answer in zip(rest, exact_answers(view, [questions[i] for i in rest]), strict=True):
        found[index] = answer
    return [answer for answer in found if answer is not None]


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
        raise ParameterError("a sweep is softmax at given temperatures, without top_p: leave the others as they are")
    for temperature in temperatures:
        checked_temperature(temperature)
    with held():
        small = _is_small(view, question.mask, max(1, len(temperatures) // TEMPERATURES), None)
        found = None if small else quantised_sweep(view, question, temperatures)
        return exact_sweep(view, question, temperatures) if found is None else found


def _is_small(view: View, mask: Mask | None, together: int, max_error: float | None) -> bool:
    """Whether so few rows pass, for so many questions together, that reading these is faster than scanning all.

    Also where rows are not kept in codes.
    """
    in_codes = all(segment.block.codes is not None for segment in view.segments)
    passing, width = view.n if mask is None else mask.n, view.dimension or 1
    most = SMALL_CELLS * (1 / together + 1 / 4) * (1 + view.n * width / SCANNED_CELLS)
    if max_error is not None and max_error < PRECISE:
        most *= PATIENCE
    return not in_codes or passing * width <= most
