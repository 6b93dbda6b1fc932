"""Compiling with numba: for which processor, for which types, and what numba does not say by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from attention.kernels.cache import KernelCache

_WORD, _PLACE = ir.IntType(32), ir.IntType(8).as_pointer()
TO_SECOND_LEVEL, _TO_ALL_LEVELS = _WORD(2), _WORD(3)
_FOR_READING, _AS_DATA = _WORD(0), _WORD(1)

Function = TypeVar("Function", bound=Callable[..., Any])

Compiled: TypeAlias = list[tuple[Any, tuple[Any, ...]]]

KERNELS: Compiled = []
"""Every compiled function of the lookup with the types of its arguments, in the order in which they were defined."""

TRANSFORMER: Compiled = []
"""The compiled functions of the Transformer, with their types."""


def compiled(*arguments: Any, fastmath: bool, among: Compiled | None = None) -> Callable[[Function], Function]:
    """Compile to run without the interpreter's lock, and keep the machine code on disk, see `cache`.

    It is done on the first call, or in `machine_code.prepare`.

    Args:
        arguments: the types of all arguments; the function is called with no others.
        fastmath: whether the compiler may order sums as it likes.
        among: with which others it is made; None for the lookup's.
    """

    def compile_it(function: Function) -> Function:
        kernel: Any = njit(nogil=True, fastmath=fastmath)(function)
        # As numba's enable_caching does, with files that any checkout can use.
        kernel._cache = KernelCache(function)
        (KERNELS if among is None else among).append((kernel, arguments))
        return cast("Function", kernel)

    return compile_it


def array(kind: Any, dimensions: int) -> Any:
    """The type of a contiguous array."""
    return types.Array(kind, dimensions, "C")


def record(kind: type, *fields: Any) -> Any:
    """The type of a NamedTuple whose fields have these types."""
    return types.NamedTuple(fields, kind)


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


def called(module: Any, name: str, kinds: Sequence[Any], build: Callable[..., None]) -> Any:
    """A function of the code being built, made once in a module: where it stands in line it is compiled every time.

    Args:
        name: of the function, one in the program.
        kinds: the types of its arguments.
        build: is given a builder and the arguments.
    """
    found = module.globals.get(name)
    if found is not None:
        return found
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    build(builder, *function.args)
    builder.ret_void()
    return function


def prefetch(builder: Any, place: Any, level: Any = TO_SECOND_LEVEL) -> None:
    """The same in code being built, of the line that a pointer points to."""
    # llvm.prefetch(address, 0 = to read, locality 3 = every level or 2 = from the second on, 1 = data)
    kind = ir.FunctionType(ir.VoidType(), [_PLACE, *[_WORD] * 3])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(place, _PLACE), _FOR_READING, level, _AS_DATA])
