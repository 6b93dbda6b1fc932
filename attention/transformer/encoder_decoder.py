"""The whole Transformer: an encoder reads one sequence, a decoder writes another (Vaswani et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from array_api_compat import array_namespace, device

from attention.arrays import Array
from attention.errors import ParameterError
from attention.masks import padding
from attention.transformer.embeddings import Embeddings, Patches
from attention.transformer.feed_forward import Linear
from attention.transformer.stacks import Decoder, Encoder


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
