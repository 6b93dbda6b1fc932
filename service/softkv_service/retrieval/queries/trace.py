"""Traces of a text through the layers of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softkv_service.encoding import Encoder, TracedText, read_pair, trace_layers, traceable
from softkv_service.retrieval.errors import Flaw, InvalidContent, TooLarge

if TYPE_CHECKING:  # imported at run time only by processes that load a model
    from softkv_attention.transformer import TracedLayer

MAX_CHARACTERS = 65_536  # far more than the tokens of any model; a longer text is refused without tokenising it
MAX_NUMBERS = 2**20
SQUARE_ARRAYS = {"weights", "logits"}  # [h, n, n]; the others are [h, n, d_k]


@dataclass(frozen=True)
class Trace:
    """The tokens of a text, and what each traced layer of the model computes from them, in the requested order."""

    text: TracedText
    layers: list[TracedLayer]


def trace_text(
    encoder: Encoder,
    text: str,
    pair: str | None,
    *,
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    causal: bool,
    arrays: Sequence[str],
) -> Trace:
    """Trace a text, or a pair of texts, through the layers of the model; blocks.

    Args:
        encoder: the model.
        text: the text.
        pair: a second text after it; None for none.
        layers: the layers to return, from 0, or from the last one as −1; None for the last.
        heads: the heads to return, counted in the same way; None for all.
        causal: whether each token attends only to itself and those before it.
        arrays: the fields of TracedLayer to return, on which the limit of the answer's size depends.

    Raises:
        InvalidContent: the model has no such layer or head.
        TooLarge: the text is too long, or the answer too large.
        Untraceable: the model cannot be traced.
    """
    model = traceable(encoder)
    chosen = [-1] if layers is None else list(layers)
    n_heads = model.encoder.layers[0].attention.n_heads
    _check_numbers("layer", chosen, len(model.encoder.layers))
    _check_numbers("head", heads or [], n_heads)
    if len(text) + len(pair or "") > MAX_CHARACTERS:
        raise TooLarge.at("/text", f"{len(text) + len(pair or '')} characters came, a trace takes {MAX_CHARACTERS}")
    tokens = read_pair(encoder, text, pair)
    n, h = len(tokens.ids), n_heads if heads is None else len(heads)
    if encoder.max_tokens is not None and n > encoder.max_tokens:
        raise TooLarge.at("/text", f"the text has {n} tokens, {encoder.name} reads {encoder.max_tokens}: shorten it")
    width = int(model.encoder.layers[0].attention.W_Q.shape[-1]) // n_heads
    numbers = len(chosen) * h * n * sum(n if name in SQUARE_ARRAYS else width for name in arrays)
    if numbers > MAX_NUMBERS:
        raise TooLarge.at(
            "/layers",
            f"the answer would hold {numbers} numbers, at most {MAX_NUMBERS} are sent: name fewer layers or heads, "
            "or a shorter text",
        )
    return Trace(tokens, trace_layers(model, tokens, layers=chosen, heads=heads, causal=causal))


def _check_numbers(kind: str, numbers: Sequence[int], count: int) -> None:
    flaws = [
        Flaw(
            f"/{kind}s/{i}",
            f"the model has the {kind}s 0 to {count - 1}, or −{count} to −1 from the last; got {number}",
        )
        for i, number in enumerate(numbers)
        if not -count <= number < count
    ]
    if flaws:
        raise InvalidContent(flaws)
