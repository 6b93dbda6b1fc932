"""What a model's folder says of how its vectors are compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from service.encoding.models.model_card import card_temperature
from service.encoding.temperature import Similarity

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
        # A second to import, so only a process that loads a model pays for it.
        from attention.transformer import Config, truncation

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
