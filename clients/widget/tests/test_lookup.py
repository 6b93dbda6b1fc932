"""The widgets in Python: where their weights come from, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from traitlets import TraitError

from softkv import AsyncClient, Client, Invalid
from softkv_attention import attend
from softkv_attention.lookup import Background, Memory
from softkv_widget import Heads, Lookup

KEYS = np.array([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [0.0, 1.0, 0.1], [0.0, 0.1, 1.0]])
QUERY = np.array([0.8, 0.6, 0.0])
WEIGHTS = np.full((2, 3, 4, 4), 0.25)
TOKENS = list("abcd")


def at(widget: Lookup, temperature: float) -> dict:
    """Return what the picture has at a temperature."""
    return next(moment for moment in widget._picture["temperatures"] if moment["temperature"] == temperature)


def test_weights_of_arrays_are_those_of_the_core() -> None:
    widget = Lookup.of_arrays(QUERY, KEYS, labels=TOKENS, rows=3, temperature=0.1, null=0.5)
    picture = widget._picture
    for moment in picture["temperatures"][1:-1]:
        exact = attend(QUERY[None], KEYS, KEYS, similarity="cosine", temperature=moment["temperature"], null=0.5)
        order = np.argsort(-exact.logits[0])
        assert moment["weights"] == pytest.approx(exact.weights[0][order[:3]], abs=1e-6)
        assert moment["rest_weight"] == pytest.approx(exact.weights[0][order[3]], abs=1e-6)
        assert moment["null_weight"] == pytest.approx(exact.null_weight[0], abs=1e-6)
    assert [row["key"] for row in picture["rows"]] == ["b", "a", "c"]
    assert picture["documents"] == 4


def test_a_collection_has_its_own_temperature_and_null_key(client: Client) -> None:
    library = client.collection("library")
    widget = Lookup.of_collection(library, "pets that purr", rows=3)
    answer = library.attend("pets that purr", top_k=3)
    assert widget.temperature == answer.temperature == 0.05
    assert widget.answer.weights == pytest.approx(answer.weights)
    assert widget._picture["rows"][0]["key"] == "cats"
    widget.query = "whales"
    assert widget.answer.ids == library.attend("whales", top_k=3).ids
    widget.null = None
    assert widget.answer.null_weight == 0
    widget.null = "strict"
    assert widget.answer.null_weight == library.attend("whales", null="strict").null_weight
    assert at(widget, 1e300)["weights"] == pytest.approx([1 / 220] * 3, rel=0.1)


def test_the_null_key_of_a_collection_is_that_of_its_settings(client: Client, name: Callable[[], str]) -> None:
    for null, expected in ((0.3, 0.3), (False, None), ("lenient", "lenient")):
        collection = client.collection(name())
        collection.create(null=null, temperature=0.2)
        collection.put("cats", key="cats", value="Cats")
        widget = Lookup.of_collection(collection, "pets that purr")
        assert (widget.null, widget.temperature) == (expected, 0.2)
        assert widget.answer.null_weight == collection.attend("pets that purr").null_weight


def test_a_filter_holds_for_every_question(client: Client) -> None:
    from softkv import F

    widget = Lookup.of_collection(client.collection("library"), "pets that purr", where=F.year >= 1990)
    assert widget._picture["documents"] == widget.answer.documents < 110


def test_an_answer_is_still_and_moves_with_its_collection(client: Client) -> None:
    library = client.collection("library")
    answer = library.attend("pets that purr", top_k=4, include=["key", "value"])
    still = Lookup.of_answer(answer)
    assert (still._live, still._asks) == (False, False)
    (moment,) = still._picture["temperatures"]
    assert moment["weights"] == pytest.approx(answer.weights, rel=1e-8)
    assert still.answer is answer
    moving = Lookup.of_answer(answer, library)
    assert (moving._live, moving.temperature, len(moving._picture["rows"])) == (True, answer.temperature, 4)
    vector = library.attend(np.ones(384), top_k=1)
    with pytest.raises(ValueError, match="does not have its question"):
        Lookup.of_answer(vector, library)


def test_a_background_is_the_null_key_named_auto() -> None:
    widget = Lookup.of_arrays(QUERY, Memory.of(KEYS), null=Background(0.1, 0.05))
    assert widget.null == "auto"
    assert widget.answer.evidence.null_similarity == pytest.approx(0.1 + 0.05**2 / 0.1 + 0.05 * math.log(4))
    widget.null = 0.3
    assert widget.answer.evidence.null_similarity == 0.3


def test_infinity_travels_as_a_number_of_json() -> None:
    widget = Lookup.of_arrays(QUERY, KEYS, temperature=math.inf)
    assert widget.get_state("temperature") == {"temperature": 1e300}
    widget.set_state({"temperature": 0.5})
    assert widget.temperature == 0.5
    widget.set_state({"temperature": 1e300})
    assert widget.temperature == math.inf


def test_texts_are_encoded_by_a_function() -> None:
    vectors = {"first": KEYS[0], "last": KEYS[3]}
    widget = Lookup.of_arrays("first", KEYS, labels=TOKENS, encode=vectors.__getitem__)
    widget.query = "last"
    assert widget._picture["rows"][0]["key"] == "d"
    assert widget.answer.numbers[0] == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: Lookup.of_arrays(QUERY, KEYS, labels=["a"]),
            ValueError,
            "labels must have one text for each of 4 keys, got 1",
        ),
        (
            lambda: Lookup.of_arrays(QUERY, KEYS, ["a"] * 5),
            ValueError,
            "values must have one text for each of 4 keys, got 5",
        ),
        (lambda: Lookup.of_arrays(QUERY, KEYS[0]), ValueError, r"keys must be \[n, d\], got \[3\]"),
        (
            lambda: Lookup.of_arrays(QUERY, KEYS, KEYS[0]),
            ValueError,
            r"values must be n texts or \[n, d_v\], got \[3\]",
        ),
        (lambda: Lookup.of_arrays("text", KEYS), ValueError, "pass encode="),
        (lambda: Lookup.of_arrays(QUERY[:2], KEYS), ValueError, "width 2"),
        (lambda: Lookup.of_arrays(QUERY, KEYS, temperature=-1), TraitError, "temperature must be 0, or from"),
        (lambda: Lookup.of_arrays(QUERY, KEYS, null="auto"), ValueError, r"takes null=Background"),
        (lambda: Lookup.of_arrays(QUERY, KEYS, null=math.nan), ValueError, "null must be a finite similarity"),
        (lambda: Lookup.of_answer({"matches": []}), TypeError, "expected an Answer of a softkv.Client, got dict"),
        (lambda: Lookup.of_collection(AsyncClient().collection("a"), "b"), TypeError, "got AsyncCollection"),
        (lambda: Heads(WEIGHTS), ValueError, "tokens are missing"),
        (lambda: Heads(WEIGHTS, ["a"]), ValueError, "one text for each of 4 rows of the weights, got 1"),
        (lambda: Heads(WEIGHTS[0], TOKENS), ValueError, r"weights \[layers, heads, n, n\], got \[3, 4, 4\]"),
        (lambda: Heads(np.ones((1, 1, 65, 65)), "a" * 65), ValueError, "at most 64 tokens, got 65"),
    ],
)
def test_bad_arguments_are_refused_with_advice(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_refused_question_leaves_the_picture_and_its_reason(client: Client) -> None:
    widget = Lookup.of_collection(client.collection("library"), "pets that purr")
    before = widget._picture
    with pytest.raises(Invalid):
        widget.null = "unknown"
    assert widget._picture is before
    assert 'wanted "auto"' in widget._problem
    widget.null = "auto"
    assert widget._problem == ""


def test_a_trace_of_the_service_has_its_tokens_and_its_layers(client: Client) -> None:
    widget = Heads(client.trace("The dog", layers=[1, 4]))
    assert widget._trace["tokens"] == ["[CLS]", "The", "dog", "[SEP]"]
    assert widget._trace["layers"] == [1, 4]
    with pytest.raises(TraitError, match="layer must lie from 0 to 1, got 2"):
        widget.layer = 2


def test_a_trace_of_the_core_has_the_weights_of_each_layer() -> None:
    from softkv_attention.transformer import TracedLayer

    others = dict.fromkeys(set(TracedLayer._fields) - {"layer", "heads", "weights"})
    layers = [TracedLayer(layer=i, heads=(0, 1, 2), weights=WEIGHTS[i], **others) for i in (0, 1)]
    widget = Heads(layers, TOKENS)
    assert widget._trace == {"tokens": TOKENS, "layers": [0, 1], "heads": [0, 1, 2]}
    assert np.frombuffer(widget._weights, np.float32).tolist() == WEIGHTS.ravel().tolist()


def test_weights_are_computed_wherever_the_clamp_stops() -> None:
    stops = [moment["temperature"] for moment in Lookup.of_arrays(QUERY, KEYS)._picture["temperatures"]]
    assert stops == sorted(stops)
    assert len(stops) == 402
    assert {0.0, 0.001, 0.05, 0.1, 1.0, 100.0, 1e300} <= set(stops)
