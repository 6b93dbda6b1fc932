"""An index of FAISS, in a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from softkv.integrations import require_module
from softkv_referee.stores.store import F32, F64, WIDEST, Page, Search, StoreError, parse_whole, require_no_settings

_PAGE = 10_000
_COMPRESSED = (
    "the index may have compressed its vectors, and the exact answers are for those: --originals names the file of the "
    "true ones"
)


class FaissStore:
    """A `Store` of a FAISS index. The ids are the index's numbers, written in decimal.

    Args:
        address: the file, as `faiss.write_index` wrote it.
        originals: a .npy file of float[n, d] with the vector of number i in row i; None to read them from the index.
        settings: `efSearch` and `nprobe`.
    """

    def __init__(self, address: str, *, originals: Path | None, settings: Mapping[str, str]) -> None:
        require_no_settings(settings, "FAISS", ["efSearch", "nprobe"])
        try:
            self._faiss = require_module("faiss", "faiss-cpu")
        except ImportError as error:
            raise StoreError(str(error)) from None
        if not Path(address).is_file():
            raise StoreError(f"{address} is not a file: expected an index of FAISS")
        try:
            self._index = self._faiss.read_index(address)
        except RuntimeError as error:
            raise StoreError(f"{address} is not an index of FAISS: {_last_line(error)}") from None
        metrics = {self._faiss.METRIC_INNER_PRODUCT: "dot", self._faiss.METRIC_L2: "gaussian"}
        if self._index.metric_type not in metrics:
            raise StoreError(f"{address} has another metric than the inner product and L2: neither is one of softkv")
        self.similarity = metrics[self._index.metric_type]
        self._originals = None if originals is None else _load(originals, self._index.d)
        self._set(parse_whole(settings))

    def count(self) -> int:
        """Return the number of vectors in the index, or of the originals."""
        return int(self._index.ntotal) if self._originals is None else len(self._originals)

    def pages(self) -> Iterator[Page]:
        """Yield every vector: the originals, or those of the index, which a compressed index has only about."""
        if self._originals is None:
            numbers, vectors = self._reconstruct()
        else:
            numbers, vectors = np.arange(len(self._originals)), self._originals
        for start in range(0, len(numbers), _PAGE):
            part = slice(start, start + _PAGE)
            yield Page([str(number) for number in numbers[part]], np.asarray(vectors[part], dtype=np.float32))

    def _reconstruct(self) -> tuple[Any, F32]:
        index, total = self._faiss.downcast_index(self._index), self._index.ntotal
        try:
            if hasattr(index, "id_map"):
                return self._faiss.vector_to_array(index.id_map), index.index.reconstruct_n(0, total)
            if isinstance(index, self._faiss.IndexIVF):
                lists = index.invlists
                sizes = [lists.list_size(number) for number in range(index.nlist)]
                ids = [
                    self._faiss.rev_swig_ptr(lists.get_ids(number), size).copy()
                    for number, size in enumerate(sizes)
                    if size
                ]
                numbers = np.concatenate(ids) if ids else np.empty(0, dtype=np.int64)
                index.set_direct_map_type(self._faiss.DirectMap.Hashtable)
                return numbers, index.reconstruct_batch(numbers)
            return np.arange(total), index.reconstruct_n(0, total)
        except RuntimeError as error:
            raise StoreError(
                f"the index gives no vectors back ({_last_line(error)}): name the file of the vectors with --originals"
            ) from None

    def read_filter(self, condition: Any) -> Any:
        """Raise StoreError: an index of FAISS has no fields."""
        raise StoreError(f"an index of FAISS has no fields, so it takes no filter: leave out {condition!r}")

    def passing(self, condition: Any) -> list[str]:
        """Raise StoreError: an index of FAISS has no fields."""
        return list(self.read_filter(condition))

    def search(self, queries: F64, k: int, condition: Any = None, *, widest: bool = False) -> list[list[str]]:
        """Return the numbers that FAISS returns for each query [q, d], without its −1 for missing results."""
        before = self._settings()
        if widest:
            self._set({"efSearch": WIDEST, "nprobe": 2**31 - 1})
        _, numbers = self._index.search(np.ascontiguousarray(queries, dtype=np.float32), k)
        self._set(before)
        return [[str(number) for number in row if number >= 0] for row in numbers]

    def _inner_index(self) -> Any:
        """Return the index that has the settings of the search: the inner one of an IndexIDMap or a transform."""
        index = self._faiss.downcast_index(self._index)
        while hasattr(index, "id_map") or isinstance(index, self._faiss.IndexPreTransform):
            index = self._faiss.downcast_index(index.index)
        return index

    def _settings(self) -> dict[str, int]:
        index = self._inner_index()
        if hasattr(index, "hnsw"):
            return {"efSearch": index.hnsw.efSearch}
        return {"nprobe": index.nprobe} if hasattr(index, "nprobe") else {}

    def _set(self, settings: Mapping[str, int]) -> None:
        """Change settings in memory; the file stays as it is."""
        index = self._inner_index()
        if hasattr(index, "hnsw") and "efSearch" in settings:
            index.hnsw.efSearch = settings["efSearch"]
        if hasattr(index, "nprobe") and "nprobe" in settings:
            index.nprobe = min(settings["nprobe"], index.nlist)

    def describe(self, query: F64, k: int, condition: Any = None) -> Search:
        """Return what answers a query."""
        index, settings = self._inner_index(), self._settings()
        values = ", ".join(f"{name} {value}" for name, value in settings.items())
        rebuild = "make the index again, and add all vectors to it"
        if isinstance(index, self._faiss.IndexFlat):
            return Search(None, None, rebuild)
        is_exact = type(index).__name__.endswith("Flat") or self._originals is not None
        note = "" if is_exact else _COMPRESSED
        widest = ", ".join(f"{name} {min(WIDEST, index.nlist) if name == 'nprobe' else WIDEST:,}" for name in settings)
        return Search(
            type(index).__name__.removeprefix("Index") + (f" ({values})" if values else ""),
            widest or None,
            rebuild,
            note,
        )

    def close(self) -> None:
        """Do nothing: the index is in memory."""


def _load(path: Path, width: int) -> F32:
    try:
        vectors: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise StoreError(f"{path} is not a .npy file: {error}") from None
    if vectors.ndim != 2 or vectors.shape[1] != width or vectors.dtype.kind not in "fiu":
        raise StoreError(f"{path} holds {vectors.dtype} of shape {vectors.shape}: expected vectors of width {width}")
    loaded: F32 = vectors
    return loaded


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1]
