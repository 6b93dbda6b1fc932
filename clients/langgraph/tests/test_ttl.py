"""Times to live: an item is absent from the instant on at which it expires, and a read renews it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from langgraph_store_softkv import InvalidInput

BEN = ("users", "ben")


def keys(items):
    return [item.key for item in items]


def test_a_time_to_live_is_over_at_once(made, call):
    store = made(index={"fields": ["text"]}, ttl={"default_ttl": 10, "refresh_on_read": False}, null=False)
    start = datetime.now(UTC)
    call(store, "put", BEN, "soon", {"text": "cats"}, ttl=-1)
    call(store, "put", BEN, "later", {"text": "cats"})
    call(store, "put", BEN, "never", {"text": "cats"}, ttl=None)
    assert call(store, "get", BEN, "soon") is None
    for query in (None, "cats"):
        assert sorted(keys(call(store, "search", BEN, query=query))) == ["later", "never"]
    expires = expiries(store)
    assert expires["never"] is None
    assert start <= expires["later"] - timedelta(minutes=10) <= datetime.now(UTC)


@pytest.mark.parametrize("ttl", [1e10, float("inf"), float("nan"), "5"])
def test_a_time_to_live_without_an_end_is_refused_by_key(made, call, ttl):
    with pytest.raises(InvalidInput, match=rf"item 'a' of .*, ttl: expected minutes .*, got {ttl!r}\. .* say ttl=None"):
        call(made(), "put", BEN, "a", {"text": "cats"}, ttl=ttl)


@pytest.mark.parametrize("read", [("get", "later"), ("search", None), ("search", "cats")])
def test_a_read_renews_the_time_to_live(made, call, read):
    store = made(index={"fields": ["text"]}, null=False)
    call(store, "put", BEN, "later", {"text": "cats"}, ttl=10)
    call(store, "put", BEN, "never", {"text": "cats"})
    method, word = read
    options = {"query": word} if method == "search" else {}
    arguments = (BEN,) if method == "search" else (BEN, word)
    before = expiries(store)
    call(store, method, *arguments, refresh_ttl=False, **options)
    assert expiries(store) == before
    call(store, method, *arguments, **options)
    after = expiries(store)
    assert after["later"] > before["later"]
    assert after["never"] is None


def expiries(store):
    """When each item expires, by key."""
    documents = store._source.connection.client.collection(store._source.place.name).find()
    return {
        document.metadata["key"]: None if (text := document.expires) is None else datetime.fromisoformat(text)
        for document in documents
    }
