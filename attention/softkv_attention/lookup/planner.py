"""The planner: it chooses the exact or the quantised path for each question, and calls each path once.

The first row that fits a question says which module answers it:

    module             question                                            rows
    all_weights        asks for the weights of all documents, see below    any
    few_rows           softmax, T > 0, no bias                             as `reads_exactly` says; here, at most 4,096
    exact              any                                                 as `reads_exactly` says, and if `exact`
    temperature_sweep  `Auto`: T follows from a histogram                  with codes
    one_scan           plain, and alone with its mask                      with codes; here
    quantised          any                                                 with codes, or without for one T and no bias
    exact              any that these scans leave open                     any

"Here" are rows in this process and in memory, each a document. A question is plain if it has softmax, T > 0, at most
`MAX_CAP` matches, and none of output, bias, `top_p` and `max_error`. `all_weights` scans if there are too many rows for
float64; otherwise a row below answers, and float64 adds the weights. A sweep takes `temperature_sweep`, or `exact` with
a bias or without codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, Required, TypedDict, TypeVar, Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray

from softkv_attention.arrays import Shaped, as_array, reals
from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.kernels import kernels, pin_kernels
from softkv_attention.logits import check_temperature
from softkv_attention.lookup.all_weights import scan_weighing_all, weights_of
from softkv_attention.lookup.answer import Answer, Sweep
from softkv_attention.lookup.exact import exact_answers, exact_sweep
from softkv_attention.lookup.few_rows import FewRows
from softkv_attention.lookup.memory.bias import AnyBias
from softkv_attention.lookup.memory.memory import Memory
from softkv_attention.lookup.memory.view import AnyMask, AnyView, View
from softkv_attention.lookup.one_scan import ScannableRows, is_plain
from softkv_attention.lookup.quantised import quantised_answers
from softkv_attention.lookup.question import Auto, Question, mask_forbidden
from softkv_attention.lookup.shards import is_view
from softkv_attention.lookup.softmax.evidence import Background
from softkv_attention.lookup.temperature_sweep import solve_temperatures, sweep_by_scan

TIGHT_ERROR, TIGHT_ERROR_FACTOR = 1e-4, 4
"""A `max_error` that a scan seldom proves; below it the exact path takes this many times as many components."""


WEIGHED_EXACTLY_TIMES = 32
"""All documents are weighed in float64 if their keys have up to this many times the components that an answer reads in
float64: it takes a few milliseconds."""


class OneQuery(Protocol):
    """A query [d], as far as type checkers see it: an array whose type says that it has one dimension."""

    @property
    def shape(self) -> tuple[int]:
        """The width of the query."""


class SeveralQueries(Protocol):
    """Queries [q, d], as far as type checkers see it: an array whose type says that it has two dimensions."""

    @property
    def shape(self) -> tuple[int, int]:
        """The number of queries, and their width."""


class Unsized(Protocol):
    """Queries whose type does not say how many dimensions they have: it fits any number, even seven."""

    @property
    def shape(self) -> tuple[int, int, int, int, int, int, int]:
        """The lengths of the dimensions."""


# mypy infers a wrong shape for an argument such as `np.ones((3, 2))` if its parameter is a class.
UnknownSize = TypeVar("UnknownSize", bound=Unsized)
One = TypeVar("One", bound=OneQuery)
Several = TypeVar("Several", bound=SeveralQueries)


class LookupOptions(TypedDict, total=False):
    """The options of `attend`, which explains them."""

    temperature: Required[float | Auto]
    null: float | Background | None
    mask: AnyMask | NDArray[np.bool_] | None
    bias: AnyBias | None
    normaliser: str
    top_k: int | None
    top_p: float | None
    output: bool
    max_error: float | None


@overload
def attend(
    query: UnknownSize,
    memory: Memory | AnyView | Sequence[View],
    **options: Unpack[LookupOptions],
) -> Any: ...


@overload
def attend(
    query: One | Sequence[float],
    memory: Memory | AnyView | Sequence[View],
    **options: Unpack[LookupOptions],
) -> Answer: ...


@overload
def attend(
    query: Several | Sequence[Sequence[float]] | Sequence[NDArray[np.floating]],
    memory: Memory | AnyView | Sequence[View],
    **options: Unpack[LookupOptions],
) -> list[Answer]: ...


@overload
def attend(
    query: Shaped,
    memory: Memory | AnyView | Sequence[View],
    **options: Unpack[LookupOptions],
) -> Any: ...


def attend(
    query: Any,
    memory: Memory | AnyView | Sequence[View],
    *,
    temperature: float | Auto,
    null: float | Background | None = None,
    mask: AnyMask | NDArray[np.bool_] | None = None,
    bias: AnyBias | None = None,
    normaliser: str = "softmax",
    top_k: int | None = None,
    top_p: float | None = None,
    output: bool = True,
    max_error: float | None = None,
) -> Answer | list[Answer]:
    """Attend over every row of a memory: softmax(similarity(query, keys) / temperature) · values.

    A row is a key with its value. A document has one or more rows.

    Parameters
    ----------
    query : float[d] or float[q, d]
        One query, or several that are answered in one reading of the keys. A NumPy array, a list, or a torch tensor on
        the CPU that needs no gradient.
    memory : Memory, View, or a list of views
        The rows: a memory's current view (snapshot), a view, or several views merged by `View.merged`.
    temperature : float or Auto
        0, or from 1e-30 to infinity; `Auto` solves for the temperature that gives a number of effective keys.
    null : float, Background, or None
        The similarity of the null key, which means "none of these"; or the background (the distribution of unrelated
        similarities) from which it follows. None for no null key.
    mask : Mask, bool[n], or None
        The documents that may be attended to; booleans stand in the order of the documents' numbers.
    bias : Bias or None
        A number added to the logits of each document, −∞ to forbid it.
    normaliser : str
        softmax, sparsemax, entmax15 or one_hot.
    top_k : int or None
        How many documents the answer lists, apart from further ties: 10 by default, or at most 1,000 with `top_p`.
    top_p : float or None
        List the fewest documents that have this share of the weight, above 0 and at most 1.
    output : bool
        Whether to compute the output Σ weight·value.
    max_error : float or None
        The largest allowed error: total variation of the weights, and the output's error relative to the largest
        ‖value‖.

    Returns
    -------
    Answer or list[Answer]
        One answer for a query float[d]; a list of q answers for queries float[q, d].

    Raises
    ------
    ShapeError
        The query is neither float[d] nor float[q, d], or has another width than the keys.
    ParameterError
        A number is out of its range, a query is zero under cosine, or the mask or bias belongs to another view.
    """
    view = _view_of(memory)
    options = (temperature, null, _mask_of(view, mask), normaliser, top_k, top_p, output, max_error, bias)
    queries = reals("query", query)
    if queries.ndim != 2:
        return answer(view, Question(queries, *options))
    return answers(view, [Question(vector, *options) for vector in queries])


def _view_of(memory: Memory | AnyView | Sequence[View]) -> AnyView:
    """Return the view (snapshot) to query: that of a memory, a view itself, or several views merged into one.

    Raises:
        ParameterError: the argument is not a memory, a view or a list of views.
    """
    if isinstance(memory, Memory):
        return memory.view
    return memory if isinstance(memory, View) or is_view(memory) else View.merged(cast("Sequence[View]", memory))


def _mask_of(view: AnyView, mask: AnyMask | NDArray[np.bool_] | None) -> AnyMask | None:
    """Return a mask as it is, or the mask that booleans in the order of the documents' numbers stand for.

    Raises:
        ParameterError: the argument is neither a mask nor booleans.
    """
    if mask is None or isinstance(mask, AnyMask):
        return mask
    flags = np.asarray(as_array("mask", mask))
    if flags.dtype != np.bool_:
        raise ParameterError(f"mask must be a Mask or booleans, got {flags.dtype}: view.mask(numbers) makes one")
    return view.mask(flags)


def answer(view: Memory | AnyView | Sequence[View], question: Question) -> Answer:
    """Answer one question over every row (key with its value) of the view that passes the question's mask.

    Raises:
        ShapeError: the query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask or a bias of another view.
    """
    return answers(view, [question])[0]


def answers(memory: Memory | AnyView | Sequence[View], questions: Sequence[Question]) -> list[Answer]:
    """Answer many questions in one reading of the keys; each answer equals that of a call of `answer`.

    Args:
        memory: a memory, of which the current view is used; a view; or several views, which are merged by
            `View.merged`.
        questions: any number of questions.

    Raises:
        ShapeError: a query has another width than the keys.
        ParameterError: a zero query under cosine, or a mask or a bias of another view.
    """
    view = _view_of(memory)
    if not (isinstance(questions, Sequence) and all(isinstance(question, Question) for question in questions)):
        raise ParameterError("expected a list of Questions: a query becomes one with Question(query, temperature)")
    has_bias = any(question.bias is not None for question in questions)
    questions = [question.put_to(view) for question in questions]
    if has_bias:
        questions = mask_forbidden(questions)
    with pin_kernels():
        if len(questions) == 1 and (answer := _answer_in_few_calls(view, questions[0])) is not None:
            return [answer]
        heads = iter(_answers(view, [question for question in questions if not question.weigh_all]))
        return [_answer_weighing_all(view, question) if question.weigh_all else next(heads) for question in questions]


def answer_in_one_scan(view: AnyView, question: Question) -> Answer | None:
    """Return the answer to a question as `answers` does, if one scan by kernels in C has it; else None.

    The calling thread scans, and others help it if they are free. It waits for none that has not begun. So this takes
    little more than reading the codes of the keys, whatever other questions ask of the threads.

    Args:
        view: the keys.
        question: any question. None is returned unless it is plain, see `one_scan.py`, and too many rows pass its mask
            to read them exactly.

    Raises:
        ShapeError, ParameterError: as `answers`.
    """
    question = question.put_to(view)
    with pin_kernels():
        return None if reads_exactly(view, question) else _answer_in_few_calls(view, question)


def _answer_in_few_calls(view: AnyView, question: Question) -> Answer | None:
    """Return the answer to a question that comes alone, if `few_rows` or `one_scan` has it; else None."""
    if question.weigh_all:
        return None
    if reads_exactly(view, question):
        few = FewRows.of(view, question.mask)
        return None if few is None else few.answers([question])[0]
    rows = ScannableRows.of(view, question.mask) if is_plain(question) else None
    if rows is None:
        return None
    assert isinstance(view, View)
    return rows.answer(view, question)


def _answer_weighing_all(view: AnyView, question: Question) -> Answer:
    """Answer a question with the weights of all documents: those of many documents come from a scan of 8-bit codes.

    One scan serves answer and weights, unless the question asks for an output or its temperature is yet to be solved
    for.
    """
    in_one_scan = not (question.output or isinstance(question.temperature, Auto))
    answer = _scan_weighing_all(view, question) if in_one_scan else None
    if answer is not None:
        return answer
    (answer,) = _answers(view, [replace(question, weigh_all=False)])
    settled = replace(question, temperature=answer.temperature, top_k=0, top_p=None, output=False)
    scanned = None if in_one_scan else _scan_weighing_all(view, settled)
    return replace(answer, all_weights=weights_of(view, settled) if scanned is None else scanned.all_weights)


def _scan_weighing_all(view: AnyView, question: Question) -> Answer | None:
    """Answer a question with the weights of all documents from one scan; None if float64 is fast, or no scan can."""
    if not isinstance(view, View):
        return None
    passing = view.n if question.mask is None else question.mask.n
    few = passing * (view.dimension or 1) <= WEIGHED_EXACTLY_TIMES * view.limits.exact_max_components
    return None if few or reads_exactly(view, question) else scan_weighing_all(view, question)


def _answers(view: AnyView, questions: Sequence[Question]) -> list[Answer]:
    """Answer the questions, each on the path that suits it, with one call of each path.

    The paths are a search for the temperature of `Auto`, a scan of 8-bit codes, and the exact path in float64. The
    exact path also answers what the other two cannot decide.
    """
    answers: list[Answer | None] = [None] * len(questions)
    exact: list[int] = []
    auto: list[int] = []
    scanned: dict[int, Question] = {}
    for index, question in enumerate(questions):
        if reads_exactly(view, question):
            exact.append(index)
        elif isinstance(question.temperature, Auto):
            auto.append(index)
        else:
            scanned[index] = question
    if auto:
        for index, solution in zip(auto, solve_temperatures(view, [questions[i] for i in auto]), strict=True):
            # None: a histogram leaves the temperature open. Without an answer: T is known, but not within `max_error`.
            if solution is None:
                exact.append(index)
            elif solution.answer is None:
                scanned[index] = replace(questions[index], temperature=solution.temperature)
            else:
                answers[index] = solution.answer
    if scanned:
        # Back in the order of the questions: those of `Auto` were added last.
        indices = sorted(scanned)
        for index, answer in zip(indices, quantised_answers(view, [scanned[i] for i in indices]), strict=True):
            answers[index] = answer
            if answer is None:
                exact.append(index)
    if exact:
        # The undecided ones were added last.
        exact.sort()
        for index, answer in zip(exact, exact_answers(view, [questions[i] for i in exact]), strict=True):
            answers[index] = answer
    return [answer for answer in answers if answer is not None]


def sweep(
    memory: Memory | AnyView | Sequence[View],
    question: Question | NDArray[np.floating],
    temperatures: Sequence[float] | NDArray[np.floating],
    *,
    null: float | Background | None = None,
    mask: AnyMask | NDArray[np.bool_] | None = None,
    bias: AnyBias | None = None,
    top_k: int | None = None,
) -> Sweep:
    """Answer one query at many temperatures from one reading of the keys.

    Args:
        question: a query float[d], with the options below; or a `Question` with softmax and without `top_p`, which has
            options of its own. Its temperature must be a number, which is not used.
        temperatures: each 0, or from 1e-30 to infinity.
        null, mask, top_k: as in `attend`.
        bias: as in `attend`. With a bias every key is read in float64, because one scan cannot have the logits of
            several temperatures.

    Raises:
        ShapeError: the query is not a vector, or has another width than the keys.
        ParameterError: the question, an option or a temperature is not valid for a sweep.
    """
    view = _view_of(memory)
    if not isinstance(question, Question):
        question = reals("question", question)
        if question.ndim > 1:
            raise ShapeError(f"a sweep takes one query, got shape {np.shape(question)}: sweep each query by itself")
        question = Question(question, 1.0, null, _mask_of(view, mask), top_k=top_k, output=False, bias=bias)
    elif not (null is None and mask is None and bias is None and top_k is None):
        raise ParameterError("null, mask, bias and top_k go with a bare query: here, set them in the Question")
    question = question.put_to(view)
    if question.normaliser != "softmax" or isinstance(question.temperature, Auto) or question.top_p is not None:
        raise ParameterError("a sweep is softmax at given temperatures, without top_p: leave the others as they are")
    levels = reals("temperatures", temperatures)
    if levels.ndim != 1:
        raise ParameterError(f"temperatures must be a list of numbers, got {temperatures!r}: for one, write [0.05]")
    temperatures = [check_temperature(temperature) for temperature in levels.tolist()]
    (question,) = mask_forbidden([question])
    with pin_kernels():
        # A histogram serves all temperatures, but needs codes, and no bias: s/T + bias has another order at each T.
        exact = question.bias is not None or view.bare or reads_exactly(view, question)
        scanned = None if exact else sweep_by_scan(view, question, temperatures)
        return exact_sweep(view, question, temperatures) if scanned is None else scanned


def reads_exactly(view: AnyView, question: Question) -> bool:
    """Return whether the exact path in float64 shall answer a question, instead of a scan of 8-bit codes.

    It shall if the question is `exact`, or if reading the float32 originals of the passing rows takes no longer than a
    scan: in NumPy it never does, unless they are on a disk. And it shall if some rows have no 8-bit codes and one of
    these holds: the question has a bias or `Auto`, or documents have several keys. Otherwise only view, mask and
    question decide. So the path does not depend on the other questions, and a sweep takes the path of `attend`.
    """
    if question.exact:
        return True
    if view.bare:
        # `UncodedShard` sums rows as it reads them, at one temperature, without a bias, and if each row is a document.
        if question.bias is not None or isinstance(question.temperature, Auto) or view.facts.several:
            return True
    # NumPy reads float32 faster than codes. Keys on a disk are the exception: their codes are a quarter of the bytes.
    elif not kernels().SCANS and not view.beyond_memory:
        return True
    passing, masked = view.n, 0
    if question.mask is not None:
        # A scan reads whole panels. Rows of them that do not pass cost it time, so the exact path may read more.
        passing, masked = question.mask.n, question.mask.scanned - question.mask.n
    width, limits = view.dimension or 1, view.limits
    limit = limits.exact_max_components + masked * width / limits.rows_scanned_per_exact_row
    if question.max_error is not None and question.max_error < TIGHT_ERROR:
        # A scan that fails is wasted, so more rows are worth reading at once.
        limit *= TIGHT_ERROR_FACTOR
    return passing * width <= limit
