"""Attention over a memory as a layer of torch."""

from __future__ import annotations

from softkv_attention.torch import *
from softkv_attention.torch import __all__ as __all__
