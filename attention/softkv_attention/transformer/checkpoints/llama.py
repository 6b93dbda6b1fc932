"""Llama and its relatives: pre-norm with RMSNorm, grouped queries with rotary positions, and a gated network.

All members have the same names of tensors. They differ in biases, in normalisations of queries and keys, and in what a
token attends to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from softkv_attention.rotary import Rotary
from softkv_attention.transformer.checkpoints.config import (
    CheckpointError,
    Config,
    Tensors,
    UnsupportedModelError,
    heads_of,
)
from softkv_attention.transformer.checkpoints.rope import rope_settings, rotary, scaling
from softkv_attention.transformer.embeddings import Embeddings
from softkv_attention.transformer.feed_forward import FeedForward
from softkv_attention.transformer.layer import EncoderLayer, Residual
from softkv_attention.transformer.stacks import Encoder


@dataclass(frozen=True)
class Member:
    """The differences of a member of the family from the others.

    Attributes:
        query_bias: whether queries, keys and values have a bias; None to follow attention_bias of config.json.
        output_bias: whether the output of attention has one; None to follow it as well.
        normalised: whether each head's query and key are normalised.
        slides: when sliding_window of config.json counts: never, always, or if use_sliding_window is true.
    """

    query_bias: bool | None = None
    output_bias: bool | None = None
    normalised: bool = False
    slides: Literal["never", "always", "declared"] = "declared"


MEMBERS: Mapping[str, Member] = {
    "llama": Member(slides="never"),
    "mistral": Member(query_bias=False, output_bias=False, slides="always"),
    "qwen2": Member(query_bias=True, output_bias=False),
    "qwen3": Member(normalised=True),
}


def llama_parameters(config: Config, tensors: Tensors) -> tuple[Embeddings, Encoder]:
    """Return the embeddings and the layers of a model of the Llama family, without the output matrix.

    Raises:
        UnsupportedModelError: the architecture, the positions or the activation are not supported.
        CheckpointError: a size or a tensor is missing, or a tensor has another shape.
    """
    model_type = config.fields.get("model_type")
    if not isinstance(model_type, str) or model_type not in MEMBERS:
        raise UnsupportedModelError(
            f"{config.source}: model_type must be one of {', '.join(MEMBERS)}, got {model_type!r}"
        )
    tensors = tensors.without_prefix("model.")
    d_model, d_head = config.count("hidden_size"), head_width(config)
    turn = rotary(config, scaling(config) or rope_settings(config), config.number("rope_theta", 10_000), d_head)
    epsilon = config.number("rms_norm_eps", 1e-6)
    layers = tuple(
        layer(config, MEMBERS[model_type], tensors, i, turn, window)
        for i, window in enumerate(windows(config, MEMBERS[model_type]))
    )
    return (
        Embeddings(tensors.table("embed_tokens.weight", config.count("vocab_size"), d_model)),
        Encoder(layers, tensors.rms_norm("norm", d_model, epsilon)),
    )


def head_width(config: Config) -> int:
    """Return the width of a head, which need not divide the width of the model."""
    if config.fields.get("head_dim") is not None:
        return config.count("head_dim")
    d_model = config.count("hidden_size")
    return d_model // config.heads("num_attention_heads", d_model)


def key_heads(config: Config) -> int:
    """Return the number of heads of keys and values.

    Raises:
        CheckpointError: it does not divide the number of heads.
    """
    n_heads = config.count("num_attention_heads")
    n_key_heads = n_heads if config.fields.get("num_key_value_heads") is None else config.count("num_key_value_heads")
    if n_heads % n_key_heads:
        raise CheckpointError(f"{config.source}: num_key_value_heads must divide {n_heads}, got {n_key_heads}")
    return n_key_heads


def windows(config: Config, member: Member) -> list[int | None]:
    """Return for each layer how many positions back a token attends to; None for all.

    Raises:
        UnsupportedModelError: tokens attend to those after them as well, within a window.
    """
    n_layers = config.count("num_hidden_layers")
    kinds = config.fields.get("layer_types")
    if member.slides == "always" and "layer_types" in config.fields and not isinstance(kinds, list):
        raise UnsupportedModelError(f"{config.source}: layer_types must be a list of {n_layers}, got {kinds!r}")
    if config.fields.get("sliding_window") is None or member.slides == "never":
        return [None] * n_layers
    if member.slides == "always" and kinds is None:
        sliding = [True] * n_layers
    elif member.slides == "declared" and not config.flag("use_sliding_window", False):
        sliding = [False] * n_layers
    elif isinstance(kinds, list) and len(kinds) == n_layers:
        sliding = [kind == "sliding_attention" for kind in kinds]
    else:
        first = config.count("max_window_layers", least=0)
        sliding = [i >= first for i in range(n_layers)]
    if any(sliding):
        config.only("is_causal", True)
    return [config.count("sliding_window") - 1 if is_sliding else None for is_sliding in sliding]


def layer(
    config: Config, member: Member, tensors: Tensors, number: int, turn: Rotary, window: int | None
) -> EncoderLayer:
    """Return the layer with a number; `turn` is the rotation of its queries and keys, `window` its reach."""
    d_model, d_ff, d_head = config.count("hidden_size"), config.count("intermediate_size"), head_width(config)
    n_heads, n_key_heads = config.count("num_attention_heads"), key_heads(config)
    epsilon, prefix = config.number("rms_norm_eps", 1e-6), f"layers.{number}"
    declared = config.flag("attention_bias", False)
    bias = declared if member.query_bias is None else member.query_bias
    query = tensors.linear(f"{prefix}.self_attn.q_proj", d_model, n_heads * d_head, bias=bias)
    key, value = (
        tensors.linear(f"{prefix}.self_attn.{name}_proj", d_model, n_key_heads * d_head, bias=bias) for name in "kv"
    )
    bias = declared if member.output_bias is None else member.output_bias
    output = tensors.linear(f"{prefix}.self_attn.o_proj", n_heads * d_head, d_model, bias=bias)
    query_norm, key_norm = (
        tensors.rms_norm(f"{prefix}.self_attn.{name}_norm", d_head, epsilon) if member.normalised else None
        for name in "qk"
    )
    bias = config.flag("mlp_bias", False)
    gate, inner = (tensors.linear(f"{prefix}.mlp.{name}_proj", d_model, d_ff, bias=bias) for name in ("gate", "up"))
    return EncoderLayer(
        attention=heads_of(
            (query, key, value, output),
            n_heads,
            n_key_heads=n_key_heads,
            query_norm=query_norm,
            key_norm=key_norm,
            rotary=turn,
        ),
        attention_residual=Residual(tensors.rms_norm(f"{prefix}.input_layernorm", d_model, epsilon), norm_first=True),
        feed_forward=FeedForward(
            inner=inner,
            outer=tensors.linear(f"{prefix}.mlp.down_proj", d_ff, d_model, bias=bias),
            activation=config.activation("hidden_act", "silu"),
            gate=gate,
        ),
        feed_forward_residual=Residual(
            tensors.rms_norm(f"{prefix}.post_attention_layernorm", d_model, epsilon), norm_first=True
        ),
        window=window,
        causal=config.flag("is_causal", True),
    )
