"""Thin codes alone: what they can tell within any bound that will do, before originals are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from attention.lookup.answer import Answer
from attention.lookup.bounds.draws import MEASURED, PROVEN
from attention.lookup.memory.view import View
from attention.lookup.question import Question
from attention.lookup.thin import LISTED, thin_answers

TOGETHER = 4
"""Questions to a scan: more of them do not make one of them any faster."""

WIDEST = 0.5
"""A certificate of thin codes with a `total_variation` above this says too little."""

WIDER = 16_384
"""So many rows are listed where fewer do not decide a head, of many times as many."""

WAYS = ((MEASURED, LISTED, MEASURED.most), (PROVEN, LISTED, WIDEST), (PROVEN, WIDER, WIDEST))
"""What is tried in turn: the basis, how many rows are listed, and how wide a certificate may be."""


def thin_alone(view: View, questions: Sequence[Question]) -> list[Answer | None]:
    """Answer each question in as few bits as it allows; None where originals have to be read, all that pass.

    Where there are bytes beside thin codes, these answer what is above `Basis.most`. Here it is a certificate that says
    how wide it is, as long as `max_error` allows that.
    """

    # Fewer bits want more originals, and where these are on disk that takes longer than it takes to read more bits.
    def bases(question: Question) -> tuple[str, ...]:
        return ("proven",) if view.beyond_memory else ("proven", question.basis)

    answers: list[Answer | None] = [None] * len(questions)
    proven: set[int] = set()
    for basis, listed, most in WAYS:
        open_ones = [
            index
            for index, question in enumerate(questions)
            if answers[index] is None
            and index not in proven
            and basis.name in bases(question)
            and _are_few(view, question, listed)
        ]
        for first in range(0, len(open_ones), TOGETHER):
            some = open_ones[first : first + TOGETHER]
            asked = [replace(questions[index], max_error=None) for index in some]
            for index, answer in zip(some, thin_answers(view, asked, basis, listed=listed, most=1.0), strict=True):
                if answer is None:
                    continue
                if answer.certificate.error(view.facts.value_norm) <= min(most, questions[index].max_error or 1.0):
                    answers[index] = answer
                # Not again because of what was drawn: of two tries the more lucky one would hold less often.
                if basis is PROVEN:
                    proven.add(index)
    return answers


def _are_few(view: View, question: Question, listed: int) -> bool:
    """Whether so many are few of the rows that pass."""
    return listed == LISTED or 4 * listed <= (view.n if question.mask is None else question.mask.n)
