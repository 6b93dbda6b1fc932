"""What a trained network writes for a source, and what it looked at on the way: each token it writes is a query."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.lab.errors import UnreadableSource
from service.lab.networks import Network, steps
from service.lab.tasks import BEGIN, END, Example, PictureTask, Task, TextTask


@dataclass(frozen=True, eq=False)
class Decoded:
    """What was written.

    Attributes:
        source: the tokens that were read, m of them named by their places for pictures.
        tokens: those that were written, m of them, with the last `END` if it came to one.
        text: the same as one text, without it.
        probabilities: float [m], the probability of each token that was written, given those before it.
        weights: of each layer that attends to the source, [n_heads, m, n]; none of a network without attention.
        source_weights: of each layer of the encoder, [n_heads, n, n]; none of a recurrent network.
    """

    source: list[str]
    tokens: list[str]
    text: str
    probabilities: NDArray[np.float64]
    weights: list[NDArray[np.float32]]
    source_weights: list[NDArray[np.float32]]


def decode(task: Task, network: Network, source: str | list[list[float]]) -> Decoded:
    """Write the target of a source.

    Raises:
        UnreadableSource: the source is none of this task's.
    """
    names, example = _read(task, source)
    batch, said = task.batch([example]), task.written
    given = (batch.source,) if isinstance(task, PictureTask) else (batch.source, batch.lengths)
    limit = task.most_written + 1
    written = network.generate(*given, begin=said.index(BEGIN), end=said.index(END), limit=limit)
    target = np.concatenate([np.full((1, 1), said.index(BEGIN)), written[:, :-1]], axis=1)
    looked = steps(network, batch.source, target, *given[1:])
    logits = np.asarray(looked.logits[0], np.float64)
    probabilities = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    tokens = [said[number] for number in written[0]]
    return Decoded(
        names,
        tokens,
        task.joined([token for token in tokens if token not in (BEGIN, END)]),
        probabilities[np.arange(len(tokens)), written[0]],
        [each[0] for each in looked.weights],
        [each[0] for each in looked.source_weights],
    )


def _read(task: Task, source: str | list[list[float]]) -> tuple[list[str], Example]:
    """The names of the source's places, and an example with no target yet."""
    if isinstance(task, PictureTask):
        if isinstance(source, str):
            raise UnreadableSource("a model for pictures reads a picture, got a text: send rows of numbers")
        patches = task.of(source)
        return [str(place) for place in range(len(patches))], Example(patches, ())
    assert isinstance(task, TextTask)
    if not isinstance(source, str):
        raise UnreadableSource(f"a model for {task.name} reads a text, got a picture: send a text")
    tokens = task.read(source)
    return list(tokens), Example(tokens, ())
