"""The decorator that compiles kernels with numba, the types of their arguments, and helpers to build LLVM code."""

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
"""Every compiled function of the lookup with its argument types, in order of definition."""

TRANSFORMER: Compiled = []
"""Every compiled function of the Transformer with its argument types."""


def kernel(*arguments: Any, fastmath: bool, among: Compiled | None = None) -> Callable[[Function], Function]:
    """Return a decorator that declares a kernel: a function that numba compiles and that runs without the GIL.

    The kernel is compiled on its first call, or by `machine_code.prepare`. Its machine code is cached on disk by
    `cache.KernelCache`.

    Args:
        arguments: numba's types of all arguments.
        fastmath: whether the compiler may reorder sums.
        among: the list that the kernel is added to; None for KERNELS.
    """

    def compile_it(function: Function) -> Function:
        dispatcher: Any = njit(nogil=True, fastmath=fastmath)(function)
        # Like numba's enable_caching, with files that any checkout can use.
        dispatcher._cache = KernelCache(function)
        (KERNELS if among is None else among).append((dispatcher, arguments))
        return cast("Function", dispatcher)

    return compile_it


def array(kind: Any, dimensions: int) -> Any:
    """Return numba's type of a contiguous array with elements of type `kind` and this number of dimensions."""
    return types.Array(kind, dimensions, "C")


def record(kind: type, *fields: Any) -> Any:
    """Return numba's type of a NamedTuple whose fields have these types."""
    if len(set(fields)) == 1:  # numba has a type of its own for these
        return types.NamedUniTuple(fields[0], len(fields), kind)
    return types.NamedTuple(fields, kind)


def compiles_for(*features: str) -> bool:
    """Return whether the processor that numba compiles for has all of these features, by LLVM's names."""
    has = cpu_target.target_context.codegen().magic_tuple()[2].split(",")
    return all(f"+{feature}" in has for feature in features)


@intrinsic
def fetch(typing_context: Any, address: Any) -> Any:
    """Prefetch the cache line at an address (uintp) into all levels of the cache."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        prefetch(builder, builder.inttoptr(arguments[0], _PLACE), _TO_ALL_LEVELS)
        return context.get_dummy_value()

    return types.void(types.uintp), build


def arrays(context: Any, builder: Any, signature: Any, arguments: Any, *numbers: int) -> list[Any]:
    """Return the arguments at the positions `numbers` as numba's array structs, which have `data` and `shape`.

    The other arguments are those that numba passes to the builder of an intrinsic.
    """
    return [context.make_array(signature.args[index])(context, builder, value=arguments[index]) for index in numbers]


def outline(module: Any, name: str, kinds: Sequence[Any], build: Callable[..., None]) -> Any:
    """Return the LLVM function with this name, which is built at the first call for each module.

    Code that is inlined instead would be compiled again at every use.

    Args:
        module: the LLVM module.
        name: the function's name, unique in the program.
        kinds: the types of its arguments.
        build: emits its body; called with a builder and the arguments.
    """
    existing = module.globals.get(name)
    if existing is not None:
        return existing
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    function.linkage = "linkonce_odr"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block("entry"))
    build(builder, *function.args)
    builder.ret_void()
    return function


def prefetch(builder: Any, pointer: Any, level: Any = TO_SECOND_LEVEL) -> None:
    """Emit a prefetch of the cache line that a pointer points to.

    `level` says into which caches: the second level and above by default.
    """
    # llvm.prefetch(address, 0 = to read, locality 3 = every level or 2 = from the second on, 1 = data)
    kind = ir.FunctionType(ir.VoidType(), [_PLACE, *[_WORD] * 3])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    builder.call(function, [builder.bitcast(pointer, _PLACE), _FOR_READING, level, _AS_DATA])
