"""What a small model can learn while one watches: examples without end, of which some are never trained on."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from service.lab.errors import UnreadableSource

BEGIN, END = "<begin>", "<end>"
HELD_OUT = 10
"""One in so many sources is kept for the test: which ones, their content says."""

LEAST_HELD_OUT = 3
"""Sources of fewer tokens are all trained on: a word that never was cannot be known."""


class Example(NamedTuple):
    """One pair.

    Attributes:
        source: what is read: tokens, or the patches of a picture, float32 [n, numbers].
        target: the tokens that are to be written.
        right: for each of them, which places of the source it is read from; empty where every place would do, None
            where nobody knows.
    """

    source: Any
    target: tuple[str, ...]
    right: tuple[frozenset[int], ...] | None = None


class Batch(NamedTuple):
    """Examples as a network reads them.

    Attributes:
        source: integers [b, n], filled up with 0; of pictures, float32 [b, n, numbers].
        lengths: integers [b], how many places of the source each example has.
        given: integers [b, m], what the decoder is given: `BEGIN` and the target.
        wanted: integers [b, m], what it is to say: the target and `END`, which fills up.
        counts: integers [b], how many of these count: the target and one end.
    """

    source: NDArray[Any]
    lengths: NDArray[np.int64]
    given: NDArray[np.int64]
    wanted: NDArray[np.int64]
    counts: NDArray[np.int64]


@dataclass(frozen=True)
class Task(ABC):
    """From a source to a sequence of tokens.

    Attributes:
        name: as callers know it.
        target: the tokens that are written.
        draw: makes an example; where it is told so, one longer than those that are trained on.
        joined: the tokens of a target → its text.
        longest: most places of a source, longer ones included.
        most_written: most tokens of a target.
        reaches: whether there are longer ones at all.
    """

    name: str
    target: tuple[str, ...]
    draw: Callable[[Generator, bool], Example]
    joined: Callable[[Sequence[str]], str]
    longest: int
    most_written: int
    reaches: bool

    @property
    def written(self) -> tuple[str, ...]:
        """What a network can say, by number."""
        return (BEGIN, END, *self.target)

    @abstractmethod
    def sources(self, examples: Sequence[Example]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """`source` and `lengths` of a batch.

        Raises:
            UnreadableSource: one that is none of this task's.
        """

    @abstractmethod
    def held_out(self, example: Example) -> bool:
        """Whether it is kept for the test."""

    def examples(self, random: Generator, *, held_out: bool, longer: bool = False) -> Iterator[Example]:
        """Without end; of longer ones all are unseen."""
        while True:
            example = self.draw(random, longer)
            if longer or self.held_out(example) == held_out:
                yield example

    def batch(self, examples: Sequence[Example]) -> Batch:
        """These examples side by side."""
        known = {token: i for i, token in enumerate(self.written)}
        counts = np.array([len(example.target) + 1 for example in examples])
        wanted = np.full((len(examples), counts.max()), known[END])
        for row, example in zip(wanted, examples, strict=True):
            row[: len(example.target)] = [known[token] for token in example.target]
        given = np.concatenate([np.full((len(examples), 1), known[BEGIN]), wanted[:, :-1]], axis=1)
        return Batch(*self.sources(examples), given, wanted, counts)


@dataclass(frozen=True)
class TextTask(Task):
    """From tokens to tokens.

    Attributes:
        source: the tokens that are read.
        read: a person's text → tokens, which need not be known.
        shown: tokens → a text as a person writes it.
    """

    source: tuple[str, ...]
    read: Callable[[str], tuple[str, ...]]
    shown: Callable[[Sequence[str]], str]

    def held_out(self, example: Example) -> bool:
        """One in ten, whoever asks and whatever the seed."""
        tokens = example.source
        return len(tokens) >= LEAST_HELD_OUT and zlib.crc32(" ".join(tokens).encode()) % HELD_OUT == 0

    def sources(self, examples: Sequence[Example]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Numbers of tokens, filled up."""
        numbers = [self._numbers(example.source) for example in examples]
        lengths = np.array([len(each) for each in numbers])
        source = np.zeros((len(numbers), lengths.max()), np.int64)
        for row, each in zip(source, numbers, strict=True):
            row[: len(each)] = each
        return source, lengths

    def _numbers(self, tokens: Sequence[str]) -> list[int]:
        known = {token: i for i, token in enumerate(self.source)}
        strange = [token for token in tokens if token not in known]
        if strange:
            raise UnreadableSource(
                f"{strange[0][:40]!r} is nothing that the task {self.name} has: use {' '.join(self.source)}"
            )
        if not 1 <= len(tokens) <= self.longest:
            raise UnreadableSource(
                f"a source of {self.name} has 1 to {self.longest} tokens, this one has {len(tokens)}"
            )
        return [known[token] for token in tokens]
