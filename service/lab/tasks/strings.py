"""Letters to write again, or the other way round."""

from __future__ import annotations

from numpy.random import Generator

from service.lab.tasks.task import Example, TextTask

LETTERS = tuple("abcdefghij")
TRAINED, LONGER = (3, 10), (11, 14)
"""Lengths, the least and the most."""


def _string(random: Generator, longer: bool) -> tuple[str, ...]:
    low, high = LONGER if longer else TRAINED
    return tuple(LETTERS[i] for i in random.integers(len(LETTERS), size=random.integers(low, high + 1)))


def _again(random: Generator, longer: bool) -> Example:
    letters = _string(random, longer)
    return Example(letters, letters, tuple(frozenset({i}) for i in range(len(letters))))


def _backwards(random: Generator, longer: bool) -> Example:
    letters = _string(random, longer)
    return Example(letters, letters[::-1], tuple(frozenset({i}) for i in reversed(range(len(letters)))))


COPY, REVERSE = (
    TextTask(
        name=name,
        source=LETTERS,
        target=LETTERS,
        draw=draw,
        read=lambda text: tuple("".join(text.split())),
        shown="".join,
        joined="".join,
        longest=LONGER[1],
        most_written=LONGER[1],
        reaches=True,
    )
    for name, draw in (("copy", _again), ("reverse", _backwards))
)
