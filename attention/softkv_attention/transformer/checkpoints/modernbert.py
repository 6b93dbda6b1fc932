"""ModernBERT: pre-norm, a gated network, and windows with rotary positions of their own in most layers.

Source: Warner et al. 2024, arXiv 2412.13663.
"""

from __future__ import annotations

from softkv_attention.transformer.checkpoints.config import Config, Tensors, heads_of
from softkv_attention.transformer.checkpoints.nomic import split
from softkv_attention.transformer.checkpoints.rope import rope_settings, rotary, scaling
from softkv_attention.transformer.embeddings import Embeddings
from softkv_attention.transformer.feed_forward import FeedForward
from softkv_attention.transformer.layer import EncoderLayer, LayerNorm, Residual
from softkv_attention.transformer.stacks import Encoder

FULL, SLIDING = "full_attention", "sliding_attention"


def modernbert_parameters(config: Config, tensors: Tensors) -> tuple[Embeddings, Encoder]:
    """Return the embeddings and the encoder of a ModernBERT.

    Raises:
        UnsupportedModelError: the positions or the activation are not supported.
        CheckpointError: a size or a tensor is missing, or a tensor has another shape.
    """
    tensors = tensors.without_prefix("model.")
    d_model = config.count("hidden_size")
    layers = tuple(layer(config, tensors, i, kind) for i, kind in enumerate(kinds(config)))
    return (
        Embeddings(
            tensors.table("embeddings.tok_embeddings.weight", config.count("vocab_size"), d_model),
            norm=norm(config, tensors, "embeddings.norm"),
        ),
        Encoder(layers, norm(config, tensors, "final_norm")),
    )


def kinds(config: Config) -> list[str]:
    """Return the kind of each layer, FULL or SLIDING."""
    n_layers, declared = config.count("num_hidden_layers"), config.fields.get("layer_types")
    if isinstance(declared, list) and len(declared) == n_layers:
        return [str(kind) for kind in declared]
    name = "global_attn_every_n_layers"
    period = 3 if config.fields.get(name) is None else config.count(name)
    return [SLIDING if i % period else FULL for i in range(n_layers)]


def norm(config: Config, tensors: Tensors, name: str) -> LayerNorm:
    """Return the normalisation called `name`."""
    shift = config.flag("norm_bias", False)
    return tensors.norm(name, config.count("hidden_size"), config.number("norm_eps", 1e-5), shift=shift)


def layer(config: Config, tensors: Tensors, number: int, kind: str) -> EncoderLayer:
    """Return the layer with a number and a kind; the first one does not normalise before attention."""
    d_model, d_ff, prefix = config.count("hidden_size"), config.count("intermediate_size"), f"layers.{number}"
    n_heads = config.heads("num_attention_heads", d_model)
    joined = tensors.linear(f"{prefix}.attn.Wqkv", d_model, 3 * d_model, bias=config.flag("attention_bias", False))
    query, key, value = split(joined, 3)
    output = tensors.linear(f"{prefix}.attn.Wo", d_model, d_model, bias=config.flag("attention_bias", False))
    bias = config.flag("mlp_bias", False)
    gate, inner = split(tensors.linear(f"{prefix}.mlp.Wi", d_model, 2 * d_ff, bias=bias), 2)
    name, theta = ("global_rope_theta", 160_000) if kind == FULL else ("local_rope_theta", 10_000)
    settings = scaling(config) or rope_settings(config, kind)
    window = 128 if config.fields.get("local_attention") is None else config.count("local_attention")
    return EncoderLayer(
        attention=heads_of(
            (query, key, value, output),
            n_heads,
            rotary=rotary(config, settings, config.number(name, theta), d_model // n_heads),
        ),
        attention_residual=Residual(norm(config, tensors, f"{prefix}.attn_norm") if number else None, norm_first=True),
        feed_forward=FeedForward(
            inner=inner,
            outer=tensors.linear(f"{prefix}.mlp.Wo", d_ff, d_model, bias=bias),
            activation=config.activation("hidden_activation"),
            gate=gate,
        ),
        feed_forward_residual=Residual(norm(config, tensors, f"{prefix}.mlp_norm"), norm_first=True),
        window=window // 2 if kind == SLIDING else None,
    )
