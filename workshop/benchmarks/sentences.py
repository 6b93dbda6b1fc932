"""Trains the small language model of the page, which writes a text word by word; `writing.py` measures it.

    apt-get install wordnet-base
    python -m workshop.benchmarks.sentences workshop/softkv_workshop/web/recorded [--steps 3000]

The text is WordNet's: the examples of its meanings, which are short sentences of everyday life and parts of such, and
its definitions. A token is a whole word, so that each row and column of a picture of the attention has a word. One
example in twenty is held out by a hash of its text; a word that the vocabulary lacks is never a target.

The model is the core's own, `attention.transformer.GPT2`: causal layers in pre-norm. The folder then has `writing.js`,
the record that `workshop/softkv_workshop/web/language/` reads: weights as int8 with a scale for each row, in base64.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from attention.arrays import Array
from attention.transformer import (
    GPT2,
    Architecture,
    Embeddings,
    Positions,
    arrays,
    initial,
    map_arrays,
)
from benchmarks.installed import DICTIONARY
from softkv_workshop.page.model import layer_tensors, norm_tensors, quantise, script

NAME = "writing"
WEB = Path(__file__).parents[2] / "service" / "web"
LICENSE = WEB / "vendor" / "wordnet" / "LICENSE"
"""The licence of the text, which goes with everything that is made of it."""
Kind: TypeAlias = Literal["<begin>", "<definition>"]
N_WORDS = 5_000
"""The number of words, with UNKNOWN and the words that begin a text; an even number, as the loops of the page need."""
UNKNOWN = "<unknown>"
EXAMPLE: Kind = "<begin>"
DEFINITION: Kind = "<definition>"
SHOWN = "The dog chased the cat across the street because it was too tired"
"""A text of the page, whose words are in the vocabulary although one of them is rare."""
SPECIAL = (UNKNOWN, EXAMPLE, DEFINITION)
"""The first words of the vocabulary: a text has one of the last two before its first word."""
END = "."
N_POSITIONS = 48
SIZES = Architecture(d_model=128, n_heads=4, d_ff=512, n_layers=3)
HELD_OUT_MODULUS = 20
DEFINITION_WEIGHT = 0.1
"""The weight of an occurrence in a definition, in the choice of the vocabulary; an occurrence in an example has 1."""

SEED = 64
BATCH_TOKENS = 768
RATE, WARMING_SHARE, DECAY = 2e-3, 0.03, 0.1
MIN_RATE = 1e-6
MAX_NORM = 1.0
DEFINITION_SHARE = 0.25
"""The number of definitions for each example, in an epoch."""
DROPOUT, WORD_DROPOUT = 0.05, 0.05
"""The share of the numbers of a branch's output, and of the words of a text, that training hides."""
THREADS = 1
STEPS = 3_000
TEST_STEPS = 250
"""The number of steps between two reports; the record is written with each."""

_WORD = re.compile(r"[^\W\d_]+(?:'(?!s\b)[^\W\d_]+)*|'s\b|\d+|[.,;:!?]")


class Text(NamedTuple):
    """A text of the dictionary.

    Attributes:
        kind: the word that stands before its first word.
        words: its words as they are written, and END.
    """

    kind: Kind
    words: tuple[str, ...]

    @property
    def is_held_out(self) -> bool:
        """Whether the text is for the test."""
        return self.kind == EXAMPLE and zlib.crc32(" ".join(self.words).encode()) % HELD_OUT_MODULUS == 0


def split(text: str) -> tuple[str, ...]:
    """Return the words of a text, with its commas and stops; `language/tokens.js` splits texts in the same way."""
    return tuple(_WORD.findall(text.replace("’", "'")))


def read_texts(folder: Path = DICTIONARY) -> list[Text] | None:
    """Return the texts of WordNet, each once; None if it is not installed."""
    files = [folder / f"data.{part}" for part in ("noun", "verb", "adj", "adv")]
    if not all(file.exists() for file in files):
        return None
    return list(dict.fromkeys(text for file in files for text in texts(file.read_text("utf-8").splitlines())))


def texts(lines: Iterable[str]) -> Iterator[Text]:
    """Yield the examples and definitions of lines as WordNet's data files have them."""
    for line in lines:
        gloss = "" if line.startswith(" ") else line.partition(" | ")[2].strip()
        definition, *_ = re.split(r';\s*"', gloss)
        kinds: list[tuple[Kind, str]] = [("<begin>", example) for example in re.findall(r'"([^"]+)"', gloss)]
        for kind, text in [*kinds, ("<definition>", definition)]:
            words = split(text)[: N_POSITIONS - 2]
            if words:
                yield Text(kind, words if words[-1] in ".!?" else (*words, END))


@dataclass(frozen=True)
class Vocabulary:
    """The words that the model knows; the id of a word is its index.

    Attributes:
        words: SPECIAL, then the words as they are written most often.
    """

    words: tuple[str, ...]

    @classmethod
    def choose(cls, texts: Iterable[Text], n: int = N_WORDS) -> Vocabulary:
        """Return the n most frequent words of texts. A word that begins a text does not say how it is written."""
        counts: Counter[str] = Counter()
        forms: dict[str, Counter[str]] = {}
        for kind, words in texts:
            for index, word in enumerate(words):
                counts[word.lower()] += 1 if kind == EXAMPLE else DEFINITION_WEIGHT
                forms.setdefault(word.lower(), Counter())[word] += 1 if index else 0
        shown = set(SHOWN.lower().split())
        best = sorted(counts, key=lambda word: (word not in shown, -counts[word], word))[: n - len(SPECIAL)]
        return cls((*SPECIAL, *(min(forms[word], key=lambda form: (-forms[word][form], form)) for word in best)))

    def ids(self, text: Text) -> NDArray[np.int64]:
        """Return the ids of a text, of its kind first."""
        numbers = self._numbers
        return np.array([numbers[text.kind], *(numbers.get(word.lower(), 0) for word in text.words)])

    @property
    def _numbers(self) -> dict[str, int]:
        if "numbers" not in self.__dict__:
            object.__setattr__(self, "numbers", {word.lower(): number for number, word in enumerate(self.words)})
        return self.__dict__["numbers"]


class Batch(NamedTuple):
    """Texts of nearly the same length.

    Attributes:
        inputs: integers [b, n], the ids of all words but the last, padded with 0.
        targets: integers [b, n], the word after each.
        counts: bool [b, n], whether the target is a word of the vocabulary.
    """

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    counts: NDArray[np.bool_]


def batch_of(ids: list[NDArray[np.int64]]) -> Batch:
    """Return texts as one batch."""
    padded = np.zeros((len(ids), max(map(len, ids))), np.int64)
    for row, text in zip(padded, ids, strict=True):
        row[: len(text)] = text
    return Batch(padded[:, :-1], padded[:, 1:], padded[:, 1:] >= len(SPECIAL))


def batches(ids: list[NDArray[np.int64]], random: np.random.Generator | None = None) -> list[Batch]:
    """Return batches of at most BATCH_TOKENS words, in random order if there is a generator."""
    ties = random.random(len(ids)) if random else np.zeros(len(ids))
    order = sorted(range(len(ids)), key=lambda number: (len(ids[number]), ties[number]))
    groups: list[list[NDArray[np.int64]]] = [[]]
    for number in order:
        if (len(groups[-1]) + 1) * len(ids[number]) > BATCH_TOKENS:
            groups.append([])
        groups[-1].append(ids[number])
    indices = random.permutation(len(groups)) if random else range(len(groups))
    return [batch_of(groups[index]) for index in indices]


def build(random: np.random.Generator, n_words: int) -> GPT2:
    """Return an untrained model over NumPy."""
    small = np.float32(1 / math.sqrt(SIZES.d_model))
    tokens = random.standard_normal((n_words, SIZES.d_model), dtype=np.float32) * small
    positions = random.standard_normal((N_POSITIONS, SIZES.d_model), dtype=np.float32) * small
    return GPT2(Embeddings(tokens, Positions(positions)), initial.decoder(random, SIZES, cross_attention=False))


def with_branches(model: GPT2, change: Callable[[Array], Array] | None) -> GPT2:
    """Return the model with a function of what each half of a layer adds; None takes it away."""
    layers = tuple(
        replace(
            layer,
            attention_residual=replace(layer.attention_residual, branch_norm=change),
            feed_forward_residual=replace(layer.feed_forward_residual, branch_norm=change),
        )
        for layer in model.decoder.layers
    )
    return GPT2(replace(model.embeddings, norm=change), replace(model.decoder, layers=layers))


class Progress(NamedTuple):
    """A model amid its training.

    Attributes:
        step: the number of steps so far.
        loss: mean cross-entropy a word over the last TEST_STEPS, in nats, with what training hides.
        model: a copy, over NumPy.
    """

    step: int
    loss: float
    model: GPT2


def train(texts: list[Text], vocabulary: Vocabulary, steps: int) -> Iterator[Progress]:
    """Yield a model that learns from the texts that are not held out, every TEST_STEPS and at the end.

    The texts of an epoch are the examples, and some definitions, of which each epoch has other ones.
    """
    import torch
    from torch.nn.functional import cross_entropy, dropout

    torch.manual_seed(SEED)
    torch.set_num_threads(THREADS)
    random = np.random.default_rng(SEED)
    numpy_model = build(random, len(vocabulary.words))
    model = map_arrays(lambda array: torch.from_numpy(array).requires_grad_(), numpy_model)
    learning = with_branches(model, lambda x: dropout(x, DROPOUT))
    parameters: list[Any] = [array for _, array in arrays(model)]
    matrices = [array for array in parameters if array.ndim > 1]
    vectors = [array for array in parameters if array.ndim == 1]
    adam = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}],
        lr=RATE,
        betas=(0.9, 0.98),
        fused=True,
    )
    learned: dict[Kind, list[NDArray[np.int64]]] = {
        kind: [vocabulary.ids(text) for text in texts if text.kind == kind and not text.is_held_out]
        for kind in (EXAMPLE, DEFINITION)
    }
    losses = []
    for step, batch in enumerate(islice(_epochs(learned, random), steps), 1):
        share = step / steps
        for group in adam.param_groups:
            group["lr"] = RATE * min(share / WARMING_SHARE, 0.5 + 0.5 * math.cos(math.pi * share)) + MIN_RATE
        hidden = random.random(batch.inputs.shape) < WORD_DROPOUT
        inputs = np.where(hidden & (batch.inputs >= len(SPECIAL)), 0, batch.inputs)
        logits = learning(torch.from_numpy(inputs))[torch.from_numpy(batch.counts)] @ model.embeddings.tokens.T
        loss = cross_entropy(logits, torch.from_numpy(batch.targets[batch.counts]))
        adam.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, MAX_NORM)
        adam.step()
        losses.append(float(loss.detach()))
        if step % TEST_STEPS == 0 or step == steps:
            copy = map_arrays(lambda array: array.detach().numpy().copy(), model)
            yield Progress(step, float(np.mean(losses[-TEST_STEPS:])), copy)


def _epochs(learned: dict[Kind, list[NDArray[np.int64]]], random: np.random.Generator) -> Iterator[Batch]:
    """Yield batches of one epoch after another, without end."""
    examples, definitions = learned[EXAMPLE], learned[DEFINITION]
    while True:
        chosen = random.permutation(len(definitions))[: int(DEFINITION_SHARE * len(examples))]
        yield from batches(examples + [definitions[number] for number in chosen], random)


def log_probabilities(model: GPT2, ids: list[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Return ln of the probability of each known word of texts, given the words before it."""
    parts = []
    for batch in batches(ids):
        vectors = model(batch.inputs)[batch.counts]
        logits = np.asarray(vectors @ model.embeddings.tokens.T, np.float64)
        logits -= logits.max(axis=-1, keepdims=True)
        right = np.take_along_axis(logits, batch.targets[batch.counts][:, None], axis=-1)[:, 0]
        parts.append(right - np.log(np.exp(logits).sum(axis=-1)))
    return np.concatenate(parts)


def record(model: GPT2, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the record of a model, which `language/index.js` reads."""
    tensors = dict(_tensors(model))
    ordered = sorted(tensors.items(), key=lambda item: item[1].dtype != np.float32)
    content, entries = bytearray(), []
    for name, tensor in ordered:
        entries.append([name, tensor.dtype.name, len(content), tensor.size])
        content += tensor.tobytes()
    first = model.decoder.layers[0]
    return {
        "license": LICENSE.read_text(encoding="utf-8"),
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


def main() -> int:
    """Train, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    texts = read_texts()
    if texts is None:
        print("WordNet is not on this machine: apt-get install wordnet-base", file=sys.stderr)
        return 2
    vocabulary = Vocabulary.choose(text for text in texts if not text.is_held_out)
    print(f"{len(texts):,} texts, {sum(text.is_held_out for text in texts):,} of them held out")
    held_out = [vocabulary.ids(text) for text in texts if text.is_held_out]
    options.folder.mkdir(parents=True, exist_ok=True)
    for step, loss, model in train(texts, vocabulary, options.steps):
        perplexity = math.exp(-float(log_probabilities(model, held_out).mean()))
        print(f"{step} steps, loss {loss:.3f}, perplexity {perplexity:.1f} on what is held out", flush=True)
        (options.folder / f"{NAME}.js").write_bytes(script(NAME, record(model, vocabulary)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
