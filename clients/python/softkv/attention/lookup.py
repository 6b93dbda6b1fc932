"""Attention over millions of keys: a memory of keys and values, and questions that are asked of a view of it."""

from __future__ import annotations

from softkv_attention.lookup import *
from softkv_attention.lookup import __all__ as __all__
