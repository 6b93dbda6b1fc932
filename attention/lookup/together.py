"""Answers of many questions made together, where rows are documents and all of them have weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from attention.dtypes import F64
from attention.kernels import kernels
from attention.lookup.answer import Answer, Certificate
from attention.lookup.drafts import Drafts
from attention.lookup.parts.whole import Whole
from attention.lookup.question import Question

METHOD = "quantised"


def answers_together(
    part: Whole, questions: Sequence[Question], drafts: Drafts, blended: Mapping[int, tuple[F64, float]]
) -> dict[int, Answer]:
    """The answers to some of the questions by their indices: to the last bit what `answer_of` makes of their drafts.

    Args:
        blended: outputs with their errors.
    """
    mixtures, found = drafts.mixtures, drafts.found
    if mixtures is None or part.facts.several or part.in_logits:
        return {}
    variations = drafts.variations
    told = [
        index
        for index in drafts.warm
        if questions[index].top_p is None
        and keeps(part, questions[index], variations[index][0], blended[index][1] if index in blended else None)
    ]
    caps = np.zeros(len(questions), dtype=np.int64)
    caps[told] = [questions[index].cap for index in told]
    candidates, counts = found.candidates, np.maximum(found.counts, 0)
    edges, rows, whose = kernels().heads(found.similarities, candidates.places, candidates.starts, counts, caps)
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
        own, (output, output_error) = numbers[here], blended.get(index, (None, None))
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
            best_similarity=mixtures.totals[case].best,
            output=output,
            certificate=Certificate(METHOD, variations[index][0], output_error),
            documents=part.documents,
            keys=part.keys,
        )
    return answers


def keeps(part: Whole, question: Question, variation: float, output_error: float | None) -> bool:
    """Whether an answer of so much total variation, with an output of such an error, is within `max_error`."""
    if question.max_error is None:
        return True
    relative = 0.0 if output_error is None else output_error / max(part.facts.value_norm, 1e-300)
    return max(variation, relative) <= question.max_error
