"""A cross-encoder from a folder: a model of the BERT family that reads two texts together and has one logit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from softkv_attention.transformer.checkpoints.bert import FAMILY, bert_parameters
from softkv_attention.transformer.checkpoints.checkpoint import (
    check_inputs,
    check_weights,
    prompts_of,
    read_modules,
    refuse_adapter,
    token_limit,
    tokenizer_limit,
    transformer_settings,
)
from softkv_attention.transformer.checkpoints.config import CheckpointError, Config, Tensors, UnsupportedModelError
from softkv_attention.transformer.checkpoints.families import complete, position_limit
from softkv_attention.transformer.sentence import Dense, SentenceEncoder

LOGITS = {"method": "forward", "method_output_name": "logits"}


class Head(NamedTuple):
    """The names of the two maps from the first token's vector to the logit, and the activation between them."""

    first: str
    activation: str
    second: str


BERT_HEAD = Head("pooler.dense", "tanh", "classifier")
ROBERTA_HEAD = Head("classifier.dense", "tanh", "classifier.out_proj")
HEADS: Mapping[str, Head] = {
    "bert": BERT_HEAD,
    "camembert": ROBERTA_HEAD,
    "distilbert": Head("pre_classifier", "relu", "classifier"),
    "mpnet": ROBERTA_HEAD,
    "roberta": ROBERTA_HEAD,
    "xlm-roberta": ROBERTA_HEAD,
}
"""The heads by model_type."""


@dataclass(frozen=True, eq=False)
class CrossEncoder:
    """The content of a cross-encoder's folder, without its tokenizer.

    Attributes:
        model: the parameters, NumPy arrays of float32. The "embedding" [1] of a pair's tokens and types is its logit.
        folder: the folder of the transformer and its tokenizer.
        max_tokens: the largest number of tokens of a pair, special tokens included; the caller cuts off the rest.
        has_types: whether the model distinguishes the first text from the second by token types.
        prompt: the text to put in front of the first text of every pair; empty for most models.
    """

    model: SentenceEncoder
    folder: Path
    max_tokens: int
    has_types: bool
    prompt: str


def load_cross_encoder(folder: Path) -> CrossEncoder:
    """Load the cross-encoder in a folder, with modules.json or without.

    Required files are config.json and model.safetensors, or the files that model.safetensors.index.json lists.

    Raises:
        CheckpointError: a file, field or tensor is missing or wrong, or the head has not one logit.
        UnsupportedModelError: the kind of model is not supported; the message names the supported ones.
    """
    transformer = transformer_folder(folder)
    refuse_adapter(transformer)
    config = complete(Config.read(transformer / "config.json"))
    model_type = str(config.fields.get("model_type"))
    if model_type not in HEADS:
        raise UnsupportedModelError(
            f"{config.source}: model_type must be one of {', '.join(HEADS)}, got {config.fields.get('model_type')!r}"
        )
    saved_by_library = (folder / "modules.json").exists()  # otherwise, it does not read files of its own
    settings = transformer_settings(transformer) if saved_by_library else Config(str(transformer), {})
    settings.only("transformer_task", "sequence-classification")
    settings.only("module_output_name", "scores")
    check_inputs(settings, LOGITS)
    prompts, default_prompt = prompts_of(cross_encoder_settings(folder))
    check_weights(transformer)
    config.only("quantization_config", None)
    tensors = Tensors.read_folder(transformer)
    embeddings, encoder = bert_parameters(config, tensors)
    dense = read_head(HEADS[model_type], tensors.without_prefix(FAMILY[model_type].prefix), config)
    limits = token_limit(settings) or tokenizer_limit(transformer), position_limit(config, embeddings, None)
    return CrossEncoder(
        model=SentenceEncoder(embeddings, encoder, ("cls",), unit_length=False, dense=dense),
        folder=transformer,
        max_tokens=min(filter(None, limits)),
        has_types=embeddings.types is not None,
        prompt="" if default_prompt is None else prompts.get(default_prompt, ""),
    )


def cross_encoder_settings(folder: Path) -> Config:
    """Return the settings of a folder beside its modules; without modules.json, sentence-transformers reads none."""
    settings = folder / "config_sentence_transformers.json"
    return Config.optional(settings) if (folder / "modules.json").exists() else Config(str(settings), {})


def transformer_folder(folder: Path) -> Path:
    """Return the folder of a cross-encoder's transformer, which is its only module.

    Raises:
        UnsupportedModelError: modules.json lists other modules.
    """
    if not (folder / "modules.json").exists():
        return folder
    listed = read_modules(folder)
    kinds = [kind.rpartition(".")[2] for kind, _ in listed]
    if kinds != ["Transformer"]:
        raise UnsupportedModelError(f"{folder / 'modules.json'} must list a Transformer alone, got {', '.join(kinds)}")
    return listed[0][1]


def read_head(head: Head, tensors: Tensors, config: Config) -> tuple[Dense, Dense]:
    """Return the maps from the first token's vector to the logit.

    Raises:
        CheckpointError: a tensor is missing, or the head has not one logit.
    """
    d_model = config.count("dim" if config.fields.get("model_type") == "distilbert" else "hidden_size")
    weight = tensors.named.get(f"{head.second}.weight")
    if weight is not None and tuple(weight.shape) != (1, d_model):
        raise CheckpointError(
            f"{tensors.source}: a reranker has one logit, so {head.second}.weight must have shape {[1, d_model]}, "
            f"got {list(weight.shape)}: name a model with num_labels 1"
        )
    return (
        Dense(tensors.linear(head.first, d_model, d_model), head.activation),
        Dense(tensors.linear(head.second, d_model, 1)),
    )
