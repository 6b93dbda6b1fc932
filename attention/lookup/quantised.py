"""The quantised path: a scan of 8-bit keys, a head in float64 over the originals, and a bound on all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from attention.dtypes import F64
from attention.lookup.answer import Answer, Certificate, answer_to
from attention.lookup.bounds.quantisation import QuantisationError
from attention.lookup.bounds.rounding import Slack
from attention.lookup.bounds.total import least_variation, tail_variation, total_variation
from attention.lookup.head.candidates import Rescored, Rescoring
from attention.lookup.memory.owners import between
from attention.lookup.memory.view import View
from attention.lookup.parts.biased import Biased
from attention.lookup.parts.blend import Blend, Draft, blended
from attention.lookup.parts.documents import counted
from attention.lookup.parts.gathered import Gathered
from attention.lookup.parts.whole import Whole
from attention.lookup.question import Auto, Question, by_logits
from attention.lookup.softmax.distribution import SUPPORT, one_hot, sparse
from attention.lookup.softmax.mixture import Mixture, alone, mix_each

METHOD = "quantised"
TOGETHER = 64
"""Queries to a scan."""


@dataclass(frozen=True)
class Width:
    """How many rows a query looks up in float64 at most, and about how many it lists."""

    exact: int
    listed: int


FEWER = 8
"""Of few rows one in so many is listed."""

WIDTHS = (Width(2_048, 512), Width(8_192, 16_384))
"""What is tried in turn, until a head is decided and `max_error` is kept."""


def quantised_answers(view: View, questions: Sequence[Question]) -> list[Answer | None]:
    """Answer each question from a scan of the codes; None where the exact path has to.

    That is so where float32 cannot hold the products, where the rows that decide the head cannot be told apart from
    the rest by their codes, and where `max_error` asks for more than a scan can prove, even with a wide head.
    """
    answers: list[Answer | None] = [None] * len(questions)
    for group in by_logits(questions):
        part = part_of(view, questions[group[0]])
        asked = {index: part.asked(questions[index]) for index in group if fits_scan(part, questions[index])}
        open_ones = list(asked)
        for width in WIDTHS:
            wider: list[int] = []
            for fine in (False, True):
                finer: list[int] = []
                for first in range(0, len(open_ones), TOGETHER):
                    some = open_ones[first : first + TOGETHER]
                    for index, found in zip(some, _answers(part, [asked[i] for i in some], width, fine), strict=True):
                        if isinstance(found, Answer):
                            answers[index] = part.restored(questions[index], found)
                        elif found is not Undecided.EXACT:
                            (finer if found is Undecided.FINER else wider).append(index)
                open_ones = finer
            open_ones = wider
    return answers


def part_of(view: View, question: Question) -> Whole:
    """The rows that a question is asked of, as it compares them."""
    if question.bias is None:
        return Whole(view, question.mask)
    assert not isinstance(question.temperature, Auto)
    return Biased(view, question.mask, question.bias, question.temperature)


def fits_scan(part: Whole, question: Question) -> bool:
    """Whether a scan at one temperature can answer a question; at infinity all rows tie, which one_hot would need."""
    even = question.normaliser == "one_hot" and question.temperature == np.inf
    return part.fits(question.vector) and not even and not isinstance(question.temperature, Auto)


class Undecided(Enum):
    """Who answers in place of a scan that cannot."""

    WIDER = "a wider scan"
    FINER = "a scan in 16 bits"
    EXACT = "the exact path"


def _answers(part: Whole, questions: Sequence[Question], width: Width, fine: bool) -> Iterator[Answer | Undecided]:
    gathered, drafts = drafted(part, questions, width, fine=fine)
    wanted = {index: made for index, made in enumerate(drafts) if made is not None and questions[index].output}
    blends = blended(part, gathered, wanted)
    for index, (question, draft) in enumerate(zip(questions, drafts, strict=True)):
        blend = blends.get(index)
        if blend is not None and blend.coarse:
            yield Undecided.FINER
            continue
        found = None if draft is None else answer_of(part, question, draft, blend)
        if found is not None:
            yield found
        elif draft is None or question.max_error is None:
            yield Undecided.WIDER
        else:
            least = least_variation(draft.found, gathered.error(index), part.keys, WIDTHS[-1].exact)
            yield Undecided.WIDER if draft.exact_variation + least <= question.max_error else Undecided.EXACT


def drafted(
    part: Whole, questions: Sequence[Question], width: Width, *, fine: bool = False
) -> tuple[Gathered, list[Draft | None]]:
    """What a scan brings home, and for each question what follows; None where the exact path has to answer."""
    temperatures = np.array([scanned_at(question) for question in questions])
    outputs = any(question.output for question in questions)
    gathered, found = reading(part, questions, width, temperatures, outputs=outputs, fine=fine)
    known = [found.of(index) for index in range(len(questions))]
    drafts: list[Draft | None] = [None] * len(questions)
    for index, mixture in _mixtures(questions, gathered, found, known):
        rescored = known[index]
        assert rescored is not None
        drafts[index] = draft(part, questions[index], rescored, mixture, gathered.error(index))
    return gathered, drafts


def reading(
    part: Whole,
    questions: Sequence[Question],
    width: Width,
    temperatures: F64 | None,
    *,
    outputs: bool = False,
    fine: bool = False,
) -> tuple[Gathered, Rescoring]:
    """One scan, and for each question the rows that can decide its head, known in float64, where it can tell.

    What is known shows which candidates may still be as good; these are looked up in a second round.
    """
    vectors = np.array([question.vector for question in questions])
    ks = [question.head_size(part.keys) for question in questions]
    listed = max(min(width.listed, part.keys // FEWER), 2 * max(question.cap for question in questions))
    gathered = part.gather(vectors, ks, listed, width.exact, temperatures, outputs=outputs, fine=fine)
    candidates, first = gathered.candidates(questions), np.diff(gathered.known_starts)
    needed = candidates.deciding(gathered.known, first, width.exact)
    known = gathered.known
    more = np.maximum(needed - first, 0)
    if more.any():
        asked = np.repeat(np.arange(len(questions)), more)
        begin = candidates.starts[:-1] + first
        rest = part.similarities_at(vectors, candidates.places[between(begin, begin + more)], asked)
        known = np.insert(known, np.repeat(gathered.known_starts[1:], more), rest)
    told = np.where(needed < 0, 0, np.maximum(needed, first))
    keep = np.repeat(needed >= 0, first + more)
    return gathered, candidates.rescored(known[keep], np.where(needed < 0, -1, told))


def draft(
    part: Whole,
    question: Question,
    rescored: Rescored,
    found: Mixture,
    error: QuantisationError,
    rounding: Slack | None = None,
) -> Draft:
    """A distribution with the bound on it: distances in the head and in the tail add up.

    Args:
        rounding: of the question's similarities, where it is known already.
    """
    exact = total_variation(
        found,
        question.normaliser,
        rescored.similarities,
        rescored.best,
        rounding or part.slack(question.vector),
        part.keys,
        lambda: part.alike(np.sort(rescored.places[rescored.similarities == rescored.best])),
    )
    return Draft(rescored, found, min(1.0, exact + tail_variation(found, error)), exact)


def coldest(question: Question, rescored: Rescored, keys: int, temperature: float) -> Mixture:
    """All weight on the best: softmax at temperature 0, and one_hot at any."""
    null = question.null_key(temperature, keys)
    found = one_hot(rescored.similarities, null, temperature, log_partition=question.normaliser == "softmax")
    return alone(found.weights, found.evidence, len(rescored.candidates))


def answer_of(part: Whole, question: Question, made: Draft, blend: Blend | None) -> Answer | None:
    """The answer that a draft, and an output with its error, make.

    None where `max_error` asks for more, or where documents of several keys cannot be told apart.
    """
    output, output_error = (None, None) if blend is None else (blend.output, blend.error)
    variation = made.counted_variation if part.facts.several else made.total_variation
    if question.max_error is not None:
        relative = 0.0 if output_error is None else output_error / max(part.facts.value_norm, 1e-300)
        if max(variation, relative) > question.max_error:
            return None
    rows = counted(part, question, made.rescored, made.found)
    if rows is None:
        return None
    weights, elsewhere = rows.weights(part, question, made.rescored, made.found)
    return answer_to(
        question,
        lambda at: part.numbers(rows.places[at]),
        rows.similarities,
        weights,
        made.found.evidence,
        Certificate(METHOD, variation, output_error),
        documents=part.documents,
        keys=part.keys,
        output=output,
        elsewhere=elsewhere,
        grouping=rows.grouping,
        order=rows.places,
        raw=part.raw(question.vector, rows.places),
    )


def scanned_at(question: Question) -> float:
    """The temperature to sum at; where only the best matter, the coldest, at which nothing else weighs anything."""
    assert not isinstance(question.temperature, Auto)
    return question.temperature if question.normaliser == "softmax" else 0.0


def _mixtures(
    questions: Sequence[Question], gathered: Gathered, found: Rescoring, known: Sequence[Rescored | None]
) -> Iterator[tuple[int, Mixture]]:
    """The distribution of each question that the scan can tell of, with its index: softmax for all together."""
    told = [index for index, rescored in enumerate(known) if rescored is not None]
    warm = [i for i in told if questions[i].normaliser == "softmax" and questions[i].temperature != 0]
    if warm:
        temperatures = np.array([scanned_at(questions[index]) for index in warm])
        nulls = [
            questions[index].null_key(temperature, gathered.keys)
            for index, temperature in zip(warm, temperatures.tolist(), strict=True)
        ]
        sums = gathered.sums[warm][:, None]
        mixtures = mix_each(found.runs(warm), gathered.levels[warm, None], sums, nulls, temperatures)
        yield from zip(warm, mixtures, strict=True)
    for index in sorted({*told} - {*warm}):
        rescored = known[index]
        assert rescored is not None
        yield index, without_tail(questions[index], rescored, gathered.keys)


def without_tail(question: Question, rescored: Rescored, keys: int) -> Mixture:
    """The distribution where known rows have all the weight."""
    assert not isinstance(question.temperature, Auto)
    if question.normaliser in SUPPORT and question.temperature > 0:
        null = question.null_key(question.temperature, keys)
        narrow = sparse(rescored.similarities, null, question.temperature, question.normaliser)
        return alone(narrow.weights, narrow.evidence, len(rescored.candidates))
    return coldest(question, rescored, keys, question.temperature)
