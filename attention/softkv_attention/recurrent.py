"""Recurrent networks, which the Transformer is compared with: the distribution softkv-workshop has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from softkv_attention.provided import provide

if TYPE_CHECKING:
    from softkv_workshop.recurrent import *
provide(__name__, "softkv-workshop")
