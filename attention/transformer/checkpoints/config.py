"""The JSON files of a checkpoint, with every field checked: they come from outside."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attention.errors import AttentionError


class CheckpointError(AttentionError):
    """An error for a checkpoint that is missing, damaged or incomplete, or has another checksum."""


class UnsupportedModelError(CheckpointError):
    """An error for an intact checkpoint of a model that this library cannot compute."""


ACTIVATION_NAMES: Mapping[str, str] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""The activations by the names of Hugging Face, with the names that ACTIVATIONS has."""


@dataclass(frozen=True)
class Config:
    """The fields of one JSON file.

    Attributes:
        source: the name of the file in an error's message.
        fields: the values by name.
    """

    source: str
    fields: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Config:
        """Read the JSON object in a file.

        Raises:
            CheckpointError: the file is missing, or does not hold a JSON object.
        """
        fields = read_json(path)
        if not isinstance(fields, dict):
            raise CheckpointError(f"{path} must hold a JSON object, got {type(fields).__name__}")
        return cls(str(path), fields)

    @classmethod
    def optional(cls, path: Path) -> Config:
        """Read the JSON object in a file; return a config without fields if the file is missing."""
        return cls.read(path) if path.exists() else cls(str(path), {})

    def count(self, name: str, *, least: int = 1) -> int:
        """Return a field that must be a whole number from `least` on.

        Raises:
            CheckpointError: the field is missing, or is not such a number.
        """
        value = self.fields.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise CheckpointError(f"{self.source}: {name} must be a whole number from {least} on, got {value!r}")
        return value

    def heads(self, name: str, d_model: int) -> int:
        """Return a field that must be a number of heads, which divides d_model.

        Raises:
            CheckpointError: the field is missing, or is not such a number.
        """
        n_heads = self.count(name)
        if d_model % n_heads:
            raise CheckpointError(f"{self.source}: {name} must divide the width {d_model}, got {n_heads}")
        return n_heads

    def number(self, name: str, otherwise: float) -> float:
        """Return a field that must be a positive number; `otherwise` if it is missing.

        Raises:
            CheckpointError: the field is not a positive number.
        """
        value = self.fields.get(name, otherwise)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise CheckpointError(f"{self.source}: {name} must be a number above 0, got {value!r}")
        return float(value)

    def activation(self, name: str) -> str:
        """Return the activation that a field names, by its name in ACTIVATIONS; "gelu" if the field is missing.

        Raises:
            UnsupportedModelError: the activation is not supported.
        """
        value = self.fields.get(name, "gelu")
        if value not in ACTIVATION_NAMES:
            raise UnsupportedModelError(
                f"{self.source}: {name} must be one of {', '.join(ACTIVATION_NAMES)}, got {value!r}"
            )
        return ACTIVATION_NAMES[value]

    def only(self, name: str, supported: object) -> None:
        """Raise UnsupportedModelError if a field is present with a value other than `supported`."""
        value = self.fields.get(name, supported)
        if value != supported:
            raise UnsupportedModelError(f"{self.source}: {name} must be {supported!r}, got {value!r}")


def read_json(path: Path) -> object:
    """Read a JSON file.

    Raises:
        CheckpointError: the file cannot be read, or is not JSON.
    """
    try:
        value: object = json.loads(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"a checkpoint must have {path}, which cannot be read: {error.strerror}") from error
    except ValueError as error:  # not JSON, or not UTF-8
        raise CheckpointError(f"{path} must hold JSON, got something else ({error})") from error
    return value
