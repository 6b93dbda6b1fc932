"""Tokenising for an engine without its own tokeniser: by the model's, in batches of similar length."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from benchmarks.engines.engine import Encode, Vectors

Ids = NDArray[np.int64]
BATCH_TOKENS = (
    1280  # measured: OpenVINO, ONNX Runtime and CTranslate2 take a third longer for 32 passages at once than 8
)


def tokenizer(model: Path) -> Tokenizer:
    """The model's tokeniser, which reads as much of a text as the model does, and pads nothing."""
    library = Tokenizer.from_file(str(model / "tokenizer.json"))
    settings = json.loads((model / "sentence_bert_config.json").read_text(encoding="utf-8"))
    library.enable_truncation(settings["max_seq_length"])
    library.no_padding()
    return library


def in_batches(model: Path, run: Callable[[list[list[int]]], Vectors]) -> Encode:
    """Texts → vectors by an engine that takes some texts' tokens at a time, the longest first."""
    library = tokenizer(model)

    def encode(texts: Sequence[str]) -> Vectors:
        ids = [encoding.ids for encoding in library.encode_batch_fast(list(texts))]
        parts = parted([len(tokens) for tokens in ids])
        parts_encoded = [run([ids[index] for index in part]) for part in parts]
        vectors = np.empty((len(ids), parts_encoded[0].shape[1]), np.float32)
        for part, some in zip(parts, parts_encoded, strict=True):
            vectors[part] = some
        return vectors

    return encode


def parted(lengths: Sequence[int]) -> list[list[int]]:
    """The places of n texts, the longest first, in parts of at most BATCH_TOKENS once padded, or of one text."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    parts, start = [], 0
    while start < len(order):
        stop = start + max(1, BATCH_TOKENS // lengths[order[start]])
        parts.append(order[start:stop])
        start = stop
    return parts


def padded(ids: list[list[int]]) -> tuple[Ids, Ids]:
    """The tokens of b texts, the longest first → tokens and mask, int64 [b, t]; the mask is 1 where a token is."""
    lengths = np.asarray([len(each) for each in ids])
    mask = np.arange(lengths[0]) < lengths[:, None]
    tokens = np.zeros(mask.shape, np.int64)
    tokens[mask] = np.concatenate(ids)
    return tokens, mask.astype(np.int64)
