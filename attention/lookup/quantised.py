"""The quantised path: a scan of 8-bit keys, a head in float64 over the originals, and a bound on all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum

import numpy as np

from attention.dtypes import F64
from attention.lookup.answer import Answer, Certificate, answer_to
from attention.lookup.bounds.output import bound_quantised
from attention.lookup.bounds.rounding import UNIT_ROUNDOFF
from attention.lookup.bounds.total import least_variation
from attention.lookup.drafts import Draft, Drafts, Width, drafted
from attention.lookup.memory.view import View
from attention.lookup.parts.biased import Biased
from attention.lookup.parts.documents import counted
from attention.lookup.parts.gathered import Gathered
from attention.lookup.parts.whole import Whole
from attention.lookup.question import Auto, Question, by_logits
from attention.lookup.scan.accumulator import ERROR_DEGREES
from attention.lookup.together import METHOD, answers_together, keeps

TOGETHER = 64
"""Queries to a scan."""


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
            again = []
            for first in range(0, len(open_ones), TOGETHER):
                some = open_ones[first : first + TOGETHER]
                for index, found in zip(some, _answers(part, [asked[i] for i in some], width), strict=True):
                    if isinstance(found, Answer):
                        answers[index] = part.restored(questions[index], found)
                    elif found is Undecided.WIDER:
                        again.append(index)
            open_ones = again
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
    EXACT = "the exact path"


def _answers(part: Whole, questions: Sequence[Question], width: Width) -> Iterator[Answer | Undecided]:
    drafts = drafted(part, questions, width)
    blended = _outputs(part, questions, drafts.gathered, drafts)
    made = answers_together(part, questions, drafts, blended)
    for index, question in enumerate(questions):
        found = made.get(index)
        if found is not None:
            yield found
            continue
        draft = drafts[index]
        found = None if draft is None else answer_of(part, question, draft, blended.get(index))
        if found is not None:
            yield found
        elif draft is None or question.max_error is None:
            yield Undecided.WIDER
        else:
            least = least_variation(draft.found, drafts.gathered.error(index), part.keys, WIDTHS[-1].exact)
            yield Undecided.WIDER if draft.exact_variation + least <= question.max_error else Undecided.EXACT


def answer_of(part: Whole, question: Question, made: Draft, blended: tuple[F64, float] | None) -> Answer | None:
    """The answer that a draft, and an output with its error, make.

    None where `max_error` asks for more, or where documents of several keys cannot be told apart.
    """
    output, output_error = blended or (None, None)
    variation = made.counted_variation if part.facts.several else made.total_variation
    if not keeps(part, question, variation, output_error):
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


def _outputs(
    part: Whole, questions: Sequence[Question], gathered: Gathered, drafts: Drafts
) -> dict[int, tuple[F64, float]]:
    """Σ weight·value over all rows, and how far that can be off, summing in float64 included."""
    if gathered.outputs is None:
        return {}
    wanted = {index: made for index, made in enumerate(drafts) if made is not None and questions[index].output}
    if not wanted:
        return {}
    outputs = np.zeros((len(questions), part.facts.value_dimension or 0))
    rescored = [made.rescored for made in wanted.values()]
    places = np.concatenate([places for each in rescored for places in (each.places, each.candidate_places)])
    weights = np.concatenate([w for made in wanted.values() for w in (made.found.known, made.found.candidates)])
    counts = [len(each.places) + len(each.candidate_places) for each in rescored]
    part.add_values(places, np.repeat(np.array(list(wanted)), counts), weights, outputs)
    blended = {}
    for (index, made), count in zip(wanted.items(), counts, strict=True):
        factor = float(made.found.factors.sum())  # of the only part
        outputs[index] += factor * gathered.outputs[index]
        bound = bound_quantised(
            part.facts.value_spread if made.found.tail > 0 else None,
            part.facts.value_norm,
            made.found,
            gathered.error(index),
            outputs[index],
            factor**ERROR_DEGREES * gathered.value_errors[index],
            made.total_variation,
            made.exact_variation,
        )
        terms = count + 64 * part.facts.blocks + made.found.tail * part.facts.n
        blended[index] = outputs[index], bound + 4 * terms * UNIT_ROUNDOFF * part.facts.value_norm
    return blended
