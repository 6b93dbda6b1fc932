"""The thin path: a scan of 4 or 2 bits a component, what is near the best in float64, and the rest weighed by draws.

A scan sums what it makes of every row below a threshold, and draws some of these rows, each with a chance proportional
to what it was summed by. The draws are read again from the originals: the mean of exp((s − ŝ)/T) over them is what the
sum has to be multiplied by, and how far that mean can be off is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attention.dtypes import F64, I64
from attention.lookup.answer import Answer, answer_to
from attention.lookup.bounds.certificate import Certificate
from attention.lookup.bounds.draws import (
    CHANCE,
    FARTHEST,
    MEASURED,
    PROVEN,
    Basis,
    draws_wanted,
    mean_of,
    most_drawn,
    thin_variation,
)
from attention.lookup.bounds.thin import ThinError, reach, thin_errors
from attention.lookup.bounds.total import total_variation
from attention.lookup.drafts import scanned_at, without_tail
from attention.lookup.head.candidates import Rescored
from attention.lookup.memory.view import View
from attention.lookup.parts.thin import ThinWhole
from attention.lookup.question import Auto, Question, by_mask
from attention.lookup.scan.thin import Foreseen
from attention.lookup.scan.thin_accumulator import ThinScan
from attention.lookup.softmax.mixture import Mixture, mix_each
from attention.lookup.softmax.runs import Runs
from attention.lookup.thin_output import CHANCE_OF_OUTPUT, Rest, draws_for_mass, enough_for, output_of

METHOD = "thin"

LISTED = 1_024
"""About how many rows a query lists and looks up; or a few times what it asks for."""

MOST_ASKED = 1_024
"""Questions for more matches than this are for 8 bits."""

TOGETHER = 2
"""Where more questions than this are asked together, 8 bits are faster."""

THIN_CELLS, DRAWN_CELLS = 80_000 * 384, 200_000 * 384
"""Among fewer components 8 bits are as fast; the second number is for questions that want many draws."""


def thin_first(view: View, questions: Sequence[Question]) -> list[Answer | None]:
    """Answer each question in as few bits as it allows, where that is faster; None where 8 bits have to.

    How many are asked together decides as well, as it decides how 8 bits code a query: an answer of either path is
    within its certificate, and that is all that two answers to one question have in common.
    """
    answers: list[Answer | None] = [None] * len(questions)
    if view.thin is None or len(questions) > TOGETHER:
        return answers
    for basis in (MEASURED, PROVEN):
        open_ones = [
            index
            for index, question in enumerate(questions)
            if answers[index] is None and _is_large(view, question, basis) and basis.name in ("proven", question.basis)
        ]
        found = thin_answers(view, [questions[index] for index in open_ones], basis)
        for index, answer in zip(open_ones, found, strict=True):
            answers[index] = answer
    return answers


def _is_large(view: View, question: Question, basis: Basis) -> bool:
    passing = view.n if question.mask is None else question.mask.n
    cells = DRAWN_CELLS if basis is PROVEN and question.weighs_all else THIN_CELLS
    return passing * (view.dimension or 1) >= cells


def thin_answers(
    view: View, questions: Sequence[Question], basis: Basis, *, listed: int = LISTED, most: float | None = None
) -> list[Answer | None]:
    """Answer each question from a scan of thin codes; None where others have to.

    That is so where `fits_thin` says so, where the rows that decide the head cannot be told apart from the rest, and
    where total variation is above `most`, or above `max_error`.

    Args:
        listed: about how many rows a query lists and looks up, or a few times what it asks for.
        most: the largest `total_variation` to answer with; None for `basis.most`.
    """
    most = basis.most if most is None else most
    answers: list[Answer | None] = [None] * len(questions)
    for mask, group in by_mask(questions):
        if view.thin is None:
            break
        part = ThinWhole(view, mask, view.thin)
        fit = [index for index in group if fits_thin(part, questions[index])]
        if fit:
            found = _answers(part, [questions[index] for index in fit], basis, listed, most)
            for index, answer in zip(fit, found, strict=True):
                answers[index] = answer
    return answers


def fits_thin(part: ThinWhole, question: Question) -> bool:
    """Whether a scan of thin codes can answer a question: one about rows and their weights at a given temperature."""
    even = question.normaliser == "one_hot" and question.temperature == np.inf
    alone = question.bias is None and not part.facts.several
    plain = alone and not isinstance(question.temperature, Auto)
    return plain and not even and question.cap <= MOST_ASKED and part.keys > LISTED and part.fits(question.vector)


def _answers(
    part: ThinWhole, questions: Sequence[Question], basis: Basis, listed: int, most: float
) -> list[Answer | None]:
    vectors = np.array([question.vector for question in questions])
    queries = part.queries(vectors)
    temperatures = np.array([scanned_at(question) for question in questions])
    code = basis.bits // 2 - 1
    width = vectors.shape[1]
    far = reach(width, CHANCE / 2 / part.keys) if basis is PROVEN else FARTHEST / math.sqrt(width - 1)
    length = 1.0 if part.facts.similarity == "cosine" else part.facts.key_norm
    bounds = thin_errors(queries, part.thin.usual(code), float(part.thin.largest[code]), length, far)
    typical = float(part.thin.typical[code]) * queries.norms / math.sqrt(width - 1)
    errors = [ThinError(*each) for each in np.stack([bounds.above, bounds.below, typical], axis=1).tolist()]
    weighed = [question.weighs_all for question in questions]
    wanted = [
        most_drawn(error, temperature, basis) if weighs else 0.0
        for error, temperature, weighs in zip(errors, temperatures.tolist(), weighed, strict=True)
    ]
    keys = [
        part.thin.rotation.key(question.vector.tobytes(), np.float64(temperature).tobytes(), basis.name.encode())
        for question, temperature in zip(questions, temperatures, strict=True)
    ]
    listed = max(listed, 3 * max(question.cap for question in questions))
    outputs = [question.output for question in questions]

    def enough(index: int, foreseen: Foreseen) -> float:
        question, error, temperature = questions[index], errors[index], float(temperatures[index])
        if not question.output:
            return wanted[index]
        more = enough_for(part, question.vector, foreseen, error, temperature, basis)
        return max(more, wanted[index]) if more else 0.0

    scans = part.scanned(
        queries,
        bounds.units,
        basis.bits,
        listed,
        temperatures,
        np.array(wanted),
        np.array(keys, dtype=np.uint64),
        enough,
        blending=any(each and weighs for each, weighs in zip(outputs, weighed, strict=True)),
    )
    return [
        None if found is None else _answer(part, question, found, error, basis, most)
        for question, found, error in zip(questions, scans, errors, strict=True)
    ]


def _answer(
    part: ThinWhole, question: Question, found: ThinScan, error: ThinError, basis: Basis, most: float
) -> Answer | None:
    places, known = _near(part, question, found, error)
    if not _is_decided(question, found, known, error, part.keys):
        return None
    mixture, factors, rest = _weighed(part, question, found, places, known, error, basis)
    exact = total_variation(
        mixture,
        question.normaliser,
        known,
        float(known.max()),
        part.slack(question.vector),
        part.keys,
        lambda: part.alike(places[known == known.max()]),
    )
    answer = answer_to(
        question,
        lambda at: part.numbers(places[at]),
        known,
        mixture.known,
        mixture.evidence,
        Certificate(METHOD, exact, None, basis.name, basis.holds_with),
        documents=part.documents,
        keys=part.keys,
        output=None,
        elsewhere=mixture.tail,
        order=places,
    )
    # The verdict reads the heaviest document, even if that is not among the matches.
    shown = max(float(answer.weights.sum()), answer.heaviest) + answer.null_weight
    variation = min(1.0, exact + thin_variation(mixture.log_tail, factors, shown))
    if variation > min(most, question.max_error or 1.0):
        return None
    certificate = replace(answer.certificate, total_variation=variation)
    if not question.output:
        return replace(answer, certificate=certificate)
    blended = output_of(part, places, mixture, rest, factors, exact, basis)
    if blended is None:
        return None
    certificate = replace(certificate, output_error=blended[1])
    if certificate.error(part.facts.value_norm) > (question.max_error or math.inf):
        return None
    return replace(answer, output=blended[0], certificate=certificate)


def _near(part: ThinWhole, question: Question, found: ThinScan, error: ThinError) -> tuple[I64, F64]:
    """(places, similarities) of the rows listed, or of those that can be in a head where nothing else has weight."""
    k = question.head_size(part.keys)
    if question.weighs_all or len(found.places) < 2 * k:
        return found.places, part.looked_up(question.vector, found.places)
    # The k-th best of any rows is no better than the k-th best of all.
    scanned = found.similarities.astype(np.float64)
    first = np.argpartition(scanned, len(scanned) - 2 * k)[len(scanned) - 2 * k :]
    known = part.looked_up(question.vector, found.places[first])
    least = _least(question, known, k) - error.above
    near = scanned >= least
    near[first] = False
    places = np.concatenate([found.places[first], found.places[near]])
    known = np.concatenate([known, part.looked_up(question.vector, found.places[near])])
    order = np.argsort(places)
    return places[order], known[order]


def _least(question: Question, known: F64, k: int) -> float:
    """From where on a row decides the head: the k-th best, or as far below the best as a row can have weight."""
    level = float(np.partition(known, len(known) - k)[len(known) - k])
    return min(level, float(known.max()) - question.support) if question.support else level


def _is_decided(question: Question, found: ThinScan, known: F64, error: ThinError, keys: int) -> bool:
    """Whether no row that was not listed can be in the head: it lies below the threshold."""
    k = question.head_size(keys)
    return len(known) >= k and found.threshold <= _least(question, known, k) - error.above


def _weighed(
    part: ThinWhole,
    question: Question,
    found: ThinScan,
    places: I64,
    known: F64,
    error: ThinError,
    basis: Basis,
) -> tuple[Mixture, tuple[float, float], Rest | None]:
    """The distribution, the logarithms of the least and the largest factor that the rest may be off by in it, and what
    was drawn of the rest."""
    temperature = scanned_at(question)
    if not question.weighs_all:
        rescored = Rescored(places, known, places[:0], known[:0], found.threshold, error.above, 0.0)
        return without_tail(question, rescored, part.keys), (0.0, 0.0), None
    null = question.null_key(temperature, part.keys)

    def mixed(sums: F64) -> Mixture:
        runs = Runs(known, np.array([0, len(known)]), np.array([len(known)]))
        (made,) = mix_each(runs, np.array([[found.threshold]]), sums[None, None], [null], np.array([temperature]))
        return made

    first = mixed(found.sums)
    moved = -error.below / temperature, error.above / temperature
    if first.log_tail == -math.inf:
        return first, (0.0, 0.0), None
    matches = np.partition(first.known, -question.head_size(part.keys))[-question.head_size(part.keys) :]
    shown = float(matches.sum()) + first.evidence.null_weight
    wanted = draws_wanted(error, temperature, first.log_tail, shown, basis, far=part.beyond_memory)
    if question.output and wanted:
        wanted = max(wanted, draws_for_mass(error, temperature, first.tail))
    drawn = part.drawn(question.vector, found, wanted)
    if not len(drawn.scanned) or not wanted:
        return first, moved, None
    scanned = np.maximum((drawn.scanned - found.threshold) / temperature, -87.0)
    true = (drawn.similarities - found.threshold) / temperature
    chance = CHANCE_OF_OUTPUT if question.output else CHANCE / 2
    mean, x = mean_of(true - scanned, error, temperature, basis, chance)
    mass, gap, square = found.sums.tolist()
    # What is drawn corrects what was summed of every row, which is known without chance.
    sums = np.array([mass * mean.found, gap + mass * float((x * true - scanned).mean()), square * mean.found])
    return mixed(sums), mean.factors(*moved), Rest(found, drawn, x, mean, temperature, error)
