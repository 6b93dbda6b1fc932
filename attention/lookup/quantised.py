"""The quantised path: a scan of 8-bit keys, a head in float64 over the originals, and a bound on all of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum

import numpy as np

from attention.kernels import kernels
from attention.lookup.answer import Answer, answer_to
from attention.lookup.blending import Blend, blended
from attention.lookup.bounds.certificate import Certificate, least_variation
from attention.lookup.drafts import Draft, Drafts, Width, drafted
from attention.lookup.memory.view import AnyView
from attention.lookup.question import Auto, Question, by_logits
from attention.lookup.shards import Shard, open_shard
from attention.lookup.shards.documents import counted

TOGETHER = 64
"""Queries to a scan."""

WIDTHS = (Width(2_048, 512), Width(8_192, 16_384))
"""What is tried in turn, until a head is decided and `max_error` is kept."""


def quantised_answers(view: AnyView, questions: Sequence[Question]) -> list[Answer | None]:
    """Answer each question from a scan of the codes; None where the exact path has to.

    That is so where float32 cannot hold the products, where the rows that decide the head cannot be told apart from
    the rest by their codes, where `max_error` asks for more than a scan can prove, even with a wide head, and where a
    blended value is so short that what codes leave out would be seen in it.
    """
    answers: list[Answer | None] = [None] * len(questions)
    for group in by_logits(questions):
        part = shard_of(view, questions[group[0]])
        asked = {index: part.scan_question(questions[index]) for index in group if fits_scan(part, questions[index])}
        open_ones = list(asked)
        for width in WIDTHS:
            wider: list[int] = []
            for fine in (False, True):
                finer: list[int] = []
                for first in range(0, len(open_ones), TOGETHER):
                    some = open_ones[first : first + TOGETHER]
                    for index, found in zip(some, _answers(part, [asked[i] for i in some], width, fine), strict=True):
                        if isinstance(found, Answer):
                            answers[index] = part.restore(questions[index], found)
                        elif found is not Undecided.EXACT:
                            (finer if found is Undecided.FINER else wider).append(index)
                open_ones = finer
            open_ones = wider
    return answers


def shard_of(view: AnyView, question: Question) -> Shard:
    """Return the rows that a scan of a question reads, compared by logits if the question has a bias."""
    if question.bias is None:
        return open_shard(view, question.mask)
    assert not isinstance(question.temperature, Auto)
    return open_shard(view, question.mask, question.bias, question.temperature)


def fits_scan(part: Shard, question: Question) -> bool:
    """Whether a scan at one temperature can answer a question; at infinity all rows tie, which one_hot would need."""
    even = question.normaliser == "one_hot" and question.temperature == np.inf
    return part.fits(question.vector) and not even and not isinstance(question.temperature, Auto)


class Undecided(Enum):
    """Who answers in place of a scan that cannot."""

    WIDER = "a wider scan"
    FINER = "a scan in 16 bits"
    EXACT = "the exact path"


def _answers(part: Shard, questions: Sequence[Question], width: Width, fine: bool) -> Iterator[Answer | Undecided]:
    drafts = drafted(part, questions, width, fine=fine)
    blends = blended(part, drafts, [index for index, question in enumerate(questions) if question.output])
    made = answers_together(part, questions, drafts, blends)
    for index, question in enumerate(questions):
        found, blend = made.get(index), blends.get(index)
        if found is not None:
            yield found
            continue
        if blend is not None and blend.coarse:
            yield Undecided.FINER if drafts.gathered.bits == 8 else Undecided.EXACT
            continue
        draft = drafts[index]
        found = None if draft is None else answer_of(part, question, draft, blend)
        if found is not None:
            yield found
        elif draft is None or question.max_error is None:
            yield Undecided.WIDER
        else:
            least = least_variation(draft.found, drafts.gathered.error(index), part.keys, WIDTHS[-1].exact)
            yield Undecided.WIDER if draft.exact_variation + least <= question.max_error else Undecided.EXACT


def answer_of(part: Shard, question: Question, made: Draft, blend: Blend | None) -> Answer | None:
    """The answer that a draft, and an output with its error, make.

    None where `max_error` asks for more, or where documents of several keys cannot be told apart.
    """
    certificate = certificate_of(part, made.counted_variation if part.facts.several else made.total_variation, blend)
    if not keeps(part, question, certificate):
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
        certificate,
        documents=part.documents,
        keys=part.keys,
        output=None if blend is None else blend.output,
        elsewhere=elsewhere,
        grouping=rows.grouping,
        order=part.order(rows.places),
        raw=part.raw(question.vector, rows.places),
    )


def answers_together(
    part: Shard, questions: Sequence[Question], drafts: Drafts, blends: Mapping[int, Blend]
) -> dict[int, Answer]:
    """The answers to some of the questions by their indices: to the last bit what `answer_of` makes of their drafts.

    Args:
        blends: the blended values that were asked for, as far as there are.
    """
    mixtures, found = drafts.mixtures, drafts.found
    if mixtures is None or part.facts.several or part.in_logits:
        return {}
    certificates = {
        index: certificate_of(part, drafts.variations[index][0], blends.get(index))
        for index in drafts.warm
        if questions[index].top_p is None and not ((blend := blends.get(index)) and blend.coarse)
    }
    told = [index for index, own in certificates.items() if keeps(part, questions[index], own)]
    caps = np.zeros(len(questions), dtype=np.int64)
    caps[told] = [questions[index].cap for index in told]
    candidates, counts = found.candidates, np.maximum(found.counts, 0)
    order = part.order(candidates.places)
    edges, rows, whose = kernels().top_rows(found.similarities, order, candidates.starts, counts, caps)
    similarities, numbers = found.similarities[rows], part.numbers(candidates.places[rows])
    if len(drafts.warm) < len(questions):  # then cases stand elsewhere than their questions
        cases = np.zeros(len(questions), dtype=np.int64)
        cases[list(drafts.warm)] = list(drafts.warm.values())
        rows = rows + (mixtures.runs.starts[:-1][cases] - candidates.starts[:-1])[whose]
        whose = cases[whose]
    logits, weights = similarities / mixtures.temperatures[whose], mixtures.weights[rows]
    log_parts = np.zeros(len(rows))
    starts, kept = edges.tolist(), np.minimum(caps, counts).tolist()
    answers = {}
    for index in told:
        here, case = slice(starts[index], starts[index + 1]), drafts.warm[index]
        own, blend = numbers[here], blends.get(index)
        answers[index] = Answer(
            numbers=own,
            parts=own,
            similarities=similarities[here],
            logits=logits[here],
            weights=weights[here],
            log_parts=log_parts[here],
            matches=kept[index],
            complete=True,
            evidence=mixtures.evidence(case),
            heaviest=float(mixtures.runs.of(mixtures.weights, case)[0].max()),
            best_similarity=mixtures.totals[case].best,
            output=None if blend is None else blend.output,
            certificate=certificates[index],
            documents=part.documents,
            keys=part.keys,
        )
    return answers


def certificate_of(part: Shard, variation: float, blend: Blend | None) -> Certificate:
    """Of so much total variation and of such a blended value."""
    return Certificate(part.method, variation, None if blend is None else blend.error)


def keeps(part: Shard, question: Question, certificate: Certificate) -> bool:
    """Whether an answer is within `max_error`."""
    return question.max_error is None or certificate.error(part.facts.value_norm) <= question.max_error
