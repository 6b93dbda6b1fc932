"""The files of a checkpoint, JSON and tensors, with every field and shape checked: they come from outside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from array_api_compat import array_namespace

from attention.arrays import Array
from attention.errors import AttentionError
from attention.transformer.feed_forward import Linear
from attention.transformer.layer import LayerNorm


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


DTYPES: Mapping[str, str] = {
    "BF16": "u2",  # NumPy has no bfloat16, see `to_numpy`
    **{f"F{8 * n}": f"f{n}" for n in (2, 4, 8)},
    **{f"{letter.upper()}{8 * n}": f"{letter}{n}" for letter in "iu" for n in (1, 2, 4, 8)},
    "BOOL": "?",
}
"""The types of safetensors, and NumPy's names of the same types, for little-endian numbers."""


@dataclass(frozen=True, eq=False)
class Tensors:
    """Tensors by name, and their source.

    Attributes:
        source: the name of their source in an error's message, such as the file.
        named: the tensors by name, of NumPy or torch.
    """

    source: str
    named: Mapping[str, Array]

    @classmethod
    def read(cls, path: Path, *, sha256: str | None = None) -> Tensors:
        """Read the tensors of a safetensors file as NumPy arrays.

        Args:
            path: the file.
            sha256: the checksum that the file must have, in hexadecimal; None to accept any.

        Raises:
            CheckpointError: the file cannot be read, is damaged, or has another checksum.
            UnsupportedModelError: a tensor has a type that NumPy lacks, as in a quantised model.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"the weights must be in {path}, which cannot be read ({error.strerror}): "
                f"save the model as one safetensors file"
            ) from error
        # The bytes that were checked are the bytes that are used: the file is read once.
        if sha256 is not None and (digest := hashlib.sha256(data).hexdigest()) != sha256.lower():
            raise CheckpointError(f"{path} must have the sha256 {sha256}, got {digest}: get the file again")
        try:
            stored = safetensors.deserialize(data)  # type: ignore[no-untyped-call]
        except safetensors.SafetensorError as error:
            raise CheckpointError(f"{path} must be a safetensors file, got a damaged one ({error})") from error
        if unknown := [f"{name} of {tensor['dtype']}" for name, tensor in stored if tensor["dtype"] not in DTYPES]:
            raise UnsupportedModelError(
                f"{path}: tensors must be of {', '.join(DTYPES)}, got {unknown[0]}: save the model in float32"
            )
        return cls(str(path), {modern_name(name): to_numpy(**tensor) for name, tensor in stored})

    def without_prefix(self, *prefixes: str) -> Tensors:
        """Return these tensors without the prefixes of a larger model that they were saved with."""
        named = dict(self.named)
        for prefix in prefixes:
            named |= {name.removeprefix(prefix): t for name, t in named.items() if name.startswith(prefix)}
        return Tensors(self.source, named)

    def take(self, name: str, *shape: int) -> Array:
        """Return the tensor with this name and shape, in float32.

        Raises:
            CheckpointError: the tensor is missing, or has another shape.
            UnsupportedModelError: its type is not floating, as in a quantised model.
        """
        tensor = self.named.get(name)
        if tensor is None:
            raise CheckpointError(f"{self.source} lacks the tensor {name} of shape {list(shape)}")
        if tuple(tensor.shape) != shape:
            raise CheckpointError(
                f"{self.source}: the tensor {name} must have shape {list(shape)}, got {list(tensor.shape)}: "
                f"config.json and the weights are not of one model"
            )
        xp = array_namespace(tensor)
        if not xp.isdtype(tensor.dtype, "real floating"):
            raise UnsupportedModelError(
                f"{self.source}: the tensor {name} must be of a floating type, got {tensor.dtype}"
            )
        return xp.astype(tensor, xp.float32, copy=False)

    def linear(self, name: str, d_in: int, d_out: int) -> Linear:
        """Return the affine map called `name`, which is stored as [d_out, d_in]."""
        return Linear(self.take(f"{name}.weight", d_out, d_in).T, self.take(f"{name}.bias", d_out))

    def norm(self, name: str, d_model: int, epsilon: float) -> LayerNorm:
        """Return the layer normalisation called `name`."""
        scale, shift = self.take(f"{name}.weight", d_model), self.take(f"{name}.bias", d_model)
        return LayerNorm(scale, shift, epsilon)


def to_numpy(dtype: str, shape: list[int], data: bytearray) -> Array:
    """Return a tensor that safetensors stored; bfloat16 becomes float32, whose upper half it is."""
    array = np.frombuffer(data, np.dtype(DTYPES[dtype]).newbyteorder("<")).reshape(shape)
    return (array.astype(np.uint32) << 16).view(np.float32) if dtype == "BF16" else array


def modern_name(name: str) -> str:
    """Return the current name of a tensor: files of 2018 call a normalisation's parameters gamma and beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
