"""The BERT family: the names under which each of its models stores sizes and tensors.

All members compute the same functions and differ only in names, so a member is a table of names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from softkv_attention.transformer.checkpoints.config import Config, Tensors, UnsupportedModelError, heads_of
from softkv_attention.transformer.embeddings import Embeddings, Positions
from softkv_attention.transformer.feed_forward import FeedForward
from softkv_attention.transformer.layer import EncoderLayer, Residual
from softkv_attention.transformer.relative_positions import RelativePositions
from softkv_attention.transformer.stacks import Encoder


@dataclass(frozen=True)
class Names:
    """The names of a model's fields in config.json, and of its tensors.

    Attributes:
        prefix: the prefix of all tensors if the model was saved as a part of another.
        d_model, d_ff, n_heads, n_layers, activation: the names of fields.
        layer: the beginning of the names of the layers' tensors, before the layer's number.
        query … feed_forward_norm: the names of a layer's tensors after the number.
        after_padding: whether positions are counted without padding tokens, from the row after the padding token's.
        padding: the id of the padding token, whatever config.json says; None to follow its pad_token_id.
        has_types: whether the model has vectors for the two texts of a pair.
        relative: the name of the table of relative positions; None if the model has none.
    """

    prefix: str
    d_model: str = "hidden_size"
    d_ff: str = "intermediate_size"
    n_heads: str = "num_attention_heads"
    n_layers: str = "num_hidden_layers"
    activation: str = "hidden_act"
    layer: str = "encoder.layer"
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    output: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    inner: str = "intermediate.dense"
    outer: str = "output.dense"
    feed_forward_norm: str = "output.LayerNorm"
    after_padding: bool = False
    padding: int | None = None
    has_types: bool = True
    relative: str | None = None


BERT = Names(prefix="bert.")
ROBERTA = replace(BERT, prefix="roberta.", after_padding=True)
DISTILBERT = Names(
    prefix="distilbert.",
    d_model="dim",
    d_ff="hidden_dim",
    n_heads="n_heads",
    n_layers="n_layers",
    activation="activation",
    layer="transformer.layer",
    query="attention.q_lin",
    key="attention.k_lin",
    value="attention.v_lin",
    output="attention.out_lin",
    attention_norm="sa_layer_norm",
    inner="ffn.lin1",
    outer="ffn.lin2",
    feed_forward_norm="output_layer_norm",
    has_types=False,
)
MPNET = replace(
    BERT,
    prefix="mpnet.",
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    output="attention.attn.o",
    attention_norm="attention.LayerNorm",
    after_padding=True,
    padding=1,
    has_types=False,
    relative="encoder.relative_attention_bias.weight",
)
FAMILY: Mapping[str, Names] = {
    "bert": BERT,
    "roberta": ROBERTA,
    "xlm-roberta": ROBERTA,
    "camembert": ROBERTA,
    "distilbert": DISTILBERT,
    "mpnet": MPNET,
}


def family_member(config: Config) -> Names:
    """Return the names that a model uses.

    Raises:
        UnsupportedModelError: the architecture or the type of positions is not supported.
    """
    model_type = config.fields.get("model_type")
    if not isinstance(model_type, str) or model_type not in FAMILY:
        raise UnsupportedModelError(
            f"{config.source}: model_type must be one of {', '.join(FAMILY)}, got {model_type!r}"
        )
    config.only("position_embedding_type", "absolute")
    config.only("is_decoder", False)
    return FAMILY[model_type]


def bert_parameters(config: Config, tensors: Tensors) -> tuple[Embeddings, Encoder]:
    """Return the embeddings and the encoder of a model of the BERT family.

    Raises:
        UnsupportedModelError: the architecture, the type of positions or the activation is not supported.
        CheckpointError: a size or a tensor is missing, or a tensor has another shape.
    """
    names = family_member(config)
    tensors = tensors.without_prefix(names.prefix)
    layers = tuple(layer(config, names, tensors, f"{names.layer}.{i}") for i in range(config.count(names.n_layers)))
    bias = None
    if names.relative is not None:
        # transformers always uses this number, whatever config.json says.
        config.only("relative_attention_num_buckets", 32)
        bias = RelativePositions(tensors.take(names.relative, 32, config.count(names.n_heads)))
    return embeddings(config, names, tensors), Encoder(layers, bias=bias)


def embeddings(config: Config, names: Names, tensors: Tensors) -> Embeddings:
    """Return the model's embeddings."""
    d_model = config.count(names.d_model)
    n_positions, n_vocabulary = config.count("max_position_embeddings"), config.count("vocab_size")
    table = tensors.take("embeddings.position_embeddings.weight", n_positions, d_model)
    padding = names.padding
    if names.after_padding and padding is None:
        padding = config.count("pad_token_id", least=0)
    types = None
    if names.has_types:
        n_types = config.count("type_vocab_size")
        types = tensors.take("embeddings.token_type_embeddings.weight", n_types, d_model)
    return Embeddings(
        tokens=tensors.table("embeddings.word_embeddings.weight", n_vocabulary, d_model),
        positions=Positions(table) if padding is None else Positions(table, padding + 1, padding),
        types=types,
        norm=tensors.norm("embeddings.LayerNorm", d_model, config.number("layer_norm_eps", 1e-12)),
    )


def layer(config: Config, names: Names, tensors: Tensors, prefix: str) -> EncoderLayer:
    """Return the layer whose tensors' names begin with `prefix`."""
    d_model, d_ff = config.count(names.d_model), config.count(names.d_ff)
    epsilon = config.number("layer_norm_eps", 1e-12)
    query, key, value, output = (
        tensors.linear(f"{prefix}.{name}", d_model, d_model)
        for name in (names.query, names.key, names.value, names.output)
    )
    return EncoderLayer(
        attention=heads_of((query, key, value, output), config.heads(names.n_heads, d_model)),
        attention_residual=Residual(tensors.norm(f"{prefix}.{names.attention_norm}", d_model, epsilon)),
        feed_forward=FeedForward(
            inner=tensors.linear(f"{prefix}.{names.inner}", d_model, d_ff),
            outer=tensors.linear(f"{prefix}.{names.outer}", d_ff, d_model),
            activation=config.activation(names.activation),
        ),
        feed_forward_residual=Residual(tensors.norm(f"{prefix}.{names.feed_forward_norm}", d_model, epsilon)),
    )
