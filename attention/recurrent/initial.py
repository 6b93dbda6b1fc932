"""Parameters to begin training with. NumPy float32; `mapped(torch.from_numpy, …)` takes them to torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from attention.arrays import Array
from attention.errors import ParameterError
from attention.recurrent.encoder_decoder import RecurrentEncoderDecoder
from attention.recurrent.layers import GRU, LSTM, Cell, Recurrent
from attention.similarity import Additive
from attention.transformer import Linear

CELLS: Mapping[str, tuple[type[Cell], int]] = {"gru": (GRU, 3), "lstm": (LSTM, 4)}
"""Cells, and how many times as wide as an output what they take of an input is."""


@dataclass(frozen=True)
class RecurrentArchitecture:
    """The sizes of a stack of recurrent layers.

    Attributes:
        cell: "gru" or "lstm".
        d_in: the width of what the first layer reads.
        d: the width of an output.
        n_layers: how many layers.

    Raises:
        ParameterError: no cell has that name.
    """

    cell: Literal["gru", "lstm"]
    d_in: int
    d: int
    n_layers: int = 1

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise ParameterError(f"cell must be {' or '.join(CELLS)}, got {self.cell!r}")


def encoder_decoder(
    random: Generator, sizes: RecurrentArchitecture, n_source: int, n_target: int, *, attends: bool
) -> RecurrentEncoderDecoder:
    """From n_source kinds of tokens to n_target; with attention over the source or without."""
    read_too = sizes.d if attends else 0
    decoder = RecurrentArchitecture(sizes.cell, sizes.d_in + read_too, sizes.d, sizes.n_layers)
    return RecurrentEncoderDecoder(
        source=random.standard_normal((n_source, sizes.d_in), dtype=np.float32),
        encoder=recurrent(random, sizes),
        target=random.standard_normal((n_target, sizes.d_in), dtype=np.float32),
        decoder=recurrent(random, decoder),
        output=linear(random, sizes.d + read_too, n_target, sizes.d + read_too),
        alignment=alignment(random, sizes.d) if attends else None,
    )


def recurrent(random: Generator, sizes: RecurrentArchitecture) -> Recurrent:
    """A stack of layers."""
    widths = [sizes.d_in] + [sizes.d] * (sizes.n_layers - 1)
    return Recurrent(tuple(cell(random, sizes.cell, width, sizes.d) for width in widths))


def cell(random: Generator, name: str, d_in: int, d: int) -> Cell:
    """A cell, uniform within 1/√d, as torch has it."""
    kind, gates = CELLS[name]
    return kind(linear(random, d_in, gates * d, d), linear(random, d, gates * d, d))


def alignment(random: Generator, d: int) -> Additive:
    """Between outputs of width d, with a hidden layer as wide."""
    return Additive(uniform(random, d, d), uniform(random, d, d, d), uniform(random, d, d, d))


def linear(random: Generator, d_in: int, d_out: int, d: int) -> Linear:
    """An affine map, uniform within 1/√d."""
    return Linear(uniform(random, d, d_in, d_out), uniform(random, d, d_out))


def uniform(random: Generator, d: int, *shape: int) -> Array:
    """float32[shape] within 1/√d."""
    bound = 1 / math.sqrt(d)
    return random.uniform(-bound, bound, shape).astype(np.float32)
