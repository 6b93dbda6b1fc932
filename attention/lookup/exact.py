"""The exact path: every similarity in float64 over the stored float32, then the distribution as a whole.

Where documents have several keys, evidence and blended value are made of the very numbers that they would be made of if
each key were a document by itself. The documents' weights come from similarities that are all summed alike, so that
equal documents have equal weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from attention.dtypes import F64
from attention.lookup.answer import Answer, Certificate, Sweep, answer_to, sweep_of
from attention.lookup.bounds.output import bound_summed
from attention.lookup.bounds.rounding import slack
from attention.lookup.bounds.total import total_variation
from attention.lookup.head.documents import Grouping
from attention.lookup.head.originals import all_similarities, all_sums
from attention.lookup.head.top import refine
from attention.lookup.memory.tiles import Passing, alike
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Auto, Question, by_mask
from attention.lookup.softmax.distribution import Distribution, one_hot, softmax, sparse
from attention.lookup.softmax.temperature import solve

METHOD = "exact"
SCAN_CELLS = 2**23
TILE_ROWS = 2048


def exact_answers(view: View, questions: Sequence[Question]) -> list[Answer]:
    """Answer each question over every row that passes. Questions of one mask share the reading of the keys."""
    answers: list[Answer | None] = [None] * len(questions)
    for mask, group in by_mask(questions):
        passing, grouping = _passing(view, mask)
        together = max(1, SCAN_CELLS // max(passing.n, 1))
        for first in range(0, len(group), together):
            some = group[first : first + together]
            found = _each(view, passing, grouping, [questions[i] for i in some])
            for index, answer in zip(some, found, strict=True):
                answers[index] = answer
    return [answer for answer in answers if answer is not None]


def exact_sweep(view: View, question: Question, temperatures: Sequence[float]) -> Sweep:
    """One question at many temperatures; its own temperature, normaliser and `top_p` do not matter here."""
    passing, grouping = _passing(view, question.mask)
    similarities = _similarities(view, passing, [question])[0]
    asked = [replace(question, temperature=temperature, normaliser="softmax") for temperature in temperatures]
    found = [_distribution(each, similarities) for each in asked]
    known, weighed = similarities, found
    if grouping is not None:
        known = _summed_alike(view, passing, question, similarities)
        weighed = [_distribution(each, known) for each in asked]
    return sweep_of(
        question,
        passing.places.numbers,
        known,
        [(by.weights, each.evidence) for by, each in zip(weighed, found, strict=True)],
        [Certificate(METHOD, _variation(view, passing, question, similarities, each), None) for each in found],
        documents=passing.n if grouping is None else len(grouping.numbers),
        keys=passing.n,
        grouping=grouping,
    )


def _passing(view: View, mask: Mask | None) -> tuple[Passing, Grouping | None]:
    """The rows that pass; and which of them are keys of one document, None where no document has several."""
    passing = Passing(view, mask, TILE_ROWS)
    return passing, Grouping(passing.owners()) if view.facts.several else None


def _each(view: View, passing: Passing, grouping: Grouping | None, questions: Sequence[Question]) -> Iterator[Answer]:
    similarities = _similarities(view, passing, questions)
    found = [_distribution(question, s) for question, s in zip(questions, similarities, strict=True)]
    blended = [index for index, question in enumerate(questions) if question.output]
    outputs: dict[int, F64] = {}
    if blended:
        weights = np.array([found[index].weights for index in blended])
        outputs = dict(zip(blended, all_sums(passing.tiles, weights, view.value_dimension or 0), strict=True))
    for index, question in enumerate(questions):
        yield _answer(view, passing, grouping, question, similarities[index], found[index], outputs.get(index))


def _similarities(view: View, passing: Passing, questions: Sequence[Question]) -> F64:
    """float64[q, n]: scanned by tile, then summed alike where the head is decided."""
    queries = np.array([question.vector for question in questions])
    similarities = all_similarities(view.similarity, passing.tiles, queries)
    if passing.n:
        for row, question in zip(similarities, questions, strict=True):
            error = slack(view.similarity, question.vector, view.facts.key_norm).at(float(row.max()))
            refine(passing, view.similarity, question.vector, row, max(question.cap, 1), error)
    return similarities


def _summed_alike(view: View, passing: Passing, question: Question, similarities: F64) -> F64:
    """float64[n], a copy in which every similarity is summed alike."""
    known = similarities.copy()
    if passing.n:
        refine(passing, view.similarity, question.vector, known, passing.n, 0.0)
    return known


def _distribution(question: Question, similarities: F64) -> Distribution:
    temperature = question.temperature
    if isinstance(temperature, Auto):
        temperature = solve(similarities, temperature.effective_documents)
    null = question.null_key(temperature, similarities.size)
    if question.normaliser == "softmax":
        return softmax(similarities, null, temperature)
    if question.normaliser == "one_hot":
        return one_hot(similarities, null, temperature)
    return sparse(similarities, null, temperature, question.normaliser)


def _answer(
    view: View,
    passing: Passing,
    grouping: Grouping | None,
    question: Question,
    similarities: F64,
    found: Distribution,
    output: F64 | None,
) -> Answer:
    variation = _variation(view, passing, question, similarities, found)
    terms = len(passing.tiles) + max((tile.stop - tile.start for tile in passing.tiles), default=0)
    error = None if output is None else bound_summed(variation, view.facts.value_norm, terms)
    known, weights = similarities, found.weights
    if grouping is not None:
        known = _summed_alike(view, passing, question, similarities)
        weights = _distribution(replace(question, temperature=found.evidence.temperature), known).weights
    return answer_to(
        question,
        passing.places.numbers,
        known,
        weights,
        found.evidence,
        Certificate(METHOD, variation, error),
        documents=passing.n if grouping is None else len(grouping.numbers),
        keys=passing.n,
        output=output,
        grouping=grouping,
    )


def _variation(view: View, passing: Passing, question: Question, similarities: F64, found: Distribution) -> float:
    return total_variation(
        found,
        question.normaliser,
        similarities,
        float(similarities.max(initial=-np.inf)),
        slack(view.similarity, question.vector, view.facts.key_norm),
        passing.n,
        lambda: alike(passing.places, np.flatnonzero(similarities == similarities.max())),
    )
