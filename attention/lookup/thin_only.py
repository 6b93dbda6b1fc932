"""Thin codes alone: what they can tell within any bound that will do, before originals are read."""

from __future__ import annotations

from collections.abc import Sequence

from attention.lookup.answer import Answer
from attention.lookup.bounds.draws import MEASURED, PROVEN
from attention.lookup.memory.view import View
from attention.lookup.question import Question
from attention.lookup.thin import LISTED, thin_answers

TOGETHER = 4
"""Questions to a scan: more of them do not make one of them any faster."""

WIDEST = 0.5
"""A certificate of thin codes with a `total_variation` above this says too little; one above `max_error` anyway."""

WIDER = 16_384
"""So many rows are listed where fewer do not decide a head, or leave too much to draws: far fewer than there are."""

WAYS = ((MEASURED, LISTED, MEASURED.most), (PROVEN, LISTED, WIDEST), (PROVEN, WIDER, WIDEST))
"""What is tried in turn: the basis, how many rows are listed, and how wide a certificate may be."""


def thin_alone(view: View, questions: Sequence[Question]) -> list[Answer | None]:
    """Answer each question in as few bits as it allows; None where originals have to be read, all that pass.

    Where there are bytes beside thin codes, these answer what is above `Basis.most`. Here it is a certificate that says
    how wide it is, as long as `max_error` allows that.
    """
    answers: list[Answer | None] = [None] * len(questions)
    for basis, listed, most in WAYS:
        open_ones = [
            index
            for index, question in enumerate(questions)
            if answers[index] is None and basis.name in ("proven", question.basis) and _are_few(view, question, listed)
        ]
        for first in range(0, len(open_ones), TOGETHER):
            some = open_ones[first : first + TOGETHER]
            found = thin_answers(view, [questions[index] for index in some], basis, listed=listed, most=most)
            for index, answer in zip(some, found, strict=True):
                answers[index] = answer
    return answers


def _are_few(view: View, question: Question, listed: int) -> bool:
    """Whether so many are few of the rows that pass."""
    return listed == LISTED or 4 * listed <= (view.n if question.mask is None else question.mask.n)
