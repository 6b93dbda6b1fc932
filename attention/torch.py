"""Attention over a memory as a layer of torch: the distribution softkv-torch has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention.provided import provide

if TYPE_CHECKING:
    from softkv_torch.gradients import *
provide(__name__, "softkv[torch]")
