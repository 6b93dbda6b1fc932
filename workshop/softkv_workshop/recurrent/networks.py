"""Recurrent networks: the cells GRU and LSTM, stacks of them, and an encoder and a decoder of such stacks.

Each step of a cell takes a state and an input, and returns the next state. The encoder reads one sequence, and the
decoder writes another. The Transformer replaced them. Without an alignment, the decoder gets the source as one state
(Sutskever et al. 2014, arXiv 1409.3215). With one, each token that it writes is a query over the whole source (Bahdanau
et al. 2014, arXiv 1409.0473): attention, three years before the Transformer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from array_api_compat import device

from softkv_attention.arrays import Array, array_namespace
from softkv_attention.definition import attend
from softkv_attention.masks import padding
from softkv_attention.similarity import Additive
from softkv_attention.transformer import Linear, greedy, rows


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
        """Return the state [..., d] after one more input.

        Args:
            projected: [..., 3·d], the input after the affine map `input`.
            state: [..., d], the state before.
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
        """Return the state [..., 2·d] after one more input.

        Args:
            projected: [..., 4·d], the input after the affine map `input`.
            state: [..., 2·d], the state before.
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


class EncodedSource(NamedTuple):
    """The encoder's result, which the decoder reads.

    Attributes:
        states: the states at the ends of the sources, which are the decoder's first states.
        memory: [..., n, d], an output for each token of the source.
        mask: bool [..., 1, n], True for tokens, False for padding; None if all are tokens.
    """

    states: States
    memory: Array
    mask: Array | None


class RecurrentSteps(NamedTuple):
    """The logits of every position of the target, and the attention weights that led to them.

    Attributes:
        logits: [..., m, n_vocabulary]
        weights: [..., m, n], the weights of each target position over the source's tokens; None without alignment.
    """

    logits: Array
    weights: Array | None


@dataclass(frozen=True, eq=False)
class RecurrentEncoderDecoder:
    """A model that predicts each next target token from the source and the target tokens before it.

    Attributes:
        source: [n_vocabulary, d_in], the vectors of the source's tokens.
        encoder: the layers over the source.
        target: [n_vocabulary, d_in], the vectors of the target's tokens.
        decoder: the layers over the target; its cells have the widths of the encoder's.
        output: maps the decoder's output to logits; with alignment, the context is appended to the output.
        alignment: the similarity of the decoder's last output and the encoder's outputs; None to use no attention. The
            context, the output of that attention, is also appended to the token's vector that the decoder reads.
    """

    source: Array
    encoder: Recurrent
    target: Array
    decoder: Recurrent
    output: Linear
    alignment: Additive | None = None

    def __call__(self, source: Array, target: Array, lengths: Array | None = None) -> Array:
        """Return the logits of all target positions.

        Arguments and result are those of calling an `EncoderDecoder`.
        """
        return self.steps(source, target, lengths).logits

    def steps(self, source: Array, target: Array, lengths: Array | None = None) -> RecurrentSteps:
        """Return the logits of all target positions, with the attention weights of each.

        Args:
            source: integers [..., n]
            target: integers [..., m]; position i reads token i, and has read the tokens before it.
            lengths: integers [...], the true length of each source; None if all are n.
        """
        encoded = self.read(source, lengths)
        states, logits, weights = encoded.states, [], []
        for position in range(target.shape[-1]):
            step_logits, step_weights, states = self.step(target[..., position], states, encoded)
            logits.append(step_logits)
            weights.append(step_weights)
        xp = array_namespace(source)
        all_weights = None if self.alignment is None else xp.stack(weights, axis=-2)
        return RecurrentSteps(xp.stack(logits, axis=-2), all_weights)

    def read(self, source: Array, lengths: Array | None = None) -> EncodedSource:
        """Encode the source [..., n] for the decoder."""
        memory, states = self.encoder(rows("token", self.source, source), lengths=lengths)
        return EncodedSource(states, memory, None if lengths is None else padding(lengths, source.shape[-1]))

    def step(self, token: Array, states: States, encoded: EncodedSource) -> tuple[Array, Array | None, States]:
        """Read one token of the target, and return the logits of the token after it.

        Args:
            token: integers [...], the last token that was written.
            states: the decoder's states; before the first token, those of `encoded`.
            encoded: the encoded source, the result of `read`.

        Returns:
            logits [..., n_vocabulary]; the attention weights [..., n] over the source, None without attention; and the
            decoder's next states.
        """
        xp, x, weights = array_namespace(token), rows("token", self.target, token), None
        context = None
        if self.alignment is not None:
            query = self.decoder.cells[-1].output(states[-1])[..., None, :]
            attended = attend(query, encoded.memory, encoded.memory, similarity=self.alignment, mask=encoded.mask)
            context, weights = attended.output[..., 0, :], attended.weights[..., 0, :]
            x = xp.concat([x, context], axis=-1)
        out, states = self.decoder(x[..., None, :], states)
        features = out[..., 0, :] if context is None else xp.concat([out[..., 0, :], context], axis=-1)
        return self.output(features), weights, states

    def generate(self, source: Array, lengths: Array | None = None, *, begin: int, end: int, limit: int) -> Array:
        """Write the target: each next token is the one with the largest logit.

        Arguments, result and error are those of `EncoderDecoder.generate`.
        """
        encoded = self.read(source, lengths)
        states = encoded.states

        def next_logits(token: Array) -> Array:
            nonlocal states
            logits, _, states = self.step(token, states, encoded)
            return logits

        return greedy(next_logits, source, begin=begin, end=end, limit=limit)
