"""The files of a checkpoint, JSON and tensors, with every field and shape checked: they come from outside."""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softkv_attention.arrays import Array, array_namespace
from softkv_attention.errors import AttentionError
from softkv_attention.heads import Heads
from softkv_attention.transformer.embeddings import BLOCK_BYTES, StoredRows
from softkv_attention.transformer.feed_forward import Linear
from softkv_attention.transformer.layer import LayerNorm, RMSNorm


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

    def flag(self, name: str, otherwise: bool) -> bool:
        """Return a field that must be true or false; `otherwise` if it is missing or null.

        Raises:
            CheckpointError: the field is something else.
        """
        value = self.fields.get(name)
        if value is None:
            return otherwise
        if not isinstance(value, bool):
            raise CheckpointError(f"{self.source}: {name} must be true or false, got {value!r}")
        return value

    def block_kind(self) -> str | None:
        """Return the kind of the blocks in which matrices are stored, a key of BLOCK_BYTES; None without blocks.

        Raises:
            UnsupportedModelError: the model is quantised in another way.
        """
        quantisation = self.part("quantization_config")
        kind = None if quantisation is None else quantisation.fields.get("quant_method")
        if quantisation is not None and kind not in BLOCK_BYTES:
            raise UnsupportedModelError(
                f"{quantisation.source}: quant_method must be one of {', '.join(BLOCK_BYTES)}, got {kind!r}"
            )
        return kind

    def part(self, name: str) -> Config | None:
        """Return a field that must be an object, as a config; None if it is missing or null.

        Raises:
            CheckpointError: the field is something else.
        """
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise CheckpointError(f"{self.source}: {name} must be an object, got {value!r}")
        return Config(f"{self.source}, {name}", value)

    def activation(self, name: str, otherwise: str = "gelu") -> str:
        """Return the activation that a field names, by its name in ACTIVATIONS; `otherwise` if the field is missing.

        Raises:
            UnsupportedModelError: the activation is not supported.
        """
        value = self.fields.get(name, otherwise)
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
    "BF16": "i2",  # NumPy has no bfloat16, see `StoredRows`
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
        named: the tensors by name, of NumPy or torch; those of a file are read when they are used.
    """

    source: str
    named: Mapping[str, Array | StoredRows]

    @classmethod
    def read(cls, path: Path, *, sha256: str | None = None) -> Tensors:
        """Read the tensors of a safetensors file as NumPy arrays.

        Without a checksum the file is mapped into memory, so that a tensor takes memory of its own only if it is
        changed or converted. The file must not be overwritten meanwhile; another one may take its name.

        Args:
            path: the file.
            sha256: the checksum that the file must have, in hexadecimal; None to accept any.

        Raises:
            CheckpointError: the file cannot be read, is damaged, or has another checksum.
            UnsupportedModelError: a tensor has a type that NumPy lacks, as in a quantised model.
        """
        try:
            # The bytes that are checked are the bytes that are used: the file is read once.
            data = map_file(path) if sha256 is None else bytearray(path.read_bytes())
        except OSError as error:
            raise CheckpointError(
                f"the weights must be in {path}, which cannot be read ({error.strerror}): save the model as safetensors"
            ) from error
        if sha256 is not None and (digest := hashlib.sha256(data).hexdigest()) != sha256.lower():
            raise CheckpointError(f"{path} must have the sha256 {sha256}, got {digest}: get the file again")
        return cls(str(path), tensors_in(path, data))

    @classmethod
    def read_folder(cls, folder: Path, *, sha256: str | None = None) -> Tensors:
        """Read model.safetensors in a folder, or the several files that model.safetensors.index.json lists.

        Args:
            folder: the folder.
            sha256: the checksum that model.safetensors must have; None to accept any.

        Raises:
            CheckpointError: a file is missing or damaged, or has another checksum.
            UnsupportedModelError: a tensor has a type that NumPy lacks, as in a quantised model.
        """
        path, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
        if sha256 is not None or path.exists() or not index.exists():
            return cls.read(path, sha256=sha256)
        files = Config.read(index).fields.get("weight_map")
        names = sorted({str(name) for name in files.values()}) if isinstance(files, dict) else []
        if not names or any(Path(name).name != name for name in names):
            raise CheckpointError(f"{index} must map tensors to files of its folder, got {names or files!r}")
        named: dict[str, Array | StoredRows] = {}
        for name in names:
            named |= cls.read(folder / name).named
        return cls(str(index), named)

    def without_prefix(self, *prefixes: str) -> Tensors:
        """Return these tensors without the prefixes of a larger model that they were saved with."""
        named = dict(self.named)
        for prefix in prefixes:
            named |= {name.removeprefix(prefix): t for name, t in named.items() if name.startswith(prefix)}
        return Tensors(self.source, named)

    def with_blocks(self, kind: str | None) -> Tensors:
        """Return these tensors with the matrices of bytes as blocks of a kind; None if there are no such blocks.

        Raises:
            CheckpointError: the rows of a matrix are not of whole blocks.
        """
        if kind is None:
            return self
        named = dict(self.named)
        for name, tensor in self.named.items():
            if not isinstance(tensor, StoredRows) and tensor.dtype == np.uint8 and tensor.ndim == 2:
                if tensor.shape[1] % BLOCK_BYTES[kind]:
                    raise CheckpointError(
                        f"{self.source}: the rows of {name} must be of blocks of {BLOCK_BYTES[kind]} bytes, "
                        f"got {tensor.shape[1]} bytes"
                    )
                named[name] = StoredRows(tensor, kind)
        return Tensors(self.source, named)

    def table(self, name: str, rows: int, width: int) -> Array | StoredRows:
        """Return the word table with this name and shape: in float32, or as it is stored in fewer bytes.

        Raises:
            CheckpointError, UnsupportedModelError: as for `take`.
        """
        tensor = self.named.get(name)
        stored = StoredRows(tensor, "float16") if getattr(tensor, "dtype", None) == np.float16 else tensor
        fits = isinstance(stored, StoredRows) and stored.shape == (rows, width)
        return stored if fits else self.take(name, rows, width)

    def take(self, name: str, *shape: int) -> Array:
        """Return the tensor with this name and shape, in float32.

        Raises:
            CheckpointError: the tensor is missing, or has another shape.
            UnsupportedModelError: its type is not floating, as in a quantised model.
        """
        tensor: Any = self.named.get(name)
        if tensor is None:
            raise CheckpointError(f"{self.source} lacks the tensor {name} of shape {list(shape)}")
        if tuple(tensor.shape) != shape:
            raise CheckpointError(
                f"{self.source}: the tensor {name} must have shape {list(shape)}, got {list(tensor.shape)}: "
                f"config.json and the weights are not of one model"
            )
        if isinstance(tensor, StoredRows):
            return tensor[...]
        xp = array_namespace(tensor)
        if not xp.isdtype(tensor.dtype, "real floating"):
            raise UnsupportedModelError(
                f"{self.source}: the tensor {name} must be of a floating type, got {tensor.dtype}"
            )
        return xp.astype(tensor, xp.float32, copy=False)

    def linear(self, name: str, d_in: int, d_out: int, *, bias: bool = True) -> Linear:
        """Return the map called `name`, which is stored as [d_out, d_in], with its bias or without one."""
        weight = self.take(f"{name}.weight", d_out, d_in).T
        return Linear(weight, self.take(f"{name}.bias", d_out) if bias else None)

    def norm(self, name: str, d_model: int, epsilon: float, *, shift: bool = True) -> LayerNorm:
        """Return the layer normalisation called `name`, with its shift or without one."""
        scale = self.take(f"{name}.weight", d_model)
        return LayerNorm(scale, self.take(f"{name}.bias", d_model) if shift else None, epsilon)

    def rms_norm(self, name: str, width: int, epsilon: float, *, add: float = 0) -> RMSNorm:
        """Return the RMS normalisation called `name`, whose scale is `add` more than what is stored."""
        scale = self.take(f"{name}.weight", width)
        return RMSNorm(scale + add if add else scale, epsilon)


def map_file(path: Path) -> mmap.mmap | bytearray:
    """Return the bytes of a file, mapped into memory; what is written to them stays in this process."""
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            return bytearray()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)


def tensors_in(path: Path, data: mmap.mmap | bytearray) -> dict[str, Array | StoredRows]:
    """Return the tensors in the bytes of a safetensors file: the length of a JSON header, the header, the numbers.

    Raises:
        CheckpointError: the file is damaged.
        UnsupportedModelError: a tensor has a type that NumPy lacks.
    """
    size = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + size]) if 0 < size <= len(data) - 8 else None
        if not isinstance(header, dict):
            raise ValueError("it has no header")
        header.pop("__metadata__", None)
        entries = {str(name): tensor_entry(str(name), entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CheckpointError(f"{path} must be a safetensors file, got a damaged one ({error})") from error
    tensors: dict[str, Array | StoredRows] = {}
    for name, (dtype, shape, start, stop) in entries.items():
        if dtype not in DTYPES:
            raise UnsupportedModelError(
                f"{path}: tensors must be of {', '.join(DTYPES)}, got {name} of {dtype}: save the model in float32"
            )
        kind, count = np.dtype(DTYPES[dtype]).newbyteorder("<"), math.prod(shape)
        if not 0 <= start <= stop <= len(data) - 8 - size or stop - start != count * kind.itemsize:
            raise CheckpointError(f"{path} must be a safetensors file, got a damaged one ({name} is not all there)")
        array = np.frombuffer(data, kind, count, 8 + size + start).reshape(shape) if count else np.empty(shape, kind)
        tensors[modern_name(name)] = StoredRows(array, "bfloat16") if dtype == "BF16" else array
    return tensors


def tensor_entry(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Return the type, shape, start and stop of a tensor from its entry in the header.

    Raises:
        ValueError, TypeError, KeyError: the entry is damaged.
    """
    shape, (start, stop) = entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, start, stop)):
        raise ValueError(f"{name} has a shape or offsets that are not whole numbers")
    return str(entry["dtype"]), tuple(shape), start, stop


def modern_name(name: str) -> str:
    """Return the current name of a tensor: files of 2018 call a normalisation's parameters gamma and beta."""
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def heads_of(maps: tuple[Linear, Linear, Linear, Linear], n_heads: int, **options: Any) -> Heads:
    """Return heads with the matrices and biases of four affine maps.

    Args:
        maps: to the queries, the keys and the values, and from the heads' outputs.
        n_heads: the number of heads.
        options: the other fields of `Heads`.
    """
    query, key, value, output = maps
    return Heads(
        W_Q=query.weight,
        W_K=key.weight,
        W_V=value.weight,
        W_O=output.weight,
        n_heads=n_heads,
        b_Q=query.bias,
        b_K=key.bias,
        b_V=value.bias,
        b_O=output.bias,
        **options,
    )
