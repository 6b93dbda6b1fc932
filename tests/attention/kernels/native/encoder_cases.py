"""Encodings of a few texts by the library in C, for processors and places of memory that tests choose."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np

from softkv_attention.kernels.in_c import KernelsInC
from softkv_attention.kernels.transformer.in_c import Encoder
from softkv_attention.kernels.transformer.parameters import POOLINGS
from softkv_attention.transformer import compiled
from tests.attention.kernels.native.cases import Case, Outputs
from tests.attention.transformer.test_compiled_families import FAMILIES, MODELS, model_of

SOME = (*FAMILIES, "relative bias", "ReGLU", "causal windows", "last token", "more hidden units than a pass")
LENGTHS = ((1,), (2, 1), (15,), (16, 17), (33, 1, 31), (63, 65), (13,))


def encode(running: KernelsInC, name: str, lengths: tuple[int, ...], precision: str) -> Outputs:
    """Return the vectors of some texts, by the fastest way to multiply at a precision."""
    random, encoder = np.random.default_rng(7), Encoder(running._library)
    model, way = model_of(random, **MODELS[name]), encoder.way_of(precision)
    network = compiled.network(model, way, encoder.columns_of(way))
    prepared = encoder.network(network, compiled.design(model), way)
    counts, poolings = np.array(lengths), np.array(list(POOLINGS.values()))
    tokens = random.integers(0, 31, counts.sum())
    positions = np.arange(len(tokens)) - np.repeat(np.cumsum(counts) - counts, counts)
    out = np.zeros((len(poolings), len(counts), network.tokens.shape[1]), np.float32)
    room, scratch, stages = prepared.room(len(tokens)), prepared.scratch(len(tokens)), len(network.output_bias) + 2
    prepared.encode(tokens, positions, counts, poolings, room, scratch, 0, len(tokens), 0, stages, out)
    return [out]


def encoder_cases() -> dict[str, Case]:
    """Return encodings of texts of odd lengths, by name."""
    return {
        f"{name} {lengths} {precision}": partial(encode, name=name, lengths=lengths, precision=precision)
        for name, lengths, precision in product(SOME, LENGTHS, ("float32", "int16", "bfloat16"))
    }
