"""NomicBERT and GTE: BERT's post-norm layers, with rotary positions and a gated network.

Each has two forms, that of transformers and that of the code which its makers published with the weights. The names of
the second are changed to those of the first.
"""

from __future__ import annotations

from softkv_attention.rotary import Rotary
from softkv_attention.transformer.checkpoints.config import Config, Tensors, UnsupportedModelError, heads_of
from softkv_attention.transformer.checkpoints.rope import rope_settings, rotary, scaling
from softkv_attention.transformer.embeddings import Embeddings
from softkv_attention.transformer.feed_forward import FeedForward, Linear
from softkv_attention.transformer.layer import EncoderLayer, Residual
from softkv_attention.transformer.stacks import Encoder

NOMIC_FIELDS = {
    "n_embd": "hidden_size",
    "n_inner": "intermediate_size",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
    "n_positions": "max_position_embeddings",
    "layer_norm_epsilon": "layer_norm_eps",
    "rotary_emb_base": "rope_theta",
}
NOMIC_TENSORS = {
    "encoder.layers.": "layers.",
    "emb_ln.": "embeddings.LayerNorm.",
    "attn.Wqkv.": "self_attn.qkv_proj.",
    "attn.out_proj.": "self_attn.o_proj.",
    "mlp.fc11.": "mlp.up_proj.",
    "mlp.fc12.": "mlp.gate_proj.",
    "mlp.fc2.": "mlp.down_proj.",
    "norm1.": "post_attention_layernorm.",
    "norm2.": "post_mlp_layernorm.",
}
GTE_TENSORS = {
    "encoder.layer.": "layers.",
    "attention.": "self_attn.",
    "attn_ln.": "post_attention_layernorm.",
    "mlp_ln.": "post_mlp_layernorm.",
}
# Fields of the makers' code, with the only values that are supported.
NOMIC_ONLY = {
    "prenorm": False,
    "parallel_block": False,
    "use_rms_norm": False,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_emb_scale_base": None,
    "rotary_scaling_factor": None,
    "moe_every_n_layers": 0,
}
GTE_ONLY = {"position_embedding_type": "rope", "layer_norm_type": "layer_norm", "logn_attention_scale": False}
GATES = {"swiglu": "silu", "geglu": "gelu"}


def nomic_parameters(config: Config, tensors: Tensors) -> tuple[Embeddings, Encoder]:
    """Return the embeddings and the encoder of a NomicBERT.

    Raises:
        UnsupportedModelError: the architecture, the positions or the activation are not supported.
        CheckpointError: a size or a tensor is missing, or a tensor has another shape.
    """
    config = nomic_config(config)
    for name, value in NOMIC_ONLY.items():
        config.only(name, value)
    biases = [config.flag(name, False) for name in ("qkv_proj_bias", "mlp_fc1_bias", "mlp_fc2_bias")]
    if len({*biases}) > 1:
        raise UnsupportedModelError(f"{config.source}: all maps must have a bias, or none, got {biases}")
    tensors = rename(tensors.without_prefix("nomic_bert.", "bert."), NOMIC_TENSORS)
    return parameters(config, tensors, 1000, attention_bias=biases[0], inner_bias=biases[1], outer_bias=biases[2])


def nomic_config(config: Config) -> Config:
    """Return the fields of a NomicBERT by their names in transformers."""
    fields = dict(config.fields)
    fields |= {ours: fields[theirs] for theirs, ours in NOMIC_FIELDS.items() if theirs in fields}
    if "activation_function" in fields:
        name = fields["activation_function"]
        if name not in GATES:
            raise UnsupportedModelError(
                f"{config.source}: activation_function must be one of {', '.join(GATES)}, got {name!r}"
            )
        fields["hidden_act"] = GATES[name]
    return Config(config.source, fields)


def gte_parameters(config: Config, tensors: Tensors) -> tuple[Embeddings, Encoder]:
    """Return the embeddings and the encoder of a GTE with rotary positions, such as gte-multilingual-base.

    Raises:
        UnsupportedModelError: the architecture, the positions or the activation are not supported.
        CheckpointError: a size or a tensor is missing, or a tensor has another shape.
    """
    for name, value in GTE_ONLY.items():
        config.only(name, value)
    tensors = rename(tensors.without_prefix("new.", "gte."), GTE_TENSORS)
    return parameters(config, tensors, 160_000, attention_bias=True, inner_bias=False, outer_bias=True)


def rename(tensors: Tensors, names: dict[str, str]) -> Tensors:
    """Return tensors under the names of transformers; those that have these names already keep them."""
    named = {}
    for name, tensor in tensors.named.items():
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        named[name] = tensor
    return Tensors(tensors.source, named)


def parameters(
    config: Config, tensors: Tensors, theta: float, *, attention_bias: bool, inner_bias: bool, outer_bias: bool
) -> tuple[Embeddings, Encoder]:
    """Return the embeddings and the encoder; `theta` is the base of the rotation unless config.json has another."""
    d_model = config.count("hidden_size")
    d_head = config.count("head_dim") if config.fields.get("head_dim") is not None else None
    d_head = d_head or d_model // config.heads("num_attention_heads", d_model)
    settings = scaling(config) or rope_settings(config)
    turn = rotary(config, settings, config.number("rope_theta", theta), d_head)
    epsilon, n_types = config.number("layer_norm_eps", 1e-12), config.count("type_vocab_size", least=0)
    types = tensors.take("embeddings.token_type_embeddings.weight", n_types, d_model) if n_types else None
    layers = tuple(
        layer(config, tensors, f"layers.{i}", turn, d_head, (attention_bias, inner_bias, outer_bias))
        for i in range(config.count("num_hidden_layers"))
    )
    return (
        Embeddings(
            tensors.table("embeddings.word_embeddings.weight", config.count("vocab_size"), d_model),
            types=types,
            norm=tensors.norm("embeddings.LayerNorm", d_model, epsilon),
        ),
        Encoder(layers),
    )


def layer(
    config: Config, tensors: Tensors, prefix: str, turn: Rotary, d_head: int, biases: tuple[bool, bool, bool]
) -> EncoderLayer:
    """Return the layer whose tensors' names begin with `prefix`.

    Args:
        config, tensors: the checkpoint's.
        turn: the rotation of queries and keys.
        d_head: the width of a head.
        biases: whether the maps of attention, into the network and out of it have a bias.
    """
    d_model, d_ff = config.count("hidden_size"), config.count("intermediate_size")
    n_heads, epsilon = config.count("num_attention_heads"), config.number("layer_norm_eps", 1e-12)
    attention_bias, inner_bias, outer_bias = biases
    names = [f"{prefix}.self_attn.{name}_proj" for name in "qkv"]
    query, key, value = side_by_side(tensors, names, "qkv_proj", d_model, n_heads * d_head, bias=attention_bias)
    output = tensors.linear(f"{prefix}.self_attn.o_proj", n_heads * d_head, d_model, bias=attention_bias)
    names = [f"{prefix}.mlp.{name}_proj" for name in ("up", "gate")]
    inner, gate = side_by_side(tensors, names, "up_gate_proj", d_model, d_ff, bias=inner_bias)
    return EncoderLayer(
        attention=heads_of((query, key, value, output), n_heads, rotary=turn),
        attention_residual=Residual(tensors.norm(f"{prefix}.post_attention_layernorm", d_model, epsilon)),
        feed_forward=FeedForward(
            inner=inner,
            outer=tensors.linear(f"{prefix}.mlp.down_proj", d_ff, d_model, bias=outer_bias),
            activation=config.activation("hidden_act", "silu" if not outer_bias else "gelu"),
            gate=gate,
        ),
        feed_forward_residual=Residual(tensors.norm(f"{prefix}.post_mlp_layernorm", d_model, epsilon)),
    )


def side_by_side(tensors: Tensors, names: list[str], joined: str, d_in: int, d_out: int, *, bias: bool) -> list[Linear]:
    """Return several maps of one width, which are stored each by its name, or all in one tensor.

    Args:
        tensors: the tensors.
        names: the names of the maps.
        joined: the last part of the name of the one tensor.
        d_in, d_out: the widths of each map.
        bias: whether each has a bias.
    """
    joined_name = f"{names[0].rpartition('.')[0]}.{joined}"
    if f"{joined_name}.weight" not in tensors.named:
        return [tensors.linear(name, d_in, d_out, bias=bias) for name in names]
    return split(tensors.linear(joined_name, d_in, len(names) * d_out, bias=bias), len(names))


def split(joined: Linear, parts: int) -> list[Linear]:
    """Return the maps that a checkpoint stores as one, side by side, all of the same width."""
    width = int(joined.weight.shape[1]) // parts
    slices = [slice(i * width, (i + 1) * width) for i in range(parts)]
    return [Linear(joined.weight[:, part], None if joined.bias is None else joined.bias[part]) for part in slices]
