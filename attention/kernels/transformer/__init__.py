"""A sentence encoder over the packed tokens of many texts, in machine code; `attention.transformer` defines it."""

from __future__ import annotations

from attention.kernels.transformer.parameters import CURVES, POOLINGS, Network, Room, room
from attention.kernels.transformer.words import BFLOAT16, FLOAT32, PANEL, Words, panels
