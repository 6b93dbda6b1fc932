"""Gemma 3, causal or reading in both directions (EmbeddingGemma): four normalisations a layer, scaled embeddings.

Most layers attend within a sliding window, with rotary positions of a base of their own.
"""

from __future__ import annotations

import math

import numpy as np

from softkv_attention.transformer.checkpoints.config import Config, Tensors, heads_of
from softkv_attention.transformer.checkpoints.llama import head_width, key_heads
from softkv_attention.transformer.checkpoints.rope import rope_settings, rotary, scaling
from softkv_attention.transformer.embeddings import Embeddings
from softkv_attention.transformer.feed_forward import FeedForward
from softkv_attention.transformer.layer import EncoderLayer, Residual, RMSNorm
from softkv_attention.transformer.stacks import Encoder

FULL, SLIDING = "full_attention", "sliding_attention"


def gemma_parameters(config: Config, tensors: Tensors) -> tuple[Embeddings, Encoder]:
    """Return the embeddings and the layers of a text model of Gemma 3, without the output matrix.

    Raises:
        UnsupportedModelError: logits are capped, or the positions or the activation are not supported.
        CheckpointError: a size or a tensor is missing, or a tensor has another shape.
    """
    config.only("attn_logit_softcapping", None)
    tensors = tensors.without_prefix("model.")
    d_model = config.count("hidden_size")
    layers = tuple(layer(config, tensors, i, kind) for i, kind in enumerate(kinds(config)))
    return (
        Embeddings(
            tensors.table("embed_tokens.weight", config.count("vocab_size"), d_model),
            scale=float(np.float32(math.sqrt(d_model))),
        ),
        Encoder(layers, norm(config, tensors, "norm", d_model)),
    )


def kinds(config: Config) -> list[str]:
    """Return the kind of each layer, FULL or SLIDING."""
    n_layers, declared = config.count("num_hidden_layers"), config.fields.get("layer_types")
    if isinstance(declared, list) and len(declared) == n_layers:
        return [str(kind) for kind in declared]
    period = 6 if config.fields.get("sliding_window_pattern") is None else config.count("sliding_window_pattern")
    return [SLIDING if (i + 1) % period else FULL for i in range(n_layers)]


def norm(config: Config, tensors: Tensors, name: str, width: int) -> RMSNorm:
    """Return the normalisation called `name`; its stored scale is 1 too small."""
    return tensors.rms_norm(name, width, config.number("rms_norm_eps", 1e-6), add=1)


def layer(config: Config, tensors: Tensors, number: int, kind: str) -> EncoderLayer:
    """Return the layer with a number and a kind."""
    d_model, d_ff, d_head = config.count("hidden_size"), config.count("intermediate_size"), head_width(config)
    n_heads, n_key_heads, prefix = config.count("num_attention_heads"), key_heads(config), f"layers.{number}"
    bias, both_ways = config.flag("attention_bias", False), config.flag("use_bidirectional_attention", False)
    query = tensors.linear(f"{prefix}.self_attn.q_proj", d_model, n_heads * d_head, bias=bias)
    key, value = (
        tensors.linear(f"{prefix}.self_attn.{name}_proj", d_model, n_key_heads * d_head, bias=bias) for name in "kv"
    )
    output = tensors.linear(f"{prefix}.self_attn.o_proj", n_heads * d_head, d_model, bias=bias)
    gate, inner = (tensors.linear(f"{prefix}.mlp.{name}_proj", d_model, d_ff, bias=False) for name in ("gate", "up"))
    if kind == SLIDING:
        theta = config.number("rope_local_base_freq", 10_000)
        settings = rope_settings(config, SLIDING)
        window = config.count("sliding_window")
        # In both directions, half of the window lies before a token and half behind it.
        reach = window // 2 if both_ways else window - 1
    else:
        theta, reach = config.number("rope_theta", 1_000_000), None
        settings = scaling(config) or rope_settings(config, FULL)
    return EncoderLayer(
        attention=heads_of(
            (query, key, value, output),
            n_heads,
            n_key_heads=n_key_heads,
            query_norm=norm(config, tensors, f"{prefix}.self_attn.q_norm", d_head),
            key_norm=norm(config, tensors, f"{prefix}.self_attn.k_norm", d_head),
            rotary=rotary(config, settings, theta, d_head),
            temperature=math.sqrt(config.number("query_pre_attn_scalar", 256) / d_head),
        ),
        attention_residual=Residual(
            norm(config, tensors, f"{prefix}.input_layernorm", d_model),
            norm_first=True,
            branch_norm=norm(config, tensors, f"{prefix}.post_attention_layernorm", d_model),
        ),
        feed_forward=FeedForward(
            inner=inner,
            outer=tensors.linear(f"{prefix}.mlp.down_proj", d_ff, d_model, bias=False),
            activation=config.activation("hidden_activation", "gelu_pytorch_tanh"),
            gate=gate,
        ),
        feed_forward_residual=Residual(
            norm(config, tensors, f"{prefix}.pre_feedforward_layernorm", d_model),
            norm_first=True,
            branch_norm=norm(config, tensors, f"{prefix}.post_feedforward_layernorm", d_model),
        ),
        window=reach,
        causal=not both_ways,
    )
