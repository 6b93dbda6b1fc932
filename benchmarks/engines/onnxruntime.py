"""ONNX Runtime, with its own fused operations, in float32 and with dynamic int8."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.engines.engine import Engine, Setting, require
from benchmarks.engines.reading import in_batches, padded

FUSED = "fused.onnx"


def session(precision: str) -> Callable[[Setting], Engine]:
    """Return a function that builds one in "float32" or "int8"."""

    def make(setting: Setting) -> Engine:
        require("onnx", "onnxruntime")
        from benchmarks.engines import exported

        written = {"float32": exported.fused, "int8": exported.in_bytes}[precision]
        return opened(written(setting.model, setting.folder), setting.model, setting.threads)

    return make


def opened(file: Path, model: Path, threads: int) -> Engine:
    """The engine of a file that was written before."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    ready = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(ids: list[list[int]]) -> object:
        tokens, mask = padded(ids)
        return ready.run(None, {"tokens": tokens, "mask": mask})[0]

    return Engine(in_batches(model, run), f"{options.intra_op_num_threads} threads, {onnxruntime.__version__}")
