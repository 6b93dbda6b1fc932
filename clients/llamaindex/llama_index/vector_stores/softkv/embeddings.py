"""The service's encoder as LlamaIndex's embedding model."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from softkv.client import AsyncClient, Client
from softkv.integrations import Connection


class SoftkvEmbedding(BaseEmbedding):
    """The service's encoder as LlamaIndex's embedding model.

    Args:
        model: a name that `client.models()` lists; the service's if left out.
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        client: an open client, used in place of `url` and `key`; the caller closes it.
        async_client: an asynchronous client; if left out, each event loop gets one.
        fields: further fields of `BaseEmbedding`, such as `embed_batch_size`.
    """

    _model: str | None = PrivateAttr()
    _connection: Connection = PrivateAttr()

    def __init__(
        self,
        model: str | None = None,
        *,
        url: str | None = None,
        key: str | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**{"model_name": model or "softkv", "embed_batch_size": 256, **fields})
        self._model = model
        self._connection = Connection(url, key, client, async_client)

    @classmethod
    def class_name(cls) -> str:
        """Return the name for serialisation."""
        return "SoftkvEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        vectors: list[list[float]] = self._connection.client.encode(
            [query], model=self._model, purpose="query"
        ).tolist()
        return vectors[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        encoded = await self._connection.async_client.encode([query], model=self._model, purpose="query")
        vectors: list[list[float]] = encoded.tolist()
        return vectors[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._connection.client.encode(
            texts, model=self._model, purpose="document"
        ).tolist()
        return vectors

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        encoded = await self._connection.async_client.encode(texts, model=self._model, purpose="document")
        vectors: list[list[float]] = encoded.tolist()
        return vectors
