"""Encoding of texts as vectors: the model that encodes a text, its tokeniser, and the queue that orders the texts.

Importing this package is cheap: modules that load a model are imported when a model is loaded, and torch only if
nothing else can compute the model.
"""

from __future__ import annotations

from service.encoding.background import TOPICS, Backgrounds, is_short, measure_background
from service.encoding.configuration import EncodersFile, LocalSettings, RerankerSettings, read_encoders
from service.encoding.encoder import Encoder, LocalEncoder, TextModel, estimate_tokens
from service.encoding.encoders import EncoderFacts, Encoders, LoadingEncoder, LoadingModel, LoadingReranker
from service.encoding.errors import (
    EncodingError,
    InvalidText,
    InvalidTokens,
    LibraryMissing,
    ModelUnusable,
    ProviderUnavailable,
    QueueClosed,
    QueueOverfull,
    TextRefused,
    TokensUnknown,
    Untraceable,
)
from service.encoding.models.network import COMPARABLE, Precision
from service.encoding.provider_counts import FAILURES, ProviderCounts
from service.encoding.queue import EncodingQueue, encode_stream
from service.encoding.registry import (
    DEFAULT_MODEL,
    ORGANISATION,
    default_checkpoint,
    default_precision,
    encoder_name,
    load_encoder,
    load_reranker,
)
from service.encoding.remote import RemoteEncoder, RemoteSettings, load_remote
from service.encoding.reranker import ACTIVATIONS, Reranker, write_pair
from service.encoding.temperature import Temperatures
from service.encoding.texts import Encoded, EncodedText
from service.encoding.tokens import Content, Token
from service.encoding.tracing import TracedText, read_pair, trace_layers, traceable
