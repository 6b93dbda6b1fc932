"""Attention over a memory as a layer of torch, with exact gradients; and a contrastive loss over a whole memory.

    layer = MemoryAttention(memory, temperature=0.05, null=0.4)
    output = layer(queries)                                                   float[..., d] → float[..., d_v]
    loss = corpus_cross_entropy(queries, memory, positives, temperature=0.05)

Every row of the memory takes part, forwards and backwards; no matrix of queries by rows is kept. Gradients flow to the
queries, the temperature, the null key and projections. The stored keys and values are constants.

With s the similarity, w the weights, o = Σ wᵢvᵢ, and g the gradient of the output:

    ∂ log-partition / ∂q = Σ wᵢ ∂sᵢ/∂q / T                 for a product, the blended key over T
    ∂ (g·o) / ∂q         = Σ cᵢ ∂sᵢ/∂q / T                 cᵢ = wᵢ (g·vᵢ − g·o)
    ∂ (g·o) / ∂T         = −Σ cᵢ sᵢ / T²
    ∂ (g·o) / ∂s₀        = c₀ / T                          the null key: its value is zero

The second and third need one more pass over the rows, for which the similarities are stored or computed again.
"""

from __future__ import annotations

try:
    from softkv_attention.torch.contrastive import corpus_cross_entropy, mine_negatives
    from softkv_attention.torch.layer import TRAINABLE, MemoryAttention
    from softkv_attention.torch.lookup import GradientCertificate, LookupResult, attend
except ModuleNotFoundError as error:
    message = "softkv_attention.torch needs torch, which is not installed: install `softkv-core[torch]`"
    raise ImportError(message, name=error.name) from error

__all__ = [
    "TRAINABLE",
    "GradientCertificate",
    "LookupResult",
    "MemoryAttention",
    "attend",
    "corpus_cross_entropy",
    "mine_negatives",
]
