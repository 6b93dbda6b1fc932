"""The model as other engines read it: written by torch, with the pooling in it, so that only vectors come out."""

from __future__ import annotations

import json
import logging
import warnings
from functools import cache
from pathlib import Path

import torch
from torch.nn import functional
from transformers import AutoModel

from benchmarks.engines.onnxruntime import FUSED

INPUTS = ("tokens", "mask")
OPSET = 17


class Pooled(torch.nn.Module):
    """tokens and mask, int64 [b, t] → the means of the tokens' vectors, of length one, float32 [b, d]."""

    def __init__(self, model: Path) -> None:
        super().__init__()
        # The attention that is written out: the optimiser knows it, and makes one operation of it.
        self.layers = AutoModel.from_pretrained(model, attn_implementation="eager").eval()

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """A call."""
        states = self.layers(input_ids=tokens, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        return functional.normalize((states * weights).sum(1) / weights.sum(1), dim=1)


@cache
def exported(model: Path, folder: Path) -> Path:
    """Export the model to ONNX, for any number of texts and tokens."""
    file = folder / "model.onnx"
    tokens = torch.randint(1000, 2000, (2, 12))
    with warnings.catch_warnings(action="ignore"):  # the older exporter, which needs onnx alone
        torch.onnx.export(
            Pooled(model),
            (tokens, torch.ones_like(tokens)),
            str(file),
            input_names=list(INPUTS),
            output_names=["vectors"],
            dynamic_axes={**{name: {0: "b", 1: "t"} for name in INPUTS}, "vectors": {0: "b"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return file


@cache
def fused(model: Path, folder: Path) -> Path:
    """Return the model with ONNX Runtime's own operations, which it finds only in part by itself."""
    from onnxruntime.transformers import optimizer

    settings = json.loads((model / "config.json").read_text(encoding="utf-8"))
    heads, width = settings["num_attention_heads"], settings["hidden_size"]
    file = folder / FUSED
    result = optimizer.optimize_model(
        str(exported(model, folder)), model_type="bert", num_heads=heads, hidden_size=width
    )
    counted = result.get_fused_operator_statistics()
    if counted["Attention"] != settings["num_hidden_layers"]:
        raise RuntimeError(f"ONNX Runtime's optimiser made one operation of {counted['Attention']} layers' attention")
    result.save_model_to_file(str(file))
    return file


@cache
def in_bytes(model: Path, folder: Path) -> Path:
    """Return the fused model with int8 weights; activations are quantised at run time."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    file = folder / "int8.onnx"
    logging.getLogger().setLevel(logging.ERROR)  # it advises what has been done
    quantize_dynamic(
        fused(model, folder),
        file,
        weight_type=QuantType.QInt8,
        per_channel=True,
        extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},  # of what the fused operations give
    )
    return file
