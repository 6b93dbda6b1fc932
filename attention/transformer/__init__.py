"""The Transformer on `attend`: the layers that turn text into keys and values.

Parameters are frozen dataclasses of arrays that are called like functions. One definition serves NumPy and
torch, where gradients flow. There is no dropout: what is defined here is what a trained model computes.
`layer.py` is the place to start reading.

    parts        LayerNorm, Residual, FeedForward, Linear; sinusoidal, Positions; Embeddings
    layers       EncoderLayer, DecoderLayer, on the core's `attention.heads.Heads`
    stacks       Encoder; Decoder, step by step through a DecoderState, which equals all at once
    models       SentenceEncoder; GPT2; EncoderDecoder
    checkpoints  load → Checkpoint, a sentence encoder of the BERT family; bert_parameters, gpt2_parameters
    speed        Packed, a sentence encoder without padding, for many texts
    looking      trace → TracedLayer, what a layer does with one text
    training     Architecture and `initial`, to begin with; arrays and mapped, to walk through parameters
"""

from . import initial
from .activations import ACTIVATIONS
from .bert import bert_parameters
from .checkpoint import Checkpoint, load
from .config import Config
from .decoder import Decoder, DecoderState
from .embeddings import Embeddings
from .encoder import Encoder
from .encoder_decoder import EncoderDecoder
from .errors import CheckpointError, UnsupportedModelError
from .feed_forward import FeedForward
from .gpt2 import GPT2, gpt2_parameters
from .initial import Architecture
from .layer import DecoderLayer, EncoderLayer, EncoderSteps, KeysValues, LayerCache
from .linear import Linear
from .norm import LayerNorm, Residual
from .packed import Packed
from .parameters import arrays, mapped
from .pooling import POOLINGS
from .positions import Positions, sinusoidal
from .sentence import SentenceEncoder
from .tensors import Tensors
from .tracing import TracedLayer, trace

__all__ = [
    "ACTIVATIONS",
    "GPT2",
    "POOLINGS",
    "Architecture",
    "Checkpoint",
    "CheckpointError",
    "Config",
    "Decoder",
    "DecoderLayer",
    "DecoderState",
    "Embeddings",
    "Encoder",
    "EncoderDecoder",
    "EncoderLayer",
    "EncoderSteps",
    "FeedForward",
    "KeysValues",
    "LayerCache",
    "LayerNorm",
    "Linear",
    "Packed",
    "Positions",
    "Residual",
    "SentenceEncoder",
    "Tensors",
    "TracedLayer",
    "UnsupportedModelError",
    "arrays",
    "bert_parameters",
    "gpt2_parameters",
    "initial",
    "load",
    "mapped",
    "sinusoidal",
    "trace",
]
