"""The lab: small models are trained while one listens, and then asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from softkv.answers.lab import Decoded, Lab, decoded
from softkv.answers.lab import lab as read_lab
from softkv.calls.call import WRITE_SECONDS, Call, Plan
from softkv.calls.place import Known
from softkv.calls.teaching.hearing import Heard, hear
from softkv.wire.body import body, said


def lab(known: Known) -> Call[Lab]:
    """What is trained, and what was."""
    return Call("GET", "/v1/lab", lambda reply: read_lab(reply.json()))


def train(
    known: Known,
    task: Literal["copy", "reverse", "dates", "numbers", "pictures", "pairs"],
    heard: Heard,
    *,
    model: Literal["transformer", "gru", "lstm", "gru_attention", "lstm_attention"] | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    seed: int | None = None,
    pairs: Sequence[Mapping[str, str]] | None = None,
) -> Plan[None]:
    """Train a small model; docs/lab.md tells of each argument, and of what is heard.

    Args:
        heard: is told the name and the data of each event, `trained` with the model's `id` at the end. Where it answers
            True the training ends.
    """
    request = said(task=task, model=model, seconds=seconds, steps=steps, seed=seed)
    sent = None if pairs is None else [dict(pair) for pair in pairs]
    return hear("POST", "/v1/lab/train", heard, body({**request, **said(pairs=sent)}))


def decode(
    known: Known, model: str, source: str | None = None, *, picture: Sequence[Sequence[float]] | None = None
) -> Call[Decoded]:
    """What a trained model writes for a text or a picture, with the attention behind each token."""
    rows = None if picture is None else [[float(number) for number in row] for row in picture]
    content = body(said(model=model, source=source, picture=rows))
    return Call("POST", "/v1/lab/decode", lambda reply: decoded(reply.json()), content=content, timeout=WRITE_SECONDS)
