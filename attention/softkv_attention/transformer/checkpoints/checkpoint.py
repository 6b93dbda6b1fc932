"""A sentence encoder from a folder in the format of sentence-transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from softkv_attention.transformer.checkpoints.config import (
    CheckpointError,
    Config,
    Tensors,
    UnsupportedModelError,
    read_json,
)
from softkv_attention.transformer.checkpoints.families import complete, position_limit, reader_of
from softkv_attention.transformer.sentence import Dense, SentenceEncoder

LIBRARY = "sentence_transformers."  # the prefix of its own modules; a Pooling of another package may be anything
LAST_LAYER = {"method": "forward", "method_output_name": "last_hidden_state"}
# Arguments of the transformer, its tokenizer and its config, by the names of both generations.
ARGUMENTS = (
    *("model_args", "tokenizer_args", "config_args"),
    *("model_kwargs", "processor_kwargs", "config_kwargs", "processing_kwargs"),
)
# Arguments that do not change the transformer's token vectors. The library ignores the second one, as softkv does.
HARMLESS = {"add_pooling_layer", "trust_remote_code"}
SETTINGS_FILES = tuple(
    f"sentence_{name}_config.json"
    for name in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
"""The names of the file of a transformer's settings: the present one, and those before 2021, named after the model."""


def transformer_settings(folder: Path) -> Config:
    """Return the settings of a transformer: the first of `SETTINGS_FILES` in its folder that has fields."""
    settings = (Config.optional(folder / name) for name in SETTINGS_FILES)
    return next((config for config in settings if config.fields), Config(str(folder / SETTINGS_FILES[0]), {}))


class Modules(NamedTuple):
    """The modules of a sentence encoder.

    Attributes:
        transformer: the folder of the transformer.
        poolings: names from POOLINGS.
        dense: the folders of the maps of the pooled vector, in the order of computation.
        unit_length: whether embeddings are scaled to length one.
    """

    transformer: Path
    poolings: tuple[str, ...]
    dense: tuple[Path, ...]
    unit_length: bool


def modules(folder: Path) -> Modules:
    """Return the modules of the sentence encoder in a folder.

    A folder without modules.json holds a transformer alone; the embedding is then the mean of its tokens.

    Raises:
        CheckpointError: modules.json is damaged.
        UnsupportedModelError: the modules are not a transformer, a pooling, maps, and at most a normalisation.
    """
    path = folder / "modules.json"
    if not path.exists() and (folder / "config.json").exists():
        return Modules(folder, ("mean",), (), False)
    listed = read_modules(folder)
    kinds = [kind.rpartition(".")[2] if kind.startswith(LIBRARY) else kind for kind, _ in listed]
    n_dense, unit_length = kinds.count("Dense"), kinds[-1:] == ["Normalize"]
    if kinds != ["Transformer", "Pooling", *["Dense"] * n_dense, *["Normalize"] * unit_length]:
        raise UnsupportedModelError(
            f"{path} must list Transformer, Pooling and perhaps Dense and Normalize, "
            f"got {', '.join(kinds) or 'nothing'}"
        )
    folders = [module_folder for _, module_folder in listed]
    if unit_length:
        config = Config.optional(folders[-1] / "config.json")
        config.only("module_input_name", "sentence_embedding")
        config.only("module_output_name", "sentence_embedding")
    poolings = pooling_names(Config.read(folders[1] / "config.json"))
    return Modules(folders[0], poolings, tuple(folders[2 : 2 + n_dense]), unit_length)


def read_modules(folder: Path) -> list[tuple[str, Path]]:
    """Read modules.json: the full name of each module's type, and the module's folder.

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
    """Raise an error if the settings of a transformer need one that is not supported.

    Raises:
        UnsupportedModelError: the file selects another output than the last layer's, sets limits for single purposes,
            or has arguments that change the token vectors.
    """
    config.only("transformer_task", "feature-extraction")
    config.only("module_output_name", "token_embeddings")
    for name in ("query_length", "document_length", "query_expansion", "tokenizer_name_or_path"):
        config.only(name, None)
    check_inputs(config, LAST_LAYER)


def check_inputs(config: Config, output: Mapping[str, str]) -> None:
    """Raise UnsupportedModelError if a transformer's settings change what it reads of a text, or what it returns.

    Args:
        config: the settings.
        output: the supported value of `text` in modality_config.
    """
    modalities = config.fields.get("modality_config") or {"text": output}
    # With the modality "message", the library writes every text into the tokenizer's chat template.
    if not isinstance(modalities, dict) or modalities.get("text") != output or "message" in modalities:
        raise UnsupportedModelError(f"{config.source}: modality_config must be {{'text': {output}}}, got {modalities}")
    for name in ARGUMENTS:
        arguments = config.fields.get(name) or {}
        if not isinstance(arguments, dict) or set(arguments) - HARMLESS:
            raise UnsupportedModelError(f"{config.source}: {name} must be empty, got {arguments!r}")


POOLING_NAMES = {"cls": "cls", "max": "max", "mean": "mean", "weightedmean": "weighted_mean", "lasttoken": "last"}
"""The poolings by the library's names, in the order in which it joins their results, with the names in POOLINGS."""

OLDER_FLAGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


def pooling_names(config: Config) -> tuple[str, ...]:
    """Return the poolings that a module's config.json names, in its newer or its older form.

    Raises:
        UnsupportedModelError: a pooling is not supported, or the pooling has to leave out prompts.
    """
    config.only("include_prompt", True)
    chosen = config.fields.get("pooling_mode")
    if chosen is None:
        flags = {name for name, value in config.fields.items() if name.startswith("pooling_mode_") and value is True}
        chosen = [name for name, flag in OLDER_FLAGS.items() if flag in flags]
        chosen += sorted(flags - set(OLDER_FLAGS.values()))
    names = (chosen,) if isinstance(chosen, str) else tuple(chosen)
    if not names or not set(names) <= set(POOLING_NAMES):
        raise UnsupportedModelError(
            f"{config.source}: the pooling must be of {', '.join(POOLING_NAMES)}, got {', '.join(names) or 'none'}"
        )
    return tuple(POOLING_NAMES[name] for name in names)


DOCUMENT_PROMPTS = ("document", "passage", "corpus")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The content of a checkpoint's folder, without its tokenizer.

    Attributes:
        model: the parameters, NumPy arrays of float32; `map_arrays(torch.from_numpy, model)` converts them to torch.
        max_tokens: the largest number of tokens of a text, special tokens included; the caller cuts off the rest.
        prompts: texts by name, which are put in front of a text before it is encoded.
        default_prompt: the name of the prompt for a text without a stated purpose; None for no prompt.
    """

    model: SentenceEncoder
    max_tokens: int
    prompts: Mapping[str, str]
    default_prompt: str | None

    def prompt(self, purpose: Literal["query", "document"]) -> str:
        """Return the text to put in front of a query or a document; empty for most models."""
        names = ("query",) if purpose == "query" else DOCUMENT_PROMPTS
        return next((self.prompts[name] for name in names if name in self.prompts), "")


def load(folder: Path, *, sha256: str | None = None) -> Checkpoint:
    """Load the sentence encoder in a folder.

    Required files are modules.json, config.json, model.safetensors and the pooling's config.json. Large weights may lie
    in several files, which model.safetensors.index.json lists. Optional files are sentence_bert_config.json (or
    another of `SETTINGS_FILES`), config_sentence_transformers.json and tokenizer_config.json.

    Args:
        folder: the folder.
        sha256: the checksum that model.safetensors must have; None to accept any.

    Raises:
        CheckpointError: a file, field or tensor is missing or wrong; the message names it.
        UnsupportedModelError: the kind of model is not supported; the message names the supported ones.
    """
    transformer, poolings, maps, unit_length = modules(folder)
    refuse_adapter(transformer)
    config = complete(Config.read(transformer / "config.json"))
    settings = Config.optional(folder / "config_sentence_transformers.json")
    read = reader_of(config)  # before its weights are read, which may be large
    reading = transformer_settings(transformer)
    check_transformer(reading)
    check_weights(transformer)
    tensors = Tensors.read_folder(transformer, sha256=sha256).with_blocks(config.block_kind())
    embeddings, encoder = read(config, tensors)
    prompts, default_prompt = prompts_of(settings)
    width = int(embeddings.tokens.shape[-1]) * len(poolings)
    dense = []
    for path in maps:
        dense.append(dense_map(path, width))
        width = int(dense[-1].linear.weight.shape[1])
    declared = token_limit(reading)
    limit = position_limit(config, embeddings, declared)
    return Checkpoint(
        model=SentenceEncoder(embeddings, encoder, poolings, unit_length, truncation(settings), tuple(dense)),
        max_tokens=min(filter(None, (declared or tokenizer_limit(transformer), limit))),
        prompts=prompts,
        default_prompt=default_prompt,
    )


LIBRARY_WEIGHTS = ("pytorch_model*.bin", "*.safetensors")
OTHER_WEIGHTS = ("*.gguf", "*.h5", "*.msgpack", "*.onnx", "openvino_*.xml")
"""Names of files of weights that sentence-transformers reads besides, and of those for other programs."""


def check_weights(folder: Path) -> None:
    """Raise an error if a folder has weights only in formats that are not supported, here or in folders below.

    Raises:
        UnsupportedModelError: sentence-transformers reads one of them.
        CheckpointError: they are of other programs.
    """
    weights = folder / "model.safetensors"
    if weights.exists() or (folder / f"{weights.name}.index.json").exists():
        return
    if names := sorted(path.name for pattern in LIBRARY_WEIGHTS for path in folder.glob(pattern)):
        raise UnsupportedModelError(f"the weights must be in {weights}, there is only {', '.join(names)}")
    if names := sorted(str(path.relative_to(folder)) for pattern in OTHER_WEIGHTS for path in folder.rglob(pattern)):
        raise CheckpointError(
            f"the weights must be in {weights}, there is only {', '.join(names[:3])}: fetch the model's "
            "model.safetensors, or serve this folder by another program behind a URL"
        )


def refuse_adapter(transformer: Path) -> None:
    """Raise UnsupportedModelError if a transformer's folder has an adapter; peft saves it without config.json."""
    if (path := transformer / "adapter_config.json").exists():
        raise UnsupportedModelError(
            f"the weights must be in model.safetensors alone, and {path} adds an adapter to them"
        )


DENSE_ACTIVATIONS = {"Identity": None, "Tanh": "tanh", "ReLU": "relu", "GELU": "gelu", "SiLU": "silu"}
"""The activations of the module Dense, by their names in torch.nn, with the names in ACTIVATIONS."""


def torch_class(name: object) -> str | None:
    """Return the last part of a class's full name, such as torch.nn.Tanh; None for a class of another library."""
    return name.rpartition(".")[2] if isinstance(name, str) and name.startswith("torch.") else None


def dense_map(folder: Path, width: int) -> Dense:
    """Read a module Dense.

    Args:
        folder: the module's folder.
        width: the width of the vectors before it.

    Raises:
        UnsupportedModelError: its activation, its format or what it works on is not supported.
        CheckpointError: a file, a field or a tensor is missing or wrong.
    """
    config = Config.read(folder / "config.json")
    config.only("module_input_name", "sentence_embedding")
    if config.fields.get("module_output_name") is not None:
        config.only("module_output_name", "sentence_embedding")
    config.only("use_residual", False)
    full_name = config.fields.get("activation_function", "torch.nn.Tanh")
    name = torch_class(full_name)
    if name not in DENSE_ACTIVATIONS:
        raise UnsupportedModelError(
            f"{config.source}: activation_function must be torch.nn's {', '.join(DENSE_ACTIVATIONS)}, got {full_name!r}"
        )
    d_in, d_out = config.count("in_features"), config.count("out_features")
    if d_in != width:
        raise CheckpointError(f"{config.source}: in_features must be {width}, the width before it, got {d_in}")
    check_weights(folder)
    tensors = Tensors.read_folder(folder)
    return Dense(tensors.linear("linear", d_in, d_out, bias=config.flag("bias", True)), DENSE_ACTIVATIONS[name])


def truncation(config: Config) -> int | None:
    """Return the number of components to which the model truncates its embeddings; None for all.

    Raises:
        CheckpointError: truncate_dim is not a whole number, 1 or more.
    """
    return None if config.fields.get("truncate_dim") is None else config.count("truncate_dim")


def prompts_of(config: Config) -> tuple[Mapping[str, str], str | None]:
    """Return the prompts by name, and the name of the default prompt.

    Raises:
        CheckpointError: a prompt is not a text, or the default is not among the prompts.
    """
    prompts, default = config.fields.get("prompts") or {}, config.fields.get("default_prompt_name")
    if not isinstance(prompts, dict) or not all(isinstance(text, str | None) for text in prompts.values()):
        raise CheckpointError(f"{config.source}: prompts must be texts by name, got {prompts!r}")
    # These two are always there, and empty unless the model says otherwise.
    if default is not None and default not in {"query", "document", *prompts}:
        names = ", ".join(prompts) or "query, document"
        raise CheckpointError(f"{config.source}: default_prompt_name must be one of {names}, got {default!r}")
    return {name: text or "" for name, text in prompts.items()}, default


def token_limit(settings: Config) -> int | None:
    """Return `max_seq_length` of a transformer's settings, the most tokens of a text; None if it is left out."""
    return None if settings.fields.get("max_seq_length") is None else settings.count("max_seq_length")


def tokenizer_limit(transformer: Path) -> int:
    """Return the largest number of tokens of a text that the tokenizer declares."""
    tokenizer = Config.optional(transformer / "tokenizer_config.json")
    # Before 2020 the field was called max_len. Without a limit it has a very large number, which may be 1e30, or null.
    name = "model_max_length" if "model_max_length" in tokenizer.fields else "max_len"
    return int(tokenizer.number(name, 1e30)) if tokenizer.fields.get(name) is not None else 10**30
