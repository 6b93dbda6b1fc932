"""A collection as a whole, in each of the three ways."""

from __future__ import annotations

import numpy as np
import pytest

import softkv


def test_an_existing_collection_is_used_only_with_exist_ok(made, softkv_client):
    collection = made(encoder=None, similarity="dot")
    with pytest.raises(softkv.Conflict, match="exist_ok"):
        collection.create(encoder=None, similarity="dot")
    assert collection.create(encoder=None, similarity="dot", exist_ok=True).name == collection.name
    with pytest.raises(softkv.Conflict) as refused:
        collection.create(similarity="cosine", exist_ok=True)
    assert refused.value.code == "collection_conflict"


def test_a_name_that_none_can_have_is_refused_at_once(silent):
    with pytest.raises(softkv.Invalid, match=r"path\.name: wanted a text of the form"):
        silent().collection("a b")


def test_collections_are_listed_over_pages(made, softkv_client):
    names = sorted(made(encoder=None).name for _ in range(5))
    listed = [collection.name for collection in softkv_client.collections("client-", page=2)]
    assert set(names) <= set(listed)
    assert listed == sorted(listed)
    assert softkv_client.collections("client-").count() == len(listed)
    assert softkv_client.collections("client-").first().name == listed[0]
    assert softkv_client.collections("there is none").first() is None


def test_a_projection_is_stored_read_and_removed(made):
    crates = made(encoder=None, temperature=0.1)
    crates.write([{"id": name, "key_vector": key} for name, key in zip("ab", np.eye(2), strict=True)])
    assert crates.projection() is None
    report = {"pairs": 280, "held_out": 120, "mrr_before": 0.25, "mrr_after": 0.75, "error": 0.04}
    stored = crates.put_projection(np.array([[1.0, 0.0]]), [[0.0, 3.0]], trained=report)
    assert (stored.rank, stored.drops, stored.trained.mrr_after) == (1, [], 0.75)
    assert crates.attend([1.0, 0.0])[0].id == "b"
    read = crates.projection()
    assert (read.down.tolist(), read.up.tolist()) == ([[1.0, 0.0]], [[0.0, 3.0]])
    assert (read.rank, read.at, read.trained) == (1, stored.at, stored.trained)
    assert crates.info().projection.copy_with(drops=[]) == stored
    assert crates.change(projection=None).projection is None
    assert crates.attend([1.0, 0.0])[0].id == "a"
    for wrong, pointer in (([[1.0, None]], "/down/0"), ("text", "/down")):
        with pytest.raises(softkv.Invalid) as refusal:
            crates.put_projection(wrong, [[0.0, 1.0]])
        assert refusal.value.errors[0].pointer == pointer
    with pytest.raises(softkv.Invalid, match="put_projection"):
        crates.change(projection="none")


def test_a_match_has_the_sentence_that_fits_best_and_full_text_of_its_own(softkv_client):
    notes = softkv_client.collection("sentences")
    notes.create()
    notes.put("guide", "The harbour opens at six. Cats purr when content. Tickets cost four euros.")
    answer = notes.attend(
        "what is the price?", include=["key", "highlight"], full_text={"weight": 0.1, "query": '"four euros" tick*'}
    )
    match = answer[0]
    assert match.key[match.highlight.start : match.highlight.end] == "Tickets cost four euros."
    assert answer.full_text.documents == 1
    assert notes.attend("what is the price?")[0].highlight is None
    notes.drop()
