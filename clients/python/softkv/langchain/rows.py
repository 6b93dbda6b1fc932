"""LangChain's texts as documents of softkv, on their way to be written."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from softkv.answers.report import Report
from softkv.problems import flawed


def with_ids(
    texts: Iterable[str],
    metadatas: Sequence[Mapping[str, Any] | None] | None,
    ids: Sequence[str | None] | None,
) -> list[dict[str, Any]]:
    """Texts, and as many metadata and ids, → documents without vectors.

    Raises:
        Invalid: there are not as many of each, or one of the texts is none.
    """
    keys = list(texts)
    kinds = (
        ["one text"] if isinstance(texts, str) else [type(each).__name__ for each in keys if not isinstance(each, str)]
    )
    if kinds:
        raise flawed("/texts", f"wanted a list of texts, got {kinds[0]}")
    for name, given in (("metadatas", metadatas), ("ids", ids)):
        if given and len(given) != len(keys):
            raise flawed(f"/{name}", f"wanted as many {name} as texts, got {len(given)} of {len(keys)}")
    return [
        {
            "id": str(uuid.uuid4()) if name is None else name,
            "key": key,
            "metadata": {} if metadata is None else metadata,
        }
        for key, metadata, name in zip(keys, metadatas or [None] * len(keys), ids or [None] * len(keys), strict=True)
    ]


def once_each(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, of those with the same id the last: so a mapping would have it, and so it is written."""
    return list({row["id"]: row for row in rows}.values())


def with_vectors(rows: Sequence[dict[str, Any]], vectors: Sequence[Any]) -> list[dict[str, Any]]:
    """The same with a key vector each.

    Raises:
        Invalid: there are not as many.
    """
    if len(vectors) != len(rows):
        raise flawed("", f"the embedding made {len(vectors)} vectors of {len(rows)} texts: it has to make one of each")
    return [row | {"key_vector": vector} for row, vector in zip(rows, vectors, strict=True)]


def all_written(report: Report) -> None:
    """Raise for what was refused, and warn of what was cut.

    Raises:
        Invalid: at least one was refused; the error's `report` says which, and all others are written.
    """
    if report.refused:
        first, more = report.refused[0], len(report.refused) - 1
        others = f" (and {more} more, see report)" if more else ""
        error = flawed(f"/{first.row}", f"document {first.id!r} was refused: {first.detail}{others}")
        error.report = report
        raise error
    if report.truncated:
        warnings.warn(
            f"{len(report.truncated):,} texts are longer than the encoder reads, which looks at their beginning only, "
            f"as of {report.truncated[0]!r}: split them, or give the store split={{'tokens': 200, 'overlap': 20}}",
            stacklevel=3,
        )
