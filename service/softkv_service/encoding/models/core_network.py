"""Models on the core's own Transformer, of all the families that it knows: computation and network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from softkv_attention.arrays import array_namespace
from softkv_attention.transformer import (
    Compiled,
    SentenceEncoder,
    arrays,
    load,
    map_arrays,
    modules,
    unfit,
    unfit_precision,
)
from softkv_service.encoding.background import TOPICS
from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.models.network import Kind, Precision, RunsOn, use_threads
from softkv_service.encoding.models.tokenizer_classes import load_tokenizer
from softkv_service.encoding.texts import Purpose

Compute = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None], NDArray[np.float32]]
"""A function from the tokens [t] of b texts, one after the other, their lengths [b] and types [t] to float32 [b, d]."""

LEAST_COSINE = 0.99999
"""In int16, the least cosine of a probe's vector with that in float32; below it, the model is computed in float32."""
PROBES = [text for topic in TOPICS[:8] for text in (topic.question, topic.text)]


class Computation:
    """The fastest available computation of a model; any thread may call it.

    The kernels in C compute the model if they are installed and know its form, else torch, else NumPy.

    Args:
        model: the model's layers, with NumPy arrays.
        precision: the number format of the kernels; what else computes does so in float32. With int16, models that the
            kernels do not support are computed in float32.
        threads: the limit of threads for one batch; None for all cores.

    Attributes:
        precision: the number format of the arithmetic.
        memory_bytes: the memory of the parameters. The kernels pack the layers' matrices, and do not keep the model's.

    Raises:
        ModelUnusable: the precision is bfloat16, and the kernels do not support the model, or this processor lacks AMX.
    """

    def __init__(self, model: SentenceEncoder, precision: Precision, threads: int | None) -> None:
        reason = unfit(model)
        if precision == "int16" and reason is not None:
            precision = "float32"
        if precision != "float32" and reason is not None:
            raise ModelUnusable(
                f"{precision} was asked for, and this model is computed in float32 alone, because {reason}: say "
                "PRECISION=float32"
            )
        if reason is None and (slow := unfit_precision(precision)) is not None:
            raise ModelUnusable(f"{slow}: say PRECISION=int16 or float32")
        self.precision = precision
        self._compute: Compute
        if reason is None:
            compiled = Compiled(model, precision, threads=threads)
            self._compute, self.memory_bytes = compiled, compiled.memory_bytes
            self._with_tokens = compiled.with_tokens
        else:
            self.memory_bytes = sum(int(array.nbytes) for _, array in arrays(model))
            definition = _on_torch(model, threads)
            self._compute = partial(embed_by_definition, definition)
            self._with_tokens = partial(read_by_definition, definition)

    def __call__(
        self, tokens: NDArray[np.int64], lengths: NDArray[np.int64], types: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Return the vectors float32 [b, d] of b texts.

        Args:
            tokens: int64 [t], the tokens of all texts, one text after the other.
            lengths: int64 [b], the number of tokens of each text.
            types: int64 [t], the types of the tokens; None for 0.
        """
        return self._compute(tokens, lengths, types)

    def with_tokens(
        self, tokens: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the vectors float32 [b, d] of b texts, and the last layer's float32 [t, d_model] of all their tokens.

        Args:
            tokens: int64 [t], the tokens of all texts, one text after the other.
            lengths: int64 [b], the number of tokens of each text.
        """
        return self._with_tokens(tokens, lengths)


def compute_closely(
    model: SentenceEncoder, precision: Precision, threads: int | None, agree: Callable[[Computation, Computation], bool]
) -> Computation:
    """Return the computation of a model at a precision; in float32 if int16 was asked for and does not fit the model.

    Args:
        model, precision, threads: those of `Computation`.
        agree: tells whether the results of two computations of the model agree.
    """
    computation = Computation(model, precision, threads)
    if computation.precision == "int16" and not agree(computation, exact := Computation(model, "float32", threads)):
        return exact
    return computation


def _on_torch(model: SentenceEncoder, threads: int | None) -> SentenceEncoder:
    """Return the model with arrays of torch, which is faster; the model itself without torch."""
    try:
        use_threads(threads)
        import torch
    except ModuleNotFoundError:
        return model
    return map_arrays(torch.as_tensor, model)


def embed_by_definition(
    model: SentenceEncoder,
    tokens: NDArray[np.int64],
    lengths: NDArray[np.int64],
    types: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """Return the vectors float32 [b, d] of b texts by the definition in NumPy or torch, slowly.

    Each text is computed alone, so its vector does not depend on the others.

    Args:
        model: the model's layers.
        tokens: int64 [t], the tokens of all texts, one text after the other.
        lengths: int64 [b], the number of tokens of each text.
        types: int64 [t], the types of the tokens; None for 0.
    """
    xp = array_namespace(next(arrays(model))[1])
    embeddings = np.empty((len(lengths), model.dimension), np.float32)
    for i, (length, stop) in enumerate(zip(lengths.tolist(), np.cumsum(lengths).tolist(), strict=True)):
        text = slice(stop - length, stop)
        text_types = None if types is None else xp.asarray(types[None, text])
        embeddings[i] = np.asarray(model(xp.asarray(tokens[None, text]), xp.asarray(lengths[i : i + 1]), text_types))[0]
    return embeddings


def read_by_definition(
    model: SentenceEncoder, tokens: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the vectors of texts, and the last layer's of their tokens, by the definition; see `Compiled.with_tokens`.

    Arguments are those of `embed_by_definition`.
    """
    xp = array_namespace(next(arrays(model))[1])
    vectors = list[NDArray[np.float32]]()
    for i, (length, stop) in enumerate(zip(lengths.tolist(), np.cumsum(lengths).tolist(), strict=True)):
        text, of_text = xp.asarray(tokens[None, stop - length : stop]), xp.asarray(lengths[i : i + 1])
        vectors.append(np.asarray(model.token_vectors(text, of_text)[0], dtype=np.float32))
    return embed_by_definition(model, tokens, lengths), np.concatenate(vectors)


class CoreNetwork:
    """A sentence encoder that softkv's own Transformer computes; a `Network`."""

    kind: Kind = "core"
    runs_on: RunsOn = "attention/transformer"
    batched = True  # sequences are not padded, so neighbours never change a vector

    def __init__(
        self, directory: Path, precision: Precision, threads: int | None = None, *, is_known: bool = False
    ) -> None:
        """Load the model in a directory.

        Args:
            directory: the folder.
            precision: the number format of the arithmetic; with int16, models that are less exact than `LEAST_COSINE`
                are computed in float32.
            threads: the limit of threads for one batch; None for all cores.
            is_known: whether the model is known to be exact enough in int16.

        Raises:
            ModelUnusable: the model cannot run in this precision.
            UnsupportedModelError: the core does not compute this kind of model or tokeniser.
            CheckpointError: a file, field or tensor is missing or invalid.
        """
        checkpoint = load(directory)
        self._directory = directory
        self.dimension = checkpoint.model.dimension
        self.tokenizer = load_tokenizer(
            modules(directory).transformer, checkpoint.max_tokens, len(checkpoint.model.embeddings.tokens)
        )
        # The rule of sentence-transformers: a prompt applies if its name is that of the purpose.
        self.prompts = dict(checkpoint.prompts)
        self._compute = compute_closely(checkpoint.model, precision, threads, lambda *_: is_known or self._agree(*_))
        self.precision: Precision = self._compute.precision

    def _agree(self, one: Computation, other: Computation) -> bool:
        ids = [text for text in self.tokenizer.read(PROBES, "").ids if len(text)]
        tokens, lengths = np.concatenate(ids), np.array([len(text) for text in ids], np.int64)
        a, b = (compute(tokens, lengths).astype(np.float64) for compute in (one, other))
        lengths_of_both = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        return bool(((a * b).sum(axis=1) >= LEAST_COSINE * lengths_of_both).all())

    @property
    def model(self) -> SentenceEncoder:
        """The layers as NumPy arrays in float32, loaded again, for `softkv_attention.transformer.trace`."""
        return load(self._directory).model

    @property
    def memory_bytes(self) -> int:
        """The memory of the model's parameters, as they are computed with."""
        return self._compute.memory_bytes

    def prompt(self, purpose: Purpose) -> str:
        """Return the prompt that the model puts before a text with this purpose; empty for most models."""
        return self.prompts.get(purpose, "")

    def embed(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]], purpose: Purpose) -> NDArray[np.float32]:
        """Return the vectors of a batch of n texts, float32 [n, d].

        Args:
            texts: not used.
            ids: the tokens of each text, from which the vectors are computed; a text without any gets zeros.
            purpose: not used.
        """
        lengths = np.asarray([len(text) for text in ids], dtype=np.int64)
        if lengths.all():
            return self._compute(np.concatenate(ids), lengths)
        vectors = np.zeros((len(ids), self.dimension), np.float32)
        if lengths.any():
            vectors[lengths > 0] = self._compute(np.concatenate(ids), lengths[lengths > 0])
        return vectors

    def embed_with_tokens(self, ids: Sequence[NDArray[np.int64]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the vectors float32 [n, d] of n texts, and the last layer's float32 [t, d_model] of all their tokens.

        Args:
            ids: the tokens of each text, at least one.
        """
        lengths = np.asarray([len(text) for text in ids], dtype=np.int64)
        return self._compute.with_tokens(np.concatenate(ids), lengths)
