"""Recorded attention of the encoder: every layer and head over the tokens of a few texts."""

from __future__ import annotations

from typing import Any

import numpy as np

from softkv_service.encoding import DEFAULT_MODEL, load_encoder, read_pair, trace_layers, traceable
from workshop.tools.recorded import pack_weights

TEXTS: list[tuple[str, str | None]] = [
    ("The dog chased the cat across the street", None),
    ("The animal did not cross the street because it was too tired", None),
    ("The animal did not cross the street because it was too wide", None),
    ("Where does the cat sleep?", "The cat sleeps in the kitchen, and the dog waits at the door."),
]
"""A text, and a second one that the model reads after it or None."""


def trace(texts: list[tuple[str, str | None]] = TEXTS) -> dict[str, Any]:
    """Return for each text its tokens, its weights [layer, head, token, token], and the change by each step."""
    encoder = load_encoder(DEFAULT_MODEL, threads=1)
    model = traceable(encoder)
    layers = list(range(len(model.encoder.layers)))
    traced = []
    for text, pair in texts:
        tokens = read_pair(encoder, text, pair)
        states = trace_layers(model, tokens, layers=layers, heads=None, causal=False)
        changes = [
            {
                "attention": _round(layer.attention_change),
                "feed_forward": _round(layer.feed_forward_change),
                "layer": _round(layer.change),
            }
            for layer in states
        ]
        traced.append(
            {
                "text": text,
                "pair": pair,
                "tokens": [{"text": token.text, "sequence": token.sequence} for token in tokens.tokens],
                "weights": pack_weights(np.stack([layer.weights for layer in states])),
                "changes": changes,
            }
        )
    return {
        "model": DEFAULT_MODEL,
        "layers": len(layers),
        "heads": model.encoder.layers[0].attention.n_heads,
        "texts": traced,
    }


def _round(shares: Any) -> list[float]:
    return [round(float(share), 3) for share in shares]
