"""Stacks of layers: the encoder attends to all positions, the decoder to itself and earlier positions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from attention.arrays import Array
from attention.errors import ParameterError
from attention.masks import causal
from attention.transformer.layer import DecoderLayer, DecoderSteps, EncoderLayer, EncoderSteps, LayerCache, LayerNorm


@dataclass(frozen=True, eq=False)
class Encoder:
    """A stack of encoder layers.

    Attributes:
        layers: the layers, in the order of computation.
        norm: the last normalisation, which pre-norm layers need; None to leave it out.
    """

    layers: tuple[EncoderLayer, ...]
    norm: LayerNorm | None = None

    def __call__(self, x: Array, mask: Array | None = None) -> Array:
        """Return the vectors of the positions after the last layer.

        Args:
            x: [..., n, d_model]
            mask: bool, broadcasts to [..., n, n]; True where a position may attend.

        Returns:
            [..., n, d_model]
        """
        for steps in self.steps(x, mask):
            x = steps.output
        return x if self.norm is None else self.norm(x)

    def steps(self, x: Array, mask: Array | None = None) -> Iterator[EncoderSteps]:
        """Yield the output and intermediate results of each layer in turn.

        Arguments are those of calling the encoder.
        """
        for layer in self.layers:
            steps = layer.steps(x, mask)
            yield steps
            x = steps.output


class DecoderState(NamedTuple):
    """The immutable state of a decoder between steps; each step returns a new one.

    Attributes:
        length: the number of positions decoded so far.
        layers: the cache of each layer.
        memory_mask: bool, broadcasts to [..., 1, n], over the encoder's output; None if all of it may be read.
    """

    length: int
    layers: tuple[LayerCache, ...]
    memory_mask: Array | None


@dataclass(frozen=True, eq=False)
class Decoder:
    """A stack of decoder layers.

    Attributes:
        layers: the layers, in the order of computation.
        norm: the last normalisation, which pre-norm layers need; None to leave it out.
    """

    layers: tuple[DecoderLayer, ...]
    norm: LayerNorm | None = None

    def __call__(
        self,
        x: Array,
        memory: Array | None = None,
        *,
        mask: Array | None = None,
        memory_mask: Array | None = None,
    ) -> Array:
        """Compute the outputs of all positions at once.

        Args:
            x: [..., m, d_model]
            memory: [..., n, d_model], the encoder's output; None without cross-attention.
            mask: bool, broadcasts to [..., m, m], combined with the causal mask: for padding.
            memory_mask: bool, broadcasts to [..., 1, n]; True where memory may be read.

        Returns:
            [..., m, d_model]

        Raises:
            ParameterError: layers with cross-attention get no memory, or layers without it get one.
        """
        return self.step(x, self.start(memory, memory_mask), mask)[0]

    def start(self, memory: Array | None = None, memory_mask: Array | None = None) -> DecoderState:
        """Return the state before the first position.

        Arguments and errors are those of calling the decoder.
        """
        needs_memory = any(layer.cross_attention is not None for layer in self.layers)
        if needs_memory and memory is None:
            raise ParameterError("these layers have cross-attention: pass the encoder's output as memory")
        if memory is not None and not needs_memory:
            raise ParameterError("these layers have no cross-attention to read memory with: leave it out")
        return DecoderState(0, tuple(layer.start(memory) for layer in self.layers), memory_mask)

    def step(self, x: Array, state: DecoderState, mask: Array | None = None) -> tuple[Array, DecoderState]:
        """Compute the outputs of m further positions, without computing the earlier ones again.

        The result is that of a call over all positions.

        Args:
            x: [..., m, d_model]
            state: the state from the step before, or from `start`.
            mask: bool, broadcasts to [..., m, state.length + m], combined with the causal mask: for padding.

        Returns:
            [..., m, d_model], and the state for the next step.
        """
        caches = []
        for steps in self.steps(x, state, mask):
            x = steps.output
            caches.append(steps.cache)
        x = x if self.norm is None else self.norm(x)
        return x, DecoderState(state.length + x.shape[-2], tuple(caches), state.memory_mask)

    def steps(self, x: Array, state: DecoderState, mask: Array | None = None) -> Iterator[DecoderSteps]:
        """Yield the output and intermediate results of each layer in turn.

        Arguments are those of `step`.
        """
        m = x.shape[-2]
        causal_mask = causal(m, state.length + m, offset=state.length, like=x)
        step_mask = causal_mask if mask is None else causal_mask & mask
        for layer, cache in zip(self.layers, state.layers, strict=True):
            steps = layer.steps(x, cache, step_mask, state.memory_mask)
            yield steps
            x = steps.output
