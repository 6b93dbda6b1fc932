"""The recipes of docs/guide/recipes/moving.md, run with the stores' own clients: both hold and order the same."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from benchmarks.http import POSTGRES
from tests import postgres
from tests.examples import ROOT, SHOWN_URL, Page
from tests.running import RunningService
from tests.thorough import thorough

pytestmark = pytest.mark.integration

PYTHON = ROOT / ".venv-integrations" / "bin" / "python"
RECIPES = [text for language, text in Page("docs/guide/recipes/moving.md").blocks if language == "py"]
SHOWN_DATABASE = "postgresql://postgres@127.0.0.1:5432/postgres"
BARE = "1201"
MANY = 2500  # more than a recipe asks for at a time


@pytest.fixture
def database() -> Iterator[str]:
    """Yield the address of a database of a PostgreSQL that has pgvector."""
    if not PYTHON.exists():
        pytest.skip("there is no .venv-integrations: make test-alone makes it")
    done = subprocess.run([PYTHON, "-c", POSTGRES], capture_output=True, text=True, check=True)
    with postgres.running(folder=Path(done.stdout.strip())) as server:
        yield server.database()


def run(folder: Path, script: str, given: str = "") -> str:
    if not PYTHON.exists():
        pytest.skip("there is no .venv-integrations: make test-alone makes it")
    path = folder / "recipe.py"
    path.write_text(script, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CHROMA_", "SOFTKV_"))}
    done = subprocess.run(
        [PYTHON, path], cwd=folder, input=given, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("space", "distance", "operator"), [("l2", "EUCLID", "<->"), thorough("ip", "DOT", "<#>")])
def test_a_collection_comes_whole_and_is_ordered_alike(
    service: RunningService,
    client: httpx.Client,
    database: str,
    tmp_path: Path,
    space: str,
    distance: str,
    operator: str,
) -> None:
    vectors = np.random.default_rng(5).standard_normal((MANY, 8)).astype(np.float32)
    rows: list[dict[str, Any]] = [
        {
            "id": str(number),
            "text": None if number % 5 == 0 else f"text {number} 猫",
            "metadata": {} if number % 3 == 0 else {"year": 1900 + number % 100, "read": number % 2 == 0},
            "vector": vector.tolist(),
        }
        for number, vector in enumerate(vectors)
    ]
    question = vectors[0].tolist()
    # A point without a vector in the middle, which chroma refuses to add.
    stores = {"space": space, "distance": distance, "operator": operator, "postgres": database, "bare": [BARE]}
    request = json.dumps({"rows": rows, "question": question} | stores)
    nearest = json.loads(run(tmp_path, Path(__file__).with_name("seeded_stores.py").read_text(), request))
    for store, recipe in zip(("chroma", "qdrant", "pgvector"), RECIPES, strict=True):
        recipe = recipe.replace(SHOWN_URL, service.url).replace(SHOWN_DATABASE, database)
        recipe = recipe.replace('OPERATOR = "<=>"', f'OPERATOR = "{operator}"')
        for _ in range(2):  # the second time changes nothing
            run(tmp_path, recipe)
        path = f"/v1/collections/from-{store}"
        bare = [] if store == "chroma" else [BARE]
        assert client.get(path).json()["documents"] == MANY - len(bare)
        for identity in bare:
            body = client.get(f"{path}/documents/{identity}", params={"include": ["key", "key_vector"]}).json()
            assert (body["key"], body["key_vector"]) == (rows[int(identity)]["text"], None)
        for number in (0, 1, 5, MANY - 1):
            body = client.get(
                f"{path}/documents/{number}", params={"include": ["key", "metadata", "key_vector"]}
            ).json()
            row = rows[number]
            assert (body["key"], body["metadata"]) == (row["text"], row["metadata"])
            np.testing.assert_array_equal(np.float32(body["key_vector"]), vectors[number])
        answer = client.post(f"{path}/attend", json={"query": question, "top_k": 5}).json()
        assert [match["id"] for match in answer["matches"]] == nearest[store]
        client.delete(path)
