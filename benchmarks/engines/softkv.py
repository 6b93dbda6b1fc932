"""softkv's own Transformer, as the service asks it: `Packed` on torch, and `Compiled`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from attention import transformer
from attention.errors import AttentionError
from attention.transformer import Packed, SentenceEncoder, load
from benchmarks.engines.engine import Engine, Refused, Setting
from service.encoding.encoder import Encoder
from service.encoding.models.declaration import Declaration
from service.encoding.models.network import Precision, RunsOn
from service.encoding.texts import Purpose
from service.encoding.tokens.tokenizer_file import load_tokenizer

Forward = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]


class Network:
    """Layers that take packed sequences, as a `Network` of the service's encoder."""

    runs_on: RunsOn = "attention/transformer"
    batched = True

    def __init__(self, setting: Setting, precision: Precision, made: Callable[[SentenceEncoder], Forward]) -> None:
        checkpoint = load(setting.model, precision=precision)
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


def packed(precision: Precision) -> Callable[[Setting], Engine]:
    """How to make the one on torch."""
    return lambda setting: encoder(Network(setting, precision, Packed), setting, "torch")


def compiled(precision: Precision) -> Callable[[Setting], Engine]:
    """How to make the one in machine code."""

    def make(setting: Setting) -> Engine:
        if "Compiled" not in transformer.__all__:
            raise Refused("attention.transformer has no Compiled")
        from attention.kernels.machine_code import prepare, this_target

        prepare()
        target = this_target()
        try:
            network = Network(setting, "float32", lambda model: transformer.Compiled(model, precision))
        except AttentionError as error:
            raise Refused(str(error)) from error
        return encoder(network, setting, "this processor alone" if target is None else target.name)

    return make


def encoder(network: Network, setting: Setting, how: str) -> Engine:
    """It through the service's own `Encoder`, which has encoded some hundred texts before it is ready."""
    ready = Encoder(setting.model.name, network, Declaration.read(setting.model))
    return Engine(lambda texts: ready.encode(texts, "document").vectors, f"{torch.get_num_threads()} threads, {how}")
