"""The compiled implementation of `Kernels`."""

from __future__ import annotations

from attention.kernels.amx import amx_usable
from attention.kernels.candidates import (
    decisive_counts,
    first_rows,
    heavy_counts,
    initial_counts,
    softmax_weights,
    sort_candidates,
    top_rows,
)
from attention.kernels.dot import INSTRUCTION
from attention.kernels.key_passes import accumulate, fill_histogram, pack_queries, sample_top
from attention.kernels.original_passes import (
    add_rows,
    all_products,
    all_sums,
    code_rows,
    quadratic_forms,
    residual_sum,
    row_products,
)
from attention.kernels.value_passes import add_values

AMX = amx_usable()
WIDE, SCANS = INSTRUCTION.wide, True
NAME = " + ".join(["numba", INSTRUCTION.name] + ["AMX"] * AMX)
