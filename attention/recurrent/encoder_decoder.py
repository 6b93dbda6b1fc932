"""A recurrent encoder reads one sequence, a recurrent decoder writes another: what the Transformer took the place of.

Without an alignment the decoder knows of the source what fits into one state (Sutskever et al. 2014, arXiv 1409.3215).
With one, each token that it writes is a query over the whole source (Bahdanau et al. 2014, arXiv 1409.0473): attention,
three years before the Transformer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from array_api_compat import array_namespace

from attention.arrays import Array
from attention.definition import attend
from attention.masks import padding
from attention.recurrent.layers import Recurrent, States
from attention.similarity import Additive
from attention.transformer import Linear, greedy, rows


class EncodedSource(NamedTuple):
    """What the encoder leaves the decoder.

    Attributes:
        states: at the ends of the sources, where the decoder begins.
        memory: [..., n, d], an output for each token of the source.
        mask: bool [..., 1, n], which of them there are; None for all.
    """

    states: States
    memory: Array
    mask: Array | None


class RecurrentSteps(NamedTuple):
    """What the decoder says of each position of the target.

    Attributes:
        logits: [..., m, n_vocabulary]
        weights: [..., m, n], the alignment: how much each rests on each token of the source; None without one.
    """

    logits: Array
    weights: Array | None


@dataclass(frozen=True, eq=False)
class RecurrentEncoderDecoder:
    """Source tokens and the target tokens so far → the logits of each next target token.

    Attributes:
        source: [n_vocabulary, d_in], the vectors of the source's tokens.
        encoder: reads them.
        target: [n_vocabulary, d_in], the vectors of the target's tokens.
        decoder: writes; its cells have the widths of the encoder's.
        output: reads the decoder's output, and behind it what is attended to.
        alignment: relates the decoder's last output to the encoder's outputs; None for no attention. What is attended
            to stands behind the token that the decoder is given.
    """

    source: Array
    encoder: Recurrent
    target: Array
    decoder: Recurrent
    output: Linear
    alignment: Additive | None = None

    def __call__(self, source: Array, target: Array, lengths: Array | None = None) -> Array:
        """All positions of the target; arguments and result are those of `EncoderDecoder`."""
        return self.steps(source, target, lengths).logits

    def steps(self, source: Array, target: Array, lengths: Array | None = None) -> RecurrentSteps:
        """The same, with what each position attended to.

        Args:
            source: integers [..., n]
            target: integers [..., m]; position i is given the token i, and has read those before it.
            lengths: integers [...], the true length of each source; n without.
        """
        read = self.read(source, lengths)
        states, logits, weights = read.states, [], []
        for at in range(target.shape[-1]):
            one, aligned, states = self.step(target[..., at], states, read)
            logits.append(one)
            weights.append(aligned)
        xp = array_namespace(source)
        aligned = None if self.alignment is None else xp.stack(weights, axis=-2)
        return RecurrentSteps(xp.stack(logits, axis=-2), aligned)

    def read(self, source: Array, lengths: Array | None = None) -> EncodedSource:
        """The source [..., n] as the decoder is given it."""
        memory, states = self.encoder(rows("token", self.source, source), lengths=lengths)
        return EncodedSource(states, memory, None if lengths is None else padding(lengths, source.shape[-1]))

    def step(self, token: Array, states: States, read: EncodedSource) -> tuple[Array, Array | None, States]:
        """One token further.

        Args:
            token: integers [...], the last one that was written.
            states: of the decoder, those of `read` before the first token.
            read: what the encoder left.

        Returns:
            logits [..., n_vocabulary], weights [..., n] or None, and the states after it.
        """
        xp, x, weights = array_namespace(token), rows("token", self.target, token), None
        context = None
        if self.alignment is not None:
            query = self.decoder.cells[-1].output(states[-1])[..., None, :]
            attended = attend(query, read.memory, read.memory, similarity=self.alignment, mask=read.mask)
            context, weights = attended.output[..., 0, :], attended.weights[..., 0, :]
            x = xp.concat([x, context], axis=-1)
        out, states = self.decoder(x[..., None, :], states)
        said = out[..., 0, :] if context is None else xp.concat([out[..., 0, :], context], axis=-1)
        return self.output(said), weights, states

    def generate(self, source: Array, lengths: Array | None = None, *, begin: int, end: int, limit: int) -> Array:
        """Write the target greedily; arguments, result and error are those of `EncoderDecoder.generate`."""
        read = self.read(source, lengths)
        states = read.states

        def following(token: Array) -> Array:
            nonlocal states
            logits, _, states = self.step(token, states, read)
            return logits

        return greedy(following, source, begin=begin, end=end, limit=limit)
