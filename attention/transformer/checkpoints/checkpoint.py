"""A sentence encoder from a folder, as sentence-transformers keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attention.transformer.checkpoints.bert import bert_parameters, family_member
from attention.transformer.checkpoints.config import Config
from attention.transformer.checkpoints.errors import CheckpointError, UnsupportedModelError
from attention.transformer.checkpoints.modules import check_transformer, modules
from attention.transformer.checkpoints.tensors import Tensors
from attention.transformer.sentence import SentenceEncoder

DOCUMENT_PROMPTS = ("document", "passage", "corpus")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a folder holds, but for its tokenizer.

    Attributes:
        model: the parameters, NumPy arrays of float32; `mapped(torch.from_numpy, model)` takes them to torch.
        max_tokens: how many tokens of a text count, the special ones included; cut off the rest.
        prompts: texts by name that go in front of what is encoded.
        default_prompt: the name of the one that goes in front of a text of no stated purpose; None for none.
    """

    model: SentenceEncoder
    max_tokens: int
    prompts: Mapping[str, str]
    default_prompt: str | None

    def prompt(self, purpose: Literal["query", "document"]) -> str:
        """The text to put in front of a query or a document; empty for most models."""
        names = ("query",) if purpose == "query" else DOCUMENT_PROMPTS
        return next((self.prompts[name] for name in names if name in self.prompts), "")


def load(folder: Path, *, sha256: str | None = None) -> Checkpoint:
    """The sentence encoder in a folder.

    Read are modules.json, config.json, model.safetensors, the pooling's config.json, and, where they exist,
    sentence_bert_config.json, config_sentence_transformers.json and tokenizer_config.json.

    Args:
        folder: the folder.
        sha256: the checksum that model.safetensors must have; None to take any.

    Raises:
        CheckpointError: a file, field or tensor is missing or wrong; the message names it.
        UnsupportedModelError: the model is of another kind than is computed here; the message names what is.
    """
    transformer, poolings, unit_length = modules(folder)
    config, weights = Config.read(transformer / "config.json"), transformer / "model.safetensors"
    settings = Config.optional(folder / "config_sentence_transformers.json")
    family_member(config)  # before its weights are read, which may be large
    check_transformer(Config.optional(transformer / "sentence_bert_config.json"))
    if not weights.exists() and (others := other_weights(transformer)):
        raise UnsupportedModelError(f"the weights must be in {weights}, there is only {', '.join(others)}")
    tensors = Tensors.read(weights, sha256=sha256)
    embeddings, encoder = bert_parameters(config, tensors)
    prompts, default_prompt = prompts_of(settings)
    return Checkpoint(
        model=SentenceEncoder(embeddings, encoder, poolings, unit_length, truncation(settings)),
        max_tokens=min(token_limit(transformer), embeddings.positions.limit),
        prompts=prompts,
        default_prompt=default_prompt,
    )


def other_weights(transformer: Path) -> list[str]:
    """The files in a folder that hold weights in a form that is not read here."""
    suffixes = (".bin", ".h5", ".onnx", ".safetensors")
    return sorted(path.name for path in transformer.glob("*") if path.suffix in suffixes)


def truncation(config: Config) -> int | None:
    """How many numbers of an embedding the model was saved to give; None for all.

    Raises:
        CheckpointError: truncate_dim is no whole number from 1 on.
    """
    return None if config.fields.get("truncate_dim") is None else config.count("truncate_dim")


def prompts_of(config: Config) -> tuple[Mapping[str, str], str | None]:
    """The prompts by name, and the name of the one that is used by default.

    Raises:
        CheckpointError: they are not texts, or the default is none of them.
    """
    prompts, default = config.fields.get("prompts") or {}, config.fields.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(text, str) for text in prompts.values()):
        raise CheckpointError(f"{config.source}: prompts must be texts by name, got {prompts!r}")
    if default is not None and default not in prompts:
        names = ", ".join(prompts) or "none"
        raise CheckpointError(f"{config.source}: default_prompt_name must be one of {names}, got {default!r}")
    return prompts, default


def token_limit(transformer: Path) -> int:
    """How many tokens the model was meant to read: sentence-transformers' own limit, else the tokenizer's."""
    own = Config.optional(transformer / "sentence_bert_config.json")
    if own.fields.get("max_seq_length") is not None:
        return own.count("max_seq_length")
    tokenizer = Config.optional(transformer / "tokenizer_config.json")
    # Without a limit, the tokenizer's is a very large number, which may be written as 1e30.
    return int(tokenizer.number("model_max_length", 1e30))
