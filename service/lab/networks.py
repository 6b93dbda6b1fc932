"""The lab's networks: how they are built, counted, and decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from attention import recurrent, transformer
from attention.arrays import Array
from attention.recurrent import RecurrentArchitecture, RecurrentEncoderDecoder
from attention.transformer import Architecture, EncoderDecoder, Patches, arrays
from service.lab.errors import NotLearnable, UnreadableSource
from service.lab.tasks import BEGIN, END, PATCH, Example, PictureTask, Task, TextTask

Model = Literal["transformer", "gru", "lstm", "gru_attention", "lstm_attention"]
"""The last two have Bahdanau's attention over the source."""

MODELS: tuple[Model, ...] = get_args(Model)
Network: TypeAlias = EncoderDecoder | RecurrentEncoderDecoder
OF_TEXTS = Architecture(d_model=64, n_heads=1, d_ff=128, n_layers=1)
"""One layer that reads and one that writes, of one head each: then there is one matrix of weights to look at."""

OF_PICTURES = Architecture(d_model=64, n_heads=4, d_ff=128, n_layers=1)


class Steps(NamedTuple):
    """What a network says of each position of the target, and what it attended to; the same of every kind.

    Attributes:
        logits: [b, m, n_vocabulary]
        weights: of each layer that attends to the source, [b, n_heads, m, n]; none of a network without attention.
        source_weights: of each layer of a Transformer's encoder, [b, n_heads, n, n].
    """

    logits: Array
    weights: Sequence[Array]
    source_weights: Sequence[Array]


@dataclass(frozen=True)
class Plan:
    """What a network is: the same plan and seed are the same network.

    Raises:
        NotLearnable: a recurrent model for pictures.
    """

    task: Task
    model: Model
    seed: int

    def __post_init__(self) -> None:
        if self.model != "transformer" and not isinstance(self.task, TextTask):
            raise NotLearnable(
                f"{self.model} reads one token after the other, and {self.task.name} have none: use transformer"
            )


def network(plan: Plan) -> Network:
    """One to begin training with, over NumPy."""
    random = np.random.default_rng(plan.seed)
    if plan.model == "transformer":
        return _transformer(random, plan.task)
    assert isinstance(plan.task, TextTask)
    cell: Literal["gru", "lstm"] = "gru" if plan.model.startswith("gru") else "lstm"
    attends = plan.model.endswith("attention")
    most = parameters(_transformer(random, plan.task))
    build = partial(_recurrent, random, plan.task, cell, attends)
    return build(_nearest(lambda d: parameters(build(d)), most))


def steps(network: Network, source: Array, target: Array, *lengths: Array) -> Steps:
    """All positions of the target, as a network is called, with the attention behind them."""
    if isinstance(network, EncoderDecoder):
        return Steps(*network.steps(source, target, *lengths))
    written = network.steps(source, target, *lengths)
    return Steps(written.logits, [] if written.weights is None else [written.weights[:, None]], [])


def parameters(network: Network) -> int:
    """How many numbers are learned: sinusoidal positions are not."""
    return sum(each.size for name, each in arrays(network) if learned(name))


def learned(name: str) -> bool:
    """Whether the array of that path is trained."""
    return ".positions." not in name


def _transformer(random: Generator, task: Task) -> EncoderDecoder:
    begin = transformer.initial
    sizes = OF_TEXTS if isinstance(task, TextTask) else OF_PICTURES
    n_tokens = len(task.source) if isinstance(task, TextTask) else 1
    tokens = begin.embeddings(random, n_tokens, task.longest, sizes.d_model)
    patches = Patches(begin.linear(random, PATCH * PATCH, sizes.d_model), tokens.positions)
    return EncoderDecoder(
        source=tokens if isinstance(task, TextTask) else patches,
        encoder=begin.encoder(random, sizes),
        target=begin.embeddings(random, len(task.written), task.most_written + 1, sizes.d_model),
        decoder=begin.decoder(random, sizes, cross_attention=True),
        output=begin.linear(random, sizes.d_model, len(task.written)),
    )


def _recurrent(
    random: Generator, task: TextTask, cell: Literal["gru", "lstm"], attends: bool, d: int
) -> RecurrentEncoderDecoder:
    sizes = RecurrentArchitecture(cell, d, d)
    return recurrent.initial.encoder_decoder(random, sizes, len(task.source), len(task.written), attends=attends)


def _nearest(count: Callable[[int], int], wanted: int) -> int:
    """The width whose count, which grows with it, comes next to what is wanted."""
    d = 8
    while count(d) < wanted:
        d += 1
    return min((d - 1, d), key=lambda width: abs(count(width) - wanted))


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
    names, example = _read_source(task, source)
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


def _read_source(task: Task, source: str | list[list[float]]) -> tuple[list[str], Example]:
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
