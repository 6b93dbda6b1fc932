"""Eight collections in the shapes of data that people have, with questions of three kinds.

The rows and questions are made of the word lists in `words`, so that they are the same every time. Each has questions
whose answer is there, questions about things of the same subject that the collection lacks, and off-topic ones.

    services    an FAQ of templates: thirty services of a town, ten questions of each
    lending     the rules of a library of things; keys are answers
    goods       a catalogue, sixty products of each of thirty kinds
    courses     a catalogue whose keys share a long sentence
    manual      overlapping windows of docstrings of Python's standard library
    memory      facts about twenty people, a third of them in two or three versions
    faults      tickets and log lines of forty faults of a building, 4 to 90 of each
    terms       a dictionary of units, and of words of music, cooking and sailing
"""

from __future__ import annotations

from benchmarks.shapes.generated import courses, faults, goods, lending, memory, services, terms
from benchmarks.shapes.manual import manual
from benchmarks.shapes.shape import Shape

__all__ = ["Shape", "shapes"]


def shapes() -> list[Shape]:
    """Return the eight shapes; the same every time, but for `manual`, which depends on the version of Python."""
    return [services(), lending(), goods(), courses(), manual(), memory(), faults(), terms()]
