"""The kernels as numba compiles them, for what the processor has; `Kernels` says what each of them does."""

from __future__ import annotations

from attention.kernels.dot.amx import amx_usable
from attention.kernels.dot.instructions import INSTRUCTION
from attention.kernels.key_passes import accumulate, fill_histogram, packed_queries, sample_top
from attention.kernels.listed.order import at_first, deciding, first_ones, heaviest, in_order
from attention.kernels.listed.weights import heads, weigh
from attention.kernels.original_passes import add_rows, all_products, all_sums, code_rows, residual_sum, row_products
from attention.kernels.quadratic_forms import quadratic_forms
from attention.kernels.value_passes import add_values

AMX = amx_usable()
WIDE, SCANS = INSTRUCTION.wide, True
NAME = " + ".join(["numba", INSTRUCTION.name] + ["AMX"] * AMX)
