"""A service where torch cannot be imported, as `make run` installs it: it serves, and only training is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# `import torch` raises, and find_spec("torch") is None.
SERVED = """
import json, sys, tempfile
sys.modules.update(dict.fromkeys(["torch", "sentence_transformers", "transformers"]))
from tests.running import RunningService
with (
    tempfile.TemporaryDirectory() as data,
    RunningService(data_dir=data, demo=("library",)) as service,
    service.client() as client,
):
    service.wait_until_ready()
    answer = client.post("/v1/collections/library/attend", json={"query": "pets that purr"}).raise_for_status().json()
    traced = client.post("/v1/trace", json={"text": "a dog"}).raise_for_status().json()
    train = client.post("/v1/lab/train", json={"task": "copy", "steps": 1})
    decode = client.post("/v1/lab/decode", json={"model": "m-0", "source": "abc"})
    lab = client.get("/v1/lab").json()
print(json.dumps({"best": answer["matches"][0]["id"], "verdict": answer["evidence"]["verdict"],
                  "tokens": len(traced["tokens"]), "train": train.json(), "decode": decode.json(), "lab": lab}))
"""


@pytest.mark.process
def test_a_service_without_torch_answers_and_names_the_install_command_for_training():
    ended = subprocess.run([sys.executable, "-c", SERVED], capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    answers = json.loads(ended.stdout.splitlines()[-1])
    assert (answers["best"], answers["verdict"]) == ("old-possums-book-of-practical-cats", "one")
    assert answers["tokens"] == 4
    assert (answers["train"]["status"], answers["train"]["code"]) == (501, "library_missing")
    detail = answers["train"]["detail"]
    for part in ("torch 2.6 or later", "this installation has no torch", "make run LAB=1", "pip install torch"):
        assert part in detail
    assert (answers["decode"]["status"], answers["decode"]["code"]) == (404, "model_not_trained")
    assert answers["lab"] == {"open": True, "training": False, "models": []}
