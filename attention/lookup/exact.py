"""The exact path: every similarity in float64 over the stored float32, then the distribution as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from attention.lookup.answer import Answer, Evidence, Sweep
from attention.lookup.bounds.weights import Certificate, disturbed, output_error, separated, thresholded
from attention.lookup.head.originals import all_similarities, all_sums
from attention.lookup.head.similarity import slack
from attention.lookup.head.top import Head, choose, cut, refine
from attention.lookup.memory.tiles import Passing, Places
from attention.lookup.memory.view import Mask, View
from attention.lookup.question import Auto, Question
from attention.lookup.softmax.distribution import REACH, Distribution, one_hot, softmax, sparse
from attention.lookup.softmax.temperature import solve

Array = NDArray[np.float64]

METHOD = "exact"
SCAN_CELLS = 2**23
TILE_ROWS = 2048
SURE = 1e-6


def exact_answers(view: View, questions: Sequence[Question]) -> list[Answer]:
    """Answer each question over every row that passes. Questions of one mask share the reading of the
    keys.
    """
    answers: list[Answer | None] = [None] * len(questions)
    for mask, group in by_mask(questions):
        passing = Passing(view, mask, TILE_ROWS)
        together = max(1, SCAN_CELLS // max(passing.n, 1))
        for first in range(0, len(group), together):
            some = group[first : first + together]
            for index, answer in zip(some, _each(view, passing, [questions[i] for i in some]), strict=True):
                answers[index] = answer
    return [answer for answer in answers if answer is not None]


def exact_sweep(view: View, question: Question, temperatures: Sequence[float]) -> Sweep:
    """One question at many temperatures; its own temperature, normaliser and `top_p` do not matter here."""
    passing = Passing(view, question.mask, TILE_ROWS)
    similarities = _similarities(view, passing, [question])[0]
    head = choose(similarities, question.cap)
    asked = [softmax(similarities, question.null_key(at, passing.n), at) for at in temperatures]
    bounds = [_total_variation(view, passing, question, similarities, found) for found in asked]
    return Sweep(
        numbers=passing.places.numbers(head.places),
        similarities=similarities[head.places],
        weights=np.array([found.weights[head.places] for found in asked]).reshape(len(asked), len(head.places)),
        matches=head.matches,
        evidence=tuple(found.evidence for found in asked),
        certificates=tuple(Certificate(METHOD, bound, None) for bound in bounds),
        best_similarity=float(similarities.max()) if passing.n else None,
        documents=passing.n,
    )


def _each(view: View, passing: Passing, questions: Sequence[Question]) -> Iterator[Answer]:
    similarities = _similarities(view, passing, questions)
    found = [_distribution(question, s) for question, s in zip(questions, similarities, strict=True)]
    blended = [index for index, question in enumerate(questions) if question.output]
    outputs = dict(zip(blended, _outputs(view, passing, [found[index].weights for index in blended]), strict=True))
    for index, question in enumerate(questions):
        yield _answer(view, passing, question, similarities[index], found[index], outputs.get(index))


def _similarities(view: View, passing: Passing, questions: Sequence[Question]) -> Array:
    """float64[q, n]: scanned by tile, then summed alike where the head is decided."""
    queries = np.array([question.vector for question in questions])
    similarities = all_similarities(view.similarity, passing.tiles, queries)
    if passing.n:
        for row, question in zip(similarities, questions, strict=True):
            error = slack(view.similarity, question.vector, view.key_norm).at(float(row.max()))
            refine(passing, view.similarity, question.vector, row, max(question.cap, 1), error)
    return similarities


def _distribution(question: Question, similarities: Array) -> Distribution:
    temperature = question.temperature
    if isinstance(temperature, Auto):
        temperature = solve(similarities, temperature.effective_documents)
    null = question.null_key(temperature, similarities.size)
    if question.normaliser == "softmax":
        return softmax(similarities, null, temperature)
    if question.normaliser == "one_hot":
        return one_hot(similarities, null, temperature)
    return sparse(similarities, null, temperature, question.normaliser)


def _outputs(view: View, passing: Passing, weights: Sequence[Array]) -> Array:
    """float64[q, d_v]: the weighted sum of the values, tile by tile."""
    return all_sums(passing.tiles, np.array(weights), view.value_dimension or 0) if weights else np.empty((0, 0))


def _answer(
    view: View,
    passing: Passing,
    question: Question,
    similarities: Array,
    found: Distribution,
    output: Array | None,
) -> Answer:
    head = choose(similarities, question.cap)
    if question.top_p is not None:
        head = cut(head, similarities, found.weights, question.top_p)
    total_variation = _total_variation(view, passing, question, similarities, found)
    terms = len(passing.tiles) + max((tile.stop - tile.start for tile in passing.tiles), default=0)
    error = None if output is None else output_error(total_variation, view.value_norm, terms)
    return Answer(
        numbers=passing.places.numbers(head.places),
        similarities=similarities[head.places],
        logits=logits_of(similarities, head, found.evidence),
        weights=found.weights[head.places],
        matches=head.matches,
        complete=head.complete,
        evidence=found.evidence,
        best_similarity=float(similarities.max()) if passing.n else None,
        output=output,
        certificate=Certificate(METHOD, total_variation, error),
        documents=passing.n,
    )


def logits_of(similarities: Array, head: Head, evidence: Evidence) -> Array:
    """s/T; at T = 0 nothing for those that tie for the best, −∞ for the rest, a null key above them
    included.
    """
    if evidence.temperature > 0:
        return np.asarray(similarities[head.places] / evidence.temperature)
    null = evidence.null_similarity
    best = similarities.max(initial=-np.inf)
    wins = (similarities[head.places] == best) & (null is None or null <= best)
    return np.where(wins, 0.0, -np.inf)


def _total_variation(
    view: View, passing: Passing, question: Question, similarities: Array, found: Distribution
) -> float:
    """The smaller one of two bounds; the second is only looked at where the first is not already small."""
    if passing.n == 0:
        return 0.0
    temperature, null = found.evidence.temperature, found.evidence.null_similarity
    error = slack(view.similarity, question.vector, view.key_norm)
    best = float(similarities.max())
    cold = temperature == 0 or question.normaliser == "one_hot"
    if question.normaliser in REACH and not cold:
        return thresholded(similarities, null, error, temperature, REACH[question.normaliser])
    bound = 1.0 if cold else disturbed(error, best, temperature, found.depth, passing.n)
    if bound > SURE:
        copies = alike(passing.places, np.flatnonzero(similarities == best))
        bound = min(bound, separated(similarities, null, error, 0.0 if cold else temperature, alike=copies))
    return bound


def alike(rows: Places, places: NDArray[np.intp]) -> bool:
    """Whether the rows at `places` hold copies of one key."""
    first: Array | None = None
    for _, tile in rows.picked(places):
        keys = tile.keys()
        first = keys[0] if first is None else first
        if not (keys == first).all():
            return False
    return True


def by_mask(questions: Sequence[Question]) -> Iterator[tuple[Mask | None, list[int]]]:
    """The questions' indices, grouped by the mask that they share."""
    groups: dict[int, list[int]] = {}
    for index, question in enumerate(questions):
        groups.setdefault(id(question.mask), []).append(index)
    for group in groups.values():
        yield questions[group[0]].mask, group
