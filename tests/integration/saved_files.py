"""Write the same documents by libraries of this field into a folder, and print what `open_table` reads of each file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anndata
import chromadb
import datasets
import lance
import numpy as np
import pandas as pd
import pyarrow as pa
from gensim.models import KeyedVectors
from qdrant_client import QdrantClient, models
from scipy import sparse

from softkv.tables import open_table

folder = Path(sys.argv[1])
words, vectors = ["cat", "猫", "dog"], np.array([[0.5, -1, 0], [0, 2, 0], [1, 0, 0.25]], np.float32)
years = [1990, 1991, 1992]
columns = {"id": words, "key": words, "key_vector": vectors.tolist(), "year": years}
options = {}

part = datasets.Dataset.from_dict(columns)
part.save_to_disk(folder / "datasets", num_shards=2)
datasets.load_from_disk(folder / "datasets").map(lambda row: {"year": 0})  # leaves a cache in the folder
part.to_parquet(folder / "datasets.parquet")
lance.write_dataset(pa.table(columns), folder / "rows.lance")

keyed = KeyedVectors(3)
keyed.add_vectors(words, vectors)
keyed.save_word2vec_format(folder / "gensim.vec")
keyed.save_word2vec_format(folder / "gensim.bin", binary=True)
keyed.save_word2vec_format(folder / "gensim.txt", write_header=False)

cells = pd.DataFrame({"key": pd.Categorical(words), "year": years}, index=words)
for name, matrix in (("dense", vectors), ("rows", sparse.csr_matrix(vectors)), ("columns", sparse.csc_matrix(vectors))):
    anndata.AnnData(matrix, obs=cells).write_h5ad(folder / f"{name}.h5ad")
reduced = anndata.AnnData(sparse.csr_matrix((3, 5), dtype=np.float32), obs=cells)
reduced.obsm["X_pca"] = vectors
reduced.write_h5ad(folder / "reduced.h5ad")
options["reduced.h5ad"] = {"vector": "obsm/X_pca"}

qdrant = QdrantClient(":memory:")
qdrant.create_collection("c", {"dense": models.VectorParams(size=3, distance=models.Distance.DOT)})
points = [
    models.PointStruct(id=number, vector={"dense": vector.tolist()}, payload={"name": word, "text": word, "year": year})
    for number, (word, vector, year) in enumerate(zip(words, vectors, years, strict=True))
]
qdrant.upsert("c", points)
records, _ = qdrant.scroll("c", with_vectors=True)
answer = {"result": {"points": [record.model_dump() for record in records]}}
(folder / "qdrant.json").write_text(json.dumps(answer))
named = {"id": "payload.name", "key": "payload.text", "vector": "vector.dense", "skip": ["id"]}
options["qdrant.json"] = named

chroma = chromadb.EphemeralClient().create_collection("rows")
chroma.add(words, vectors, [{"year": year} for year in years], words)
got = chroma.get(include=["embeddings", "documents", "metadatas"])
(folder / "chroma.json").write_text(json.dumps(got | {"embeddings": got["embeddings"].tolist()}))
options["chroma.json"] = {"key": "document", "vector": "embedding"}

read = {}
for path in sorted(folder.iterdir()):
    rows = {row.id: row.document or row.flaw for row in open_table(path, **options.get(path.name, {}))}
    read[path.name] = [
        document | {"key_vector": np.float32(document["key_vector"]).tolist()} for document in map(rows.get, words)
    ]
sys.stdout.write(json.dumps({"read": read, "words": words, "vectors": vectors.tolist(), "years": years}))
