"""Encoding a file's texts by the service: batches of texts, and what the model made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from service.commands.files.source import DocumentSource, batches
from service.commands.files.vectors import ArrayFile, LineFile, read_vectors
from service.commands.remote.connection import Connection

_BATCH = 64


class Encoding:
    """One run over a file: `run` it, then read what came of it.

    `truncated` are the lines whose texts were longer than the model reads, `unknown_tokens` counts the
    tokens that it reads as one and the same.
    """

    def __init__(self, connection: Connection, sink: ArrayFile | LineFile, purpose: str, model: str | None) -> None:
        self.model = model
        self.dimension = 0
        self.texts = 0
        self.truncated: list[int] = []
        self.unknown_tokens = 0
        self._connection = connection
        self._sink = sink
        self._request: dict[str, Any] = {"purpose": purpose, "vector_format": "base64"}
        if model is not None:
            self._request["model"] = model

    def run(self, texts: DocumentSource, report: Callable[[int], None]) -> None:
        """Encode every text; `report` hears how many are done."""
        for batch in batches(texts.entries(), _BATCH):
            documents = [entry.document or {} for entry in batch]
            request = self._request | {"texts": [document["key"] for document in documents]}
            answer = self._connection.call("POST", "/v1/encode", request)
            self._sink.append(documents, read_vectors(answer["embeddings"]))
            self.model, self.dimension = answer["model"], answer["dimension"]
            self.truncated += [entry.number for entry, cut in zip(batch, answer["truncated"], strict=True) if cut]
            self.unknown_tokens += sum(answer["unknown_tokens"])
            self.texts += len(batch)
            report(self.texts)

    def summary(self) -> dict[str, Any]:
        """What came of it, for programs."""
        return {
            "model": self.model,
            "dimension": self.dimension,
            "texts": self.texts,
            "truncated": self.truncated,
            "unknown_tokens": self.unknown_tokens,
        }

    def __str__(self) -> str:
        return f"{self.texts:,} texts, {self.dimension} wide, by {self.model}"
