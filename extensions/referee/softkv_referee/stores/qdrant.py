"""A collection of qdrant, in a folder or behind a server."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from softkv.integrations import require_module
from softkv_referee.stores.store import (
    F64,
    WIDEST,
    Page,
    Search,
    StoreError,
    StoreUnreachable,
    choose_name,
    parse_whole,
    require_json_filter,
    require_no_settings,
)

_SIMILARITIES = {"Cosine": "cosine", "Dot": "dot", "Euclid": "gaussian"}
_PAGE, _BATCH = 1000, 50


class QdrantStore:
    """A `Store` of qdrant.

    Args:
        address: a folder of the client's local mode, or the URL of a server.
        name: the collection.
        key: the API key of a server.
        vector: the name of the vector, if points have several.
        settings: `hnsw_ef`.
    """

    def __init__(
        self, address: str, name: str | None, *, key: str | None, vector: str | None, settings: Mapping[str, str]
    ) -> None:
        require_no_settings(settings, "qdrant", ["hnsw_ef"])
        self._ef = parse_whole(settings).get("hnsw_ef")
        try:
            self._qdrant = require_module("qdrant_client", "qdrant-client")
        except ImportError as error:
            raise StoreError(str(error)) from None
        self._models = self._qdrant.models
        self._address = address
        self._is_local = not address.startswith(("http://", "https://"))
        if self._is_local and not (Path(address) / "meta.json").is_file():
            raise StoreError(f"{address} is not a folder of qdrant's local mode: it has no file meta.json")
        with self._errors():
            if self._is_local:
                self._client = self._qdrant.QdrantClient(path=address)
            else:
                self._client = self._qdrant.QdrantClient(url=address, api_key=key, timeout=60)
            names = [collection.name for collection in self._client.get_collections().collections]
            self._name = choose_name(names, name, "collection", address)
            self._config = self._client.get_collection(self._name).config
        self._vector = vector
        parameters = self._config.params.vectors
        if isinstance(parameters, dict):
            self._vector = choose_name(list(parameters), vector, "vector", self._name)
            parameters = parameters[self._vector]
        elif vector is not None:
            raise StoreError(f"the points of {self._name} have one vector without a name: leave out --vector")
        if parameters.multivector_config is not None:
            raise StoreError(f"{self._name} has several vectors for a point, whose search is not by one similarity")
        distance = getattr(parameters.distance, "value", parameters.distance)
        if distance not in _SIMILARITIES:
            raise StoreError(f"{self._name} is searched by {distance}: expected one of {', '.join(_SIMILARITIES)}")
        self.similarity = _SIMILARITIES[distance]

    def count(self) -> int:
        """Return the number of points that the store counts."""
        with self._errors():
            return int(self._client.count(self._name, exact=True).count)

    def pages(self) -> Iterator[Page]:
        """Yield every point."""
        fields = True if self._vector is None else [self._vector]
        for points in self._scroll(None, fields):
            vectors = {str(point.id): self._vector_of(point) for point in points}
            present = {id_: vector for id_, vector in vectors.items() if vector is not None}
            without_vector = [id_ for id_ in vectors if id_ not in present]
            array = np.array(list(present.values()), dtype=np.float32)
            yield Page(list(present), array.reshape(len(present), -1), without_vector)

    def _vector_of(self, point: Any) -> Any:
        vector = point.vector if self._vector is None else (point.vector or {}).get(self._vector)
        return vector or None

    def _scroll(self, condition: Any, vectors: Any) -> Iterator[list[Any]]:
        offset = None
        while True:
            with self._errors():
                points, offset = self._client.scroll(
                    self._name,
                    scroll_filter=condition,
                    limit=_PAGE,
                    offset=offset,
                    with_payload=False,
                    with_vectors=vectors,
                )
            yield points
            if offset is None:
                return

    def read_filter(self, condition: Any) -> Any:
        """Return a `Filter` of qdrant's client."""
        example = '{"must": [{"key": "year", "range": {"lt": 1960}}]}'
        try:
            return self._models.Filter.model_validate(require_json_filter(condition, example))
        except ValueError as error:
            raise StoreError(f"expected a filter of qdrant such as {example}, got {condition}: {error}") from None

    def passing(self, condition: Any) -> list[str]:
        """Return the ids of all points that pass a filter."""
        return [str(point.id) for points in self._scroll(condition, False) for point in points]

    def search(self, queries: F64, k: int, condition: Any = None, *, widest: bool = False) -> list[list[str]]:
        """Return the ids that qdrant returns for each query [q, d]."""
        ef = max(WIDEST, k) if widest else self._ef
        parameters = None if ef is None or self._is_local else self._models.SearchParams(hnsw_ef=ef)
        results: list[list[str]] = []
        for start in range(0, len(queries), _BATCH):
            requests = [
                self._models.QueryRequest(
                    query=query.astype(np.float32).tolist(),
                    using=self._vector,
                    filter=condition,
                    limit=k,
                    params=parameters,
                )
                for query in queries[start : start + _BATCH]
            ]
            with self._errors():
                answers = self._client.query_batch_points(self._name, requests=requests)
            results += [[str(point.id) for point in answer.points] for answer in answers]
        return results

    def describe(self, query: F64, k: int, condition: Any = None) -> Search:
        """Return what answers a query."""
        rebuild = "let qdrant build the index again, such as by a change of hnsw_config"
        if self._is_local:
            return Search(None, None, rebuild, "qdrant's local mode compares every vector, whatever a server does")
        hnsw = self._config.hnsw_config
        return Search(
            f"HNSW (m {hnsw.m}, ef_construct {hnsw.ef_construct}, hnsw_ef {self._ef or 'by default'})",
            f"hnsw_ef {WIDEST:,}",
            rebuild,
        )

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Within the block, an error of qdrant becomes a StoreError."""
        exceptions = require_module("qdrant_client.http.exceptions", "qdrant-client")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # about versions, and payload indexes of the local mode
                yield
        except exceptions.ResponseHandlingException as error:
            raise StoreUnreachable(
                f"no qdrant answers at {self._address} ({error}): start it, or name another"
            ) from None
        except (exceptions.ApiException, ValueError, RuntimeError) as error:
            raise StoreError(f"qdrant refused: {error}") from None
