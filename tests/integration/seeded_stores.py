"""Run by `.venv-integrations`: collections of chroma and qdrant, in folders here, for docs/guide/recipes/moving.md."""

from __future__ import annotations

import json
import sys

import chromadb
from qdrant_client import QdrantClient, models

asked = json.load(sys.stdin)
rows = asked["rows"]

notes = chromadb.PersistentClient("./chroma").create_collection(
    "notes", configuration={"hnsw": {"space": asked["space"]}}, embedding_function=None
)
notes.add(
    ids=[row["id"] for row in rows],
    embeddings=[row["vector"] for row in rows],
    documents=[row["text"] for row in rows],
    metadatas=[row["metadata"] or None for row in rows],
)

points = QdrantClient(path="./qdrant")
points.create_collection(
    "points", models.VectorParams(size=len(rows[0]["vector"]), distance=models.Distance[asked["distance"]])
)
points.upsert(
    "points",
    [
        models.PointStruct(
            id=number,
            vector=row["vector"],
            payload=row["metadata"] | ({} if row["text"] is None else {"document": row["text"]}),
        )
        for number, row in enumerate(rows)
    ],
)
question = asked["question"]
json.dump(
    {
        "chroma": notes.query(query_embeddings=[question], n_results=5)["ids"][0],
        "qdrant": [str(point.id) for point in points.query_points("points", question, limit=5).points],
    },
    sys.stdout,
)
points.close()
