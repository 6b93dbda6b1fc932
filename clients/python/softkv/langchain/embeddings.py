"""Texts to vectors, by the encoder of the service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from softkv.integrations.connection import Connection
from softkv.langchain.inputs import convert_errors

if TYPE_CHECKING:
    from softkv.client import AsyncClient, Client


class SoftkvEmbeddings(Embeddings):
    """The service's encoder, for whatever in LangChain wants vectors; a store of softkv's needs none.

    Args:
        model: a name of `client.models()`; left out, the service's.
        url: of the service; left out, `SOFTKV_URL`, or http://127.0.0.1:8000.
        key: to call it with; left out, `SOFTKV_KEY`, or none.
        client: in place of both.
        async_client: the same, awaited; left out, it follows from these.

    Raises:
        InvalidInput: that is no address.
    """

    def __init__(
        self,
        model: str | None = None,
        *,
        url: str | None = None,
        key: str | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
    ) -> None:
        self.model = model
        with convert_errors():
            self._connection = Connection(url, key, client, async_client)

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._connection.url

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of texts that are stored; any number of them."""
        with convert_errors():
            encoded = self._connection.client.encode(texts, model=self.model, purpose="document")
        found: list[list[float]] = encoded.tolist()
        return found

    def embed_query(self, text: str) -> list[float]:
        """The vector of a text that is asked."""
        with convert_errors():
            encoded = self._connection.client.encode([text], model=self.model, purpose="query")
        found: list[float] = encoded[0].tolist()
        return found

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """As `embed_documents`, awaited."""
        with convert_errors():
            encoded = await self._connection.async_client.encode(texts, model=self.model, purpose="document")
        found: list[list[float]] = encoded.tolist()
        return found

    async def aembed_query(self, text: str) -> list[float]:
        """As `embed_query`, awaited."""
        with convert_errors():
            encoded = await self._connection.async_client.encode([text], model=self.model, purpose="query")
        found: list[float] = encoded[0].tolist()
        return found

    def __repr__(self) -> str:
        return f"SoftkvEmbeddings(model={self.model!r}, url={self.url!r})"
