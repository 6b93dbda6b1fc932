"""A sentence encoder in C over the packed tokens of many texts; `softkv_attention.transformer` defines its results.

`attention/softkv_attention/kernels/native/encoder.c` is the whole encoder in one function, and the place to start
reading; `in_c.py` calls it. `parameters.py` packs matrices and rows into words of four bytes: one float32, or two int16
or bfloat16. So one order of numbers serves four ways to multiply: float32, int16, bfloat16 by a matrix unit's tiles,
and float32 by three products of such tiles.

Sums of a block of rows stay in registers, and each is added in the order of the words. So a text's vector is the same,
bit by bit, alone and among others. After attention, a layer runs over some dozens of tokens at a time, so that
intermediate rows stay in a core's cache.
"""

from __future__ import annotations

from softkv_attention.kernels.transformer.dispatch import (
    available,
    encoder_kernels,
    multiplies_bfloat16,
    multiplies_int16,
    use_encoder,
    way_of,
)
from softkv_attention.kernels.transformer.in_c import Buffers, Encoder, Room
from softkv_attention.kernels.transformer.parameters import (
    CURVES,
    FLOAT32,
    INT16,
    LAYER_NORM,
    NO_NORM,
    PANEL,
    POOLINGS,
    QUERIES,
    RMS_NORM,
    THREE,
    TILE_QUERIES,
    TILES,
    UNLIMITED,
    Design,
    Network,
    Words,
    pack_panels,
)
from softkv_attention.kernels.transformer.thread_team import run_in_stages, run_with_idle_threads
