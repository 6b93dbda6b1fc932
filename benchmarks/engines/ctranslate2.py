"""CTranslate2, which converts the model by itself and knows no pooling: that is NumPy's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.engines.engine import Engine, Refused, Setting, Vectors, require
from benchmarks.engines.reading import in_batches


def encoder(precision: str) -> Callable[[Setting], Engine]:
    """Return a function that builds one, given its own name of a number format."""

    def make(setting: Setting) -> Engine:
        require("ctranslate2")
        import ctranslate2

        if precision not in (types := ctranslate2.get_supported_compute_types("cpu")):
            raise Refused(f"CTranslate2 computes {', '.join(sorted(types))} on this processor, not {precision}")
        written = setting.folder / "ctranslate2"
        if not written.exists():
            ctranslate2.converters.TransformersConverter(str(setting.model)).convert(str(written))
        ready = ctranslate2.Encoder(
            str(written), device="cpu", compute_type=precision, inter_threads=1, intra_threads=setting.threads
        )

        def run(ids: list[list[int]]) -> Vectors:
            states = np.asarray(ready.forward_batch(ids).last_hidden_state)  # [b, t, d]
            means = np.stack([states[position, : len(tokens)].mean(0) for position, tokens in enumerate(ids)])
            return means / np.linalg.norm(means, axis=1, keepdims=True)

        return Engine(in_batches(setting.model, run), f"{setting.threads} threads, {ctranslate2.__version__}")

    return make
