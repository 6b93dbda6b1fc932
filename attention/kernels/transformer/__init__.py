"""A compiled sentence encoder over the packed tokens of many texts; `attention.transformer` defines its results."""

from __future__ import annotations

from attention.kernels.transformer.dispatch import columns_of, multiplies_bfloat16, way_of
from attention.kernels.transformer.packing import PANEL, TILES, pack_panels
from attention.kernels.transformer.parameters import (
    CURVES,
    POOLINGS,
    QUERIES,
    TILE_QUERIES,
    Activations,
    Network,
    Scratch,
    room,
    scratch,
)
from attention.kernels.transformer.thread_team import run_in_stages, run_with_idle_threads
