"""The cost of importing the names of this room, before a model loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "sentence_transformers", "huggingface_hub"}


@pytest.mark.parametrize("face", ["service.encoding", "service.retrieval.labels"])
def test_a_face_costs_no_torch(face):
    script = f"import sys, {face}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert "service.encoding.encoder" in loaded
    assert not HEAVY & set(loaded)
