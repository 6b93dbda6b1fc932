"""Static models, such as model2vec's: a text's vector is the mean of the vectors of its tokens, computed by NumPy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from softkv_attention.transformer import (
    CheckpointError,
    Config,
    StoredRows,
    Tensors,
    UnsupportedModelError,
    check_weights,
    prompts_of,
    read_modules,
    truncation,
)
from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.models.network import Kind, Precision, RunsOn
from softkv_service.encoding.texts import Purpose
from softkv_service.encoding.tokens import ModelTokenizer

ROWS_AT_ONCE = 2048
"""The number of rows of the table that are added up at a time, since a text may have millions of tokens."""
LEAST_LENGTH = 1e-12
"""The smallest length that a vector is divided by, as in torch; so a text without tokens keeps a vector of zeros."""


def static_tokenizer(library: Tokenizer) -> ModelTokenizer:
    """Return a copy of a static model's tokeniser.

    It adds no special tokens, and reads the whole text unless its tokenizer.json has a limit.
    """
    fields: dict[str, Any] = json.loads(library.to_str())
    limits = fields["truncation"]
    copy = Tokenizer.from_str(json.dumps(fields | {"post_processor": None}))
    unknown = fields["model"].get("unk_token")
    return ModelTokenizer(
        copy,
        max_tokens=limits["max_length"] if limits else None,
        unknown_token=fields["model"].get("unk_id") if unknown is None else copy.token_to_id(unknown),
        truncation_side="left" if limits and limits["direction"].lower() == "left" else "right",
    )


class StaticNetwork:
    """A static model; a `Network`."""

    kind: Kind = "static"
    runs_on: RunsOn = "NumPy"
    batched = True  # a text's mean is computed alone, so neighbours never change a vector

    def __init__(self, directory: Path, precision: Precision) -> None:
        """Load the model in a directory.

        Raises:
            ModelUnusable: the precision is not float32.
            UnsupportedModelError: the model is not static, or its weights have another format.
            CheckpointError: a file or tensor is missing or invalid.
        """
        folder, self._unit_length = _modules(directory)
        if precision != "float32":
            raise ModelUnusable(
                f"{precision} was asked for, and a static model is computed in float32 alone: say PRECISION=float32"
            )
        self.precision: Precision = precision
        tokenizer = _read_tokenizer(folder / "tokenizer.json")
        self.tokenizer = static_tokenizer(tokenizer)
        self._table = _token_vectors(folder)
        largest = max(tokenizer.get_vocab().values(), default=0)
        if largest >= len(self._table):
            raise CheckpointError(
                f"{folder} must have a vector for each token up to {largest}, got {len(self._table)}: "
                "tokenizer.json and the weights are not of one model"
            )
        settings = Config.optional(directory / "config_sentence_transformers.json")
        self.prompts = dict(prompts_of(settings)[0])
        width = self._table.shape[1]
        self.dimension: int = min(truncation(settings) or width, width)

    @property
    def memory_bytes(self) -> int:
        """The memory of the table of token vectors."""
        return int(self._table.nbytes)

    def prompt(self, purpose: Purpose) -> str:
        """Return the prompt that the model puts before a text with this purpose; empty for most models."""
        return self.prompts.get(purpose, "")

    def embed(self, texts: Sequence[str], ids: Sequence[NDArray[np.int64]], purpose: Purpose) -> NDArray[np.float32]:
        """Return the vectors of a batch of n texts, float32 [n, d].

        Args:
            texts: not used.
            ids: the tokens of each text; a text without tokens has a vector of zeros.
            purpose: not used.
        """
        means = np.stack([self._mean(tokens) for tokens in ids])
        if self._unit_length:
            means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), LEAST_LENGTH)
        return means[:, : self.dimension].astype(np.float32)

    def _mean(self, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean of the vectors of n tokens, float64 [width], from `tokens` [n]."""
        total = np.zeros(self._table.shape[1])
        for start in range(0, len(tokens), ROWS_AT_ONCE):
            total += self._table[tokens[start : start + ROWS_AT_ONCE]].sum(axis=0, dtype=np.float64)
        return total / max(len(tokens), 1)


def _modules(directory: Path) -> tuple[Path, bool]:
    """Return the folder of the token vectors, and whether embeddings are scaled to length one."""
    listed = read_modules(directory)
    kinds = [name.rpartition(".")[2] for name, _ in listed]
    if kinds not in (["StaticEmbedding"], ["StaticEmbedding", "Normalize"]):
        raise UnsupportedModelError(
            f"{directory / 'modules.json'} must list StaticEmbedding and perhaps Normalize, got {', '.join(kinds)}"
        )
    for _, folder in listed[1:]:
        config = Config.optional(folder / "config.json")
        config.only("module_input_name", "sentence_embedding")
        config.only("module_output_name", "sentence_embedding")
    return listed[0][1], len(listed) > 1


def _read_tokenizer(path: Path) -> Tokenizer:
    Config.read(path)
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower type
        raise CheckpointError(f"{path} must hold a tokenizer, got a damaged one ({error})") from error


def _token_vectors(folder: Path) -> NDArray[np.float32]:
    """Return the vector of each token, float32 [vocabulary, width].

    sentence-transformers stores them as `embedding.weight`. model2vec stores `embeddings`, and may add the row of each
    token as `mapping`, and a factor for each token as `weights`.
    """
    path = folder / "model.safetensors"
    check_weights(folder)
    if not path.exists():
        raise UnsupportedModelError(f"the weights must be in {path}, which is missing")
    tensors = Tensors.read(path)
    name = "embedding.weight" if "embedding.weight" in tensors.named else "embeddings"
    tensor: Any = tensors.named.get(name, np.empty(0))
    stored = tensor[...] if isinstance(tensor, StoredRows) else np.asarray(tensor)
    if stored.ndim != 2 or not stored.size:
        raise CheckpointError(f"{path} must have {name} of shape [tokens, width], got {list(stored.shape)}")
    # Quantised ones are whole numbers. Rows of float16 are widened when they are added up.
    table = stored if stored.dtype == np.float16 else stored.astype(np.float32, copy=False)
    if name == "embedding.weight":
        return table
    if "mapping" in tensors.named:
        rows = np.asarray(tensors.named["mapping"])
        if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size or rows.min() < 0 or rows.max() >= len(table):
            raise CheckpointError(f"{path}: mapping must name a row from 0 to {len(table) - 1} for each token")
        table = table[rows]
    if "weights" in tensors.named:
        table = table * tensors.take("weights", len(table))[:, None]
    return table
