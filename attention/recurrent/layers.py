"""Recurrent layers over sequences: each position's output has read those before it, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from array_api_compat import array_namespace

from attention.arrays import Array
from attention.masks import padding
from attention.recurrent.cells import Cell, initial_state

States: TypeAlias = tuple[Array, ...]
"""Of each layer, [..., state_width]."""


@dataclass(frozen=True, eq=False)
class Recurrent:
    """A stack of recurrent layers; nn.GRU and nn.LSTM compute the same.

    Attributes:
        cells: the first layer's first; each further one reads the one below.
    """

    cells: tuple[Cell, ...]

    def __call__(self, x: Array, states: States | None = None, lengths: Array | None = None) -> tuple[Array, States]:
        """All positions, one after the other.

        Args:
            x: [..., n, d_in]
            states: before the first position; zeros without.
            lengths: integers [...], the true length of each sequence; n without.

        Returns:
            [..., n, d], the last layer's outputs, which behind the end of a sequence stay as they were at it; and the
            states at the ends.
        """
        inside = None if lengths is None else array_namespace(x).matrix_transpose(padding(lengths, x.shape[-2]))
        ends: list[Array] = []
        for number, cell in enumerate(self.cells):
            state = initial_state(cell, x) if states is None else states[number]
            x, state = unroll(cell, x, state, inside)
            ends.append(state)
        return x, tuple(ends)


def unroll(cell: Cell, x: Array, state: Array, inside: Array | None = None) -> tuple[Array, Array]:
    """One layer.

    Args:
        cell: its parameters.
        x: [..., n, d_in]
        state: [..., state_width]
        inside: bool [..., n, 1], whether a position belongs to its sequence; all do without.

    Returns:
        outputs [..., n, d], and the state at the end.
    """
    xp, given = array_namespace(x), cell.input(x)
    outputs: list[Array] = []
    for at in range(x.shape[-2]):
        following = cell.step(given[..., at, :], state)
        state = following if inside is None else xp.where(inside[..., at, :], following, state)
        outputs.append(cell.output(state))
    return xp.stack(outputs, axis=-2), state
