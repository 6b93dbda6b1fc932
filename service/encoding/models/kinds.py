"""Which kind of model a folder holds: one that gives a text one dense vector goes on, every other is refused."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from attention.transformer import Config, listed_modules
from service.encoding.errors import ModelUnusable


class Kind(Enum):
    """The kinds of sentence-transformers that give no dense vector: what each is, and what it is good for."""

    SPARSE = (
        "a sparse encoder, whose vectors are a few weights among thousands of words",
        "keep this one for an engine with an inverted index",
    )
    CROSS = (
        "a cross-encoder, which scores a question and a text together and has no vector of either",
        "let this one rerank the matches that softkv returns",
    )
    LATE = (
        "a late-interaction model, which gives every token of a text a vector of its own",
        "let this one rerank the matches that softkv returns",
    )


# What config_sentence_transformers.json calls a model that is no SentenceTransformer; PyLate's own name is the last.
MODEL_TYPES = {
    "SparseEncoder": Kind.SPARSE,
    "CrossEncoder": Kind.CROSS,
    "MultiVectorEncoder": Kind.LATE,
    "ColBERT": Kind.LATE,
}
# The packages of modules that belong to one kind alone, as the names of their types say.
PACKAGES = {
    "sentence_transformers.sparse_encoder.": Kind.SPARSE,
    "sentence_transformers.cross_encoder.": Kind.CROSS,
    "sentence_transformers.multi_vector_encoder.": Kind.LATE,
    "pylate.": Kind.LATE,
}


def require_dense(directory: Path) -> None:
    """Refuse a folder that holds no dense sentence encoder; only small JSON files are read.

    sentence-transformers would make such a folder a sentence encoder all the same, from its transformer
    alone, whose vectors nobody has trained.

    Raises:
        ModelUnusable: it is another kind of model, or does not say how a text becomes a vector.
        CheckpointError: a file is damaged.
    """
    if not (directory / "modules.json").is_file():
        raise _without_modules(directory)
    settings = Config.optional(directory / "config_sentence_transformers.json")
    model_type = settings.fields.get("model_type", "SentenceTransformer")
    if isinstance(model_type, str) and model_type in MODEL_TYPES:
        raise _refusal(directory, MODEL_TYPES[model_type], f"model_type is {model_type!r}")
    for module in _module_types(listed_modules(directory)):
        for package, kind in PACKAGES.items():
            if module.startswith(package):
                raise _refusal(directory, kind, f"it has the module {module.rpartition('.')[2]}")
    if model_type != "SentenceTransformer":
        raise ModelUnusable(
            f"{settings.source} says that model_type is {model_type!r}, wanted SentenceTransformer: "
            "name a dense sentence-transformers model"
        )


def _module_types(modules: list[tuple[str, Path]]) -> Iterator[str]:
    """The full names of all modules, and of those that a router chooses from."""
    for name, folder in modules:
        yield name
        if name.rpartition(".")[2] in ("Router", "Asym"):
            for file in ("router_config.json", "config.json"):  # the newer form and the older one
                types = Config.optional(folder / file).fields.get("types")
                yield from map(str, types.values() if isinstance(types, dict) else ())


def _refusal(directory: Path, kind: Kind, sign: str) -> ModelUnusable:
    what, instead = kind.value
    return ModelUnusable(
        f"{directory} holds {what} ({sign}); softkv wants one dense vector a text: "
        f"name a dense sentence-transformers model, and {instead}"
    )


def _without_modules(directory: Path) -> ModelUnusable:
    architectures = Config.optional(directory / "config.json").fields.get("architectures")
    for architecture in architectures if isinstance(architectures, list) else []:
        if str(architecture).endswith("ForSequenceClassification"):
            return _refusal(directory, Kind.CROSS, f"its architecture is {architecture}")
        if architecture == "HF_ColBERT":
            return _refusal(directory, Kind.LATE, f"its architecture is {architecture}")
    return ModelUnusable(
        f"{directory} has no modules.json, so it does not say how its vectors are pooled: "
        "name the directory of a sentence-transformers model"
    )
