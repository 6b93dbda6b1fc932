"""The library of kernels, loaded by ctypes, for the best kind of processor that this machine is.

`load()` returns None if there is no library, as in a source distribution that could not build it.
"""

from __future__ import annotations

import ctypes
import logging
import platform
from functools import cache
from pathlib import Path
from typing import Any

from softkv_attention.kernels.native.kinds import Kind, features_of, kinds_in, kinds_of, this_platform

logger = logging.getLogger(__name__)

NAMES = ("softkv-kernels.so.1", "softkv-kernels.dylib", "softkv-kernels.dll")

_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18


class Library:
    """The functions of the library for one kind of processor.

    Args:
        loaded: the library.
        kind: the kind of processor, which this machine has to be.
    """

    def __init__(self, loaded: ctypes.CDLL, kind: Kind) -> None:
        self._loaded, self.kind = loaded, kind

    def function(self, name: str, result: Any, *arguments: Any) -> Any:
        """Return a function of this kind of processor; calling it releases the GIL.

        Args:
            name: its name in C.
            result, arguments: ctypes' types; None for no result.
        """
        # library[name] is a new object each time; library.name would be shared, types included.
        function = self._loaded[f"softkv_{self.kind.symbol}_{name}"]
        function.restype, function.argtypes = result, arguments
        return function

    @property
    def amx(self) -> bool:
        """Whether AMX, the matrix unit, may be used."""
        return self.kind.name == "amx"


@cache
def load() -> Library | None:
    """Return the library for the best kind of this processor, or None if there is no library or no such kind."""
    kinds = usable_kinds()
    return library_of(kinds[0]) if kinds else None


def reason_for_numpy() -> str | None:
    """Return why `load` finds no library, as the end of a sentence; None if there is one."""
    if load() is not None:
        return None
    loaded = _open()
    if isinstance(loaded, str):
        return loaded
    name = Path(loaded._name).name
    if (kind := missing_kind()) is None:
        return f"{name} has none for this processor"
    return f"{name} was compiled on another kind of processor than this one, which is {kind.name}"


def missing_kind() -> Kind | None:
    """Return the best kind of this processor if the library was compiled without it, on another kind; else None."""
    best = _kinds_of_processor()[:1]
    return best[0] if best and best != usable_kinds()[:1] else None


def library_of(kind: Kind) -> Library:
    """Return the library for a kind of processor, one of `usable_kinds()`."""
    loaded = _open()
    assert isinstance(loaded, ctypes.CDLL)
    return Library(loaded, kind)


@cache
def usable_kinds() -> list[Kind]:
    """Return the kinds of processor whose code is in the library and can run here, best first."""
    loaded = _open()
    return [] if isinstance(loaded, str) else kinds_in(loaded, _kinds_of_processor())


@cache
def _kinds_of_processor() -> list[Kind]:
    """Return the kinds that this processor is, best first; none without a library, which is asked for its features."""
    loaded = _open()
    if isinstance(loaded, str):
        return []
    loaded.softkv_features.restype = ctypes.c_int64
    kinds = kinds_of(features_of(loaded.softkv_features()))
    return [kind for kind in kinds if kind.name != "amx" or _unit_allowed()]


@cache
def _open() -> ctypes.CDLL | str:
    """Return the library of all kinds, or why it is missing."""
    path = next((path for name in NAMES if (path := Path(__file__).with_name(name)).exists()), None)
    if path is None:
        return f"the installed package has none for {this_platform()}"
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        logger.warning("the kernels in %s cannot be loaded, so NumPy answers: %s", path.name, error)
        return f"{path.name} cannot be loaded ({error})"


def _unit_allowed() -> bool:
    """Return whether Linux permits this process to use AMX, the matrix unit, after asking for it."""
    return platform.system() == "Linux" and ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILE_DATA) == 0
