"""Soft nearest neighbours for scikit-learn: the distribution softkv-torch has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attention.provided import provide

if TYPE_CHECKING:
    from softkv_torch.estimators import *
provide(__name__, "softkv[torch]")
