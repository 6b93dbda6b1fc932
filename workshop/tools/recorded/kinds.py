"""Recorded queries and keys of three heads: of a text over itself, of words over words, and of words over patches.

The page computes their weights, softmax(query · key / √d_k), with the mask of GPT and without it.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from softkv_attention.masks import causal
from softkv_service.encoding import DEFAULT_MODEL, load_encoder, read_pair, trace_layers, traceable
from softkv_workshop.lab.networks import Plan, decode
from softkv_workshop.lab.tasks import END, PICTURES, TASKS, Example, PictureTask, Task, TextTask
from softkv_workshop.lab.training import Budget, TrainingResult, train
from workshop.tools.recorded import learning, pack_weights, pictures
from workshop.tools.recorded.trace import TEXTS
from workshop.tools.recorded.training import SECONDS, SEED

if TYPE_CHECKING:
    from softkv_attention.transformer import EncoderDecoder

TEXT_HEAD = 10
"""A head of the encoder's first layer, where a mask in every layer gives the weights of a mask in this head alone."""

PICTURE = 3
"""The place of the picture in the recording `pictures`."""


def kinds() -> dict[str, Any]:
    """Return for each head the tokens that ask and those that are read, the queries and the keys."""
    torch.set_num_threads(1)
    pixels, _ = pictures.select()[PICTURE]
    caption = _decoder_head(PICTURES, pictures.STEPS, pixels.tolist())
    return {
        "text": text(),
        "translation": _decoder_head(TASKS["translation"], learning.STEPS, learning.SOURCES["translation"][0]),
        "caption": {**caption, "picture": pack_weights(pixels)},
    }


def text() -> dict[str, Any]:
    """Return the head of the encoder, over the first of the recorded texts."""
    encoder = load_encoder(DEFAULT_MODEL, threads=1)
    read = read_pair(encoder, *TEXTS[0])
    (layer,) = trace_layers(traceable(encoder), read, layers=[0], heads=[TEXT_HEAD], causal=False)
    tokens = [token.text for token in read.tokens]
    return _head(tokens, tokens, layer.query[0], layer.key[0])


def _decoder_head(task: Task, steps: int, source: Any) -> dict[str, Any]:
    """Train the lab's Transformer, and return its first head over the source while it writes."""
    *_, result = train(Plan(task, "transformer", SEED), Budget(SECONDS, steps))
    network = cast("EncoderDecoder", cast(TrainingResult, result).network)
    decoded = decode(task, network, source)
    words = tuple(token for token in decoded.tokens if token != END)
    read = cast(PictureTask, task).read(source) if task is PICTURES else cast(TextTask, task).tokenise(source)
    batch = task.batch([Example(read, words)])
    written = batch.decoder_input[:, : len(words)]  # each word is written from the one before it

    (layer,) = network.decoder.layers
    assert layer.cross_attention is not None
    assert layer.cross_attention_residual is not None
    memory = network.encoder(network.source(batch.source))
    key = layer.cross_attention.keys(memory)[0, 0]
    x = network.target(written)
    branch = layer.attention_residual.read(x)
    update = layer.attention(branch, branch, branch, causal(len(words), len(words), like=x))
    x = layer.attention_residual.add(x, layer.attention_residual.update(update))
    query = layer.cross_attention.queries(layer.cross_attention_residual.read(x))[0, 0]
    return _head(words, decoded.source, query, key)


def _head(asking: Sequence[str], read: Sequence[str], query: ArrayLike, key: ArrayLike) -> dict[str, Any]:
    return {"asking": list(asking), "read": list(read), "query": _pack(query), "key": _pack(key)}


def _pack(rows: ArrayLike) -> dict[str, str]:
    """Return rows as the service sends them with `vector_format` base64."""
    return {"base64": base64.b64encode(np.asarray(rows, "<f4").tobytes()).decode()}


def unpack(packed: dict[str, str], n: int) -> NDArray[np.float64]:
    """Return the n rows that `_pack` packed."""
    return np.frombuffer(base64.b64decode(packed["base64"]), "<f4").astype(np.float64).reshape(n, -1)
