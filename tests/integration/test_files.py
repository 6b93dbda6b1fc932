"""Files of the libraries that make them are the documents that went in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.test_moving import PYTHON

pytestmark = pytest.mark.integration

FILES = {
    *("datasets", "datasets.parquet", "rows.lance", "gensim.vec", "gensim.bin", "gensim.txt", "dense.h5ad"),
    *("rows.h5ad", "columns.h5ad", "reduced.h5ad", "qdrant.json", "chroma.json"),
}


def test_a_file_of_each_library_is_its_documents(tmp_path: Path) -> None:
    if not PYTHON.exists():
        pytest.skip("there is no .venv-integrations: make test-alone makes it")
    script = Path(__file__).with_name("saved_files.py")
    done = subprocess.run([PYTHON, script, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    documents = [
        {"id": word, "key": word, "key_vector": vector, "metadata": {"year": year}}
        for word, vector, year in zip(answer["words"], answer["vectors"], answer["years"], strict=True)
    ]
    bare = [{name: part for name, part in document.items() if name != "metadata"} for document in documents]
    expected = {name: bare if name.startswith("gensim") else documents for name in FILES}
    assert answer["read"] == expected
