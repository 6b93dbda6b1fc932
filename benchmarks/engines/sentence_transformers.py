"""sentence-transformers, as it comes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.engines.engine import Engine, Setting
from service.encoding.models.network import Precision


def library(precision: Precision) -> Callable[[Setting], Engine]:
    """Return a function that builds it."""

    def make(setting: Setting) -> Engine:
        from sentence_transformers import SentenceTransformer  # seconds to import

        number_format = {"dtype": getattr(torch, precision)}
        model = SentenceTransformer(str(setting.model), device="cpu", model_kwargs=number_format)
        return Engine(
            lambda texts: np.asarray(model.encode(list(texts), show_progress_bar=False), np.float32),
            f"{torch.get_num_threads()} threads of torch",
        )

    return make
