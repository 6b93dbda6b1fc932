"""The families of encoders: which function reads a checkpoint, by the model_type of its config.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from attention.transformer.checkpoints.bert import FAMILY, bert_parameters
from attention.transformer.checkpoints.config import Config, Tensors, UnsupportedModelError
from attention.transformer.checkpoints.gemma import gemma_parameters
from attention.transformer.checkpoints.llama import MEMBERS, llama_parameters
from attention.transformer.checkpoints.modernbert import modernbert_parameters
from attention.transformer.checkpoints.nomic import gte_parameters, nomic_config, nomic_parameters
from attention.transformer.checkpoints.rope import is_dynamic
from attention.transformer.embeddings import Embeddings
from attention.transformer.stacks import Encoder

Reader: TypeAlias = Callable[[Config, Tensors], tuple[Embeddings, Encoder]]

READERS: Mapping[str, Reader] = {
    **dict.fromkeys(FAMILY, bert_parameters),
    **dict.fromkeys(MEMBERS, llama_parameters),
    "gemma3_text": gemma_parameters,
    "gte": gte_parameters,
    "modernbert": modernbert_parameters,
    "new": gte_parameters,
    "nomic_bert": nomic_parameters,
}
"""The readers by model_type; "new" is what GTE's makers call it."""


def reader_of(config: Config) -> Reader:
    """Return the function that reads the parameters of a model.

    Raises:
        UnsupportedModelError: the architecture is not supported.
    """
    model_type = config.fields.get("model_type")
    if not isinstance(model_type, str) or model_type not in READERS:
        raise UnsupportedModelError(
            f"{config.source}: model_type must be one of {', '.join(READERS)}, got {model_type!r}"
        )
    return READERS[model_type]


def position_limit(config: Config, embeddings: Embeddings, declared: int | None) -> int | None:
    """Return the largest number of positions of a text; None if the model's layers set no limit of their own.

    Args:
        config: the content of config.json.
        embeddings: the model's embeddings.
        declared: the limit that sentence-transformers declares; None if there is none.

    Raises:
        UnsupportedModelError: texts may be so long that the neighbours in a batch would change their positions.
    """
    if embeddings.positions is not None:
        return embeddings.positions.limit
    if config.fields.get("model_type") == "nomic_bert":
        config = nomic_config(config)
    limit = config.count("max_position_embeddings")
    if declared is None:
        return limit
    if declared > limit and is_dynamic(config):
        raise UnsupportedModelError(
            f"{config.source}: dynamic positions must not be stretched, got texts of {declared} tokens for {limit}"
        )
    return None
