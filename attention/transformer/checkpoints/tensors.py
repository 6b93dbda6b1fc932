"""The tensors of a checkpoint by name, with their shapes checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
from array_api_compat import array_namespace

from attention.arrays import Array
from attention.transformer.checkpoints.config import CheckpointError, UnsupportedModelError
from attention.transformer.feed_forward import Linear
from attention.transformer.layer import LayerNorm

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
