"""Declarations in a model's folder: the kind of the model, its similarity and the temperature of its training."""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Self

from softkv_attention.transformer import Config, cross_encoder_settings, read_modules, torch_class, truncation
from softkv_service.encoding.errors import ModelUnusable
from softkv_service.encoding.temperature import Similarity


class Kind(Enum):
    """The kinds of models of sentence-transformers that have no dense vector of a text, and so cannot be used.

    Each has a description, and advice for the user.
    """

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


# The types in config_sentence_transformers.json of models other than SentenceTransformer; the last is PyLate's.
MODEL_TYPES = {
    "SparseEncoder": Kind.SPARSE,
    "CrossEncoder": Kind.CROSS,
    "MultiVectorEncoder": Kind.LATE,
    "ColBERT": Kind.LATE,
}
# Packages whose modules belong to one kind only; modules.json gives the full names of modules.
PACKAGES = {
    "sentence_transformers.sparse_encoder.": Kind.SPARSE,
    "sentence_transformers.cross_encoder.": Kind.CROSS,
    "sentence_transformers.multi_vector_encoder.": Kind.LATE,
    "pylate.": Kind.LATE,
}


def require_dense(directory: Path) -> None:
    """Raise unless a folder holds a dense sentence encoder; only small JSON files are read.

    sentence-transformers would load any other folder too, and use its transformer alone, whose vectors are untrained.

    Raises:
        ModelUnusable: the folder has another kind of model, or does not declare how a text becomes a vector.
        CheckpointError: a file is damaged.
    """
    if not (directory / "modules.json").is_file():
        raise _without_modules(directory)
    settings = Config.optional(directory / "config_sentence_transformers.json")
    model_type = settings.fields.get("model_type", "SentenceTransformer")
    if isinstance(model_type, str) and model_type in MODEL_TYPES:
        raise _refusal(directory, MODEL_TYPES[model_type], f"model_type is {model_type!r}")
    for module in _module_types(read_modules(directory)):
        for package, kind in PACKAGES.items():
            if module.startswith(package):
                raise _refusal(directory, kind, f"it has the module {module.rpartition('.')[2]}")
    if model_type != "SentenceTransformer":
        raise ModelUnusable(
            f"{settings.source} says that model_type is {model_type!r}, wanted SentenceTransformer: "
            "name a dense sentence-transformers model"
        )


ONE_LABEL = "name a cross-encoder with one label, such as cross-encoder/ms-marco-MiniLM-L6-v2"


def require_reranker(directory: Path) -> None:
    """Raise unless a folder holds a cross-encoder with one label; only small JSON files are read.

    Raises:
        ModelUnusable: the folder has another kind of model, or several labels.
        CheckpointError: a file is damaged.
    """
    settings = Config.optional(directory / "config_sentence_transformers.json")
    model_type = settings.fields.get("model_type")
    has_modules = (directory / "modules.json").is_file()
    if model_type is None and has_modules:
        model_type = (
            "SentenceTransformer"  # as files before the version 5 leave it out, and cross-encoders had no modules
        )
    transformer = Config.optional(directory / "config.json")
    named = transformer.fields.get("architectures")
    architectures = [str(name) for name in named] if isinstance(named, list) else []
    if model_type not in (None, "CrossEncoder"):
        raise ModelUnusable(f"{directory} holds a {model_type}, wanted a cross-encoder: {ONE_LABEL}")
    if model_type is None and not any(name.endswith("ForSequenceClassification") for name in architectures):
        raise ModelUnusable(
            f"{directory} holds {', '.join(architectures) or 'no model'}, wanted a cross-encoder, whose architecture "
            f"ends in ForSequenceClassification: {ONE_LABEL}"
        )
    labels = transformer.fields.get("id2label")
    if isinstance(labels, dict) and len(labels) != 1:
        raise ModelUnusable(f"the model in {directory} has {len(labels)} labels, wanted one: {ONE_LABEL}")


def read_activation(directory: Path) -> str:
    """Return the name in torch.nn of the activation that a cross-encoder's maker applies to the logit.

    It is Sigmoid if no file names one of torch's, as in sentence-transformers, which trusts no other names.

    Raises:
        CheckpointError: a file is damaged.
    """
    config = Config.optional(directory / "config.json").fields
    nested, older = config.get("sentence_transformers"), config.get("sbert_ce_default_activation_function")
    settings = cross_encoder_settings(directory)
    named = nested.get("activation_fn", older) if isinstance(nested, dict) else older
    return torch_class(settings.fields.get("activation_fn")) or torch_class(named) or "Sigmoid"


def _module_types(modules: list[tuple[str, Path]]) -> Iterator[str]:
    """Yield the full names of a model's modules, and of the modules behind a router."""
    for name, folder in modules:
        yield name
        if name.rpartition(".")[2] in ("Router", "Asym"):
            for file in ("router_config.json", "config.json"):  # the newer form and the older one
                types = Config.optional(folder / file).fields.get("types")
                yield from map(str, types.values() if isinstance(types, dict) else ())


def _refusal(directory: Path, kind: Kind, sign: str) -> ModelUnusable:
    description, advice = kind.value
    return ModelUnusable(
        f"{directory} holds {description} ({sign}); softkv wants one dense vector a text: "
        f"name a dense sentence-transformers model, and {advice}"
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


# A loss and its parameters in README.md, in the format of sentence-transformers: JSON since its third version,
# a Python literal before. Free text is ignored.
LOSS = re.compile(
    r"Loss\W+(?:<code>|`)(?:\w+\.)*(?P<name>\w+)(?:</code>\]\([^)\n]*\)|`) with (?:these )?parameters:\s*"
    r"```(?:json)?\n(?P<parameters>.*?)```",
    re.DOTALL,
)
# Losses that are a softmax over the similarities of a batch, and their parameter: 1/T, or T of cosines.
SCALED = (
    "MultipleNegativesRankingLoss",
    "MultipleNegativesSymmetricRankingLoss",
    "CachedMultipleNegativesRankingLoss",
    "CachedMultipleNegativesSymmetricRankingLoss",
)
TEMPERED = ("GISTEmbedLoss", "CachedGISTEmbedLoss")
CARD_SIMILARITIES: dict[object, Similarity] = {"cos_sim": "cosine", "pytorch_cos_sim": "cosine", "dot_score": "dot"}
PLAUSIBLE = (1e-4, 1e4)


def card_temperature(directory: Path) -> tuple[Similarity, float] | None:
    """Return the similarity and the temperature of a model's training, as its model card declares them.

    Return None if the card does not declare them. A card may list several losses, for several data sets. If they
    disagree, return None.
    """
    try:
        card = (directory / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    losses = ((match["name"], _parameters(match["parameters"])) for match in LOSS.finditer(card))
    temperatures = {_temperature(name, parameters) for name, parameters in losses} - {None}
    return temperatures.pop() if len(temperatures) == 1 else None


def _parameters(text: str) -> dict[str, Any]:
    try:
        parameters = json.loads(text)
    except ValueError:
        try:
            parameters = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return {}
    return parameters if isinstance(parameters, dict) else {}


def _temperature(loss: str, parameters: dict[str, Any]) -> tuple[Similarity, float] | None:
    if loss in SCALED:
        name, scale = parameters.get("similarity_fct"), _number(parameters.get("scale"))
        similarity = CARD_SIMILARITIES.get(name) if isinstance(name, str) else None
        return None if similarity is None or scale is None else (similarity, 1 / scale)
    if loss in TEMPERED:
        temperature = _number(parameters.get("temperature"))
        return None if temperature is None else ("cosine", temperature)
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if PLAUSIBLE[0] <= value <= PLAUSIBLE[1] else None


# By sentence-transformers' names. Distance is not a similarity here: −‖q − k‖²/2 gives the same order of documents.
SIMILARITIES: dict[object, Similarity] = {"cosine": "cosine", "dot": "dot", "euclidean": "gaussian"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """The declarations of a model's maker about its use.

    Attributes:
        similarity: the default similarity of the model's collections.
        temperature: the similarity and the temperature of its training; None if they are not declared.
        note: a note for the operator if `similarity` is not the one that the maker declares, else None.
    """

    similarity: Similarity = "cosine"
    temperature: tuple[Similarity, float] | None = None
    note: str | None = None

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read config_sentence_transformers.json and the model card.

        Raises:
            CheckpointError: config_sentence_transformers.json is damaged, or its truncate_dim is invalid.
        """
        settings = Config.optional(directory / "config_sentence_transformers.json")
        truncation(settings)
        name = settings.fields.get("similarity_fn_name") or "cosine"
        similarity = SIMILARITIES.get(name) if isinstance(name, str) else None
        return cls(similarity or "cosine", card_temperature(directory), _note(name, similarity))


def _note(name: object, similarity: Similarity | None) -> str | None:
    if similarity is None:
        return (
            f"its maker compares vectors by {name!r}, which no similarity of a collection orders alike: collections "
            "default to cosine, name another where you know better"
        )
    if similarity == "gaussian":
        return (
            f"its maker compares vectors by {name} distance: collections default to the similarity gaussian, "
            "which orders documents alike"
        )
    return None
