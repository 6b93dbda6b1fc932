"""The lab's networks: building them, counting their parameters, and decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

# The layers are imported in the functions below: a service needs them when a caller trains a network.
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from softkv_attention.arrays import Array
from softkv_workshop.lab.errors import NotLearnable, UnreadableSource
from softkv_workshop.lab.tasks import BEGIN, END, PATCH, Example, PictureTask, Task, TextTask

if TYPE_CHECKING:
    from numpy.random import Generator

    from softkv_attention.transformer import EncoderDecoder
    from softkv_workshop.recurrent import RecurrentEncoderDecoder

    Network: TypeAlias = EncoderDecoder | RecurrentEncoderDecoder

Model = Literal["transformer", "gru", "lstm", "gru_attention", "lstm_attention"]
"""The last two have Bahdanau's attention over the source."""

MODELS: tuple[Model, ...] = get_args(Model)
TEXT_HEADS = 1
"""Each of the two layers has one head for texts: so one matrix of weights shows the alignment."""

PICTURE_HEADS = 4


class DecoderSteps(NamedTuple):
    """The output of a network at each position of the target, and its attention; the same for every kind of network.

    Attributes:
        logits: [b, m, n_vocabulary]
        weights: for each layer that attends to the source, [b, n_heads, m, n]; empty without attention.
        source_weights: for each layer of a Transformer's encoder, [b, n_heads, n, n].
    """

    logits: Array
    weights: Sequence[Array]
    source_weights: Sequence[Array]


@dataclass(frozen=True)
class Plan:
    """The definition of a network: task, architecture and seed. Equal plans give the same network.

    Raises:
        NotLearnable: the model is recurrent, and the task has pictures.
    """

    task: Task
    model: Model
    seed: int

    def __post_init__(self) -> None:
        if self.model != "transformer" and not isinstance(self.task, TextTask):
            raise NotLearnable(
                f"{self.model} reads one token after the other, and {self.task.name} have none: use transformer"
            )


def build_network(plan: Plan) -> Network:
    """Build an untrained network over NumPy.

    A recurrent network gets the width that brings its number of parameters nearest to the Transformer's.
    """
    random = np.random.default_rng(plan.seed)
    if plan.model == "transformer":
        return _build_transformer(random, plan.task)
    assert isinstance(plan.task, TextTask)
    cell: Literal["gru", "lstm"] = "gru" if plan.model.startswith("gru") else "lstm"
    attends = plan.model.endswith("attention")
    n_parameters = count_parameters(_build_transformer(random, plan.task))
    build = partial(_build_recurrent, random, plan.task, cell, attends)
    return build(_nearest_width(lambda d: count_parameters(build(d)), n_parameters))


def run_decoder(network: Network, source: Array, target: Array, *lengths: Array) -> DecoderSteps:
    """Return the logits and the attention at every position of the target; arguments as in a call of the network."""
    from softkv_attention.transformer import EncoderDecoder

    if isinstance(network, EncoderDecoder):
        return DecoderSteps(*network.steps(source, target, *lengths))
    steps = network.steps(source, target, *lengths)
    return DecoderSteps(steps.logits, [] if steps.weights is None else [steps.weights[:, None]], [])


def count_parameters(network: Network) -> int:
    """Return how many numbers the network learns; sinusoidal positions do not count."""
    from softkv_attention.transformer import arrays

    return sum(array.size for name, array in arrays(network) if is_learned(name))


def is_learned(name: str) -> bool:
    """Return whether training changes the array of that path."""
    return ".positions." not in name


def _build_transformer(random: Generator, task: Task) -> EncoderDecoder:
    from softkv_attention import transformer
    from softkv_attention.transformer import Architecture, EncoderDecoder, Patches

    initial = transformer.initial
    n_heads = TEXT_HEADS if isinstance(task, TextTask) else PICTURE_HEADS
    sizes = Architecture(d_model=64, n_heads=n_heads, d_ff=128, n_layers=1)
    n_tokens = len(task.source) if isinstance(task, TextTask) else 1
    tokens = initial.embeddings(random, n_tokens, task.max_source, sizes.d_model)
    assert tokens.positions is not None
    patches = Patches(initial.linear(random, PATCH * PATCH, sizes.d_model), tokens.positions)
    return EncoderDecoder(
        source=tokens if isinstance(task, TextTask) else patches,
        encoder=initial.encoder(random, sizes),
        target=initial.embeddings(random, len(task.vocabulary), task.max_target + 1, sizes.d_model),
        decoder=initial.decoder(random, sizes, cross_attention=True),
        output=initial.linear(random, sizes.d_model, len(task.vocabulary)),
    )


def _build_recurrent(
    random: Generator, task: TextTask, cell: Literal["gru", "lstm"], attends: bool, d: int
) -> RecurrentEncoderDecoder:
    from softkv_attention import recurrent
    from softkv_workshop.recurrent import RecurrentArchitecture

    sizes = RecurrentArchitecture(cell, d, d)
    return recurrent.initial.encoder_decoder(random, sizes, len(task.source), len(task.vocabulary), attends=attends)


def _nearest_width(count: Callable[[int], int], target: int) -> int:
    """Return the width for which `count` (which grows with the width) is nearest to the target."""
    d = 8
    while count(d) < target:
        d += 1
    return min((d - 1, d), key=lambda width: abs(count(width) - target))


@dataclass(frozen=True, eq=False)
class Decoded:
    """The output of a network for one source.

    Attributes:
        source: the n tokens that the network read; for a picture, the numbers of its patches.
        tokens: the m tokens that it wrote, `END` included if it reached one.
        text: the tokens as one text, without `END`.
        probabilities: float [m], the probability of each written token, given those before it.
        weights: for each layer that attends to the source, [n_heads, m, n]; empty without attention.
        source_weights: for each layer of the encoder, [n_heads, n, n]; empty for a recurrent network.
    """

    source: list[str]
    tokens: list[str]
    text: str
    probabilities: NDArray[np.float64]
    weights: list[NDArray[np.float32]]
    source_weights: list[NDArray[np.float32]]


def decode(task: Task, network: Network, source: str | list[list[float]]) -> Decoded:
    """Let a network write its output for a source, token by token.

    Raises:
        UnreadableSource: the source is invalid for the task.
    """
    names, example = _read_source(task, source)
    batch, vocabulary = task.batch([example]), task.vocabulary
    inputs = (batch.source,) if isinstance(task, PictureTask) else (batch.source, batch.lengths)
    begin, end = vocabulary.index(BEGIN), vocabulary.index(END)
    output = network.generate(*inputs, begin=begin, end=end, limit=task.max_target + 1)
    decoder_input = np.concatenate([np.full((1, 1), begin), output[:, :-1]], axis=1)
    steps = run_decoder(network, batch.source, decoder_input, *inputs[1:])
    logits = np.asarray(steps.logits[0], np.float64)
    probabilities = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities /= probabilities.sum(axis=-1, keepdims=True)
    tokens = [vocabulary[number] for number in output[0]]
    return Decoded(
        names,
        tokens,
        task.join([token for token in tokens if token not in (BEGIN, END)]),
        probabilities[np.arange(len(tokens)), output[0]],
        [weights[0] for weights in steps.weights],
        [weights[0] for weights in steps.source_weights],
    )


def _read_source(task: Task, source: str | list[list[float]]) -> tuple[list[str], Example]:
    """Return the names of the source's tokens or patches, and an example without a target."""
    if isinstance(task, PictureTask):
        if isinstance(source, str):
            raise UnreadableSource("a model for pictures reads a picture, got a text: send rows of numbers")
        patches = task.read(source)
        return [str(number) for number in range(len(patches))], Example(patches, ())
    assert isinstance(task, TextTask)
    if not isinstance(source, str):
        raise UnreadableSource(f"a model for {task.name} reads a text, got a picture: send a text")
    tokens = task.tokenise(source)
    return list(tokens), Example(tokens, ())
