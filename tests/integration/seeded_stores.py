"""Run by `.venv-integrations`, for docs/guide/recipes/moving.md.

It fills collections of chroma and qdrant, in folders here, and a table of pgvector.
"""

from __future__ import annotations

import json
import sys

import chromadb
import psycopg
from pgvector import Vector
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb
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
            vector={} if row["id"] in asked["bare"] else row["vector"],
            payload=row["metadata"] | ({} if row["text"] is None else {"document": row["text"]}),
        )
        for number, row in enumerate(rows)
    ],
)
with psycopg.connect(asked["postgres"]) as connection:
    connection.execute("CREATE EXTENSION vector")
    register_vector(connection)
    width = len(rows[0]["vector"])
    connection.execute(f"CREATE TABLE documents (id text, body text, metadata jsonb, embedding vector({width}))")
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY documents (id, body, metadata, embedding) FROM STDIN") as copy,
    ):
        for row in rows:
            vector = None if row["id"] in asked["bare"] else Vector(row["vector"])
            copy.write_row((row["id"], row["text"], Jsonb(row["metadata"]), vector))
    nearest = connection.execute(
        f"SELECT id FROM documents ORDER BY embedding {asked['operator']} %s LIMIT 5", [Vector(asked["question"])]
    ).fetchall()

question = asked["question"]
json.dump(
    {
        "chroma": notes.query(query_embeddings=[question], n_results=5)["ids"][0],
        "qdrant": [str(point.id) for point in points.query_points("points", question, limit=5).points],
        "pgvector": [row[0] for row in nearest],
    },
    sys.stdout,
)
points.close()
