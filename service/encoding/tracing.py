"""What a model does with one text, or with a pair: its tokens, and the layers they go through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from service.encoding.encoder import Encoder
from service.encoding.errors import UntraceableError
from service.encoding.texts import check_texts

if TYPE_CHECKING:
    from attention.transformer import SentenceEncoder

Array = np.ndarray[Any, Any]


class TracedToken(NamedTuple):
    """A token, and where it stands in its text.

    Attributes:
        text: its piece of the text; what the model calls it where it is in neither.
        start, end: characters of the text, from `start` up to `end`; 0 and 0 where it is in neither.
        sequence: 0 for a piece of the text, 1 for one of the pair, None for one that the model adds.
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


class TracedLayer(NamedTuple):
    """One layer's arrays, of the h heads that were asked for; float32.

    Attributes:
        layer: which one, from 0.
        heads: which ones, from 0.
        attention: [h, n, n]; row i says how much token i rests on each token.
        logits: [h, n, n], before the softmax.
        query, key, value: [h, n, d_k]
        attention_change, feed_forward_change, change: [n], how far each step and the whole layer move a
            token, as a part of its length.
    """

    layer: int
    heads: tuple[int, ...]
    attention: Array
    logits: Array
    query: Array
    key: Array
    value: Array
    attention_change: Array
    feed_forward_change: Array
    change: Array


def traceable(encoder: Encoder) -> SentenceEncoder:
    """The layers of a model that can be looked into.

    Raises:
        UntraceableError: it does not run on the core's own Transformer.
    """
    from service.encoding.models.core_network import CoreNetwork

    if not isinstance(encoder.network, CoreNetwork):
        raise UntraceableError(
            f"{encoder.name} runs on {encoder.runs_on}, and only models that run on attention/transformer can be "
            "traced: start the service with a model of the BERT family"
        )
    return encoder.network.model


def read_pair(encoder: Encoder, text: str, pair: str | None) -> TracedText:
    """The tokens of a text, or of a text and its pair, without a limit and without a prompt.

    Raises:
        TextError: a text has a lone surrogate.
    """
    check_texts([text] if pair is None else [text, pair])
    encoding = encoder.network.tokenizer.library.encode(text, pair)
    places = zip(encoding.tokens, encoding.offsets, encoding.sequence_ids, strict=True)
    tokens = [
        TracedToken(name, 0, 0, None)
        if sequence is None
        else TracedToken((pair if sequence and pair is not None else text)[start:end], start, end, sequence)
        for name, (start, end), sequence in places
    ]
    return TracedText(tokens, encoding.ids, encoding.type_ids)


def trace_layers(
    model: SentenceEncoder,
    read: TracedText,
    *,
    layers: Sequence[int],
    heads: Sequence[int] | None,
    causal: bool,
) -> list[TracedLayer]:
    """Follow the tokens through the model; None traces every head.

    Raises:
        AttentionError: a layer or a head that the model has not, or more tokens than it has positions.
    """
    import torch

    from attention.transformer import trace

    types = None if model.embeddings.types is None else torch.tensor(read.types)
    with torch.inference_mode():
        traced = trace(model, torch.tensor(read.ids), types, layers=layers, heads=heads, causal=causal)
    return [
        TracedLayer(
            layer=each.layer,
            heads=each.heads,
            attention=_array(each.weights),
            logits=_array(each.logits),
            query=_array(each.query),
            key=_array(each.key),
            value=_array(each.value),
            attention_change=_array(each.attention_change),
            feed_forward_change=_array(each.feed_forward_change),
            change=_array(each.change),
        )
        for each in traced
    ]


def _array(tensor: Any) -> Array:
    array: Array = tensor.float().numpy()  # NumPy has no bfloat16
    return array
