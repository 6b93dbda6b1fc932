"""Initial parameters for training, in NumPy float32; `map_arrays(torch.from_numpy, …)` converts them to torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from softkv_attention.arrays import Array
from softkv_attention.errors import ParameterError
from softkv_attention.similarity import Additive
from softkv_attention.transformer import Linear
from softkv_workshop.recurrent.networks import GRU, LSTM, Cell, Recurrent, RecurrentEncoderDecoder

CELLS: Mapping[str, tuple[type[Cell], int]] = {"gru": (GRU, 3), "lstm": (LSTM, 4)}
"""The cells by name, each with the number of its gates, candidate included: its affine maps are that many times d wide.
"""


@dataclass(frozen=True)
class RecurrentArchitecture:
    """The sizes of a stack of recurrent layers.

    Attributes:
        cell: "gru" or "lstm".
        d_in: the width of the first layer's input.
        d: the width of an output.
        n_layers: the number of layers.

    Raises:
        ParameterError: the name of the cell is unknown.
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
    """Return a random model from a vocabulary of n_source tokens to one of n_target tokens.

    If `attends`, its decoder uses attention over the source.
    """
    context_width = sizes.d if attends else 0
    decoder = RecurrentArchitecture(sizes.cell, sizes.d_in + context_width, sizes.d, sizes.n_layers)
    return RecurrentEncoderDecoder(
        source=random.standard_normal((n_source, sizes.d_in), dtype=np.float32),
        encoder=recurrent(random, sizes),
        target=random.standard_normal((n_target, sizes.d_in), dtype=np.float32),
        decoder=recurrent(random, decoder),
        output=linear(random, sizes.d + context_width, n_target, sizes.d + context_width),
        alignment=alignment(random, sizes.d) if attends else None,
    )


def recurrent(random: Generator, sizes: RecurrentArchitecture) -> Recurrent:
    """Return a stack of layers with random parameters."""
    widths = [sizes.d_in] + [sizes.d] * (sizes.n_layers - 1)
    return Recurrent(tuple(cell(random, sizes.cell, width, sizes.d) for width in widths))


def cell(random: Generator, name: str, d_in: int, d: int) -> Cell:
    """Return a cell with parameters uniform within ±1/√d, as in torch."""
    kind, gates = CELLS[name]
    return kind(linear(random, d_in, gates * d, d), linear(random, d, gates * d, d))


def alignment(random: Generator, d: int) -> Additive:
    """Return a random similarity for the decoder's attention, with a hidden layer of width d.

    It compares outputs of width d.
    """
    return Additive(uniform(random, d, d), uniform(random, d, d, d), uniform(random, d, d, d))


def linear(random: Generator, d_in: int, d_out: int, d: int) -> Linear:
    """Return an affine map d_in → d_out with parameters uniform within ±1/√d."""
    return Linear(uniform(random, d, d_in, d_out), uniform(random, d, d_out))


def uniform(random: Generator, d: int, *shape: int) -> Array:
    """Return float32[shape], uniform within ±1/√d."""
    bound = 1 / math.sqrt(d)
    return random.uniform(-bound, bound, shape).astype(np.float32)
