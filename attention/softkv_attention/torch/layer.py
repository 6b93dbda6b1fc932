"""Attention over a memory as a module of torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from softkv_attention.errors import ParameterError, ShapeError
from softkv_attention.lookup import Mask, Memory, View
from softkv_attention.torch.lookup import LookupResult, attend
from softkv_attention.torch.tensors import broadcast, kind_of
from softkv_attention.torch.tiles import MaskedView

TRAINABLE = ("temperature", "null", "query", "output")
"""Names of the parameters of a `MemoryAttention`."""


class MemoryAttention(nn.Module):
    """Attention over a memory as a layer: each head is a lookup with a temperature and a null key of its own.

    The rows are the memory's at each call, so documents that are added or removed count from then on. They are not
    parameters: copies of the layer have the same memory. A projection of the keys is one of the queries, since
    (q W_Q)·(k W_K) = (q W_Q W_Kᵀ)·k; and one of the values is one of the output. So W_Q and W_O are all that a layer
    over stored rows can learn.

    Args:
        memory: a memory, a view, or a list of views.
        n_heads: h, the number of heads.
        temperature: T of each head, or one for all; above 0.
        null: the similarity of the null key of each head, or one for all; None for no null key.
        trainable: what gets gradients: "temperature", "null", "query" (adds W_Q) and "output" (adds W_O).
        d_model: the width of the queries; None for that of the keys. Another one needs "query".
        d_output: the width of the output; None for that of the values. Another one needs "output".

    Attributes:
        log_temperature: float[h], ln T, so that T stays above 0.
        null: float[h], or None.
        W_Q: [d_model, h · d], or None for queries as they are. At first it is the identity for each head if the widths
            are equal, with some noise if there are several.
        W_O: [h · d_v, d_output], or None for the heads' outputs side by side. At first it is their mean if the widths
            are equal.

    Raises:
        ParameterError: an argument is invalid, or the memory is empty.
        ShapeError: `temperature` or `null` has another length than the number of heads.
    """

    null: nn.Parameter | None
    W_Q: nn.Parameter | None
    W_O: nn.Parameter | None

    def __init__(
        self,
        memory: Memory | View | Sequence[View],
        n_heads: int = 1,
        *,
        temperature: float | Sequence[float],
        null: float | Sequence[float] | None = None,
        trainable: Sequence[str] = ("temperature", "null"),
        d_model: int | None = None,
        d_output: int | None = None,
    ) -> None:
        super().__init__()
        view = MaskedView.of(memory).view
        if view.dimension is None or view.value_dimension is None:
            raise ParameterError("the memory is empty, so its width is unknown: publish rows first")
        for name, width in (("n_heads", n_heads), ("d_model", d_model), ("d_output", d_output)):
            if width is not None and (not isinstance(width, int) or width < 1):
                raise ParameterError(f"{name} must be an integer of at least 1, got {width}")
        trainable = (trainable,) if isinstance(trainable, str) else trainable
        unknown = sorted(set(trainable) - set(TRAINABLE))
        if unknown:
            raise ParameterError(f"trainable names {', '.join(TRAINABLE)}, got {', '.join(unknown)}")
        d, d_v = view.dimension, view.value_dimension
        for name, width, of_rows in (("query", d_model, d), ("output", d_output, d_v)):
            if width not in (None, of_rows) and name not in trainable:
                raise ParameterError(
                    f'a width of {width} instead of {of_rows} needs a projection: add "{name}" to trainable'
                )
        self.memory, self.n_heads, self.trainable = memory, n_heads, tuple(trainable)
        temperatures = broadcast("temperature", temperature, (n_heads,), "cpu")
        nulls = None if null is None else broadcast("null", null, (n_heads,), "cpu")
        if not bool(((temperatures > 0) & temperatures.isfinite()).all()):
            raise ParameterError(f"temperature must be finite and above 0, got {temperature}")
        if nulls is not None and not bool(nulls.isfinite().all()):
            raise ParameterError(f"null must be finite, got {null}")
        self.log_temperature = _parameter(temperatures.log(), learns="temperature" in trainable)
        self.register_parameter("null", None if nulls is None else _parameter(nulls, learns="null" in trainable))
        W_Q = nn.Parameter(_initial_query(d_model or d, d, n_heads)) if "query" in trainable else None
        W_O = nn.Parameter(_initial_output(d_v, d_output or d_v, n_heads)) if "output" in trainable else None
        self.register_parameter("W_Q", W_Q)
        self.register_parameter("W_O", W_O)

    @property
    def temperature(self) -> Tensor:
        """float[h], T of each head."""
        return self.log_temperature.exp()

    def forward(self, queries: Tensor, mask: Mask | NDArray[np.bool_] | Tensor | None = None) -> Tensor:
        """Return the output float[..., h · d_v], or float[..., d_output] with W_O, of queries float[..., d_model].

        Args:
            queries: of bfloat16, float16, float32 or float64; the output has the same type.
            mask: the documents that may be attended to, as in `attend`.
        """
        output = self.lookup(queries, mask).output
        joined = output.flatten(-2)
        return joined if self.W_O is None else joined @ self.W_O.to(joined)

    def lookup(self, queries: Tensor, mask: Mask | NDArray[np.bool_] | Tensor | None = None) -> LookupResult:
        """Return what `forward` blends, for each head: the output float[..., h, d_v], log-partition and null weight."""
        wide = kind_of(queries, MaskedView.of(self.memory).view.dimension if self.W_Q is None else self.W_Q.shape[0])
        if self.W_Q is None:
            of_heads = queries[..., None, :].expand(*queries.shape[:-1], self.n_heads, queries.shape[-1])
        else:
            projected = queries @ self.W_Q.to(queries)
            of_heads = projected.reshape(*queries.shape[:-1], self.n_heads, projected.shape[-1] // self.n_heads)
        temperature = self.log_temperature.to(queries.device, wide).exp()
        null = None if self.null is None else self.null.to(queries.device, wide)
        return attend(of_heads, self.memory, temperature, null=null, mask=mask)

    def extra_repr(self) -> str:
        """Return what `print` shows of the layer."""
        view = MaskedView.of(self.memory).view
        rows = f"<{view.n} keys of width {view.dimension}, {view.similarity}>"
        return f"{rows}, n_heads={self.n_heads}, trainable={self.trainable}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Return a layer with parameters of its own, over the same memory."""
        memo[id(self.memory)] = self.memory
        layer = memo[id(self)] = self.__new__(type(self))
        layer.__dict__.update(deepcopy(self.__dict__, memo))
        return layer

    def __prepare_scriptable__(self) -> NoReturn:
        """Refuse to be scripted."""
        raise TypeError(
            "a MemoryAttention cannot be scripted, since its memory belongs to this process: use torch.compile"
        )

    def save(self, path: str | Path) -> None:
        """Write the parameters, not the memory, to a safetensors file; pruned or parametrised ones as they are used."""
        parameters = {name: getattr(self, name) for name in ("log_temperature", "null", "W_Q", "W_O")}
        save_file(
            {name: tensor.detach().contiguous() for name, tensor in parameters.items() if tensor is not None},
            path,
            {"n_heads": str(self.n_heads), "trainable": " ".join(self.trainable)},
        )

    @classmethod
    def load(cls, path: str | Path, memory: Memory | View | Sequence[View]) -> Self:
        """Return the layer that `save` wrote, over a memory whose widths fit it.

        Raises:
            ParameterError: the file is not one that `save` wrote.
            ShapeError: the memory's keys or values have other widths than those that the layer was trained on.
        """
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  (not a mapping)
            n_heads, trainable = int(about["n_heads"]), about["trainable"].split()
            temperatures = tensors["log_temperature"].exp().tolist()
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise ParameterError(f"{path} must be a file that MemoryAttention.save wrote ({error})") from error
        W_Q, W_O, null = tensors.get("W_Q"), tensors.get("W_O"), tensors.get("null")
        layer = cls(
            memory,
            n_heads,
            temperature=temperatures,
            null=None if null is None else null.tolist(),
            trainable=trainable,
            d_model=None if W_Q is None else W_Q.shape[0],
            d_output=None if W_O is None else W_O.shape[1],
        )
        for name, tensor in tensors.items():
            shape = layer.state_dict()[name].shape
            if shape != tensor.shape:
                raise ShapeError(f"{name} of {path} is {tuple(tensor.shape)}, this memory needs {tuple(shape)}")
        layer.load_state_dict(tensors, assign=True)
        return layer


def _parameter(numbers: Tensor, *, learns: bool) -> nn.Parameter:
    """Return numbers as a parameter of the default type, on the default device: meta has no numbers."""
    return nn.Parameter(torch.empty(len(numbers)).copy_(numbers.detach()), learns)


def _initial_query(d_model: int, d: int, n_heads: int) -> Tensor:
    """Return W_Q [d_model, h · d] of an untrained layer."""
    heads = [torch.eye(d) if d_model == d else nn.init.xavier_uniform_(torch.empty(d_model, d)) for _ in range(n_heads)]
    if n_heads > 1 and d_model == d:
        heads = [head + torch.randn(d, d) * (0.1 / math.sqrt(d)) for head in heads]
    return torch.cat(heads, dim=1)


def _initial_output(d_v: int, d_output: int, n_heads: int) -> Tensor:
    """Return W_O [h · d_v, d_output] of an untrained layer."""
    if d_v == d_output:
        return torch.cat([torch.eye(d_v) / n_heads] * n_heads)
    return nn.init.xavier_uniform_(torch.empty(n_heads * d_v, d_output))
