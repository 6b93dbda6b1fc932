"""A recurrent encoder that reads one sequence, and a recurrent decoder that writes another.

The Transformer replaced them. Without an alignment, the decoder gets the source as one state (Sutskever et al. 2014,
arXiv 1409.3215). With one, each token that it writes is a query over the whole source (Bahdanau et al. 2014, arXiv
1409.0473): attention, three years before the Transformer.
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
        """Compute the logits of the next token.

        Args:
            token: integers [...], the last token that was written.
            states: the decoder's states; before the first token, those of `encoded`.
            encoded: the result of `read`.

        Returns:
            logits [..., n_vocabulary], weights [..., n] or None, and the decoder's next states.
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
