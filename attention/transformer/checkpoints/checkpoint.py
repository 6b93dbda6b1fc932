"""A sentence encoder from a folder, as sentence-transformers keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from attention.transformer.checkpoints.bert import bert_parameters, family_member
from attention.transformer.checkpoints.config import CheckpointError, Config, UnsupportedModelError, read_json
from attention.transformer.checkpoints.tensors import Tensors
from attention.transformer.sentence import POOLINGS, SentenceEncoder

LIBRARY = "sentence_transformers."  # what its own modules are called by; another's Pooling may be anything
LAST_LAYER = {"method": "forward", "method_output_name": "last_hidden_state"}
# Arguments of the transformer, its tokenizer and its config, by the names of both generations.
ARGUMENTS = (
    *("model_args", "tokenizer_args", "config_args"),
    *("model_kwargs", "processor_kwargs", "config_kwargs", "processing_kwargs"),
)
HARMLESS = {"add_pooling_layer"}  # what a transformer may be made with that its token vectors do not show


def modules(folder: Path) -> tuple[Path, tuple[str, ...], bool]:
    """The folder of the transformer, the poolings after it, and whether embeddings are of length one.

    Without a modules.json, the folder is a bare transformer, and the mean of its tokens the embedding.

    Raises:
        CheckpointError: modules.json is damaged.
        UnsupportedModelError: the modules are not a transformer, a pooling and at most a normalisation.
    """
    path = folder / "modules.json"
    if not path.exists() and (folder / "config.json").exists():
        return folder, ("mean",), False
    listed = listed_modules(folder)
    kinds = [kind.rpartition(".")[2] if kind.startswith(LIBRARY) else kind for kind, _ in listed]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise UnsupportedModelError(
            f"{path} must list Transformer, Pooling and perhaps Normalize, got {', '.join(kinds) or 'nothing'}"
        )
    folders = [at for _, at in listed]
    for normalize in folders[2:]:
        config = Config.optional(normalize / "config.json")
        config.only("module_input_name", "sentence_embedding")
        config.only("module_output_name", "sentence_embedding")
    return folders[0], pooling_names(Config.read(folders[1] / "config.json")), "Normalize" in kinds


def listed_modules(folder: Path) -> list[tuple[str, Path]]:
    """What modules.json lists: the type of each module by its full name, and its folder.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    path = folder / "modules.json"
    listed = read_json(path)
    try:
        return [(str(module["type"]), folder / str(module["path"])) for module in listed]  # type: ignore[attr-defined]
    except (TypeError, KeyError) as error:
        raise CheckpointError(f"{path} must be a list of modules, each with a type and a path") from error


def check_transformer(config: Config) -> None:
    """Refuse what sentence_bert_config.json may ask of the transformer that is not done here.

    Raises:
        UnsupportedModelError: other outputs than the last layer's, limits of each purpose, or arguments of its own.
    """
    config.only("transformer_task", "feature-extraction")
    config.only("module_output_name", "token_embeddings")
    for name in ("query_length", "document_length", "query_expansion"):
        config.only(name, None)
    modalities = config.fields.get("modality_config") or {"text": LAST_LAYER}
    if not isinstance(modalities, dict) or modalities.get("text") != LAST_LAYER:
        raise UnsupportedModelError(f"{config.source}: modality_config must give texts {LAST_LAYER}, got {modalities}")
    for name in ARGUMENTS:
        arguments = config.fields.get(name) or {}
        if not isinstance(arguments, dict) or set(arguments) - HARMLESS:
            raise UnsupportedModelError(f"{config.source}: {name} must be empty, got {arguments!r}")


def pooling_names(config: Config) -> tuple[str, ...]:
    """The poolings that a module's config.json asks for, in its newer form or its older one.

    Raises:
        UnsupportedModelError: one is not computed here, or prompts are to be left out of it.
    """
    config.only("include_prompt", True)
    chosen = config.fields.get("pooling_mode")
    if chosen is None:
        older = {"cls": "cls_token", "max": "max_tokens", "mean": "mean_tokens"}
        flags = {name for name, value in config.fields.items() if name.startswith("pooling_mode_") and value is True}
        chosen = [name for name, flag in older.items() if f"pooling_mode_{flag}" in flags]
        chosen += sorted(flags - {f"pooling_mode_{flag}" for flag in older.values()})
    names = (chosen,) if isinstance(chosen, str) else tuple(chosen)
    if not names or not set(names) <= set(POOLINGS):
        raise UnsupportedModelError(
            f"{config.source}: the pooling must be of {', '.join(POOLINGS)}, got {', '.join(names) or 'none'}"
        )
    return names


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
