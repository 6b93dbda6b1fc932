"""The service's encoder, for an index that embeds its nodes itself."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from softkv.client import AsyncClient, Client
from softkv.integrations.connection import Connection


class SoftkvEmbedding(BaseEmbedding):
    """Texts to vectors, by a model of the service's.

    Args:
        model: a name of `client.models()`; left out, the service's.
        url: of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000.
        key: to call it with; left out, `SOFTKV_KEY`, or none.
        client: in place of both; whoever made it closes it.
        async_client: the same, awaited; left out, it follows from these, one for each event loop.
        fields: of `BaseEmbedding`, as `embed_batch_size`.
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
        """What it is called where it is written down."""
        return "SoftkvEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        found: list[list[float]] = self._connection.client.encode([query], model=self._model, purpose="query").tolist()
        return found[0]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        encoded = await self._connection.async_client.encode([query], model=self._model, purpose="query")
        found: list[list[float]] = encoded.tolist()
        return found[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        found: list[list[float]] = self._connection.client.encode(texts, model=self._model, purpose="document").tolist()
        return found

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        encoded = await self._connection.async_client.encode(texts, model=self._model, purpose="document")
        found: list[list[float]] = encoded.tolist()
        return found
