"""The core's attention inside the models of the transformers library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attention import attend, causal
from attention.errors import ParameterError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

NAME = "softkv"
# What a model may ask of its attention that `attend` is not told here, by transformers' names.
UNSUPPORTED = ("softcap", "s_aux", "cache")


class CoreAttention:
    """`attention.attend`, called as transformers calls an attention function; it counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def install(self, layers: PreTrainedModel) -> bool:
        """Make it the attention of a model; False where the architecture does not allow that."""
        from transformers import AttentionInterface
        from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
        from transformers.utils import logging

        AttentionInterface.register(NAME, self)
        AttentionMaskInterface.register(NAME, sdpa_mask)
        verbosity = logging.get_verbosity()
        # A model that cannot be changed would warn of what is looked at next.
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]
        try:
            layers.set_attn_implementation(NAME)
        except (ValueError, ImportError):
            return False
        finally:
            logging.set_verbosity(verbosity)
        return bool(layers.config._attn_implementation == NAME)

    def __call__(
        self,
        module: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        scaling: float | None = None,
        is_causal: bool | None = None,
        position_bias: Tensor | None = None,
        **options: Any,
    ) -> tuple[Tensor, Tensor]:
        """Attention of every head.

        Args:
            module: the layer, which may have groups of heads that share keys and values.
            query: [b, n_heads, m, d_k]
            key, value: [b, n_groups, n, d_k]
            attention_mask: bool, True where a query may attend, or what is added to the logits; [b, 1, m, n].
            scaling: of the dot products; 1/√d_k without.
            is_causal: where there is no mask; the module's own without.
            position_bias: added to the logits.
            options: others, of which `attend` can honour none.

        Returns:
            [b, m, n_heads, d_k], and the weights [b, n_heads, m, n].

        Raises:
            ParameterError: the model asks for something that `attend` is not told.
        """
        self.calls += 1
        for name in UNSUPPORTED:
            if options.get(name) is not None:
                raise ParameterError(f"{name} is not computed by the core's attention")
        groups = query.shape[1] // key.shape[1]
        if groups > 1:
            key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        mask, bias = None, position_bias
        if attention_mask is not None and attention_mask.dtype.is_floating_point:
            bias = attention_mask if bias is None else bias + attention_mask
        elif attention_mask is not None:
            mask = attention_mask
        elif getattr(module, "is_causal", True) if is_causal is None else is_causal:
            mask = causal(query.shape[2], key.shape[2], like=query)
        if scaling is not None:
            query = query * (scaling * query.shape[-1] ** 0.5)
        attended = attend(query, key, value, mask=mask, bias=bias)
        return attended.output.transpose(1, 2).contiguous(), attended.weights
