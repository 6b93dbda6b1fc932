"""A sentence encoder over the packed tokens of many texts, in machine code; `attention.transformer` defines it."""

from __future__ import annotations

from attention.kernels.transformer.choosing import columns_of, multiplies_bfloat16, way_of
from attention.kernels.transformer.parameters import (
    CURVES,
    POOLINGS,
    QUERIES,
    TILE_QUERIES,
    Network,
    Room,
    Scratch,
    room,
    scratch,
)
from attention.kernels.transformer.together import in_stages, with_others
from attention.kernels.transformer.words import PANEL, TILES, panels
