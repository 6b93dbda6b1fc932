"""The layers of a Transformer: attention, then a feed-forward network; each output is added to its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from softkv_attention.arrays import Array, array_namespace, promote
from softkv_attention.definition import Attended
from softkv_attention.heads import Heads, HeadsSteps
from softkv_attention.masks import causal, within
from softkv_attention.transformer.feed_forward import FeedForward

Norm: TypeAlias = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class LayerNorm:
    """A normalisation of each row to mean 0 and variance 1, with scale and shift (Ba et al. 2016, arXiv 1607.06450).

    Attributes:
        scale: [d_model]
        shift: [d_model]; None to add nothing.
        epsilon: added to the variance, so that a constant row does not divide by zero.
    """

    scale: Array
    shift: Array | None = None
    epsilon: float = 1e-5

    def __call__(self, x: Array) -> Array:
        """Normalise x [..., d_model] in float32 or wider; the result has the type of x."""
        xp = array_namespace(x, self.scale)
        dtype = x.dtype
        x, scale, *shift = promote(xp, x, self.scale, *([] if self.shift is None else [self.shift]))
        centred = x - xp.mean(x, axis=-1, keepdims=True)
        variance = xp.mean(centred * centred, axis=-1, keepdims=True)
        y = centred / xp.sqrt(variance + self.epsilon) * scale
        return xp.astype(y + shift[0] if shift else y, dtype, copy=False)


@dataclass(frozen=True, eq=False)
class RMSNorm:
    """A normalisation of each row to mean square 1, with a scale (Zhang & Sennrich 2019, arXiv 1910.07467).

    Attributes:
        scale: [d_model]; Gemma stores it less 1.
        epsilon: added to the mean square, so that a row of zeros does not divide by zero.
    """

    scale: Array
    epsilon: float = 1e-6

    def __call__(self, x: Array) -> Array:
        """Normalise x [..., d_model] in float32 or wider; the result has the type of x."""
        xp = array_namespace(x, self.scale)
        dtype = x.dtype
        x, scale = promote(xp, x, self.scale)
        mean_square = xp.mean(x * x, axis=-1, keepdims=True)
        return xp.astype(x / xp.sqrt(mean_square + self.epsilon) * scale, dtype, copy=False)


@dataclass(frozen=True, eq=False)
class Residual:
    """Add & norm: the output of a branch is added to its input, with a normalisation before or after.

        post-norm   x ← norm(x + branch(x))     Vaswani et al. 2017; BERT
        pre-norm    x ← x + branch(norm(x))     Xiong et al. 2020, arXiv 2002.04745; GPT-2
        both        x ← x + branch_norm(branch(norm(x)))     Gemma 2 and 3

    Attributes:
        norm: the normalisation, a `LayerNorm`, an `RMSNorm` or an equivalent function; None to leave it out.
        norm_first: True for pre-norm, False for post-norm.
        branch_norm: the normalisation of the branch's output before it is added; None to leave it out.
    """

    norm: Norm | None
    norm_first: bool = False
    branch_norm: Norm | None = None

    def read(self, x: Array) -> Array:
        """Return the branch's input [..., d_model]: x, normalised for pre-norm."""
        return self.norm(x) if self.norm_first and self.norm is not None else x

    def update(self, output: Array) -> Array:
        """Return what to add to x, [..., d_model]: the branch's output, normalised if it has a normalisation."""
        return output if self.branch_norm is None else self.branch_norm(output)

    def add(self, x: Array, update: Array) -> Array:
        """Add the branch's update to x, both [..., d_model], and normalise the sum for post-norm."""
        return x + update if self.norm_first or self.norm is None else self.norm(x + update)


class EncoderSteps(NamedTuple):
    """The output and all intermediate results of one encoder layer.

    Attributes:
        output: [..., n, d_model]
        attention: queries, keys, values, logits and weights of each head; its output is added to the input.
        middle: [..., n, d_model], the tokens after attention was added, and normalised for post-norm.
        feed_forward: [..., n, d_model], the network's output, which is added next.

    Both outputs are as they are added, after a normalisation of the branch.
    """

    output: Array
    attention: HeadsSteps
    middle: Array
    feed_forward: Array


@dataclass(frozen=True, eq=False)
class EncoderLayer:
    """Self-attention and a feed-forward network. nn.TransformerEncoderLayer is equivalent.

    Attributes:
        attention: the heads of the self-attention.
        attention_residual: the add & norm around them.
        feed_forward: the network.
        feed_forward_residual: the add & norm around it.
        window: each token attends to tokens at most this many positions away; None for all tokens.
        causal: whether each token attends only to itself and the tokens before it.
    """

    attention: Heads
    attention_residual: Residual
    feed_forward: FeedForward
    feed_forward_residual: Residual
    window: int | None = None
    causal: bool = False

    def __call__(self, x: Array, mask: Array | None = None, bias: Array | None = None) -> Array:
        """Return the layer's output [..., n, d_model] for x [..., n, d_model].

        Args:
            x: [..., n, d_model]
            mask: bool, broadcasts to [..., n, n]; combined with the layer's own mask.
            bias: broadcasts to [..., n_heads, n, n]; added to the logits.
        """
        return self.steps(x, mask, bias).output

    def steps(
        self, x: Array, mask: Array | None = None, bias: Array | None = None, head_mask: Array | None = None
    ) -> EncoderSteps:
        """Return the output and all intermediate results of the layer.

        Args:
            x, mask, bias: those of calling the layer.
            head_mask: bool, broadcasts to [..., n_heads]; False where a head's output is replaced by zeros.
        """
        reachable = self.mask(x.shape[-2], like=x)
        if reachable is not None:
            mask = reachable if mask is None else mask & reachable
        branch_input = self.attention_residual.read(x)
        attention = self.attention.steps(branch_input, branch_input, branch_input, mask, head_mask=head_mask, bias=bias)
        attention = attention._replace(output=self.attention_residual.update(attention.output))
        middle = self.attention_residual.add(x, attention.output)
        update = self.feed_forward_residual.update(self.feed_forward(self.feed_forward_residual.read(middle)))
        return EncoderSteps(self.feed_forward_residual.add(middle, update), attention, middle, update)

    def mask(self, n: int, *, like: Array) -> Array | None:
        """Return the mask [n, n] of the layer itself, in the library of `like`; None if every token sees all."""
        near = within(n, self.window, like=like) if self.window is not None and self.window < n - 1 else None
        if not self.causal:
            return near
        return causal(n, n, like=like) if near is None else near & causal(n, n, like=like)


class KeysValues(NamedTuple):
    """The projected keys and values of positions that later queries attend to, split into heads.

    Attributes:
        key: [..., n_key_heads, n, d_k]
        value: [..., n_key_heads, n, d_v]
    """

    key: Array
    value: Array

    @classmethod
    def of(cls, heads: Heads, x: Array, *, start: int = 0) -> KeysValues:
        """Return the keys and values of x [..., n, d_model], whose first position is `start`."""
        return cls(heads.keys(x, start=start), heads.values(x))

    def append(self, later: KeysValues) -> KeysValues:
        """Return these keys and values, followed by those of later positions."""
        xp = array_namespace(self.key, later.key)
        pairs = zip(self, later, strict=True)
        return KeysValues(*(xp.concat([before, after], axis=-2) for before, after in pairs))


class LayerCache(NamedTuple):
    """The keys and values that a decoder layer keeps between steps.

    Attributes:
        past: the keys and values of the positions decoded so far; None before the first position.
        memory: the keys and values of the encoder's output; None without cross-attention.
    """

    past: KeysValues | None
    memory: KeysValues | None


class DecoderSteps(NamedTuple):
    """The output and all intermediate results of one decoder layer.

    Attributes:
        output: [..., m, d_model]
        cache: the cache for the next step.
        attended: the self-attention of each head; its weights are [..., n_heads, m, past + m].
        memory_attended: the cross-attention of each head, with weights [..., n_heads, m, n]; None without it.
    """

    output: Array
    cache: LayerCache
    attended: Attended[Array]
    memory_attended: Attended[Array] | None


@dataclass(frozen=True, eq=False)
class DecoderLayer:
    """Self-attention over earlier positions, cross-attention over an encoder's output, and a network.

    nn.TransformerDecoderLayer computes the same; without cross-attention it is a layer of GPT-2.

    Attributes:
        attention: the heads of the self-attention.
        attention_residual: the add & norm around them.
        feed_forward: the network.
        feed_forward_residual: the add & norm around it.
        cross_attention: heads whose keys and values come from the encoder; None for a layer without them.
        cross_attention_residual: the add & norm around them; None for a layer without them.
    """

    attention: Heads
    attention_residual: Residual
    feed_forward: FeedForward
    feed_forward_residual: Residual
    cross_attention: Heads | None = None
    cross_attention_residual: Residual | None = None

    def start(self, memory: Array | None) -> LayerCache:
        """Return the cache before the first step, over an encoder's output [..., n, d_model] if there is one."""
        if memory is None or self.cross_attention is None:
            return LayerCache(None, None)
        return LayerCache(None, KeysValues.of(self.cross_attention, memory))

    def step(
        self, x: Array, cache: LayerCache, mask: Array | None = None, memory_mask: Array | None = None
    ) -> tuple[Array, LayerCache]:
        """Compute the outputs of m further positions.

        Args:
            x: [..., m, d_model]
            cache: the cache from the step before, or from `start`.
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
        """Return the output and all intermediate results of the layer.

        Arguments are those of `step`.
        """
        branch_input = self.attention_residual.read(x)
        start = 0 if cache.past is None else cache.past.key.shape[-2]
        past = KeysValues.of(self.attention, branch_input, start=start)
        past = past if cache.past is None else cache.past.append(past)
        attended, memory_attended = attend_over(self.attention, branch_input, past, mask, start=start), None
        x = self.attention_residual.add(x, self.attention_residual.update(self.attention.join(attended.output)))

        if self.cross_attention is not None and self.cross_attention_residual is not None and cache.memory:
            branch_input = self.cross_attention_residual.read(x)
            memory_attended = attend_over(self.cross_attention, branch_input, cache.memory, memory_mask)
            update = self.cross_attention.join(memory_attended.output)
            x = self.cross_attention_residual.add(x, self.cross_attention_residual.update(update))

        update = self.feed_forward(self.feed_forward_residual.read(x))
        x = self.feed_forward_residual.add(x, self.feed_forward_residual.update(update))
        return DecoderSteps(x, LayerCache(past, cache.memory), attended, memory_attended)


def attend_over(heads: Heads, x: Array, memory: KeysValues, mask: Array | None, *, start: int = 0) -> Attended[Array]:
    """Attend in each head from x [..., m, d_model], whose first position is `start`, over projected keys and values."""
    return heads.attend(heads.queries(x, start=start), memory.key, memory.value, mask)
