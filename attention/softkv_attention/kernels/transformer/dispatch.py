"""The choice of what encodes: the kernels in C, for the best kind of this processor, or NumPy."""

from __future__ import annotations

from functools import cache
from typing import Literal, TypeAlias

from softkv_attention.errors import ParameterError
from softkv_attention.kernels.native.library import load
from softkv_attention.kernels.transformer.in_c import Encoder
from softkv_attention.kernels.transformer.parameters import FLOAT32

Name: TypeAlias = Literal["native", "numpy"]

_chosen: Name | None = None


def use_encoder(name: Name | None) -> None:
    """Set what encodes with models that are prepared from now on; None for the kernels if they are installed.

    Args:
        name: "native" for the kernels, or "numpy" for none.

    Raises:
        ParameterError: the kernels are not installed, or the name is unknown.
    """
    global _chosen
    if name is not None and name not in available():
        raise ParameterError(
            f"the encoder's kernels must be {', '.join(available())} or None on this machine, got {name!r}"
        )
    _chosen = name


def available() -> list[Name]:
    """Return what can encode on this machine, the fastest first."""
    return ["numpy"] if native() is None else ["native", "numpy"]


def encoder_kernels() -> Encoder | None:
    """Return the kernels to encode with, as `use_encoder` says; None if NumPy has to."""
    return None if _chosen == "numpy" else native()


@cache
def native() -> Encoder | None:
    """Return the kernels in C; None if there is no library of them for this machine."""
    library = load()
    return None if library is None else Encoder(library)


def way_of(precision: str) -> int:
    """Return what `Encoder.way_of` of the kernels in use does; FLOAT32 without kernels."""
    kernels = encoder_kernels()
    return FLOAT32 if kernels is None else kernels.way_of(precision)


def multiplies_bfloat16() -> bool:
    """Return whether bfloat16 is the fastest precision of the kernels in use."""
    kernels = encoder_kernels()
    return kernels is not None and kernels.multiplies_bfloat16


def multiplies_int16() -> bool:
    """Return whether the kernels in use multiply int16 faster than float32."""
    kernels = encoder_kernels()
    return kernels is not None and kernels.multiplies_int16
