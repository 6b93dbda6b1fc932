"""The Transformer on `attend`: the layers that turn text into keys and values.

Parameters are frozen dataclasses of arrays that are called like functions. One definition serves NumPy and
torch, where gradients flow. There is no dropout: what is defined here is what a trained model computes.
`layer.py` is the place to start reading.

    parts        LayerNorm, Residual, FeedForward, Linear; sinusoidal, Positions; Embeddings, Patches
    layers       EncoderLayer, DecoderLayer, on the core's `attention.heads.Heads`
    stacks       Encoder; Decoder, step by step through a DecoderState, which equals all at once
    models       SentenceEncoder; GPT2; EncoderDecoder, which writes by `greedy`; rows, vectors by number
    checkpoints  load → Checkpoint, a sentence encoder of the BERT family; bert_parameters, gpt2_parameters;
                 Config, modules, listed_modules, truncation, what the small files of its folder say
    speed        Compiled, a sentence encoder in machine code, where `compiles` says so; Packed, the same on torch,
                 which it alone imports
    looking      trace → TracedLayer, what a layer does with one text
    training     Architecture and `initial`, to begin with; arrays and mapped, to walk through parameters
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attention.transformer import initial
from attention.transformer.checkpoints.bert import bert_parameters
from attention.transformer.checkpoints.checkpoint import Checkpoint, listed_modules, load, modules, truncation
from attention.transformer.checkpoints.config import CheckpointError, Config, UnsupportedModelError
from attention.transformer.checkpoints.gpt2 import GPT2, gpt2_parameters
from attention.transformer.checkpoints.tensors import Tensors
from attention.transformer.compiled import Compiled, compiles, unfit_precision
from attention.transformer.embeddings import Embeddings, Patches, Positions, rows, sinusoidal
from attention.transformer.encoder_decoder import EncoderDecoder, EncoderDecoderSteps, greedy
from attention.transformer.feed_forward import ACTIVATIONS, FeedForward, Linear
from attention.transformer.initial import Architecture
from attention.transformer.layer import (
    DecoderLayer,
    DecoderSteps,
    EncoderLayer,
    EncoderSteps,
    KeysValues,
    LayerCache,
    LayerNorm,
    Residual,
)
from attention.transformer.parameters import arrays, map_arrays
from attention.transformer.sentence import POOLINGS, SentenceEncoder
from attention.transformer.stacks import Decoder, DecoderState, Encoder
from attention.transformer.tracing import TracedLayer, trace

if TYPE_CHECKING:
    from attention.transformer.packed import Packed

__all__ = [
    "ACTIVATIONS",
    "GPT2",
    "POOLINGS",
    "Architecture",
    "Checkpoint",
    "CheckpointError",
    "Compiled",
    "Config",
    "Decoder",
    "DecoderLayer",
    "DecoderState",
    "DecoderSteps",
    "Embeddings",
    "Encoder",
    "EncoderDecoder",
    "EncoderDecoderSteps",
    "EncoderLayer",
    "EncoderSteps",
    "FeedForward",
    "KeysValues",
    "LayerCache",
    "LayerNorm",
    "Linear",
    "Packed",
    "Patches",
    "Positions",
    "Residual",
    "SentenceEncoder",
    "Tensors",
    "TracedLayer",
    "UnsupportedModelError",
    "arrays",
    "bert_parameters",
    "compiles",
    "gpt2_parameters",
    "greedy",
    "initial",
    "listed_modules",
    "load",
    "map_arrays",
    "modules",
    "rows",
    "sinusoidal",
    "trace",
    "truncation",
    "unfit_precision",
]


def __getattr__(name: str) -> Any:
    """`Packed`, imported when it is first asked for: it wants torch, which takes seconds, and no other part does."""
    if name == "Packed":
        from attention.transformer.packed import Packed

        return Packed
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
