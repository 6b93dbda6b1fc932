"""Attention over a collection: a memory of keys and values, and questions that are asked of a view of it."""

from __future__ import annotations

from attention.lookup.asking import answer, answers, sweep
from attention.lookup.certificate import Certificate
from attention.lookup.machine_code import prepare, stand_in
from attention.lookup.memory import Memory
from attention.lookup.null import Background
from attention.lookup.question import Auto, Question
from attention.lookup.results import Answer, Evidence, Sweep
from attention.lookup.rows import Rows
from attention.lookup.view import Mask, View

__all__ = [
    "Answer",
    "Auto",
    "Background",
    "Certificate",
    "Evidence",
    "Mask",
    "Memory",
    "Question",
    "Rows",
    "Sweep",
    "View",
    "answer",
    "answers",
    "prepare",
    "stand_in",
    "sweep",
]
