"""The service's encoder as LangChain's embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings

from langchain_softkv.inputs import convert_errors
from softkv.integrations import Connection

if TYPE_CHECKING:
    from softkv.client import AsyncClient, Client


class SoftkvEmbeddings(Embeddings):
    """The service's encoder as LangChain's embeddings.

    A `SoftkvVectorStore` does not need this class, since its collection encodes texts.

    Args:
        model: a name that `client.models()` lists; the service's if left out.
        url: the URL of the service; `SOFTKV_URL`, or http://127.0.0.1:8000 if left out.
        key: the API key; `SOFTKV_KEY`, or none if left out.
        client: an open client, used in place of `url` and `key`.
        async_client: an asynchronous client; derived from the other arguments if left out.

    Raises:
        InvalidInput: the URL is invalid.
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
        """The URL of the service."""
        return self._connection.url

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Encode any number of texts as documents."""
        with convert_errors():
            encoded = self._connection.client.encode(texts, model=self.model, purpose="document")
        vectors: list[list[float]] = encoded.tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Encode a text as a query."""
        with convert_errors():
            encoded = self._connection.client.encode([text], model=self.model, purpose="query")
        vector: list[float] = encoded[0].tolist()
        return vector

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Encode any number of texts as documents, asynchronously."""
        with convert_errors():
            encoded = await self._connection.async_client.encode(texts, model=self.model, purpose="document")
        vectors: list[list[float]] = encoded.tolist()
        return vectors

    async def aembed_query(self, text: str) -> list[float]:
        """Encode a text as a query, asynchronously."""
        with convert_errors():
            encoded = await self._connection.async_client.encode([text], model=self.model, purpose="query")
        vector: list[float] = encoded[0].tolist()
        return vector

    def __repr__(self) -> str:
        return f"SoftkvEmbeddings(model={self.model!r}, url={self.url!r})"
