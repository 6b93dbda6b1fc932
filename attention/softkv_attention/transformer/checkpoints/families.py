"""The families of encoders: which function reads a checkpoint, by the model_type of its config.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from softkv_attention.transformer.checkpoints.bert import FAMILY, bert_parameters
from softkv_attention.transformer.checkpoints.config import Config, Tensors, UnsupportedModelError
from softkv_attention.transformer.checkpoints.gemma import gemma_parameters
from softkv_attention.transformer.checkpoints.llama import MEMBERS, llama_parameters
from softkv_attention.transformer.checkpoints.modernbert import modernbert_parameters
from softkv_attention.transformer.checkpoints.nomic import gte_parameters, nomic_config, nomic_parameters
from softkv_attention.transformer.checkpoints.rope import is_dynamic
from softkv_attention.transformer.embeddings import Embeddings
from softkv_attention.transformer.stacks import Encoder

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


BASE: dict[str, int] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "max_position_embeddings": 512,
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "vocab_size": 30_522,
}
ROBERTA: dict[str, int] = BASE | {"pad_token_id": 1, "type_vocab_size": 2}
LARGE: dict[str, int] = {"hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32}
QWEN: dict[str, int] = LARGE | {
    "intermediate_size": 22_016,
    "max_position_embeddings": 32_768,
    "max_window_layers": 28,
    "num_key_value_heads": 32,
    "sliding_window": 4096,
    "vocab_size": 151_936,
}
DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "bert": BASE | {"type_vocab_size": 2},
    "camembert": ROBERTA,
    # Some files have other names for its sizes. If one is missing, that is an error.
    "distilbert": {"max_position_embeddings": 512, "vocab_size": 30_522},
    "gemma3_text": {
        "head_dim": 256,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "max_position_embeddings": 131_072,
        "num_attention_heads": 8,
        "num_hidden_layers": 26,
        "num_key_value_heads": 4,
        "sliding_window": 4096,
        "vocab_size": 262_208,
    },
    "gte": BASE | {"max_position_embeddings": 8192, "type_vocab_size": 1, "vocab_size": 250_048},
    "llama": LARGE | {"intermediate_size": 11_008, "max_position_embeddings": 2048, "vocab_size": 32_000},
    "mistral": LARGE
    | {
        "intermediate_size": 14_336,
        "max_position_embeddings": 131_072,
        "num_key_value_heads": 8,
        "sliding_window": 4096,
        "vocab_size": 32_000,
    },
    "modernbert": BASE
    | {
        "intermediate_size": 1152,
        "local_attention": 128,
        "max_position_embeddings": 8192,
        "num_hidden_layers": 22,
        "vocab_size": 50_368,
    },
    "mpnet": BASE | {"vocab_size": 30_527},
    "nomic_bert": BASE | {"max_position_embeddings": 2048, "type_vocab_size": 2, "vocab_size": 30_528},
    "qwen2": QWEN,
    "qwen3": QWEN | {"head_dim": 128},
    "roberta": ROBERTA | {"vocab_size": 50_265},
    "xlm-roberta": ROBERTA,
}
"""The fields of config.json by model_type that a file may leave out, with the values that transformers gives them.

Readers have the defaults of other fields, such as epsilons.
"""


def complete(config: Config) -> Config:
    """Return a config with the fields that the file leaves out, as transformers completes them."""
    model_type = config.fields.get("model_type")
    defaults = DEFAULTS.get(model_type, {}) if isinstance(model_type, str) else {}
    return Config(config.source, {**defaults, **config.fields})


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
