"""Recurrent cells and layers: each step takes a state and an input, and gives the next state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from array_api_compat import array_namespace, device

from attention.arrays import Array
from attention.masks import padding
from attention.transformer import Linear


@dataclass(frozen=True, eq=False)
class GatedCell:
    """What both cells have.

    Attributes:
        input: d_in → a multiple of d, what the gates and the candidate take of an input.
        hidden: d → as wide, what they take of the last output.
    """

    input: Linear
    hidden: Linear

    @property
    def width(self) -> int:
        """Of an output: d."""
        return int(self.hidden.weight.shape[0])


@dataclass(frozen=True, eq=False)
class GRU(GatedCell):
    """A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), as nn.GRU computes it.

    Attributes:
        input: d_in → 3·d, what the reset gate, the update gate and the candidate take of an input.
        hidden: d → 3·d, what they take of the state; the candidate, of as much of it as the reset gate leaves.
    """

    @property
    def state_width(self) -> int:
        """Of a state, which is the output: d."""
        return self.width

    def step(self, given: Array, state: Array) -> Array:
        """The next state.

        Args:
            given: [..., 3·d], `input` of what comes.
            state: [..., d]

        Returns:
            [..., d]
        """
        d, kept = self.width, self.hidden(state)
        reset = sigmoid(given[..., :d] + kept[..., :d])
        update = sigmoid(given[..., d : 2 * d] + kept[..., d : 2 * d])
        candidate = array_namespace(given).tanh(given[..., 2 * d :] + reset * kept[..., 2 * d :])
        return (1 - update) * candidate + update * state

    def output(self, state: Array) -> Array:
        """What others read of a state: all of it."""
        return state


@dataclass(frozen=True, eq=False)
class LSTM(GatedCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate, as nn.LSTM computes it.

    Attributes:
        input: d_in → 4·d, what the input gate, the forget gate, the candidate and the output gate take of an input.
        hidden: d → 4·d, what they take of the last output.
    """

    @property
    def state_width(self) -> int:
        """Of a state, the output and the memory behind it: 2·d."""
        return 2 * self.width

    def step(self, given: Array, state: Array) -> Array:
        """The next state.

        Args:
            given: [..., 4·d], `input` of what comes.
            state: [..., 2·d]

        Returns:
            [..., 2·d]
        """
        xp, d = array_namespace(given), self.width
        gates = given + self.hidden(state[..., :d])
        take, keep, tell = (sigmoid(gates[..., part * d : (part + 1) * d]) for part in (0, 1, 3))
        memory = keep * state[..., d:] + take * xp.tanh(gates[..., 2 * d : 3 * d])
        return xp.concat([tell * xp.tanh(memory), memory], axis=-1)

    def output(self, state: Array) -> Array:
        """What others read of a state: not the memory."""
        return state[..., : self.width]


Cell: TypeAlias = GRU | LSTM


def initial_state(cell: Cell, x: Array) -> Array:
    """The state before the first of x [..., n, d_in]: zeros [..., state_width]."""
    xp = array_namespace(x)
    return xp.zeros((*x.shape[:-2], cell.state_width), dtype=x.dtype, device=device(x))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), through tanh, which does not overflow."""
    return (1 + array_namespace(x).tanh(x / 2)) / 2


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
