"""The Transformer on `attend`: layers, models and their checkpoints."""

from __future__ import annotations

from softkv_attention.transformer import *
from softkv_attention.transformer import __all__ as __all__
