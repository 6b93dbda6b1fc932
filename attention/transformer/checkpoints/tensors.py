"""The tensors of a checkpoint by name, each asked for with its shape."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from attention.transformer.checkpoints.errors import CheckpointError, UnsupportedModelError
from attention.transformer.feed_forward import Linear
from attention.transformer.norm import LayerNorm

PRECISIONS: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, eq=False)
class Tensors:
    """Named tensors, and where they come from.

    Attributes:
        source: what an error calls them, such as the file.
        named: the tensors, of any floating type.
        precision: the type they are handed out in, a key of PRECISIONS.
    """

    source: str
    named: Mapping[str, torch.Tensor]
    precision: str = "float32"

    @classmethod
    def read(cls, path: Path, *, precision: str = "float32", sha256: str | None = None) -> Tensors:
        """The tensors of a safetensors file.

        Args:
            path: the file.
            precision: "float32" or "bfloat16".
            sha256: the checksum that the file must have, in hexadecimal; None to take any.

        Raises:
            CheckpointError: the file cannot be read, is damaged, or has another checksum.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CheckpointError(
                f"the weights must be in {path}, which cannot be read ({error.strerror}): "
                f"save the model as one safetensors file"
            ) from error
        # The bytes that were checked are the bytes that are used: the file is read once.
        if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256.lower():
            raise CheckpointError(f"{path} must have the sha256 {sha256}, got {found}: get the file again")
        try:
            named = safetensors.torch.load(data)
        except safetensors.SafetensorError as error:
            raise CheckpointError(f"{path} must be a safetensors file, got a damaged one ({error})") from error
        return cls(str(path), {later(name): tensor for name, tensor in named.items()}, precision)

    def without_prefix(self, *prefixes: str) -> Tensors:
        """The same tensors, without the name of the model that they were saved as a part of."""
        named = dict(self.named)
        for prefix in prefixes:
            named |= {name.removeprefix(prefix): t for name, t in named.items() if name.startswith(prefix)}
        return Tensors(self.source, named, self.precision)

    def take(self, name: str, *shape: int) -> torch.Tensor:
        """The tensor of that name and shape.

        Raises:
            CheckpointError: there is none, or it has another shape.
            UnsupportedModelError: it is not of a floating type, as in a quantised model.
        """
        tensor = self.named.get(name)
        if tensor is None:
            raise CheckpointError(f"{self.source} lacks the tensor {name} of shape {list(shape)}")
        if tuple(tensor.shape) != shape:
            raise CheckpointError(
                f"{self.source}: the tensor {name} must have shape {list(shape)}, got {list(tensor.shape)}: "
                f"config.json and the weights are not of one model"
            )
        if not tensor.dtype.is_floating_point:
            raise UnsupportedModelError(
                f"{self.source}: the tensor {name} must be of a floating type, got {tensor.dtype}"
            )
        return tensor.to(PRECISIONS[self.precision])

    def linear(self, name: str, d_in: int, d_out: int) -> Linear:
        """The affine map called `name`, stored as [d_out, d_in]."""
        return Linear(self.take(f"{name}.weight", d_out, d_in).T, self.take(f"{name}.bias", d_out))

    def norm(self, name: str, d_model: int, epsilon: float) -> LayerNorm:
        """The layer normalisation called `name`."""
        scale, shift = self.take(f"{name}.weight", d_model), self.take(f"{name}.bias", d_model)
        return LayerNorm(scale, shift, epsilon)


def later(name: str) -> str:
    """The later name of a tensor whose file may be of 2018, when a normalisation had a gamma and a beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
