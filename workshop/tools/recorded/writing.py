"""Trains the page's small language model on the world of `world.py`.

    python -m workshop.tools.recorded writing

A token is a whole word, so that each row and column of a picture of the attention has a word. The model is the core's
own, `softkv_attention.transformer.GPT2`: causal layers in pre-norm. It learns from texts one after the other, and from
any place in them, because the page shows it the last words of what was written.

The record is what `softkv_workshop/web/language/` reads: weights as int8 with a scale for each row, in base64, with
what a picture says of the model: how it was trained, the texts at which each neuron is strongest, and beginnings whose
last word looks at another in one head.
"""

from __future__ import annotations

import math
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softkv_attention.arrays import Array
from softkv_attention.transformer import (
    GPT2,
    Architecture,
    Embeddings,
    Positions,
    arrays,
    initial,
    map_arrays,
)
from softkv_attention.transformer.feed_forward import relu
from softkv_workshop.page.model import layer_tensors, norm_tensors, quantise
from workshop.tools.recorded.world import Text, texts

NAME = "writing"
UNKNOWN, BEGIN = SPECIAL = ("<unknown>", "<begin>")
"""The first words of the vocabulary, which are never written; the second stands before all that the model reads."""
N_POSITIONS = 14
"""BEGIN and the longest text."""
SIZES = Architecture(d_model=64, n_heads=4, d_ff=128, n_layers=2, activation="relu")
"""With ReLU a neuron that does not answer adds nothing, so that a picture has few rows."""

BEGINNINGS = (
    ("the dogs near the king", "dogs"),
    ("Anna has a red ball . her ball is", "red"),
    ("the boys drink milk because", "boys"),
    ("the queen eats bread because she is", "eats"),
)
"""Beginnings for the picture, and the word by which each goes on."""
KEY_WORDS = 5
"""The number of words that say where a neuron is strongest."""

SEED = 81
BATCH, STEPS = 64, 3_000
RATE, WARMING_SHARE, DECAY = 4e-3, 0.03, 0.1
MIN_RATE = 1e-6
MAX_NORM = 1.0
WORD_DROPOUT = 0.03
"""The share of the words of a text that training hides."""
SPARSITY, SHARPNESS = 0.2, 0.02
"""The prices of strong neurons and of a spread attention: a reader then has few neurons and few words to look at."""
TINY = 1e-9
"""A weight of 0 has a logarithm, too."""
THREADS = 1

_WORD = re.compile(r"[^\W\d_]+(?:'(?!s\b)[^\W\d_]+)*|'s\b|\d+|[.,;:!?]")


def split(text: str) -> tuple[str, ...]:
    """Return the words of a text, with its commas and stops; `language/tokens.js` splits texts in the same way."""
    return tuple(_WORD.findall(text.replace("’", "'")))


@dataclass(frozen=True)
class Vocabulary:
    """The words that the model knows; the id of a word is its index.

    Attributes:
        words: SPECIAL, then those of the world.
    """

    words: tuple[str, ...]

    @classmethod
    def of(cls, corpus: list[Text]) -> Vocabulary:
        """Return the words of texts, in the order of the alphabet."""
        return cls((*SPECIAL, *sorted({word for text in corpus for word in text.words})))

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The id of each word, in lower case."""
        return {word.lower(): number for number, word in enumerate(self.words)}

    def ids(self, words: tuple[str, ...]) -> NDArray[np.int64]:
        """Return the ids of words, after that of BEGIN."""
        return np.array([1, *(self.numbers.get(word.lower(), 0) for word in words)])


class Batch(NamedTuple):
    """Words that the model reads together, all with as many places.

    Attributes:
        inputs: integers [b, N_POSITIONS], BEGIN and words one after the other.
        targets: integers [b, N_POSITIONS], the word after each.
        counts: bool [b, N_POSITIONS], whether the target can be foreseen: not the first word amid a text.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    counts: NDArray[np.bool_]


def batches(ids: list[NDArray[np.int64]], groups: list[list[int]], random: np.random.Generator) -> Iterator[Batch]:
    """Yield batches without end: texts that follow each other, each of a group that is drawn first.

    Args:
        ids: those of the words of each text, without BEGIN.
        groups: the indices of the texts of each form, which are equally frequent.
        random: the generator; half of the rows begin with a text, the others amid one.
    """
    while True:
        rows, starts = [], random.integers(1 << 16, size=BATCH) * random.integers(2, size=BATCH)
        for start in starts:
            drawn = [
                ids[group[random.integers(len(group))]]
                for group in map(groups.__getitem__, random.integers(len(groups), size=4))
            ]
            start %= len(drawn[0])
            rows.append(np.concatenate(drawn)[start : start + N_POSITIONS])
        targets = np.stack(rows)
        inputs = np.concatenate([np.ones_like(targets[:, :1]), targets[:, :-1]], axis=1)
        counts = np.ones(targets.shape, bool)
        counts[:, 0] = starts == 0
        yield Batch(inputs, targets, counts)


def build(random: np.random.Generator, n_words: int) -> GPT2:
    """Return an untrained model over NumPy."""
    small = np.float32(1 / math.sqrt(SIZES.d_model))
    tokens = random.standard_normal((n_words, SIZES.d_model), dtype=np.float32) * small
    positions = random.standard_normal((N_POSITIONS, SIZES.d_model), dtype=np.float32) * small
    return GPT2(Embeddings(tokens, Positions(positions)), initial.decoder(random, SIZES, cross_attention=False))


def read(model: GPT2, ids: NDArray[np.int64]) -> tuple[list[Array], list[Array], Array]:
    """Return what the model computes of texts [b, n]: of each layer, attention and neurons; and the next words.

    Returns:
        the weights [b, n_heads, n, n] of each layer, its neurons' strengths [b, n, d_ff], and the logits [b, n, w].
    """
    x, weights, neurons = model.embeddings(ids), [], []
    for layer, steps in zip(model.decoder.layers, model.decoder.steps(x, model.decoder.start()), strict=True):
        after = x + layer.attention.join(steps.attended.output)
        neurons.append(relu(layer.feed_forward.inner(layer.feed_forward_residual.read(after))))
        weights.append(steps.attended.weights)
        x = steps.output
    return weights, neurons, model.decoder.norm(x) @ model.embeddings.tokens.T


def train(learned: list[Text], vocabulary: Vocabulary, steps: int = STEPS) -> GPT2:
    """Return a model over NumPy that learned from texts; the seed alone decides the result, on one kind of machine."""
    import torch
    from torch.nn.functional import cross_entropy

    torch.set_num_threads(THREADS)
    random = np.random.default_rng(SEED)
    model = map_arrays(lambda array: torch.from_numpy(array).requires_grad_(), build(random, len(vocabulary.words)))
    parameters: list[Any] = [array for _, array in arrays(model)]
    adam = torch.optim.AdamW(
        [
            {"params": [array for array in parameters if array.ndim > 1], "weight_decay": DECAY},
            {"params": [array for array in parameters if array.ndim == 1], "weight_decay": 0.0},
        ],
        lr=RATE,
        betas=(0.9, 0.98),
        fused=True,
    )
    groups: dict[str, list[int]] = {}
    for index, text in enumerate(learned):
        groups.setdefault(text.form, []).append(index)
    stream = batches([vocabulary.ids(text.words)[1:] for text in learned], list(groups.values()), random)
    for step in range(1, steps + 1):
        batch = next(stream)
        share = step / steps
        for group in adam.param_groups:
            group["lr"] = RATE * min(share / WARMING_SHARE, 0.5 + 0.5 * math.cos(math.pi * share)) + MIN_RATE
        hidden = random.random(batch.inputs.shape) < WORD_DROPOUT
        inputs = torch.from_numpy(np.where(hidden & (batch.inputs > 1), 0, batch.inputs))
        weights, neurons, logits = read(model, inputs)
        loss = cross_entropy(logits[torch.from_numpy(batch.counts)], torch.from_numpy(batch.targets[batch.counts]))
        spread = sum(-(layer * (layer + TINY).log()).sum(-1).mean() for layer in weights)
        price = SHARPNESS * spread + SPARSITY * sum(layer.abs().mean() for layer in neurons)
        adam.zero_grad()
        torch.autograd.backward(loss + price)
        torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
        adam.step()
    return map_arrays(lambda array: array.detach().numpy(), model)


def writing() -> dict[str, Any]:
    """Train the model, and return its record."""
    corpus = list(texts())
    vocabulary = Vocabulary.of(corpus)
    learned = [text for text in corpus if not text.is_held_out]
    return record(train(learned, vocabulary), vocabulary, corpus)


def log_probabilities(logits: Array, ids: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ln of the probability of each word of a text, given the words before it.

    Args:
        logits: [n, w], after BEGIN and all words but the last.
        ids: [n + 1], of BEGIN and the words.
    """
    logarithms = np.asarray(logits, np.float64) - logits.max(axis=-1, keepdims=True)
    logarithms -= np.log(np.exp(logarithms).sum(axis=-1, keepdims=True))
    return np.take_along_axis(logarithms, ids[1:, None], axis=-1)[:, 0]


def describe(model: GPT2, vocabulary: Vocabulary, corpus: list[Text]) -> dict[str, Any]:
    """Return what the page says of a model: facts of its training, where each neuron is strongest, and beginnings."""
    right: list[bool] = []
    terms: list[float] = []
    after: dict[str, list[list[Array]]] = {}
    for text in corpus:
        ids = vocabulary.ids(text.words)
        _, neurons, logits = read(model, ids[None, :-1])
        for index in range(1, len(text.words)):
            key = " ".join(text.words[max(0, index - KEY_WORDS) : index])
            after.setdefault(key, []).append([layer[0, index] for layer in neurons])
        if text.is_held_out:
            right += (logits[0].argmax(axis=-1) == ids[1:]).tolist()
            terms += log_probabilities(logits[0], ids).tolist()
    keys = list(after)
    means = np.array([np.mean(after[key], axis=0) for key in keys])
    beginnings = []
    for text, word in BEGINNINGS:
        words = text.split()
        weights, *_ = read(model, vocabulary.ids(tuple(words))[None])
        row = words.index(word) + 1
        last = np.array([layer[0, :, -1, row] for layer in weights])
        layer, head = np.unravel_index(last.argmax(), last.shape)
        beginnings.append({"text": text, "at": row, "layer": int(layer) + 1, "head": int(head) + 1})
    return {
        "facts": {
            "parameters": sum(array.size for _, array in arrays(model)),
            "texts": sum(not text.is_held_out for text in corpus),
            "unseen": sum(text.is_held_out for text in corpus),
            "steps": STEPS,
            "right": round(float(np.mean(right)), 4),
            "perplexity": round(math.exp(-float(np.mean(terms))), 4),
        },
        "beginnings": beginnings,
        "neurons": [[keys[number] for number in layer.argmax(axis=0)] for layer in means.swapaxes(0, 1)],
    }


def record(model: GPT2, vocabulary: Vocabulary, corpus: list[Text]) -> dict[str, Any]:
    """Return the record of a model, which `language/index.js` reads."""
    tensors = dict(_tensors(model))
    ordered = sorted(tensors.items(), key=lambda item: item[1].dtype != np.float32)
    content, entries = bytearray(), []
    for name, tensor in ordered:
        entries.append([name, tensor.dtype.name, len(content), tensor.size])
        content += tensor.tobytes()
    first = model.decoder.layers[0]
    stored = {
        "shape": {
            "width": model.embeddings.tokens.shape[1],
            "layers": len(model.decoder.layers),
            "heads": first.attention.n_heads,
            "inner": first.feed_forward.inner.weight.shape[1],
            "positions": model.embeddings.positions.limit,
            "epsilon": first.attention_residual.norm.epsilon,
        },
        "words": " ".join(vocabulary.words),
        "special": len(SPECIAL),
        "tensors": entries,
        "bytes": len(content),
        "content": b64encode(content).decode("ascii"),
    }
    return stored | describe(model_of(stored)[0], vocabulary, corpus)


def model_of(record: dict[str, Any], dtype: Any = np.float64) -> tuple[GPT2, Vocabulary]:
    """Return the model of a record as the core computes it, from the numbers that the record has."""
    content = b64decode(record["content"])
    tensors = {
        name: np.frombuffer(content, kind, count, start).astype(dtype) for name, kind, start, count in record["tensors"]
    }
    shape = record["shape"]
    width, inner = shape["width"], shape["inner"]

    def matrix(name: str, d_in: int) -> Array:
        return (tensors[name].reshape(-1, d_in) * tensors[f"{name}.scale"][:, None]).T

    model = build(np.random.default_rng(0), len(record["words"].split(" ")))
    values = {
        "embeddings.tokens": matrix("words", width).T,
        "embeddings.positions.table": tensors["positions"].reshape(-1, width),
        "decoder.norm.scale": tensors["norm.scale"],
        "decoder.norm.shift": tensors["norm.shift"],
    }
    for number in range(shape["layers"]):
        layer = f"decoder.layers.{number}"
        projections = np.split(matrix(f"{number}.attention", width), 3, axis=1)
        biases = np.split(tensors[f"{number}.attention.bias"], 3)
        for part, weight, bias in zip("QKV", projections, biases, strict=True):
            values |= {f"{layer}.attention.W_{part}": weight, f"{layer}.attention.b_{part}": bias}
        values |= {
            f"{layer}.attention.W_O": matrix(f"{number}.output", width),
            f"{layer}.attention.b_O": tensors[f"{number}.output.bias"],
            f"{layer}.feed_forward.inner.weight": matrix(f"{number}.widen", width),
            f"{layer}.feed_forward.inner.bias": tensors[f"{number}.widen.bias"],
            f"{layer}.feed_forward.outer.weight": matrix(f"{number}.narrow", inner),
            f"{layer}.feed_forward.outer.bias": tensors[f"{number}.narrow.bias"],
        }
        for norm, name in (("attention_residual", "attention.norm"), ("feed_forward_residual", "norm")):
            values |= {f"{layer}.{norm}.norm.{part}": tensors[f"{number}.{name}.{part}"] for part in ("scale", "shift")}
    paths = iter([path for path, _ in arrays(model)])
    return map_arrays(lambda _: values[next(paths)], model), Vocabulary(tuple(record["words"].split(" ")))


def _tensors(model: GPT2) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the tensors by the names that `language/network.js` gives them."""
    yield from quantise("words", model.embeddings.tokens)
    assert model.embeddings.positions is not None
    yield "positions", model.embeddings.positions.table
    yield from layer_tensors(model.decoder.layers)
    yield from norm_tensors("norm", model.decoder.norm)
