"""The benchmark of rerankers: what is held back shares no word with what is learned, and its figures are right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import abstention
from benchmarks.asking import Asking, Vectors
from benchmarks.glosses import Glosses, split_words
from benchmarks.labelled import Labels
from benchmarks.reranking import Questioned, profiles_of
from service.encoding import Reranker, load_encoder, load_reranker
from service.retrieval.calibration import RERANK_WEIGHTS
from tests.checkpoints import write_cross_encoder


def test_no_word_is_on_both_sides():
    words = [f"word{i}" for i in range(60)]
    keys = {f"{i}-{j}": f"{words[i]}, {words[j]}" for i in range(60) for j in range(i, 60, 7)}
    labels = Labels(keys, {f"definition of {key}": (identity,) for identity, key in keys.items()})
    glosses = Glosses.divide(labels)
    parts = glosses.learned, glosses.held_back
    learned, held_back = ({word for key in part.keys.values() for word in split_words(key)} for part in parts)
    assert learned
    assert held_back
    assert not learned & held_back
    for part in parts:
        assert {identity for ids in part.right.values() for identity in ids} <= part.keys.keys()


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    folder: Path = write_cross_encoder(tmp_path_factory.mktemp("model") / "pairs")
    return load_reranker(str(folder))


def test_weight_zero_is_the_collection_without_the_reranker(pairs):
    keys = {name: f"a {name}" for name in ("cat", "dog", "violin", "bread", "anchor")}
    questions = [("a pet that purrs", ("cat",)), ("it keeps a ship in its place", ("anchor",)), ("a star", ())]
    vectors = Vectors(load_encoder("all-MiniLM-L6-v2"))
    profiles = profiles_of(Questioned("things", keys, questions), vectors, pairs)
    plain, _ = abstention.profiles_of(abstention.Questioned(keys, questions, np.zeros(3)), Asking(keys, vectors))
    assert profiles.words == RERANK_WEIGHTS
    assert profiles.present.tolist() == [True, True, False]
    for name in ("log_partition", "best", "right", "rank"):
        np.testing.assert_allclose(getattr(profiles, name)[:, 0], getattr(plain, name)[:, 0], atol=1e-9)
    assert not np.allclose(profiles.log_partition[:, 0], profiles.log_partition[:, -1])
