"""The Transformer on `attend`: the layers that turn text into keys and values.

Parameters are frozen dataclasses of arrays, which are called like functions. One definition serves NumPy and torch;
with torch, gradients flow. Dropout is missing, because these functions compute what a trained model computes.
Start reading in `layer.py`.

    parts        LayerNorm, RMSNorm, Residual, FeedForward, Linear, Dense; sinusoidal, Positions, RelativePositions;
                 Embeddings, Patches
    layers       EncoderLayer, DecoderLayer, on the core's `softkv_attention.heads.Heads`
    stacks       Encoder; Decoder, step by step through a DecoderState, which equals all at once
    models       SentenceEncoder; GPT2; EncoderDecoder, which writes by `greedy`; rows, the vectors of ids
    checkpoints  load → Checkpoint, a sentence encoder of the BERT family; load_cross_encoder → CrossEncoder, which
                 reads pairs of texts; bert_parameters, gpt2_parameters; Config, modules, read_modules,
                 transformer_settings, truncation, the content of the folder's small files; StoredRows, a narrow tensor
    speed        Compiled, a sentence encoder on the kernels in C, if `compiles` is true
    inspection   trace → TracedLayer, the computation of one layer for one text; strongest_neurons → Neurons, of its
                 feed-forward network; leave_out_heads, the embeddings of a text without each head
    training     Architecture and `initial`, the initial parameters; arrays and map_arrays, to walk through parameters
"""

from __future__ import annotations

from softkv_attention.transformer import initial
from softkv_attention.transformer.checkpoints.bert import bert_parameters
from softkv_attention.transformer.checkpoints.checkpoint import (
    Checkpoint,
    check_weights,
    load,
    modules,
    prompts_of,
    read_modules,
    torch_class,
    transformer_settings,
    truncation,
)
from softkv_attention.transformer.checkpoints.config import CheckpointError, Config, Tensors, UnsupportedModelError
from softkv_attention.transformer.checkpoints.cross_encoder import (
    CrossEncoder,
    cross_encoder_settings,
    load_cross_encoder,
)
from softkv_attention.transformer.checkpoints.gpt2 import GPT2, gpt2_parameters
from softkv_attention.transformer.compiled import Compiled, compiles, unfit, unfit_precision
from softkv_attention.transformer.embeddings import Embeddings, Patches, Positions, StoredRows, rows, sinusoidal
from softkv_attention.transformer.feed_forward import ACTIVATIONS, FeedForward, Linear
from softkv_attention.transformer.initial import Architecture
from softkv_attention.transformer.layer import (
    DecoderLayer,
    DecoderSteps,
    EncoderLayer,
    EncoderSteps,
    KeysValues,
    LayerCache,
    LayerNorm,
    Residual,
    RMSNorm,
)
from softkv_attention.transformer.parameters import arrays, map_arrays
from softkv_attention.transformer.relative_positions import RelativePositions
from softkv_attention.transformer.sentence import POOLINGS, Dense, SentenceEncoder
from softkv_attention.transformer.stacks import (
    Decoder,
    DecoderState,
    Encoder,
    EncoderDecoder,
    EncoderDecoderSteps,
    greedy,
)
from softkv_attention.transformer.tracing import Neurons, TracedLayer, leave_out_heads, strongest_neurons, trace

__all__ = [
    "ACTIVATIONS",
    "GPT2",
    "POOLINGS",
    "Architecture",
    "Checkpoint",
    "CheckpointError",
    "Compiled",
    "Config",
    "CrossEncoder",
    "Decoder",
    "DecoderLayer",
    "DecoderState",
    "DecoderSteps",
    "Dense",
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
    "Neurons",
    "Patches",
    "Positions",
    "RMSNorm",
    "RelativePositions",
    "Residual",
    "SentenceEncoder",
    "StoredRows",
    "Tensors",
    "TracedLayer",
    "UnsupportedModelError",
    "arrays",
    "bert_parameters",
    "check_weights",
    "compiles",
    "cross_encoder_settings",
    "gpt2_parameters",
    "greedy",
    "initial",
    "leave_out_heads",
    "load",
    "load_cross_encoder",
    "map_arrays",
    "modules",
    "prompts_of",
    "read_modules",
    "rows",
    "sinusoidal",
    "strongest_neurons",
    "torch_class",
    "trace",
    "transformer_settings",
    "truncation",
    "unfit",
    "unfit_precision",
]
