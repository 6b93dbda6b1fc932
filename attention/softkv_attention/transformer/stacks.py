"""Stacks of layers, and the whole Transformer, whose encoder reads one sequence and whose decoder writes another.

Source: Vaswani et al. 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from array_api_compat import device

from softkv_attention.arrays import Array, array_namespace
from softkv_attention.errors import ParameterError
from softkv_attention.masks import causal, padding
from softkv_attention.transformer.embeddings import Embeddings, Patches
from softkv_attention.transformer.feed_forward import Linear
from softkv_attention.transformer.layer import (
    DecoderLayer,
    DecoderSteps,
    EncoderLayer,
    EncoderSteps,
    LayerCache,
    LayerNorm,
    RMSNorm,
)
from softkv_attention.transformer.relative_positions import RelativePositions


@dataclass(frozen=True, eq=False)
class Encoder:
    """A stack of encoder layers.

    Attributes:
        layers: the layers, in the order of computation.
        norm: the last normalisation, which pre-norm layers need; None to leave it out.
        bias: what every layer adds to its logits for the distance of two tokens; None for nothing.
    """

    layers: tuple[EncoderLayer, ...]
    norm: LayerNorm | RMSNorm | None = None
    bias: RelativePositions | None = None

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
        bias = None if self.bias is None else self.bias(x.shape[-2])
        for layer in self.layers:
            steps = layer.steps(x, mask, bias)
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
    norm: LayerNorm | RMSNorm | None = None

    def __call__(
        self, x: Array, memory: Array | None = None, *, mask: Array | None = None, memory_mask: Array | None = None
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


class EncoderDecoderSteps(NamedTuple):
    """The logits of every position of the target, and the attention weights that led to them.

    Attributes:
        logits: [..., m, n_vocabulary]
        weights: for each layer, [..., n_heads, m, n], the weights of each target position over the source's tokens.
        source_weights: for each layer of the encoder, [..., n_heads, n, n].
    """

    logits: Array
    weights: tuple[Array, ...]
    source_weights: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class EncoderDecoder:
    """A model that predicts each next target token from the source and the target tokens before it.

    Attributes:
        source: the source's token ids, or an image's patches → vectors.
        encoder: the layers over the source.
        target: the target's token ids → vectors.
        decoder: the layers over the target, with cross-attention over the encoder's output.
        output: d_model → n_vocabulary
    """

    source: Embeddings | Patches
    encoder: Encoder
    target: Embeddings
    decoder: Decoder
    output: Linear

    def __call__(self, source: Array, target: Array, lengths: Array | None = None) -> Array:
        """Return the logits of all target positions at once, as training needs them.

        Args:
            source: integers [..., n]
            target: integers [..., m]; position i attends to the first i + 1 tokens.
            lengths: integers [...], the true length of each source; None if all are n.

        Returns:
            logits [..., m, n_vocabulary]
        """
        return self.steps(source, target, lengths).logits

    def steps(self, source: Array, target: Array, lengths: Array | None = None) -> EncoderDecoderSteps:
        """Return the logits with all attention weights, of target over source and within the source."""
        mask = None if lengths is None else padding(lengths, source.shape[-1])  # [..., 1, n]
        x, source_weights = self.source(source), []
        for encoder_steps in self.encoder.steps(x, mask):
            x = encoder_steps.output
            source_weights.append(encoder_steps.attention.attended.weights)
        state = self.decoder.start(x if self.encoder.norm is None else self.encoder.norm(x), mask)
        x, weights = self.target(target), []
        for decoder_steps in self.decoder.steps(x, state):
            x = decoder_steps.output
            weights += [] if decoder_steps.memory_attended is None else [decoder_steps.memory_attended.weights]
        x = x if self.decoder.norm is None else self.decoder.norm(x)
        return EncoderDecoderSteps(self.output(x), tuple(weights), tuple(source_weights))

    def generate(self, source: Array, lengths: Array | None = None, *, begin: int, end: int, limit: int) -> Array:
        """Write the target: each next token is the one with the largest logit.

        Args:
            source: integers [b, n]
            lengths: integers [b], the true length of each source; None if all are n.
            begin: the token that every target starts with.
            end: the token that ends a target; a row that ends before the others is filled up with it.
            limit: the largest number of tokens to write.

        Returns:
            integers [b, ≤ limit], without `begin`.

        Raises:
            ParameterError: the limit is below 1.
        """
        mask = None if lengths is None else padding(lengths, source.shape[-1])
        state = self.decoder.start(self.encoder(self.source(source), mask), mask)

        def next_logits(token: Array) -> Array:
            nonlocal state
            x, state = self.decoder.step(self.target(token[..., None], start=state.length), state)
            return self.output(x)[..., 0, :]

        return greedy(next_logits, source, begin=begin, end=end, limit=limit)


def greedy(next_logits: Callable[[Array], Array], source: Array, *, begin: int, end: int, limit: int) -> Array:
    """Write b sequences: each next token is the one with the largest logit.

    Args:
        next_logits: takes the last token of each sequence, [b], and returns the logits [b, n_vocabulary] of the next;
            it remembers all tokens before.
        source: [b, ...], an array with the number of sequences, whose library and device the result has.
        begin, end, limit: as for `EncoderDecoder.generate`, with its result and error.
    """
    if limit < 1:
        raise ParameterError(f"limit must be at least 1, got {limit}")
    xp = array_namespace(source)
    token = xp.full(source.shape[:1], begin, dtype=xp.int64, device=device(source))
    ended = xp.zeros(source.shape[:1], dtype=xp.bool, device=device(source))
    written: list[Array] = []
    while len(written) < limit and not bool(xp.all(ended)):
        token = xp.where(ended, end, xp.astype(xp.argmax(next_logits(token), axis=-1), xp.int64))
        ended = ended | (token == end)
        written.append(token)
    return xp.stack(written, axis=-1)
