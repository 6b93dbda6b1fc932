"""Answers of many questions made together, where rows are documents and all of them have weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from attention.kernels import kernels
from attention.lookup.answer import Answer
from attention.lookup.blending import Blend
from attention.lookup.bounds.certificate import Certificate
from attention.lookup.drafts import Drafts
from attention.lookup.question import Question
from attention.lookup.shards.shard import Part


def answers_together(
    part: Part, questions: Sequence[Question], drafts: Drafts, blends: Mapping[int, Blend]
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


def certificate_of(part: Part, variation: float, blend: Blend | None) -> Certificate:
    """Of so much total variation and of such a blended value."""
    return Certificate(part.method, variation, None if blend is None else blend.error)


def keeps(part: Part, question: Question, certificate: Certificate) -> bool:
    """Whether an answer is within `max_error`."""
    return question.max_error is None or certificate.error(part.facts.value_norm) <= question.max_error
