"""Tracing of one text or a pair through a model: its tokens and its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softkv_attention.arrays import F32
from softkv_attention.kernels import one_blas_thread
from softkv_service.encoding.encoder import Encoder, LocalEncoder
from softkv_service.encoding.errors import Untraceable
from softkv_service.encoding.texts import Purpose, check_texts

if TYPE_CHECKING:
    from softkv_attention.transformer import SentenceEncoder, TracedLayer


class TracedToken(NamedTuple):
    """A token and its position in its text.

    Attributes:
        text: the token's piece of the text; for a token that has no character, the model's name of that token.
        start, end: the token's characters in its text, from `start` up to `end`; 0 and 0 if it is in neither text.
        sequence: 0 for a token of the text, 1 for one of the pair, None for one that the model adds.
    """

    text: str
    start: int
    end: int
    sequence: int | None


@dataclass(frozen=True)
class TracedText:
    """The n tokens of a text or a pair, as a model reads them."""

    tokens: list[TracedToken]
    ids: list[int]
    types: list[int]


def traceable(encoder: Encoder) -> SentenceEncoder:
    """Return the layers of a model, which can be traced if softkv's own Transformer computes it.

    Raises:
        Untraceable: another library computes the model.
    """
    from softkv_service.encoding.models.core_network import CoreNetwork

    encoder = _require_local(encoder)
    if not isinstance(encoder.network, CoreNetwork):
        raise Untraceable(
            f"{encoder.name} runs on {encoder.runs_on}, and only models that run on attention/transformer can be "
            "traced: name an encoder whose kind is core"
        )
    return encoder.network.model


def _require_local(encoder: Encoder) -> LocalEncoder:
    if not isinstance(encoder, LocalEncoder):
        raise Untraceable(
            f"Encoder {encoder.name!r} is computed by a provider behind a URL, which shows neither tokens nor "
            "attention. Name a model of this machine."
        )
    return encoder


def read_pair(encoder: Encoder, text: str, pair: str | None, purpose: Purpose | None = None) -> TracedText:
    """Return the tokens of a text, or of a text and a second one after it, without a limit.

    Args:
        encoder: the model.
        text: the text.
        pair: a second text; None for none.
        purpose: the model's prompt for it is read before the text, and is not part of it; None for no prompt.

    Raises:
        InvalidText: a text has a lone surrogate.
        Untraceable: a provider computes the model.
    """
    check_texts([text] if pair is None else [text, pair])
    network = _require_local(encoder).network
    prompt = "" if purpose is None else network.prompt(purpose)
    encoding = network.tokenizer.library.encode(prompt + text, pair)
    token_rows = zip(encoding.tokens, encoding.offsets, encoding.sequence_ids, strict=True)
    tokens = list[TracedToken]()
    for name, (start, end), sequence in token_rows:
        first = 0 if sequence else len(prompt)
        if sequence is not None and end <= first and prompt:
            tokens.append(TracedToken(prompt[start:end], 0, 0, None))
        elif sequence is None or name == "▁":  # the beginning of a word, which is put on its first character
            tokens.append(TracedToken(name, max(0, start - first), max(0, start - first), sequence))
        else:
            source = pair if sequence and pair is not None else text
            start, end = max(0, start - first), end - first
            tokens.append(TracedToken(source[start:end], start, end, sequence))
    return TracedText(tokens, encoding.ids, encoding.type_ids)


def trace_layers(
    model: SentenceEncoder, read: TracedText, *, layers: Sequence[int], heads: Sequence[int] | None, causal: bool
) -> list[TracedLayer]:
    """Run the tokens of a text through a model, and return what the layers compute.

    Args:
        model: the model's layers.
        read: the tokens.
        layers: the indices of the layers to return.
        heads: the indices of the heads to return; None for every head.
        causal: whether each token attends only to itself and those before it.

    Returns:
        the layers in the order of `layers`; their arrays are NumPy's in float32, also if the encoder uses bfloat16.

    Raises:
        AttentionError: the model lacks a layer or head, or has fewer positions than tokens.
    """
    from softkv_attention.transformer import trace

    with one_blas_thread():
        return trace(model, np.array(read.ids), _types(model, read), layers=layers, heads=heads, causal=causal)


def trace_without_heads(model: SentenceEncoder, read: TracedText) -> F32:
    """Return the vectors of a text without each head, whose output is replaced by zeros: float32 [layer, head, d].

    Raises:
        AttentionError: the model has fewer positions than tokens.
    """
    from softkv_attention.transformer import leave_out_heads

    with one_blas_thread():
        vectors: F32 = leave_out_heads(model, np.array(read.ids), _types(model, read))
    return vectors


def _types(model: SentenceEncoder, read: TracedText) -> NDArray[np.int64] | None:
    return None if model.embeddings.types is None else np.array(read.types)
