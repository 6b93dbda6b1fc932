"""The layers of a Transformer: attention, then a feed-forward network, each added to what it was given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from array_api_compat import array_namespace

from attention.arrays import Array, promote
from attention.definition import Attended
from attention.heads import Heads, HeadsSteps
from attention.transformer.feed_forward import FeedForward

Norm: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """Each row brought to mean 0 and variance 1, then scaled and shifted (Ba et al. 2016, arXiv 1607.06450).

    Attributes:
        scale: [d_model]
        shift: [d_model]
        epsilon: is added to the variance, so that a constant row does not divide by zero.
    """

    scale: Array
    shift: Array
    epsilon: float = 1e-5

    def __call__(self, x: Array) -> Array:
        """x [..., d_model] → [..., d_model], worked out in float32 at least."""
        xp = array_namespace(x, self.scale)
        given = x.dtype
        x, scale, shift = promote(xp, x, self.scale, self.shift)
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        return xp.astype(centred / xp.sqrt(variance + self.epsilon) * scale + shift, given, copy=False)


@dataclass(frozen=True, eq=False)
class Residual:
    """Add & norm: what a branch computes is added to what it was given.

        post-norm   x ← norm(x + branch(x))     Vaswani et al. 2017; BERT
        pre-norm    x ← x + branch(norm(x))     Xiong et al. 2020, arXiv 2002.04745; GPT-2

    Attributes:
        norm: the normalisation, a `LayerNorm` or what computes the same.
        norm_first: pre-norm, and post-norm without.
    """

    norm: Norm
    norm_first: bool = False

    def read(self, x: Array) -> Array:
        """What the branch is given: [..., d_model] → [..., d_model]."""
        return self.norm(x) if self.norm_first else x

    def add(self, x: Array, update: Array) -> Array:
        """x and the branch's update of it, both [..., d_model] → [..., d_model]."""
        return x + update if self.norm_first else self.norm(x + update)


class EncoderSteps(NamedTuple):
    """What one encoder layer computes on the way.

    Attributes:
        output: [..., n, d_model]
        attention: queries, keys, values, logits and weights of each head; its output is added to the input.
        feed_forward: [..., n, d_model] what the network adds to that.
    """

    output: Array
    attention: HeadsSteps
    feed_forward: Array


@dataclass(frozen=True, eq=False)
class EncoderLayer:
    """Self-attention and a feed-forward network; nn.TransformerEncoderLayer computes the same.

    Attributes:
        attention: the heads of the self-attention.
        attention_residual: how their output is added.
        feed_forward: the network.
        feed_forward_residual: how its output is added.
    """

    attention: Heads
    attention_residual: Residual
    feed_forward: FeedForward
    feed_forward_residual: Residual

    def __call__(self, x: Array, mask: Array | None = None) -> Array:
        """x [..., n, d_model] → [..., n, d_model]; the mask is bool and broadcasts to [..., n, n]."""
        return self.steps(x, mask).output

    def steps(self, x: Array, mask: Array | None = None) -> EncoderSteps:
        """The same, with everything it computes on the way."""
        read = self.attention_residual.read(x)
        attention = self.attention.steps(read, read, read, mask)
        x = self.attention_residual.add(x, attention.output)
        update = self.feed_forward(self.feed_forward_residual.read(x))
        return EncoderSteps(self.feed_forward_residual.add(x, update), attention, update)


class KeysValues(NamedTuple):
    """The projected keys and values of positions that later queries attend to, split into heads.

    Attributes:
        key: [..., n_heads, n, d_k]
        value: [..., n_heads, n, d_v]
    """

    key: Array
    value: Array

    @classmethod
    def of(cls, heads: Heads, x: Array) -> KeysValues:
        """Those of x [..., n, d_model]."""
        return cls(heads.keys(x), heads.values(x))

    def followed_by(self, later: KeysValues) -> KeysValues:
        """These, and after them those of later positions."""
        xp = array_namespace(self.key, later.key)
        pairs = zip(self, later, strict=True)
        return KeysValues(*(xp.concat([before, after], axis=-2) for before, after in pairs))


class LayerCache(NamedTuple):
    """What a decoder layer keeps between steps.

    Attributes:
        past: of the positions decoded so far; None before the first.
        memory: of the encoder's output; None without one.
    """

    past: KeysValues | None
    memory: KeysValues | None


class DecoderSteps(NamedTuple):
    """What one decoder layer computes on the way.

    Attributes:
        output: [..., m, d_model]
        cache: for the next step.
        attended: of each head of the self-attention; its weights are [..., n_heads, m, past + m].
        memory_attended: of each head of the cross-attention, [..., n_heads, m, n]; None without one.
    """

    output: Array
    cache: LayerCache
    attended: Attended
    memory_attended: Attended | None


@dataclass(frozen=True, eq=False)
class DecoderLayer:
    """Self-attention over what came before, cross-attention over an encoder's output, and a network.

    nn.TransformerDecoderLayer computes the same; without cross-attention it is a layer of GPT-2.

    Attributes:
        attention: the heads of the self-attention.
        attention_residual: how their output is added.
        feed_forward: the network.
        feed_forward_residual: how its output is added.
        cross_attention: heads whose keys and values come from the encoder; None for none.
        cross_attention_residual: how their output is added; None without them.
    """

    attention: Heads
    attention_residual: Residual
    feed_forward: FeedForward
    feed_forward_residual: Residual
    cross_attention: Heads | None = None
    cross_attention_residual: Residual | None = None

    def start(self, memory: Array | None) -> LayerCache:
        """The cache before the first step, over an encoder's output [..., n, d_model] or none."""
        if memory is None or self.cross_attention is None:
            return LayerCache(None, None)
        return LayerCache(None, KeysValues.of(self.cross_attention, memory))

    def step(
        self, x: Array, cache: LayerCache, mask: Array | None = None, memory_mask: Array | None = None
    ) -> tuple[Array, LayerCache]:
        """m further positions, and the cache with them.

        Args:
            x: [..., m, d_model]
            cache: of the steps before, or of `start`.
            mask: bool, broadcasts to [..., m, past + m]; True where a position may attend. It must be causal.
            memory_mask: bool, broadcasts to [..., m, n].

        Returns:
            [..., m, d_model], and the cache for the next step.
        """
        steps = self.steps(x, cache, mask, memory_mask)
        return steps.output, steps.cache

    def steps(
        self, x: Array, cache: LayerCache, mask: Array | None = None, memory_mask: Array | None = None
    ) -> DecoderSteps:
        """The same, with everything it computes on the way."""
        read = self.attention_residual.read(x)
        own = KeysValues.of(self.attention, read)
        own = own if cache.past is None else cache.past.followed_by(own)
        attended, looked_up = attend_over(self.attention, read, own, mask), None
        x = self.attention_residual.add(x, self.attention.join(attended.output))

        if self.cross_attention is not None and self.cross_attention_residual is not None and cache.memory:
            read = self.cross_attention_residual.read(x)
            looked_up = attend_over(self.cross_attention, read, cache.memory, memory_mask)
            x = self.cross_attention_residual.add(x, self.cross_attention.join(looked_up.output))

        x = self.feed_forward_residual.add(x, self.feed_forward(self.feed_forward_residual.read(x)))
        return DecoderSteps(x, LayerCache(own, cache.memory), attended, looked_up)


def attend_over(heads: Heads, x: Array, memory: KeysValues, mask: Array | None) -> Attended:
    """Attention of each head from x [..., m, d_model] over keys and values already projected."""
    return heads.attend(heads.queries(x), memory.key, memory.value, mask)
