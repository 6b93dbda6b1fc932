"""The kernels of this process, by the setting KERNELS: those in C, or NumPy, for scans and for the encoder alike."""

from __future__ import annotations

from typing import Literal

from softkv_attention.kernels import kernels, kernels_in_numpy, reason_for_numpy, use_encoder, use_kernels
from softkv_service.logs import log

Choice = Literal["native", "numpy"]

ADVICE = "install the wheel of softkv-core for this platform again, or run `pip install -e attention` in a checkout"


class KernelsMissing(RuntimeError):
    """The settings demand the kernels in C, and none of them is for this machine."""


def choose_kernels(choice: Choice | None) -> None:
    """Set the kernels of answers and encoders that begin from now on.

    Args:
        choice: "native" for those in C, or "numpy"; None for those in C if there are any.

    Raises:
        KernelsMissing: "native" is chosen, but this machine has no kernels in C.
    """
    reason = reason_for_numpy()
    if choice == "native" and reason is not None:
        raise KernelsMissing(
            f"SOFTKV_KERNELS=native asks for kernels in C, but {reason}: {ADVICE}. Without SOFTKV_KERNELS, NumPy "
            "computes the same answers, more slowly"
        )
    in_c = choice != "numpy" and reason is None
    if choice is None and reason is not None:
        log.warning("NumPy answers, more slowly than the kernels in C would", reason=reason, advice=ADVICE)
    use_kernels(None if in_c else kernels_in_numpy())
    use_encoder(None if in_c else "numpy")


def running_kernels() -> Choice:
    """Return which kernels answer."""
    return "numpy" if kernels() is kernels_in_numpy() else "native"


def describe_kernels(choice: Choice | None) -> str:
    """Return the name of the kernels that answer, and why they are NumPy's, such as "C + AVX2"."""
    reason = "SOFTKV_KERNELS=numpy" if choice == "numpy" else reason_for_numpy()
    return kernels().NAME if reason is None else f"{kernels().NAME}, since {reason}"
