"""A checkpoint's JSON files, read with the care that files from elsewhere need."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attention.errors import AttentionError


class CheckpointError(AttentionError):
    """A checkpoint that is missing, damaged, incomplete or not the one that was asked for."""


class UnsupportedModelError(CheckpointError):
    """A sound checkpoint of a model that this core does not compute."""


ACTIVATION_NAMES: Mapping[str, str] = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""What Hugging Face calls an activation, and what it is called here."""


@dataclass(frozen=True)
class Config:
    """The fields of one JSON file.

    Attributes:
        source: what an error calls it, such as the file.
        fields: what it holds.
    """

    source: str
    fields: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Config:
        """The JSON object in a file.

        Raises:
            CheckpointError: there is no such file, or something else in it.
        """
        fields = read_json(path)
        if not isinstance(fields, dict):
            raise CheckpointError(f"{path} must hold a JSON object, got {type(fields).__name__}")
        return cls(str(path), fields)

    @classmethod
    def optional(cls, path: Path) -> Config:
        """The same, without any field where there is no such file."""
        return cls.read(path) if path.exists() else cls(str(path), {})

    def count(self, name: str, *, least: int = 1) -> int:
        """A field that must be a whole number, at least 1.

        Raises:
            CheckpointError: it is missing or something else.
        """
        value = self.fields.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise CheckpointError(f"{self.source}: {name} must be a whole number from {least} on, got {value!r}")
        return value

    def heads(self, name: str, d_model: int) -> int:
        """A field that must be a number of heads, which divides d_model.

        Raises:
            CheckpointError: it is missing or something else.
        """
        n_heads = self.count(name)
        if d_model % n_heads:
            raise CheckpointError(f"{self.source}: {name} must divide the width {d_model}, got {n_heads}")
        return n_heads

    def number(self, name: str, otherwise: float) -> float:
        """A field that must be a positive number.

        Raises:
            CheckpointError: it is something else.
        """
        value = self.fields.get(name, otherwise)
        if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
            raise CheckpointError(f"{self.source}: {name} must be a number above 0, got {value!r}")
        return float(value)

    def activation(self, name: str) -> str:
        """A field that must name an activation.

        Raises:
            UnsupportedModelError: it names one that is not computed here.
        """
        value = self.fields.get(name, "gelu")
        if value not in ACTIVATION_NAMES:
            raise UnsupportedModelError(
                f"{self.source}: {name} must be one of {', '.join(ACTIVATION_NAMES)}, got {value!r}"
            )
        return ACTIVATION_NAMES[value]

    def only(self, name: str, supported: object) -> None:
        """Refuse a field, where it is present, that is not `supported`.

        Raises:
            UnsupportedModelError: it is something else.
        """
        value = self.fields.get(name, supported)
        if value != supported:
            raise UnsupportedModelError(f"{self.source}: {name} must be {supported!r}, got {value!r}")


def read_json(path: Path) -> object:
    """What a JSON file holds.

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
