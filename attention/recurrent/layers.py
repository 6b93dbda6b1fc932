"""Recurrent cells and layers: each step takes a state and an input, and returns the next state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from array_api_compat import array_namespace, device

from attention.arrays import Array
from attention.masks import padding
from attention.transformer import Linear


@dataclass(frozen=True, eq=False)
class GatedCell:
    """The parameters of a cell whose gates and candidate are sums of two affine maps.

    Attributes:
        input: d_in → a multiple of d, the map of the input.
        hidden: d → the same multiple of d, the map of the last output.
    """

    input: Linear
    hidden: Linear

    @property
    def width(self) -> int:
        """The width of an output, d."""
        return int(self.hidden.weight.shape[0])


@dataclass(frozen=True, eq=False)
class GRU(GatedCell):
    """A gated recurrent unit (Cho et al. 2014, arXiv 1406.1078), as nn.GRU computes it.

    Attributes:
        input: d_in → 3·d, the input's part of the reset gate, the update gate and the candidate.
        hidden: d → 3·d, the state's part of the same three; in the candidate it is multiplied by the reset gate.
    """

    @property
    def state_width(self) -> int:
        """The width of a state, d: the state is the output."""
        return self.width

    def step(self, projected: Array, state: Array) -> Array:
        """Return the next state [..., d].

        Args:
            projected: [..., 3·d], the map `input` of the next input.
            state: [..., d]
        """
        d, hidden = self.width, self.hidden(state)
        reset = sigmoid(projected[..., :d] + hidden[..., :d])
        update = sigmoid(projected[..., d : 2 * d] + hidden[..., d : 2 * d])
        candidate = array_namespace(projected).tanh(projected[..., 2 * d :] + reset * hidden[..., 2 * d :])
        return (1 - update) * candidate + update * state

    def output(self, state: Array) -> Array:
        """Return the output [..., d], which is the whole state."""
        return state


@dataclass(frozen=True, eq=False)
class LSTM(GatedCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate, as nn.LSTM computes it.

    Attributes:
        input: d_in → 4·d, the input's part of the input gate, the forget gate, the candidate and the output gate.
        hidden: d → 4·d, the last output's part of the same four.
    """

    @property
    def state_width(self) -> int:
        """The width of a state, 2·d: the output, and after it the memory."""
        return 2 * self.width

    def step(self, projected: Array, state: Array) -> Array:
        """Return the next state [..., 2·d].

        Args:
            projected: [..., 4·d], the map `input` of the next input.
            state: [..., 2·d]
        """
        xp, d = array_namespace(projected), self.width
        gates = projected + self.hidden(state[..., :d])
        input_gate, forget_gate, output_gate = (sigmoid(gates[..., part * d : (part + 1) * d]) for part in (0, 1, 3))
        memory = forget_gate * state[..., d:] + input_gate * xp.tanh(gates[..., 2 * d : 3 * d])
        return xp.concat([output_gate * xp.tanh(memory), memory], axis=-1)

    def output(self, state: Array) -> Array:
        """Return the output [..., d], which is the state without the memory."""
        return state[..., : self.width]


Cell: TypeAlias = GRU | LSTM


def initial_state(cell: Cell, x: Array) -> Array:
    """Return the state before the first position of x [..., n, d_in]: zeros [..., state_width]."""
    xp = array_namespace(x)
    return xp.zeros((*x.shape[:-2], cell.state_width), dtype=x.dtype, device=device(x))


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(−x)), computed through tanh, which does not overflow."""
    return (1 + array_namespace(x).tanh(x / 2)) / 2


States: TypeAlias = tuple[Array, ...]
"""The state of each layer, [..., state_width]."""


@dataclass(frozen=True, eq=False)
class Recurrent:
    """A stack of recurrent layers, which gives the same results as nn.GRU or nn.LSTM.

    Attributes:
        cells: one for each layer; the first reads the input, and each other one the layer before.
    """

    cells: tuple[Cell, ...]

    def __call__(self, x: Array, states: States | None = None, lengths: Array | None = None) -> tuple[Array, States]:
        """Compute the outputs of all layers at all positions, one position after the other.

        Args:
            x: [..., n, d_in]
            states: the states before the first position; None for zeros.
            lengths: integers [...], the true length of each sequence; None if all are n.

        Returns:
            [..., n, d], the last layer's outputs, and the states at the ends of the sequences. The outputs after a
            sequence's end repeat the output at its end.
        """
        mask = None if lengths is None else array_namespace(x).matrix_transpose(padding(lengths, x.shape[-2]))
        ends: list[Array] = []
        for number, cell in enumerate(self.cells):
            state = initial_state(cell, x) if states is None else states[number]
            x, state = unroll(cell, x, state, mask)
            ends.append(state)
        return x, tuple(ends)


def unroll(cell: Cell, x: Array, state: Array, mask: Array | None = None) -> tuple[Array, Array]:
    """Compute the outputs of one layer at all positions, one after the other.

    Args:
        cell: the layer's parameters.
        x: [..., n, d_in]
        state: [..., state_width], before the first position.
        mask: bool [..., n, 1], False for padding, which leaves the state unchanged; None without padding.

    Returns:
        outputs [..., n, d], and the state at the end.
    """
    xp, projected = array_namespace(x), cell.input(x)
    outputs: list[Array] = []
    for position in range(x.shape[-2]):
        next_state = cell.step(projected[..., position, :], state)
        state = next_state if mask is None else xp.where(mask[..., position, :], next_state, state)
        outputs.append(cell.output(state))
    return xp.stack(outputs, axis=-2), state
