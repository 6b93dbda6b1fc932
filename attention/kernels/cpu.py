"""What the processor can do beyond the compiler's knowledge of loops."""

# numba has types of its own and none that mypy knows: of this module it can only check the signatures.
# mypy: disable-error-code="no-any-return, call-arg, arg-type, no-untyped-call"

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

_WORD, _PLACE = ir.IntType(32), ir.IntType(8).as_pointer()
TO_SECOND_LEVEL, _TO_ALL_LEVELS = _WORD(2), _WORD(3)
_FOR_READING, _AS_DATA = _WORD(0), _WORD(1)


def compiles_for(*features: str) -> bool:
    """Whether numba compiles for a processor that has all of these, by the compiler's names."""
    has = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return all(f"+{feature}" in has for feature in features)


@intrinsic
def fetch(typing_context: Any, place: Any) -> Any:
    """Have the processor bring the cache line at an address (uintp), which will be read soon."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        prefetch(builder, builder.inttoptr(arguments[0], _PLACE), _TO_ALL_LEVELS)
        return context.get_dummy_value()

    return types.void(types.uintp), build


def arrays(context: Any, builder: Any, signature: Any, arguments: Any, *numbers: int) -> list[Any]:
    """The arguments with these numbers as numba's arrays, which have `data` and `shape`, in code being built."""
    return [context.make_array(signature.args[at])(context, builder, value=arguments[at]) for at in numbers]


def prefetch(builder: Any, place: Any, level: Any = TO_SECOND_LEVEL) -> None:
    """The same in code being built, of the line that a pointer points to."""
    kind = ir.FunctionType(ir.VoidType(), [_PLACE, *[_WORD] * 3])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(place, _PLACE), _FOR_READING, level, _AS_DATA])
