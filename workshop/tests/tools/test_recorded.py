"""Recorded files of the page: each is what its command writes, of which a part is computed anew, and none is large."""

from __future__ import annotations

import base64
import gzip

import numpy as np
import pytest

from softkv_service.encoding import DEFAULT_MODEL, load_encoder
from workshop.tools.recorded import FOLDER, read, script, unpack_weights
from workshop.tools.recorded.kinds import text, unpack
from workshop.tools.recorded.learning import SOURCES, learn
from workshop.tools.recorded.trace import TEXTS, trace
from workshop.tools.recorded.zoom import QUESTION, calls

MOST_BYTES = 60_000
MOST_BYTES_OF = {"writing": 130_000, "zoom": 140_000}
"""Of the language model, which is loaded where it writes, and of the zoom, whose numbers are whole."""
STEPS = 5
"""The number of steps of a training that a test repeats: rounding then moves a weight by a few thousandths at most."""

RECORDED = sorted(path.stem for path in FOLDER.glob("*.js"))


@pytest.mark.parametrize("name", RECORDED)
def test_a_file_is_small_and_reads_as_it_was_written(name):
    path = FOLDER / f"{name}.js"
    content = path.read_bytes()
    assert len(gzip.compress(content, mtime=0)) <= MOST_BYTES_OF.get(name, MOST_BYTES)
    assert script(name, read(name)).encode() == content


def test_each_recording_has_its_file():
    assert {"translation", "dates", "trace", "kinds", "zoom"} <= set(RECORDED)


@pytest.mark.parametrize("name", ["translation", pytest.param("dates", marks=pytest.mark.thorough)])
def test_the_beginning_of_a_training_matches_the_record(name):
    recorded, again = read(name), learn(name, last=STEPS, models=("transformer", "gru_attention"))
    assert recorded["sources"] == [{**source, "tokens": list(source["tokens"])} for source in again["sources"]]
    for model, run in again["runs"].items():
        kept = recorded["runs"][model]
        n = len(run["moments"])
        assert n > 2
        np.testing.assert_allclose(_steps_and_losses(kept["moments"][:n]), _steps_and_losses(run["moments"]), atol=2e-3)
        for source, before, now in zip(recorded["sources"], kept["written"], run["written"], strict=True):
            assert before[0]["tokens"] == now[0]["tokens"]
            shape = len(now[0]["tokens"]), len(source["tokens"])
            weights = [unpack_weights(output[0]["weights"], *shape) for output in (before, now)]
            np.testing.assert_allclose(*weights, atol=1.5 / 255)
            np.testing.assert_allclose(weights[0].sum(axis=1), 1, atol=0.03)


@pytest.mark.parametrize("name", [name for name in SOURCES if name in RECORDED])
def test_a_recorded_training_learned(name):
    """Attention beats the same network without it, and the alignment of a translation crosses."""
    runs = read(name)["runs"]
    assert runs["transformer"]["accuracy"] > 0.9
    assert runs["gru_attention"]["accuracy"] >= runs["gru"]["accuracy"]
    for run in runs.values():
        first, last = run["moments"][0], run["moments"][-1]
        assert last[0] == read(name)["steps"]
        assert last[2] < first[2] / 2


def test_the_recorded_translation_crosses():
    recorded = read("translation")
    (source, *_), run = recorded["sources"], recorded["runs"]["transformer"]
    output = run["written"][0][-1]
    assert output["text"] == "le chien ne voit pas la vieille voiture rouge"
    weights = unpack_weights(output["weights"], len(output["tokens"]), len(source["tokens"]))
    looked_at = [source["tokens"][place] for place in weights.argmax(axis=1)]
    pairs_of_words = dict(zip(output["tokens"], looked_at, strict=True))
    assert (pairs_of_words["voiture"], pairs_of_words["rouge"]) == ("car", "red")


def test_the_recorded_text_has_the_encoders_queries_and_keys():
    recorded, again = read("kinds")["text"], text()
    assert recorded["read"] == recorded["asking"] == again["asking"]
    for name in ("query", "key"):
        rows = [unpack(head[name], len(head["read"])) for head in (recorded, again)]
        np.testing.assert_allclose(*rows, atol=2e-5)


def test_recorded_queries_and_keys_give_the_recorded_weights():
    """The head of the translator is that of the training that `translation` recorded."""
    of, output = read("kinds")["translation"], read("translation")["runs"]["transformer"]["written"][0][-1]
    asking, n = of["asking"], len(of["read"])
    assert [*asking, "<end>"] == output["tokens"]
    query, key = unpack(of["query"], len(asking)), unpack(of["key"], n)
    weights = np.exp(query @ key.T / np.sqrt(query.shape[1]))
    weights /= weights.sum(axis=1, keepdims=True)
    kept = unpack_weights(output["weights"], len(output["tokens"]), n)
    np.testing.assert_allclose(weights, kept[:-1], atol=0.6 / 255)


def test_the_recorded_zoom_has_the_encoders_vector_and_heads_by_their_moves():
    recorded = read("zoom")
    paths = [path for path, _ in calls()]
    assert [name.split(" ", 1)[0] for name in recorded["answers"]] == paths
    trace, _, answer = recorded["answers"].values()
    searched = np.frombuffer(base64.b64decode(trace["vector"]["searched"]["base64"]), "<f4")
    now = load_encoder(DEFAULT_MODEL).encode([QUESTION], "query").vectors[0]
    np.testing.assert_allclose(searched, now, atol=2e-3)  # another precision
    moves = [head["moved"] for head in recorded["left"]["heads"]]
    assert (len(moves), moves) == (72, sorted(moves, reverse=True))
    weights = {match["id"]: match["weight"] for match in answer["matches"]}
    assert recorded["left"]["before"] == pytest.approx(weights, abs=1e-3)


def test_the_recorded_trace_is_the_encoders():
    recorded, again = read("trace"), trace(TEXTS[:1])
    (kept, now) = (data["texts"][0] for data in (recorded, again))
    assert [(text["text"], text["pair"]) for text in recorded["texts"]] == TEXTS
    assert kept["tokens"] == now["tokens"]
    n = len(now["tokens"])
    np.testing.assert_allclose(*(unpack_weights(text["weights"], 6, 12, n, n) for text in (kept, now)), atol=1.5 / 255)
    for before, after in zip(kept["changes"], now["changes"], strict=True):
        for name, shares in after.items():
            assert before[name] == pytest.approx(shares, abs=2e-3)


def _steps_and_losses(moments: list[list[float]]) -> list[list[float]]:
    """Return the step and the loss of each moment; its seconds differ between machines."""
    return [[step, loss] for step, _, loss, _ in moments]
