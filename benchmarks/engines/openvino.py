"""OpenVINO, which reads the exported model and fuses it by itself."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.engines.engine import Engine, Refused, Setting, require
from benchmarks.engines.reading import in_batches, padded

HINTS = {"float32": "f32", "bfloat16": "bf16"}
CAPABILITIES = {"float32": "FP32", "bfloat16": "BF16"}


def compiled(precision: str) -> Callable[[Setting], Engine]:
    """Return a function that builds one in "float32" or "bfloat16"."""

    def make(setting: Setting) -> Engine:
        require("onnx", "openvino")
        import openvino

        from benchmarks.engines.exported import exported

        core = openvino.Core()
        if CAPABILITIES[precision] not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Refused(f"OpenVINO has no {precision} on this processor")
        settings = {
            "INFERENCE_NUM_THREADS": setting.threads,
            "INFERENCE_PRECISION_HINT": HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        model = core.compile_model(str(exported(setting.model, setting.folder)), "CPU", settings)
        request = model.create_infer_request()

        def run(ids: list[list[int]]) -> object:
            tokens, mask = padded(ids)
            # Shared in and out: nothing is copied, and what comes out is copied before the next call.
            return request.infer({"tokens": tokens, "mask": mask}, share_inputs=True, share_outputs=True)[0].copy()

        threads, version = model.get_property("INFERENCE_NUM_THREADS"), openvino.__version__.partition("-")[0]
        return Engine(in_batches(setting.model, run), f"{threads} threads, {version}")

    return make
