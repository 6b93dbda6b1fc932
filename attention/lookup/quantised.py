"""The quantised path: a scan of 8-bit keys, a head in float64 over the originals, and a bound on all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attention.lookup.answer import Answer
from attention.lookup.bounds.output import output_error
from attention.lookup.bounds.weights import Certificate
from attention.lookup.exact import by_mask, logits_of
from attention.lookup.head.candidates import LookedUp, coldest, heads, total_variation
from attention.lookup.head.originals import add_values
from attention.lookup.head.similarity import UNIT
from attention.lookup.head.top import choose, cut
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Auto, Question
from attention.lookup.scan.accumulator import CODING, CODING_DEGREES
from attention.lookup.scan.error import CodingError, coded_queries, coding_errors, fits
from attention.lookup.scan.scan import Scanned, scan
from attention.lookup.softmax.distribution import REACH, sparse
from attention.lookup.softmax.mixture import Bulks, Mixture, alone, mix

Array = NDArray[np.float64]

METHOD = "quantised"
TOGETHER = 64
"""Queries to a scan."""


@dataclass(frozen=True)
class Width:
    """How many rows a query looks up in float64 at most, and about how many it lists."""

    exact: int
    listed: int


WIDTHS = (Width(2_048, 1_024), Width(8_192, 16_384))
"""What is tried in turn, until a head is decided and `max_error` is kept."""


def quantised_answers(view: View, questions: Sequence[Question]) -> list[Answer | None]:
    """Answer each question from a scan of the codes; None where the exact path has to.

    That is so where float32 cannot hold the products, where the rows that decide the head cannot be told apart from
    the rest by their codes, and where `max_error` asks for more than a scan can prove, even with a wide head.
    """
    answers: list[Answer | None] = [None] * len(questions)
    for mask, group in by_mask(questions):
        fit = [
            index
            for index in group
            if fits(view, questions[index]) and not isinstance(questions[index].temperature, Auto)
        ]
        for width in WIDTHS:
            open_ones = [index for index in fit if answers[index] is None]
            for first in range(0, len(open_ones), TOGETHER):
                some = open_ones[first : first + TOGETHER]
                for index, answer in zip(some, _answers(view, mask, [questions[i] for i in some], width), strict=True):
                    answers[index] = answer
    return answers


def _answers(view: View, mask: Mask | None, questions: Sequence[Question], width: Width) -> Iterator[Answer | None]:
    scanned, drafts = drafted(view, mask, questions, width)
    documents = view.n if mask is None else mask.n
    blended = _outputs(view, questions, scanned, drafts)
    for index, (question, draft) in enumerate(zip(questions, drafts, strict=True)):
        yield None if draft is None else answer_of(view, question, documents, scanned, draft, blended.get(index))


@dataclass(frozen=True, eq=False)
class Draft:
    """A head and its distribution.

    Attributes:
        total_variation: the bound on it.
        exact_variation: the part of that which the tail has no share in; all of it where no output is asked for.
        error: of similarities that were only scanned.
    """

    head: LookedUp
    found: Mixture
    total_variation: float
    exact_variation: float
    error: CodingError


def drafted(
    view: View, mask: Mask | None, questions: Sequence[Question], width: Width
) -> tuple[Scanned, list[Draft | None]]:
    """What a scan brings home, and for each question what follows; None where the exact path has to answer."""
    temperatures = np.array([_scanned_at(question) for question in questions])
    outputs = any(question.output for question in questions)
    scanned, errors, found = reading(view, mask, questions, width, temperatures, outputs=outputs)
    documents = view.n if mask is None else mask.n
    return scanned, [
        None if head is None else _draft(view, questions[index], documents, scanned, index, head, errors[index])
        for index, head in enumerate(found)
    ]


def reading(
    view: View,
    mask: Mask | None,
    questions: Sequence[Question],
    width: Width,
    temperatures: Array | None,
    *,
    outputs: bool = False,
) -> tuple[Scanned, list[CodingError], list[LookedUp | None]]:
    """One scan, how far it can be off for each question, and the rows that were looked up; see `scan` and `heads`."""
    queries = coded_queries(view, questions)
    listed = max(width.listed, 2 * max(question.cap for question in questions))
    under_way = scan(view, mask, queries, listed, temperatures, outputs=outputs)
    errors = coding_errors(view, queries)
    scanned = under_way.finished()
    documents = view.n if mask is None else mask.n
    return scanned, errors, heads(view, questions, documents, scanned, errors, width.exact)


def _scanned_at(question: Question) -> float:
    """The temperature to sum at; where only the best matter, the coldest, at which nothing else weighs anything."""
    assert not isinstance(question.temperature, Auto)
    return question.temperature if question.normaliser == "softmax" else 0.0


def _draft(
    view: View, question: Question, documents: int, scanned: Scanned, index: int, head: LookedUp, error: CodingError
) -> Draft:
    found = _mixture(question, documents, head, scanned, index)
    bound = total_variation(view, question, head, scanned.rows, found, documents, error)
    exact = bound
    if question.output and found.tail > 0:
        exact = total_variation(view, question, head, scanned.rows, found.without_tail(), documents, error)
    return Draft(head, found, bound, exact, error)


def answer_of(
    view: View,
    question: Question,
    documents: int,
    scanned: Scanned,
    draft: Draft,
    blended: tuple[Array, float] | None,
) -> Answer | None:
    """The answer that a draft, and an output with its error, make; None where `max_error` asks for more."""
    head, found, total_variation = draft.head, draft.found, draft.total_variation
    output, output_error = blended or (None, None)
    if question.max_error is not None:
        relative = 0.0 if output_error is None else output_error / max(view.value_norm, 1e-300)
        if max(total_variation, relative) > question.max_error:
            return None
    chosen = choose(head.similarities, question.cap)
    if question.top_p is not None:
        chosen = cut(chosen, head.similarities, found.head, question.top_p, found.tail)
    return Answer(
        numbers=scanned.rows.numbers(head.places[chosen.places]),
        similarities=head.similarities[chosen.places],
        logits=logits_of(head.similarities, chosen, found.evidence),
        weights=found.head[chosen.places],
        matches=chosen.matches,
        complete=chosen.complete,
        evidence=found.evidence,
        best_similarity=head.best,
        output=output,
        certificate=Certificate(METHOD, total_variation, output_error),
        documents=documents,
    )


def _mixture(question: Question, documents: int, head: LookedUp, scanned: Scanned, index: int) -> Mixture:
    assert not isinstance(question.temperature, Auto)
    temperature = question.temperature
    null = question.null_key(temperature, documents)
    if question.normaliser == "softmax" and temperature > 0:
        bars = np.array([h.bars[index] for h in scanned.harvests], dtype=np.float64)
        bulks = Bulks(bars, np.array([[h.sums[index] for h in scanned.harvests]]))
        return mix(head.similarities, head.listed, bulks, [null], np.array([temperature]))[0]
    if question.normaliser in REACH and temperature > 0:
        narrow = sparse(head.similarities, null, temperature, question.normaliser)
        return alone(narrow.weights, narrow.evidence, len(head.listed))
    return coldest(question, head, documents, temperature)


def _outputs(
    view: View, questions: Sequence[Question], scanned: Scanned, drafts: Sequence[Draft | None]
) -> dict[int, tuple[Array, float]]:
    """Σ weight·value over heads, lists and bulks, and how far that can be off, summing in float64 included."""
    wanted = {index: draft for index, draft in enumerate(drafts) if draft is not None and questions[index].output}
    if not wanted:
        return {}
    outputs = np.zeros((len(questions), view.value_dimension or 0))
    places = np.concatenate(
        [part for draft in wanted.values() for part in (draft.head.places, draft.head.listed_places)]
    )
    weights = np.concatenate([part for draft in wanted.values() for part in (draft.found.head, draft.found.listed)])
    counts = [len(draft.head.places) + len(draft.head.listed_places) for draft in wanted.values()]
    add_values(scanned.rows, places, np.repeat(np.array(list(wanted)), counts), weights, outputs)
    errors = {}
    for (index, draft), count in zip(wanted.items(), counts, strict=True):
        coding = np.zeros(len(CODING))
        for factor, harvest in zip(draft.found.factors, scanned.harvests, strict=False):
            assert harvest.outputs is not None
            if factor > 0:
                outputs[index] += factor * harvest.outputs[index]
                coding += factor**CODING_DEGREES * harvest.coding[index]
        bound = output_error(
            view, draft.found, draft.error, outputs[index], coding, draft.total_variation, draft.exact_variation
        )
        terms = count + 64 * len(view.segments) + draft.found.tail * view.n
        errors[index] = bound + 4 * terms * UNIT * view.value_norm
    return {index: (outputs[index], error) for index, error in errors.items()}
