"""softkv's own Transformer on the kernels in C, as the service asks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from attention.errors import ParameterError
from attention.transformer import SentenceEncoder, load
from benchmarks.engines.engine import Engine, Refused, Setting
from service.encoding.encoder import LocalEncoder
from service.encoding.models.declaration import Declaration
from service.encoding.models.network import Kind, Precision, RunsOn
from service.encoding.models.tokenizer_classes import load_tokenizer
from service.encoding.texts import Purpose

Forward = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]


class PackedLayers:
    """Layers that take packed sequences, as a `Network` of the service's encoder.

    Args:
        setting: where the model is.
        precision: what the layers compute in.
        made: the layers, from the model's parameters.
    """

    kind: Kind = "core"
    runs_on: RunsOn = "attention/transformer"
    batched = True

    def __init__(self, setting: Setting, precision: Precision, made: Callable[[SentenceEncoder], Forward]) -> None:
        checkpoint = load(setting.model)
        self.precision = precision
        self.dimension = checkpoint.model.dimension
        self.tokenizer = load_tokenizer(setting.model, checkpoint.max_tokens)
        self._forward = made(checkpoint.model)

    def prompt(self, purpose: Purpose) -> str:
        """None: texts are encoded as they are."""
        return ""

    def embed(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]], purpose: Purpose) -> NDArray[np.float32]:
        """One batch of n texts → float32 [n, d]."""
        return self._forward(np.concatenate(ids), np.asarray([len(text) for text in ids]))


def compiled(precision: Precision) -> Callable[[Setting], Engine]:
    """Return a function that builds the one of the kernels in C, which refuses without their library."""

    def make(setting: Setting) -> Engine:
        from attention.kernels.native.library import load as load_library
        from attention.transformer import Compiled

        library = load_library()
        if library is None:
            raise Refused("there is no library of kernels for this machine")

        try:
            network = PackedLayers(
                setting, precision, lambda model: Compiled(model, precision, threads=setting.threads)
            )
        except ParameterError as error:
            raise Refused(str(error)) from error
        return encoder(network, setting, f"{setting.threads} threads, kernels for {library.kind.name}")

    return make


def encoder(network: PackedLayers, setting: Setting, message: str) -> Engine:
    """Return an engine that uses the service's own `LocalEncoder`."""
    ready = LocalEncoder(setting.model.name, network, Declaration.read(setting.model))
    return Engine(lambda texts: ready.encode(texts, "document").vectors, message)
