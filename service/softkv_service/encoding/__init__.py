"""Encoding of texts as vectors: the model that encodes a text, its tokeniser, and the queue that orders the texts.

Importing this package is cheap: modules that load a model are imported when a model is loaded, and torch only if
nothing else can compute the model.
"""

from __future__ import annotations

from softkv_service.encoding.background import TOPICS, Backgrounds, is_short, measure_background
from softkv_service.encoding.configuration import LATE, EncodersFile, LocalSettings, RerankerSettings, read_encoders
from softkv_service.encoding.encoder import Encoder, Late, LocalEncoder, TextModel, estimate_tokens
from softkv_service.encoding.encoders import EncoderFacts, Encoders, LoadingEncoder, LoadingModel, LoadingReranker
from softkv_service.encoding.errors import (
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
from softkv_service.encoding.models.network import COMPARABLE, Precision
from softkv_service.encoding.provider_counts import FAILURES, ProviderCounts
from softkv_service.encoding.queue import MAX_CACHED_REQUEST, EncodingQueue, Uploads, encode_stream
from softkv_service.encoding.registry import (
    DEFAULT_MODEL,
    ORGANISATION,
    default_checkpoint,
    default_precision,
    encoder_name,
    load_encoder,
    load_reranker,
)
from softkv_service.encoding.remote import RemoteEncoder, RemoteSettings, load_remote, provider_key
from softkv_service.encoding.reranker import ACTIVATIONS, MAX_PAIR_QUERY, Reranker, write_pair
from softkv_service.encoding.temperature import Temperatures
from softkv_service.encoding.texts import Encoded, EncodedText, Purpose, Words
from softkv_service.encoding.tokens import Content, Token, read_part
from softkv_service.encoding.tracing import TracedText, read_pair, trace_layers, trace_without_heads, traceable
from softkv_service.encoding.words import WordModel
