"""Arrays of NumPy or torch, through the array-API standard: their types, namespace, and checks of shapes."""

from __future__ import annotations

import math
import sys
from functools import reduce
from types import ModuleType
from typing import Any, Protocol, TypeAlias, TypeVar

import array_api_compat
import numpy as np
from array_api_compat import device
from numpy.typing import NDArray

from softkv_attention.errors import ParameterError, ShapeError

Array: TypeAlias = Any
"""A NumPy array or a torch tensor; the array-API standard has no common type for the two."""

AnyArray = TypeVar("AnyArray", bound="Shaped")
"""NumPy's array type or torch's, which a function gives back."""


class Shaped(Protocol):
    """An array of NumPy or torch, as far as type checkers see it."""

    @property
    def shape(self) -> Any:
        """The lengths of its dimensions."""


Shape: TypeAlias = tuple[int, ...]

# NumPy's array types, for the signatures in kernels and lookup.
I8 = NDArray[np.int8]
I16 = NDArray[np.int16]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
Numbers = NDArray[np.floating[Any]] | NDArray[np.integer[Any]]
"""Numbers of a caller, which are converted."""

Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Index = NDArray[np.intp]

BLOCK = 512
"""A float32 product can add up this many terms one after the other without losing its sixth digit."""


def is_torch_array(array: object) -> bool:
    """Return whether an object is a torch tensor.

    array_api_compat's function of this name fails while another thread imports torch.
    """
    tensor = getattr(sys.modules.get("torch"), "Tensor", None)
    return tensor is not None and isinstance(array, tensor)


def widen(array: Any) -> Any:
    """Return a torch tensor of bfloat16, a type that NumPy lacks, as float32; return any other argument unchanged."""
    return array.float() if is_torch_array(array) and str(array.dtype) == "torch.bfloat16" else array


def norm(vector: F64) -> float:
    """Return the length of a vector float64[d], also if the squares of its numbers leave float64."""
    with np.errstate(over="ignore"):
        square = float((vector * vector).sum())  # a dot product would depend on the BLAS
    return math.sqrt(square) if 1e-200 < square < 1e200 else math.hypot(*vector.tolist())


@np.errstate(over="ignore")  # only cosine needs them, and its queries are not so long
def lengths(vectors: F64) -> F64:
    """Return float64[q], the length of each query of float64[q, d]."""
    return np.asarray(np.sqrt(np.add.reduce(vectors * vectors, axis=1)))


def is_array(array: object) -> bool:
    """Return whether an object is a NumPy array or scalar, or a torch tensor."""
    return isinstance(array, np.ndarray | np.generic) or is_torch_array(array)


def as_array(name: str, argument: Array | None) -> Array | None:
    """Return a list of numbers, or of lists of numbers, as a NumPy array.

    Return any other argument unchanged, but a masked array that masks nothing as a plain one.

    Raises:
        ShapeError: the lists differ in length.
        ParameterError: a masked array hides some of its numbers.
    """
    if not isinstance(argument, list | tuple):
        return argument if not _is_masked_array(argument) else _unmask(name, argument)
    items = [_unmask(name, item) if _is_masked_array(item) else item for item in argument]
    try:
        return np.asarray(items)
    except ValueError:
        raise ShapeError(f"{name} must have rows of one length: it holds lists of several") from None


def _is_masked_array(array: object) -> bool:
    return type(array).__module__.startswith("numpy.ma")  # which NumPy imports only for those who use it


def _unmask(name: str, array: Any) -> NDArray[Any]:
    if np.any(array.mask):
        raise ParameterError(
            f"{name} must show all its numbers, got an array that masks some: fill them, or leave their rows out"
        )
    return np.asarray(array)


def reals(name: str, argument: Any, kind: type[np.float64] | type[np.float32] = np.float64) -> NDArray[Any]:
    """Return a caller's real numbers, a list, an array or a tensor, as an array of float64 or float32.

    Raises:
        ShapeError: lists differ in length.
        ParameterError: the argument holds other things than real numbers, or needs a gradient.
    """
    if type(argument) is np.ndarray:
        if argument.dtype == kind:
            return argument
        if argument.dtype == np.float32:
            return argument.astype(kind)
    if getattr(argument, "requires_grad", False):
        raise ParameterError(f"{name} must need no gradient, which a lookup does not give: send {name}.detach()")
    listed = as_array(name, widen(argument))
    try:
        array = np.asarray(listed)
        if array.dtype.kind in "biufO":  # of objects: integers beyond 64 bits
            with np.errstate(over="ignore"):
                return array.astype(kind)
        came = "text" if array.dtype.kind == "U" else str(array.dtype)
    except (TypeError, ValueError):
        came = type(argument).__name__
    raise ParameterError(f"{name} must hold real numbers, got {came}: convert it, for instance to float32")


def integers(name: str, argument: Any) -> I64:
    """Return a caller's list of integers as int64[n].

    Raises:
        ShapeError: the argument is not one list, or holds other things than integers.
    """
    array = np.asarray(as_array(name, argument))
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ShapeError(f"{name} must be a list of integers, got {array.dtype} of shape {array.shape}")
    return array.astype(np.int64)


class _NumPy(ModuleType):
    """NumPy, whose functions are those of the array-API standard but for two.

    array_api_compat's module for NumPy would import all that NumPy has, such as f2py: 0.2 s and 19 MiB.
    """

    def __getattr__(self, name: str) -> Any:
        """Return a function or a type of NumPy, which later calls find without this method."""
        vars(self)[name] = member = getattr(np, name)
        return member

    @staticmethod
    def astype(x: Any, dtype: Any, *, copy: bool = True) -> Any:
        """Return an array or a number converted to a type."""
        return x.astype(dtype, copy=copy)

    @staticmethod
    def sort(x: Any, *, axis: int = -1, descending: bool = False) -> Any:
        """Return an array sorted along an axis, ascending unless `descending` is true."""
        ascending = np.sort(x, axis=axis)
        return np.flip(ascending, axis=axis) if descending else ascending


_NUMPY = _NumPy("numpy")
_HAS_STANDARD = np.lib.NumpyVersion(np.__version__) >= "2.1.0"
_SCALARS = bool | int | float | complex | None


def array_namespace(*arrays: Array) -> ModuleType:
    """Return the array-API module that the arrays share; Python's numbers and None are ignored.

    Raises:
        TypeError: the arguments are of several libraries, or none is an array.
    """
    if _HAS_STANDARD:
        remaining = [array for array in arrays if not isinstance(array, np.ndarray | np.generic)]
        if len(remaining) < len(arrays) and all(isinstance(argument, _SCALARS) for argument in remaining):
            return _NUMPY
    module: ModuleType = array_api_compat.array_namespace(*arrays)
    return module


def namespace(**arrays: Array | None) -> ModuleType:
    """Return the array-API module, such as numpy, that the named arrays share. Arguments that are None are ignored.

    Raises:
        ParameterError: an argument is not an array, or NumPy and torch are mixed.
    """
    present = {name: array for name, array in arrays.items() if array is not None}
    for name, array in present.items():
        if not is_array(array):
            raise ParameterError(
                f"{name} must be a NumPy array or a torch tensor, got {type(array).__name__}: "
                f"wrap it, for instance numpy.asarray({name})"
            )
    try:
        xp: ModuleType = array_namespace(*present.values())
    except TypeError as error:
        kinds = ", ".join(f"{name} a {type(array).__name__}" for name, array in present.items())
        raise ParameterError(
            f"all arrays of a call must come from one library, got {kinds}: convert them first"
        ) from error
    return xp


def attendable(query: Array, key: Array, value: Array) -> tuple[Array, Array, Array, Array]:
    """Check query, key and value, and convert them to the type to compute in, float32 or wider.

    Return the three arrays, and the type that the result shall have.

    Raises:
        ParameterError: the arguments are not real arrays of one library.
        ShapeError: the arguments are not rows of vectors, keys and values differ in number, or leading dimensions do
            not broadcast.
    """
    query, key, value = as_array("query", query), as_array("key", key), as_array("value", value)
    if query is None or key is None or value is None:
        raise ParameterError("query, key and value must be arrays, got None: send each of them")
    xp = namespace(query=query, key=key, value=value)
    query, key, value = floating(xp, query=query, key=key, value=value)
    matrices(query=query, key=key, value=value)
    if key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"every key needs one value, got {key.shape[-2]} keys and {value.shape[-2]} values: "
            f"key is [..., n, d] and value [..., n, d_v]"
        )
    return *promote(xp, query, key, value), xp.result_type(query, key, value)


def floating(xp: ModuleType, **arrays: Array) -> tuple[Array, ...]:
    """Return the named arrays as floating point; integers become the library's default float.

    Raises:
        ParameterError: an array is boolean or complex, or does not hold numbers.
    """
    default = xp.__array_namespace_info__().default_dtypes()["real floating"]
    for name, array in arrays.items():
        if not xp.isdtype(array.dtype, ("real floating", "integral")):
            raise ParameterError(
                f"{name} must hold real numbers, got {array.dtype}: convert it, for instance to float32"
            )
    return tuple(
        xp.astype(array, default) if xp.isdtype(array.dtype, "integral") else array for array in arrays.values()
    )


def promote(xp: ModuleType, *arrays: Array) -> tuple[Array, ...]:
    """Return the arrays converted to the widest floating type among them and float32."""
    working = reduce(xp.result_type, (array.dtype for array in arrays), xp.float32)
    return tuple(xp.astype(array, working, copy=False) for array in arrays)


def matrices(**arrays: Array) -> None:
    """Raise an error unless each of the named arrays has rows of vectors, [..., rows, width].

    Raises:
        ShapeError: an array has fewer than two dimensions, or the leading dimensions do not broadcast.
    """
    for name, array in arrays.items():
        if array.ndim < 2:
            raise ShapeError(
                f"{name} must have shape [..., rows, width], got {tuple(array.shape)}: "
                f"give a single row its axis, {name}[None, :]"
            )
    try:
        np.broadcast_shapes(*(tuple(array.shape[:-2]) for array in arrays.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {tuple(array.shape)}" for name, array in arrays.items())
        raise ShapeError(f"the leading dimensions must broadcast, got {shapes}: add or repeat an axis") from error


def broadcast_onto(name: str, array: Array, onto: Shape, axes: tuple[str, ...]) -> Shape:
    """Return the shape of an array broadcast with the shape `onto`, whose last axes must keep their sizes.

    Args:
        name: the array's name, for an error's message.
        axes: the names of the last axes of `onto`, for an error's message.

    Raises:
        ShapeError: the shapes do not broadcast, or one of the last axes would change.
    """
    try:
        shape = np.broadcast_shapes(tuple(array.shape), onto)
    except ValueError:
        shape = ()
    if shape[-len(axes) :] != onto[-len(axes) :]:
        sizes = ", ".join(f"{axis} = {size}" for axis, size in zip(axes, onto[-len(axes) :], strict=True))
        raise ShapeError(
            f"{name} must broadcast to [..., {', '.join(axes)}] with {sizes}, got shape {tuple(array.shape)}"
        )
    return shape


def largest(array: Array) -> Array:
    """Return the largest entry of each row of [..., n] as [..., 1]; −∞ if n = 0.

    Gradients do not flow through it.
    """
    xp = array_namespace(array)
    if array.shape[-1] == 0:
        return xp.full((*array.shape[:-1], 1), -math.inf, dtype=array.dtype, device=device(array))
    return xp.max(detach(array), axis=-1, keepdims=True)


def finite_or_zero(array: Array) -> Array:
    """Return the array with 0 in place of −∞, so that it can be subtracted from −∞ without NaN."""
    return array_namespace(array).where(array == -math.inf, 0.0, array)


def detach(array: Array) -> Array:
    """Return the array cut off from its gradient, so that gradients do not flow through it."""
    return array.detach() if is_torch_array(array) else array


@np.errstate(invalid="ignore")  # OpenBLAS now and then raises this flag for finite numbers
def blend(weights: Array, value: Array) -> Array:
    """Return weights [..., m, n] @ value [..., n, d_v] as [..., m, d_v], accurate to the last digits for any n.

    A plain product in float32 has an error of one percent after a million terms. So blocks are summed first, and then
    their sums in float64.
    """
    matrices(weights=weights, value=value)
    xp = array_namespace(weights, value)
    (m, n), d_v = weights.shape[-2:], value.shape[-1]
    if n <= BLOCK:
        return weights @ value
    blocks = n // BLOCK
    blocked_rows = blocks * BLOCK
    rows = xp.reshape(weights[..., :blocked_rows], (*weights.shape[:-2], m, blocks, BLOCK))
    columns = xp.reshape(value[..., :blocked_rows, :], (*value.shape[:-2], blocks, BLOCK, d_v))
    sums = xp.moveaxis(rows, -2, -3) @ columns  # [..., blocks, m, d_v]
    rest = weights[..., blocked_rows:] @ value[..., blocked_rows:, :]
    return xp.astype(xp.sum(sums, axis=-3, dtype=xp.float64) + rest, weights.dtype, copy=False)
