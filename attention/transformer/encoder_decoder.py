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
    """What the decoder says of each position of the target, and what it attended to.

    Attributes:
        logits: [..., m, n_vocabulary]
        weights: of each layer, [..., n_heads, m, n]: how much each position rests on each token of the source.
        source_weights: of each layer of the encoder, [..., n_heads, n, n].
    """

    logits: Array
    weights: tuple[Array, ...]
    source_weights: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class EncoderDecoder:
    """Source tokens and the target tokens so far → the logits of each next target token.

    Attributes:
        source: the source's token ids → vectors; or an image's patches.
        encoder: reads them.
        target: the target's token ids → vectors.
        decoder: writes, with cross-attention over what the encoder read.
        output: d_model → n_vocabulary
    """

    source: Embeddings | Patches
    encoder: Encoder
    target: Embeddings
    decoder: Decoder
    output: Linear

    def __call__(self, source: Array, target: Array, lengths: Array | None = None) -> Array:
        """All positions of the target at once, as training needs them.

        Args:
            source: integers [..., n]
            target: integers [..., m]; position i sees the first i + 1 of them.
            lengths: integers [...], the true length of each source; n without.

        Returns:
            logits [..., m, n_vocabulary]
        """
        return self.steps(source, target, lengths).logits

    def steps(self, source: Array, target: Array, lengths: Array | None = None) -> EncoderDecoderSteps:
        """The same, with all attention between target and source, and within the source."""
        mask = None if lengths is None else padding(lengths, source.shape[-1])  # [..., 1, n]
        x, within = self.source(source), []
        for read in self.encoder.steps(x, mask):
            x = read.output
            within.append(read.attention.attended.weights)
        state = self.decoder.start(x if self.encoder.norm is None else self.encoder.norm(x), mask)
        x, between = self.target(target), []
        for written in self.decoder.steps(x, state):
            x = written.output
            between += [] if written.memory_attended is None else [written.memory_attended.weights]
        x = x if self.decoder.norm is None else self.decoder.norm(x)
        return EncoderDecoderSteps(self.output(x), tuple(between), tuple(within))

    def generate(self, source: Array, lengths: Array | None = None, *, begin: int, end: int, limit: int) -> Array:
        """Write the target, each time the token of the largest logit.

        Args:
            source: integers [b, n]
            lengths: integers [b]; n without.
            begin: the token that every target starts with.
            end: the token that ends a target; it fills up a row that ended before the others.
            limit: how many tokens to write at most.

        Returns:
            integers [b, ≤ limit], without `begin`.

        Raises:
            ParameterError: the limit is below 1.
        """
        mask = None if lengths is None else padding(lengths, source.shape[-1])
        state = self.decoder.start(self.encoder(self.source(source), mask), mask)

        def following(token: Array) -> Array:
            nonlocal state
            x, state = self.decoder.step(self.target(token[..., None], start=state.length), state)
            return self.output(x)[..., 0, :]

        return greedy(following, source, begin=begin, end=end, limit=limit)


def greedy(following: Callable[[Array], Array], source: Array, *, begin: int, end: int, limit: int) -> Array:
    """What is written where each token is the one of the largest logit.

    Args:
        following: tokens [b] → the logits [b, n_vocabulary] of what follows on them and on all before.
        source: [b, ...], for how many, and where, to write.
        begin, end, limit: as for `EncoderDecoder.generate`, with its result and error.
    """
    if limit < 1:
        raise ParameterError(f"limit must be at least 1, got {limit}")
    xp = array_namespace(source)
    token = xp.full(source.shape[:1], begin, dtype=xp.int64, device=device(source))
    ended = xp.zeros(source.shape[:1], dtype=xp.bool, device=device(source))
    written: list[Array] = []
    while len(written) < limit and not bool(xp.all(ended)):
        token = xp.where(ended, end, xp.astype(xp.argmax(following(token), axis=-1), xp.int64))
        ended = ended | (token == end)
        written.append(token)
    return xp.stack(written, axis=-1)
