"""What is asked of a collection: texts and vectors, one or many, checked before they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from softkv import filters
from softkv.calls.call import Plan
from softkv.calls.collections import info
from softkv.calls.place import Place
from softkv.problems import flawed, misfit
from softkv.wire.checks import is_several
from softkv.wire.vectors import is_vector, outgoing, width

Bias: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""A term of a bias as the service reads it, where a `filter` may be written as `F.year >= 1990`, or a list of them."""


def listed(queries: Any) -> list[Any]:
    """Several queries, from whatever holds them."""
    dimensions = getattr(queries, "ndim", None)
    if isinstance(queries, Mapping) or dimensions == 0 or (dimensions or 0) > 2:
        raise flawed("/query", "wanted a text, a vector, a list of these, or a matrix with a row a query")
    try:
        return list(queries.tolist() if dimensions == 1 else queries)
    except TypeError:
        raise flawed("/query", f"wanted a text, a vector or a list of these, got {type(queries).__name__}") from None


def query_on_wire(query: Any, pointer: str) -> Any:
    """A text as it is, a vector as it is sent."""
    return query if isinstance(query, str) else outgoing(query, pointer)


def bias_on_wire(bias: Bias | None) -> Any:
    """Terms as they are sent.

    Raises:
        Invalid: one of them is no object, or its filter is none.
    """
    if bias is None:
        return None
    if is_several(bias):
        return [_term(each, f"/bias/{at}") for at, each in enumerate(bias)]
    return _term(bias, "/bias")


def _term(term: Any, pointer: str) -> dict[str, Any]:
    if isinstance(term, filters.Filter | filters.Field):
        a_term = '{"filter": F.year > 1990, "addend": 1}, or {"field": "metadata.year", "half_life": 10}'
        raise misfit(pointer, f"wanted a term such as {a_term}, got a {type(term).__name__.lower()} alone")
    if not isinstance(term, Mapping):
        raise flawed(pointer, "a term of a bias is an object: send one, or a list of them")
    return {name: filters.wire(each, f"{pointer}/filter") if name == "filter" else each for name, each in term.items()}


def text_of(query: Any) -> str | None:
    """The text that was asked; None of a vector."""
    return query if isinstance(query, str) else None


def fitting(place: Place, queries: Sequence[Any], pointer: Any) -> Plan[None]:
    """Refuse a vector that is not as wide as the keys, where it is known how wide these are.

    What is known may be of a collection that was dropped since and made anew: so it is asked for before that.
    """
    if not any(_unlike(place, queries)):
        return
    yield from info(place)
    refuse_width = next(_unlike(place, queries), None)
    if refuse_width is not None:
        at, wide = refuse_width
        keys = place.known.widths[place.name]
        raise flawed(
            pointer(at),
            f"query has width {wide}, the keys of {place.name!r} have width {keys}: encode both with the same model",
        )


def _unlike(place: Place, queries: Sequence[Any]) -> Iterator[tuple[int, int]]:
    known = place.known.widths.get(place.name)
    if known is None:
        return
    for at, query in enumerate(queries):
        if not isinstance(query, str) and is_vector(query) and width(query) != known:
            yield at, width(query)
