"""GPT-2: a decoder without an encoder, in pre-norm, with learned positions."""

from __future__ import annotations

from dataclasses import dataclass

from softkv_attention.arrays import Array
from softkv_attention.heads import Heads
from softkv_attention.transformer.checkpoints.config import Config, Tensors, UnsupportedModelError
from softkv_attention.transformer.embeddings import Embeddings, Positions
from softkv_attention.transformer.feed_forward import FeedForward, Linear
from softkv_attention.transformer.layer import DecoderLayer, Residual
from softkv_attention.transformer.stacks import Decoder, DecoderState


@dataclass(frozen=True, eq=False)
class GPT2:
    """GPT-2's parameters: token ids → vectors that predict each next token.

    The logits of the next token are `vectors @ embeddings.tokens.T`.

    Attributes:
        embeddings: token ids → vectors.
        decoder: the causal layers, without cross-attention.
    """

    embeddings: Embeddings
    decoder: Decoder

    def __call__(self, tokens: Array, mask: Array | None = None) -> Array:
        """Return the vectors [..., n, d_model] of tokens [..., n].

        The mask is for padding: bool, broadcasts to [..., n, n].
        """
        return self.decoder(self.embeddings(tokens), mask=mask)

    def step(self, tokens: Array, state: DecoderState) -> tuple[Array, DecoderState]:
        """Return the vectors of m further tokens [..., m], and the next state; the first state is `decoder.start()`."""
        return self.decoder.step(self.embeddings(tokens, start=state.length), state)


def gpt2_parameters(config: Config, tensors: Tensors) -> GPT2:
    """Return the parameters of a GPT-2 checkpoint, without the output matrix.

    Raises:
        UnsupportedModelError: the architecture or the kind of attention is not supported.
        CheckpointError: a size or a tensor is missing, or a tensor has another shape.
    """
    if config.fields.get("model_type") != "gpt2":
        raise UnsupportedModelError(
            f"{config.source}: model_type must be 'gpt2', got {config.fields.get('model_type')!r}"
        )
    config.only("scale_attn_weights", True)
    config.only("scale_attn_by_inverse_layer_idx", False)
    config.only("add_cross_attention", False)
    tensors = tensors.without_prefix("transformer.")
    d_model, n_layers = config.count("n_embd"), config.count("n_layer")
    epsilon = config.number("layer_norm_epsilon", 1e-5)
    layers = tuple(layer(config, tensors, f"h.{i}", d_model, epsilon) for i in range(n_layers))
    return GPT2(
        embeddings=Embeddings(
            tokens=tensors.take("wte.weight", config.count("vocab_size"), d_model),
            positions=Positions(tensors.take("wpe.weight", config.count("n_positions"), d_model)),
        ),
        decoder=Decoder(layers, norm=tensors.norm("ln_f", d_model, epsilon)),
    )


def layer(config: Config, tensors: Tensors, prefix: str, d_model: int, epsilon: float) -> DecoderLayer:
    """Return the layer whose tensors' names begin with `prefix`; GPT-2 stores every matrix as [d_in, d_out]."""

    def affine(name: str, d_in: int, d_out: int) -> tuple[Array, Array]:
        return tensors.take(f"{prefix}.{name}.weight", d_in, d_out), tensors.take(f"{prefix}.{name}.bias", d_out)

    d_ff = config.count("n_inner") if config.fields.get("n_inner") is not None else 4 * d_model
    # The first matrix is W_Q, W_K and W_V side by side.
    projections, biases = affine("attn.c_attn", d_model, 3 * d_model)
    query, key, value = (slice(i * d_model, (i + 1) * d_model) for i in range(3))
    output, output_bias = affine("attn.c_proj", d_model, d_model)
    return DecoderLayer(
        attention=Heads(
            W_Q=projections[:, query],
            W_K=projections[:, key],
            W_V=projections[:, value],
            W_O=output,
            n_heads=config.heads("n_head", d_model),
            b_Q=biases[query],
            b_K=biases[key],
            b_V=biases[value],
            b_O=output_bias,
        ),
        attention_residual=Residual(tensors.norm(f"{prefix}.ln_1", d_model, epsilon), norm_first=True),
        feed_forward=FeedForward(
            inner=Linear(*affine("mlp.c_fc", d_model, d_ff)),
            outer=Linear(*affine("mlp.c_proj", d_ff, d_model)),
            activation=config.activation("activation_function"),
        ),
        feed_forward_residual=Residual(tensors.norm(f"{prefix}.ln_2", d_model, epsilon), norm_first=True),
    )
