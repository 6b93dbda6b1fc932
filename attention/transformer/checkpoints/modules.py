"""The modules of a sentence encoder, as sentence-transformers lists them, and which of them are computed here."""

from __future__ import annotations

from pathlib import Path

from attention.transformer.checkpoints.config import Config, read_json
from attention.transformer.checkpoints.errors import CheckpointError, UnsupportedModelError
from attention.transformer.pooling import POOLINGS

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
