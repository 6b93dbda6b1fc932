"""What a model's folder declares: its kind, its similarity and the temperature of its training."""

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

from attention.transformer import Config, listed_modules, truncation
from service.encoding.errors import ModelUnusable
from service.encoding.temperature import Similarity


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


# A loss and its parameters, as sentence-transformers writes them into README.md: JSON since its third version,
# a Python literal before. What people write there in words is not read.
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
    """The similarity that a model was trained with and its temperature; None where the card does not say one.

    A card may list several losses, of several data sets; they must agree.
    """
    try:
        card = (directory / "README.md").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    said = {_temperature(found["name"], _parameters(found["parameters"])) for found in LOSS.finditer(card)} - {None}
    return said.pop() if len(said) == 1 else None


def _parameters(written: str) -> dict[str, Any]:
    try:
        parameters = json.loads(written)
    except ValueError:
        try:
            parameters = ast.literal_eval(written.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return {}
    return parameters if isinstance(parameters, dict) else {}


def _temperature(loss: str, parameters: dict[str, Any]) -> tuple[Similarity, float] | None:
    if loss in SCALED:
        compared, scale = parameters.get("similarity_fct"), _number(parameters.get("scale"))
        similarity = CARD_SIMILARITIES.get(compared) if isinstance(compared, str) else None
        return None if similarity is None or scale is None else (similarity, 1 / scale)
    if loss in TEMPERED:
        temperature = _number(parameters.get("temperature"))
        return None if temperature is None else ("cosine", temperature)
    return None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value) if PLAUSIBLE[0] <= value <= PLAUSIBLE[1] else None


# By sentence-transformers' names. Distance itself is no similarity here: −‖q − k‖²/2 orders documents as it does.
SIMILARITIES: dict[object, Similarity] = {"cosine": "cosine", "dot": "dot", "euclidean": "gaussian"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a model's maker says of its vectors.

    Attributes:
        similarity: what they are compared by; collections of the model default to it.
        temperature: the similarity it was trained with, and its temperature; None where nothing is said.
        note: what one should know who compares by `similarity`; None where it is what the maker named.
    """

    similarity: Similarity = "cosine"
    temperature: tuple[Similarity, float] | None = None
    note: str | None = None

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read config_sentence_transformers.json and the model card.

        Raises:
            CheckpointError: the former is damaged, or its truncate_dim is no width.
        """
        settings = Config.optional(directory / "config_sentence_transformers.json")
        truncation(settings)
        named = settings.fields.get("similarity_fn_name") or "cosine"
        similarity = SIMILARITIES.get(named) if isinstance(named, str) else None
        return cls(similarity or "cosine", card_temperature(directory), _note(named, similarity))


def _note(named: object, similarity: Similarity | None) -> str | None:
    if similarity is None:
        return (
            f"its maker compares vectors by {named!r}, which no similarity of a collection orders alike: collections "
            "default to cosine, name another where you know better"
        )
    if similarity == "gaussian":
        return (
            f"its maker compares vectors by {named} distance: collections default to the similarity gaussian, "
            "which orders documents alike"
        )
    return None
