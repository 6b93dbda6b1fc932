"""Encoding a file's texts by the service: batches of texts, and what the model made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from service.commands.files.source import DocumentSource, batches
from service.commands.files.vectors import ArrayFile, LineFile
from softkv import Client

_BATCH = 64


class Encoding:
    """One run over a file: `run` it, then read what came of it.

    `truncated` are the lines whose texts were longer than the model reads, `unknown_tokens` counts the
    tokens that it reads as one and the same.
    """

    def __init__(self, client: Client, sink: ArrayFile | LineFile, purpose: str, model: str | None) -> None:
        self.model = model
        self.dimension = 0
        self.texts = 0
        self.truncated: list[int] = []
        self.unknown_tokens = 0
        self._client = client
        self._sink = sink
        self._options: dict[str, Any] = {"purpose": purpose, "model": model}

    def run(self, texts: DocumentSource, report: Callable[[int], None]) -> None:
        """Encode every text; `report` hears how many are done."""
        for batch in batches(texts.entries(), _BATCH):
            documents = [entry.document or {} for entry in batch]
            vectors = self._client.encode([document["key"] for document in documents], **self._options)
            self._sink.append(documents, np.asarray(vectors))
            self.model, self.dimension = vectors.model, vectors.shape[1]
            cut = cast("list[bool]", vectors.truncated)
            self.truncated += [entry.number for entry, was_cut in zip(batch, cut, strict=True) if was_cut]
            self.unknown_tokens += sum(vectors.unknown_tokens or ())
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
